"""The compiled heart of the signal VM: one tick of sound and numbers, for ever, without the interpreter.

Everything is words behind addresses, laid out by signal_plan.py and signal_vm.py; the constants below name the
places. A *pair* is two float64: the value in the newest state and in the one before. Weights, externals and number
outputs are pairs, so that a block of sound can run linearly from the one to the other.

Nothing here raises, allocates or waits, but for the live loop, which sleeps while the ring is full.
"""

import ctypes
import functools
import sys

from numba import njit

from dmm_av.engine import native, ring, speakers, step_code, step_compiler
from dmm_av.engine.native import (
    float32_pointer,
    float64_pointer,
    host_nanoseconds,
    int64_pointer,
    load_acquire,
    prefer_this_thread,
    sleep_microseconds,
    store_release,
)
from dmm_av.engine.ring import READ, RING, SIZE, WRITTEN
from dmm_av.engine.speakers import render_stage
from dmm_av.engine.step_code import (
    call_loops,
    call_tick,
    flush_tiny_numbers,
    lanes_to_rows,
    load_sum,
    load_x,
    restore_mode,
    rows_to_lanes,
    store_sum,
)
from dmm_av.engine.step_compiler import (
    BLOCK,
    CONSTANT,
    CONSTANTS,
    HELD,
    LANES,
    PREPARE,
    SLOT_STEPS,
    digest_of_modules,
    load_text,
)
from dmm_av.streams import dsp
from dmm_av.streams.dsp import bits_of

# --- Words of the VM; those that two threads write are 64 bytes apart ---------------------------------
TICK = 0  # the next tick to be rendered = the newest state; stored with release
PUBLISHED = 8  # all commands for ticks up to this one have been posted
STOP = 16
COMMANDS_WRITTEN = 24
COMMANDS_READ = 32
COMMANDS = 40  # address of the ring of commands
COMMAND_MASK = 41
PLAN = 42
NEXT_PLAN = 43  # takes over in the tick after a swap that fades something out
CHANGED = 44  # address of the list of pairs that were set since the last block
CHANGED_COUNT = 45
CHANGED_ROOM = 46
EVENTS = 47
EVENT_COUNT = 48  # stored with release
TICK_RATE = 49
STAGE = 50  # address of what the speakers' end keeps
LAGS = 51
LAG_COUNT = 52
FILL = 53  # live: frames that the ring should hold
SLACK = 54  # live: below this many frames a tick is rendered although it is not published
BLOCKS = 55  # blocks rendered since the start
LOAD = 56  # float: share of real time spent in rendering, smoothed
HISTORY = 57  # address of (tick, plan id) of the last states
STAGE_ROWS = 58  # address of three rows of a block: left, right, both
LIVE = 59  # 1 while the live loop runs
BUSY = 60  # ns spent in rendering
RENDER = 63  # address of `compiled_tick`
ROW_DISTANCE = 64  # bytes between the stage's rows
BLOCK_FRAMES = 65
SWAP_TICK = 62  # tick of the last swap
STILL_PLAN = 61  # the plan whose weights have not moved for a block: what they add up to is known
VM_WORDS = 72

EVENT_ROOM = 4096  # events kept; each (tick, neuron id)
LAG_ROOM = 4096
HISTORY_TICKS = 256

# --- Commands: tick, what, address, value ---------------------------------------------------------------
COMMAND_WORDS = 4
SET = 1  # a pair's new value
BATCH = 2  # address and count of (pair, value, jump)
SWAP = 3  # plan, or 0; next plan
RESET = 4  # a neuron's block

# --- Words of a plan ------------------------------------------------------------------------------------
BLOCK_SIZE = 0
PADDED = 1  # block size rounded up to whole vectors
ROW_BYTES = 2  # distance between rows
SLOTS = 3  # per input: first and last control term, first and last audio term, row of its own or 0
SLOT_COUNT = 4
CONTROLS = 5  # control terms: address of the weight's pair, of the source's pair
AUDIOS = 6  # audio terms: address of the weight's pair, of the row, index of the node
CONTROL_NOW = 7  # per input: sum of its control terms, in the newest state
CONTROL_BEFORE = 8  # … and in the state before
NODES = 9
NODE_COUNT = 10
OPERATIONS = 11  # what, and up to three numbers
OPERATION_COUNT = 12
TILES = 13
TANGLES = 14
RAMP = 15  # (t + 1) / B
ROOM = 16  # rows for the inputs of one node, or for one input of a tile
TILE_X = 17
TILE_Y = 18
TILE_STATE = 19
TILE_FLAGS = 20
MEMBERS = 21  # indices of nodes, tile after tile
NUMBERS = 22  # number nodes in settled order
NUMBER_COUNT = 23
NUMBER_TERMS = 24  # address of the weight, of the value
NUMBER_SLOTS = 25  # first and last number term
EXPORTS = 26  # addresses of the values to be exported
EXPORT_COUNT = 27
EXPORT_HISTORY = 28
PLAN_ID = 29
SPEAKERS = 30  # first slot of left, right, both; -1 without
COLUMNS = 31  # nodes whose sample before the block is read
COLUMN_COUNT = 32
LISTENERS = 33  # nodes whose outputs are numbers
LISTENER_COUNT = 34
TABLE = 35  # room for the addresses of the rows of a tile
MOVING = 36  # inputs with a source that may change by itself
MOVING_COUNT = 37
PLAN_WORDS = 40

SLOT_WORDS = 5
CONTROL_WORDS = 2
AUDIO_WORDS = 3
OPERATION_WORDS = 4
RUN, TILE, TANGLE, SUM = 0, 1, 2, 3

# --- Words of a node in a plan ----------------------------------------------------------------------------
KERNEL = 0
FIRST_SLOT = 1
SLOT_SPAN = 2
ROWS = 3  # address of its first row
KEPT = 4  # address of what it keeps (its block)
RECORD = 5  # address of the record for its loops
OUTPUTS = 6
LISTENS = 7  # 1: its outputs are numbers
INPUTS = 8  # address of room for the addresses of its inputs
VALUES = 9  # number nodes: address of its inputs' values
RESULTS = 10  # number nodes: address of room for its outputs
CONSTANT_INPUTS = 11  # bit k: input k is constant in this block
IS_STILL = 12  # 1: all its inputs are wired to `one` alone
NODE_WORDS = 16

# --- Words of what a neuron keeps -------------------------------------------------------------------------
TEMPLATE = 0  # address of its state words at the beginning
WORDS = 1
KEPT_OUTPUTS = 2
MEMORIES = 3
FIRST_MEMORY = 4
FIRST_FLOAT = 5
FLOATS = 6
NEURON_ID = 7
STRIKES = 8  # from here on the words that every block touches: one cache line
MUTED_UNTIL = 9  # tick; 0: sounds
KEPT_HEADER = 10  # then a pair per output, then the state words
FOREVER = 1 << 60
MOST_STRIKES = 3

# --- Words of a tile: neurons of one activation that run side by side ---------------------------------------
TILE_KERNEL = 0
TILE_RECORD = 1
TILE_FIRST = 2  # in MEMBERS
TILE_COUNT = 3
TILE_LANES = 4
TILE_SLOTS = 5
TILE_OUTPUTS = 6
TILE_STATE_WORDS = 7
TILE_SINGLES = 8  # inputs that are no family
TILE_TARGETS = 9  # per eight lanes of an output that somebody reads: output, first lane, addresses of eight rows
TILE_TARGET_COUNT = 10
TILE_WORDS = 12
TARGET_WORDS = 10

# --- Words of a tangle: neurons in a cycle, one sample at a time ---------------------------------------------
GROUPS = 0  # address
GROUP_COUNT = 1
POSITIONS = 2  # address: slot at every place of X, or -1
POSITION_COUNT = 3
X_NOW = 4
X_BASE = 5
VARYING = 6  # address of room for the places that vary from outside
VARYING_ROWS = 7
BUNDLES = 8  # four inputs with terms inside the cycle: their places, first term, terms of each
INSIDE = 9  # per term, four by four: the source's place in Y (less than 0: the sample before)
INSIDE_COUNT = 10
INSIDE_PAIRS = 11  # address of addresses of the weights' pairs
INSIDE_WEIGHT = 12
INSIDE_SLOPE = 13
Y_ROWS = 14  # address of B + 1 rows, one per sample
Y_WIDTH = 15
TANGLE_FIRST = 16  # in MEMBERS
TANGLE_COUNT = 17
PLACES = 18  # per member: place of its first output in Y, distance to the next, lane, group
DECIDES = 19  # per place of X: the group whose cycles per step it decides, or -1
TANGLE_TARGETS = 20
TANGLE_TARGET_COUNT = 21
TANGLE_WORDS = 24
BUNDLE_WORDS = 6

GROUP_KERNEL = 0
GROUP_RECORD = 1
GROUP_LANES = 2
GROUP_X = 3
GROUP_Y = 4
GROUP_FIRST_BUNDLE = 5
GROUP_LAST_BUNDLE = 6
GROUP_STATE = 7
GROUP_FLAGS = 8
GROUP_STATE_WORDS = 9
GROUP_STRIDE = 10
GROUP_CAN_HOLD = 11  # nothing inside the cycle changes its cycles per step
GROUP_LOOP = 12  # which loop runs in this block
GROUP_WORDS = 13

_O = {"nogil": True, "error_model": "numpy"}  # not cached one by one: see `entries`


# --- Muting -------------------------------------------------------------------------------------------------


@njit(**_O)
def refresh(kept):
    """Puts a neuron's state back to its beginning."""
    k = int64_pointer(kept)
    template = int64_pointer(k[TEMPLATE])
    state = int64_pointer(kept + 8 * (KEPT_HEADER + 2 * k[KEPT_OUTPUTS]))
    for i in range(k[WORDS]):
        state[i] = template[i]
    for m in range(k[MEMORIES]):
        line = int64_pointer(state[k[FIRST_MEMORY] + 3 * m])
        for i in range(state[k[FIRST_MEMORY] + 3 * m + 2] + 1):
            line[i] = 0
    outputs = float64_pointer(kept + 8 * KEPT_HEADER)
    for i in range(2 * k[KEPT_OUTPUTS]):
        outputs[i] = 0.0


@njit(**_O)
def strike(vm, kept):
    """Mutes a neuron that was not finite: for a second, three times, then until an edit."""
    v = int64_pointer(vm)
    k = int64_pointer(kept)
    if k[MUTED_UNTIL] != 0:
        return
    k[STRIKES] += 1
    k[MUTED_UNTIL] = v[TICK] + 1 + v[TICK_RATE] if k[STRIKES] <= MOST_STRIKES else FOREVER
    refresh(kept)
    events = int64_pointer(v[EVENTS])
    place = v[EVENT_COUNT] % EVENT_ROOM
    events[2 * place] = v[TICK]
    events[2 * place + 1] = k[NEURON_ID]
    store_release(vm + 8 * EVENT_COUNT, v[EVENT_COUNT] + 1)


@njit(**_O)
def is_muted(vm, kept):
    """Whether a neuron is silent in this tick; wakes it when its time has come."""
    k = int64_pointer(kept)
    until = k[MUTED_UNTIL]
    if until == 0:
        return False
    if until != FOREVER and int64_pointer(vm)[TICK] >= until:
        k[MUTED_UNTIL] = 0
        return False
    return True


# --- Down movement: sums of rows ------------------------------------------------------------------------------


@njit(**_O)
def is_finite_row(row, n):
    x = float64_pointer(row)
    found = 0
    for t in range(n):
        found |= bits_of(x[t] - x[t])
    return found == 0


@njit(**_O)
def clear_rows(row, distance, rows, n):
    for o in range(rows):
        x = float64_pointer(row + o * distance)
        for t in range(n):
            x[t] = 0.0


@njit(**_O)
def blame(vm, plan, first, last):
    """Mutes the sources among some audio terms that are not finite; returns whether there were any."""
    p = int64_pointer(plan)
    audios = int64_pointer(p[AUDIOS])
    nodes = p[NODES]
    found = False
    for j in range(first, last):
        if not is_finite_row(audios[AUDIO_WORDS * j + 1], p[BLOCK_SIZE]):
            node = int64_pointer(nodes + 8 * NODE_WORDS * audios[AUDIO_WORDS * j + 2])
            strike(vm, node[KEPT])
            for o in range(node[OUTPUTS]):
                row = float64_pointer(node[ROWS] + o * p[ROW_BYTES])
                for t in range(-1, p[BLOCK_SIZE]):
                    row[t] = 0.0
            found = True
    return found


@njit(**_O)
def begin_row(plan, row, now, before):
    """row = the control part."""
    p = int64_pointer(plan)
    n = p[PADDED]
    if now == before:
        for t in range(n):
            store_sum(row, t, now)
    else:
        ramp = p[RAMP]
        rise = now - before
        for t in range(n):
            store_sum(row, t, before + rise * load_x(ramp, t))


@njit(**_O)
def add_terms(plan, row, first, last):
    """row += audio terms in their order."""
    p = int64_pointer(plan)
    n = p[PADDED]
    audios = int64_pointer(p[AUDIOS])
    j = first
    while j < last:
        if j + 8 <= last:
            steady = True
            for i in range(j, j + 8):
                w = float64_pointer(audios[AUDIO_WORDS * i])
                steady &= w[0] == w[1]
            if steady:
                eight_terms(row, n, p[AUDIOS] + 8 * AUDIO_WORDS * j)
                j += 8
                continue
        w = float64_pointer(audios[AUDIO_WORDS * j])
        one_term(row, n, audios[AUDIO_WORDS * j + 1], w[1], w[0], p[RAMP])
        j += 1


@njit(**_O)
def one_term(row, n, source, before, now, ramp):
    if now == before:
        if now != 0.0:
            for t in range(n):
                store_sum(row, t, load_sum(row, t) + now * load_x(source, t))
    else:
        rise = now - before
        for t in range(n):
            store_sum(row, t, load_sum(row, t) + (before + rise * load_x(ramp, t)) * load_x(source, t))


@njit(**_O)
def eight_terms(row, n, terms):
    """Eight steady terms in one go; added one after the other, so the bits are those of single terms."""
    a = int64_pointer(terms)
    w0 = float64_pointer(a[0])[0]
    w1 = float64_pointer(a[AUDIO_WORDS])[0]
    w2 = float64_pointer(a[2 * AUDIO_WORDS])[0]
    w3 = float64_pointer(a[3 * AUDIO_WORDS])[0]
    w4 = float64_pointer(a[4 * AUDIO_WORDS])[0]
    w5 = float64_pointer(a[5 * AUDIO_WORDS])[0]
    w6 = float64_pointer(a[6 * AUDIO_WORDS])[0]
    w7 = float64_pointer(a[7 * AUDIO_WORDS])[0]
    y0 = a[1]
    y1 = a[AUDIO_WORDS + 1]
    y2 = a[2 * AUDIO_WORDS + 1]
    y3 = a[3 * AUDIO_WORDS + 1]
    y4 = a[4 * AUDIO_WORDS + 1]
    y5 = a[5 * AUDIO_WORDS + 1]
    y6 = a[6 * AUDIO_WORDS + 1]
    y7 = a[7 * AUDIO_WORDS + 1]
    for t in range(n):
        s = load_sum(row, t) + w0 * load_x(y0, t)
        s += w1 * load_x(y1, t)
        s += w2 * load_x(y2, t)
        s += w3 * load_x(y3, t)
        s += w4 * load_x(y4, t)
        s += w5 * load_x(y5, t)
        s += w6 * load_x(y6, t)
        s += w7 * load_x(y7, t)
        store_sum(row, t, s)


@njit(**_O)
def is_constant(plan, slot):
    """Whether an input has one value all over the block."""
    p = int64_pointer(plan)
    s = int64_pointer(p[SLOTS] + 8 * SLOT_WORDS * slot)
    return s[2] == s[3] and float64_pointer(p[CONTROL_NOW])[slot] == float64_pointer(p[CONTROL_BEFORE])[slot]


@njit(**_O)
def sum_row(vm, plan, slot, row):
    """The address of an input's row for this block: `row`, filled, or the only source's own row."""
    p = int64_pointer(plan)
    s = int64_pointer(p[SLOTS] + 8 * SLOT_WORDS * slot)
    now = float64_pointer(p[CONTROL_NOW])[slot]
    before = float64_pointer(p[CONTROL_BEFORE])[slot]
    first, last = s[2], s[3]
    if s[4] != 0:
        return s[4]
    n = p[BLOCK_SIZE]
    if last == first + 1 and now == 0.0 and before == 0.0:
        term = int64_pointer(p[AUDIOS] + 8 * AUDIO_WORDS * first)
        w = float64_pointer(term[0])
        if w[0] == 1.0 and w[1] == 1.0:
            if not is_finite_row(term[1], n):
                blame(vm, plan, first, last)
            return term[1]
    begin_row(plan, row, now, before)
    add_terms(plan, row, first, last)
    if not is_finite_row(row, n):
        blame(vm, plan, first, last)
        begin_row(plan, row, now, before)
        add_terms(plan, row, first, last)
        if not is_finite_row(row, n):
            clear_rows(row, 0, 1, p[PADDED])
    return row


@njit(**_O)
def add_part(vm, plan, slot, first, last):
    """Some more terms of a wide input, as soon as they are there: so their rows stay near the processor.

    first, last   audio terms; the first part begins with the control terms
    """
    p = int64_pointer(plan)
    s = int64_pointer(p[SLOTS] + 8 * SLOT_WORDS * slot)
    row = s[4]
    if first == s[2]:
        begin_row(plan, row, float64_pointer(p[CONTROL_NOW])[slot], float64_pointer(p[CONTROL_BEFORE])[slot])
    so_far = p[ROOM]
    n = p[BLOCK_SIZE]
    for t in range(p[PADDED]):
        store_sum(so_far, t, load_x(row, t))
    add_terms(plan, row, first, last)
    if not is_finite_row(row, n):
        blame(vm, plan, first, last)
        for t in range(p[PADDED]):
            store_sum(row, t, load_x(so_far, t))
        add_terms(plan, row, first, last)
        if not is_finite_row(row, n):
            clear_rows(row, 0, 1, p[PADDED])


@njit(**_O)
def sum_control(plan, slot):
    """The control part of an audio input, in the newest state and in the one before."""
    p = int64_pointer(plan)
    bounds = int64_pointer(p[SLOTS] + 8 * SLOT_WORDS * slot)
    controls = int64_pointer(p[CONTROLS])
    a = 0.0
    b = 0.0
    for j in range(bounds[0], bounds[1]):
        w = float64_pointer(controls[CONTROL_WORDS * j])
        y = float64_pointer(controls[CONTROL_WORDS * j + 1])
        a += w[0] * y[0]
        b += w[1] * y[1]
    float64_pointer(p[CONTROL_NOW])[slot] = a if abs(a) <= 1e300 else 0.0
    float64_pointer(p[CONTROL_BEFORE])[slot] = b if abs(b) <= 1e300 else 0.0


@njit(**_O)
def sum_controls(plan, still):
    """The control parts of all audio inputs; where the weights are still, of those alone that move by themselves."""
    p = int64_pointer(plan)
    if still:
        moving = int64_pointer(p[MOVING])
        for i in range(p[MOVING_COUNT]):
            sum_control(plan, moving[i])
    else:
        for slot in range(p[SLOT_COUNT]):
            sum_control(plan, slot)


# --- Up movement: blocks ----------------------------------------------------------------------------------------


@njit(**_O)
def run_pure(vm, plan, first, last, still):
    """Nodes without state, one after the other, each over the whole block.

    still   no weight has moved since the last block
    """
    p = int64_pointer(plan)
    n = p[BLOCK_SIZE]
    padded = p[PADDED]
    distance = p[ROW_BYTES]
    for index in range(first, last):
        node = int64_pointer(p[NODES] + 8 * NODE_WORDS * index)
        if is_muted(vm, node[KEPT]):
            clear_rows(node[ROWS], distance, node[OUTPUTS], padded)
            continue
        slot0 = node[FIRST_SLOT]
        span = node[SLOT_SPAN]
        constants = node[CONSTANT_INPUTS]
        if not still or node[IS_STILL] == 0:
            constants = 0
            for k in range(span):
                if is_constant(plan, slot0 + k):
                    constants |= 1 << k
            node[CONSTANT_INPUTS] = constants
        if constants == (1 << span) - 1:
            call_loops(node[KERNEL], CONSTANT, node[RECORD], p[CONTROL_NOW] + 8 * slot0, node[ROWS], n, padded)
        else:
            inputs = int64_pointer(node[INPUTS])
            for k in range(span):
                inputs[k] = sum_row(vm, plan, slot0 + k, p[ROOM] + k * distance)
            int64_pointer(node[RECORD])[CONSTANTS] = constants
            call_loops(node[KERNEL], BLOCK, node[RECORD], node[INPUTS], node[ROWS], n, padded)
        keep_last(vm, plan, index)


@njit(**_O)
def keep_last(vm, plan, index):
    """Remembers a node's last sample of the block.

    Only that one is looked at here; whether all are finite is seen where they are added up.
    """
    p = int64_pointer(plan)
    node = int64_pointer(p[NODES] + 8 * NODE_WORDS * index)
    kept = float64_pointer(node[KEPT] + 8 * KEPT_HEADER)
    bad = False
    for o in range(node[OUTPUTS]):
        last = float64_pointer(node[ROWS] + o * p[ROW_BYTES])[p[BLOCK_SIZE] - 1]
        bad |= not abs(last) <= 1.7976931348623157e308
        if node[LISTENS] == 0:
            kept[2 * o] = last
    if bad:
        strike(vm, node[KEPT])
        clear_rows(node[ROWS], p[ROW_BYTES], node[OUTPUTS], p[PADDED])


@njit(**_O)
def gather_state(kept, target, lane, stride):
    """A neuron's state words into its lane."""
    k = int64_pointer(kept)
    state = int64_pointer(kept + 8 * (KEPT_HEADER + 2 * k[KEPT_OUTPUTS]))
    words = int64_pointer(target)
    for j in range(k[WORDS]):
        words[j * stride + lane] = state[j]


@njit(**_O)
def scatter_state(vm, kept, source, lane, stride, flags):
    """A lane's state words back to their neuron, or a strike if something is not finite."""
    k = int64_pointer(kept)
    if k[MUTED_UNTIL] != 0:
        return
    state = int64_pointer(kept + 8 * (KEPT_HEADER + 2 * k[KEPT_OUTPUTS]))
    words = int64_pointer(source)
    numbers = float64_pointer(source)
    bad = int64_pointer(flags)[lane] != 0
    for j in range(k[FIRST_FLOAT], k[FIRST_FLOAT] + k[FLOATS]):
        value = numbers[j * stride + lane]
        bad |= not abs(value) <= 1.7976931348623157e308
    if bad:
        strike(vm, kept)
        return
    for j in range(k[WORDS]):
        state[j] = words[j * stride + lane]


@njit(**_O)
def run_tile(vm, plan, index):
    """Neurons of one activation with state, side by side over the block."""
    p = int64_pointer(plan)
    n = p[BLOCK_SIZE]
    padded = p[PADDED]
    distance = p[ROW_BYTES]
    tile = int64_pointer(p[TILES] + 8 * TILE_WORDS * index)
    members = int64_pointer(p[MEMBERS])
    count = tile[TILE_COUNT]
    lanes = tile[TILE_LANES]
    width = -(-lanes // 8) * 8
    flags = int64_pointer(p[TILE_FLAGS])
    table = int64_pointer(p[TABLE])
    steps = int64_pointer(tile[TILE_RECORD])
    now = float64_pointer(p[CONTROL_NOW])
    for lane in range(count):
        node = int64_pointer(p[NODES] + 8 * NODE_WORDS * members[tile[TILE_FIRST] + lane])
        flags[lane] = 1 if is_muted(vm, node[KEPT]) else 0
        gather_state(node[KEPT], p[TILE_STATE], lane, width)
    words = int64_pointer(p[TILE_STATE])
    for lane in range(count, width):
        flags[lane] = 1
        for j in range(tile[TILE_STATE_WORDS]):
            words[j * width + lane] = 0
    for k in range(tile[TILE_SLOTS]):
        target = p[TILE_X] + 8 * k * padded * width
        same = k < tile[TILE_SINGLES]
        for lane in range(count):
            node = int64_pointer(p[NODES] + 8 * NODE_WORDS * members[tile[TILE_FIRST] + lane])
            same &= is_constant(plan, node[FIRST_SLOT] + k)
        if same:
            steps[SLOT_STEPS + k] = 0
            values = float64_pointer(target)
            for lane in range(count):
                node = int64_pointer(p[NODES] + 8 * NODE_WORDS * members[tile[TILE_FIRST] + lane])
                values[lane] = now[node[FIRST_SLOT] + k]
            for lane in range(count, width):
                values[lane] = 0.0
            continue
        if k < tile[TILE_SINGLES]:
            steps[SLOT_STEPS + k] = width
        for lane in range(count):
            node = int64_pointer(p[NODES] + 8 * NODE_WORDS * members[tile[TILE_FIRST] + lane])
            table[lane] = sum_row(vm, plan, node[FIRST_SLOT] + k, p[ROOM] + lane * distance)
        for lane in range(count, width):
            table[lane] = table[0]
        for t in range(0, padded, 8):
            for lane in range(0, width, 8):
                rows_to_lanes(p[TABLE] + 8 * lane, t, target + 8 * (t * width + lane), width)
    call_loops(tile[TILE_KERNEL], LANES, tile[TILE_RECORD], p[TILE_X], p[TILE_Y], n, lanes)
    y = float64_pointer(p[TILE_Y])
    for lane in range(count):
        node = int64_pointer(p[NODES] + 8 * NODE_WORDS * members[tile[TILE_FIRST] + lane])
        if flags[lane] != 0:
            for o in range(tile[TILE_OUTPUTS]):
                for t in range(n):
                    y[(o * padded + t) * width + lane] = 0.0
        scatter_state(vm, node[KEPT], p[TILE_STATE], lane, width, p[TILE_FLAGS])
        if node[LISTENS] == 0:
            kept = float64_pointer(node[KEPT] + 8 * KEPT_HEADER)
            for o in range(tile[TILE_OUTPUTS]):
                kept[2 * o] = y[(o * padded + n - 1) * width + lane]
    for i in range(tile[TILE_TARGET_COUNT]):
        place = tile[TILE_TARGETS] + 8 * TARGET_WORDS * i
        o = int64_pointer(place)[0]
        lane = int64_pointer(place)[1]
        for t in range(0, padded, 8):
            lanes_to_rows(place + 16, t, p[TILE_Y] + 8 * ((o * padded + t) * width + lane), width)


# --- Up movement: cycles, one sample at a time --------------------------------------------------------------------


@njit(**_O)
def run_tangle(vm, plan, index):
    """Neurons in a cycle: every sample is a small two-stroke cycle of its own."""
    p = int64_pointer(plan)
    n = p[BLOCK_SIZE]
    tangle = int64_pointer(p[TANGLES] + 8 * TANGLE_WORDS * index)
    members = int64_pointer(p[MEMBERS])
    width = tangle[Y_WIDTH]
    places = int64_pointer(tangle[PLACES])
    first_row = float64_pointer(tangle[Y_ROWS])
    for m in range(tangle[TANGLE_COUNT]):
        node = int64_pointer(p[NODES] + 8 * NODE_WORDS * members[tangle[TANGLE_FIRST] + m])
        group = int64_pointer(tangle[GROUPS] + 8 * GROUP_WORDS * places[4 * m + 3])
        lane = places[4 * m + 2]
        int64_pointer(group[GROUP_FLAGS])[lane] = 1 if is_muted(vm, node[KEPT]) else 0
        gather_state(node[KEPT], group[GROUP_STATE], lane, group[GROUP_STRIDE])
        kept = float64_pointer(node[KEPT] + 8 * KEPT_HEADER)
        for o in range(node[OUTPUTS]):
            first_row[places[4 * m] + o * places[4 * m + 1]] = kept[2 * o]
    varying_count = take_outside(vm, plan, index)
    steady = take_weights(plan, index)

    ramp = float64_pointer(p[RAMP])
    now = float64_pointer(tangle[X_NOW])
    base = float64_pointer(tangle[X_BASE])
    varying = int64_pointer(tangle[VARYING])
    for t in range(n):
        y = tangle[Y_ROWS] + 8 * width * (t + 1)
        for i in range(varying_count):
            place = varying[2 * i]
            value = float64_pointer(varying[2 * i + 1])[t]
            now[place] = value
            base[place] = value
        for g in range(tangle[GROUP_COUNT]):
            group = int64_pointer(tangle[GROUPS] + 8 * GROUP_WORDS * g)
            bundle = tangle[BUNDLES] + 8 * BUNDLE_WORDS * group[GROUP_FIRST_BUNDLE]
            count = group[GROUP_LAST_BUNDLE] - group[GROUP_FIRST_BUNDLE]
            if steady:
                add_inside(bundle, count, tangle[X_BASE], tangle[X_NOW], y, tangle[INSIDE], tangle[INSIDE_WEIGHT])
            else:
                add_moving(
                    bundle, count, tangle[X_BASE], tangle[X_NOW], y, tangle[INSIDE], tangle[INSIDE_WEIGHT],
                    tangle[INSIDE_SLOPE], ramp[t],
                )  # fmt: skip
            call_loops(
                group[GROUP_KERNEL], group[GROUP_LOOP], group[GROUP_RECORD], group[GROUP_X],
                y + 8 * group[GROUP_Y], 1, group[GROUP_LANES],
            )  # fmt: skip

    for m in range(tangle[TANGLE_COUNT]):
        node = int64_pointer(p[NODES] + 8 * NODE_WORDS * members[tangle[TANGLE_FIRST] + m])
        group = int64_pointer(tangle[GROUPS] + 8 * GROUP_WORDS * places[4 * m + 3])
        lane = places[4 * m + 2]
        kept = float64_pointer(node[KEPT] + 8 * KEPT_HEADER)
        last = float64_pointer(tangle[Y_ROWS] + 8 * width * n)
        if node[LISTENS] == 0:
            for o in range(node[OUTPUTS]):
                kept[2 * o] = last[places[4 * m] + o * places[4 * m + 1]]
        scatter_state(vm, node[KEPT], group[GROUP_STATE], lane, group[GROUP_STRIDE], group[GROUP_FLAGS])
    for i in range(tangle[TANGLE_TARGET_COUNT]):
        target = tangle[TANGLE_TARGETS] + 8 * TARGET_WORDS * i
        place = int64_pointer(target)[0]
        for t in range(0, p[PADDED], 8):
            lanes_to_rows(target + 16, t, tangle[Y_ROWS] + 8 * (width * (t + 1) + place), width)


@njit(**_O)
def take_outside(vm, plan, index):
    """What comes from outside a cycle: constants stay in X, the rest is listed with its rows.

    Groups whose cycles per step stay the same over the block get them worked out here.
    """
    p = int64_pointer(plan)
    tangle = int64_pointer(p[TANGLES] + 8 * TANGLE_WORDS * index)
    now = float64_pointer(tangle[X_NOW])
    base = float64_pointer(tangle[X_BASE])
    slot_at = int64_pointer(tangle[POSITIONS])
    decides = int64_pointer(tangle[DECIDES])
    varying = int64_pointer(tangle[VARYING])
    for g in range(tangle[GROUP_COUNT]):
        group = int64_pointer(tangle[GROUPS] + 8 * GROUP_WORDS * g)
        group[GROUP_LOOP] = HELD if group[GROUP_CAN_HOLD] == 1 else LANES
    count = 0
    for place in range(tangle[POSITION_COUNT]):
        slot = slot_at[place]
        if slot < 0:
            continue
        if is_constant(plan, slot):
            value = float64_pointer(p[CONTROL_NOW])[slot]
            now[place] = value
            base[place] = value
        else:
            varying[2 * count] = place
            varying[2 * count + 1] = sum_row(vm, plan, slot, tangle[VARYING_ROWS] + count * p[ROW_BYTES])
            count += 1
            if decides[place] >= 0:
                group = int64_pointer(tangle[GROUPS] + 8 * GROUP_WORDS * decides[place])
                group[GROUP_LOOP] = LANES
    for g in range(tangle[GROUP_COUNT]):
        group = int64_pointer(tangle[GROUPS] + 8 * GROUP_WORDS * g)
        if group[GROUP_LOOP] == HELD:
            call_loops(group[GROUP_KERNEL], PREPARE, group[GROUP_RECORD], group[GROUP_X], 0, 1, group[GROUP_LANES])
    return count


@njit(**_O)
def take_weights(plan, index):
    """The weights inside a cycle, for this block; returns whether none of them moves."""
    p = int64_pointer(plan)
    tangle = int64_pointer(p[TANGLES] + 8 * TANGLE_WORDS * index)
    weights = float64_pointer(tangle[INSIDE_WEIGHT])
    slopes = float64_pointer(tangle[INSIDE_SLOPE])
    pairs = int64_pointer(tangle[INSIDE_PAIRS])
    steady = True
    for j in range(tangle[INSIDE_COUNT]):
        w = float64_pointer(pairs[j])
        weights[j] = w[1]
        slopes[j] = w[0] - w[1]
        steady &= w[0] == w[1]
    return steady


@njit(**_O)
def add_inside(bundles, count, base_, now_, y_, sources_, weights_):
    """The terms inside a cycle, four inputs at a time; short ones are filled up with terms of weight 0."""
    base = float64_pointer(base_)
    now = float64_pointer(now_)
    y = float64_pointer(y_)
    for b in range(count):
        bundle = int64_pointer(bundles + 8 * BUNDLE_WORDS * b)
        s = int64_pointer(sources_ + 8 * bundle[4])
        w = float64_pointer(weights_ + 8 * bundle[4])
        a0 = base[bundle[0]]
        a1 = base[bundle[1]]
        a2 = base[bundle[2]]
        a3 = base[bundle[3]]
        for j in range(0, 4 * bundle[5], 4):
            a0 += w[j] * y[s[j]]
            a1 += w[j + 1] * y[s[j + 1]]
            a2 += w[j + 2] * y[s[j + 2]]
            a3 += w[j + 3] * y[s[j + 3]]
        now[bundle[0]] = a0
        now[bundle[1]] = a1
        now[bundle[2]] = a2
        now[bundle[3]] = a3


@njit(**_O)
def add_moving(bundles, count, base_, now_, y_, sources_, weights_, slopes_, share):
    """The same with weights on their way."""
    base = float64_pointer(base_)
    now = float64_pointer(now_)
    y = float64_pointer(y_)
    for b in range(count):
        bundle = int64_pointer(bundles + 8 * BUNDLE_WORDS * b)
        s = int64_pointer(sources_ + 8 * bundle[4])
        w = float64_pointer(weights_ + 8 * bundle[4])
        rise = float64_pointer(slopes_ + 8 * bundle[4])
        for k in range(4):
            a = base[bundle[k]]
            for j in range(k, 4 * bundle[5], 4):
                a += (w[j] + rise[j] * share) * y[s[j]]
            now[bundle[k]] = a


# --- Numbers --------------------------------------------------------------------------------------------------------


@njit(**_O)
def shift_numbers(plan):
    """The newest state becomes the one before, for every neuron that gives numbers."""
    p = int64_pointer(plan)
    for index in range(p[NUMBER_COUNT]):
        shift_pairs(p[NUMBERS] + 8 * NODE_WORDS * index)
    listeners = int64_pointer(p[LISTENERS])
    for i in range(p[LISTENER_COUNT]):
        node = p[NODES] + 8 * NODE_WORDS * listeners[i]
        shift_pairs(node)
        heard = float64_pointer(int64_pointer(node)[KEPT] + 8 * KEPT_HEADER)
        for o in range(int64_pointer(node)[OUTPUTS]):
            value = float64_pointer(int64_pointer(node)[ROWS] + o * p[ROW_BYTES])[p[BLOCK_SIZE] - 1]
            heard[2 * o] = value if abs(value) <= 1.7976931348623157e308 else 0.0


@njit(**_O)
def shift_pairs(node_):
    node = int64_pointer(node_)
    outputs = float64_pointer(node[KEPT] + 8 * KEPT_HEADER)
    for o in range(node[OUTPUTS]):
        outputs[2 * o + 1] = outputs[2 * o]


@njit(**_O)
def run_numbers(vm, plan):
    """The number side of a tick, in settled order."""
    p = int64_pointer(plan)
    slots = int64_pointer(p[NUMBER_SLOTS])
    terms = int64_pointer(p[NUMBER_TERMS])
    for index in range(p[NUMBER_COUNT]):
        node = int64_pointer(p[NUMBERS] + 8 * NODE_WORDS * index)
        outputs = float64_pointer(node[KEPT] + 8 * KEPT_HEADER)
        if is_muted(vm, node[KEPT]):
            for o in range(node[OUTPUTS]):
                outputs[2 * o] = 0.0
            continue
        values = float64_pointer(node[VALUES])
        for k in range(node[SLOT_SPAN]):
            slot = node[FIRST_SLOT] + k
            a = 0.0
            for j in range(slots[2 * slot], slots[2 * slot + 1]):
                a += float64_pointer(terms[2 * j])[0] * float64_pointer(terms[2 * j + 1])[0]
            values[k] = a if abs(a) <= 1.7976931348623157e308 else 0.0
        flag = node[RESULTS] + 8 * node[OUTPUTS]
        int64_pointer(flag)[0] = 0
        call_loops(node[KERNEL], LANES, node[RECORD], node[VALUES], node[RESULTS], 1, 1)
        results = float64_pointer(node[RESULTS])
        for o in range(node[OUTPUTS]):
            outputs[2 * o] = results[o]
        if int64_pointer(flag)[0] != 0:
            strike(vm, node[KEPT])


# --- A tick ---------------------------------------------------------------------------------------------------------


@njit(**_O)
def set_pair(vm, pair, value):
    v = int64_pointer(vm)
    if not abs(value) <= 1.7976931348623157e308:
        value = 0.0
    float64_pointer(pair)[0] = value
    if v[CHANGED_COUNT] < v[CHANGED_ROOM]:
        int64_pointer(v[CHANGED])[v[CHANGED_COUNT]] = pair
        v[CHANGED_COUNT] += 1


@njit(**_O)
def obey(vm, upto):
    """Carries out the commands stamped with ticks up to `upto`."""
    v = int64_pointer(vm)
    written = load_acquire(vm + 8 * COMMANDS_WRITTEN)
    read = v[COMMANDS_READ]
    while read < written:
        place = v[COMMANDS] + 8 * COMMAND_WORDS * (read & v[COMMAND_MASK])
        command = int64_pointer(place)
        if command[0] > upto:
            break
        what = command[1]
        if what == SET:
            set_pair(vm, command[2], float64_pointer(place)[3])
        elif what == BATCH:
            for i in range(command[3]):
                one = command[2] + 24 * i
                pair = int64_pointer(one)[0]
                set_pair(vm, pair, float64_pointer(one)[1])
                if int64_pointer(one)[2] == 1:
                    float64_pointer(pair)[1] = float64_pointer(pair)[0]
        elif what == SWAP:
            v[SWAP_TICK] = v[TICK]
            v[PLAN] = command[2]
            v[NEXT_PLAN] = command[3]
        elif what == RESET:
            kept = int64_pointer(command[2])
            kept[MUTED_UNTIL] = 0
            kept[STRIKES] = 0
            refresh(command[2])
        read += 1
    store_release(vm + 8 * COMMANDS_READ, read)


@njit(**_O)
def render_tick(vm, upto):
    """Makes state k + 1 from state k, and block k of the sound in the stage's rows.

    upto   commands stamped later wait, though their tick has come (a lag of the other side)
    """
    v = int64_pointer(vm)
    tick = v[TICK]
    if v[NEXT_PLAN] != 0:
        v[PLAN] = v[NEXT_PLAN]
        v[NEXT_PLAN] = 0
    obey(vm, upto)
    plan = v[PLAN]
    rows = v[STAGE_ROWS]
    if plan != 0:
        p = int64_pointer(plan)
        distance = p[ROW_BYTES]
        n = p[BLOCK_SIZE]
        still = v[STILL_PLAN] == plan and v[CHANGED_COUNT] == 0
        sum_controls(plan, still)
        columns = int64_pointer(p[COLUMNS])
        for i in range(p[COLUMN_COUNT]):
            node = int64_pointer(p[NODES] + 8 * NODE_WORDS * columns[i])
            kept = float64_pointer(node[KEPT] + 8 * KEPT_HEADER)
            for o in range(node[OUTPUTS]):
                float64_pointer(node[ROWS] + o * distance)[-1] = kept[2 * o]
        operations = int64_pointer(p[OPERATIONS])
        for i in range(p[OPERATION_COUNT]):
            o = OPERATION_WORDS * i
            if operations[o] == RUN:
                run_pure(vm, plan, operations[o + 1], operations[o + 2], still)
            elif operations[o] == SUM:
                add_part(vm, plan, operations[o + 1], operations[o + 2], operations[o + 3])
            elif operations[o] == TILE:
                run_tile(vm, plan, operations[o + 1])
            else:
                run_tangle(vm, plan, operations[o + 1])
        if p[SPEAKERS] >= 0:
            for side in range(3):
                target = float64_pointer(rows + side * distance)
                source = float64_pointer(sum_row(vm, plan, p[SPEAKERS] + side, p[ROOM]))
                for t in range(n):
                    target[t] = source[t]
        else:
            clear_rows(rows, distance, 3, n)
        shift_numbers(plan)
        run_numbers(vm, plan)
        history = float64_pointer(p[EXPORT_HISTORY] + 8 * p[EXPORT_COUNT] * ((tick + 1) % HISTORY_TICKS))
        exports = int64_pointer(p[EXPORTS])
        for i in range(p[EXPORT_COUNT]):
            history[i] = float64_pointer(exports[i])[0]
    changed = int64_pointer(v[CHANGED])
    for i in range(v[CHANGED_COUNT]):
        pair = float64_pointer(changed[i])
        pair[1] = pair[0]
    v[STILL_PLAN] = plan if v[CHANGED_COUNT] == 0 else 0
    v[CHANGED_COUNT] = 0
    remembered = int64_pointer(v[HISTORY] + 16 * ((tick + 1) % HISTORY_TICKS))
    remembered[0] = tick + 1
    remembered[1] = int64_pointer(plan)[PLAN_ID] if plan != 0 else -1
    store_release(vm + 8 * TICK, tick + 1)


@njit(**_O)
def whole_tick(vm, upto):
    """A tick and what the speakers make of it."""
    v = int64_pointer(vm)
    render_tick(vm, upto)
    render_stage(v[STAGE], v[STAGE_ROWS], v[ROW_DISTANCE], v[BLOCK_FRAMES])


@njit(**_O)
def run_ticks(vm, ticks, out, force):
    """Offline: renders ticks while they are published; returns how many.

    out     address of float32 stereo frames
    force   renders unpublished ticks too
    """
    v = int64_pointer(vm)
    block = v[BLOCK_FRAMES]
    mode = flush_tiny_numbers()
    done = 0
    while done < ticks:
        published = load_acquire(vm + 8 * PUBLISHED)
        if published < v[TICK] and force == 0:
            break
        call_tick(v[RENDER], vm, min(v[TICK], published))
        left = float64_pointer(v[STAGE_ROWS])
        right = float64_pointer(v[STAGE_ROWS] + v[ROW_DISTANCE])
        frames = float32_pointer(out + 8 * block * done)
        for t in range(block):
            frames[2 * t] = left[t]
            frames[2 * t + 1] = right[t]
        v[BLOCKS] += 1
        done += 1
    restore_mode(mode)
    return done


@njit(**_O)
def run_live(vm, ring_base, rate):
    """Live: fills the ring until told to stop. Waits for the other side only while the ring has slack.

    When the other side has missed its time, the ring is filled before it is waited for again: what held it up may
    hold up this thread, too.
    """
    v = int64_pointer(vm)
    block = v[BLOCK_FRAMES]
    control = int64_pointer(ring_base)
    frames = float32_pointer(control[RING])
    mask = control[SIZE] - 1
    lags = int64_pointer(v[LAGS])
    load = float64_pointer(vm)
    block_ns = 1e9 * block / rate
    mode = flush_tiny_numbers()
    prefer_this_thread(2)
    is_behind = False
    while load_acquire(vm + 8 * STOP) == 0:
        written = control[WRITTEN]
        held = written - load_acquire(ring_base + 8 * READ)
        fill = load_acquire(vm + 8 * FILL)
        surplus = held + block - min(fill, control[SIZE])
        if surplus > 0:
            # half the time until there is room: the device takes frames in bursts, not evenly
            sleep_microseconds(min(50 + int(surplus * 5e5 / rate), 2000))
            continue
        published = load_acquire(vm + 8 * PUBLISHED)
        if published < v[TICK]:
            if not is_behind and held >= load_acquire(vm + 8 * SLACK):
                sleep_microseconds(100)
                continue
            is_behind = True
            place = v[LAG_COUNT] % LAG_ROOM
            lags[2 * place] = v[TICK]
            lags[2 * place + 1] = published
            store_release(vm + 8 * LAG_COUNT, v[LAG_COUNT] + 1)
        else:
            is_behind = False
        begun = host_nanoseconds()
        call_tick(v[RENDER], vm, min(v[TICK], published))
        left = float64_pointer(v[STAGE_ROWS])
        right = float64_pointer(v[STAGE_ROWS] + v[ROW_DISTANCE])
        for t in range(block):
            place = 2 * ((written + t) & mask)
            frames[place] = left[t]
            frames[place + 1] = right[t]
        store_release(ring_base + 8 * WRITTEN, written + block)
        spent = host_nanoseconds() - begun
        v[BLOCKS] += 1
        v[BUSY] += spent
        load[LOAD] += 0.02 * (spent / block_ns - load[LOAD])
    v[LIVE] = 0
    restore_mode(mode)


# --- Entries ----------------------------------------------------------------------------------------------------------

_ENTRIES = '''"""Entries into the signal VM, written by signal_loops."""

from numba import cfunc, types

from dmm_av.engine import signal_loops

i8 = types.int64
options = {"cache": True, "error_model": "numpy"}


@cfunc(types.void(i8, i8), **options)
def tick(vm, upto):
    signal_loops.whole_tick(vm, upto)


@cfunc(i8(i8, i8, i8, i8), **options)
def ticks(vm, count, out, force):
    return signal_loops.run_ticks(vm, count, out, force)


@cfunc(types.void(i8, i8, types.float64), **options)
def live(vm, ring, rate):
    signal_loops.run_live(vm, ring, rate)
'''


@functools.cache
def entries():
    """(address of a tick, `run_ticks`, `run_live`), compiled or loaded when first wanted.

    The compiler's own cache looks at one file only; these are kept under a digest of all the text they are made of.
    Called from Python they give up the interpreter lock.
    """
    digest = digest_of_modules(sys.modules[__name__], native, ring, speakers, step_code, step_compiler, dsp)
    made = load_text(f"signal_vm_{digest}", _ENTRIES)
    words = [ctypes.c_int64] * 4
    ticks = ctypes.CFUNCTYPE(ctypes.c_int64, *words)(made["ticks"].address)
    live = ctypes.CFUNCTYPE(None, *words[:2], ctypes.c_double)(made["live"].address)
    return made["tick"].address, ticks, live

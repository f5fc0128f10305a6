"""The signal VM: numbers and sound of a network, tick by tick, offline in the caller's thread or live in its own.

From Python one posts what happens at which tick (weights, externals, plans) and publishes the tick; the compiled
loops of signal_loops.py do the rest and never come back to Python. Here are the sides that Python sees: commands,
slots for weights and state that outlast plans, numbers, events, counters. No device, no network, no clock.
"""

import threading
import time
from collections import deque

import numpy as np

from dmm_av.engine import signal_loops as loops
from dmm_av.engine.ring import Ring
from dmm_av.engine.signal_plan import SignalGraph, build_plan, line_length
from dmm_av.engine.speakers import PANIC, Stage
from dmm_av.engine.step_compiler import warm as warm_steps
from dmm_av.errors import DmmError
from dmm_av.network.activation import LIBRARY

COMMAND_ROOM = 1 << 15
WEIGHT_ROOM = 1 << 19
EXTERNAL_ROOM = 1 << 16
CHANGED_ROOM = 1 << 19
ALL_PUBLISHED = 1 << 60

_WORD = (1 << 64) - 1


def random_key(seed, place):
    """The key of a neuron's `place`-th random sequence, from the neuron's seed."""
    z = (seed * 0xD1342543DE82EF95 + (place + 1) * 0x2545F4914F6CDD1D) & _WORD
    z = ((z ^ z >> 32) * 0xBF58476D1CE4E5B9) & _WORD
    return z ^ z >> 29


class _Kept:
    """What a neuron keeps from block to block, in one piece of memory that never moves."""

    def __init__(self, node, layout, rate, number, room):
        header = loops.KEPT_HEADER
        outputs = len(layout.outputs)
        self.layout = layout
        self.words = room(header + 2 * outputs + layout.words)
        self.template = np.zeros(layout.words + 1, np.int64)
        self.state = self.words[header + 2 * outputs : header + 2 * outputs + layout.words]
        self.outputs = self.words[header : header + 2 * outputs].view(float)
        floats = self.template.view(float)
        for k in range(layout.randoms):
            key = random_key(node.seed, k)
            self.template[int(layout.phase) + 2 * k] = np.uint64(key).astype(np.int64)
        floats[layout.first_state : layout.first_state + len(layout.states)] = layout.states
        self.lines = []
        for m, seconds in enumerate(layout.memories):
            line = np.zeros(line_length(node, seconds, rate))
            self.lines.append(line)
            self.template[layout.first_memory + 3 * m] = line.ctypes.data
            self.template[layout.first_memory + 3 * m + 2] = len(line) - 1
        self.state[:] = self.template[: layout.words]
        words = self.words
        words[loops.TEMPLATE] = self.template.ctypes.data
        words[loops.WORDS] = layout.words
        words[loops.KEPT_OUTPUTS] = outputs
        words[loops.MEMORIES] = len(layout.memories)
        words[loops.FIRST_MEMORY] = layout.first_memory
        words[loops.FIRST_FLOAT] = layout.first_state
        words[loops.FLOATS] = len(layout.states) + sum(layout.banks)
        words[loops.NEURON_ID] = number
        self.address = words.ctypes.data

    def snapshot(self):
        """State as plain arrays that no address depends on."""
        state = self.state.copy()
        for m in range(len(self.lines)):
            state[self.layout.first_memory + 3 * m] = 0
        return {
            "state": state,
            "outputs": self.outputs.copy(),
            "lines": [line.copy() for line in self.lines],
            "muted": self.words[loops.STRIKES : loops.MUTED_UNTIL + 1].copy(),
        }

    def restore(self, saved):
        """Takes over a snapshot if it fits; returns whether it did."""
        lines = saved["lines"]
        fits = (
            len(saved["state"]) == len(self.state)
            and len(saved["outputs"]) == len(self.outputs)
            and [len(line) for line in lines] == [len(line) for line in self.lines]
        )
        if fits:
            self.state[:] = saved["state"]
            for m, line in enumerate(lines):
                self.lines[m][:] = line
                self.state[self.layout.first_memory + 3 * m] = self.lines[m].ctypes.data
            self.outputs[:] = saved["outputs"]
            self.words[loops.STRIKES : loops.MUTED_UNTIL + 1] = saved["muted"]
        return fits


class _Leaving:
    """Things that go once the compiled side has obeyed a command and some ticks have passed since."""

    def __init__(self, ticks):
        self.ticks = ticks
        self.waiting = deque()  # [command, tick by which it was obeyed or None, thing]

    def add(self, command, thing):
        self.waiting.append([command, None, thing])

    def gone(self, obeyed, by, tick):
        """What may go now: so many commands have been obeyed, by that tick at the latest; `tick` is next."""
        for entry in self.waiting:
            if entry[0] > obeyed:
                break
            if entry[1] is None:
                entry[1] = by
        found = []
        while self.waiting and self.waiting[0][1] is not None and self.waiting[0][1] + self.ticks < tick:
            found.append(self.waiting.popleft()[2])
        return found


class _Slots:
    """Pairs by key; a freed pair is given out again only after the plans that had it are gone."""

    def __init__(self, room, what):
        self.pairs = np.zeros((room, 2))
        self.base = self.pairs.ctypes.data
        self.places = {}
        self.free = []
        self.used = 0
        self.what = what

    def place(self, key):
        """(place, whether it is new) of a key."""
        found = self.places.get(key)
        if found is not None:
            return found, False
        if self.free:
            found = self.free.pop()
            self.pairs[found] = 0.0
        elif self.used < len(self.pairs):
            found = self.used
            self.used += 1
        else:
            raise DmmError(f"No more than {len(self.pairs)} {self.what} fit in the signal side. Remove some.")
        self.places[key] = found
        return found, True

    def release(self, key):
        """Frees a key's pair."""
        place = self.places.pop(key, None)
        if place is not None:
            self.free.append(place)


class SignalVM:
    """Runs plans. Tick k makes state k + 1 and sound block k; state 0 is silence and zeros."""

    def __init__(self, sample_rate=48_000, tick_rate=240):
        if tick_rate <= 0 or sample_rate % tick_rate:
            raise DmmError(
                f"A sample rate of {sample_rate} cannot be cut into {tick_rate} ticks a second. "
                "Give a tick rate that divides it."
            )
        self.sample_rate, self.tick_rate = sample_rate, tick_rate
        self.block = sample_rate // tick_rate
        padded = -(-self.block // 8) * 8
        self._row_bytes = 8 * (padded + 8)
        self._words = _aligned(loops.VM_WORDS)
        self._commands = np.zeros((COMMAND_ROOM, loops.COMMAND_WORDS), np.int64)
        self._command_words = memoryview(self._commands).cast("B").cast("q")
        self._command_numbers = memoryview(self._commands.view(float)).cast("B").cast("d")
        self._word_view = memoryview(self._words)
        self._changed = np.zeros(CHANGED_ROOM, np.int64)
        self._events = np.zeros((loops.EVENT_ROOM, 2), np.int64)
        self._lags = np.zeros((loops.LAG_ROOM, 2), np.int64)
        self._history = np.full((loops.HISTORY_TICKS, 2), -1, np.int64)
        self._stage_rows = _aligned(3 * self._row_bytes // 8 + 8)
        self.stage = Stage(sample_rate, self.block)
        self._one = np.ones(2)
        self._weights = _Slots(WEIGHT_ROOM, "weights")
        self._externals = _Slots(EXTERNAL_ROOM, "numbers from outside")
        self._kept = {}  # identity -> _Kept
        self._slab = _aligned(0)
        self._gone_keys = set()  # keys that fade out
        self._leaving_keys, self._leaving_states = _Leaving(3), _Leaving(3)
        self._leaving_plans = _Leaving(loops.HISTORY_TICKS)
        self._leaving_batches = _Leaving(0)
        self._names = []
        self._plans = {}
        self._plan_count = 0
        self._plan = None
        self._waiting = []  # commands for which the ring had no room
        self._written = 0
        self._seen_events = self._seen_lags = 0
        self._thread = None
        self._ring_base = 0
        words = self._words
        words[loops.PUBLISHED] = -1
        words[loops.COMMANDS] = self._commands.ctypes.data
        words[loops.COMMAND_MASK] = COMMAND_ROOM - 1
        words[loops.CHANGED] = self._changed.ctypes.data
        words[loops.CHANGED_ROOM] = CHANGED_ROOM
        words[loops.EVENTS] = self._events.ctypes.data
        words[loops.TICK_RATE] = tick_rate
        words[loops.STAGE] = self.stage.address
        words[loops.STAGE_ROWS] = self._stage_rows.ctypes.data + 64
        words[loops.LAGS] = self._lags.ctypes.data
        words[loops.HISTORY] = self._history.ctypes.data
        words[loops.RENDER], self._run_ticks, self._run_live = loops.entries()
        words[loops.ROW_DISTANCE] = self._row_bytes
        words[loops.BLOCK_FRAMES] = self.block
        words[loops.FILL] = 4 * self.block
        words[loops.SLACK] = 2 * self.block
        self.address = words.ctypes.data

    # --- posting ---------------------------------------------------------------------------------

    def key_index(self, key):
        """The number under which a weight is posted; None for a key of no plan."""
        return self._weights.places.get(key)

    def external_index(self, key):
        """The number under which an external is posted, for keys of `SignalGraph.externals`; None if unknown."""
        return self._externals.places.get(key)

    def post_weight(self, tick, index, value):
        """At `tick` the weight with this `key_index` becomes `value`; sound gets there over the block."""
        self._post(tick, loops.SET, self._weights.base + 16 * index, value)

    def post_external(self, tick, index, value):
        """At `tick` the external (by its number, or `external_index`) becomes `value`."""
        self._post(tick, loops.SET, self._externals.base + 16 * index, value)

    def post_weights(self, tick, indices, values, jump=False):
        """Many weights at once.

        jump   land at once, not over the block
        """
        batch = self._batch(len(indices))
        batch[:, 0] = self._weights.base + 16 * np.asarray(indices, np.int64)
        batch.view(float)[:, 1] = values
        batch[:, 2] = jump
        self._post_words(tick, loops.BATCH, batch.ctypes.data, len(batch))

    def post_reset(self, tick, name):
        """At `tick` a neuron starts afresh; a muted one is heard again."""
        for (own, *_), kept in self._kept.items():
            if own == name:
                self._post_words(tick, loops.RESET, kept.address, 0)

    def publish(self, tick):
        """Everything for ticks up to `tick` has been posted: they may be rendered."""
        if self._waiting:
            self._flush()
        self._word_view[loops.COMMANDS_WRITTEN] = self._written
        self._word_view[loops.PUBLISHED] = tick

    def _batch(self, size):
        """Memory that a command points to."""
        self._leaving_batches.gone(self._word_view[loops.COMMANDS_READ], 0, self.tick)
        batch = np.zeros((size, 3), np.int64)
        self._leaving_batches.add(self._command_number() + 1, batch)
        return batch

    def _command_number(self):
        """How many commands have been posted."""
        return self._written + len(self._waiting)

    def _post(self, tick, what, address, value):
        if self._waiting or self._written - self._word_view[loops.COMMANDS_READ] >= COMMAND_ROOM:
            self._waiting.append((tick, what, address, value, None))
            return
        place = 4 * (self._written & (COMMAND_ROOM - 1))
        words = self._command_words
        words[place] = tick
        words[place + 1] = what
        words[place + 2] = address
        self._command_numbers[place + 3] = value
        self._written += 1

    def _post_words(self, tick, what, address, word):
        if self._waiting or self._written - self._word_view[loops.COMMANDS_READ] >= COMMAND_ROOM:
            self._waiting.append((tick, what, address, None, word))
            return
        place = 4 * (self._written & (COMMAND_ROOM - 1))
        words = self._command_words
        words[place] = tick
        words[place + 1] = what
        words[place + 2] = address
        words[place + 3] = word
        self._written += 1

    def _flush(self):
        """Moves waiting commands into the ring as far as there is room."""
        waiting, self._waiting = self._waiting, []
        for number, (tick, what, address, value, word) in enumerate(waiting):
            if self._written - self._word_view[loops.COMMANDS_READ] >= COMMAND_ROOM:
                self._waiting = waiting[number:]
                return
            if word is None:
                self._post(tick, what, address, value)
            else:
                self._post_words(tick, what, address, word)

    # --- plans -----------------------------------------------------------------------------------

    def swap(self, plan, states=None):
        """Takes a plan over at the next tick that is not published yet."""
        self.post_swap(max(self.tick, int(self._words[loops.PUBLISHED]) + 1), plan, states)

    def post_swap(self, tick, plan, states=None):
        """At `tick` the plan takes over. State and weights that it shares with what ran before go on.

        states   {name: {activation: snapshot}}: what neurons that are new start with
        """
        graph = plan.graph
        if (graph.sample_rate, graph.tick_rate) != (self.sample_rate, self.tick_rate):
            raise DmmError(
                f"The plan is for {graph.sample_rate} samples and {graph.tick_rate} ticks a second, the sound "
                f"runs at {self.sample_rate} and {self.tick_rate}. Make a new signal VM."
            )
        running = self._plan.graph if self._plan is not None else None
        if running is not plan.previous:
            plan.fade_from(running)
        self._release()
        new = self._keep_states(plan, states)
        if plan.transition is not None:
            self._keep_states(plan.transition, None)
        self._post_weights_of(tick, plan, new, first=running is None)
        for part in (plan.transition, plan):
            if part is not None:
                self._bind(part)
        begin = plan.transition if plan.transition is not None else plan
        follow = plan.address if plan.transition is not None else 0
        self._post_words(tick, loops.SWAP, begin.address, follow)
        if self._plan is not None:
            command = self._command_number()
            stays = set(plan.identities)
            for identity in self._plan.identities:
                if identity is not None and identity not in stays:
                    self._leaving_states.add(command, identity)
            self._leaving_plans.add(command, self._plan.plan_id)
        self._plan = plan

    def _release(self):
        """Frees what the compiled side has forgotten."""
        now = self._word_view[loops.COMMANDS_READ], self._word_view[loops.SWAP_TICK], self.tick
        stays = set(self._plan.identities) if self._plan is not None else ()
        keys = set(self._plan.keys) if self._plan is not None else ()
        for key in self._leaving_keys.gone(*now):
            if key not in keys:
                self._gone_keys.discard(key)
                self._weights.release(key)
        for identity in self._leaving_states.gone(*now):
            if identity not in stays:
                self._kept.pop(identity, None)
        for last in self._leaving_plans.gone(*now):
            for number in [number for number in self._plans if number <= last]:
                del self._plans[number]

    def _keep_states(self, plan, states):
        """Makes what new neurons keep; returns their indices."""
        new = set()
        graph = plan.graph
        for index, identity in enumerate(plan.identities):
            if identity is None or identity in self._kept:
                continue
            node = graph.nodes[index]
            rate = self.sample_rate if plan.is_audio[index] else self.tick_rate
            kept = _Kept(node, plan.compiled[index].layout, rate, len(self._names), self._room)
            self._names.append(node.name)
            saved = (states or {}).get(node.name, {}).get(node.activation.name)
            if saved is not None:
                kept.restore(saved)
            self._kept[identity] = kept
            new.add(index)
        return new

    def _room(self, words):
        """Memory for what a neuron keeps: one after the other, so that the processor can look ahead."""
        whole = -(-words // 8) * 8
        if whole > len(self._slab):
            self._slab = _aligned(max(whole, 1 << 13))
        room, self._slab = self._slab[:words], self._slab[whole:]
        return room

    def _post_weights_of(self, tick, plan, new, first):
        """Values for keys that are new; zero for keys that leave."""
        begin, land = [], []
        for number, key in enumerate(plan.keys):
            place, fresh = self._weights.place(key)
            if fresh or key in self._gone_keys:
                self._gone_keys.discard(key)
                wakes = all(target in new for target in plan.key_targets[number])
                (land if first or wakes else begin).append((place, plan.initial[number]))
        for entries, jump in ((begin, False), (land, True)):
            if entries:
                places, values = zip(*entries, strict=True)
                self.post_weights(tick, places, values, jump)
        if self._plan is not None:
            kept = set(plan.keys)
            stays = set(plan.identities)
            gone = [key for key in self._plan.keys if key not in kept]
            numbers = {key: number for number, key in enumerate(self._plan.keys)}
            fading = [  # a neuron that leaves keeps its inputs to the end; what it gives fades
                key
                for key in gone
                if any(self._plan.identities[target] in stays for target in self._plan.key_targets[numbers[key]])
            ]
            if fading:
                places = [self._weights.places[key] for key in fading]
                self.post_weights(tick, places, np.zeros(len(places)))
            if gone:
                self._gone_keys.update(gone)
                command = self._command_number() + 1  # the swap, which follows
                for key in gone:
                    self._leaving_keys.add(command, key)

    def _bind(self, plan):
        graph = plan.graph
        keys = graph.externals if isinstance(graph.externals, tuple) else range(graph.externals)
        external = {
            number: self._externals.base + 16 * self._externals.place(key)[0] for number, key in enumerate(keys)
        }
        kept = {
            index: self._kept[identity].address
            for index, identity in enumerate(plan.identities)
            if identity is not None
        }
        places = np.array([self._weights.place(key)[0] for key in plan.keys], np.int64)
        self._plan_count += 1
        plan.bind(self._weights.base + 16 * places, kept, external, self._one.ctypes.data, self._plan_count)
        self._plans[self._plan_count] = plan

    # --- running ---------------------------------------------------------------------------------

    @property
    def tick(self):
        """The next tick to be rendered, which is the number of the newest state."""
        return self._word_view[loops.TICK]

    def seek(self, tick):
        """Goes on at another tick, when a checkpoint is loaded; not while it runs live."""
        self._words[loops.TICK] = tick
        self._words[loops.PUBLISHED] = tick - 1

    @property
    def latency(self):
        """Samples by which the limiter's look-ahead delays everything that is heard."""
        return self.stage.latency

    def run(self, ticks, force=False):
        """Renders up to `ticks` ticks, as far as they are published: float32 (frames, 2).

        force   renders ticks that are not published too (a lag, when a journal is replayed)
        """
        out = np.zeros((ticks * self.block, 2), np.float32)
        done = 0
        while done < ticks:
            some = ticks - done if not self._waiting else 1
            more = self._run_ticks(self.address, some, out.ctypes.data + 8 * self.block * done, int(force))
            done += more
            if not more:
                break
            if self._waiting:
                self._flush()
                self._word_view[loops.COMMANDS_WRITTEN] = self._written
        return out[: done * self.block]

    def start(self, ring_base, fill=None, slack=None):
        """Starts rendering into a ring, in a thread that never asks for the interpreter.

        fill    frames that the ring is kept filled with
        slack   below this many frames a tick is rendered though it is not published
        """
        self.set_fill(fill or 4 * self.block, slack)
        self._ring_base = ring_base
        self._words[loops.STOP] = 0
        self._words[loops.LIVE] = 1
        self._thread = threading.Thread(
            target=self._run_live,
            args=(self.address, ring_base, self.sample_rate),
            name="sound",
            daemon=True,
        )
        self._thread.start()

    def set_fill(self, fill, slack=None):
        """How full the ring is kept, in frames, and when waiting for Python ends."""
        self._word_view[loops.FILL] = int(fill)
        self._word_view[loops.SLACK] = int(slack if slack is not None else max(self.block, fill // 2))

    def stop(self):
        """Ends the live loop; what is in the ring may still be played."""
        self._word_view[loops.STOP] = 1
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wait(self, state, timeout=1.0):
        """Waits until a state exists; returns whether it does."""
        deadline = time.monotonic() + timeout
        while self.tick < state:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0003)
        return True

    # --- what is read ----------------------------------------------------------------------------

    def numbers(self, state):
        """The exported numbers of a state, float64, in the order of `SignalGraph.exports`.

        A state that is not there yet, or older than 250 ticks, is answered with an empty array.
        """
        stamp, number = self._history[state % loops.HISTORY_TICKS]
        plan = self._plans.get(int(number))
        if stamp != state or plan is None:
            return np.zeros(0)
        return plan.history[state % loops.HISTORY_TICKS, : len(plan.graph.exports)].copy()

    def events(self):
        """What happened since the last call: [(tick, neuron, "non-finite")]."""
        count = int(self._words[loops.EVENT_COUNT])
        first = max(self._seen_events, count - loops.EVENT_ROOM)
        found = [self._events[k % loops.EVENT_ROOM] for k in range(first, count)]
        self._seen_events = count
        return [(int(tick), self._names[number], "non-finite") for tick, number in found]

    def lags(self):
        """Ticks that were rendered before they were published, since the last call: [(tick, published)]."""
        count = int(self._words[loops.LAG_COUNT])
        first = max(self._seen_lags, count - loops.LAG_ROOM)
        found = [tuple(int(word) for word in self._lags[k % loops.LAG_ROOM]) for k in range(first, count)]
        self._seen_lags = count
        return found

    @property
    def load(self):
        """Share of real time that rendering takes, smoothed."""
        return float(self._words.view(float)[loops.LOAD])

    @property
    def blocks(self):
        """Blocks rendered since the start."""
        return int(self._words[loops.BLOCKS])

    def panic(self, silent=True):
        """Fades everything out in 10 ms, or in again."""
        self.stage.numbers[PANIC] = 0.0 if silent else 1.0

    # --- state -----------------------------------------------------------------------------------

    def state(self, names=None):
        """{name: {activation: snapshot}} of all or some neurons. Whole only while no tick is being rendered."""
        found = {}
        for (name, activation, _), kept in self._kept.items():
            if names is None or name in names:
                found.setdefault(name, {})[activation] = kept.snapshot()
        return found

    def load_state(self, states):
        """Puts snapshots into neurons that run; returns the names of those that did not fit."""
        misfits = []
        for (name, activation, _), kept in self._kept.items():
            saved = states.get(name, {}).get(activation)
            if saved is not None and not kept.restore(saved):
                misfits.append(name)
        return misfits

    def reset(self, name):
        """A neuron starts afresh at the next tick that is not published yet."""
        self.post_reset(max(self.tick, int(self._words[loops.PUBLISHED]) + 1), name)

    def last_sample(self, name, output):
        """The last sample of the newest block at an output of a node; None where it gives no sound."""
        plan = self._plan
        for index, identity in enumerate(plan.identities if plan is not None else ()):
            if identity is not None and identity[0] == name and plan.is_audio[index]:
                outputs = self._kept[identity].layout.outputs
                if output in outputs:
                    return float(self._kept[identity].outputs[2 * outputs.index(output)])
        return None


def _aligned(words):
    """Zeroed int64 words at a whole cache line."""
    spare = np.zeros(words + 8, np.int64)
    start = (-spare.ctypes.data // 8) % 8
    return spare[start : start + words]


def warm(progress=None, library=LIBRARY):
    """Fills the caches with the loops of the VM and with every signal activation of a library.

    progress   called with (done, total, name) before each activation and once at the end
    """
    vm = SignalVM()
    vm.swap(build_plan(SignalGraph((), (), 0, (), False, vm.sample_rate, vm.tick_rate)))
    vm.publish(0)
    vm.run(1)
    vm.start(Ring(1024).base)
    vm.stop()
    warm_steps(progress, library)

"""Rows A1 to A10, E3, E7 and intervals: machines of trees. What is expected comes from the reference engine's runs.

A neuron that begins with a tree gives it out one tick after it wakes, so what history calls tick t is state t + 1.
"""

import numpy as np

from dmm_av.commands.lineage_rows.row import Row
from dmm_av.commands.lineage_rows.running import open_row, watched
from dmm_av.io.offline_stage import OfflineStage
from dmm_av.io.osc_addresses import Data, Request
from dmm_av.streams.vvalue import number_at

EXACT = 1e-12


def data(tick, **values):
    """An event as it arrives over OSC: `data(3, click_x=120)` is /click/x 120."""
    return tick, Request(data=tuple(Data(tuple(name.split("_")), float(value)) for name, value in values.items()))


def numbers(streams):
    """The number of each stream of a list."""
    return [number_at(stream) for stream in streams]


def sources_of(row):
    """{source: weight} of a row read as a tree, without the hands."""
    return {name: number_at(ports, ("out",)) for name, ports in (row or {}).items() if name != "edits"}


def is_near(found, expected, tolerance=EXACT):
    """Whether two lists of numbers are one, up to rounding."""
    return len(found) == len(expected) and all(
        abs(a - b) <= tolerance * max(1.0, abs(b)) for a, b in zip(found, expected, strict=True)
    )


def shown(values):
    """Numbers on one line."""
    return " ".join(f"{value:g}" for value in values)


# --- A: V-value machines -------------------------------------------------------------------------------


def algebra():
    """The numbers of core_test.clj, read from neurons."""
    names = ("itself", "sum_c", "first", "second", "third", "norm", "larger.true", "counted")
    seen = watched(open_row("tree_algebra"), [*names, "twice", "plus_three"], 14)
    found = [number_at(seen[name][8]) for name in names[:-1]]
    ring = [seen["twice" if k % 2 else "plus_three"][k + 1] for k in range(1, 10)]
    tally = seen["counted"][8] == {"a": 7, "b": 14, "c": {"a": 7, "b": 14, "c": {"x": 7, "y": 21}}}
    is_right = found == [20, 49, 24, 50, 26, 21, 1] and ring[-1] == {"x": 122, "y": 154, "z": 186} and tally
    return f"{shown(found)}; after nine steps {ring[-1]}", is_right


def wave():
    """The row of self.delta, and the rest of W, which must not move."""
    seen = watched(open_row("wave_in_the_matrix"), ["self.matrix"], 242)["self.matrix"][1:]
    rows = [sources_of(matrix["self"]["delta"]) for matrix in seen]
    rest = [without(matrix, ("self", "delta")) for matrix in seen]
    is_wave = all(row == {f"u{k % 3 + 1}": 1.0} for k, row in enumerate(rows))
    order = " ".join(",".join(row) for row in rows[:6])
    stays = all(one == rest[0] for one in rest)
    return f"{order} …; the rest of the matrix {'stays' if stays else 'moves'}", is_wave and stays


def without(tree, path):
    """A tree without the branch at a path."""
    first, *more = path
    rest = {label: branch for label, branch in tree.items() if label != first}
    return {**rest, first: without(tree[first], more)} if more and first in tree else rest


COUNTED = [{"step": 1}, {"step": 2}, {"step": 3}, {"a": 1, "step": 3}, {"a": 1, "step": 4}, {"a": 1, "step": 5}]
COUNTED += [{"a": 2, "step": 5}, {"a": 2, "step": 6}, {"a": 2, "step": 7}]


def asynchronous():
    """What the accumulator holds and what reaches the printer, tick by tick."""
    seen = watched(open_row("asynchronous_input"), ["counts", "teller"], 12)
    is_right = seen["counts"][2:11] == COUNTED and seen["teller"][3:12] == COUNTED
    return f"{seen['counts'][2:6]} …; printed one tick later", is_right


def characters():
    """How many characters the text has of the most frequent one, tick by tick."""
    text = "hello marion, is that you?"
    seen = watched(open_row("duplicate_characters"), ["most", "counts"], len(text) + 4)
    expected = [max(map(text[:n].count, text[:n])) for n in range(1, len(text) + 1)]
    found = numbers(seen["most"][3 : 3 + len(text)])
    first = numbers(seen["most"]).index(2.0)
    counts = {character: text.count(character) for character in text}
    is_right = found == expected and first == 6 and seen["counts"][-1] == counts
    return f"2 first at tick {first}; {shown(found[:9])} …", is_right


WORDS = {"the": 3, "cat": 1, "sat": 1, "on": 1, "mat": 1, "end": 1}


def words():
    """The counts of all words."""
    seen = watched(open_row("word_counter"), ["counts", "top"], 13)
    top = numbers(seen["top"][2:13])
    return f"{seen['counts'][-1]}; largest {shown(top)}", (
        seen["counts"][-1] == WORDS and top == [0, 1, 1, 1, 1, 2, 2, 3, 3, 3, 3]
    )


PLACES = ((3, 0.25, 0.5), (7, 0.75, 0.125), (8, 0.0, 1.0))


def mouse():
    """The place that the neuron gives, from the tick after each move."""
    run = open_row("mouse_position", events=[data(tick, mouse_x=x, mouse_y=y) for tick, x, y in PLACES])
    seen = watched(run, ["mouse.out/x", "mouse.out/y"], 12)
    found = [(number_at(x), number_at(y)) for x, y in zip(*seen.values(), strict=True)]
    held = [next(((x, y) for at, x, y in reversed(PLACES) if at + 1 <= k), (0.0, 0.0)) for k in range(12)]
    return " ".join(f"({x:g}, {y:g})" for x, y in dict.fromkeys(found)), found == held


CLICKS = ((3, 120, 80), (9, 400, 300), (15, 10, 20))


def clicks(events=(), ticks=24):
    """The list of clicks, tick by tick."""
    run = open_row("click_list", events=[*(data(tick, click_x=x, click_y=y) for tick, x, y in CLICKS), *events])
    return run, watched(run, ["clicks", "monitor"], ticks)


def listed(seen):
    """The list: newest first, and when each click came to its head."""
    expected = {"end-list": 1.0}
    states = [seen["clicks"][1]]
    for _, x, y in CLICKS:
        expected = {"this": {"x": x, "y": y, "flag": 1.0}, "rest": expected}
        states.append(expected)
    changed = [k for k in range(2, len(seen["clicks"])) if seen["clicks"][k] != seen["clicks"][k - 1]]
    last = [stream for k, stream in enumerate(seen["clicks"]) if k in changed]
    return states[0] == {"end-list": 1.0} and last == states[1:] and changed == [tick + 2 for tick, _, _ in CLICKS]


def click_list():
    """The list of three clicks."""
    _, seen = clicks()
    heads = [number_at(seen["clicks"][-1], ("rest",) * depth + ("this", "x")) for depth in range(3)]
    return f"newest first: x {shown(heads)}", listed(seen) and heads == [10, 400, 120]


FADED = [120, 120, 120, 108, 97.2, 87.48, 78.732]


def fading_list():
    """The author's own test: the weight of the list to itself is changed by -0.1."""
    from dmm_av.network.edits import Add, Group

    click = data(1, click_x=120, click_y=80)
    edit = (6, Request(group=Group((Add("clicks.self", "clicks", -0.1),), "osc")))
    run = open_row("click_list", events=[click, edit])
    seen = watched(run, ["clicks"], 13)["clicks"]
    found = [number_at(stream, ("this", "x")) for stream in seen][6:13]
    return f"x {shown(found)}", is_near(found, FADED)


OSC_WEIGHT = [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0, 0]
OSC_X = [8, 8, 8, 8, 4, 2, 1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0, 0]
IMAGE = [None] * 7 + [{}, {}] + [{"pix": {"a": 5, "b": 6}}] * 6


def live_editing():
    """Weight and value of `osc`, and the neuron that the messages made: 15 ticks of the reference's run."""
    run = open_row("live_editing")
    weights, values, images = [], [], []
    for _ in range(15):
        run.machine.refresh()
        outputs = run.machine.outputs
        weights.append(number_at(outputs["self"]["matrix"], ("osc_x", "input", "osc_x", "out")))
        values.append(number_at(outputs.get("osc_x", {}).get("out")))
        images.append(outputs.get("accum.tree:img", {}).get("out"))
        run.step()
    is_right = weights == OSC_WEIGHT and values[1:] == OSC_X[1:] and images == IMAGE
    return f"weight {shown(weights)}; x {shown(values)}", is_right


DROPPED, SEEN = 15, (16, 30)  # frames: the one before the link is open is added, and the memory looked at


def image_as_value():
    """The memory against the picture of the frame in which the link was open, and the wave against a formula."""
    run = open_row("image_as_value")
    machine, pictures = run.machine, {}
    with OfflineStage(machine.patch.size) as run.stage:
        for _ in range((max(SEEN) + 1) * machine.ticks_per_frame):
            machine.refresh()
            factor = machine.value("factor")
            number = run.step()[1]
            if number in (DROPPED, *SEEN):
                pictures[number] = {name: run.stage.picture(name).copy() for name in ("photo", "held", "waved")}
                pictures[number]["factor"] = factor
    dropped, (early, late) = pictures[DROPPED], (pictures[frame] for frame in SEEN)
    apart = max(float(np.abs(seen["held"] - dropped["photo"]).max()) for seen in (early, late))
    moved = float(np.abs(late["photo"] - dropped["photo"]).mean())
    waved = float(np.abs(late["waved"] - nearer(late["held"], late["factor"])).max())
    told = f"held is {apart:.1e} from the photo, which has moved by {moved:.3f}; waved is {waved:.1e} from the formula"
    return told, apart < 2e-3 and moved > 0.02 and waved < 8e-3 and not dropped["held"][..., :3].any()


def nearer(picture, factor):
    """A picture resampled around its centre, between its pixels linearly: float (rows, columns, 4)."""
    for axis in (0, 1):
        count = picture.shape[axis]
        places = ((np.arange(count) + 0.5) / count - 0.5) * factor + 0.5
        places = np.clip(places * count - 0.5, 0, count - 1)
        below = np.minimum(places.astype(int), count - 2)
        part = (places - below).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        picture = picture.take(below, axis) * (1 - part) + picture.take(below + 1, axis) * part
    return picture


LEAKY = [1.0, 1.9, 2.71, 3.439, 4.0951, 4.68559, 5.217031, 5.6953279, 6.12579511, 6.513215599]


def leaky():
    """The accumulator with weight 0.9."""
    seen = numbers(watched(open_row("leaky_accumulator"), ["leak"], 300)["leak"])
    return f"{shown(seen[2:6])} … {seen[-1]:.6f}", is_near(seen[2:12], LEAKY) and abs(seen[-1] - 10.0) < 1e-6


def oscillating():
    """The weight of an update of -2 on its own link."""
    path = "self.matrix/self/delta/u/out"
    seen = numbers(watched(open_row("oscillating_update"), [path], 50)[path])[1:]
    return shown(seen[:8]), seen == [(-1.0) ** k for k in range(len(seen))]


def self_fading():
    """The weight from self to itself, and another one."""
    paths = ("self.matrix/self/accum/self/matrix", "self.matrix/a/input/a/out")
    seen = watched(open_row("self_fading"), paths, 7)
    loop, other = (numbers(seen[path]) for path in paths)
    powers = [0.9 ** (2**t) for t in range(7)]
    return f"{shown(loop)}; a {shown(other)}", (
        is_near(loop, powers) and is_near(other, [0.9 ** (2**t - 1) for t in range(7)])
    )


# --- E: machines that were only on paper -----------------------------------------------------------------

TAPE, PACE = "110100110010111010011", 60


def state_machine():
    """The remainder after each bit, against integer arithmetic; exactly one state is on at any time."""
    seen = watched(open_row("state_machine"), ["self.matrix/where/input", "where"], PACE * len(TAPE))
    rows = [sources_of(row) for row in seen["self.matrix/where/input"]]
    single = all(list(row.values()) == [1.0] for row in rows)
    found = [int(number_at(seen["where"][PACE * (k + 1) - 1])) for k in range(len(TAPE))]
    expected = [int(TAPE[: k + 1], 2) % 3 for k in range(len(TAPE))]
    return f"remainders {''.join(map(str, found))}", found == expected and single


def time_slicing():
    """Which slice is in the network at each tick, and that three layers give what one formula gives."""
    ticks = 60
    paths = ["self.matrix/a/input", "self.matrix/b/input", "self.matrix/c/input"]
    seen = watched(open_row("time_slicing"), [*paths, "a", "b", "c", "source"], ticks)
    slices = [tuple(sources_of(seen[path][k]) for path in paths) for k in range(1, ticks)]
    pattern = [({"source": 1.0}, {}, {}), ({}, {"a": 2.0}, {}), ({}, {}, {"b": 0.5})]
    is_sliced = all(slices[k] == pattern[k % 3] for k in range(len(slices)))
    a, b, c = (numbers(seen[name]) for name in "abc")
    source = numbers(seen["source"])
    is_layered = all(c[k] == source[k - 3] for k in range(4, ticks, 3)) and all(
        (a[k] != 0) + (b[k] != 0) + (c[k] != 0) <= 1 for k in range(ticks)
    )
    return f"a, b, c open in turns; c {shown(c[4:16:3])} …", is_sliced and is_layered


def matrix_registers():
    """The rows of `voice` before, while they are played with, and after."""
    path = "self.matrix/voice/input"
    seen = watched(open_row("matrix_registers"), [path, "voice"], 300)
    rows = [sources_of(row) for row in seen[path]]
    stages = [rows[k] for k in (59, 130, 190, 299)]
    expected = [{"low": 1.0, "high": 0.25}, {"low": 1.5, "high": 0.25}, {"high": 1.0}, {"low": 1.0, "high": 0.25}]
    heard = numbers([seen["voice"][k] for k in (59, 135, 195, 299)])
    return f"voice {shown(heard)}", stages == expected and heard == [151.25, 206.25, 165.0, 151.25]


def intervals():
    """Sums, meets and joins, and that what was added can be taken away again."""
    names = ["sum", "less", "back", "apart.meet", "apart.join", "mixed.meet", "mixed.join"]
    seen = watched(open_row("intervals"), names, 8)
    found = [tuple(number_at(seen[name][-1], (end,)) for end in ("low", "high")) for name in names]
    expected = [(5, 6), (-4, -2), (2, 5), (6, 5), (2, 7), (3, 1), (2, 5)]
    return " ".join(f"[{low:g}, {high:g}]" for low, high in found), found == expected


ROWS = (
    Row("A1", "algebra of trees", "tree_algebra", "20 49 24 50 26 21 1; after nine steps 122, 154, 186", algebra),
    Row("A2", "wave in the network matrix", "wave_in_the_matrix", "u1 u2 u3 u1 … for ever; the rest stays", wave),
    Row("A3", "asynchronous input", "asynchronous_input", "counts of the reference's run, 9 ticks", asynchronous),
    Row("A4", "duplicate characters", "duplicate_characters", "2 first at tick 6, at the second l", characters),
    Row("A5", "word counter", "word_counter", "the 3, cat sat on mat end 1", words),
    Row("A6", "mouse position", "mouse_position", "each place in the state after the move", mouse),
    Row("A7", "list of clicks", "click_list", "newest first, in this and rest, two ticks after the click", click_list),
    Row("A8", "live editing", "live_editing", "the reference's weights and values, 15 ticks", live_editing),
    Row("A8b", "live editing: a list that fades", "click_list", f"x {shown(FADED)}", fading_list),
    Row(
        "A9",
        "image as a value",
        "image_as_value",
        "held = the photo when it was dropped; waved = formula",
        image_as_value,
    ),
    Row("A10", "leaky accumulator", "leaky_accumulator", "1 1.9 2.71 3.439 … 10", leaky),
    Row("A10b", "oscillating update", "oscillating_update", "1 -1 1 -1 …", oscillating),
    Row("A10c", "self-fading network", "self_fading", "0.9^(2^t); the others 0.9^(2^t - 1)", self_fading),
    Row("E3", "state machine in the updates", "state_machine", "the number read so far modulo 3", state_machine),
    Row("E7", "time slicing", "time_slicing", "one slice of three at a time; c = what a took, times 1", time_slicing),
    Row("E7b", "matrix registers", "matrix_registers", "voice 151.25 206.25 165 and 151.25 again", matrix_registers),
    Row(
        "E17",
        "Warmus intervals",
        "intervals",
        "[5, 6] [-4, -2] [2, 5]; meets [6, 5] [3, 1], joins [2, 7] [2, 5]",
        intervals,
    ),
)

"""Rows B5 to B7: continuous cellular automata. The originals had no seed: what is random is compared as statistics."""

import math

import numpy as np

from dmm_av.commands.lineage_rows.row import Row
from dmm_av.commands.lineage_rows.running import open_row
from dmm_av.network.edits import Group, New, Set, Setting

SEEDS = 8
SINES = 6  # frames: each multiplies what float32 rounds by up to pi
# Mean over 24 runs of frame 250, and least and largest of them: mean, standard deviation, autocorrelations.
LAGS = {
    "clouds": ((1, 0), (1, 1), (1, 2), (2, 1), (0, 3), (3, 0), (3, 3)),
    "stripes_in_conflict": ((1, 0), (1, 1), (4, 0), (8, 0), (0, 1)),
    "tiles_of_eight": ((1, 0), (4, 0), (8, 0), (0, 8), (8, 8)),
}
ENVELOPES = {
    "clouds": (
        (-0.7854, 0.0587, -0.014, -0.0167, 0.5469, 0.5448, 0.4024, 0.405, 0.4038),
        (-0.8012, 0.0558, -0.1399, -0.1416, 0.4852, 0.4966, 0.323, 0.3423, 0.3423),
        (-0.7676, 0.0614, 0.0972, 0.0878, 0.6328, 0.6353, 0.4721, 0.4902, 0.5098),
    ),
    "stripes_in_conflict": (
        (-0.7392, 0.0655, -0.4883, 0.4799, 0.4801, 0.7575, -0.5005),
        (-0.7513, 0.054, -0.6314, 0.2201, 0.2158, 0.6602, -0.6104),
        (-0.7249, 0.075, -0.3093, 0.6122, 0.6148, 0.8302, -0.349),
    ),
    "tiles_of_eight": (
        (-0.7852, 0.0637, 0.0105, 0.0388, 0.7394, 0.7383, 0.7212),
        (-0.7969, 0.0546, -0.1302, -0.2174, 0.6481, 0.6509, 0.6229),
        (-0.7706, 0.0743, 0.1588, 0.2293, 0.8283, 0.8218, 0.8119),
    ),
}
HELD = 10  # frames before the pattern acts, counted by the originals: our frame 240 is their frame 250
EXACT = {100: (-0.76367, 0.25333), 250: (-0.76367, 0.20941), 1000: (-0.76367, 0.09288)}  # gap 3, no noise


def statistics(board, lags):
    """Mean, standard deviation and the autocorrelation at every lag on the torus."""
    board = np.asarray(board, np.float64)
    apart = board - board.mean()
    return [board.mean(), board.std()] + [
        float((apart * np.roll(apart, lag, (0, 1))).mean() / apart.var()) for lag in lags
    ]


def board_after(patch, frames, edits=()):
    """The board of a patch after so many frames, one a tick, from the edits on."""
    run = open_row(patch)
    edits = (Set("board.every", "one", 1.0), *edits)
    run.machine.submit(Group((*edits, Set("board.trigger", "one", 1.0)), "panel"))
    run.step()
    run.step()
    run.step()
    while run.machine.outputs["board"]["frame"] != frames:
        run.step()
    return run.machine.outputs["board"]["out"]


def _enveloped(patch):
    def obtain():
        average, least, largest = (np.array(column) for column in ENVELOPES[patch])
        names = [f"again{number}" for number in range(SEEDS)]
        run = open_row(patch)
        machine = run.machine
        settings = machine.network.settings.get("board", {})
        copies = [edit for name in names for edit in _copy(name, settings)]  # every neuron has a seed of its own
        machine.submit(Group(tuple(copies), "panel"))
        boards = {}
        while len(boards) < SEEDS:
            run.step()
            for name in names:
                outputs = machine.outputs.get(name, {})
                if outputs.get("frame") == 250 - HELD:
                    boards[name] = outputs["out"]
        found = np.mean([statistics(board, LAGS[patch]) for board in boards.values()], axis=0)
        passed = bool(np.all(np.abs(found - average) <= 0.4 * (largest - least)))
        return "mean of 8 runs: " + ", ".join(f"{value:.3f}" for value in found), passed

    return obtain


def _copy(name, settings):
    yield New(name, "neighbours")
    yield from (Setting(name, key, value) for key, value in settings.items())
    yield Set(f"{name}.probability", "one", 0.995)


def exact():
    edits = (Set("board.probability", "one", 1.0), Setting("board", "gap", 3))
    found = {}
    for frame in EXACT:
        board = np.asarray(board_after("clouds", frame - HELD, edits), np.float64)
        found[frame] = (board.mean(), board.std())
    passed = all(np.allclose(found[frame], EXACT[frame], rtol=0, atol=1e-5) for frame in EXACT)
    return "; ".join(f"frame {f}: {m:.5f}, {d:.5f}" for f, (m, d) in found.items()), passed


def weights_are_neurons():
    """The board with neurons as weights, against loops over all cells that know only two numbers a tick."""
    run = open_row("weights_are_neurons")
    run.machine.submit(
        Group((Set("board.probability", "one", 1.0), Setting("board", "gap", 3)), "panel"),
    )
    boards, numbers = [], []
    for _ in range(75):
        run.step()
        run.machine.refresh()
        boards.append(run.machine.outputs["board"]["out"])
        numbers.append([run.machine.value(name) for name in ("from_constants", "from_pattern")])
    first = np.where((np.arange(64) % 3 == 0)[:, None] & (np.arange(64) % 3 == 0), 1.0, -1.0)
    worst = 0.0
    changed = next(k for k in range(75) if numbers[k][1] > 0.0)
    for k in range(5, 74):
        # one tick from the numbers to the weights, one more from the weights to the board
        constant, pattern = numbers[k - 1]
        before = boards[k].astype(np.float64)
        heard = sum(np.roll(before, (-i, -j), (0, 1)) for i, j in ((1, 0), (0, 1), (-1, -1)))
        worst = max(worst, float(np.abs(constant * first + pattern * heard - boards[k + 1]).max()))
    moved = next(k for k in range(6, 75) if not np.array_equal(boards[k], boards[k - 1]))
    return (
        f"largest distance {worst:.1e}; numbers change in state {changed}, the board in state {moved}",
        worst < 1e-5 and moved == changed + 2,
    )


def sine_edges():
    """The patch without noise, from a board of two greys, for several masks, against loops over cells."""
    said, passed = [], True
    for mask in (0.0, 0.3, 1.0):
        edits = (
            New("greys", "neighbours"),
            Setting("greys", "gap", 3),
            Set("greys.pattern", "one", 0.0),
            Set("greys.constants", "one", 1.0),
            Set("board.first", "greys.out", 0.7),
            Set("board.mask", "one", mask),
            Set("board.probability", "one", 1.0),
        )
        obtained = board_after("sine_edges", SINES, edits)
        cells = [[0.7 * (1.0 if i % 3 == 0 and j % 3 == 0 else -1.0) - 1.0 for j in range(64)] for i in range(64)]
        for _ in range(SINES):
            sent = [[mask * x + (1.0 - mask) * math.sin(math.pi * x) for x in line] for line in cells]
            cells = [
                [(sent[(i + 1) % 64][j] + sent[i][(j + 1) % 64] + sent[i - 1][j - 1]) / 3.0 for j in range(64)]
                for i in range(64)
            ]
        far = float(np.abs(np.array(cells) - obtained).max())
        passed &= far < 1e-3
        said.append(f"c = {mask:g}: {far:.1e} apart")
    return "; ".join(said), passed


def _row(name, title, patch):
    average = ", ".join(f"{value:.3f}" for value in ENVELOPES[patch][0])
    lags = " ".join(map(str, LAGS[patch]))
    expected = f"mean, deviation, autocorrelation at {lags}: {average}, each within 0.4 of the range of 24 runs"
    return Row(name, title, patch, expected.replace(", (", " ("), _enveloped(patch))


ROWS = (
    _row("B5", "continuous cellular automata: clouds", "clouds"),
    _row("B5b", "continuous cellular automata: patterns in conflict", "stripes_in_conflict"),
    _row("B5c", "continuous cellular automata: tiles of eight", "tiles_of_eight"),
    Row(
        "B5d",
        "the same without noise, white cells in every third row and column",
        "clouds",
        "; ".join(f"frame {frame}: {mean}, {spread}" for frame, (mean, spread) in EXACT.items()),
        exact,
    ),
    Row(
        "B6",
        "every weight is a neuron's output",
        "weights_are_neurons",
        "equal to a second computation to 1e-5; a change of the two numbers reaches the board two ticks later",
        weights_are_neurons,
    ),
    Row(
        "B7",
        "multiplicative masks and sine edges",
        "sine_edges",
        "6 frames equal to loops over all cells in double precision, to 1e-3, for the masks 0, 0.3, 1",
        sine_edges,
    ),
)

"""Rows B8 to B11: the dense lightweight machines. Expected are the originals' numbers, evaluated elsewhere."""

import numpy as np

from dmm_av.commands.lineage_rows.row import Row
from dmm_av.commands.lineage_rows.running import open_row
from dmm_av.commands.opening import PATCHES, read_events
from dmm_av.network.edits import Group, Set

QUIET, LONG = 0.002, 20  # mean change in a quiet frame; frames that make a quiet spell
SQUEEZED_ROW_300 = (0.39866697788, -0.00793950353, -0.26273614168, -0.18651907146, -0.2208243012, 0.1054413989)
FIRST_FLIPS = [2, 7, 29, 49, 69, 88, 108, 126, 145, 165, 183, 202]
FIRST_FLIPS_LARGE = [3, 17, 32, 47, 63, 77, 92, 107, 121, 137, 152, 166]


def frames_of(patch, count, watch):
    """{reference: [value in frame 0, 1 … count]} of `machine` in a patch, one frame a tick.

    watch   references; `matrix` stands for the whole network matrix
    """
    run = open_row(patch)
    run.machine.submit(Group((Set("machine.every", "one", 1.0),), "panel"))
    seen = {reference: [] for reference in watch}
    for _ in range(count + 8):
        run.step()
        frame = run.machine.outputs["machine"]["frame"]
        if frame == len(seen[watch[0]]):
            for reference in watch:
                matrix = run.machine.outputs["machine"]["out"]
                seen[reference].append(matrix if reference == "matrix" else run.machine.value(f"machine.{reference}"))
    return {reference: values[: count + 1] for reference, values in seen.items()}


def spells(flags, least):
    """(first, last) of every run of at least so many True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, int), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]


def sign_flips(values):
    """Indices at which the sign is another than just before."""
    signs = np.sign(values)
    return [int(place) + 1 for place in np.flatnonzero(signs[1:] * signs[:-1] < 0)]


def extinguishing():
    links = [matrix[1, 1] for matrix in frames_of("extinguishing", 4, ["matrix"])["matrix"]]
    return f"W[1][1] = {', '.join(f'{x:g}' for x in links)}", links == [1, 0, 0, 0, 0]


def oscillating():
    rows = np.array([matrix[1] for matrix in frames_of("oscillating", 6, ["matrix"])["matrix"]])
    alone = not np.delete(rows, 1, axis=1).any()
    return (
        f"W[1][1] = {', '.join(f'{x:g}' for x in rows[:, 1])}; the rest of row 1 is {'0' if alone else 'not 0'}",
        alone and rows[:, 1].tolist() == [1, -1, 1, -1, 1, -1, 1],
    )


def running_wave():
    run = open_row("running_wave")
    run.machine.submit(Group((Set("machine.every", "one", 1.0),), "panel"))
    places, sums, decoration = [], [], []
    while len(places) < 13:
        run.step()
        outputs = run.machine.outputs["machine"]
        if outputs["frame"] == len(places):
            row = outputs["out"][1]
            places.append(int(np.argmax(row)))
            sums.append(float(row.sum()))
            decoration.append((float(outputs["board"][0, 24]), float(outputs["board"][0, 48])))
    expected = [(1, 3, 5, 7, 9)[frame % 5] for frame in range(13)]
    passed = places == expected and sums == [1.0] * 13 and decoration == [(0.0, 0.0)] + [(0.5, 0.25)] * 12
    return f"columns {places}; sums {set(sums)}; outputs 2, 4: {decoration[-1]}", passed


def sleep_wake():
    seen = frames_of("sleep_wake", 2400, ["change", "row"])
    found = spells(np.array(seen["change"][1:]) < QUIET, LONG)
    found = [(first + 1, last + 1) for first, last in found]
    row = [seen["row"][300][str(k + 1)] for k in range(6)]
    exact = np.allclose(row, SQUEEZED_ROW_300, rtol=0, atol=1e-9)
    busy = max(seen["change"][150:226])
    return (
        f"quiet {', '.join(f'{a}-{b}' for a, b in found)}; mean change there {np.mean(seen['change'][230:290]):.4f}, "
        f"up to {busy:.3f} before; row 1 of frame 300 {'exact' if exact else 'differs'}",
        found == [(225, 296), (826, 853), (2287, 2322)] and exact and busy > 0.05,
    )


def _bistable(patch, first, count, period, plateau):
    def obtain():
        mean = np.array(frames_of(patch, 1500, ["mean"])["mean"][1:])
        flips = [place + 1 for place in sign_flips(mean)]
        high, low = mean[mean > 0.3].mean(), mean[mean < -0.3].mean()
        apart = float(np.median(np.diff(flips)))
        return (
            f"flips at {flips[:12]}, {len(flips)} in 1500, mostly {apart:g} apart; plateaus {high:.3f}, {low:.3f}",
            flips[:12] == first
            and len(flips) == count
            and apart in period
            and (round(float(high), 3), round(float(low), 3)) == plateau,
        )

    return obtain


def plainly(outputs, inputs, sources):
    """One frame of a squeezed machine by loops over single elements of the matrix, written apart from the activation.

    sources   {output: function of all inputs}
    """
    matrix = outputs[0].copy()
    for i in range(len(inputs)):
        for j in range(len(outputs)):
            inputs[i] = inputs[i] + matrix[i, j] * outputs[j]
    outputs[0] = inputs[0] + inputs[1]
    outputs[0][0] = np.eye(1, len(outputs), dtype=np.float32)
    for k, source in sources.items():
        outputs[k] = source(inputs)
    for stack in (outputs, inputs):
        for index in range(len(stack)):
            stack[index] = stack[index] / np.abs(stack[index]).max()
    outputs[0][0, 0] = 1.0


def _life(k):
    def rule(inputs):
        x = inputs[k]
        s = np.float32(2) * x
        for i in (1, 0, -1):
            for j in (1, 0, -1):
                s = s + np.roll(x, (i, j), (0, 1))
        return np.float32(1) - 2 * ((np.abs(s) <= 1) | (np.abs(s - 5) <= 1)).astype(np.float32)

    return rule


def orchestrated():
    """The first thirty seconds, three of the swaps among them, and the organ in the last of them."""
    patch = "orchestrated"
    events = read_events(PATCHES / "lineage" / f"{patch}.events.jsonl", 240)
    run = open_row(patch, events=events)
    matrices, rows, sound = [], [], []
    for _ in range(24 * 260):
        sound.append(run.step()[0])
        outputs = run.machine.outputs["machine"]
        if outputs["frame"] == len(matrices):
            matrices.append(outputs["out"])
            rows.append(outputs["row"])
    outputs, inputs = _machine_of(run)
    differ = None
    sources = {}
    for frame in range(1, len(matrices)):
        for after, k in ((100, 2), (150, 4), (200, 6), (250, 8)):
            if frame > after:
                sources[k] = _life(k)
        plainly(outputs, inputs, sources)
        if differ is None and not np.array_equal(outputs[0], matrices[frame]):
            differ = frame
    heard = np.concatenate(sound)[:, 0].astype(np.float64)
    peak = float(np.abs(heard).max())
    low = _amplitude(heard[-4800:], 40.0)
    return (
        f"{len(matrices) - 1} frames, {'all equal' if differ is None else f'apart from frame {differ}'}; "
        f"peak {peak:.3f}, 40 Hz at {low:.3f}",
        differ is None and 0.0 < peak < 0.891 and low < 0.3,
    )


def _machine_of(run):
    """Outputs and inputs that the machine of a patch begins with, drawn here once more."""
    settings = run.machine.network.settings["machine"]
    rows, columns = settings["rows"], settings["columns"]
    state = (settings["seed"] ^ 0x5DEECE66D) % 2**48
    outputs = np.zeros((columns, rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            for k in range(columns):
                state = (state * 0x5DEECE66D + 0xB) % 2**48
                outputs[k, i, j] = np.float32(state // 2**24 / 2**24) * np.float32(2) - np.float32(1)
    outputs[0, 0, 0] = 1.0
    return outputs, np.zeros((rows, rows, columns), np.float32)


def _amplitude(sound, frequency_hz):
    turns = np.exp(-2j * np.pi * frequency_hz * np.arange(len(sound)) / 48_000)
    return float(2.0 * np.abs(np.mean(sound * turns)))


ROWS = (
    Row(
        "B8",
        "pure machines: a wave in the master row",
        "running_wave",
        "a single 1 through columns 1, 3, 5, 7, 9 of row 1, period 5; outputs 2, 4 show 0.5, 0.25",
        running_wave,
    ),
    Row("B8a", "pure machines: self-extinguishing", "extinguishing", "W[1][1] = 1, 0, 0, 0, 0", extinguishing),
    Row("B8b", "pure machines: oscillating", "oscillating", "W[1][1] = 1, -1, 1, -1 …; the rest 0", oscillating),
    Row(
        "B9",
        "random self-referential machine, sleep and wake",
        "sleep_wake",
        "quiet in frames 225-296, 826-853, 2287-2322 of 2400, about 0.0008 a frame; bursts up to 0.06",
        sleep_wake,
    ),
    Row(
        "B10",
        "emerging oscillation",
        "bistable",
        f"flips at {FIRST_FLIPS}, 80 in 1500, 19-20 frames apart; plateaus (mean beyond ±0.3) 0.515, -0.512",
        _bistable("bistable", FIRST_FLIPS, 80, (19.0, 19.5, 20.0), (0.515, -0.512)),
    ),
    Row(
        "B10b",
        "emerging oscillation, 24 inputs, 23 outputs",
        "bistable_large",
        f"flips at {FIRST_FLIPS_LARGE}, 102 in 1500, 15 frames apart; plateaus 0.349, -0.351",
        _bistable("bistable_large", FIRST_FLIPS_LARGE, 102, (14.0, 14.5, 15.0), (0.349, -0.351)),
    ),
    Row(
        "B11",
        "the orchestrated demo with its organ",
        "orchestrated",
        "every matrix equal to a second computation; peak under -1 dBFS, 40 Hz under 0.3",
        orchestrated,
    ),
)

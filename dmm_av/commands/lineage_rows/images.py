"""Rows of pictures: image machines of the Processing sketches (B), products of pictures (D)."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dmm_av.commands.lineage_rows.row import Row
from dmm_av.commands.lineage_rows.running import open_row
from dmm_av.commands.opening import PATCHES
from dmm_av.engine.alone import draw_alone
from dmm_av.io.offline_stage import OfflineStage
from dmm_av.network.edits import Group, Set, Setting

ASSETS = PATCHES.parent / "assets" / "lineage"
FIXTURES = PATCHES.parent / "tests" / "fixtures"
WAVE_SIDE = 450
FILM_FRAMES, FILM_RATE = 24, 24


def golden(name):
    """A file of golden cases."""
    return json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))


class Playing:
    """A row's patch with its pictures, frame by frame; a context.

    watch   references whose numbers are kept for the frame drawn last, in `at`
    """

    def __init__(self, patch, watch=()):
        self.stage = OfflineStage((64, 64), PATCHES / "lineage")
        self.run = open_row(patch, self.stage)
        self.watch, self.at = watch, {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stage.close()

    def frames(self, count):
        """Lets pictures be drawn; gives the number of each when it has been."""
        machine = self.run.machine
        while count > 0:
            if machine.is_frame:
                machine.refresh()
                self.at = {reference: machine.value(reference) for reference in self.watch}
            _, number = self.run.step()
            if number is not None:
                count -= 1
                yield number

    def after(self, frames):
        """Lets pictures be drawn."""
        for _ in self.frames(frames):
            pass
        return self

    def edit(self, *edits):
        """Edits by a hand, at once."""
        self.run.machine.submit(Group(edits, "panel"))

    def pictures(self, *names):
        """What these neurons drew last, {name: float32 (height, width, 4)}."""
        return {name: self.stage.picture(name).copy() for name in names}

    def weight(self, *entry):
        """A weight of the network, 0 where there is none."""
        return self.run.machine.network.matrix.weights.get(entry, 0.0)


def obtained(pairs, tolerance):
    """(one line of the largest distance between what was and what should be, whether it is small enough)."""
    worst = max(float(np.abs(np.asarray(one, np.float64) - other).max()) for one, other in pairs)
    return worst, worst <= tolerance


# --- The formulas, once more and apart from the shaders ---------------------------------------------------


def sampled(picture, row, column):
    """A picture between its elements, linearly; beyond the border the last element."""
    rows, columns = picture.shape[:2]
    row, column = np.clip(row, 0.0, rows - 1.0), np.clip(column, 0.0, columns - 1.0)
    top, left = np.minimum(row.astype(int), rows - 2), np.minimum(column.astype(int), columns - 2)
    down, right = (row - top)[..., None], (column - left)[..., None]
    upper = picture[top, left] * (1 - right) + picture[top, left + 1] * right
    lower = picture[top + 1, left] * (1 - right) + picture[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def waved(picture, x, y, age, k):
    """The click wave of a square picture by its formula; x, y from the middle, y up."""
    if age < 1.0:
        return picture
    side = picture.shape[0]
    column, row = np.meshgrid(np.arange(side), np.arange(side))
    centre_column, centre_row = (0.5 + x) * side - 0.5, (0.5 - y) * side - 0.5
    far = np.hypot(column - centre_column, row - centre_row) * WAVE_SIDE / side
    zoom = 0.25 * np.sin(k * (far / age + age / (1.0 + 0.01 * age))) + 0.75
    return sampled(picture, centre_row + (row - centre_row) * zoom, centre_column + (column - centre_column) * zoom)


def lerp(a, b, amount):
    """From a to b."""
    return a + (b - a) * amount


def inverted(picture):
    """1 - colour, alpha kept."""
    return np.concatenate([picture[..., 3:] - picture[..., :3], picture[..., 3:]], axis=-1)


def show(x):
    """Stretched to [0, 1]."""
    return (x - x.min()) / (x.max() - x.min())


def over_columns(x):
    """Every column divided by its sum."""
    return x / x.sum(axis=0, keepdims=True)


def over_rows(x):
    """Every row divided by its sum."""
    return x / x.sum(axis=1, keepdims=True)


def synthetic():
    """(M, J) of the golden cases, float64."""
    i, j = np.mgrid[:64, :64].astype(np.float64)
    turn = 2.0 * np.pi / 64
    m = 0.5 + 0.25 * np.sin(turn * 3 * i) + 0.25 * np.cos(turn * 5 * j) * np.sin(turn * (i + 2 * j))
    return m, 0.6 * ((i // 8 + j // 8) % 2) + 0.4 * i * j / 63**2


# --- Image dataflow ---------------------------------------------------------------------------------------


def wave_cases():
    """(largest error of the zoom, cases whose source pixel is not the golden one, number of cases)."""
    column, row = np.meshgrid(np.arange(WAVE_SIDE), np.arange(WAVE_SIDE))
    places = np.dstack([column / WAVE_SIDE, row / WAVE_SIDE, np.zeros_like(row), np.ones_like(row)])
    groups, wrong, error, count = {}, 0, 0.0, 0
    for case in golden("image_transforms")["wave"]:
        groups.setdefault((case["frame_since_click"], *case["center"], case["coef"]), []).append(case)
    for (age, x, y, k), cases in groups.items():
        wired = {"x": (x + 0.5) / WAVE_SIDE - 0.5, "y": 0.5 - (y + 0.5) / WAVE_SIDE, "age": age, "k": k}
        seen = draw_alone("wave", {"picture": places, **wired}, size=(WAVE_SIDE, WAVE_SIDE)) * WAVE_SIDE
        for case in cases:
            pixel, centre = np.array(case["pixel"]), np.array([x, y])
            found = seen[pixel[1], pixel[0], :2]
            should = centre + (pixel - centre) * case["mod"]
            off = np.abs(found - should).max()
            error, count = max(error, off), count + 1
            # where the exact place lies on the edge of a pixel, rounding decides
            near = np.abs(should - np.round(should)) < 0.02
            wrong += bool(np.any((np.floor(found) != case["maps_to"]) & ~near))
    return error, wrong, count


def image_dataflow():
    """B1."""
    transforms = golden("image_transforms")
    error, wrong, count = wave_cases()
    negation = transforms["negation"]
    colour = np.ones((2, 2, 4)) * [*(c / 255 for c in negation["rgb_in"]), 1.0]
    negative = draw_alone("invert", {"picture": colour, "amount": 1}, size=(2, 2))[0, 0, :3] * 255
    wrong += np.abs(negative - negation["rgb_out"]).max() > 0.01
    blended = {"a": 0.0, "b": np.ones((2, 2, 4)) * [*(c / 255 for c in transforms["lerp"]["c2"]), 1.0]}
    between = draw_alone("blend", blended | {"amount": transforms["lerp"]["a"]}, size=(2, 2))[0, 0, :3] * 255
    wrong += np.abs(between - transforms["lerp"]["out"]).max() > 0.01
    pairs, before = [], None
    with Playing("image_dataflow", ("first", "second")) as playing:
        for number in playing.frames(9):
            now = playing.pictures("photo", "l1", "l2", "l3", "upper", "lower")
            if number in (6, 8):
                pairs += [
                    (now["l1"], waved(before["photo"], 0.0, 0.0, playing.at["first"], 0.5)),
                    (now["l2"], inverted(before["l1"])),
                    (now["l3"], waved(before["l2"], 0.1, 0.1, playing.at["second"], 1.0)),
                    (now["upper"], lerp(before["photo"], before["l3"], 0.5)),
                    (now["lower"], lerp(before["l1"], before["l3"], 0.5)),
                ]
            before = now
    worst, close = obtained(pairs, 0.02)
    text = f"{count} wave cases within {error:.4f} px, {wrong} wrong; every edge one frame late within {worst:.4f}"
    return text, wrong == 0 and error < 0.02 and close


def image_feedback():
    """B2."""
    with Playing("image_feedback", ("click",)) as playing:
        playing.after(5)
        photo = playing.pictures("photo", "l4")
        is_open = np.array_equal(photo["photo"], photo["l4"])
        playing.edit(Set("l4.amount", "one", 0.9))
        for _ in playing.frames(3):
            before = playing.pictures("photo", "l1", "l3", "l4")
        pairs = []
        for _ in playing.frames(12):
            now = playing.pictures("photo", "l1", "l3", "l4")
            pairs += [
                (now["l1"], waved(before["l4"], 0.0, 0.0, playing.at["click"], 0.5)),
                (now["l3"], lerp(before["photo"], before["l1"], 0.5)),
                (now["l4"], lerp(before["photo"], before["l3"], 0.9)),
            ]
            before = now
        moved = float(np.abs(before["l4"] - before["photo"]).max())
    worst, close = obtained(pairs, 0.02)
    text = f"open: {'' if is_open else 'not '}the picture itself; closed: off the equations by {worst:.4f}, moved {moved:.2f}"
    return text, is_open and close and moved > 0.1


def rewriting_program():
    """B3."""
    found, pairs = {}, []
    copied, negation = ("wave_1", "picture", "photo", "out"), ("negation_1", "picture", "wave_1", "out")
    template = ("waving", "picture", "photo", "out")
    with Playing("rewriting_program", ("ages",)) as playing:
        matrix = playing.run.machine.network.matrix
        amounts = []
        for number in playing.frames(352):
            amounts.append(playing.at_amount)
            if number in (49, 50, 99, 100, 149, 150):
                found[number] = playing.at_there
            if number in (199, 302, 351):
                drawn = playing.pictures("photo", "mixed")
                wave = waved(drawn["photo"], 0.0, 0.0, playing.at["ages"], 0.5)
                pairs.append((drawn["mixed"], lerp(drawn["photo"], inverted(wave), amounts[-1])))
    del copied, negation, template, matrix
    return found, pairs



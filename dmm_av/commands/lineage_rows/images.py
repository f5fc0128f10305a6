"""Rows of pictures: image machines of the Processing sketches (B), products of pictures (D)."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from dmm_av.activations.graphs import connections, drawing_of
from dmm_av.commands.lineage_rows.row import Row
from dmm_av.commands.lineage_rows.running import open_row
from dmm_av.commands.opening import PATCHES
from dmm_av.engine.alone import draw_alone
from dmm_av.io.offline_stage import OfflineStage
from dmm_av.io.window import headless_context
from dmm_av.network.edits import Group, Set, Setting

ASSETS = PATCHES.parent / "assets" / "lineage"
FIXTURES = PATCHES.parent / "tests" / "fixtures"
WAVE_SIDE = 450
FILM_FRAMES, FILM_RATE = 24, 24

context = cache(headless_context)  # one for all that is drawn alone


def golden(name):
    """A file of golden cases."""
    return json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))


class Playing:
    """A row's patch with its pictures, frame by frame; a context.

    watch     references whose numbers are kept for the frame drawn last, in `at`
    weights   of the network in that frame
    """

    def __init__(self, patch, watch=()):
        self.stage = OfflineStage((64, 64), PATCHES / "lineage")
        self.run = open_row(patch, self.stage)
        self.watch, self.at, self.weights = watch, {}, {}

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
                self.weights = dict(machine.network.matrix.weights)
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
        given = {"picture": places, **wired}
        seen = draw_alone("wave", given, size=(WAVE_SIDE, WAVE_SIDE), context=context()) * WAVE_SIDE
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
    negative = draw_alone("invert", {"picture": colour, "amount": 1}, size=(2, 2), context=context())[0, 0, :3] * 255
    wrong += np.abs(negative - negation["rgb_out"]).max() > 0.01
    blended = {"a": 0.0, "b": np.ones((2, 2, 4)) * [*(c / 255 for c in transforms["lerp"]["c2"]), 1.0]}
    blended["amount"] = transforms["lerp"]["a"]
    between = draw_alone("blend", blended, size=(2, 2), context=context())[0, 0, :3] * 255
    wrong += np.abs(between - transforms["lerp"]["out"]).max() > 0.01
    pairs, before = [], None
    with Playing("image_dataflow", ("first", "second")) as playing:
        for number in playing.frames(7):
            now = playing.pictures("photo", "l1", "l2", "l3", "upper", "lower")
            if number in (5, 6):
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
        for _ in playing.frames(7):
            now = playing.pictures("photo", "l1", "l3", "l4")
            pairs += [
                (now["l1"], waved(before["l4"], 0.0, 0.0, playing.at["click"], 0.5)),
                (now["l3"], lerp(before["photo"], before["l1"], 0.5)),
                (now["l4"], lerp(before["photo"], before["l3"], 0.9)),
            ]
            before = now
        moved = float(np.abs(before["l4"] - before["photo"]).max())
    worst, close = obtained(pairs, 0.02)
    first = "the picture itself" if is_open else "not the picture"
    text = f"open: {first}; closed: off the equations by {worst:.4f}, moved by {moved:.2f}"
    return text, is_open and close and moved > 0.1


SCHEDULE = {  # {frame: what of the network is there from then on}
    50: ("wave_1", "picture", "photo", "out"),
    100: ("negation_1", "activation", "library", "invert"),
    150: ("mixed", "b", "negation_1", "out"),
}
MIXED = ("mixed", "amount", "one", "out")


def scheduled_amount(frame):
    """How far the copies have come in: 0 to 1 in frames 201 to 300, back to a half until 350."""
    return min(max(frame - 200, 0), 100) / 100 - min(max(frame - 300, 0), 50) / 100


def rewriting(patch, more=lambda playing, number: True):
    """(one line, pass) of a program that rewrites itself as B3 does."""
    on_time, pairs, ages = True, [], []
    with Playing(patch, ("ages",)) as playing:
        for number in playing.frames(353):
            ages.append(playing.at["ages"])
            there = playing.weights
            on_time &= all((entry in there) == (number >= frame) for frame, entry in SCHEDULE.items())
            on_time &= abs(there[MIXED] - scheduled_amount(number)) < 1e-9
            on_time &= more(playing, number)
            if number in (199, 250, 300, 352):
                drawn = playing.pictures("photo", "mixed")
                wave = waved(drawn["photo"], 0.0, 0.0, ages[-3], 0.5)
                pairs.append((drawn["mixed"], lerp(drawn["photo"], inverted(wave), scheduled_amount(number))))
    worst, close = obtained(pairs, 0.02)
    return f"{'every' if on_time else 'not every'} edit in its frame, pictures within {worst:.4f}", on_time and close


def rewriting_program():
    """B3."""
    return rewriting("rewriting_program")


def program_with_its_graph():
    """B4."""
    seen, agree = [], []

    def drawn(playing, number):
        if number in (1, 5, 60, 200):
            is_there = ("wall", "c", "graph", "out") in playing.weights
            seen.append(is_there)
            if is_there and number > 5:
                lines = connections(playing.run.machine.network.matrix.tree)
                agree.append(np.array_equal(playing.stage.matrix("graph|out"), drawing_of(lines, 256)))
                seen.append(("wave_1", "wave_1") in lines or ("photo", "wave_1") in lines)
        return True

    text, passed = rewriting("program_with_its_graph", drawn)
    told = f"{text}; its graph is in the picture from frame 2: {seen}, and is that of the running matrix: {agree}"
    return told, passed and seen == [False, True, True, True, True, True] and agree == [True, True]


def write_film(path, size=(64, 48), texture=0.0):
    """A small film: frame n is one grey, 10 n of 255, plus a texture (height, width)."""
    writer = av.open(str(path), "w")
    stream = writer.add_stream("ffv1", rate=FILM_RATE)
    stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
    for number in range(FILM_FRAMES):
        grey = np.broadcast_to(np.clip(10 * number + texture, 0, 255).astype(np.uint8), size[::-1])
        grey = np.repeat(grey[..., None], 3, axis=2)
        writer.mux(stream.encode(av.VideoFrame.from_ndarray(grey, "rgb24")))
    writer.mux(stream.encode())
    writer.close()


def surreal_webcam():
    """B14."""
    with TemporaryDirectory() as folder, Playing("surreal_webcam") as playing:
        playing.after(1)
        black = not playing.pictures("eye")["eye"].any()
        film = Path(folder) / "film.mkv"
        write_film(film)
        playing.edit(Setting("eye", "device", str(film)))
        errors = []
        for number in playing.frames(30):
            eye = playing.pictures("eye")["eye"]
            if number >= 2:
                errors.append(np.abs(eye[..., :3] - 10 * (number % FILM_FRAMES) / 255).max())
        playing.run.machine.hold(("key", "i"), 1.0)
        playing.after(2)
        now = playing.pictures("l1", "turned", "l3", "mixed")
        pairs = [(now["turned"], inverted(now["l1"])), (now["mixed"], lerp(now["turned"], now["l3"], 0.5))]
    worst, close = obtained(pairs, 0.005)
    text = (
        f"without a camera {'black' if black else 'not black'}; a film in its place shows frame n at frame n within "
        f"{max(errors):.4f}; inverted and mixed within {worst:.4f}"
    )
    return text, black and max(errors) < 0.003 and close


def fm_sound_and_picture():
    """B16."""
    with Playing("fm_sound_and_picture") as playing:
        playing.after(4)  # the knobs settle from 0
        picture = playing.pictures("seen")["seen"][..., 0]
        sound = np.concatenate([playing.run.step()[0] for _ in range(48)])[:, 0] / 0.2
    rows, columns = picture.shape
    t = np.arange(rows * columns).reshape(rows, columns) / 6000.0
    depth, modulator, carrier = 200.0, 30.0, 440.0

    formula = np.sin(2 * np.pi * carrier * t + depth / modulator * (1 - np.cos(2 * np.pi * modulator * t)))
    worst = np.abs(picture - formula).max()
    # the sound began earlier: its two phases are looked for, everything else is the same formula
    seconds = np.arange(len(sound)) / 48_000.0

    def off(turn):
        swing = depth / modulator * (np.cos(turn) - np.cos(2 * np.pi * modulator * seconds + turn))
        angle = 2 * np.pi * carrier * seconds + swing
        basis = np.stack([np.sin(angle), np.cos(angle)])
        weights, *_ = np.linalg.lstsq(basis.T, sound, rcond=None)
        return float(np.sqrt(np.mean((weights @ basis - sound) ** 2)))

    turn, step = min(np.linspace(0, 2 * np.pi, 180, endpoint=False), key=off), 2 * np.pi / 180
    while step > 1e-5:
        turn, step = min((turn - step, turn, turn + step), key=off), step / 2
    best = off(turn)
    text = f"picture off the formula by {worst:.4f}, sound by {best:.4f} (root mean square)"
    return text, worst < 0.01 and best < 0.02


def shader_toys():
    """B17."""
    with Playing("shader_toys", ("mouse_x", "mouse_y")) as playing:
        number = list(playing.frames(31))[-1]
        drawn = playing.pictures("corner", "middle", "polar")
        mouse = 0.1 * playing.at["mouse_x"], 0.1 * playing.at["mouse_y"]
    side = drawn["corner"].shape[0]
    u, v = np.meshgrid((np.arange(side) + 0.5) / side, 1.0 - (np.arange(side) + 0.5) / side)
    p, q = u - 0.5, v - 0.5
    places = {"corner": (u, v), "middle": (p, q), "polar": (np.hypot(p, q), np.arctan2(q, p) / (2 * np.pi))}
    worst = 0.0
    for name, (x, y) in places.items():
        expected = 4.0 * np.sin(mouse[0] * x + mouse[1] * y) + 0.5 * number / 60.0
        off = np.abs(drawn[name][..., 1] - np.mod(expected, 1.0))
        worst = max(worst, float(np.minimum(off, 1.0 - off).max()))  # a tooth ends where it begins
    return f"off the formula by {worst:.4f} at frame {number}", worst < 0.005


# --- Images as matrices -----------------------------------------------------------------------------------


def statistics(matrix, should):
    """The largest distance of a matrix from golden corners, mean and standard deviation."""
    last = matrix.shape[0] - 1
    at = [(0, 0), (0, 1), (0, last), (1, 0), (1, 1), (last, 0), (last, last), (31, 17)]
    found = [*(matrix[place] for place in at), matrix.mean(dtype=np.float64), matrix.std(dtype=np.float64)]
    key = "corners[00,01,0n,10,11,n0,nn,(31,17)]"
    return float(np.abs(np.array(found) - [*should[key], should["mean"], should["std"]]).max())


def matrices_of(patch, names, frames=1):
    """{name: matrix} of a patch's matrix neurons after some frames."""
    with Playing(patch) as playing:
        playing.after(frames)
        return {name: np.array(playing.stage.matrix(name), np.float64) for name in names}


def products_of_pictures():
    """D1."""
    known, (m, j) = golden("image_products")["synthetic64"], synthetic()
    names = {
        "weave": "M_stats",
        "checks": "J_stats",
        "show_plain": "show(M^T M)",
        "show_soft": "show(softcols(M)^T softcols(M)) with exp",
        "show_plus": "same with x+1",
        "show_soft_crossed": "show(softrows(J) softcols(M)) with exp",
    }
    found = matrices_of("products_of_pictures", [*names, "show_crossed", "show_plus_crossed"])
    worst = max(statistics(found[name], known[key]) for name, key in names.items())
    pairs = [
        (found["show_crossed"], show(j @ m)),
        (found["show_plus_crossed"], show(over_rows(j + 1) @ over_columns(m + 1))),
    ]
    own, close = obtained(pairs, 1e-4)
    return f"golden corners, means and deviations within {worst:.1e}, the other products within {own:.1e}", (
        worst < 1e-4 and close
    )


def signed_products():
    """D2."""
    m, j = (2.0 * x - 1.0 for x in synthetic())
    found = matrices_of("signed_products", ["show_itself", "show_crossed"])
    pairs = [(found["show_itself"], show(m.T @ m)), (found["show_crossed"], show(j @ m))]
    worst, close = obtained(pairs, 1e-5)
    tiny = golden("image_products")["tiny"]
    a, b = (draw_alone("signed", {"matrix": np.array(tiny[name])}, context=context()) for name in "AB")
    product = draw_alone("matmul", {"a": a, "b": b}, context=context())
    shown = draw_alone("stretch", {"matrix": product}, context=context())
    small = np.abs(shown - tiny["show(signed(A)@signed(B))"]).max()
    return f"within {worst:.1e}, the golden small one within {small:.1e}", close and small < 1e-6


def three_normalisations():
    """D3."""
    m, j = synthetic()
    found = matrices_of("three_normalisations", ["show_bare", "show_plus", "show_soft"])
    expected = {
        "show_bare": show(over_rows(j) @ over_columns(m)),
        "show_plus": show(over_rows(j + 1) @ over_columns(m + 1)),
        "show_soft": show(over_rows(np.exp(j)) @ over_columns(np.exp(m))),
    }
    worst, close = obtained([(found[name], expected[name]) for name in expected], 1e-4)
    bright = ", ".join(f"{name.removeprefix('show_')} {found[name].mean():.3f}" for name in expected)
    return f"within {worst:.1e}; mean brightness {bright}", close


def inner_sizes():
    """D5."""
    m, j = synthetic()
    sizes = (64, 32, 16, 8, 4, 1)
    found = matrices_of("inner_sizes", [f"show_{n}" for n in sizes])
    pairs, alike = [], {}
    for n in sizes:
        left = j.reshape(64, n, 64 // n).mean(axis=2)
        right = m.reshape(n, 64 // n, 64).mean(axis=1)
        product = over_rows(left + 1) @ over_columns(right + 1)
        if n > 1:  # with one inner element every row is alike and nothing but rounding is left to stretch
            pairs.append((found[f"show_{n}"], show(product)))
            alike[n] = np.corrcoef(found[f"show_{n}"].ravel(), found["show_64"].ravel())[0, 1]
    worst, close = obtained(pairs, 1e-4)
    told = ", ".join(f"{n}: {value:.3f}" for n, value in alike.items())
    return f"within {worst:.1e}; like the whole product at inner size {told}", close and alike[32] > 0.99


def sinkhorn():
    """D6."""
    _, j = synthetic()
    found = matrices_of("sinkhorn", [f"columns_{n}" for n in (1, 2, 3)] + [f"cloth_{n}" for n in (1, 2, 3)])
    pairs, off, x = [], [np.abs((j + 1).sum(axis=1) / (j + 1).sum() * 64 - 1).max()], j + 1
    for n in (1, 2, 3):
        x = over_columns(over_rows(x))
        pairs += [(found[f"columns_{n}"], x), (found[f"cloth_{n}"], show(x.T @ x))]
        off.append(np.abs(found[f"columns_{n}"].sum(axis=1) - 1.0).max())
    worst, close = obtained(pairs, 1e-4)
    told = ", ".join(f"{value:.1e}" for value in off)
    return f"within {worst:.1e}; rows off 1 before and after 1, 2, 3 rounds: {told}", close and off[1] < 0.02 and (
        off[3] <= off[1]
    )


def warp_cases():
    """The largest distance of `warp` from the golden displacements, in rows."""
    ramp = np.repeat(np.arange(64.0)[:, None], 128, axis=1)
    worst = 0.0
    for case in golden("image_transforms")["warp3"]:
        amount = 10.0 * (case["knob"] - 16) / 16
        inputs = {"matrix": ramp, "amount": amount, "wavelength": 8 * np.pi}
        bent = draw_alone("warp", inputs, context=context(), path="numpy")
        worst = max(worst, abs(float(bent[32, case["y_1based"] - 1]) - 32.0 - case["dx_rows"]))
    return worst


def warped_product():
    """D7."""
    m, _ = synthetic()
    shift = warp_cases()
    column = np.arange(1, 65)
    ends, pairs, means, raw_means = None, [], [], []
    with Playing("warped_product", ("knob",)) as playing:
        for number in playing.frames(97):
            row = np.arange(64)[:, None] + 10.0 * playing.at["knob"] * np.sin(column / 4.0)
            bent = sampled(m[..., None], row, np.broadcast_to(column - 1.0, (64, 64)))[..., 0]
            c = over_columns(bent + 1)
            product = c.T @ c
            now = np.array([product.min(), product.max()])
            ends = now if ends is None else ends + (now - ends) * (1.0 - np.exp(-1.0 / 24.0))
            seen = playing.stage.matrix("seen")
            if number % 12 == 0:
                pairs.append((seen, np.clip((product - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)))
            means.append(seen.mean())
            raw_means.append(show(product).mean())
    worst, close = obtained(pairs, 2e-3)
    steady, raw = np.abs(np.diff(means, 2)).max(), np.abs(np.diff(raw_means, 2)).max()
    text = (
        f"displacements within {shift:.1e} rows; pictures within {worst:.1e}; largest jerk of the mean brightness "
        f"{steady:.4f} where each frame by itself has {raw:.4f}"
    )
    return text, shift < 1e-4 and close and steady < raw


def warped(x, amount, wavelength):
    """Every column slid by a sine of its number, counted from 1."""
    column = np.arange(x.shape[1])
    row = np.arange(x.shape[0])[:, None] + amount * np.sin(2 * np.pi * (column + 1) / wavelength)
    return sampled(x[..., None], row, np.broadcast_to(column.astype(float), row.shape))[..., 0]


def chain_of_products():
    """D9."""
    pairs = []
    with TemporaryDirectory() as folder, Playing("warped_movie", ("slow",)) as playing:
        film = Path(folder) / "film.mkv"
        write_film(film, (64, 64), 120 * synthetic()[0])
        playing.edit(Setting("eye", "device", str(film)))
        for number in playing.frames(12):
            if number in (6, 11):
                now = {name: np.array(playing.stage.matrix(name)) for name in ("greys", "product", "seen", "chain")}
                bent = warped(now["greys"], 24 * playing.at["slow"], 60.0)
                pairs.append((256 * now["product"], 256 * (over_rows(bent + 1) @ over_columns(now["greys"] + 1))))
                columns = over_columns(warped(now["seen"], -24 * playing.at["slow"], 90.0) + 1)
                pairs.append((256 * now["chain"], 256 * (columns.T @ columns)))
    worst, close = obtained(pairs, 1e-4)
    spread = min(float(np.ptp(one)) for one, _ in pairs)
    return (
        f"products of size 1 within {worst:.1e}, their values spread over {spread:.3f}",
        close and worst < spread / 100,
    )


ROWS = (
    Row(
        "B1",
        "Image dataflow",
        "image_dataflow",
        "32 wave cases, negation and lerp of the golden table; each edge one frame late",
        image_dataflow,
    ),
    Row(
        "B2",
        "Image feedback loop",
        "image_feedback",
        "open at 0: the picture itself; closed: L1 = wave(L4), L3 = lerp(in, L1), L4 = lerp(in, L3), each a frame late",
        image_feedback,
    ),
    Row(
        "B3",
        "Program that rewrites itself on a schedule",
        "rewriting_program",
        "copies in frames 50 and 100, links in 150, blend 0 to 1 in 201-300 and back to 0.5 in 301-350",
        rewriting_program,
    ),
    Row(
        "B4",
        "Program that contains its own graph as a picture",
        "program_with_its_graph",
        "B3, and from the start a neuron of its own that draws the graph of the running matrix",
        program_with_its_graph,
    ),
    Row(
        "B14",
        "Surreal webcam",
        "surreal_webcam",
        "black without a camera; a film in its place frame by frame; keys for black and white and inverted",
        surreal_webcam,
    ),
    Row(
        "B16",
        "FM in sound and picture from the same formula",
        "fm_sound_and_picture",
        "sin(2 pi c t - d/m cos(2 pi m t)), m 30 Hz, c 440 Hz, d 200, heard and seen",
        fm_sound_and_picture,
    ),
    Row(
        "B17",
        "Shader toys",
        "shader_toys",
        "fract(4 sin(uv . 0.1 mouse) + t/2) from the corner, from the middle, in polar places",
        shader_toys,
    ),
    Row(
        "D1",
        "Products of pictures",
        "products_of_pictures",
        "the synthetic golden products within 1e-4 in float32 (those of the original photographs need them)",
        products_of_pictures,
    ),
    Row(
        "D2",
        "Signed normalisation",
        "signed_products",
        "show(signed(A) signed(B)) of the golden table; of the synthetic pictures by an independent computation",
        signed_products,
    ),
    Row(
        "D3",
        "exp, x+1 and identity",
        "three_normalisations",
        "each by an independent computation (the mean brightness .219, .276, .288 is that of the photographs)",
        three_normalisations,
    ),
    Row(
        "D5",
        "Inner sizes",
        "inner_sizes",
        "each by an independent computation; little changes down to half",
        inner_sizes,
    ),
    Row(
        "D6",
        "Sinkhorn rounds",
        "sinkhorn",
        "each round by an independent computation; near doubly stochastic after one",
        sinkhorn,
    ),
    Row(
        "D7",
        "Warped product as a steady animation",
        "warped_product",
        "golden displacements; warped products by an independent computation; no flicker",
        warped_product,
    ),
    Row(
        "D9",
        "Chains of warps and products, on a film",
        "warped_movie",
        "warped times plain picture, the warped product times itself, by independent computation",
        chain_of_products,
    ),
)

"""Pictures of the lineage: every row, and laws of what they are made of: waves, warps, movies, cameras, schedules."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from drawings import draw_alone, drawing_of, frame, gl_context, play
from running import lockstep, steps

from dmm_av.activations.graphs import connections
from dmm_av.activations.graphs import drawing_of as graph_drawing
from dmm_av.commands.lineage_rows.images import ASSETS, ROWS, synthetic, warp_cases, wave_cases
from dmm_av.engine.movie_file import MovieFile, rgba_of
from dmm_av.engine.stage import PictureEngine
from dmm_av.errors import DeviceError, MediaError
from dmm_av.io.camera import Camera

RATE, LENGTH = 25, 50
GOLDEN = json.loads((Path(__file__).parent / "fixtures" / "image_transforms.json").read_text("utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_shows_what_is_known_of_it(row):
    obtained, passed = row.obtain()
    assert passed, obtained


# Wave and warp


def test_the_golden_places_of_the_click_wave():
    error, wrong, count = wave_cases()
    assert count == len(GOLDEN["wave"])
    assert wrong == 0
    assert error < 0.02


@pytest.mark.parametrize("k", [1.0, 0.5])
def test_an_old_wave_freezes_to_a_zoom(k):
    ramp = np.ones((64, 64, 4)) * ((np.arange(64) + 0.5) / 64 - 0.5)[None, :, None]
    seen = draw_alone("wave", {"picture": ramp, "age": 1e7, "k": k}, size=(64, 64))[..., 0]
    limit = GOLDEN["wave_limit"][f"mod_limit_coef_{k:g}"]
    assert seen == pytest.approx(ramp[..., 0] * limit, abs=3e-3)


def test_the_golden_displacements_of_the_warp():
    assert warp_cases() < 1e-4


def test_a_slider_is_a_clipped_row():
    run = lockstep(
        "format: 1\nneurons:\n  slider: {is: clip, input: {one: 1.125, osc.y: -1.25}, low: 0, high: 1}\n"
        "  used: {is: solid, red: slider}\nmatrix:\n  screen.image: used\n"
    )
    for y, amount in GOLDEN["slider"].items():
        run.machine.hold(("y",), int(y) / 450)
        steps(run, 3)
        run.machine.refresh()
        assert run.machine.value("slider") == pytest.approx(amount, abs=1e-9)


# Stretch that follows


def stretched(context, matrices, follow):
    engine = PictureEngine(context, (16, 16))
    drawing, values, _ = drawing_of({"out": {"is": "stretch", "matrix": "m", "follow": follow}}, "out", (16, 16))
    found = []
    engine.feed("m", matrices[0])
    matrix_kind(engine, drawing)
    for number, matrix in enumerate(matrices):
        engine.feed("m", matrix)
        engine.draw(frame(number, values))
        found.append(engine.matrix("out").copy())
    engine.release()
    return found


def matrix_kind(engine, drawing):
    """Adopts a drawing whose outside sources are matrices."""
    passes = tuple(
        replace(
            one,
            rows=tuple(
                replace(row, terms=tuple(replace(term, kind="matrix") for term in row.terms)) for row in one.rows
            ),
        )
        for one in drawing.passes
    )
    assert engine.adopt(replace(drawing, passes=passes)) == []


def test_a_stretch_that_follows_brings_its_ends_nearer_by_the_same_part_every_frame():
    first, then = np.array([[0.0, 1.0]], np.float32), np.array([[1.0, 5.0]], np.float32)
    with gl_context() as context:
        found = stretched(context, [first, *[then] * 40], 0.25)
    low, high = 0.0, 1.0
    part = 1.0 - np.exp(-1.0 / 60.0 / 0.25)
    for matrix in found[1:]:
        low, high = low + (1.0 - low) * part, high + (5.0 - high) * part
        assert matrix == pytest.approx(np.clip((then - low) / (high - low), 0.0, 1.0), abs=1e-5)


def test_without_following_every_frame_is_stretched_by_itself():
    with gl_context() as context:
        found = stretched(context, [np.array([[0.0, 1.0]]), np.array([[1.0, 5.0]])], 0.0)
    assert found[1].tolist() == [[0.0, 1.0]]


# Numbers from files


def test_the_made_pictures_are_the_golden_formulas():
    for name, formula in zip(("weave", "checks"), synthetic(), strict=True):
        assert np.load(ASSETS / f"{name}.npy") == pytest.approx(formula, abs=1e-7)


def test_a_numpy_file_is_a_matrix_of_exact_numbers(tmp_path):
    numbers = np.array([[0.1, -7.25], [1e6, np.nan], [3.0, 2.0]])
    np.save(tmp_path / "n.npy", numbers)
    found = draw_alone("monochrome", {}, {"file": str(tmp_path / "n.npy")})
    assert found.tolist() == np.nan_to_num(numbers.astype(np.float32)).tolist()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY nonsense", b"words"])
def test_a_file_that_holds_no_matrix_is_a_sentence(tmp_path, content):
    (tmp_path / "n.npy").write_bytes(content)
    with pytest.raises(MediaError, match="matrix"):
        draw_alone("monochrome", {}, {"file": str(tmp_path / "n.npy")})


# Movies


def write_movie(path, codec="libx264", frames=LENGTH, size=(64, 36), base=20):
    """A movie whose frame n is the grey base + 4 n."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if codec == "libx264":
            stream.options = {"crf": "1", "g": "12", "threads": "1"}
        for number in range(frames):
            grey = np.full((size[1], size[0], 3), base + 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module", params=["film.mp4", "film.mkv"])
def film(request, tmp_path_factory):
    return write_movie(tmp_path_factory.mktemp("film") / request.param)


def number_of(movie, seconds, loop=True):
    """Which frame a movie shows at a time."""
    return round((float(rgba_of(movie.frame_at(seconds, loop)[1])[..., 0].mean()) - 20.0) / 4.0)


def due(seconds):
    return int(((seconds + 6e-4) % (LENGTH / RATE)) * RATE)


@pytest.mark.parametrize("way", [1, -1, 2.5, -3])
def test_every_frame_of_a_movie_is_seen_at_its_time_forwards_and_backwards(film, way):
    movie = MovieFile(film)
    times = [way * number / 60 for number in range(200)]
    assert [number_of(movie, time) for time in times] == [due(time) for time in times]
    movie.close()


def test_a_movie_can_be_scrubbed(film):
    movie = MovieFile(film)
    times = np.random.default_rng(4).uniform(-4.0, 6.0, 60)
    assert [number_of(movie, time) for time in times] == [due(time) for time in times]
    movie.close()


def test_without_loop_a_movie_stands_at_its_ends(film):
    movie = MovieFile(film)
    assert number_of(movie, -3.0, loop=False) == 0
    assert number_of(movie, 99.0, loop=False) == LENGTH - 1
    movie.close()


def shown(engine, frames, **more):
    """The frame that `film` shows in each picture; `more` are its settings and inputs."""
    drawing, values, _ = drawing_of({"film": {"is": "movie", **more}}, "film", engine.size)
    assert engine.adopt(drawing) == []
    seen = []
    for number in range(frames):
        assert engine.draw(frame(number, values)) == []
        seen.append(round((engine.picture("film")[10, 10, 0] * 255 - 20) / 4))
    return seen


@pytest.fixture
def engine():
    with gl_context() as context:
        engine = PictureEngine(context, (64, 36))
        yield engine
        engine.release()


@pytest.mark.parametrize(("rate", "position"), [(1.0, 0.0), (-0.5, 1.0), (0.0, 0.52), (2.0, 0.3)])
def test_picture_n_shows_the_movie_at_the_time_of_the_patch(engine, film, rate, position):
    seen = shown(engine, 130, file=str(film), rate=rate, position=position)
    assert seen == [due(position + rate * number / 60) for number in range(130)]


def test_the_same_movie_twice_is_the_same_bytes(engine, film):
    neurons = {"film": {"is": "movie", "file": str(film)}}
    runs = []
    for _ in range(2):
        play(engine, {"other": {"is": "solid"}}, "other")
        drawing, values, _ = drawing_of(neurons, "film", engine.size)
        engine.adopt(drawing)
        engine.clear_memory()
        pictures = []
        for number in range(12):
            engine.draw(frame(number, values))
            pictures.append(engine.screen_pixels().tobytes())
        runs.append(pictures)
    assert runs[0] == runs[1]


def test_a_missing_or_broken_movie_is_a_sentence_and_black(engine, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no movie at all" * 50)
    for name, words in (("none.mp4", "no movie file"), ("broken.mp4", "no movie that can be read")):
        problems = play(engine, {"film": {"is": "movie", "file": str(tmp_path / name)}}, "film")
        assert [one for one, _ in problems] == ["film"]
        assert words in problems[0][1]
        assert not engine.picture("film").any()


def test_another_movie_takes_over_and_a_saved_one_is_read_again(engine, tmp_path):
    one, two = write_movie(tmp_path / "one.mp4"), write_movie(tmp_path / "two.mp4", base=120, frames=20)
    assert shown(engine, 3, file=str(one), rate=0.0) == [0] * 3
    assert shown(engine, 3, file=str(two), rate=0.0) == [25] * 3
    write_movie(tmp_path / "two.mp4", base=60, frames=20)
    assert engine.reload(tmp_path / "two.mp4") == []
    assert shown(engine, 2, file=str(two), rate=0.0) == [10] * 2


# Cameras


def test_a_film_stands_in_for_a_camera(engine, film):
    drawing, values, _ = drawing_of({"eye": {"is": "camera", "device": str(film)}}, "eye", engine.size)
    assert engine.adopt(drawing) == []
    for number in range(0, 240, 31):
        engine.draw(frame(number, values))
        assert round((engine.picture("eye")[10, 10, 0] * 255 - 20) / 4) == due(number / 60)


def test_a_camera_that_is_not_there_is_a_sentence_and_black(engine, tmp_path):
    with pytest.raises(DeviceError, match="no camera"):
        Camera(str(tmp_path / "video7"))


class FakeCamera:
    """A camera whose pictures a test gives."""

    def __init__(self, device):
        self.device, self.problem, self.picture, self.is_closed = device, None, None, False
        FakeCamera.made.append(self)

    def newest(self):
        return self.picture

    def close(self):
        self.is_closed = True


def test_the_newest_picture_of_a_camera_is_shown_and_it_is_closed_when_nobody_looks(tmp_path):
    FakeCamera.made = []
    with gl_context() as context:
        engine = PictureEngine(context, (8, 4), cameras=FakeCamera)
        drawing, values, _ = drawing_of({"eye": {"is": "camera"}, "other": {"is": "camera"}}, "eye", (8, 4))
        assert engine.adopt(drawing) == []
        (camera,) = FakeCamera.made
        engine.draw(frame(0, values))
        assert not engine.picture("eye").any()
        for count, grey in enumerate((51, 102)):
            camera.picture = count, np.full((4, 8, 4), (grey, grey, grey, 255), np.uint8)
            engine.draw(frame(1 + count, values))
            assert engine.picture("eye")[0, 0].tolist() == pytest.approx([grey / 255] * 3 + [1.0], abs=1e-3)
        camera.problem = "The camera is gone."
        assert ("eye", "The camera is gone.") in engine.draw(frame(3, values))
        assert engine.picture("eye").any()  # the last picture stays
        play(engine, {"plain": {"is": "solid"}}, "plain")
        assert camera.is_closed
        engine.release()


# Schedules, times, graphs


PLAN = """
format: 1
rates: {tick: 60, frame: 60}
neurons:
  low: {is: sine, frequency: 2}
  sum: {is: accum.tree}
  author:
    is: schedule
    first: 2
    plan: [PLANNED]
matrix:
  self.delta: {author: 1}
"""


def weights_after(planned, ticks):
    run = lockstep(PLAN.replace("PLANNED", planned))
    steps(run, ticks)
    return run.machine.network.matrix.weights, run.machine.notices


def test_a_line_of_a_schedule_is_in_the_matrix_at_its_step():
    line = "10 add low.offset one 0.25"
    entry = ("low", "offset", "one", "out")
    assert weights_after(line, 9)[0].get(entry, 0.0) == 0.0
    assert weights_after(line, 10)[0][entry] == 0.25
    assert weights_after(line, 30)[0][entry] == 0.25


def test_a_range_of_steps_adds_in_every_one_of_them():
    weights, _ = weights_after("11-20 add low.offset one 0.01", 40)
    assert weights["low", "offset", "one", "out"] == pytest.approx(0.1, abs=1e-12)


def test_a_copy_has_the_rows_of_its_template():
    weights, _ = weights_after("5 copy low high", 20)
    assert weights["high", "frequency", "one", "out"] == 2.0
    assert weights["high", "activation", "library", "sine"] == 1.0


def test_a_plan_that_cannot_be_read_is_a_sentence():
    _, notices = weights_after("tomorrow add low.offset one 1", 5)
    assert any("no line of a plan" in notice.sentence for notice in notices)


def test_since_counts_from_each_rise():
    run = lockstep(
        "format: 1\nrates: {tick: 100, frame: 50}\nneurons:\n  age: {is: since, trigger: osc.go, rate: 50}\n"
        "matrix:\n  self.delta: {edits.osc: 1}\n"
    )
    seen = []
    for tick in range(60):
        if tick in (10, 40):
            run.machine.hold(("go",), 1.0, True)
        run.step()
        run.machine.refresh()
        seen.append(run.machine.value("age"))
    begun = seen.index(1.0)
    assert set(seen[:begun]) == {0.0}
    assert seen[begun : begun + 30] == pytest.approx(1.0 + 0.5 * np.arange(30))
    assert seen[begun + 30] == 1.0


def test_a_graph_has_a_dot_for_every_neuron_and_a_line_where_a_weight_is():
    tree = {
        "b": {"x": {"a": {"out": 2.0}}, "activation": {"library": {"sine": 1.0}}},
        "a": {"y": {"one": {"out": 1.0}}},
    }
    assert connections(tree) == {("a", "b"): 2.0}
    drawn = graph_drawing(connections(tree), 256)
    top, bottom, middle = (drawn[row, 126:130].max() for row in (20, 235, 128))
    assert top == bottom == 1.0
    assert 0.25 < middle < 0.6
    assert not drawn[128, 10:110].any()
    arriving, leaving = drawn[200, 126:130].max(), drawn[56, 126:130].max()
    assert arriving > leaving

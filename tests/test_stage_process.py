"""The stage: when frames are drawn, skipped and shown; and the process it is: how it starts, falls and ends."""

import dataclasses
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from virtual_display import VirtualDisplay

from dmm_av.engine.drawing import Component, Drawing, FrameValues, Pass, Row, Term
from dmm_av.io import stage_client
from dmm_av.io.offline_stage import OfflineStage
from dmm_av.io.stage_client import UNSENT_FRAMES, StageClient
from dmm_av.io.stage_messages import packed, received
from dmm_av.io.stage_process import HeardClock, Refresh, Stage
from dmm_av.io.video import read_picture
from dmm_av.ui.font import LETTERS, plain, written

ROOT = Path(__file__).resolve().parent.parent
SIZE = (320, 180)


def drawing(version=1, passes=()):
    """The screen shows the first number of a frame as grey."""
    return Drawing(version, SIZE, 4.0, tuple(passes), Row("image", 0))


def frame(number, grey=1.0, matrices=None, rate=60.0):
    return FrameValues(number, number / rate, 0.0, 0.0, rate, np.array([grey, 1.0]), matrices or {})


# The loop


class Engine:
    """A picture engine that keeps a record."""

    size, max_size = SIZE, 1024
    context = SimpleNamespace(finish=lambda: None)

    def __init__(self, steps=0):
        self.drawn, self.adopted, self.matrices, self.steps = [], [], [], steps
        self.cleared = 0

    def prepare(self, drawing):
        yield from range(self.steps)

    def adopt(self, drawing):
        if max(drawing.size) > self.max_size:
            return [("screen", "too large")]
        self.adopted.append((drawing.version, drawing.size))
        return []

    def draw(self, values, slot):
        self.drawn.append(values.number)
        self.matrices.append(values.matrices)
        return []

    def readback(self):
        return {"ear": {"out": 0.25}}

    def clear_memory(self):
        self.cleared += 1


class Script:
    """A channel that says one batch of messages each time round, then ends."""

    def __init__(self, *batches):
        self._batches = deque(batches)
        self.sent = []

    @property
    def is_open(self):
        return bool(self._batches)

    def messages(self):
        return self._batches.popleft()

    def send(self, *message):
        self.sent.append(message)

    def wait(self, timeout_s):
        pass

    def said(self, name):
        return [message[1:] for message in self.sent if message[0] == name]


def played(engine, *batches):
    script = Script(*batches)
    Stage(script, engine).run()
    return script


def test_every_frame_is_drawn_once_as_soon_as_its_state_exists():
    engine = Engine()
    script = played(engine, [("drawing", drawing())], *([("frame", 1, frame(n))] for n in range(5)))
    assert engine.drawn == [0, 1, 2, 3, 4]
    assert script.said("readback") == [(n, {"ear": {"out": 0.25}}) for n in range(5)]
    assert script.said("skipped") == []


def test_a_frame_not_begun_when_two_newer_states_exist_is_skipped_and_reported():
    engine = Engine()
    script = played(engine, [("drawing", drawing())], [("frame", 1, frame(n)) for n in range(4)], [], [])
    assert engine.drawn == [2, 3]
    assert script.said("skipped") == [((0, 1),)]


def test_what_only_a_skipped_frame_carried_is_drawn_with_the_next_one():
    engine = Engine()
    old, new, other = (np.full((2, 2), level, np.float32) for level in (0.0, 1.0, 2.0))
    carried = [{"map": old, "face": other}, {"map": new}, {}, {}]
    states = [("frame", 1, frame(n, matrices=matrices)) for n, matrices in enumerate(carried)]
    played(engine, [("drawing", drawing())], states, [])
    assert engine.drawn == [2, 3]
    assert engine.matrices == [{"map": new, "face": other}, {}]


def test_the_former_drawing_goes_on_until_the_new_one_is_ready():
    engine = Engine(steps=3)
    first = [[("drawing", drawing(1))], [], [], []]
    former = [[("frame", 1, frame(n))] for n in range(2)]
    script = played(engine, *first, [("drawing", drawing(2)), *former[0]], former[1], [], [], [("frame", 2, frame(2))])
    assert engine.drawn == [0, 1, 2]
    assert script.said("ready") == [(1,), (2,)]
    assert script.said("skipped") == []


def test_drawings_that_come_faster_than_they_are_ready_do_not_keep_each_other_from_it():
    engine = Engine(steps=2)
    played(engine, *([("drawing", drawing(version))] for version in range(1, 8)), [], [], [], [], [], [])
    assert [version for version, _ in engine.adopted] == [1, 4, 7]


def test_a_drawing_too_large_for_the_gpu_is_drawn_at_the_former_size():
    engine = Engine()
    large = dataclasses.replace(drawing(), size=(4096, 16))
    script = played(engine, [("drawing", large)], [("frame", 1, frame(0))])
    assert engine.adopted == [(1, SIZE)]
    assert engine.drawn == [0]
    assert script.said("error") == [("screen", "too large")]


def test_a_frame_laid_out_by_another_drawing_is_never_drawn():
    engine = Engine()
    script = played(engine, [("drawing", drawing(2))], [("frame", 1, frame(0))], [("frame", 2, frame(1))], [])
    assert engine.drawn == [1]
    assert script.said("skipped") == [((0,),)]


def test_panic_clears_the_memory_of_pictures():
    engine = Engine()
    played(engine, [("panic", True)])
    assert engine.cleared == 1


# The time of a picture


def test_a_picture_is_due_when_its_first_sample_is_heard():
    clock = HeardClock(host_s=100.0, sample=48_000, samples_per_s=48_000.0, rate=48_000)
    assert clock.due(60, 60.0) == 100.0
    assert clock.due(75, 60.0) == 100.25
    fast = HeardClock(host_s=100.0, sample=48_000, samples_per_s=96_000.0, rate=48_000)
    assert fast.due(90, 60.0) == 100.25


def shown_refreshes(rate, phase, seconds=4.0, screen=60.0, jitter=0.0, stall=(0.0, 0.0)):
    """[(picture, refresh of the screen at which it comes out, how late that is)] of pictures of this rate.

    stall   (from, to): nothing can be shown between these times
    """
    random = np.random.default_rng(1)
    times = 1.0 + np.arange(int(seconds * rate)) / rate + phase / screen
    dues = deque(enumerate(times + jitter * random.standard_normal(len(times))))
    refresh, now, shown = Refresh(1.0 / screen), 0.0, []
    while dues:
        now = max(refresh.start(dues[0][1]), now)
        if stall[0] < now < stall[1]:
            now = stall[1]
        for _ in range(refresh.taken([due for _, due in dues][:24], now)):
            number, due = dues.popleft()
        began, slot = now, int(np.ceil(now * screen + 1e-9))
        now = slot / screen + 1e-5
        refresh.shown(due, began, now)
        shown.append((number, slot, now - due))
    return np.array(shown[5:])  # the first has no predecessor to keep its distance to


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.49, 0.5, 0.51, 0.75])
def test_pictures_at_the_rate_of_the_screen_take_every_refresh_whatever_the_jitter(phase):
    shown = shown_refreshes(60.0, phase, jitter=0.001)
    assert set(np.diff(shown[:, 0])) == {1} and set(np.diff(shown[:, 1])) == {1}


def test_pictures_at_half_the_rate_take_every_other_refresh():
    shown = shown_refreshes(30.0, 0.5, jitter=0.001)
    assert set(np.diff(shown[:, 0])) == {1} and set(np.diff(shown[:, 1])) == {2}


def test_of_pictures_at_twice_the_rate_every_other_one_is_shown():
    shown = shown_refreshes(120.0, 0.25, jitter=0.001)
    assert set(np.diff(shown[:, 0])) == {2} and set(np.diff(shown[:, 1])) == {1}


def test_pictures_a_little_slower_than_the_screen_stay_in_time():
    shown = shown_refreshes(59.9, 0.2, seconds=20.0)
    assert set(np.diff(shown[:, 1])) == {1, 2}
    assert (np.diff(shown[:, 1]) == 2).sum() == pytest.approx(2, abs=1)  # 60 - 59.9 a second, for 20 s
    assert np.abs(shown[:, 2]).max() < 0.8 / 60.0


def test_after_a_stall_pictures_that_are_too_late_are_left_out():
    shown = shown_refreshes(60.0, 0.3, stall=(2.0, 2.2))
    assert 1 <= (np.diff(shown[:, 0]) > 1).sum() <= 2
    assert np.abs(shown[shown[:, 1] > 60 * 2.25, 2]).max() < 0.8 / 60.0


def test_a_screen_that_never_waits_gets_pictures_at_their_time():
    refresh = Refresh(1.0 / 60.0)
    for number in range(20):
        refresh.shown(number / 60.0, number / 60.0, number / 60.0 + 1e-4)
    assert not refresh.is_known
    assert refresh.start(7.0) == pytest.approx(7.0, abs=2e-4)


def test_a_slow_show_begins_earlier_so_that_its_picture_is_there_in_time():
    refresh = Refresh(0.0)
    for number in range(100):
        began = refresh.start(number / 60.0)
        refresh.shown(number / 60.0, began, began + 0.008)
    assert refresh.start(7.0) + 0.008 == pytest.approx(7.0, abs=1e-4)


# Messages


def test_messages_go_through_a_pipe_and_its_end_is_none():
    message = ("frame", 1, frame(3, 0.5, {"map": np.eye(3, dtype=np.float32)}))
    pipe = io.BytesIO(packed(message) + packed(("stop",)) + packed(("cut",))[:-1])
    name, version, values = received(pipe)
    assert (name, version, values.number, values.values.tolist()) == ("frame", 1, 3, [0.5, 1.0])
    assert np.array_equal(values.matrices["map"], np.eye(3))
    assert received(pipe) == ("stop",)
    assert received(pipe) is None


# Letters


def test_every_letter_of_the_keyboard_is_drawn_and_others_are_spelled():
    assert set(map(chr, range(0x20, 0x7F))) == set(LETTERS)
    assert plain("Größe 3 × 4 → café…") == "Grosse 3 x 4 -> cafe..."


def test_written_text_has_ink_where_its_letters_have():
    points = written(["I", "", "l"])
    assert (points[3:10, 4:9] == LETTERS["I"]).all()
    assert (points[23:30, 4:9] == LETTERS["l"]).all()
    assert not points[10:23].any()


# The process


@pytest.fixture(scope="module")
def display():
    with VirtualDisplay((800, 600)) as display:
        yield display


@pytest.fixture
def on_display(display, monkeypatch):
    monkeypatch.setenv("DISPLAY", display.name)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return display


@pytest.fixture
def nowhere(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


class Machine:
    """Sends frames at the patch's rate like the machine, and collects what the stage says."""

    def __init__(self, client):
        self.client, self.events = client, []
        self.number, self.began = 0, time.perf_counter()

    def run(self, until, seconds=10.0, grey=1.0, matrices=None, rate=60.0):
        """Sends frames until a condition on the events holds; fails when the time is over."""
        deadline = time.perf_counter() + seconds
        while not until():
            assert time.perf_counter() < deadline, self.events[-10:]
            self.client.send_frame(frame(self.number, grey, matrices, rate))
            self.number += 1
            self.hear()
            time.sleep(1.0 / rate)

    def hear(self):
        self.events += self.client.poll()

    def said(self, name):
        self.hear()
        return [event[1:] for event in self.events if event[0] == name]

    def wait_for(self, name, seconds=10.0):
        deadline = time.perf_counter() + seconds
        while not self.said(name):
            assert time.perf_counter() < deadline, self.events[-10:]
            time.sleep(0.005)
        return self.said(name)[-1]


def is_gone(pid):
    """Whether no such process runs; one that nobody reaped yet has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def processor_seconds(pid):
    """What a process has used so far; unlike the time on the wall it does not depend on what else is running."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_gone(pid, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not is_gone(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


def greys(picture, level, box=(0, 0, *SIZE)):
    left, top, right, bottom = box
    return np.abs(picture[top:bottom, left:right].astype(int) - level).max() <= 3


def test_a_window_shows_the_drawing_after_little_work(on_display):
    with StageClient(SIZE) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.run(lambda: machine.said("shown"), grey=0.5)
        assert processor_seconds(client.pid) < 1.5
        on_display.until(lambda shown: greys(shown, 128))
        assert on_display.windows() == [(0, 0, *SIZE)]
        assert machine.said("hello")[0][0] and machine.said("hello")[0][2] is True
        pid = client.pid
    assert is_gone(pid)


GRADIENT = Pass("sky", (Component("gradient"),), ())  # red to the right, green upwards


def of_sky(version=1, passes=(GRADIENT,)):
    """The screen shows the neuron `sky`, as bright as the first number of a frame says."""
    return Drawing(version, SIZE, 4.0, tuple(passes), Row("image", -1, (Term("sky", "out", "image", 0),)))


def assert_upright(picture, tolerance):
    """Pixels of 0..1, top row first."""
    across = (np.arange(SIZE[0]) + 0.5) / SIZE[0]
    up = 1.0 - (np.arange(SIZE[1]) + 0.5) / SIZE[1]
    assert np.abs(picture[..., 0] - across).max() < tolerance
    assert np.abs(picture[..., 1] - up[:, None]).max() < tolerance


def test_a_picture_stands_upright_in_window_screenshot_and_film(on_display, tmp_path):
    with StageClient(SIZE) as client:
        client.send_drawing(of_sky())
        machine = Machine(client)
        machine.run(lambda: machine.said("shown"))
        shown = on_display.until(lambda shown: shown[90, 310, 0] > 200)
        client.screenshot(tmp_path / "sky.png")
        machine.wait_for("screenshot")
    assert_upright(shown[: SIZE[1], : SIZE[0]] / 255.0, 2.5 / 255.0)
    assert_upright(read_picture(tmp_path / "sky.png"), 2.5 / 255.0)
    with OfflineStage(SIZE) as stage:
        stage.adopt(of_sky())
        assert_upright(stage.draw(frame(0)) / 255.0, 2.5 / 255.0)


def test_what_is_measured_in_a_picture_comes_back_with_the_number_of_its_frame(nowhere):
    ear = Pass("ear", (Component("level.image"),), (Row("picture", -1, (Term("sky", "out", "image", 1),)),))
    listening = dataclasses.replace(of_sky(passes=(GRADIENT, ear)), readbacks=("ear",))
    with StageClient(SIZE, headless=True) as client:
        client.send_drawing(listening)
        machine = Machine(client)
        machine.wait_for("ready")
        machine.run(lambda: len(machine.said("readback")) >= 3)
        for number, numbers in machine.said("readback"):
            assert 0 <= number < machine.number
            assert numbers["ear"]["red"] == pytest.approx(0.5, abs=0.02)
            assert numbers["ear"]["top"] > numbers["ear"]["bottom"]


def test_a_window_goes_on_while_shaders_of_the_next_drawing_are_compiled(on_display):
    clouds = [Pass(f"cloud_{n}", (Component("noise.image"),), (), (("octaves", n),)) for n in range(1, 7)]
    with StageClient(SIZE) as client:
        client.send_drawing(of_sky())
        machine = Machine(client)
        machine.run(lambda: len(machine.said("shown")) > 10)
        first = len(machine.said("shown")) - 1
        client.send_drawing(of_sky(2, (GRADIENT, *clouds)))
        deadline = time.perf_counter() + 20.0
        while (2,) not in machine.said("ready"):
            assert time.perf_counter() < deadline
            client.send_frame(frame(machine.number), version=1)
            machine.number += 1
            time.sleep(1.0 / 60.0)
        machine.run(lambda: machine.said("shown")[-1][0] == machine.number - 1)
    assert np.diff([host for _, host, _ in machine.said("shown")[first:]]).max() < 1.0


def test_a_shader_that_is_broken_by_a_save_is_explained_and_the_last_good_one_stays(on_display, tmp_path):
    path = tmp_path / "tint.glsl"
    header = "/*\nname: tint\nabout: One colour.\n*/\n"
    path.write_text(header + "vec4 tint(vec2 uv) { return vec4(0.0, 1.0, 0.0, 1.0); }\n")

    def is_shown(colour):
        return lambda shown: (shown[90, 160] == colour).all()

    with StageClient(SIZE, shader_folders=[tmp_path]) as client:
        client.send_drawing(of_sky(passes=[Pass("sky", (Component("tint"),), ())]))
        machine = Machine(client)
        machine.run(lambda: machine.said("shown"))
        on_display.until(is_shown((0, 255, 0)))
        path.write_text(header + "vec4 tint(vec2 uv) { return vec4(red, 0.0, 0.0, 1.0); }\n")
        client.reload(path)
        machine.run(lambda: machine.said("error"))
        assert machine.said("error")[0][0] == "sky"
        assert "line 5: `red' undeclared" in machine.said("error")[0][1]
        on_display.until(is_shown((0, 255, 0)))
        path.write_text(header + "vec4 tint(vec2 uv) { return vec4(1.0, 0.0, 0.0, 1.0); }\n")
        client.reload(path)
        machine.events.clear()
        machine.run(lambda: len(machine.said("shown")) > 5)
        on_display.until(is_shown((255, 0, 0)))
        assert machine.said("error") == []


def test_pictures_are_shown_when_their_sound_is_heard(on_display):
    with StageClient(SIZE) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.wait_for("ready")
        heard_from = time.perf_counter() + 0.3
        client.send_clock(heard_from, 0, 48_000.0, 48_000)
        machine.run(lambda: len(machine.said("shown")) >= 60)
    shown = machine.said("shown")
    assert [number for number, *_ in shown] == sorted(number for number, *_ in shown)
    due = np.array([due for _, _, due in shown])
    assert due == pytest.approx([heard_from + number / 60.0 for number, *_ in shown], abs=1e-6)
    late = np.array([host for _, host, _ in shown]) - due
    assert late.min() > -0.02
    assert np.percentile(late, 10) < 0.01  # the others, where nothing else held up the processor


def test_what_the_player_presses_arrives_by_name_and_outlasts_a_fall(on_display):
    with StageClient(SIZE) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.run(lambda: machine.said("shown"))
        on_display.until(lambda shown: greys(shown, 255))
        on_display.point(100, 100)
        on_display.press("ctrl+z", "ctrl+period", "x")
        machine.run(lambda: ("x", 0) in machine.said("key"))
        assert machine.said("action") == [("undo",), ("panic",)]
        on_display.press("F11")
        machine.wait_for("fullscreen")
        os.kill(client.pid, signal.SIGKILL)
        machine.run(lambda: machine.said("restarted") and on_display.windows() == [(0, 0, 800, 600)])
        on_display.press("Escape")
        machine.run(lambda: on_display.windows() == [(0, 0, *SIZE)])
        on_display.close_windows()
        machine.wait_for("closed")
        wait_until_gone(client.pid)
        assert client.restarts == 1


def test_text_is_over_the_picture_but_never_in_a_screenshot(on_display, tmp_path):
    path = tmp_path / "still.png"
    with StageClient(SIZE) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.run(lambda: machine.said("shown"), grey=0.5)
        on_display.until(lambda shown: greys(shown, 128))
        on_display.point(100, 100)
        on_display.press("question")
        client.notice("A sentence")
        on_display.until(lambda shown: (shown[:120, 40:280] == 255).any() and (shown[160:180, :100] == 255).any())
        client.screenshot(path)
        assert machine.wait_for("screenshot") == (str(path),)
        on_display.press("question")
        on_display.until(lambda shown: greys(shown, 128, (0, 0, SIZE[0], 150)))
    picture = read_picture(path)
    assert picture.shape == (SIZE[1], SIZE[0], 4)
    assert picture == pytest.approx(np.broadcast_to([0.5, 0.5, 0.5, 1.0], picture.shape), abs=0.01)


def test_the_picture_fills_the_screen_in_its_own_shape(on_display):
    with StageClient(SIZE, fullscreen=True) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.run(lambda: machine.said("shown"))
        on_display.until(
            lambda shown: (
                greys(shown, 255, (0, 76, 800, 524))
                and greys(shown, 0, (0, 0, 800, 74))
                and greys(shown, 0, (0, 526, 800, 600))
            )
        )
        client.fullscreen(False)
        on_display.until(lambda shown: greys(shown, 255) and greys(shown, 0, (330, 0, 800, 600)))


def test_panic_is_black_until_it_is_over(on_display):
    with StageClient(SIZE) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.run(lambda: machine.said("shown"))
        on_display.until(lambda shown: greys(shown, 255))
        client.panic(True)
        on_display.until(lambda shown: greys(shown, 0))
        client.panic(False)
        on_display.until(lambda shown: greys(shown, 255))


def test_a_killed_stage_is_back_with_its_picture_at_once(on_display):
    with StageClient(SIZE) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.run(lambda: machine.said("shown"), grey=0.5)
        on_display.until(lambda shown: greys(shown, 128))
        fallen = client.pid
        os.kill(fallen, signal.SIGKILL)
        count = len(machine.said("shown"))
        machine.run(lambda: machine.said("restarted"), seconds=1.0, grey=0.5)
        machine.run(lambda: len(machine.said("shown")) > count, grey=0.5)
        assert processor_seconds(client.pid) < 1.5
        on_display.until(lambda shown: greys(shown, 128))
        assert (client.restarts, client.alive, is_gone(fallen)) == (1, True, True)
        assert machine.said("restarted")[0][1].startswith("The window's process ended with code -9")


def test_a_stage_without_a_sign_of_life_is_put_up_anew(nowhere):
    with StageClient(SIZE, headless=True, patience_s=1.0) as client:
        machine = Machine(client)
        machine.wait_for("hello")
        hung = client.pid
        os.kill(hung, signal.SIGSTOP)
        machine.wait_for("restarted", 5.0)
        assert "no sign of life" in machine.said("restarted")[0][1]
        assert is_gone(hung)


def test_a_stage_with_nothing_to_do_is_alive(nowhere):
    with StageClient(SIZE, headless=True, patience_s=1.0) as client:
        machine = Machine(client)
        machine.wait_for("hello")
        machine.wait_for("stats")
        machine.events.clear()
        machine.wait_for("stats")
        machine.events.clear()
        machine.wait_for("stats")
        assert client.restarts == 0


def test_a_stage_that_falls_at_once_is_started_ever_more_slowly(monkeypatch):
    monkeypatch.setattr(stage_client, "_PAUSES_S", (0.0, 0.0, 60.0))
    with StageClient(SIZE, program="no_such_program") as client:
        machine = Machine(client)
        machine.wait_for("restarted")
        assert "No module named no_such_program" in machine.said("restarted")[0][1]
        while client.alive:
            time.sleep(0.01)
        stopping = time.perf_counter()
    assert time.perf_counter() - stopping < 2.0
    assert client.restarts == 1


def test_matrices_of_frames_that_could_not_be_sent_go_with_the_next_one(nowhere):
    client = StageClient(SIZE, headless=True)
    with client:
        machine = Machine(client)
        machine.wait_for("hello")
        os.kill(client.pid, signal.SIGSTOP)
        large = np.zeros((512, 512), np.float32)  # more than a pipe holds
        for number in range(UNSENT_FRAMES + 4):
            client.send_frame(frame(number, matrices={f"map_{number}": large}))
        machine.wait_for("skipped")
        os.kill(client.pid, signal.SIGCONT)
        dropped = [number for (numbers,) in machine.said("skipped") for number in numbers]
        assert 3 <= len(dropped) <= 4
        _, _, sent = client._child._next()
        assert {f"map_{number}" for number in dropped} < set(sent.matrices)


def test_every_frame_is_drawn_or_reported_without_window_and_display_too(nowhere):
    with StageClient(SIZE, headless=True) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.wait_for("ready")
        machine.run(lambda: machine.number == 120)
        deadline = time.perf_counter() + 10.0
        drawn = skipped = 0
        while drawn + skipped < 120:
            assert time.perf_counter() < deadline
            machine.wait_for("stats")
            drawn = sum(figures["drawn"] for (figures,) in machine.said("stats"))
            skipped = sum(len(numbers) for (numbers,) in machine.said("skipped"))
            time.sleep(0.01)
        assert drawn + skipped == 120 and drawn > skipped
        assert machine.said("hello")[0][2] is False
        assert machine.said("shown") == []


def test_a_stage_that_finds_no_display_says_so_and_draws_unseen(nowhere, tmp_path):
    with StageClient(SIZE) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.wait_for("ready")
        (who, sentence), *_ = machine.said("error")
        assert who == "stage" and sentence.startswith("No window:")
        machine.run(lambda: machine.said("stats"))
        client.screenshot(tmp_path / "unseen.png")
        machine.wait_for("screenshot")
    assert read_picture(tmp_path / "unseen.png").shape == (SIZE[1], SIZE[0], 4)


def test_a_screenshot_that_cannot_be_written_is_a_sentence(nowhere, tmp_path):
    with StageClient(SIZE, headless=True) as client:
        client.send_drawing(drawing())
        machine = Machine(client)
        machine.wait_for("ready")
        machine.run(lambda: machine.said("stats"))
        client.screenshot(tmp_path / "missing" / "still.png")
        who, sentence = machine.wait_for("error")
        assert who == "stage" and "still.png" in sentence
        assert client.restarts == 0


def test_ctrl_c_is_left_to_the_machine(nowhere):
    with StageClient(SIZE, headless=True) as client:
        machine = Machine(client)
        machine.wait_for("hello")
        assert os.getpgid(client.pid) == client.pid  # not in the terminal's group
        os.kill(client.pid, signal.SIGINT)
        machine.wait_for("stats")
        assert client.restarts == 0


def test_a_stage_ends_when_its_machine_dies(nowhere):
    program = (
        "import sys, time\n"
        "from dmm_av.io.stage_client import StageClient\n"
        "client = StageClient((64, 64), headless=True)\n"
        "client.start()\n"
        "while not any(event[0] == 'hello' for event in client.poll()): time.sleep(0.01)\n"
        "print(client.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    machine = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        pid = int(machine.stdout.readline())
        assert not is_gone(pid)
    finally:
        machine.kill()
        machine.wait()
        machine.stdout.close()
    wait_until_gone(pid)


def test_sending_never_waits_for_the_stage(nowhere):
    with StageClient(SIZE, headless=True) as client:
        machine = Machine(client)
        machine.wait_for("hello")
        os.kill(client.pid, signal.SIGSTOP)
        large = np.zeros((1024, 1024), np.float32)
        client.send_drawing(drawing(passes=[Pass("map", (), ())]))
        slowest = 0.0
        for number in range(100):
            began = time.perf_counter()
            client.send_frame(frame(number, matrices={"map": large}))
            slowest = max(slowest, time.perf_counter() - began)
        os.kill(client.pid, signal.SIGCONT)
        assert slowest < 0.05
        assert sum(len(numbers) for (numbers,) in machine.said("skipped")) >= 90


# In lock-step


def test_the_offline_stage_gives_every_frame_as_pixels():
    with OfflineStage(SIZE) as stage:
        assert stage.adopt(drawing()) == []
        for number, grey in enumerate((0.0, 0.5, 1.0, -1.0)):
            pixels = stage.draw(frame(number, grey))
            assert (pixels.shape, pixels.dtype) == ((SIZE[1], SIZE[0], 4), np.uint8)
            assert greys(pixels[..., :3], round(255 * max(grey, 0.0)))
        assert stage.readback() == {}
        assert re.search(r"\w", stage.renderer)

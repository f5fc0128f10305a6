"""The window: what it shows, what it hears, how it opens and closes; and the GL context without one."""

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import moderngl
import pytest
from virtual_display import VirtualDisplay

from dmm_av.errors import DeviceError
from dmm_av.io.window import headless_context

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(__file__).with_name("window_program.py")
RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)


class WindowProgram:
    """`window_program.py` on a display, and the lines it writes."""

    def __init__(self, environment, **options):
        environment = {**environment, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), json.dumps(options)], env=environment, stdout=subprocess.PIPE, text=True
        )
        self.lines = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def next(self, *names):
        """The next line that begins with one of these words."""
        while True:
            line = self.lines.get(timeout=10.0)
            if line[0] in names:
                return line

    def size(self):
        """[width, height, whether it is full screen], after the next change."""
        return self.next("size")[1:]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def display():
    with VirtualDisplay((800, 600)) as display:
        yield display


@pytest.fixture
def opened(display):
    programs = []

    def opened(**options):
        programs.append(WindowProgram(display.environment, **options))
        return programs[-1]

    yield opened
    for program in programs:
        program.close()


def test_a_window_shows_what_is_drawn_with_y_up(display, opened):
    opened(size=[320, 180])
    display.until(lambda shown: tuple(shown[20, 160]) == GREEN and tuple(shown[160, 160]) == RED)
    assert display.windows() == [(0, 0, 320, 180)]
    assert tuple(display.picture()[200, 400]) == BLACK


def test_a_window_has_opengl_3_3_or_later(opened):
    assert opened(size=[64, 64]).next("open")[1] >= 330


def test_a_window_larger_than_its_monitor_is_shrunk_and_keeps_its_shape(opened):
    assert opened(size=[1600, 900]).size() == [800, 450, False]


def test_keys_with_the_command_key_are_named_actions(display, opened):
    program = opened(size=[320, 180])
    program.next("size")
    display.until(lambda shown: tuple(shown[20, 160]) == GREEN)
    display.point(100, 100)
    keys = {
        "ctrl+period": "panic",
        "ctrl+z": "undo",
        "ctrl+shift+z": "redo",
        "ctrl+y": "redo",
        "ctrl+s": "save",
        "ctrl+shift+s": "screenshot",
        "question": "help",
    }
    display.press(*keys)
    assert [program.next("action")[1] for _ in keys] == list(keys.values())


def test_other_keys_and_the_mouse_are_data(display, opened):
    program = opened(size=[320, 180])
    program.next("size")
    display.until(lambda shown: tuple(shown[20, 160]) == GREEN)
    display.point(80, 45)
    while program.next("mouse")[1:] != [0.25, 0.75]:
        pass  # where the mouse was before
    display.press("a", "5", "Left", "Escape")
    names = ["a", "digit_5", "left", "escape"]
    assert [program.next("key") for _ in range(8)] == [["key", name, on] for name in names for on in (1, 0)]
    display.xdotool("click", "3")
    assert [program.next("button") for _ in range(2)] == [["button", "right", 1], ["button", "right", 0]]


def test_f11_fills_the_monitor_and_gives_it_back_and_escape_only_gives_it_back(display, opened):
    program = opened(size=[320, 180])
    assert program.size() == [320, 180, False]
    display.until(lambda shown: tuple(shown[20, 160]) == GREEN)
    display.point(100, 100)
    for leaving in ("F11", "Escape"):
        display.press("F11")
        assert program.size() == [800, 600, True]
        display.until(lambda shown: tuple(shown[590, 790]) == RED)
        display.press(leaving)
        assert program.size() == [320, 180, False]
    display.press("Escape")
    assert [program.next("key", "closed") for _ in range(2)] == [["key", "escape", 1], ["key", "escape", 0]]


def test_a_window_can_open_full_screen(opened):
    assert opened(size=[320, 180], fullscreen=True, monitor=0).size() == [800, 600, True]


def test_the_close_button_closes(display, opened):
    program = opened(size=[320, 180])
    program.next("size")
    display.until(lambda shown: tuple(shown[20, 160]) == GREEN)
    display.close_windows()
    program.next("closed")
    assert program.process.wait(5.0) == 0


def test_an_unknown_monitor_is_answered_with_the_known_ones(opened):
    sentence = opened(size=[320, 180], monitor=3).next("error")[1]
    assert sentence == "--monitor 3: there is no such monitor. Known: 0 (screen, 800 × 600)."


def test_without_a_display_a_sentence_says_so():
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    program = WindowProgram(environment, size=[320, 180])
    try:
        sentence = program.next("error")[1]
    finally:
        program.close()
    assert sentence.startswith("No window: there is no display to open it on")
    assert "`--headless`" in sentence


def test_monitors_are_listed_by_number(display):
    said = subprocess.run(
        [sys.executable, "-c", "from dmm_av.io.window import monitors; print(monitors())"],
        env=display.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert said.stdout == "['0 (screen, 800 × 600)']\n", said.stderr


# Without a window


def test_a_context_without_a_display_draws():
    code = (
        "from dmm_av.io.window import headless_context as h; c = h(); f = c.simple_framebuffer((2, 2), 4);"
        "f.use(); f.clear(0.0, 1.0, 0.0, 1.0); print(c.version_code >= 330, list(f.read(components=4)[:4]))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert said.stdout == "True [0, 255, 0, 255]\n", said.stderr


def test_where_there_is_no_opengl_a_sentence_says_so(monkeypatch):
    def refuse(**_):
        raise Exception("eglInitialize failed (0x3001)")

    monkeypatch.setattr(moderngl, "create_context", refuse)
    with pytest.raises(DeviceError, match=r"^No pictures: .* \(eglInitialize failed \(0x3001\)\)\. Install"):
        headless_context()

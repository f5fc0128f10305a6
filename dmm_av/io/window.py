"""The window and its GL context, and a GL context without any window. What is drawn is not known here.

Foreign spellings (GLFW's keys, modifiers and monitors) end in this file: what a player does arrives as named
actions (`panic undo redo save screenshot help`) and as data (keys, mouse).
"""

import ctypes
import os
import sys
import time

import moderngl

from dmm_av.errors import DeviceError

# The wheel for Linux brings one library for each, and by itself asks how the user logged in, not what there is.
os.environ.setdefault("PYGLFW_LIBRARY_VARIANT", "wayland" if os.environ.get("WAYLAND_DISPLAY") else "x11")

import glfw  # noqa: E402

OPENGL = (3, 3)

_COMMAND = glfw.MOD_SUPER if sys.platform == "darwin" else glfw.MOD_CONTROL
# (key, with shift): the key as it is labelled on the player's keyboard
_ACTIONS = {
    (".", False): "panic",
    ("z", False): "undo",
    ("z", True): "redo",
    ("y", False): "redo",
    ("s", False): "save",
    ("s", True): "screenshot",
}
_REPEATING = {"undo", "redo"}
_NAMES = {
    value: name.removeprefix("KEY_").lower()
    for name, value in vars(glfw).items()
    if name.startswith("KEY_") and isinstance(value, int) and value >= 0
}
_BUTTONS = {0: "left", 1: "right", 2: "middle"}
_NO_CONTEXT = (
    "No pictures: this computer offers no OpenGL 3.3 without a display{reason}. "
    "Install a driver (Debian and Ubuntu: `apt install libegl1 libgl1-mesa-dri`); sound and control go on."
)


def _because(reason):
    reason = " ".join(str(reason).split()).rstrip(".")
    return f" ({reason})" if reason else ""


def headless_context():
    """A GL context that needs no display: EGL on Linux, the system's own way elsewhere.

    Raises `DeviceError` with a sentence where there is none.
    """
    settings = {"backend": "egl"} if sys.platform.startswith("linux") else {}
    try:
        return moderngl.create_context(require=330, standalone=True, **settings)
    except Exception as error:  # moderngl and its backends raise plain `Exception`
        raise DeviceError(_NO_CONTEXT.format(reason=_because(error))) from error


_complaints = []  # of GLFW, which has one place for them in a process


def _complain(_code, description):
    _complaints[:] = [description.decode(errors="replace")]


def _begin():
    _complaints.clear()
    glfw.set_error_callback(_complain)
    if not glfw.init():
        raise DeviceError(
            f"No window: there is no display to open it on{_because(_complaints[-1] if _complaints else '')}. "
            "Set `DISPLAY` or `WAYLAND_DISPLAY`, or play with `--headless`."
        )


def _name(number, monitor):
    mode, name = glfw.get_video_mode(monitor), glfw.get_monitor_name(monitor).decode(errors="replace")
    rate = f", {mode.refresh_rate} Hz" if mode.refresh_rate else ""
    return f"{number} ({name}, {mode.size.width} × {mode.size.height}{rate})"


def monitors():
    """What each monitor is called, by its number: `0 (DP-1, 2560 × 1440, 60 Hz)`. Not while a window is open.

    Raises `DeviceError` with a sentence where there is no display.
    """
    _begin()
    try:
        return [_name(number, monitor) for number, monitor in enumerate(glfw.get_monitors())]
    finally:
        glfw.terminate()


class _Functions:
    """Where the GL functions of GLFW's current context are; the same on X11, Wayland, macOS and Windows."""

    def load_opengl_function(self, name):
        return glfw.get_proc_address(name) or 0

    def release(self):
        """The context belongs to the window."""


class Window:
    """A window with a current GL 3.3 core context.

    size         (width, height) in the screen's own units; shrunk, keeping its shape, to what the monitor has
    monitor      number of the monitor to open on and to fill in full screen, None: the first, then the
                 one that the window lies on
    visible      False: never shown

    Raises `DeviceError` with a sentence where there is no display, no such monitor or no OpenGL 3.3.
    """

    def __init__(self, size, title="DMM-AV", fullscreen=False, monitor=None, visible=True):
        self._happened = []
        self._taken = set()  # keys that are down and are no data
        self._monitor_number = monitor
        self._windowed = None
        _begin()
        try:
            self._open(size, title, fullscreen, visible)
        except BaseException:
            glfw.terminate()
            raise

    def _open(self, size, title, fullscreen, visible):
        left, top, width, height = self._work_area(self._chosen_monitor() or glfw.get_primary_monitor())
        shrink = min(1.0, width / size[0], height / size[1]) if width and height else 1.0
        size = tuple(max(1, int(length * shrink)) for length in size)
        for hint, value in (
            (glfw.CONTEXT_VERSION_MAJOR, OPENGL[0]),
            (glfw.CONTEXT_VERSION_MINOR, OPENGL[1]),
            (glfw.OPENGL_PROFILE, glfw.OPENGL_CORE_PROFILE),
            (glfw.OPENGL_FORWARD_COMPAT, True),
            (glfw.DOUBLEBUFFER, True),
            (glfw.DEPTH_BITS, 0),
            (glfw.STENCIL_BITS, 0),
            (glfw.VISIBLE, False),
            (glfw.FOCUS_ON_SHOW, True),
            (glfw.AUTO_ICONIFY, False),  # a full screen on the second monitor stays while the first is used
        ):
            glfw.window_hint(hint, value)
        glfw.window_hint_string(glfw.X11_CLASS_NAME, "dmm-av")
        glfw.window_hint_string(glfw.WAYLAND_APP_ID, "dmm-av")
        self._window = glfw.create_window(*size, title, None, None)
        if not self._window:
            raise DeviceError(
                f"No window: the display offers no OpenGL 3.3{_because(_complaints[-1] if _complaints else '')}. "
                "Update its driver, or play with `--headless`."
            )
        glfw.make_context_current(self._window)
        self._pace()
        moderngl.init_context(loader=_Functions())
        self.context = moderngl.get_context()
        self._flush = ctypes.CFUNCTYPE(None)(glfw.get_proc_address("glFlush"))
        self._hear()
        if self._monitor_number is not None and not fullscreen:
            glfw.set_window_pos(self._window, left + (width - size[0]) // 2, top + (height - size[1]) // 2)
        if fullscreen:
            self.full_screen = True
        if visible:
            glfw.show_window(self._window)

    # --- Size -----------------------------------------------------------------------------------------

    @property
    def size(self):
        """(width, height) of the framebuffer in pixels; not the window's size on a dense screen."""
        return glfw.get_framebuffer_size(self._window)

    @staticmethod
    def _waits_for_refresh():
        # a compositor of Wayland shows whole pictures anyway, and blocks those who wait for a hidden window
        return glfw.get_platform() != glfw.PLATFORM_WAYLAND

    def _pace(self):
        glfw.swap_interval(int(self._waits_for_refresh()))

    @property
    def refresh_s(self):
        """Seconds between two pictures of the monitor, 0 where it is not known or `show` never waits."""
        if not self._waits_for_refresh():
            return 0.0
        mode = glfw.get_video_mode(self._monitor()) if self._monitor() else None
        return 1.0 / mode.refresh_rate if mode and mode.refresh_rate else 0.0

    def resize(self, size):
        """Another size of the window; in full screen it holds from leaving on."""
        if self.full_screen:
            self._windowed = (*self._windowed[:2], *size)
        else:
            glfw.set_window_size(self._window, *size)

    def retitle(self, title):
        """Another title."""
        glfw.set_window_title(self._window, title)

    # --- Full screen ----------------------------------------------------------------------------------

    @property
    def full_screen(self):
        """Whether the window fills a monitor."""
        return bool(glfw.get_window_monitor(self._window))

    @full_screen.setter
    def full_screen(self, wanted):
        if wanted == self.full_screen:
            return
        if wanted:
            self._windowed = (*glfw.get_window_pos(self._window), *glfw.get_window_size(self._window))
            monitor = self._monitor()
            mode = glfw.get_video_mode(monitor)
            glfw.set_window_monitor(self._window, monitor, 0, 0, *mode.size, mode.refresh_rate or glfw.DONT_CARE)
        else:
            glfw.set_window_monitor(self._window, None, *self._windowed, glfw.DONT_CARE)
        glfw.set_input_mode(self._window, glfw.CURSOR, glfw.CURSOR_HIDDEN if wanted else glfw.CURSOR_NORMAL)
        self._happened.append(("fullscreen", wanted))
        self._pace()  # some drivers forget it with the old surface

    def _chosen_monitor(self):
        if self._monitor_number is None:
            return None
        monitors = glfw.get_monitors()
        if not 0 <= self._monitor_number < len(monitors):
            listed = ", ".join(_name(number, monitor) for number, monitor in enumerate(monitors))
            raise DeviceError(f"--monitor {self._monitor_number}: there is no such monitor. Known: {listed}.")
        return monitors[self._monitor_number]

    def _monitor(self):
        """The monitor to fill: the full one, the chosen one, or the one that most of the window lies on."""
        full, monitors = glfw.get_window_monitor(self._window), glfw.get_monitors()
        if full:
            return full
        if self._monitor_number is not None and self._monitor_number < len(monitors):  # it may be unplugged by now
            return monitors[self._monitor_number]
        x, y = glfw.get_window_pos(self._window)
        width, height = glfw.get_window_size(self._window)

        def overlap(monitor):
            (left, top), mode = glfw.get_monitor_pos(monitor), glfw.get_video_mode(monitor)
            across = min(x + width, left + mode.size.width) - max(x, left)
            down = min(y + height, top + mode.size.height) - max(y, top)
            return max(across, 0) * max(down, 0)

        return max(monitors, key=overlap, default=None)

    @staticmethod
    def _work_area(monitor):
        return glfw.get_monitor_workarea(monitor) if monitor else (0, 0, 0, 0)

    # --- Showing --------------------------------------------------------------------------------------

    def flush(self):
        """Has the driver begin what it was told; else it may wait until the next `show`."""
        self._flush()

    def show(self):
        """Puts what was drawn on the screen; the host time in seconds at which that was done."""
        glfw.swap_buffers(self._window)
        return time.perf_counter()

    # --- What the player does -------------------------------------------------------------------------

    def wait(self, timeout_s):
        """Until something happens, `wake` is called or the time is over."""
        if timeout_s > 0:
            glfw.wait_events_timeout(timeout_s)
        else:
            glfw.poll_events()

    @staticmethod
    def wake():
        """Ends a `wait` early; any thread may call it."""
        glfw.post_empty_event()

    def events(self):
        """What happened since the last call, in order, as tuples:

        ("action", name), ("key", name, 1 or 0), ("mouse", x, y) with x, y in 0..1 and y up,
        ("button", name, 1 or 0), ("scroll", x, y), ("fullscreen", bool), ("closed",),
        ("redraw",) when the system lost or resized what was shown
        """
        happened, self._happened = self._happened, []
        return happened

    def _hear(self):
        glfw.set_key_callback(self._window, self._key)
        glfw.set_char_callback(self._window, self._character)
        glfw.set_cursor_pos_callback(self._window, self._moved)
        glfw.set_mouse_button_callback(self._window, self._pressed)
        glfw.set_scroll_callback(self._window, self._scrolled)
        glfw.set_window_refresh_callback(self._window, self._lost)
        glfw.set_framebuffer_size_callback(self._window, self._lost)
        glfw.set_window_close_callback(self._window, self._closed)

    def _key(self, _window, key, scancode, pressed, modifiers):
        label = glfw.get_key_name(key, scancode) or ""
        if pressed == glfw.RELEASE and key in self._taken:
            self._taken.discard(key)
        elif pressed == glfw.PRESS and key == glfw.KEY_F11:
            self._taken.add(key)
            self.full_screen = not self.full_screen
        elif pressed == glfw.PRESS and key == glfw.KEY_ESCAPE and self.full_screen:
            self._taken.add(key)
            self.full_screen = False
        elif pressed != glfw.RELEASE and modifiers & _COMMAND:
            self._taken.add(key)
            action = _ACTIONS.get((label.lower(), bool(modifiers & glfw.MOD_SHIFT)))
            if action is None and key == glfw.KEY_PERIOD:  # where the dot needs shift
                action = "panic"
            if action and (pressed == glfw.PRESS or action in _REPEATING):
                self._happened.append(("action", action))
        elif pressed != glfw.REPEAT and key >= 0:
            self._happened.append(("key", self._key_name(key, label), int(pressed == glfw.PRESS)))

    @staticmethod
    def _key_name(key, label):
        """A letter as it is labelled (`a`), else what the key is called: `digit_1 space left f1 kp_add`."""
        if len(label) == 1 and "a" <= label.lower() <= "z":
            return label.lower()
        name = _NAMES.get(key, f"key_{key}")
        return f"digit_{name}" if name.isdigit() else name

    def _character(self, _window, codepoint):
        if chr(codepoint) == "?":
            self._happened.append(("action", "help"))

    def _moved(self, _window, x, y):
        width, height = glfw.get_window_size(self._window)
        across = min(max(x / max(width, 1), 0.0), 1.0)
        self._happened.append(("mouse", across, min(max(1.0 - y / max(height, 1), 0.0), 1.0)))

    def _pressed(self, _window, button, pressed, _modifiers):
        name = _BUTTONS.get(button, f"button_{button}")
        self._happened.append(("button", name, int(pressed == glfw.PRESS)))

    def _scrolled(self, _window, x, y):
        self._happened.append(("scroll", x, y))

    def _lost(self, _window, *_size):
        if ("redraw",) not in self._happened:
            self._happened.append(("redraw",))

    def _closed(self, _window):
        self._happened.append(("closed",))

    # --- End ------------------------------------------------------------------------------------------

    def close(self):
        """Takes the window and its context away."""
        if self._window:
            glfw.destroy_window(self._window)
            self._window = None
            glfw.terminate()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

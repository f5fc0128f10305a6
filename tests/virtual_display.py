"""A display of the test's own: Xvfb on a free number, a keyboard and mouse for it, and a camera.

    with VirtualDisplay() as display:
        subprocess.Popen([...], env=display.environment)
        display.press("ctrl+z")
        pixels = display.picture()      # uint8 (height, width, 3), top row first

Needs Debian's xvfb, xdotool and imagemagick. Nothing outlives the `with`.
"""

import ctypes
import os
import subprocess
import time

import numpy as np


class _ClientMessage(ctypes.Structure):
    """Xlib's `XClientMessageEvent`, as long as an `XEvent`."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("words", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 24),
    ]


class VirtualDisplay:
    """One screen of `size` pixels without a window manager; `environment` leads programs to it."""

    def __init__(self, size=(800, 600)):
        self.size = size

    def __enter__(self):
        screen = f"{self.size[0]}x{self.size[1]}x24"
        read, write = os.pipe()
        try:
            self._process = subprocess.Popen(
                ["Xvfb", "-displayfd", str(write), "-screen", "0", screen, "-nolisten", "tcp", "-noreset"],
                pass_fds=(write,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            os.close(write)
        with os.fdopen(read) as answer:
            number = answer.readline().strip()  # written when the display is ready; empty when Xvfb died
        if not number:
            self._process.wait()
            raise RuntimeError("Xvfb did not start: is Debian's package xvfb installed?")
        self.name = f":{number}"
        self.environment = {**os.environ, "DISPLAY": self.name}
        self.environment.pop("WAYLAND_DISPLAY", None)
        return self

    def __exit__(self, *exception):
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def xdotool(self, *words):
        """Runs xdotool; its output."""
        return subprocess.run(
            ["xdotool", *words], env=self.environment, check=True, capture_output=True, text=True, timeout=10
        ).stdout

    def press(self, *keys):
        """Presses and lets go keys, such as `ctrl+z`, in the window under the mouse."""
        self.xdotool("key", "--delay", "10", *keys)

    def point(self, x, y):
        """Moves the mouse to this pixel, counted from the top left."""
        self.xdotool("mousemove", str(x), str(y))

    def _windows(self):
        found = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", "."],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=10,
        )  # its exit status is 1 where there is none
        return found.stdout.split()

    def close_windows(self):
        """What a window manager does when the close button is pressed."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XInternAtom.restype = ctypes.c_ulong
        connection = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        protocols, delete = (x11.XInternAtom(connection, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))
        for window in self._windows():
            message = _ClientMessage(33, window=int(window), message_type=protocols, format=32)
            message.words[0] = delete
            x11.XSendEvent(connection, ctypes.c_ulong(int(window)), 0, ctypes.c_long(0), ctypes.byref(message))
        x11.XCloseDisplay(connection)

    def windows(self):
        """[(x, y, width, height)] of the windows that are shown and have a title."""
        boxes = []
        for window in self._windows():
            words = self.xdotool("getwindowgeometry", "--shell", window).split()
            geometry = dict(word.split("=") for word in words)
            boxes.append(tuple(int(geometry[side]) for side in ("X", "Y", "WIDTH", "HEIGHT")))
        return boxes

    def picture(self):
        """What the screen shows: uint8 (height, width, 3), top row first."""
        grabbed = subprocess.run(
            ["import", "-display", self.name, "-window", "root", "-depth", "8", "rgb:-"],
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=20,
        ).stdout
        return np.frombuffer(grabbed, np.uint8).reshape(self.size[1], self.size[0], 3)

    def until(self, shown, seconds=10.0):
        """Grabs the screen until `shown(picture)` holds; that picture. Fails when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            picture = self.picture()
            if shown(picture):
                return picture
            assert time.monotonic() < deadline, "the screen never showed it"
            time.sleep(0.02)

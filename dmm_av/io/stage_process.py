"""The stage: the process with the window. It draws what the machine says and shows it when its sound is heard.

The machine's side of the pipe is `stage_client.py`, the words are in `stage_messages.py`. How a picture is
made is the picture engine's business; here is only when. Nothing here counts refreshes of the screen: the
time of a picture follows from the clock of the sound.
"""

import collections
import contextlib
import math
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from dmm_av.activations.pictures import read_folder
from dmm_av.engine.stage import PictureEngine
from dmm_av.errors import DeviceError, MediaError
from dmm_av.io.camera import Camera
from dmm_av.io.stage_messages import packed, received
from dmm_av.io.video import write_picture
from dmm_av.io.window import Window, headless_context
from dmm_av.network.activation import LIBRARY

# Drawn pictures that wait for their sound. Three suffice where sound takes 30 ms to the ear; wireless loudspeakers
# take 300, and what is read back from a picture cannot wait for it to be shown.
LONGEST_QUEUE = 24
NEWER_STATES = 2  # a frame that is not begun when so many newer ones exist is skipped

_SIGN_OF_LIFE_S = 0.5
_STATS_S = 1.0
_IDLE_S = 0.25
_EARLY_S = 0.0005  # closer to its time than this is in time
_NICENESS = 10  # pictures may wait for the processor, sound may not
_ORPHAN_S = 1.0  # how long a stage whose machine is gone may take to end


@dataclass(frozen=True)
class HeardClock:
    """When samples are heard: sample `sample` at `host_s`, then `samples_per_s` of them in a second.

    rate    samples that the patch counts in one of its seconds
    """

    host_s: float
    sample: float
    samples_per_s: float
    rate: float

    def due(self, frame, frame_rate):
        """The host time in seconds at which the first sample of a frame is heard."""
        return self.host_s + (frame * self.rate / frame_rate - self.sample) / self.samples_per_s


class Refresh:
    """The refreshes of a screen that makes `show` wait for them: which one suits a picture.

    A picture goes to the refresh nearest to its time. Where pictures and refreshes drift past each other,
    the nearest changes to and fro; so a picture keeps the distance to its predecessor until it would be off
    by three quarters of a refresh.

    A screen that does not make `show` wait is found out and has no refreshes: pictures are there at their time,
    begun earlier by what a `show` usually takes.
    """

    _STICK = 0.75
    _FREE = 0.3  # a wait shorter than this share of a refresh was none
    _IMPATIENT = 8  # so many in a row, and the screen does not wait
    _LEARN = 0.1
    _LONGEST_S = 0.02

    def __init__(self, seconds):
        self._seconds = seconds
        self._last = None  # host time of the refresh of the last picture
        self._last_due = 0.0
        self._free = 0
        self._usual_s = 0.0

    @property
    def is_known(self):
        """Whether pictures are held to refreshes."""
        return self._seconds > 0.0 and self._free < self._IMPATIENT

    def start(self, due):
        """The host time at which to begin to show a picture that is meant for `due`."""
        if not self.is_known or self._last is None:
            return due - min(self._usual_s, self._LONGEST_S)
        after = (due - self._last) / self._seconds
        usual = max(round((due - self._last_due) / self._seconds), 1)
        refresh = usual if abs(after - usual) < self._STICK else max(round(after), 1)
        return self._last + (refresh - 0.9) * self._seconds

    def taken(self, dues, now):
        """How many of the waiting pictures go with a `show` at `now`: all but the last are too late; 0: none yet.

        dues   times of the waiting pictures, rising
        """
        if not dues or self.start(dues[0]) > now + _EARLY_S:
            return 0
        if self.is_known and self._last is not None:
            lands = self._last + math.ceil((now - self._last) / self._seconds) * self._seconds
        else:
            lands = now + self._usual_s
        return 1 + sum(due <= lands for due in dues[1:])

    def shown(self, due, began, ended):
        """A picture meant for `due` was handed over at `began`; the screen let go at `ended`."""
        self._free = self._free + 1 if ended - began < self._FREE * self._seconds else 0
        self._usual_s += self._LEARN * (ended - began - self._usual_s)
        self._last, self._last_due = ended, due


class Channel:
    """The stage's end of the pipe: a thread that reads, and writing from any thread."""

    def __init__(self, source, sink):
        self._source, self._sink = source, sink
        self._incoming = collections.deque()
        self._writing = threading.Lock()
        self._woken = threading.Event()
        self.wake = self._woken.set
        self.is_open = True

    def begin(self):
        """Waits for the first message."""
        return received(self._source)

    def listen(self):
        """From now on messages are read as they come."""
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self, timeout_s):
        """Until something was read or the time is over: for a stage without a window."""
        self._woken.wait(timeout_s)
        self._woken.clear()

    def messages(self):
        """What was read since the last call."""
        while self._incoming:
            yield self._incoming.popleft()

    def send(self, *message):
        """Says something to the machine."""
        with self._writing:
            try:
                self._sink.write(packed(message))
                self._sink.flush()
            except (OSError, ValueError):
                self.is_open = False

    def _read(self):
        message = None
        with contextlib.suppress(OSError, ValueError, EOFError):
            while (message := received(self._source)) is not None:
                self._incoming.append(message)
                self.wake()
        self.is_open = False
        self.wake()
        time.sleep(_ORPHAN_S)
        os._exit(0)  # the machine is gone and a driver holds the other thread


class Stage:
    """Draws frames as their states arrive, shows them at their time, tells the machine what became of them.

    window     None: nothing is shown
    overlay    None, or text over the picture: `.draw(framebuffer)`, `.notice(text)`, `.help`, `.changed`
    """

    def __init__(self, channel, engine, window=None, overlay=None):
        self._channel, self._engine = channel, engine
        self._window, self._overlay = window, overlay
        self._states = collections.deque()  # (version, FrameValues), not begun
        self._drawings = []  # not ready; the first is in work
        self._preparation = None
        self._version = None
        self._matrices = {}  # of frames that were skipped
        self._drawn = collections.deque()  # (frame, frame_rate, slot of its picture), not shown
        self._on_screen = None  # the slot
        self._clock = None
        self._black = False
        self._newest = None  # the slot drawn last
        self._has_drawn = False
        self._ending = False
        self._refresh = Refresh(window.refresh_s if window else 0.0)
        self._stale = True  # the window does not show what it should
        self._moved_at = time.monotonic()
        self._is_waiting = False
        self._counts = collections.Counter()
        self._draw_s, self._late_s = 0.0, 0.0
        self._next_stats = time.monotonic() + _STATS_S

    def run(self):
        """Until the machine or the player ends it."""
        threading.Thread(target=self._show_signs_of_life, daemon=True).start()
        while not self._ending and self._channel.is_open:
            self._moved_at = time.monotonic()
            for message in self._channel.messages():
                getattr(self, f"_take_{message[0]}")(*message[1:])
            self._prepare()
            self._draw()
            if self._window:
                self._hear_player()
                self._show()
            self._tell_stats()
            self._wait()

    # --- What the machine says ------------------------------------------------------------------------

    def _take_drawing(self, drawing):
        in_work = 1 if self._preparation else 0
        self._drawings[in_work:] = [drawing]

    def _take_frame(self, version, values):
        self._states.append((version, values))

    def _take_clock(self, *line):
        self._clock = HeardClock(*line)

    def _take_reload(self, path):
        self._tell_errors(self._engine.reload(path))

    def _take_panic(self, on):
        self._black = on
        self._engine.clear_memory()
        self._stale = True

    def _take_fullscreen(self, on):
        if self._window:
            self._window.full_screen = on

    def _take_resize(self, size):
        if self._window:
            self._window.resize(size)

    def _take_title(self, text):
        if self._window:
            self._window.retitle(text)

    def _take_notice(self, text):
        if self._overlay:
            self._overlay.notice(text)

    def _take_screenshot(self, path):
        if self._newest is None:
            self._channel.send("error", "stage", f"{path}: there is no picture yet, so nothing was written.")
            return
        pixels = self._engine.screen_pixels(self._newest)
        threading.Thread(target=self._write, args=(path, pixels), daemon=True).start()

    def _take_stop(self):
        self._ending = True

    def _write(self, path, pixels):
        try:
            write_picture(path, pixels)
        except (OSError, MediaError) as error:
            self._channel.send("error", "stage", f"{path}: the screenshot could not be written ({error}).")
        else:
            self._channel.send("screenshot", path)

    # --- Drawing --------------------------------------------------------------------------------------

    def _prepare(self):
        """One step towards the next drawing; what is drawn meanwhile is the former one."""
        if self._preparation is None:
            if not self._drawings:
                return
            self._preparation = self._engine.prepare(self._drawings[0])
        self._channel.send("busy", "shaders")
        if next(self._preparation, self) is not self:
            return
        drawing, self._preparation = self._drawings.pop(0), None
        self._adopt(drawing)
        self._version = drawing.version
        self._channel.send("ready", drawing.version)

    def _adopt(self, drawing):
        errors = self._engine.adopt(drawing)
        if max(drawing.size) > self._engine.max_size:  # refused as a whole; all but its size can be had
            errors += self._engine.adopt(replace(drawing, size=self._engine.size))
        self._tell_errors(errors)

    def _draw(self):
        """The oldest state that is still worth drawing."""
        known = {self._version, *(drawing.version for drawing in self._drawings)}
        skipped = []
        while self._states and (len(self._states) > NEWER_STATES or self._states[0][0] not in known):
            _, lost = self._states.popleft()
            self._matrices.update(lost.matrices)
            skipped.append(lost.number)
        if skipped:
            self._counts["skipped"] += len(skipped)
            self._channel.send("skipped", tuple(skipped))
        if not self._states or self._states[0][0] != self._version:
            return
        _, values = self._states.popleft()
        if self._matrices:
            values.matrices = {**self._matrices, **values.matrices}
            self._matrices = {}
        began = time.perf_counter()
        self._newest = self._free_slot()
        errors = self._engine.draw(values, self._newest)
        if self._window:
            self._drawn.append((values.number, values.frame_rate, self._newest))
        numbers = self._engine.readback()
        if self._window:
            self._window.flush()
        else:
            self._engine.context.finish()  # nothing else holds up a stage that asks too much of its GPU
        self._draw_s += time.perf_counter() - began
        self._counts["drawn"] += 1
        if not self._has_drawn:
            self._has_drawn = True
            self._channel.send("first", values.number)
        if numbers:
            self._channel.send("readback", values.number, numbers)
        self._tell_errors(errors)

    def _free_slot(self):
        """A place for a picture in which none waits and none is shown; the oldest waiting one when all are full."""
        used = {self._on_screen, *(slot for _, _, slot in self._drawn)}
        free = next((slot for slot in range(LONGEST_QUEUE) if slot not in used), None)
        return self._drawn.popleft()[2] if free is None else free

    def _tell_errors(self, errors):
        for name, sentence in errors:
            self._channel.send("error", name, sentence)

    # --- Showing --------------------------------------------------------------------------------------

    def _due(self, frame, frame_rate):
        return self._clock.due(frame, frame_rate) if self._clock else 0.0

    def _show(self):
        now = time.perf_counter()
        taken = self._refresh.taken([self._due(frame, rate) for frame, rate, _ in self._drawn], now)
        for _ in range(taken):
            frame, frame_rate, self._on_screen = self._drawn.popleft()
        if taken:
            due = self._due(frame, frame_rate) if self._clock else now
        elif not self._stale and not (self._overlay and self._overlay.changed):
            return
        self._paint()
        shown = self._window.show()
        self._stale = False
        if taken:
            self._refresh.shown(due, now, shown)
            self._late_s += shown - due
            self._counts["shown"] += 1
            self._channel.send("shown", frame, shown, due)

    def _paint(self):
        """The picture as large as the window allows, in its own shape, and the text over it."""
        screen, size = self._window.context.screen, self._window.size
        if self._on_screen is None or self._black:
            screen.use()
            screen.clear()
        else:
            self._engine.blit(screen, size, self._on_screen)
        if self._overlay:
            self._overlay.draw(screen, size)

    # --- The player -----------------------------------------------------------------------------------

    def _hear_player(self):
        for event in self._window.events():
            if event == ("redraw",):
                self._stale = True
                self._refresh = Refresh(self._window.refresh_s)
                continue
            if event == ("action", "help") and self._overlay:
                self._overlay.help = not self._overlay.help
                continue
            self._channel.send(*event)
            self._ending |= event == ("closed",)

    # --- Signs of life --------------------------------------------------------------------------------

    def _tell_stats(self):
        now = time.monotonic()
        if now < self._next_stats:
            return
        passed = now - self._next_stats + _STATS_S
        drawn, shown = self._counts["drawn"], self._counts["shown"]
        self._channel.send(
            "stats",
            {
                "fps": (shown if self._window else drawn) / passed,
                "drawn": drawn,
                "skipped": self._counts["skipped"],
                "draw_ms": 1e3 * self._draw_s / max(drawn, 1),
                "late_ms": 1e3 * self._late_s / max(shown, 1),
                "queue": len(self._drawn),
            },
        )
        self._counts.clear()
        self._draw_s, self._late_s = 0.0, 0.0
        self._next_stats = now + _STATS_S

    def _show_signs_of_life(self):
        """Tells that the loop turns, or rests in the system's hands, as while a window is dragged."""
        while self._channel.is_open:
            if self._is_waiting or time.monotonic() - self._moved_at < _SIGN_OF_LIFE_S:
                self._channel.send("alive")
            time.sleep(_SIGN_OF_LIFE_S)

    def _wait(self):
        timeout = _IDLE_S
        if self._ending or self._drawings or (self._states and self._states[0][0] == self._version):
            timeout = 0.0
        elif self._drawn:
            start = self._refresh.start(self._due(*self._drawn[0][:2]))
            timeout = min(max(start - time.perf_counter(), 0.0), _IDLE_S)
        self._is_waiting = True
        if self._window:
            self._window.wait(timeout)
        elif timeout:
            self._channel.wait(timeout)
        self._is_waiting = False


def run_stage(overlay=None):
    """The whole life of a stage process: speaks with the machine through its standard input and output.

    overlay    class of the text over the picture, made with the GL context
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the machine's to answer
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what drivers print does not belong into the messages
    channel = Channel(source, sink)
    begun = channel.begin()
    if begun is None:
        return
    options = begun[1]
    window = None
    if not options["headless"]:
        try:
            window = Window(**options["window"])
        except DeviceError as error:
            channel.send("error", "stage", str(error))
    try:
        context = window.context if window else headless_context()
        engine = PictureEngine(context, options["size"], LIBRARY, options["folder"], cameras=Camera)
    except DeviceError as error:
        channel.send("unusable", str(error))
        return
    for folder in options["shader_folders"]:
        for name, sentence in read_folder(Path(folder), LIBRARY):
            channel.send("error", name, sentence)
    channel.send("hello", engine.renderer, engine.max_size, window is not None)
    if window:
        channel.wake = window.wake
    channel.listen()
    Stage(channel, engine, window, overlay(context) if overlay and window else None).run()
    if window:
        window.close()
    sys.stdout.flush()
    os._exit(0)  # a driver's own clean-up may hang, and there is nothing left to save


if __name__ == "__main__":
    run_stage()

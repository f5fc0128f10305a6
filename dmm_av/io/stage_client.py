"""The machine's side of the stage: starts the process, feeds it, hears it, and puts it up again when it falls.

Nothing here makes the caller wait: what is sent goes into a queue that a thread empties. The stage itself is
`stage_process.py`, the words between the two are in `stage_messages.py`.
"""

import collections
import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from dmm_av.io.stage_messages import packed, received

# The name of a program, not an import: the stage is a process of its own.
PROGRAM = "dmm_av.ui.stage"

UNSENT_FRAMES = 3  # more unsent states than this: the oldest is dropped
HANG_S = 3.0
_BUSY_S = 30.0  # a driver may take this long for one shader
_START_S = 20.0
_STOP_S = 2.0
_LOOK_S = 0.25
_UNHEARD = 10_000  # events kept for a machine that does not ask
# A stage that falls again and again is started ever more slowly; one that stood this long starts afresh.
_STEADY_S = 10.0
_PAUSES_S = (0.0, 0.0, 1.0, 2.0, 5.0, 10.0, 30.0)

_PACKAGES = Path(__file__).resolve().parents[2]


class _Child:
    """One stage process, with the threads that write to it and read from it.

    hear   called with every message of the stage and, when it has no more, with ("end",)
    """

    def __init__(self, program, options, hear):
        paths = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C in the terminal is the machine's to answer
        )
        self.started = self.heard = time.monotonic()
        self.last_words = collections.deque(maxlen=20)
        self._patience_s = _START_S
        self._messages = collections.deque([("begin", options)])
        self._frames = collections.deque()
        self._matrices = {}
        self._changed = threading.Condition()
        self._hear = hear
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._read, self._listen)]
        for thread in self._threads:
            thread.start()

    def put(self, message):
        """Sends a message; it goes before frames that are not sent yet."""
        with self._changed:
            self._messages.append(message)
            self._changed.notify()

    def put_matrices(self, matrices):
        """Sends matrices with the next frame: {pass: array}."""
        with self._changed:
            self._matrices = {**self._matrices, **matrices}

    def put_frame(self, version, values):
        """Sends a frame; the numbers of the frames that were dropped for it."""
        dropped = []
        with self._changed:
            self._frames.append((version, values))
            while len(self._frames) > UNSENT_FRAMES:
                _, lost = self._frames.popleft()
                self._matrices = {**self._matrices, **lost.matrices}
                dropped.append(lost.number)
            self._changed.notify()
        return tuple(dropped)

    def is_hung(self, patience_s):
        """Whether it gave no sign of life for so long, or longer where it said that work lies ahead."""
        return time.monotonic() - self.heard > max(self._patience_s, patience_s)

    def end(self, seconds):
        """Ends the process, kindly if there is time, and reaps it."""
        self.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            if seconds > 0.0:
                self.process.wait(seconds)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()  # all of them see the end of their pipe
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()

    def _next(self):
        with self._changed:
            while not self._messages and not self._frames:
                self._changed.wait()
            if self._messages:
                return self._messages.popleft()
            version, values = self._frames.popleft()
            matrices, self._matrices = self._matrices, {}
        if matrices:
            values = replace(values, matrices={**matrices, **values.matrices})
        return "frame", version, values

    def _write(self):
        with contextlib.suppress(OSError):
            while (message := self._next()) is not None:
                self.process.stdin.write(packed(message))
                self.process.stdin.flush()

    def _read(self):
        with contextlib.suppress(OSError, EOFError):
            while (message := received(self.process.stdout)) is not None:
                self.heard = time.monotonic()
                self._patience_s = _BUSY_S if message[0] == "busy" else 0.0
                self._hear(message)
        self._hear(("end",))

    def _listen(self):
        for line in self.process.stderr:
            self.last_words.append(line.decode(errors="replace").rstrip())


class StageClient:
    """The stage as the machine knows it. No method waits, except `stop`.

    size             of the picture, and of the window as far as the monitor allows
    headless         no window; pictures are drawn all the same
    monitor          number of the monitor
    visible          False: the window is never shown
    folder           where relative picture files are looked for
    shader_folders   with picture activations of the player's own
    patience_s       a stage without a sign of life for so long is put up anew
    """

    def __init__(
        self,
        size,
        title="DMM-AV",
        fullscreen=False,
        monitor=None,
        headless=False,
        visible=True,
        folder="",
        shader_folders=(),
        patience_s=HANG_S,
        program=PROGRAM,
    ):
        self._options = {
            "size": tuple(size),
            "headless": headless,
            "folder": str(folder),
            "shader_folders": [str(folder) for folder in shader_folders],
            "window": {
                "size": tuple(size),
                "title": title,
                "fullscreen": fullscreen,
                "monitor": monitor,
                "visible": visible,
            },
        }
        self._patience_s, self._program = patience_s, program
        self._events = collections.deque(maxlen=_UNHEARD)
        self._lock = threading.Lock()  # of what a new stage must be told, and of which stage is told
        self._standing = {}  # the newest message of each kind that outlasts a stage
        self._matrices = {}
        self._child = None
        self._stopping = False
        self._is_over = False
        self._look = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self.restarts = 0

    def start(self):
        """Starts the stage; its `hello` comes with the events."""
        self._put_up()
        self._supervisor.start()

    @property
    def alive(self):
        """Whether a stage process is there."""
        child = self._child
        return child is not None and child.process.poll() is None

    @property
    def pid(self):
        """The process's number, None between two stages."""
        return self._child.process.pid if self._child else None

    # --- Saying ---------------------------------------------------------------------------------------

    def send_drawing(self, drawing):
        """What to draw. The stage prepares it while it goes on with the former one, then says `ready`."""
        with self._lock:
            names = {pass_.name for pass_ in drawing.passes}
            self._matrices = {name: matrix for name, matrix in self._matrices.items() if name in names}
            self._stand(("drawing", drawing))

    def send_frame(self, values, version=None):
        """The numbers of a frame; the arrays must not change any more.

        version   of the drawing that lays them out; None: the newest one sent. Until the stage says that a
                  drawing is ready, frames laid out by the former one keep the picture moving.
        """
        with self._lock:
            self._matrices.update(values.matrices)
            if version is None and "drawing" in self._standing:
                version = self._standing["drawing"][1].version
            dropped = self._child.put_frame(version, values) if self._child else (values.number,)
        if dropped:
            self._events.append(("skipped", dropped))

    def send_clock(self, host_s, sample, samples_per_s, rate):
        """Sample `sample` is heard at `host_s` (seconds of `time.perf_counter()`), and from there on
        `samples_per_s` in a second, where the patch counts `rate`."""
        with self._lock:
            self._stand(("clock", host_s, sample, samples_per_s, rate))

    def reload(self, path):
        """A shader file was saved."""
        self._say("reload", str(path))

    def panic(self, on):
        """Black and without memory while it is on."""
        with self._lock:
            self._stand(("panic", bool(on)))

    def fullscreen(self, on):
        """Fills the monitor, or leaves it."""
        self._say("fullscreen", bool(on))

    def resize(self, size):
        """Another size of the window; that of the picture comes with the drawing."""
        self._say("resize", tuple(size))

    def retitle(self, text):
        """Another title of the window."""
        with self._lock:
            self._stand(("title", text))

    def notice(self, text):
        """A sentence over the picture, for some seconds."""
        self._say("notice", text)

    def screenshot(self, path):
        """Writes the newest picture as PNG; the event `screenshot` says when that is done."""
        self._say("screenshot", str(path))

    def _say(self, *message):
        with self._lock:
            if self._child:
                self._child.put(message)

    def _stand(self, message):
        self._standing[message[0]] = message
        if self._child:
            self._child.put(message)

    # --- Hearing --------------------------------------------------------------------------------------

    def poll(self):
        """What the stage said since the last call, as a list of the tuples of `stage_messages.py`, and:

        ("restarted", how often, sentence)   the stage had fallen
        """
        events = []
        while self._events:
            events.append(self._events.popleft())
        return events

    def _hear(self, message):
        if message[0] in ("closed", "unusable"):
            self._is_over = True
        if message[0] == "fullscreen":
            self._options["window"]["fullscreen"] = message[1]  # so that the next one opens like this
        if message[0] not in ("alive", "busy", "end"):
            self._events.append(message)
        if message[0] in ("closed", "unusable", "end"):
            self._look.set()

    # --- Standing up ----------------------------------------------------------------------------------

    def _put_up(self):
        child = _Child(self._program, self._options, self._hear)
        with self._lock:
            for message in self._standing.values():
                child.put(message)
            child.put_matrices(self._matrices)
            self._child = child

    def _supervise(self):
        falls = 0
        while not self._stopping and not self._is_over:
            self._look.wait(_LOOK_S)
            self._look.clear()
            child = self._child
            if self._stopping or self._is_over:
                break
            if child.process.poll() is not None or child.is_hung(self._patience_s):
                falls = falls + 1 if time.monotonic() - child.started < _STEADY_S else 0
                self._put_up_again(_PAUSES_S[min(falls, len(_PAUSES_S) - 1)])

    def _put_up_again(self, pause_s):
        with self._lock:
            child, self._child = self._child, None
        hung = child.process.poll() is None
        child.end(0.0)
        deadline = time.monotonic() + pause_s
        while not self._stopping and time.monotonic() < deadline:
            self._look.wait(_LOOK_S)
            self._look.clear()
        if self._stopping:
            return
        self._put_up()
        self.restarts += 1
        if hung:
            reason = "gave no sign of life"
        else:
            said = next((line for line in reversed(child.last_words) if line.strip()), "")
            reason = f"ended with code {child.process.returncode}{f' ({said})' if said else ''}"
        sentence = f"The window's process {reason}; it was started again, memories of pictures begin anew."
        self._events.append(("restarted", self.restarts, sentence))

    def stop(self):
        """Ends the stage and waits until it is gone, two seconds at most."""
        self._stopping = True
        self._look.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        with self._lock:
            child, self._child = self._child, None
        if child:
            child.put(("stop",))
            child.end(_STOP_S)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

"""Starts the real program and talks to it: `play` in a subprocess, its OSC port, its sentences."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from dmm_av.io.osc import OscClient

ROOT = Path(__file__).resolve().parents[1]


def run_app(*arguments, timeout=120, environment=None, check=True, stdin=None):
    """`app.py ARGUMENTS`, run to its end."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env=environment,
        input=stdin,
    )
    if check:
        assert done.returncode == 0, done.stderr[-2_000:]
    return done


class Player:
    """A running `play`; ended with the `with`.

    lines     what it has printed on stderr so far
    moments   {what `wait_for` waited for: when it was printed, in seconds of `time.perf_counter()`}
    root      the tree that it runs from
    """

    def __init__(self, patch, *arguments, environment=None, root=ROOT):
        self._root = root
        self._command = [sys.executable, str(root / "app.py"), "play", str(patch), "--osc-port", "0"]
        self._command += map(str, arguments)
        self._environment = {**(environment or os.environ), "PYTHONUNBUFFERED": "1"}
        self.lines = []
        self.moments = {}
        self._printed = []

    def __enter__(self):
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._root,
            env=self._environment,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.port = int(self.wait_for("listening on").rpartition(":")[2])
        self.client = OscClient(port=self.port, timeout=10.0)
        self.status()  # until it answers it does not play yet
        return self

    def __exit__(self, *_):
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _listen(self):
        for line in self.process.stderr:
            self._printed.append(time.perf_counter())
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, text, seconds=40.0):
        """The first line with that text."""
        line = self.until(lambda: next((line for line in self.lines if text in line), None), text, seconds)
        self.moments[text] = self._printed[self.lines.index(line)]
        return line

    def until(self, question, what, seconds=20.0):
        """The first true answer of `question()`."""
        deadline = time.monotonic() + seconds
        while not (answer := question()):
            assert time.monotonic() < deadline, f"no {what} within {seconds} s; it said: {self.lines[-20:]}"
            assert self.process.poll() is None or question(), f"it ended: {self.lines[-20:]}"
            time.sleep(0.02)
        return answer

    def ask(self, address, *values):
        """What an OSC message was answered."""
        return self.client.ask((address, values))

    def weight(self, *labels):
        """A weight of the running matrix."""
        return self.ask("/".join(("/dmm/get/w", *labels))).replies[0][1][0]

    def weights(self):
        """{address: weight} of the whole running matrix."""
        return {about: values[0] for about, values in self.ask("/dmm/get/w").replies}

    def status(self):
        """(tick, fps, load, drop-outs, last error)."""
        return self.ask("/dmm/status").replies[0][1]

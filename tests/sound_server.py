"""A sound server of the test's own: PulseAudio with one null sink, and a recorder on what the sink plays.

    with SoundServer() as server:
        with server.record() as recording:
            subprocess.run([...], env=server.environment)
        sound = recording.frames()          # float32 (n, 2)

Needs Debian's pulseaudio, pulseaudio-utils and libasound2-plugins. Nothing outlives the `with`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

_CONFIGURATION = """\
load-module module-native-protocol-unix
load-module module-null-sink sink_name=null rate={rate} channels=2 format=float32le norewinds=1
set-default-sink null
"""
_ALSA = """\
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.pulse { type pulse }
"""


def _end(process, seconds=2.0):
    """Ends one process that was started here, kindly first."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Recording:
    """What the null sink plays, from the moment the `with` is entered; raw float32 stereo in a file."""

    def __init__(self, path, rate, environment):
        self.path, self.rate = Path(path), rate
        self._environment = environment

    def __enter__(self):
        command = ["parec", "--device=null.monitor", "--raw", "--latency-msec=10"]
        self._file = self.path.open("wb")
        self._process = subprocess.Popen(
            [*command, "--format=float32le", "--channels=2", f"--rate={self.rate}"],
            stdin=subprocess.DEVNULL,
            stdout=self._file,  # a file of its own: a pipe held by an orphan would block the reader
            stderr=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
        )
        self.wait_for(0.01)
        return self

    def __exit__(self, *_):
        _end(self._process)
        self._file.close()

    def wait_for(self, seconds, deadline_s=20.0):
        """Waits until this many seconds more are recorded."""
        end = time.monotonic() + deadline_s + seconds
        size = self.path.stat().st_size + int(seconds * self.rate) * 8
        while self.path.stat().st_size < size:
            if time.monotonic() > end:
                raise TimeoutError(f"The null sink delivered nothing for {deadline_s} s.")
            if self._process.poll() is not None:
                raise RuntimeError("parec ended by itself.")
            time.sleep(0.01)

    def frames(self):
        """Everything recorded so far, float32 (n, 2)."""
        sound = np.fromfile(self.path, np.float32)
        return sound[: len(sound) // 2 * 2].reshape(-1, 2)


class SoundServer:
    """A private PulseAudio with a null sink, ended with everything it started when the `with` is left.

    environment   what a process needs in order to play to it, through PortAudio's default device
    """

    def __init__(self, rate=48_000):
        self.rate = rate

    def __enter__(self):
        # Not pytest's tmp_path: the path of a socket may have 107 bytes only.
        self.folder = Path(tempfile.mkdtemp(prefix="dmm-sound-"))
        (self.folder / "server.pa").write_text(_CONFIGURATION.format(rate=self.rate))
        (self.folder / "asound.conf").write_text(_ALSA)
        foreign = ("PULSE_", "DBUS_", "PIPEWIRE_", "SDL_AUDIO", "AUDIODEV")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        self.environment |= {
            "XDG_RUNTIME_DIR": str(self.folder),
            "PULSE_RUNTIME_PATH": str(self.folder / "pulse"),
            "PULSE_STATE_PATH": str(self.folder / "state"),
            "PULSE_COOKIE": str(self.folder / "cookie"),
            "ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{self.folder / 'asound.conf'}",
        }
        options = ["--daemonize=no", "--exit-idle-time=-1", "--realtime=yes", "--high-priority=yes"]
        self._process = subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(self.folder / "server.pa"), *options, "--disallow-exit=yes"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("wb"),
            env=self.environment,
            start_new_session=True,
        )
        try:
            self._wait_until_it_answers()
            self._be_woken_first()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        _end(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        """Ends the server while others still play to it, as if a device were unplugged."""
        _end(self._process)

    def _wait_until_it_answers(self, deadline_s=20.0):
        end = time.monotonic() + deadline_s
        while self.ask("info") is None:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PulseAudio did not start: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.02)

    def _be_woken_first(self):
        """A server that waits for the processor plays gaps, which would be taken for the player's."""
        for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(6))

    def ask(self, *arguments):
        """What `pactl` answers, or None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            answer = subprocess.run(
                ["pactl", *arguments], env=self.environment, capture_output=True, text=True, timeout=5
            )
            return answer.stdout if answer.returncode == 0 else None

    def record(self, path=None):
        """A recording of what the sink plays; enter it to begin, leave it to end."""
        return Recording(path or self.folder / "recording.raw", self.rate, self.environment)

"""The sound output: a device that drains the ring, or a clock that pretends to.

Both play the same ring, count the same things and know which frame is heard at which host time. The device's
callback is compiled: it never touches the interpreter, so nothing that Python does can make it late. What
fills the ring is not here; the ring itself is `engine/ring.py`.

Foreign spellings (PortAudio's `samplerate`, `blocksize`, `hostapi`) end in this file.
"""

import atexit
import contextlib
import ctypes
import os
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from numba import cfunc, njit, types

from dmm_av.engine.native import (
    address_of,
    float32_pointer,
    host_nanoseconds,
    int64_pointer,
    load_acquire,
    prefer_this_thread,
    sleep_microseconds,
    store_release,
)
from dmm_av.engine.ring import (
    CHANNELS,
    DEVICE_UNDERFLOWS,
    LATENCY,
    STAMP_HEARD,
    STAMP_HOST,
    STAMP_PLAYED,
    STAMP_READ,
    STAMP_TAKEN,
    drain,
)
from dmm_av.errors import DeviceError, nearest

try:
    import sounddevice
except OSError:  # the wheel for Linux brings no PortAudio
    sounddevice = None

RATE = 48_000
BLOCK = 256  # frames a device asks for at a time
LATENCY_S = 0.016

_NO_LIBRARY = (
    "No sound: the PortAudio library is not installed. "
    "Install it (Debian and Ubuntu: `apt install libportaudio2`); until then time runs on in silence."
)
_NO_DEVICE = (
    "No sound: this computer has no sound output device. "
    "Plug one in or start a sound server; until then time runs on in silence."
)


# ---- which frame is heard when

_WINDOW_S = 4.0  # how much of the past the line is fitted to
_FIT_EVERY_S = 0.05
_JUMP_S = 0.010  # stamps further than this off the newest ones are older than a stumble of the device
_LARGEST_ERROR = 0.005  # no device's clock is off by more than this share
_RECENT = 256  # stamps in which a frame is looked up


@final
class Playhead:
    """Which frame of a ring is heard at a host time: a line through the stamps of the last seconds.

    Callbacks come in bursts and say little; the times at which their blocks are heard lie on a line. The line
    counts device frames, which pass evenly; silence put in for an empty ring is then taken off, block by
    block.
    """

    def __init__(self, ring, rate):
        self._ring, self._rate = ring, rate
        self._fitted_at = float("-inf")
        self._line = 0, 0.0, float(rate)  # host time in ns, device frame heard then, frames per second

    def heard(self, host_time_s):
        """The ring frame heard at this host time (`time.perf_counter()`), a float; 0 before the first."""
        recent = self._ring.stamps(_RECENT)
        if not len(recent):
            return 0.0
        now = time.perf_counter()
        if now - self._fitted_at > _FIT_EVERY_S:
            self.fit()
            self._fitted_at = now
        origin_ns, offset, slope = self._line
        device_frame = offset + slope * (host_time_s - origin_ns * 1e-9)
        played = recent[:, STAMP_PLAYED]
        block = max(int(np.searchsorted(played, device_frame, side="right")) - 1, 0)
        into_block = min(device_frame - played[block], recent[block, STAMP_TAKEN])
        return max(float(recent[block, STAMP_READ] + into_block), 0.0)

    def line(self, host_time_s):
        """(host time, ring frame heard then, frames per second): what another process needs to go on by
        itself."""
        return host_time_s, self.heard(host_time_s), self._line[2]

    def fit(self):
        """Fits the line anew; `heard` does so often enough by itself."""
        stamps = self._ring.stamps()
        newest = stamps[-1]
        stamps = stamps[stamps[:, STAMP_HOST] > newest[STAMP_HOST] - int(_WINDOW_S * 1e9)]
        seconds = (stamps[:, STAMP_HEARD] - newest[STAMP_HEARD]) * 1e-9
        frames = (stamps[:, STAMP_PLAYED] - newest[STAMP_PLAYED]).astype(float)
        ahead = frames - self._rate * seconds
        newest_ahead = np.sort(ahead[-16:])[len(ahead[-16:]) // 2]  # one of them, where a mean may be none's
        near = np.abs(ahead - newest_ahead) < _JUMP_S * self._rate
        middle = np.median(ahead[near])
        spread = np.median(np.abs(ahead[near] - middle))
        near &= np.abs(ahead - middle) <= 4.0 * spread + 0.001 * self._rate
        seconds, frames = seconds[near], frames[near]
        slope, centre = float(self._rate), seconds.mean()
        if np.ptp(seconds) > 1.0:
            measured = np.dot(seconds - centre, frames) / np.dot(seconds - centre, seconds - centre)
            slope = float(np.clip(measured, slope * (1 - _LARGEST_ERROR), slope * (1 + _LARGEST_ERROR)))
        offset = float(newest[STAMP_PLAYED] + frames.mean() - slope * centre)
        self._line = int(newest[STAMP_HEARD]), offset, slope


# ---- what can be played to


class AbstractOutput(ABC):
    """Drains a ring at a steady rate. A real device and a clock keep the same promises."""

    def __init__(self, ring, rate):
        self.ring, self.rate = ring, rate
        self.playhead = Playhead(ring, rate)

    name: str
    latency_s: float

    @abstractmethod
    def start(self): ...

    @abstractmethod
    def stop(self): ...

    @abstractmethod
    def close(self): ...

    def heard(self, host_time_s):
        """The ring frame heard at this host time (`time.perf_counter()`), a float."""
        return self.playhead.heard(host_time_s)

    @property
    def underruns(self):
        """Times that sound was missing: the ring was empty, or the device says that it was."""
        return self.ring.underruns + self.ring.device_underflows

    @property
    def missing(self):
        """Frames of silence that empty rings cost."""
        return self.ring.missing

    @property
    def alive(self):
        """Whether the last second asked for a block; a device that was pulled out does not."""
        stamps = self.ring.stamps(1)
        return len(stamps) > 0 and time.perf_counter() - float(stamps[0, STAMP_HOST]) * 1e-9 < 1.0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()


_CALLBACK = types.int32(
    types.voidptr,  # input, unused
    types.CPointer(types.float32),  # output
    types.uint64,  # frames
    types.CPointer(types.float64),  # times in s: of the input, now, of the output
    types.uint64,  # status flags
    types.CPointer(types.int64),  # the ring's control block
)
_OUTPUT_UNDERFLOW = 4


@cfunc(_CALLBACK, error_model="numpy", cache=True)
def _play_block(unused, out, frames, times, flags, control):
    host_ns = host_nanoseconds()
    ahead_s = times[2] - times[1]
    # Some devices know no times, and none does for the blocks that it collects before it starts.
    ahead_ns = np.int64(ahead_s * 1e9) if 0.0 < ahead_s < 10.0 else control[LATENCY]
    drain(address_of(control), out, np.int64(frames), control[CHANNELS], host_ns, host_ns + ahead_ns)
    if flags & _OUTPUT_UNDERFLOW:
        control[DEVICE_UNDERFLOWS] += 1
    return 0


@dataclass(frozen=True)
class Device:
    """One line of `list devices`."""

    index: int
    name: str
    host: str
    channels: int
    rate: int
    is_default: bool

    def __str__(self):
        default = ", default" if self.is_default else ""
        return f"{self.index} {self.name} ({self.host}, {self.channels} channels, {self.rate} Hz{default})"


# Windows gives one device under four names; best first.
_HOSTS = ("Windows WASAPI", "Windows DirectSound", "MME", "Windows WDM-KS")
_playing = set()  # a native callback must not outlive its ring


_ROUND_ROBIN_PRIORITY = 5  # below sound servers
_NICENESS = -11  # what sound servers give themselves


@contextlib.contextmanager
def _first_in_line():
    """Threads that the sound library starts in here are woken before all others, where the system grants that.

    Without it a busy computer plays gaps: the callback is on time, but the library's own threads are not.
    """
    if not hasattr(os, "sched_setscheduler"):  # elsewhere the system itself prefers threads that play sound
        yield
        return
    me = threading.get_native_id()
    kept = os.sched_getscheduler(me), os.sched_getparam(me), os.getpriority(os.PRIO_PROCESS, me)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, me, _NICENESS)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(me, os.SCHED_RR, os.sched_param(_ROUND_ROBIN_PRIORITY))
    try:
        yield
    finally:
        os.sched_setscheduler(me, *kept[:2])
        os.setpriority(os.PRIO_PROCESS, me, kept[2])


@cfunc(types.void(), cache=True)
def _say_nothing():
    pass


def _silence_alsa():
    """ALSA writes each underflow to stderr, over the status line; the callback is told of it anyway."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(ctypes.c_void_p(_say_nothing.address))


@contextlib.contextmanager
def _quiet_library():
    """ALSA and PortAudio print on stderr what their caller learns as an error anyway."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _chosen(wanted, known):
    """The device meant by an index or a part of a name, None for the default one."""
    if not known:
        raise DeviceError(_NO_DEVICE if sounddevice else _NO_LIBRARY)
    listed = ", ".join(f"{device.index} `{device.name}`" for device in known)
    if wanted is None:
        default = next((device for device in known if device.is_default), known[0])
        best = [device for device in known if device.host == _HOSTS[0] and default.name in device.name]
        return (best or [default])[0]
    if str(wanted).isdecimal():
        for device in known:
            if device.index == int(wanted):
                return device
        raise DeviceError(f"Sound: no output device has number {wanted}. There are {listed}.")
    fits = [device for device in known if device.name.casefold() == wanted.casefold()] or [
        device for device in known if wanted.casefold() in device.name.casefold()
    ]
    if not fits:
        names = {device.name for device in known}
        raise DeviceError(f"Sound: no output device is called `{wanted}`. {nearest(wanted, names)}")
    hosts = {host: place for place, host in enumerate(_HOSTS)}
    best = min(hosts.get(device.host, 0) for device in fits)
    fits = [device for device in fits if hosts.get(device.host, 0) == best]
    if len(fits) > 1:
        several = ", ".join(f"{device.index} `{device.name}`" for device in fits)
        raise DeviceError(f"Sound: `{wanted}` may be any of {several}. Give the number or more of the name.")
    return fits[0]


@final
class AudioDevice(AbstractOutput):
    """A sound device, opened through PortAudio, that drains a ring in compiled code.

    ring        `engine.ring.Ring`
    rate        of the patch, Hz; the device must take it
    device      index, part of a name, or None for the default
    block       frames per callback
    latency_s   asked for; `latency_s` of the object is what the device promises
    channels    None: two, or what the device has
    """

    def __init__(self, ring, rate=RATE, device=None, block=BLOCK, latency_s=LATENCY_S, channels=None):
        super().__init__(ring, rate)
        known = self.devices()
        chosen = _chosen(device, known)
        _silence_alsa()
        self.name, self.host = chosen.name, chosen.host
        self._stream = None
        attempts = [channels] if channels else [min(2, chosen.channels), chosen.channels]
        for count in dict.fromkeys(attempts):
            try:
                self._stream = self._opened(chosen, count, block, latency_s)
                break
            except sounddevice.PortAudioError as error:
                refusal = error
        if self._stream is None:
            raise self._refused(chosen, known, refusal)
        ring.set(CHANNELS, count)
        self.latency_s = self._stream.latency
        ring.set(LATENCY, int(self.latency_s * 1e9))
        _playing.add(self)

    def _opened(self, device, channels, block, latency_s):
        extra = sounddevice.WasapiSettings(auto_convert=True) if device.host == "Windows WASAPI" else None
        with _quiet_library(), _first_in_line():
            return sounddevice._StreamBase(
                "output",
                samplerate=self.rate,
                blocksize=block,
                device=device.index,
                channels=channels,
                dtype="float32",
                latency=latency_s,
                extra_settings=extra,
                clip_off=False,
                dither_off=True,
                callback=sounddevice._ffi.cast("PaStreamCallback*", _play_block.address),
                wrap_callback=None,
                userdata=sounddevice._ffi.cast("void*", self.ring.base),
            )

    def _refused(self, chosen, known, reason):
        others = [device for device in known if device.index != chosen.index]
        names = ", ".join(f"`{device.name}`" for device in others)
        choose = f" Or choose another device: {names}." if others else ""
        if len(reason.args) > 1 and reason.args[1] == -9997:
            return DeviceError(
                f"Sound: `{chosen.name}` does not play {self.rate} Hz; its own rate is {chosen.rate} Hz. "
                f"Write `rates: {{sample: {chosen.rate}}}` in the patch.{choose}"
            )
        return DeviceError(
            f"Sound: `{chosen.name}` cannot be opened ({reason.args[0]}). "
            f"Close what else uses it, or plug it in again.{choose}"
        )

    @staticmethod
    def devices():
        """The output devices there are; none where PortAudio is missing."""
        if sounddevice is None:
            return []
        try:
            hosts = [host["name"] for host in sounddevice.query_hostapis()]
            default = sounddevice.default.device[1]
            return [
                Device(
                    index,
                    device["name"],
                    hosts[device["hostapi"]],
                    device["max_output_channels"],
                    int(device["default_samplerate"]),
                    index == default,
                )
                for index, device in enumerate(sounddevice.query_devices())
                if device["max_output_channels"] > 0
            ]
        except sounddevice.PortAudioError:
            return []

    def start(self):
        try:
            with _quiet_library(), _first_in_line():
                self._stream.start()
        except sounddevice.PortAudioError as error:
            raise DeviceError(
                f"Sound: `{self.name}` does not start ({error.args[0]}). Plug it in again or choose another device."
            ) from None

    def stop(self):
        """Stops at once: what is in the device's own buffer is dropped."""
        if self._stream is not None:
            self._stream.abort()

    def close(self):
        """Gives the device back; a second time does nothing."""
        if self._stream is not None:
            self._stream.abort()
            self._stream.close()
            self._stream = None
            _playing.discard(self)


# ---- no device

_STOP, _STARTED, _BLOCKS = range(3)  # words of the clock's own state
_STATE_WORDS = 8
_LONGEST_SLEEP_NS = 5_000_000  # so that stopping is quick
_LONGEST_LATENESS_NS = 1_000_000_000  # a process that was halted does not swallow the time it slept through


@njit(nogil=True, error_model="numpy", cache=True)
def _run_clock(base, state_address, recording_address, recorded_blocks, rate, block):
    """Drains block after block, each when it is due, until told to stop.

    recording_address   float32 frames: the first `recorded_blocks` blocks go there, later ones over the last
    """
    state = int64_pointer(state_address)
    prefer_this_thread(1)
    while True:
        frames = state[_BLOCKS] * block
        due = state[_STARTED] + frames // rate * 1_000_000_000 + frames % rate * 1_000_000_000 // rate
        now = host_nanoseconds()
        while now < due and load_acquire(state_address + 8 * _STOP) == 0:
            sleep_microseconds((min(due - now, _LONGEST_SLEEP_NS) + 999) // 1000)
            now = host_nanoseconds()
        if load_acquire(state_address + 8 * _STOP) != 0:
            return
        if now - due > _LONGEST_LATENESS_NS:
            state[_STARTED] += now - due
            due = now
        place = min(state[_BLOCKS], recorded_blocks - 1) * block
        drain(base, float32_pointer(recording_address + 8 * place), block, 2, now, due)
        state[_BLOCKS] += 1


@njit(error_model="numpy", cache=True)
def _ask_to_stop(state_address):
    store_release(state_address + 8 * _STOP, 1)


@final
class VirtualClock(AbstractOutput):
    """Drains a ring in real time without a device: block k is due k blocks after the start, so it never
    drifts.

    recording   float32 (n, 2), filled from the start with what a listener would hear, silence included; the
                whole blocks that fit, less the last. None: nothing is kept
    """

    name = "no device"

    def __init__(self, ring, rate=RATE, block=BLOCK, recording=None):
        super().__init__(ring, rate)
        self.latency_s = block / rate
        self._block = block
        self._recording = np.zeros((block, 2), np.float32) if recording is None else recording
        self._state = np.zeros(_STATE_WORDS, np.int64)
        self._thread = None

    def start(self):
        if self._thread is None:
            self._state[:] = 0
            self._state[_STARTED] = time.perf_counter_ns()
            self._thread = threading.Thread(target=self._run, name="virtual clock", daemon=True)
            self._thread.start()
            # Compiled code must not run on while the interpreter gives its memory back.
            atexit.register(self.stop)

    def _run(self):
        places = self.ring.base, self._state.ctypes.data, self._recording.ctypes.data
        _run_clock(*places, len(self._recording) // self._block, self.rate, self._block)

    def stop(self):
        thread, self._thread = self._thread, None
        if thread is not None:
            _ask_to_stop(self._state.ctypes.data)
            thread.join()
            atexit.unregister(self.stop)

    def close(self):
        self.stop()


def open_output(ring, rate=RATE, device=None, block=BLOCK, latency_s=LATENCY_S):
    """What plays the ring, and a sentence where that is no device: (AudioDevice, None) or (VirtualClock,
    sentence).

    A device that was asked for by name or number and cannot be had is an error; the default one is only
    missed.
    """
    try:
        return AudioDevice(ring, rate, device, block, latency_s), None
    except DeviceError as error:
        if device is not None and AudioDevice.devices():
            raise
        return VirtualClock(ring, rate, block), str(error)

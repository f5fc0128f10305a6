"""What is rendered is heard: every frame, once, in order, at a known time, whatever Python is doing."""

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from sound_server import SoundServer

from dmm_av.engine.native import (
    address_of,
    float32_pointer,
    float64_pointer,
    host_nanoseconds,
    int64_pointer,
    load_acquire,
    prefer_this_thread,
    sleep_microseconds,
    store_release,
)
from dmm_av.engine.ring import ENDED, READ, RING, SIZE, UNDERRUNS, WRITTEN, Ring, drain, frames_free
from dmm_av.errors import DeviceError
from dmm_av.io.audio_device import AudioDevice, Device, Playhead, VirtualClock, open_output

ROOT = Path(__file__).resolve().parents[1]
SECOND = 1_000_000_000


# ---- a writer that never needs the interpreter: frame k is (k, -k) / 65536, counted modulo 65536


@njit(nogil=True, error_model="numpy", cache=True)
def write_counter(base, total):
    ring, size = float32_pointer(int64_pointer(base)[RING]), int64_pointer(base)[SIZE]
    written = load_acquire(base + 8 * WRITTEN)
    while written < total:
        count = min(frames_free(base), 64, total - written)
        if count == 0:
            sleep_microseconds(500)
        for i in range(count):
            place = 2 * ((written + i) & (size - 1))
            ring[place] = np.float32(((written + i) & 65535) / 65536)
            ring[place + 1] = -ring[place]
        written += count
        store_release(base + 8 * WRITTEN, written)
    store_release(base + 8 * ENDED, 1)


@njit(nogil=True, error_model="numpy", cache=True)
def write_counter_first_of_all(base, total):
    prefer_this_thread(0)
    write_counter(base, total)


def counter(frames):
    left = (np.arange(frames) & 65535) / np.float32(65536)
    return np.stack([left, -left], axis=1).astype(np.float32)


def hog_the_interpreter(until):
    """Holds the interpreter lock for 30 ms at a time, as a slow C extension does."""
    sleep = ctypes.PyDLL(None).usleep
    while not until.is_set():
        sleep(30_000)


# ---- bare memory and time


@njit(nogil=True)
def _through_pointers(address):
    int64_pointer(address)[0] = 7
    float64_pointer(address)[1] = 2.5
    float32_pointer(address)[4] = 0.5
    store_release(address + 24, load_acquire(address) + 1)
    return address_of(int64_pointer(address))


def test_an_address_is_a_pointer_to_any_kind_of_number():
    memory = np.zeros(4, np.int64)
    assert _through_pointers(memory.ctypes.data) == memory.ctypes.data
    assert (memory[0], memory.view(float)[1], memory.view(np.float32)[4], memory[3]) == (7, 2.5, 0.5, 8)


@njit(nogil=True)
def _slept(microseconds):
    start = host_nanoseconds()
    sleep_microseconds(microseconds)
    return start, host_nanoseconds()


def test_host_time_is_the_performance_counter_and_sleep_sleeps():
    _slept(1)
    before = time.perf_counter_ns()
    start, end = _slept(3_000)
    assert before <= start < end <= time.perf_counter_ns()
    assert end - start >= 3_000_000


@njit(nogil=True)
def _preferred(realtime):
    return prefer_this_thread(realtime)


@pytest.mark.parametrize("realtime", [0, 1])
def test_a_thread_is_preferred_exactly_where_it_is_told_so(realtime):
    found = []

    def ask():
        granted, me = _preferred(realtime), threading.get_native_id()
        if hasattr(os, "sched_getscheduler"):
            round_robin = os.sched_getscheduler(me) & 0xFF == os.SCHED_RR
            found.append((granted, int(round_robin or os.getpriority(os.PRIO_PROCESS, me) == -11)))
        else:
            found.append((granted, 0))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    [(granted, preferred)] = found
    assert granted == preferred


# ---- the ring


def played(ring, frames, channels=2):
    out = np.full(frames * channels, 9, np.float32)
    _drain_into(ring.base, out, frames, channels)
    return out.reshape(frames, channels)


@njit
def _drain_into(base, out, frames, channels):
    drain(base, float32_pointer(out.ctypes.data), frames, channels, 0, 0)


def test_a_ring_gives_back_what_was_written_in_order_and_around_its_end():
    ring, sound = Ring(64), counter(1000)
    heard = []
    for start in range(0, 1000, 40):
        assert ring.write(sound[start : start + 40]) == 40
        heard.append(played(ring, 40))
    assert np.array_equal(np.concatenate(heard), sound)
    assert (ring.written, ring.read, ring.underruns, ring.missing) == (1000, 1000, 0, 0)


def test_a_full_ring_takes_no_more_and_loses_nothing():
    ring, sound = Ring(64), counter(100)
    assert ring.write(sound) == 64
    assert ring.write(sound[64:]) == 0
    assert np.array_equal(played(ring, 64), sound[:64])


def test_an_empty_ring_is_silent_and_is_counted_only_between_the_first_frame_and_the_last():
    ring = Ring(64)
    assert not played(ring, 16).any()
    assert (ring.underruns, ring.missing) == (0, 0)
    ring.write(counter(10))
    assert np.array_equal(played(ring, 16), np.concatenate([counter(10), np.zeros((6, 2), np.float32)]))
    assert (ring.underruns, ring.missing, ring.read) == (1, 6, 10)
    ring.end()
    played(ring, 16)
    assert (ring.underruns, ring.missing) == (1, 6)


def test_one_channel_hears_the_mean_and_channels_over_two_are_silent():
    ring, sound = Ring(64), np.array([[0.5, 0.25], [-1.0, 0.5]], np.float32)
    ring.write(sound)
    assert played(ring, 3, channels=1).ravel().tolist() == [0.375, -0.25, 0.0]
    ring.write(sound)
    assert played(ring, 2, channels=4).tolist() == [[0.5, 0.25, 0, 0], [-1, 0.5, 0, 0]]


def test_writer_and_reader_touch_different_cache_lines():
    assert Ring(2).base % 64 == 0
    assert len({word // 8 for word in (RING, WRITTEN, READ, UNDERRUNS)}) == 4


def test_a_ring_of_an_odd_size_is_refused_with_a_sentence():
    with pytest.raises(DeviceError, match="cannot hold 1000 frames. Give a power of two"):
        Ring(1000)


# ---- which frame is heard when


def deliver(ring, host_s, heard_s, frames=256):
    """One callback at a made-up time."""
    _deliver(ring.base, np.empty(2 * frames, np.float32), frames, int(host_s * SECOND), int(heard_s * SECOND))


@njit
def _deliver(base, out, frames, host_ns, heard_ns):
    drain(base, float32_pointer(out.ctypes.data), frames, 2, host_ns, heard_ns)


@pytest.mark.parametrize("blocks_in_a_burst", [1, 2, 8])
@pytest.mark.parametrize("parts_per_million", [-200, 0, 200])
def test_the_frame_heard_is_right_to_2_ms_though_callbacks_come_in_bursts(blocks_in_a_burst, parts_per_million):
    random, ring = np.random.default_rng(1), Ring(4096)
    playhead, rate = Playhead(ring, 48_000), 48_000 * (1 + parts_per_million * 1e-6)
    start, played_s = 100.0, 0.0
    for k in range(900):
        ring.write(np.zeros((256, 2)))
        host_s = start + k // blocks_in_a_burst * blocks_in_a_burst * 256 / rate
        played_s = start + 0.05 + k * 256 / rate
        deliver(ring, host_s, played_s + random.normal(0, 0.0003))
    for ago in (0.0, 0.3, 1.0):
        right = (played_s - ago - start - 0.05) * rate
        assert playhead.heard(played_s - ago) == pytest.approx(right, abs=0.002 * 48_000)


def test_silence_that_was_put_in_is_not_counted_as_heard():
    ring = Ring(4096)
    playhead = Playhead(ring, 48_000)
    for k in range(400):
        if k != 300:  # one block is missing: all later frames are heard 256 frames later
            ring.write(np.zeros((256, 2)))
        deliver(ring, 10 + k * 256 / 48_000, 10.02 + k * 256 / 48_000)
    at = 10.02 + np.array([299.5, 300.5, 350.0]) * 256 / 48_000
    assert [playhead.heard(t) for t in at] == pytest.approx([299.5 * 256, 300 * 256, 349 * 256], abs=2)
    assert ring.missing == 256


def test_after_a_stumble_of_the_device_the_line_starts_anew():
    ring = Ring(4096)
    playhead = Playhead(ring, 48_000)
    for k in range(500):
        ring.write(np.zeros((256, 2)))
        stumble_s = 0.5 if k >= 400 else 0.0
        deliver(ring, 10 + stumble_s + k * 256 / 48_000, 10.02 + stumble_s + k * 256 / 48_000)
    assert playhead.heard(10.52 + 499 * 256 / 48_000) == pytest.approx(499 * 256, abs=10)


def test_whatever_the_device_says_about_time_the_answer_is_a_frame_between_the_first_and_the_last():
    random, ring = np.random.default_rng(1), Ring(4096)
    playhead, now = Playhead(ring, 48_000), 10.0
    for _ in range(300):
        ring.write(np.zeros((256, 2)))
        now += random.choice([0.0, 0.005, 0.05, 3.0], p=[0.3, 0.5, 0.15, 0.05])
        deliver(ring, now, now + random.choice([-0.5, 0.0, 0.02, 0.3, 5.0]))
        playhead.fit()
        assert 0 <= playhead.heard(now) <= ring.read


def test_before_anything_is_played_frame_0_is_heard():
    assert Playhead(Ring(64), 48_000).heard(time.perf_counter()) == 0.0


# ---- no device


def full(size, total, write=write_counter):
    """A full ring, and the thread that keeps it full until `total` frames are written."""
    ring = Ring(size)
    writer = threading.Thread(target=write, args=(ring.base, total), daemon=True)
    writer.start()
    assert eventually(lambda: ring.free == 0)
    return ring, writer


def test_the_virtual_clock_plays_every_frame_in_order_while_the_interpreter_is_hogged():
    recording, over = np.zeros((480_000, 2), np.float32), threading.Event()
    hog = threading.Thread(target=hog_the_interpreter, args=(over,))
    ring, writer = full(16_384, 36_000)
    with VirtualClock(ring, recording=recording):
        hog.start()
        assert eventually(lambda: ring.read == 36_000)
        over.set()
        hog.join()
        writer.join()
    assert np.array_equal(recording[:36_000], counter(36_000))
    assert (ring.underruns, ring.missing) == (0, 0)


def test_the_virtual_clock_keeps_time_and_knows_what_is_heard():
    ring, writer = full(16_384, 48_000)
    with VirtualClock(ring) as clock:
        assert eventually(lambda: ring.read > 0)
        start, first = time.perf_counter(), clock.heard(time.perf_counter())
        assert eventually(lambda: ring.read >= 30_000)
        now = time.perf_counter()
        assert clock.heard(now) - first == pytest.approx((now - start) * 48_000, abs=96)
        assert clock.alive and clock.underruns == 0
        assert eventually(lambda: ring.read == 48_000)
    writer.join()


def test_a_clock_stops_at_once_and_can_start_again():
    ring = Ring(64)
    clock = VirtualClock(ring)
    for _ in range(2):
        seen = ring.callbacks
        clock.start()
        assert eventually(lambda seen=seen: ring.callbacks > seen)
        before = time.perf_counter()
        clock.stop()
        assert time.perf_counter() - before < 2.0  # it would run for ever
    seen = ring.callbacks
    clock.stop()
    assert ring.callbacks == seen


def eventually(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


# ---- a real device: PulseAudio's null sink, through PortAudio, in a process of its own


@pytest.fixture(scope="module")
def server():
    with SoundServer() as server:
        yield server


def in_a_process(server, *arguments):
    """What `play_counter` below reports, run where the sound server is the default device."""
    environment = server.environment | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, *map(str, arguments)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return json.loads(run.stdout)


def play_counter(frames, hogged):
    over = threading.Event()
    hog = threading.Thread(target=hog_the_interpreter, args=(over,), daemon=True)
    ring, _ = full(4096, int(frames), write_counter_first_of_all)
    output, sentence = open_output(ring, block=256, latency_s=0.016)
    heard = []
    with output:
        if int(hogged):
            hog.start()
        while ring.read < int(frames):
            time.sleep(0.01)
            now = time.perf_counter()
            heard.append((now, output.heard(now)))
        over.set()
        time.sleep(0.2)  # the device still holds the last frames
        alive = output.alive
    report = {"name": output.name, "sentence": sentence, "latency_s": output.latency_s, "alive": alive}
    report |= {"underruns": output.underruns, "missing": output.missing, "heard": heard}
    return report


def recorded_and_reported(server, frames, hogged):
    with server.record() as recording:
        report = in_a_process(server, "play_counter", frames, int(hogged))
        recording.wait_for(0.1)
        sound = recording.frames()
    first = np.flatnonzero(sound[:, 0])[0] - 1
    return sound[first : first + frames], report


@pytest.mark.parametrize("hogged", [False, True], ids=["free", "hogged"])
def test_a_device_plays_every_frame_and_python_cannot_stop_it(server, hogged):
    for _ in range(3):
        # An overloaded computer may drop once; sound that needs the interpreter drops in every run with a hog.
        sound, report = recorded_and_reported(server, 96_000, hogged)
        if not report["underruns"]:
            break
    assert np.array_equal(sound, counter(96_000))
    assert (report["underruns"], report["missing"], report["sentence"]) == (0, 0, None)
    assert report["alive"] and report["latency_s"] <= 0.03

    host_s, frame = np.array([pair for pair in report["heard"] if 4800 < pair[1] < 96_000]).T
    off_s = frame / 48_000 - host_s
    assert np.ptp(off_s) < 0.004  # +-2 ms


def play_mono():
    ring = Ring(4096)
    ring.write(np.tile(np.float32([0.5, 0.25]), (4096, 1)))
    ring.end()
    with AudioDevice(ring, channels=1) as output:
        assert eventually(lambda: ring.read == 4096)
        time.sleep(0.1)
    return output.underruns


def test_a_mono_device_plays_the_mean_of_both(server):
    with server.record() as recording:
        assert in_a_process(server, "play_mono") == 0
        recording.wait_for(0.1)
        sound = recording.frames()
    assert np.array_equal(sound[sound[:, 0] != 0], np.full((4096, 2), np.float32(0.375)))


def refusals():
    sentences = []
    for arguments in ({"device": "defualt"}, {"device": 77}, {"rate": 5_000_000}):
        try:
            open_output(Ring(64), **{"device": 0} | arguments)
        except DeviceError as error:
            sentences.append(str(error))
    return [[device.name for device in AudioDevice.devices()], sentences]


def test_a_device_that_cannot_be_had_is_refused_with_a_sentence_that_names_others(server):
    names, (misspelt, numbered, too_fast) = in_a_process(server, "refusals")
    assert set(names) == {"default", "pulse"}
    assert misspelt == "Sound: no output device is called `defualt`. Did you mean `default`?"
    assert "no output device has number 77. There are 0 `" in numbered
    assert "does not play 5000000 Hz" in too_fast and "`default`" in too_fast and "`pulse`" in too_fast


def test_a_device_is_listed_in_one_line():
    device = Device(3, "Headphones", "ALSA", 2, 48_000, True)
    assert str(device) == "3 Headphones (ALSA, 2 channels, 48000 Hz, default)"


WITHOUT_PORTAUDIO = """
import sys, time
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
sys.meta_path.insert(0, Missing())
"""
WITHOUT_DEVICE = """
import sounddevice
sounddevice.query_devices = lambda *arguments: []
"""
OPEN = """
from dmm_av.engine.ring import Ring
from dmm_av.io.audio_device import AudioDevice, open_output
output, sentence = open_output(Ring(64))
with output:
    pass
print(len(AudioDevice.devices()), output.name, sentence, sep="|")
"""


@pytest.mark.parametrize(
    "lack, complaint",
    [
        (WITHOUT_PORTAUDIO, "the PortAudio library is not installed"),
        (WITHOUT_DEVICE, "this computer has no sound output device"),
    ],
    ids=["no library", "no device"],
)
def test_without_library_or_device_a_clock_runs_and_a_sentence_says_so(server, lack, complaint):
    environment = server.environment | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", lack + OPEN]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    devices, name, sentence = run.stdout.strip().split("|")
    assert (devices, name) == ("0", "no device")
    assert complaint in sentence


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))

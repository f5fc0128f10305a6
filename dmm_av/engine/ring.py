"""The ring between who makes sound and who plays it: stereo float32 frames, one writer, one reader, no lock.

A compiled loop knows the ring by one address, `Ring.base`: a block of int64 words whose places are the
constants below. `drain` is the reader's whole work, for a device's callback and for a virtual clock alike; it
counts what was missing and plays on. Which device that is, is not known here.

Frames are counted twice. *Ring frames* are what was rendered: WRITTEN and READ count them. *Device frames*
also count the silence put in where the ring was empty; PLAYED counts those, and only they pass evenly in
time.
"""

import numpy as np
from numba import njit

from dmm_av.engine.native import float32_pointer, int64_pointer, load_acquire, store_release
from dmm_av.errors import DeviceError

# Words of the control block; words that two threads write are 64 bytes apart.
RING = 0  # address of the frames, float32, left and right interleaved
SIZE = 1  # frames the ring holds, a power of two
STAMPS = 2  # address of the stamps, STAMP_WORDS int64 each
WRITTEN = 8  # ring frames written since the start: the writer's word, stored with release
ENDED = 9  # the writer sets it to 1 after its last frame: an empty ring is then no underrun
READ = 16  # ring frames read since the start: the reader's word, stored with release
UNDERRUNS = 24  # times the ring ran empty while sound was on
MISSING = 25  # frames of silence those cost
DEVICE_UNDERFLOWS = 26  # times the device said that it ran empty itself
CALLBACKS = 27  # blocks asked for
PLAYED = 28  # device frames handed over: READ and all silence
STAMPED = 32  # stamps published since the start, stored with release
CHANNELS = 40  # of the device: 1, 2 or more
LATENCY = 41  # what the device says its latency is, ns: where its callback does not know the time of a block
CONTROL_WORDS = 48

# A stamp says when the first frame of one block is heard. Stamp k is at place k % STAMP_COUNT until it is
# overwritten STAMP_COUNT blocks later; who reads only the newest half needs no lock.
STAMP_COUNT = 4096
STAMP_WORDS = 8
STAMP_HOST = 0  # host time at which the block was asked for, ns
STAMP_HEARD = 1  # host time at which its first frame is heard, ns
STAMP_PLAYED = 2  # device frames before the block
STAMP_READ = 3  # ring frames before the block
STAMP_TAKEN = 4  # ring frames in the block


@njit(nogil=True, error_model="numpy", cache=True)
def drain(base, out, frames, channels, host_ns, heard_ns):
    """Plays one block out of the ring: what is there, then silence.

    base       address of the control block
    out        float32 pointer, `frames` times `channels`; a single channel gets (left + right) / 2, those over
               two get silence
    host_ns    host time now
    heard_ns   host time at which the block's first frame will be heard
    returns    ring frames played
    """
    control = int64_pointer(base)
    ring = float32_pointer(control[RING])
    mask = control[SIZE] - 1
    read = control[READ]
    ended = load_acquire(base + 8 * ENDED)
    written = load_acquire(base + 8 * WRITTEN)
    taken = min(written - read, frames)
    if channels == 2:
        for i in range(taken):
            place = 2 * ((read + i) & mask)
            out[2 * i] = ring[place]
            out[2 * i + 1] = ring[place + 1]
    elif channels == 1:
        for i in range(taken):
            place = 2 * ((read + i) & mask)
            out[i] = np.float32(0.5) * (ring[place] + ring[place + 1])
    else:
        for i in range(taken):
            place = 2 * ((read + i) & mask)
            out[channels * i] = ring[place]
            out[channels * i + 1] = ring[place + 1]
            for channel in range(2, channels):
                out[channels * i + channel] = np.float32(0.0)
    for i in range(channels * taken, channels * frames):
        out[i] = np.float32(0.0)

    stamped = control[STAMPED]
    stamp = control[STAMPS] + 8 * STAMP_WORDS * (stamped % STAMP_COUNT)
    store_release(stamp + 8 * STAMP_HOST, host_ns)
    store_release(stamp + 8 * STAMP_HEARD, heard_ns)
    store_release(stamp + 8 * STAMP_PLAYED, control[PLAYED])
    store_release(stamp + 8 * STAMP_READ, read)
    store_release(stamp + 8 * STAMP_TAKEN, taken)
    store_release(base + 8 * STAMPED, stamped + 1)

    control[PLAYED] += frames
    control[CALLBACKS] += 1
    if taken < frames and written > 0 and ended == 0:
        control[UNDERRUNS] += 1
        control[MISSING] += frames - taken
    store_release(base + 8 * READ, read + taken)
    return taken


@njit(nogil=True, error_model="numpy", cache=True)
def frames_free(base):
    """How many frames the writer may write now."""
    control = int64_pointer(base)
    return control[SIZE] - (load_acquire(base + 8 * WRITTEN) - load_acquire(base + 8 * READ))


@njit(nogil=True, error_model="numpy", cache=True)
def _write(base, frames):
    control = int64_pointer(base)
    ring = float32_pointer(control[RING])
    mask = control[SIZE] - 1
    written = control[WRITTEN]
    count = min(len(frames), frames_free(base))
    for i in range(count):
        place = 2 * ((written + i) & mask)
        ring[place] = frames[i, 0]
        ring[place + 1] = frames[i, 1]
    store_release(base + 8 * WRITTEN, written + count)
    return count


def _aligned(words):
    """Zeroed int64 words at a multiple of 64 bytes: a cache line holds the words of one thread only."""
    spare = np.zeros(words + 8, np.int64)
    start = (-spare.ctypes.data // 8) % 8
    return spare[start : start + words]


class Ring:
    """A ring of stereo float32 frames; `base` is all that compiled code needs."""

    def __init__(self, frames_power_of_two=4096):
        if frames_power_of_two < 2 or frames_power_of_two & (frames_power_of_two - 1):
            raise DeviceError(
                f"A sound ring cannot hold {frames_power_of_two} frames. Give a power of two, such as 4096."
            )
        self.size = frames_power_of_two
        self._frames = np.zeros(2 * frames_power_of_two, np.float32)
        self._stamps = _aligned(STAMP_COUNT * STAMP_WORDS)
        self._control = _aligned(CONTROL_WORDS)
        self._control[RING] = self._frames.ctypes.data
        self._control[SIZE] = frames_power_of_two
        self._control[STAMPS] = self._stamps.ctypes.data
        self._control[CHANNELS] = 2
        self.base = self._control.ctypes.data

    def write(self, frames):
        """Writes as many of the frames (float32, (n, 2)) as there is room for; returns how many."""
        return _write(self.base, np.ascontiguousarray(frames, np.float32))

    def end(self):
        """Says that no frame will follow: from now on an empty ring is no underrun."""
        self._control[ENDED] = 1

    def set(self, word, value):
        """Writes a word of the control block that no compiled loop writes, before anything runs."""
        self._control[word] = value

    @property
    def free(self):
        return frames_free(self.base)

    @property
    def written(self):
        return int(self._control[WRITTEN])

    @property
    def read(self):
        return int(self._control[READ])

    @property
    def underruns(self):
        return int(self._control[UNDERRUNS])

    @property
    def missing(self):
        return int(self._control[MISSING])

    @property
    def device_underflows(self):
        return int(self._control[DEVICE_UNDERFLOWS])

    @property
    def callbacks(self):
        return int(self._control[CALLBACKS])

    @property
    def stamped(self):
        return int(self._control[STAMPED])

    def stamps(self, most=STAMP_COUNT // 2):
        """The newest stamps, oldest first: int64 (n, STAMP_WORDS). At most half of what is kept."""
        last = self.stamped
        count = min(last, most, STAMP_COUNT // 2)
        places = np.arange(last - count, last) % STAMP_COUNT
        return self._stamps.reshape(STAMP_COUNT, STAMP_WORDS)[places]

"""The end of every sound path: DC blocker, guard, limiter, fade-in, panic. The same live and in files.

What stands here works on the sums that reach the neuron `speakers`; which neurons those come from, and the device
behind, are not known.
"""

import math

import numpy as np
from numba import njit

from dmm_av.engine.native import float64_pointer, int64_pointer

CEILING = 0.89  # of full scale; -1 dBFS is 0.8913
CLIP = 0.8912  # nothing may pass this, whatever the limiter's rounding
LOOK_AHEAD_S = 0.0015
RELEASE_S = 0.08
FADE_IN_S = 0.05
SMOOTHING_S = 0.01
DC_HZ = 4.0
LOUDEST = 1e6  # what a number may be before the limiter
GAIN_ONE = 1 << 40  # gains are averaged as integers: a running sum that never drifts

# Numbers of the stage (float64), then its words (int64)
DC_POLE = 0
RELEASE = 1
PANIC = 2
GAIN = 3
SMOOTHING = 4
HELD = 5  # the limiter's gain after release
FADED = 6  # share of the fade-in that is done
FADE_STEP = 7
CHANNELS = 8  # per channel: previous input, previous output, three samples before
SPAN = 24  # word: N, samples over which gains are averaged
CLOCK = 25  # word: samples since the start
TOTAL = 26  # word: sum of the last N gains
QUEUE_FIRST = 27  # word: the queue of growing minima
QUEUE_LAST = 28
ROOM = 29  # word: length of the rings, a power of two
LEFT_LINE = 30  # words: addresses of rings
RIGHT_LINE = 31
GAINS = 32
QUEUE_GAIN = 33
QUEUE_TIME = 34
STAGE_WORDS = 40


class Stage:
    """What the speakers' end keeps from block to block."""

    def __init__(self, rate, longest_block):
        span = max(8, round(LOOK_AHEAD_S * rate))
        room = 1 << (span + 4 + longest_block).bit_length()
        self.numbers = np.zeros(STAGE_WORDS)
        self.words = self.numbers.view(np.int64)
        self._rings = [np.zeros(room, kind) for kind in (float, float, np.int64, float, np.int64)]
        for place, ring in zip((LEFT_LINE, RIGHT_LINE, GAINS, QUEUE_GAIN, QUEUE_TIME), self._rings, strict=True):
            self.words[place] = ring.ctypes.data
        self.words[SPAN] = span
        self.words[ROOM] = room
        self.numbers[DC_POLE] = math.exp(-2.0 * math.pi * DC_HZ / rate)
        self.numbers[RELEASE] = 1.0 - math.exp(-1.0 / (RELEASE_S * rate))
        self.numbers[SMOOTHING] = 1.0 - math.exp(-1.0 / (SMOOTHING_S * rate))
        self.numbers[FADE_STEP] = 1.0 / max(1.0, FADE_IN_S * rate)
        self.numbers[PANIC] = self.numbers[GAIN] = 1.0
        self.address = self.numbers.ctypes.data
        self.latency = span + 1
        self.restart()

    def restart(self):
        """Silence in all lines; the next block fades in."""
        for ring in self._rings:
            ring[:] = 0
        self._rings[2][:] = GAIN_ONE
        self.words[TOTAL] = GAIN_ONE * int(self.words[SPAN])
        self.words[CLOCK] = self.words[QUEUE_FIRST] = self.words[QUEUE_LAST] = 0
        self.numbers[CHANNELS : CHANNELS + 10] = 0.0
        self.numbers[HELD] = 1.0
        self.numbers[FADED] = 0.0


_O = {"nogil": True, "error_model": "numpy"}  # kept in the cache by signal_loops.py


@njit(**_O)
def render_stage(stage, rows, row_bytes, frames):
    """Left, right and both (three rows) become what is played, left and right (the first two rows).

    Source: look-ahead limiting by a sliding minimum and a moving average, derived for this project. The running
    minimum is kept in a queue of growing values (D. Lemire, Streaming maximum-minimum filter, 2006).
    """
    f = float64_pointer(stage)
    w = int64_pointer(stage)
    both = float64_pointer(rows + 2 * row_bytes)
    loudest = 0.0
    for channel in range(2):
        row = float64_pointer(rows + channel * row_bytes)
        line = float64_pointer(w[LEFT_LINE + channel])
        loudest = max(loudest, block_direct_current(stage, channel, row, both, line, frames))
    first, last = w[QUEUE_FIRST], w[QUEUE_LAST]
    calm = last == first or (last == first + 1 and float64_pointer(w[QUEUE_GAIN])[first & (w[ROOM] - 1)] == 1.0)
    if loudest <= CEILING and calm and f[HELD] == 1.0 and w[TOTAL] == w[SPAN] * GAIN_ONE:
        pass_on(stage, rows, row_bytes, frames)
    else:
        limit(stage, rows, row_bytes, frames)
    w[CLOCK] += frames


@njit(**_O)
def block_direct_current(stage, channel, row, both, line, frames):
    """One channel, summed and filtered: the sound into its line, its peaks into its row; returns the greatest peak."""
    f = float64_pointer(stage)
    w = int64_pointer(stage)
    mask = w[ROOM] - 1
    clock = w[CLOCK]
    c = CHANNELS + 5 * channel
    pole = f[DC_POLE]
    x1, y1, b, a = f[c], f[c + 1], f[c + 2], f[c + 3]
    before = f[c + 4]
    loudest = 0.0
    for t in range(frames):
        x = row[t] + both[t]
        x = x if abs(x) <= LOUDEST else 0.0  # not finite, or beyond all sense
        y = x - x1 + pole * y1
        y = y if abs(y) > 1e-30 else 0.0
        x1 = x
        y1 = y
        between = (9.0 * (b + a) - before - y) * 0.0625  # halfway between the two samples before
        before = a
        a = b
        b = y
        size = max(abs(y), abs(between))
        row[t] = size
        line[(clock + t) & mask] = y
        loudest = max(loudest, size)
    f[c], f[c + 1], f[c + 2], f[c + 3], f[c + 4] = x1, y1, b, a, before
    return loudest


@njit(**_O)
def next_level(stage):
    """Panic and fade-in of the next sample."""
    f = float64_pointer(stage)
    target = f[PANIC]
    gain = f[GAIN] + (target - f[GAIN]) * f[SMOOTHING]
    if abs(target - gain) < 1e-7:
        gain = target
    f[GAIN] = gain
    if f[FADED] >= 1.0:
        return gain
    level = gain * f[FADED]
    f[FADED] += f[FADE_STEP]
    return level


@njit(**_O)
def pass_on(stage, rows, row_bytes, frames):
    """A block in which the limiter has nothing to do."""
    f = float64_pointer(stage)
    w = int64_pointer(stage)
    mask = w[ROOM] - 1
    start = w[CLOCK] - w[SPAN] - 1
    left_row = float64_pointer(rows)
    right_row = float64_pointer(rows + row_bytes)
    left_line = float64_pointer(w[LEFT_LINE])
    right_line = float64_pointer(w[RIGHT_LINE])
    if f[FADED] >= 1.0 and f[GAIN] == f[PANIC]:
        level = f[GAIN]
        for t in range(frames):
            left_row[t] = left_line[(start + t) & mask] * level
            right_row[t] = right_line[(start + t) & mask] * level
    else:
        for t in range(frames):
            level = next_level(stage)
            left_row[t] = left_line[(start + t) & mask] * level
            right_row[t] = right_line[(start + t) & mask] * level
    # as if every sample had been looked at: the gains' ring holds ones already, the queue one of them
    w[QUEUE_FIRST] = w[QUEUE_LAST]
    float64_pointer(w[QUEUE_GAIN])[w[QUEUE_LAST] & mask] = 1.0
    int64_pointer(w[QUEUE_TIME])[w[QUEUE_LAST] & mask] = w[CLOCK] + frames - 1
    w[QUEUE_LAST] += 1


@njit(**_O)
def limit(stage, rows, row_bytes, frames):
    """A block in which the limiter works; the rows hold the channels' peaks."""
    f = float64_pointer(stage)
    w = int64_pointer(stage)
    left_row = float64_pointer(rows)
    right_row = float64_pointer(rows + row_bytes)
    left_line = float64_pointer(w[LEFT_LINE])
    right_line = float64_pointer(w[RIGHT_LINE])
    gains = int64_pointer(w[GAINS])
    queue_gain = float64_pointer(w[QUEUE_GAIN])
    queue_time = int64_pointer(w[QUEUE_TIME])
    span = w[SPAN]
    mask = w[ROOM] - 1
    whole = span * GAIN_ONE
    total = w[TOTAL]
    first = w[QUEUE_FIRST]
    last = w[QUEUE_LAST]
    held = f[HELD]
    for t in range(frames):
        clock = w[CLOCK] + t
        peak = max(left_row[t], right_row[t])
        allowed = CEILING / peak if peak > CEILING else 1.0

        # smallest allowed gain of the last span + 2 samples
        while last > first and queue_gain[(last - 1) & mask] >= allowed:
            last -= 1
        queue_gain[last & mask] = allowed
        queue_time[last & mask] = clock
        last += 1
        if queue_time[first & mask] < clock - span - 1:
            first += 1
        smallest = queue_gain[first & mask]

        held = smallest if smallest <= held else held + (smallest - held) * f[RELEASE]
        if held > 0.9999999 and smallest == 1.0:
            held = 1.0
        share = int(held * GAIN_ONE)
        total += share - gains[(clock - span) & mask]
        gains[clock & mask] = share
        gain = 1.0 if total == whole else total / whole
        heard = (clock - span - 1) & mask
        level = next_level(stage)
        left_row[t] = min(max(left_line[heard] * gain, -CLIP), CLIP) * level
        right_row[t] = min(max(right_line[heard] * gain, -CLIP), CLIP) * level
    w[TOTAL] = total
    w[QUEUE_FIRST] = first
    w[QUEUE_LAST] = last
    f[HELD] = held

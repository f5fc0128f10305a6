"""The end of every sound path: DC blocker, guard, limiter, volume, fade-in. The same live and in files.

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
VOLUME = 2
PANIC = 3
GAIN = 4
SMOOTHING = 5
HELD = 6  # the limiter's gain after release
FADED = 7  # share of the fade-in that is done
FADE_STEP = 8
CHANNELS = 9  # per channel: previous input, previous output, three samples before
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

    def __init__(self, rate):
        span = max(8, round(LOOK_AHEAD_S * rate))
        room = 1 << (span + 4).bit_length()
        self.numbers = np.zeros(STAGE_WORDS)
        self.words = self.numbers.view(np.int64)
        self._rings = [np.zeros(room, kind) for kind in (float, float, np.int64, float, np.int64)]
        for place, ring in zip(
            (LEFT_LINE, RIGHT_LINE, GAINS, QUEUE_GAIN, QUEUE_TIME), self._rings, strict=True
        ):
            self.words[place] = ring.ctypes.data
        self.words[SPAN] = span
        self.words[ROOM] = room
        self.numbers[DC_POLE] = math.exp(-2.0 * math.pi * DC_HZ / rate)
        self.numbers[RELEASE] = 1.0 - math.exp(-1.0 / (RELEASE_S * rate))
        self.numbers[SMOOTHING] = 1.0 - math.exp(-1.0 / (SMOOTHING_S * rate))
        self.numbers[FADE_STEP] = 1.0 / max(1.0, FADE_IN_S * rate)
        self.numbers[VOLUME] = self.numbers[PANIC] = self.numbers[GAIN] = 1.0
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


@njit(nogil=True, error_model="numpy", cache=True)
def render_stage(stage, rows, row_bytes, frames):
    """Left, right and both (three rows) become what is played, left and right (the first two rows).

    Source: look-ahead limiting by a sliding minimum and a moving average, derived for this project. The running
    minimum is kept in a queue of growing values (D. Lemire, Streaming maximum-minimum filter, 2006).
    """
    f = float64_pointer(stage)
    w = int64_pointer(stage)
    left_row = float64_pointer(rows)
    right_row = float64_pointer(rows + row_bytes)
    both_row = float64_pointer(rows + 2 * row_bytes)
    left_line = float64_pointer(w[LEFT_LINE])
    right_line = float64_pointer(w[RIGHT_LINE])
    gains = int64_pointer(w[GAINS])
    queue_gain = float64_pointer(w[QUEUE_GAIN])
    queue_time = int64_pointer(w[QUEUE_TIME])
    span = w[SPAN]
    mask = w[ROOM] - 1
    whole = span * GAIN_ONE
    clock = w[CLOCK]
    total = w[TOTAL]
    first = w[QUEUE_FIRST]
    last = w[QUEUE_LAST]
    held = f[HELD]
    gain = f[GAIN]
    faded = f[FADED]
    target = f[VOLUME] * f[PANIC]
    pole = f[DC_POLE]
    for t in range(frames):
        peak = 0.0
        for channel in range(2):
            x = (left_row[t] if channel == 0 else right_row[t]) + both_row[t]
            x = x if abs(x) <= LOUDEST else 0.0  # not finite, or beyond all sense
            c = CHANNELS + 5 * channel
            y = x - f[c] + pole * f[c + 1]
            f[c] = x
            f[c + 1] = y if abs(y) > 1e-30 else 0.0
            between = (9.0 * (f[c + 2] + f[c + 3]) - f[c + 4] - y) * 0.0625
            f[c + 4] = f[c + 3]
            f[c + 3] = f[c + 2]
            f[c + 2] = y
            peak = max(peak, abs(y), abs(between))
            if channel == 0:
                left_line[clock & mask] = y
            else:
                right_line[clock & mask] = y
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
        limit = 1.0 if total == whole else total / whole

        gain += (target - gain) * f[SMOOTHING]
        if abs(target - gain) < 1e-7:
            gain = target
        level = gain
        if faded < 1.0:
            level *= faded
            faded += f[FADE_STEP]
        heard = (clock - span - 1) & mask
        a = left_line[heard] * limit
        b = right_line[heard] * limit
        a = min(max(a, -CLIP), CLIP)
        b = min(max(b, -CLIP), CLIP)
        left_row[t] = a * level
        right_row[t] = b * level
        clock += 1
    w[CLOCK] = clock
    w[TOTAL] = total
    w[QUEUE_FIRST] = first
    w[QUEUE_LAST] = last
    f[HELD] = held
    f[GAIN] = gain
    f[FADED] = faded if faded < 1.0 else 1.0

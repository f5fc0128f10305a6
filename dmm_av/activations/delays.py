"""Delay lines: echoes, combs, all-passes. Times are in seconds and may glide; lines are read between samples.

The setting `longest` is the length of the line; changing it makes a new one.
"""

from dmm_av.network.activation import Delayed, Memory, Setting, State, signal
from dmm_av.streams.dsp import between_taps, clamp, tap
from dmm_av.streams.units import Bipolar, Seconds

LONGEST = (Setting("longest", "number", 2.0, about="seconds that the line can hold"),)


@signal(rates="audio", settings=LONGEST)
def delay(
    clock,
    input: Delayed[Bipolar],
    time: Seconds = 0.25,
    feedback: Bipolar = 0.0,
    line: Memory = 2.0,
    last: State = 0.0,
):
    """Gives its input back later; a loop through it lasts exactly `time`.

    input      what is delayed
    time       seconds, at least one sample
    feedback   how much of the output goes round again, -1 to 1
    """
    newest = input + clamp(feedback, -1.0, 1.0) * last  # what entered one step ago
    distance = time * clock.rate - 1.0
    if distance >= 2.0:
        out = between_taps(line, distance)
    else:
        d = clamp(distance, 0.0, 2.0)
        near = newest + d * (tap(line, 1) - newest)
        far = tap(line, 1) + (d - 1.0) * (tap(line, 2) - tap(line, 1))
        out = near if d < 1.0 else far
    return out, newest, out


@signal(rates="audio", settings=LONGEST)
def comb(
    clock,
    input: Bipolar,
    time: Seconds = 1.0 / 440.0,
    feedback: Bipolar = 0.9,
    line: Memory = 2.0,
):
    """Rings at the pitch whose period is `time`.

    input      what makes it ring
    time       seconds of one period: 1/440 sounds 440 Hz
    feedback   how long it rings, -1 to 1; negative sounds an octave lower, hollow
    """
    out = input + clamp(feedback, -1.0, 1.0) * between_taps(line, time * clock.rate)
    out = out if abs(out) > 1e-30 else 0.0
    return out, out


@signal(rates="audio", settings=LONGEST)
def allpass(
    clock,
    input: Bipolar,
    time: Seconds = 0.01,
    feedback: Bipolar = 0.6,
    line: Memory = 2.0,
):
    """Smears a sound in time and keeps all its frequencies equally loud.

    input      what is smeared
    time       seconds
    feedback   how dense, -1 to 1

    Source: M. Schroeder, Natural sounding artificial reverberation, 1962.
    """
    g = clamp(feedback, -0.9999, 0.9999)
    late = between_taps(line, time * clock.rate)
    kept = input + g * late
    kept = kept if abs(kept) > 1e-30 else 0.0
    return late - g * kept, kept

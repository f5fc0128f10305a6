"""Envelopes: how a sound or a value comes and goes. What triggers them is elsewhere.

A trigger is a rise from 0 or less; its height is the velocity. A trigger that climbs over some steps (a number on its
way into sound does) counts with the height it reaches.
"""

from dmm_av.network.activation import State, signal
from dmm_av.streams.dsp import exp2, pole_for
from dmm_av.streams.units import UNITS, Number, Seconds, Trigger, Unipolar

DOUBLINGS_TO_60_DB = 9.965784284662087  # log2(1000)
TO_99_PERCENT = 0.21714724095162594  # 1 / ln(100)
OVERSHOOT = 1.25  # an attack aims higher than its peak, so that it arrives instead of approaching
TO_PEAK = 0.6213349345596119  # 1 / ln(1.25 / 0.25)


@signal(out=UNITS["unipolar"], also=("perc",))
def decay(clock, trigger: Trigger, time: Seconds = 0.3, level: State = 0.0, before: State = 0.0):
    """Jumps up at a trigger and dies away.

    trigger   a rise from 0 starts it, as loud as the trigger is high
    time      seconds until it is 60 dB down
    out       from the trigger's height to 0
    """
    steps = time * clock.rate
    level = level * exp2(-DOUBLINGS_TO_60_DB / (steps if steps > 1.0 else 1.0))
    struck = trigger > 0.0 and trigger > before and trigger > level
    level = trigger if struck else level
    level = level if level > 1e-12 else 0.0
    return level, level, trigger


@signal(out=UNITS["unipolar"], also=("adsr",))
def envelope(
    clock,
    gate: Trigger,
    attack: Seconds = 0.01,
    decay: Seconds = 0.2,
    sustain: Unipolar = 0.6,
    release: Seconds = 0.3,
    level: State = 0.0,
    peak: State = 0.0,
    climbing: State = 0.0,
    before: State = 0.0,
):
    """Attack, decay, sustain while the gate is open, release when it closes; exponential curves.

    gate      open while above 0; its height is the peak; opening again starts from where the level is
    attack    seconds from 0 to the peak
    decay     seconds down to the sustained level
    sustain   level while the gate stays open, as a share of the peak
    release   seconds to silence after the gate closes
    out       from 0 to the gate's height
    """
    is_open = gate > 0.0
    opens = is_open and before <= 0.0
    climbing = 1.0 if opens else (climbing if is_open else 0.0)
    peak = gate if opens or (climbing > 0.0 and gate > peak) else peak
    target = OVERSHOOT * peak if climbing > 0.0 else (sustain * peak if is_open else 0.0)
    seconds = attack * TO_PEAK if climbing > 0.0 else (decay if is_open else release) * TO_99_PERCENT
    level = level + (target - level) * pole_for(seconds, clock)
    arrived = climbing > 0.0 and level >= peak
    level = peak if arrived else level
    climbing = 0.0 if arrived else climbing
    level = level if abs(level) > 1e-12 else 0.0
    return level, level, peak, climbing, gate


@signal(out=UNITS["number"])
def lag(clock, input: Number, rise: Seconds = 0.1, fall: Seconds = 0.1, kept: State = 0.0):
    """Follows its input with a delay that smooths it.

    input   what is followed
    rise    seconds in which it climbs 99 % of the way
    fall    seconds in which it falls 99 % of the way
    """
    seconds = (rise if input > kept else fall) * TO_99_PERCENT
    kept = kept + (input - kept) * pole_for(seconds, clock)
    kept = kept if abs(kept) > 1e-30 else 0.0
    return kept, kept

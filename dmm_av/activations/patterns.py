"""Patterns in musical time: clocks, step sequences, Euclidean rhythms. They read beats and keep none.

The place in the pattern is a function of the beat alone, so jumping, stretching and running backwards need no care.
"""

from dmm_av.network.activation import Family, signal
from dmm_av.streams.dsp import at, clamp, count, floor
from dmm_av.streams.units import UNITS, Beats, Count, Number

TRANSPORT = {"beat": {"transport.beat": 1.0}}
NEARLY = 1e-6  # steps: a beat that has rounded down to just before its step counts as there
OUTPUTS = {"out": UNITS["number"], "gate": UNITS["unipolar"], "trigger": UNITS["trigger"]}


def place_in_pattern(beat, per_beat):
    """The place in the pattern, in steps."""
    return beat * per_beat + NEARLY


def turned(number, length):
    """A whole number wrapped into [0, length)."""
    return number - length * floor(number / length)


@signal(outputs=OUTPUTS, rows=TRANSPORT)
def clock_(beat: Beats, per_beat: Count = 4.0):
    """Counts steps: so many per beat.

    beat       the time in beats; a weight of 2 is double time
    per_beat   steps per beat
    out        number of the step, counting up from 0
    gate       1 in the first half of a step
    trigger    1 in the first quarter of a step
    """
    place = place_in_pattern(beat, per_beat)
    number = floor(place)
    within = place - number
    return number, 1.0 if within < 0.5 else 0.0, 1.0 if within < 0.25 else 0.0


@signal(outputs=OUTPUTS, rows=TRANSPORT)
def steps(beat: Beats, steps: Family[Number], per_beat: Count = 4.0):
    """Plays a list of values, one per step, round and round.

    beat       the time in beats; a weight of 2 is double time
    steps      the values, steps/1, steps/2 …; as many as there are
    per_beat   steps per beat
    out        value of the step, held
    gate       the value, in the first half of its step
    trigger    the value, in the first quarter of its step
    """
    length = count(steps)
    place = place_in_pattern(beat, per_beat)
    number = floor(place)
    within = place - number
    value = 0.0
    if length > 0:
        value = at(steps, int(turned(number, float(length))))
    return value, value if within < 0.5 else 0.0, value if within < 0.25 else 0.0


@signal(outputs=OUTPUTS, rows=TRANSPORT)
def euclid(
    beat: Beats,
    pulses: Count = 3.0,
    length: Count = 8.0,
    rotation: Number = 0.0,
    per_beat: Count = 4.0,
):
    """Spreads pulses over steps as evenly as they go.

    beat       the time in beats; a weight of 2 is double time
    pulses     how many
    length     steps until it repeats
    rotation   steps by which the pattern is turned
    per_beat   steps per beat
    out        1 in a step with a pulse, else 0
    gate       the same, in the first half of the step
    trigger    the same, in the first quarter of the step

    Source: G. Toussaint, The Euclidean algorithm generates traditional musical rhythms, 2005.
    """
    place = place_in_pattern(beat, per_beat)
    number = floor(place)
    within = place - number
    size = clamp(floor(length + 0.5), 1.0, 1024.0)
    wanted = clamp(floor(pulses + 0.5), 0.0, size)
    step = turned(number + floor(rotation + 0.5), size)
    hit = 1.0 if turned(step * wanted, size) < wanted else 0.0
    return hit, hit if within < 0.5 else 0.0, hit if within < 0.25 else 0.0

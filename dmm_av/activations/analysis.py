"""Analysers: from sound to numbers. What listens to pictures is elsewhere."""

from dmm_av.network.activation import Bank, State, signal
from dmm_av.streams.dsp import at, clamp, exp2, pole_for, put, tangent_of_half_turns
from dmm_av.streams.units import UNITS, Bipolar, Seconds

BANDS = 16
LOWEST_HZ = 50.0
OCTAVES_PER_BAND = 0.5
LOW_BANDS = 5  # up to about 240 Hz
MID_BANDS = 11  # up to about 2 kHz
BAND_DAMPING = 0.35  # of a band filter: half an octave wide
FORGETS_S = 12.0  # how fast the auto-gain forgets a loud moment
FLOOR = 0.004  # what is fainter than this is not blown up

# Places in the bank of `bands`
_FIRST, _SECOND, _LEVEL, _LOUDEST, _PULL = (part * BANDS for part in range(5))
_GROUPS = 5 * BANDS  # loudest of low, mid, high


@signal(rates="audio", out=UNITS["unipolar"], listens=True)
def level(
    clock,
    input: Bipolar,
    attack: Seconds = 0.01,
    release: Seconds = 0.2,
    kept: State = 0.0,
):
    """How loud a sound is, as a number.

    input     a sound
    attack    seconds in which it follows upwards
    release   seconds in which it follows downwards
    out       size of the sound, 0 to 1
    """
    size = abs(input)
    kept = kept + (size - kept) * pole_for(attack if size > kept else release, clock)
    kept = kept if kept > 1e-12 else 0.0
    return kept, kept


def in_scale(bank, place, value, forgets):
    """A level relative to the loudest of the last seconds, in [0, 1]."""
    loudest = at(bank, place) * forgets
    loudest = value if value > loudest else loudest
    put(bank, place, loudest)
    return clamp(value / (loudest if loudest > FLOOR else FLOOR), 0.0, 1.0)


@signal(
    rates="audio",
    outputs={
        "low": UNITS["unipolar"],
        "mid": UNITS["unipolar"],
        "high": UNITS["unipolar"],
        "spectrum": UNITS["unipolar"],
    },
    branches={"spectrum": BANDS},
    listens=True,
)
def bands(clock, input: Bipolar, attack: Seconds = 0.01, release: Seconds = 0.2, bank: Bank = 83):
    """How loud a sound is in the bass, in the middle and in the treble.

    input      a sound
    attack     seconds in which it follows upwards
    release    seconds in which it follows downwards
    low        up to about 240 Hz; 0 to 1, relative to the loudest of the last seconds
    mid        up to about 2 kHz
    high       above
    spectrum   sixteen bands of half an octave from 50 Hz, spectrum/1 the lowest
    """
    up = pole_for(attack, clock)
    down = pole_for(release, clock)
    forgets = 1.0 - clock.step / FORGETS_S
    low = 0.0
    mid = 0.0
    high = 0.0
    for j in range(BANDS):
        g = at(bank, _PULL + j)
        if g == 0.0:
            hz = LOWEST_HZ * exp2(OCTAVES_PER_BAND * (j + 0.5))
            g = tangent_of_half_turns(clamp(hz * clock.step, 1e-6, 0.49))
            put(bank, _PULL + j, g)
        first = at(bank, _FIRST + j)
        second = at(bank, _SECOND + j)
        middle = (first + g * (input - second)) / (1.0 + g * (g + BAND_DAMPING))
        below = second + g * middle
        put(bank, _FIRST + j, 2.0 * middle - first)
        put(bank, _SECOND + j, 2.0 * below - second)
        size = BAND_DAMPING * abs(middle)
        kept = at(bank, _LEVEL + j)
        kept = kept + (size - kept) * (up if size > kept else down)
        kept = kept if kept > 1e-12 else 0.0
        put(bank, _LEVEL + j, kept)
        low += kept if j < LOW_BANDS else 0.0
        mid += kept if j >= LOW_BANDS and j < MID_BANDS else 0.0
        high += kept if j >= MID_BANDS else 0.0
    return (
        in_scale(bank, _GROUPS, low, forgets),
        in_scale(bank, _GROUPS + 1, mid, forgets),
        in_scale(bank, _GROUPS + 2, high, forgets),
        in_scale(bank, _LOUDEST, at(bank, _LEVEL), forgets),
        in_scale(bank, _LOUDEST + 1, at(bank, _LEVEL + 1), forgets),
        in_scale(bank, _LOUDEST + 2, at(bank, _LEVEL + 2), forgets),
        in_scale(bank, _LOUDEST + 3, at(bank, _LEVEL + 3), forgets),
        in_scale(bank, _LOUDEST + 4, at(bank, _LEVEL + 4), forgets),
        in_scale(bank, _LOUDEST + 5, at(bank, _LEVEL + 5), forgets),
        in_scale(bank, _LOUDEST + 6, at(bank, _LEVEL + 6), forgets),
        in_scale(bank, _LOUDEST + 7, at(bank, _LEVEL + 7), forgets),
        in_scale(bank, _LOUDEST + 8, at(bank, _LEVEL + 8), forgets),
        in_scale(bank, _LOUDEST + 9, at(bank, _LEVEL + 9), forgets),
        in_scale(bank, _LOUDEST + 10, at(bank, _LEVEL + 10), forgets),
        in_scale(bank, _LOUDEST + 11, at(bank, _LEVEL + 11), forgets),
        in_scale(bank, _LOUDEST + 12, at(bank, _LEVEL + 12), forgets),
        in_scale(bank, _LOUDEST + 13, at(bank, _LEVEL + 13), forgets),
        in_scale(bank, _LOUDEST + 14, at(bank, _LEVEL + 14), forgets),
        in_scale(bank, _LOUDEST + 15, at(bank, _LEVEL + 15), forgets),
    )

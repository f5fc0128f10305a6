"""Musical time. The one neuron that says what beat it is; what plays patterns reads it."""

from dmm_av.network.activation import State, signal
from dmm_av.streams.dsp import fraction, nearest
from dmm_av.streams.units import UNITS, BeatsPerMinute, Unipolar

BEATS_PER_BAR = 4.0
ROUND = 262144.0  # beats after which the count starts again: a day and a half at 120
FINE = 16777216.0  # beats are told in steps of 1 / FINE, so that a whole beat is a whole number


def rounds_per_second(tempo, run):
    """Rounds of the beat counter per second."""
    return tempo * run / (60.0 * ROUND)


@signal(
    rates="control",
    integrand=rounds_per_second,
    outputs={
        "beat": UNITS["beats"],
        "phase": UNITS["cycles"],
        "bar": UNITS["number"],
        "time": UNITS["s"],
    },
)
def transport(
    clock,
    phase,
    tempo: BeatsPerMinute = 120.0,
    run: Unipolar = 1.0,
    seconds: State = 0.0,
):
    """The time in beats, bars and seconds.

    tempo   beats per minute
    run     1 runs, 0 stands still; between, it drags
    beat    counts up from 0
    phase   of the beat, in [0, 1)
    bar     counts up by 1 every four beats
    time    seconds that it has run
    """
    beat = nearest(phase * ROUND * FINE) / FINE
    return beat, fraction(beat), beat / BEATS_PER_BAR, seconds, seconds + run * clock.step

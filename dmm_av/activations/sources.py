"""Sources of signals: waveforms, noise, random walks. What shapes them is elsewhere.

Waveforms with edges are band-limited at audio rate; at control rate they are exact.
"""

from dmm_av.network.activation import LIBRARY, Activation, Output, Random, State, signal
from dmm_av.streams.dsp import clamp, exp2, fraction, nearest, sine_of_turns
from dmm_av.streams.kinds import Kind
from dmm_av.streams.units import UNITS, Cycles, Hertz, Octaves, SlowHertz, Unipolar

FINE = 1099511627776.0  # 2^40: phases closer than this are one

LIBRARY.add(
    Activation(
        name="one",
        side="engine",
        about="The constant 1: a weight from it is a knob.",
        inputs={},
        outputs={"out": Output("out", Kind.NUMBER, UNITS["number"], "1")},
        family="sources",
    )
)


def pitch(frequency, octaves):
    """Hz of a frequency moved by octaves."""
    return frequency * exp2(octaves)


def width_of_edge(turn):
    """Cycles over which an edge is smoothed: one step, at most half a cycle."""
    return clamp(abs(turn), 1e-9, 0.5)


def edge(p, width):
    """What a step from -1 to 1 at p = 0 lacks to be band-limited.

    Source: V. Välimäki, A. Huovilainen, Antialiasing oscillators in subtractive synthesis, 2007 (polyBLEP).
    """
    after = 1.0 - p / width
    before = 1.0 - (1.0 - p) / width
    after = after if after > 0.0 else 0.0
    before = before if before > 0.0 else 0.0
    return before * before - after * after


def corner(p, width):
    """What a corner at p = 0, whose slope rises by 1 per cycle, lacks to be band-limited.

    Source: F. Esqueda, V. Välimäki, S. Bilbao, Rounding corners with BLAMP, 2016.
    """
    after = 1.0 - p / width
    before = 1.0 - (1.0 - p) / width
    after = after if after > 0.0 else 0.0
    before = before if before > 0.0 else 0.0
    return width * (before * before * before + after * after * after) / 6.0


@signal(integrand=pitch, also=("sin",))
def sine(clock, phase, frequency: Hertz = 220.0, octaves: Octaves = 0.0, offset: Cycles = 0.0):
    """Sine wave.

    frequency   may be modulated at audio rate, through zero
    octaves     multiplies the frequency by 2^octaves
    offset      added to the phase: phase modulation
    out         in [-1, 1], 0 and rising at phase 0
    """
    return sine_of_turns(phase + offset)


@signal(integrand=pitch)
def saw(clock, phase, turn, frequency: Hertz = 220.0, octaves: Octaves = 0.0, offset: Cycles = 0.0):
    """Sawtooth that rises from -1 to 1 and falls at once.

    frequency   may be modulated at audio rate
    octaves     multiplies the frequency by 2^octaves
    offset      added to the phase
    out         in [-1, 1], band-limited at audio rate
    """
    p = fraction(phase + offset)
    return 2.0 * p - 1.0 - clock.audio * edge(p, width_of_edge(turn))


@signal(integrand=pitch, also=("pulse",))
def square(
    clock,
    phase,
    turn,
    frequency: Hertz = 220.0,
    octaves: Octaves = 0.0,
    offset: Cycles = 0.0,
    width: Unipolar = 0.5,
):
    """Square wave, or a pulse of another width.

    frequency   may be modulated at audio rate
    octaves     multiplies the frequency by 2^octaves
    offset      added to the phase
    width       share of the cycle that is 1; the rest is -1
    out         in [-1, 1], band-limited at audio rate
    """
    share = clamp(width, 0.0, 1.0)
    p = fraction(phase + offset)
    q = fraction(p + 1.0 - share)
    d = width_of_edge(turn)
    level = 1.0 if p < share else -1.0
    return level + clock.audio * (edge(p, d) - edge(q, d))


@signal(integrand=pitch, also=("tri",))
def triangle(clock, phase, turn, frequency: Hertz = 220.0, octaves: Octaves = 0.0, offset: Cycles = 0.0):
    """Triangle wave.

    frequency   may be modulated at audio rate
    octaves     multiplies the frequency by 2^octaves
    offset      added to the phase
    out         in [-1, 1], 0 and rising at phase 0, band-limited at audio rate
    """
    p = fraction(phase + offset + 0.25)
    q = fraction(p + 0.5)
    d = width_of_edge(turn)
    return 1.0 - 4.0 * abs(p - 0.5) + clock.audio * 8.0 * (corner(p, d) - corner(q, d))


@signal(integrand=pitch, also=("ramp",), out=UNITS["unipolar"])
def phasor(clock, phase, frequency: Hertz = 1.0, octaves: Octaves = 0.0, offset: Cycles = 0.0):
    """Phase that runs from 0 to 1 and starts again: what other waveforms are functions of.

    frequency   cycles per second; negative runs backwards
    octaves     multiplies the frequency by 2^octaves
    offset      added to the phase
    out         in [0, 1), exact at every rate: for a band-limited ramp take `saw~`
    """
    return fraction(phase + offset)


@signal()
def noise(value: Random):
    """White noise.

    out   uniform in [-1, 1], a new number every step
    """
    return value


@signal()
def pink(
    value: Random,
    a: State = 0.0,
    b: State = 0.0,
    c: State = 0.0,
    d: State = 0.0,
    e: State = 0.0,
    f: State = 0.0,
    g: State = 0.0,
):
    """Pink noise: every octave is equally loud.

    out   about in [-1, 1]

    Source: P. Kellet's published filter coefficients (public domain).
    """
    a = 0.99886 * a + value * 0.0555179
    b = 0.99332 * b + value * 0.0750759
    c = 0.96900 * c + value * 0.1538520
    d = 0.86650 * d + value * 0.3104856
    e = 0.55000 * e + value * 0.5329522
    f = -0.7616 * f - value * 0.0168980
    out = (a + b + c + d + e + f + g + value * 0.5362) * 0.2
    return out, a, b, c, d, e, f, value * 0.115926


@signal()
def walk(clock, value: Random, frequency: SlowHertz = 1.0, place: State = 0.0):
    """Random walk between two walls.

    frequency   how fast it wanders: it crosses its room about that often in a second
    out         in [-1, 1]
    """
    speed = clamp(abs(frequency) * clock.step, 0.0, 1.0)
    place = place + 3.4 * value * speed**0.5
    place = 2.0 - place if place > 1.0 else place
    place = -2.0 - place if place < -1.0 else place
    place = clamp(place, -1.0, 1.0)
    return place, place


@signal(integrand=pitch, also=("sample_and_hold",))
def hold(
    clock,
    phase,
    turn,
    value: Random,
    frequency: SlowHertz = 4.0,
    octaves: Octaves = 0.0,
    held: State = 0.0,
):
    """A new random value now and then, held in between.

    frequency   new values per second
    octaves     multiplies the frequency by 2^octaves
    out         uniform in [-1, 1]
    """
    # rounded: a rate that divides the steps evenly begins its cycles on time, not a rounding error too late
    begins = fraction(nearest(phase * FINE) / FINE) < nearest(abs(turn) * FINE) / FINE
    held = value if begins else held
    return held, held

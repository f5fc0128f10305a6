"""Shapers: functions of the present value alone, without memory: products, limits, curves, comparison."""

from dmm_av.network.activation import signal
from dmm_av.streams.dsp import floor, power_of, sine_of_turns
from dmm_av.streams.dsp import tanh as bent
from dmm_av.streams.units import UNITS, Number

TURNS_PER_RADIAN = 0.15915494309189535


@signal(out=UNITS["number"], also=("mul", "ring"))
def product(a: Number = 1.0, b: Number = 1.0):
    """Product of two signals: loudness, ring modulation, gates.

    a     first factor
    b     second factor
    out   a * b
    """
    return a * b


@signal()
def sine_of(x: Number, a: Number = 1.0, b: Number = 0.0):
    """Sine of a signal: folds softly, again and again.

    x     the signal
    a     how far it is stretched before
    b     added before, in radians
    out   sin(a * x + b)
    """
    return sine_of_turns((a * x + b) * TURNS_PER_RADIAN)


@signal()
def tanh(input: Number):
    """Soft saturation.

    input   anything
    out     in [-1, 1]
    """
    return bent(input)


@signal(out=UNITS["number"])
def clip(input: Number, low: Number = -1.0, high: Number = 1.0):
    """Limits a signal.

    input   anything
    low     lowest value
    high    highest value
    """
    value = input if input > low else low
    return value if value < high else high


@signal(out=UNITS["number"])
def fold(input: Number, low: Number = -1.0, high: Number = 1.0):
    """Reflects a signal at two walls until it lies between them.

    input   anything
    low     lower wall
    high    upper wall
    """
    room = high - low
    room = room if room > 1e-9 else 1e-9
    x = (input - low) / (2.0 * room)
    x = x - floor(x)
    x = 1.0 - x if x > 0.5 else x
    return low + 2.0 * room * x


@signal(out=UNITS["number"])
def wrap(input: Number, low: Number = -1.0, high: Number = 1.0):
    """Lets a signal that leaves on one side come in on the other.

    input   anything
    low     lower end, included
    high    upper end
    """
    room = high - low
    room = room if room > 1e-9 else 1e-9
    x = (input - low) / room
    return low + room * (x - floor(x))


@signal(out=UNITS["number"], also=("abs",))
def absolute(input: Number):
    """Distance from 0.

    input   anything
    out     never negative
    """
    return abs(input)


@signal(out=UNITS["number"], also=("min",))
def minimum(a: Number = 0.0, b: Number = 0.0):
    """The smaller of two signals.

    a     one
    b     other
    """
    return a if a < b else b


@signal(out=UNITS["number"], also=("max",))
def maximum(a: Number = 0.0, b: Number = 0.0):
    """The greater of two signals.

    a     one
    b     other
    """
    return a if a > b else b


@signal(out=UNITS["number"], also=("pow",))
def power(input: Number, exponent: Number = 2.0):
    """Raises the size of a signal to a power and keeps its sign.

    input      anything
    exponent   1 leaves it as it is, above 1 it opens late, below 1 early
    """
    return power_of(input, exponent)


@signal(out=UNITS["unipolar"], also=("greater",))
def compare(a: Number, b: Number = 0.0):
    """Whether one signal is above another.

    a     one
    b     other
    out   1 while a > b, else 0
    """
    return 1.0 if a > b else 0.0

"""The arithmetic that steps of signal activations are written with. Knows neither compiler nor neurons.

These are ordinary functions of plain numbers, written so that a compiler can run them on many numbers at once:
no tables, no library calls, selection instead of jumps. A compiled function gives the same bits wherever it stands
in a network; called from Python it differs by rounding only, where `fused` rounds twice.

Phases and angles are in cycles. Handles (`line`, `bank`, `family`) are what a step is given for a parameter that
is `Memory`, `Bank` or `Family`; they are read and written with the functions at the end of this file.
"""

import math
import struct

# Coefficients are minimax fits made for this project; the error is said where they are used.
_SINE = (
    25.132741080068055,
    -64.83582257510102,
    67.07675868658545,
    -38.49841879709395,
    14.06550405457755,
    -3.193371833877845,
)
_EXP2 = (
    0.693147180704532,
    0.24022651066561615,
    0.05550410365990628,
    0.009618038131996699,
    0.001333393505612928,
    0.00015466756334840676,
    1.5196156426455226e-05,
)
_LOG2 = (
    2.8853900817778495,
    0.9617966941132576,
    0.577077942404207,
    0.41220924771841233,
    0.3199059042719026,
    0.28289704420782397,
)
_TAN = (
    0.7853981642629289,
    -0.5577365011074145,
    -0.13475877186841712,
    -0.05281050408001171,
    -0.02123971571874367,
    -0.014039946917957041,
)
_S0, _S1, _S2, _S3, _S4, _S5 = _SINE
_E1, _E2, _E3, _E4, _E5, _E6, _E7 = _EXP2
_L0, _L1, _L2, _L3, _L4, _L5 = _LOG2
_T0, _T1, _T2, _T3, _T4, _T5 = _TAN
_THIRD, _SIXTH = 1.0 / 3.0, 1.0 / 6.0
_LOG2_E = 1.4426950408889634
_ROUNDER = 6755399441055744.0  # 1.5 * 2^52: added to a small number it leaves the nearest integer in the low bits
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_EXPONENT_BIAS = 0x3FF0000000000000


# --- Bits and rounding ----------------------------------------------------------------------------


def floor(x):
    """The greatest integer at most `x`, as a float."""
    return float(math.floor(x)) if math.isfinite(x) else x


def nearest(x):
    """The nearest integer as a float, halves to the even one."""
    return float(round(x)) if math.isfinite(x) else x


def fused(a, b, c):
    """a * b + c, rounded once where compiled."""
    return a * b + c


def bits_of(x):
    """The 64 bits of a float as a signed integer."""
    return struct.unpack("<q", struct.pack("<d", x))[0]


def float_of(bits):
    """The float with these 64 bits."""
    return struct.unpack("<d", struct.pack("<q", bits))[0]


def fraction(x):
    """`x` without its integer part, in [0, 1]."""
    return x - floor(x)


def clamp(x, low, high):
    """`x` limited to [low, high]."""
    at_least = x if x > low else low
    return at_least if at_least < high else high


# --- Functions ------------------------------------------------------------------------------------


def sine_of_turns(p):
    """sin(2 pi p); error below 1.3e-9."""
    r = p - nearest(p)
    u = r * r
    q = fused(u, fused(u, fused(u, fused(u, fused(u, _S5, _S4), _S3), _S2), _S1), _S0)
    return r * (0.25 - u) * q


def cosine_of_turns(p):
    """cos(2 pi p); error below 1.3e-9."""
    return sine_of_turns(p + 0.25)


def tangent_of_half_turns(p):
    """tan(pi p) for p in [0, 0.5); relative error below 1.2e-9."""
    u = p * p
    q = fused(u, fused(u, fused(u, fused(u, fused(u, _T5, _T4), _T3), _T2), _T1), _T0)
    return p * q / (0.25 - u)


def exp2(x):
    """2 to the power of x, exact for integers; relative error below 5e-11; x is limited to +-1020."""
    x = clamp(x, -1020.0, 1020.0)
    shifted = x + _ROUNDER
    f = x - (shifted - _ROUNDER)
    q = fused(f, fused(f, fused(f, fused(f, fused(f, fused(f, _E7, _E6), _E5), _E4), _E3), _E2), _E1)
    power = (bits_of(shifted) - bits_of(_ROUNDER)) << 52
    return float_of(bits_of(fused(f, q, 1.0)) + power)


def exp(x):
    """e to the power of x; relative error below 1e-10 for |x| < 20."""
    return exp2(x * _LOG2_E)


def log2(x):
    """Logarithm to base 2 of x; relative error below 1e-13; numbers under 1e-300 count as 1e-300."""
    bits = bits_of(x if x > 1e-300 else 1e-300)
    exponent = (bits - _SQRT_HALF_BITS) >> 52
    m = float_of(bits - (exponent << 52))
    s = (m - 1.0) / (m + 1.0)
    u = s * s
    q = fused(u, fused(u, fused(u, fused(u, fused(u, _L5, _L4), _L3), _L2), _L1), _L0)
    return fused(s, q, float_of(exponent + bits_of(_ROUNDER)) - _ROUNDER)


def tanh(x):
    """Hyperbolic tangent; error below 1e-10."""
    return 1.0 - 2.0 / (exp2(2.0 * _LOG2_E * x) + 1.0)


def power_of(base, exponent):
    """|base| to the power of exponent, with the sign of base."""
    size = base if base > 0.0 else -base
    raised = exp2(exponent * log2(size))
    raised = raised if size > 1e-300 else (1.0 if exponent == 0.0 else 0.0)
    return raised if base >= 0.0 else -raised


def pole_for(seconds, clock):
    """The share of the way that a one-pole goes in a step, to be 63 % there after `seconds`; 1 for 0 s."""
    steps = seconds * clock.rate
    return 1.0 - exp2(-_LOG2_E / (steps if steps > 1e-3 else 1e-3))


# --- Handles --------------------------------------------------------------------------------------


def tap(line, distance):
    """What was pushed into a delay line `distance` steps ago, 1 = in the previous step."""
    return line.tap(distance)


def between_taps(line, distance):
    """The delay line at a fractional distance >= 2, through four points.

    Source: third-order Lagrange interpolation.
    """
    longest = reach(line)
    limited = clamp(distance, 2.0, longest)
    whole = floor(limited)
    x = limited - whole
    k = int(whole)
    a, b, c, d = tap(line, k - 1), tap(line, k), tap(line, k + 1), tap(line, k + 2)
    slope = c - 0.5 * b - a * _THIRD - d * _SIXTH
    bend = 0.5 * (a + c) - b
    twist = (d - a) * _SIXTH + 0.5 * (b - c)
    return ((twist * x + bend) * x + slope) * x + b


def reach(line):
    """The greatest distance that `between_taps` can read."""
    return line.reach()


def at(numbers, index):
    """The number at `index` of a bank or family."""
    return numbers.at(index)


def put(numbers, index, value):
    """Writes into a bank."""
    numbers.put(index, value)


def count(numbers):
    """How many numbers a bank or family has."""
    return numbers.count()

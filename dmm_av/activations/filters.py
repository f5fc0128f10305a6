"""Filters: what is kept of a sound, by frequency. Delays and combs are elsewhere.

All are zero-delay-feedback (trapezoidal) forms, so a cutoff may be modulated at audio rate without blowing up.
Source: A. Simper, Solving the continuous SVF equations using trapezoidal integration, 2013; V. Zavalishin, The art of
VA filter design, 2018.
"""

from dmm_av.network.activation import State, signal
from dmm_av.streams.dsp import clamp, tangent_of_half_turns
from dmm_av.streams.units import UNITS, Bipolar, Hertz, Unipolar


def pull(cutoff, clock):
    """The integrators' gain per step for a cutoff in Hz."""
    return tangent_of_half_turns(clamp(cutoff * clock.step, 1e-6, 0.49))


def damping(resonance):
    """Damping for a resonance: 0 is maximally flat, 1 rings on and on."""
    return 1.4142135623730951 * (1.0 - clamp(resonance, 0.0, 1.0)) + 0.01


def split(input, cutoff, k, first, second, clock):
    """(low, band, high) of a sound; `k` is the damping, `first` and `second` what the two integrators hold."""
    g = pull(cutoff, clock)
    a = 1.0 / (1.0 + g * (g + k))
    rest = input - second
    band = a * (first + g * rest)
    low = second + g * band
    return low, band, input - k * band - low


@signal(also=("lpf",))
def lowpass(
    clock,
    input: Bipolar,
    cutoff: Hertz = 1000.0,
    resonance: Unipolar = 0.0,
    first: State = 0.0,
    second: State = 0.0,
):
    """Lets low frequencies pass, 12 dB per octave.

    input       what is filtered
    cutoff      Hz; may be modulated at audio rate
    resonance   0 flat, towards 1 a ringing peak at the cutoff
    """
    low, band, _ = split(input, cutoff, damping(resonance), first, second, clock)
    return low, 2.0 * band - first, 2.0 * low - second


@signal(also=("hpf",))
def highpass(
    clock,
    input: Bipolar,
    cutoff: Hertz = 200.0,
    resonance: Unipolar = 0.0,
    first: State = 0.0,
    second: State = 0.0,
):
    """Lets high frequencies pass, 12 dB per octave.

    input       what is filtered
    cutoff      Hz; may be modulated at audio rate
    resonance   0 flat, towards 1 a ringing peak at the cutoff
    """
    low, band, high = split(input, cutoff, damping(resonance), first, second, clock)
    return high, 2.0 * band - first, 2.0 * low - second


@signal(outputs={"low": UNITS["bipolar"], "band": UNITS["bipolar"], "high": UNITS["bipolar"]})
def svf(
    clock,
    input: Bipolar,
    cutoff: Hertz = 1000.0,
    resonance: Unipolar = 0.0,
    first: State = 0.0,
    second: State = 0.0,
):
    """State-variable filter: low, band and high pass at once.

    input       what is filtered
    cutoff      Hz; may be modulated at audio rate
    resonance   0 flat, towards 1 a ringing peak at the cutoff
    low         what lies below the cutoff, 12 dB per octave
    band        what lies around it; loudness 1 at the cutoff
    high        what lies above it; low + band + high is the input
    """
    k = damping(resonance)
    low, band, high = split(input, cutoff, k, first, second, clock)
    return low, k * band, high, 2.0 * band - first, 2.0 * low - second


@signal()
def onepole(clock, input: Bipolar, cutoff: Hertz = 1000.0, kept: State = 0.0):
    """The gentlest low pass, 6 dB per octave: smooths.

    input    what is filtered
    cutoff   Hz; may be modulated at audio rate
    """
    g = pull(cutoff, clock)
    change = (input - kept) * g / (1.0 + g)
    out = kept + change
    return out, out + change

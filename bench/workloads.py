"""The sounds that are measured, as plain numbers, so that we and a peer play exactly the same. Plays nothing."""

import math
import random

SAMPLE_RATE = 48_000


def sine_frequencies(count):
    """Frequencies of a bank of sines, Hz: even steps from 110 Hz, none of them a neighbour's octave."""
    return [110.0 * (1.0 + 0.013 * index) for index in range(count)]


def feedback_network(count=50, sources=5, seed=0):
    """Sines that modulate each other's phase.

    returns   (frequencies in Hz, {(to, from): weight in cycles of phase}), `count * sources` weights in all
    """
    generator = random.Random(seed)
    frequencies = [generator.uniform(50.0, 800.0) for _ in range(count)]
    weights = {
        (to, source): generator.gauss(0.0, 0.3 / math.sqrt(sources))
        for to in range(count)
        for source in sorted(generator.sample(range(count), sources))
    }
    return frequencies, weights


# One voice: saw -> low-pass whose cutoff follows an envelope at audio rate -> tanh -> times the envelope.
VOICE = {
    "pulse": 2.0,  # envelopes started per second, Hz
    "attack": 0.01,  # s
    "decay": 0.3,  # s
    "cutoff": 500.0,  # Hz, where the envelope is 0
    "sweep": 2000.0,  # Hz, added where the envelope is 1
    "rq": 0.5,  # 1 / Q of the filter
    "drive": 2.0,  # gain into tanh
}


def voice_frequencies(count=20):
    """Fundamentals of the saw voices, Hz: the harmonics of 55 Hz."""
    return [55.0 * (index + 1) for index in range(count)]

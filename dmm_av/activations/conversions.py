"""Conversions between the units of music: notes, decibels, places between two loudspeakers."""

from dmm_av.network.activation import signal
from dmm_av.streams.dsp import clamp, cosine_of_turns, exp2, sine_of_turns
from dmm_av.streams.units import UNITS, Bipolar, Decibels, MidiNote

DOUBLINGS_PER_DB = 0.16609640474436813  # log2(10) / 20


@signal(out=UNITS["Hz"])
def midi_to_hz(input: MidiNote = 69.0):
    """Frequency of a MIDI note; fractions lie between the keys.

    input   note: 69 is the A of 440 Hz, 12 are an octave
    out     Hz
    """
    return 440.0 * exp2((input - 69.0) / 12.0)


@signal(out=UNITS["gain"])
def db_to_gain(input: Decibels = 0.0):
    """Factor of a loudness in decibels.

    input   dB: 0 is 1, -6 is about a half
    out     factor
    """
    return exp2(input * DOUBLINGS_PER_DB)


@signal(rates="audio", outputs={"left": UNITS["bipolar"], "right": UNITS["bipolar"]})
def pan(input: Bipolar, position: Bipolar = 0.0):
    """Places a sound between left and right, equally loud everywhere.

    input      a sound
    position   -1 left, 0 middle, 1 right
    left       what the left loudspeaker gets
    right      what the right loudspeaker gets
    """
    turn = 0.125 * (clamp(position, -1.0, 1.0) + 1.0)
    return input * cosine_of_turns(turn), input * sine_of_turns(turn)

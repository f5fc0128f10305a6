"""Units of numbers: their range, default curve and spelling. One declaration serves checks, manual, sliders and OSC."""

from dataclasses import dataclass
from typing import Annotated

from dmm_av.errors import PatchError


@dataclass(frozen=True)
class Unit:
    """A unit with the range in which a slider moves (values outside stay legal) and the slider's curve.

    low, high   ends of the range, in the unit
    curve       `linear` or `exponential` (equal ratios per step; low must then be positive)
    """

    symbol: str
    low: float = 0.0
    high: float = 1.0
    curve: str = "linear"

    def from_norm(self, position):
        """The value at a slider position in [0, 1]."""
        position = min(1.0, max(0.0, position))
        if self.curve == "exponential":
            return self.low * (self.high / self.low) ** position
        return self.low + (self.high - self.low) * position


UNITS = {
    "number": Unit("", -1.0, 1.0),
    "bipolar": Unit("", -1.0, 1.0),
    "unipolar": Unit("", 0.0, 1.0),
    "Hz": Unit("Hz", 20.0, 20_000.0, "exponential"),
    "slow Hz": Unit("Hz", 0.01, 20.0, "exponential"),
    "cycles": Unit("cycles", 0.0, 1.0),
    "cycles/s": Unit("cycles/s", -2.0, 2.0),
    "octaves": Unit("octaves", -4.0, 4.0),
    "s": Unit("s", 0.001, 10.0, "exponential"),
    "dB": Unit("dB", -60.0, 12.0),
    "gain": Unit("", 0.0, 1.0),
    "beats": Unit("beats", 0.0, 16.0),
    "bpm": Unit("beats/min", 20.0, 300.0),
    "midi": Unit("MIDI note", 0.0, 127.0),
    "count": Unit("", 1.0, 32.0),
    "trigger": Unit("trigger", 0.0, 1.0),
    "length": Unit("of the picture", 0.0, 1.0),
    "px": Unit("pixels", 0.0, 64.0),
}

LARGEST_SIDE = 16_384  # pixels, of a picture

# Annotations for the inputs of signal activations: `frequency: Hertz = 220.0`.
Number = Annotated[float, UNITS["number"]]
Bipolar = Annotated[float, UNITS["bipolar"]]
Unipolar = Annotated[float, UNITS["unipolar"]]
Hertz = Annotated[float, UNITS["Hz"]]
SlowHertz = Annotated[float, UNITS["slow Hz"]]
Cycles = Annotated[float, UNITS["cycles"]]
Octaves = Annotated[float, UNITS["octaves"]]
Seconds = Annotated[float, UNITS["s"]]
Decibels = Annotated[float, UNITS["dB"]]
Gain = Annotated[float, UNITS["gain"]]
Beats = Annotated[float, UNITS["beats"]]
BeatsPerMinute = Annotated[float, UNITS["bpm"]]
MidiNote = Annotated[float, UNITS["midi"]]
Count = Annotated[float, UNITS["count"]]
Trigger = Annotated[float, UNITS["trigger"]]


def ramp_ticks(ramp, tick_rate, tempo, where="ramp"):
    """Ticks that a ramp takes: seconds as a number (0.5, "0.5s") or beats as text ("2b").

    Errors: a sentence for anything else, and for negative or infinite lengths.
    """
    seconds = None
    if isinstance(ramp, int | float) and not isinstance(ramp, bool):
        seconds = float(ramp)
    elif isinstance(ramp, str):
        text = ramp.strip()
        try:
            if text.endswith("b"):
                seconds = float(text[:-1]) * 60.0 / max(tempo, 1e-9)
            else:
                seconds = float(text.removesuffix("s"))
        except ValueError:
            seconds = None
    if seconds is None or not 0.0 <= seconds < 86_400.0:
        raise PatchError(f'{where}: `{ramp}` is no length of time. Write seconds (0.5) or beats ("2b").')
    return round(seconds * tick_rate)

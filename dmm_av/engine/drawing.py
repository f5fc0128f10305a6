"""What the stage is told to draw: a plain, picklable description of the picture side of a network.

The machine writes it, the stage draws it. A `Drawing` changes only when the structure changes; the numbers
of a frame (weights, number streams, coefficients) travel in one flat array, `FrameValues.values`.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Term:
    """One picture or matrix on its way into an input: `values[slot]` times that output of that neuron.

    previous   reads what the source drew in the previous frame
    kind       `image` or `matrix`: the kind of the source
    """

    source: str
    output: str
    kind: str
    slot: int
    previous: bool = False


@dataclass(frozen=True)
class Row:
    """One input of a pass: the number `values[constant]` plus the terms, in this order."""

    input: str
    constant: int
    terms: tuple = ()


@dataclass(frozen=True)
class Component:
    """One activation of a neuron; its share of the output is `values[coefficient]` (-1: exactly 1)."""

    activation: str
    coefficient: int = -1


@dataclass(frozen=True)
class Pass:
    """One neuron of the picture side; `settings` as (key, value) pairs, `seed` for its randomness."""

    name: str
    components: tuple
    rows: tuple
    settings: tuple = ()
    seed: int = 0
    kind: str = "image"


@dataclass(frozen=True)
class Drawing:
    """All passes in settled order, the row of `screen.image`, and what is read back.

    readbacks   names of passes whose numbers (`level.image`) are read back
    """

    version: int
    size: tuple
    limit: float
    passes: tuple
    screen: Row
    show: str = "clamp"
    readbacks: tuple = ()


@dataclass
class FrameValues:
    """The numbers of one frame.

    number       frame n, counted from 0 (of the patch clock)
    time, beat   seconds and beats of the state that this frame shows (double)
    frame_rate   frames per second of the patch (integrals of speeds advance by 1 / frame_rate)
    values       float64 array, laid out by the drawing
    matrices     {pass name: float32 2-D array} for passes fed by trees, only those that changed

    """

    number: int
    time: float
    beat: float
    phase: float
    frame_rate: float
    values: np.ndarray
    matrices: dict = field(default_factory=dict)
    seed: int = 0

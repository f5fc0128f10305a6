"""The five sketches of bench/peers/hydra/sketches.js as networks of pictures. Draws nothing.

What hydra writes as `a.blend(b, x)` is here what a network has for it: one neuron that mixes two activations,
(1 - x) of one and x of the other.
"""

import math
from dataclasses import dataclass

import numpy as np

from dmm_av.engine.drawing import Component, Drawing, FrameValues, Pass, Row, Term

LIMIT = 4.0
SIZE = (1280, 720)
FRAME_RATE = 60.0


@dataclass(frozen=True)
class Neuron:
    """One neuron of a sketch.

    activations   {activation: coefficient}
    inputs        {input: number, or {source: weight}}; a source named `late` reads its previous frame
    """

    activations: dict
    inputs: dict
    late: tuple = ()
    size: tuple | None = None


def drawn_by(neurons, shown, size=SIZE):
    """The `Drawing` of neurons in settled order and the numbers of its frames, both laid out by hand.

    returns   (Drawing, float64 array)
    """
    values = []

    def slot(number):
        values.append(float(number))
        return len(values) - 1

    def row(name, neuron, wired):
        if not isinstance(wired, dict):
            return Row(name, slot(wired))
        terms = tuple(
            Term(source, "out", "image", slot(weight), source in neuron.late)
            for source, weight in sorted(wired.items())
        )
        return Row(name, slot(0.0), terms)

    passes = tuple(
        Pass(
            name,
            tuple(Component(activation, slot(share)) for activation, share in neuron.activations.items()),
            tuple(row(input_, neuron, wired) for input_, wired in neuron.inputs.items()),
            (("size", neuron.size),) if neuron.size else (),
        )
        for name, neuron in neurons.items()
    )
    screen = Row("image", slot(0.0), (Term(shown, "out", "image", slot(1.0)),))
    return Drawing(1, size, LIMIT, passes, screen), np.array(values)


def frame(number, values):
    """The numbers of frame `number`; nothing in these sketches changes but time."""
    seconds = number / FRAME_RATE
    return FrameValues(number, seconds, 2.0 * seconds, (2.0 * seconds) % 1.0, FRAME_RATE, values)


def osc(frequency, sync, offset):
    """Hydra's osc in our units: stripes across the picture, cycles per second, cycles of colour."""
    return {
        "frequency": frequency / math.tau,
        "speed": -sync * frequency / math.tau,
        "offset": offset / math.tau,
        "angle": 0.0,
    }


def plain_colour():
    return {"colour": Neuron({"solid": 1}, {"red": 0.2, "green": 0.4, "blue": 0.8, "alpha": 1})}, "colour"


def one_oscillator():
    return {"waves": Neuron({"stripes": 1}, osc(20, 0.1, 0.8))}, "waves"


def kaleidoscope():
    return {
        "waves": Neuron({"stripes": 1}, osc(20, 0.1, 0.8)),
        "clouds": Neuron({"noise.image": 1}, {"scale": 3, "speed": 0.1}),
        "tint": Neuron({"solid": 1}, {"red": 0.9, "green": 0.7, "blue": 0.8, "alpha": 1}, size=(1, 1)),
        "turned": Neuron({"rotate": 1}, {"picture": {"waves": 1}, "angle": 0.8 / math.tau, "speed": 0}),
        "bent": Neuron({"modulate": 1}, {"picture": {"turned": 1}, "by": {"clouds": 1}, "amount": 0.1}),
        "folded": Neuron({"kaleidoscope": 1}, {"picture": {"bent": 1}, "wedges": 5, "angle": 0}),
        "tinted": Neuron({"product.image": 1}, {"a": {"folded": 1}, "b": {"tint": 1}}),
    }, "tinted"


def zoom():
    picture = {"picture": {"trail": 1}, "amount": 1.01, "x": 1, "y": 1}
    return {"trail": Neuron({"scale": 0.9, "stripes": 0.1}, picture | osc(20, 0.1, 0.8), late=("trail",))}, "trail"


def four_feedbacks():
    names = ("first", "second", "third", "fourth")
    return {
        name: Neuron(
            {"modulate": 0.9, "stripes": 0.1},
            {"picture": {name: 1}, "by": {names[index - 3]: 1}, "amount": 0.01} | osc(10 + 5 * index, 0.1, 0.8),
            late=names,
        )
        for index, name in enumerate(names)
    }, "first"


SKETCHES = {
    "plain colour": plain_colour,
    "one oscillator": one_oscillator,
    "osc-rotate-modulate-kaleid-color": kaleidoscope,
    "zoom-blend feedback": zoom,
    "four cross-modulated feedbacks": four_feedbacks,
}

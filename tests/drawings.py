"""Drawings written by hand, for tests of the picture side. Order is the order of writing; no settling here."""

import functools

import numpy as np

from dmm_av.engine import alone
from dmm_av.engine.drawing import Component, Drawing, FrameValues, Pass, Row, Term
from dmm_av.io.window import headless_context
from dmm_av.network.activation import LIBRARY
from dmm_av.streams.kinds import Kind


@functools.cache
def gl_context():
    """The context of all picture tests of a process; enter it before drawing."""
    return headless_context()


def draw_alone(*what, **more):
    """One activation drawn alone, see `alone.draw_alone`, in the context of the tests."""
    return alone.draw_alone(*what, context=gl_context(), **more)


def drawing_of(neurons, screen, size=(64, 36), limit=4.0, show="clamp", readbacks=(), library=LIBRARY):
    """(Drawing, numbers of a frame, {"to.input from": slot}) of a network written in a few lines.

    neurons   {name: {"is": activation or {activation: coefficient}, input: number, source or {source: weight},
              setting: value}}; a source written later, or read by a delayed input, is read from the frame before
    screen    source, or {source: weight}
    """
    values, slots, passes = [], {}, []
    names = list(neurons)

    def slot(number, called):
        values.append(float(number))
        slots[called] = len(values) - 1
        return len(values) - 1

    def activations(name):
        is_ = neurons[name]["is"]
        return {is_: None} if isinstance(is_, str) else is_

    def kind_of(name):
        if name not in neurons:
            return "image"
        outputs = [library[activation].output("out") for activation in activations(name)]
        return "matrix" if any(output.kind is Kind.MATRIX for output in outputs) else "image"

    def row(to, port, written, at):
        wires = {written: 1.0} if isinstance(written, str) else written
        if not isinstance(wires, dict):
            wires = {"one": wires}
        constant = slot(wires["one"], f"{to}.{port}") if "one" in wires else -1
        terms = tuple(
            Term(
                source,
                "out",
                kind_of(source),
                slot(weight, f"{to}.{port} {source}"),
                at is not None and (at[1] or (source in names and names.index(source) >= at[0])),
            )
            for source, weight in sorted(wires.items())
            if source != "one"
        )
        return Row(port, constant, terms)

    for index, (name, fields) in enumerate(neurons.items()):
        ports, settings = {}, {}
        for activation in map(library.__getitem__, activations(name)):
            ports.update(activation.inputs)
            settings.update(activation.settings)
        rows = tuple(
            row(name, port, fields.get(port, declared.default), (index, declared.delayed))
            for port, declared in ports.items()
            if declared.kind is not Kind.VVALUE
        )
        passes.append(
            Pass(
                name,
                tuple(
                    Component(activation, -1 if share is None else slot(share, f"{name} {activation}"))
                    for activation, share in activations(name).items()
                ),
                rows,
                tuple((key, fields[key]) for key in settings if key in fields),
                index,
                kind_of(name),
            )
        )
    shown = row("screen", "image", screen, None)
    drawing = Drawing(1, tuple(size), limit, tuple(passes), shown, show, tuple(readbacks))
    return drawing, np.array(values), slots


def frame(number, values, matrices=None, frame_rate=60.0):
    """The numbers of frame `number`, two beats a second."""
    time = number / frame_rate
    return FrameValues(number, time, 2.0 * time, (2.0 * time) % 1.0, frame_rate, values, matrices or {})


def play(engine, neurons, screen, frames=1, first=0, **more):
    """Adopts a network and draws some frames; returns what there is to say of it."""
    drawing, values, _ = drawing_of(neurons, screen, engine.size, **more)
    problems = engine.adopt(drawing)
    for number in range(first, first + frames):
        problems += engine.draw(frame(number, values))
    return problems

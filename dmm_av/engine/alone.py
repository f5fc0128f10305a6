"""One picture activation drawn alone in float32: what the reference cycle and the tests compare the stage with."""

import threading

import numpy as np

from dmm_av.engine.drawing import Component, Drawing, FrameValues, Pass, Row, Term
from dmm_av.engine.stage import PictureEngine
from dmm_av.errors import MediaError
from dmm_av.network.activation import LIBRARY
from dmm_av.streams.kinds import Kind

_HERE = threading.local()  # contexts belong to the thread that made them


def default_inputs(activation):
    """{input: number} of the declared defaults; inputs that default to rows are left out."""
    return {
        name: port.default
        for name, port in activation.inputs.items()
        if isinstance(port.default, int | float) and port.kind is not Kind.VVALUE
    }


def draw_alone(
    activation,
    inputs,
    settings=None,
    size=(64, 36),
    *,
    context,
    library=LIBRARY,
    time=0.0,
    beat=0.0,
    phase=0.0,
    frame=0,
    frame_rate=60.0,
    seed=0,
    limit=4.0,
    path=None,
    folder="",
):
    """What one activation makes of its inputs, as a pure function.

    activation   an `Activation`, or its name
    inputs       {input: sum of what is wired there}: a number, float32 (height, width, 4) for a picture,
                 (rows, columns) for a matrix or the greys of a number input, row 0 on top; what is left out is
                 0; a rate gets its integral; `matrix_of` gets its matrix
    size         of the stage
    context      GL context that draws; kept with its engine as long as the thread lives
    path         `numpy` or `gpu` forces the path of matrices
    returns      float32 (height, width, 4), float32 (rows, columns), or {output: number}
    errors       MediaError: the body does not compile, a file is missing
    """
    if isinstance(activation, str):
        activation = library[activation]
    with context:
        engine = _engine(context, library, size, folder)
        return _draw(
            engine, activation, inputs, settings or {}, size, (time, beat, phase, frame, frame_rate), seed, limit, path
        )


def _draw(engine, activation, inputs, settings, size, clock, seed, limit, path):
    time, beat, phase, frame, frame_rate = clock
    engine.clear_memory()
    engine.matrices.path = path
    values, rows, matrices = [], [], {}

    def slot(number):
        values.append(float(number))
        return len(values) - 1

    kind = "matrix" if any(port.kind is Kind.MATRIX for port in activation.outputs.values()) else "image"
    integrals = {}
    for name, value in inputs.items():
        port = activation.input(name)
        if port is None:
            raise MediaError(f"`{activation.name}` has no input `{name}`.")
        if port.kind is Kind.VVALUE:
            matrices["alone"] = value
        elif port.rate and np.ndim(value) == 0:
            integrals[port.name] = float(value)
        elif np.ndim(value) == 0:
            rows.append(Row(port.name, slot(value)))
        else:
            source = f"wired to {port.name}"
            engine.feed(source, value)
            term_kind = "matrix" if np.ndim(value) == 2 else "image"
            rows.append(Row(port.name, -1, (Term(source, "out", term_kind, slot(0.0 if port.rate else 1.0)),)))
            if port.rate:
                integrals[port.name] = value
    alone = Pass("alone", (Component(activation.name),), tuple(rows), tuple(settings.items()), seed, kind)
    problems = engine.adopt(Drawing(0, tuple(size), limit, (alone,), Row("image", -1), "clamp", ("alone",)))
    if problems:
        raise MediaError(problems[0][1])
    for name, integral in integrals.items():
        engine.set_integral("alone", name, integral)
    engine.draw(FrameValues(frame, time, beat, phase, frame_rate, np.array(values), matrices))
    if activation.notes.get("means"):
        return engine.readback()["alone"]
    return (engine.matrix("alone") if kind == "matrix" else engine.picture("alone")).copy()


def _engine(context, library, size, folder):
    """The engine of this thread for a context and a register; made once."""
    engines = _HERE.__dict__.setdefault("engines", {})
    key = id(context), id(library), str(folder)
    if key not in engines:
        engines[key] = PictureEngine(context, size, library, folder, precision="f4")
    return engines[key]

"""Matrix activations: what they compute, as NumPy functions; the same as shaders is in `shaders/matrices/`.

A matrix is a 2-D float32 array, row 0 on top. `grey` and `picture_of`, which lead from pictures to matrices
and back, are shader files among the picture activations. Which path runs is the engine's business.
"""

import inspect

import numpy as np

from dmm_av.activations.pictures import SHADERS
from dmm_av.network.activation import LIBRARY, Activation, Input, Output, Setting
from dmm_av.streams.kinds import Kind
from dmm_av.streams.units import UNITS


def matrix(shape="same", numbers=None, defaults=None, also=(), source="", remembers=None):
    """Declares a matrix activation from a function of arrays; the signature is the list of inputs.

    shape      `same` (all inputs of one shape, so is the result), `product` or `transposed`
    numbers    {input: unit name} of those that are plain numbers
    defaults   {input: number}; matrices default to nothing
    remembers  function of the matrix whose result, followed over `follow` seconds, is given as `remembered`
    """
    numbers, defaults = numbers or {}, defaults or {}

    def declare(function):
        notes = dict(
            line.strip().split(maxsplit=1) for line in function.__doc__.splitlines()[1:] if len(line.split()) > 1
        )
        inputs = {}
        for name in inspect.signature(function).parameters:
            if name == "remembered":
                continue
            kind = Kind.NUMBER if name in numbers else Kind.MATRIX
            unit = UNITS[numbers.get(name, "number")]
            inputs[name] = Input(name, kind, defaults.get(name, 0.0), unit, about=notes.get(name, ""))
        LIBRARY.add(
            Activation(
                name=function.__name__.replace("crossfade_matrix", "crossfade.matrix"),
                side="picture",
                about=function.__doc__.strip().split("\n")[0],
                inputs=inputs,
                outputs={"out": Output("out", Kind.MATRIX)},
                body=function,
                also=also,
                source=source,
                family="matrices",
                notes={"shape": shape, "shader": SHADERS / "matrices" / f"{function.__name__}.glsl"}
                | ({"remembers": remembers} if remembers else {}),
            )
        )
        return function

    return declare


@matrix(shape="product")
def matmul(a, b):
    """The product of two matrices.

    a   as many columns as b has rows; a number stands for a square matrix full of it
    b   otherwise the product is zero until they agree
    """
    return a @ b


@matrix(shape="transposed")
def transpose(matrix):
    """Rows become columns."""
    return np.ascontiguousarray(matrix.T)


@matrix()
def softmax_rows(matrix):
    """Every row positive, with the sum 1: exponentials over their sum.

    matrix   large values are safe, the largest of the row is taken off first
    """
    powers = np.exp(matrix - matrix.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


@matrix()
def softmax_columns(matrix):
    """Every column positive, with the sum 1: exponentials over their sum.

    matrix   large values are safe, the largest of the column is taken off first
    """
    powers = np.exp(matrix - matrix.max(axis=0, keepdims=True))
    powers /= powers.sum(axis=0, keepdims=True)
    return powers


def ends(matrix):
    """(lowest, highest) value of a matrix, as float64."""
    return np.array([matrix.min(), matrix.max()], np.float64)


@matrix(numbers={"follow": "s"}, remembers=ends)
def stretch(matrix, follow, remembered=None):
    """Stretches the values to [0, 1]; a flat matrix becomes zero.

    follow   seconds in which lowest and highest value follow; 0 at once, more keeps an animation from flickering
    """
    low, high = ends(matrix).astype(np.float32) if remembered is None else remembered.astype(np.float32)
    if not high > low:
        return np.zeros_like(matrix)
    stretched = (matrix - low) / (high - low)
    return stretched if remembered is None else np.clip(stretched, np.float32(0.0), np.float32(1.0))


@matrix(numbers={"amount": "number", "wavelength": "count"}, defaults={"amount": 10.0, "wavelength": 8.0 * np.pi})
def warp(matrix, amount, wavelength):
    """Every column slides by a sine of its number, counted from 1; beyond the border the last element stays.

    amount       rows that the highest column slides up
    wavelength   columns in which the slide repeats
    """
    rows, columns = matrix.shape
    turns = np.arange(1, columns + 1) / wavelength if wavelength else np.zeros(columns)
    at = np.clip(np.arange(rows)[:, None] + amount * np.sin(2.0 * np.pi * turns), 0.0, rows - 1.0)
    above = np.minimum(at.astype(int), max(rows - 2, 0))
    part = (at - above).astype(np.float32)
    below = np.minimum(above + 1, rows - 1)
    column = np.arange(columns)
    return (1 - part) * matrix[above, column] + part * matrix[below, column]


def _over_sums(raised, axis):
    sums = raised.sum(axis=axis, keepdims=True)
    return np.divide(raised, sums, out=np.zeros_like(raised), where=sums != 0.0)


@matrix(numbers={"plus": "number"}, source="plus 1: close to softmax, cheaper (2020-24 image products)")
def normalise_rows(matrix, plus):
    """Every row divided by its sum; a row with the sum 0 becomes zero.

    plus   added to every value before: 1 looks like softmax
    """
    return _over_sums(matrix + plus, 1)


@matrix(numbers={"plus": "number"}, source="plus 1: close to softmax, cheaper (2020-24 image products)")
def normalise_columns(matrix, plus):
    """Every column divided by its sum; a column with the sum 0 becomes zero.

    plus   added to every value before: 1 looks like softmax
    """
    return _over_sums(matrix + plus, 0)


@matrix()
def signed(matrix):
    """From [0, 1] to [-1, 1]: 2x - 1."""
    return 2.0 * matrix - 1.0


@matrix(numbers={"amount": "unipolar"}, defaults={"amount": 0.5})
def crossfade_matrix(a, b, amount):
    """From one matrix to another.

    amount   0 is a, 1 is b
    """
    return (1.0 - amount) * a + amount * b


LIBRARY.add(
    Activation(
        name="matrix_of",
        side="picture",
        about="A tree of depth two as a matrix: rows and columns in the order of its labels.",
        inputs={
            "matrix": Input("matrix", Kind.VVALUE, about="the network matrix, or any tree of depth two", also=("tree",))
        },
        outputs={"out": Output("out", Kind.MATRIX)},
        family="matrices",
        notes={"fed": "tree"},
    )
)
LIBRARY.add(
    Activation(
        name="monochrome",
        side="picture",
        about="A picture file as a matrix of greys in [0, 1], row 0 on top; or the numbers of a NumPy file.",
        inputs={},
        outputs={"out": Output("out", Kind.MATRIX)},
        settings={
            "file": Setting("file", "file", about="PNG, JPEG, WebP …; .npy holds exact numbers"),
            "size": Setting("size", "size", about="[width, height] in pixels; else as large as the file"),
        },
        source="Rec.601",
        family="matrices",
        notes={"fed": "file"},
    )
)

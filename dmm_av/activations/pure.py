"""`pure`: the dense lightweight machines of the Processing lineage, each a whole network in one neuron.

Such a machine knows one kind of stream, the matrix of n inputs times m outputs, and one of them is its own
network matrix. How it is drawn and played is the patch's business.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit

from dmm_av.network.activation import Input, Output, Setting, tree
from dmm_av.streams.kinds import Kind
from dmm_av.streams.linear import resized
from dmm_av.streams.units import UNITS
from dmm_av.streams.vvalue import leaves

LARGEST = np.float32(1e6)  # far above what a matrix that is divided by its largest element holds
MOST_STREAMS = 64  # inputs or outputs of a machine


class JavaRandom:
    """The generator of `java.util.Random`, whose numbers every Java and Processing program has seen.

    Source: the published algorithm, a linear congruential generator of 48 bits.
    """

    def __init__(self, seed):
        self._state = (int(seed) ^ 0x5DEECE66D) & (2**48 - 1)

    def fraction(self):
        """A multiple of 2^-24 in [0, 1): Java's `nextFloat`."""
        self._state = (self._state * 0x5DEECE66D + 0xB) & (2**48 - 1)
        return np.float32((self._state >> 24) / 2**24)

    def below(self, bound):
        """A float32 in [0, bound): Processing's `random(bound)`, which draws again where rounding gives the bound."""
        bound = np.float32(bound)
        while True:
            value = self.fraction() * bound
            if value != bound:
                return value


def plus(a, b):
    """Sum, element by element."""
    return a + b


def times(a, b):
    """Product, element by element."""
    return a * b


def larger(a, b):
    """The larger of two, element by element."""
    return np.maximum(a, b)


def same(a, b):
    """The first, unchanged."""
    return a


def negation(a, b):
    """The first with its sign turned."""
    return -a


def pseudoconway(a, b=None):
    """The game of life for numbers: -1, alive, where 3·centre + the eight around it lie in [-1, 1] or [4, 6]; else 1.

    Source: `pseudoconway` of the atparty-2018 sketches; the order of its float32 sums is kept.
    """
    *many, rows, columns = a.shape
    around = np.empty((*many, rows + 2, columns + 2), np.float32)
    around[..., 1:-1, 1:-1] = a
    around[..., 0, 1:-1], around[..., -1, 1:-1] = a[..., -1, :], a[..., 0, :]
    around[..., 0], around[..., -1] = around[..., -2], around[..., 1]
    s = np.float32(2) * a
    for i in range(3):
        for j in range(3):
            s += around[..., i : i + rows, j : j + columns]
    alive = ((s >= -1) & (s <= 1)) | ((s >= 4) & (s <= 6))
    return np.where(alive, np.float32(-1), np.float32(1))


ACTIVATIONS = {
    "plus": plus,
    "times": times,
    "max": larger,
    "identity": same,
    "negation": negation,
    "pseudoconway": pseudoconway,
}


@dataclass(frozen=True)
class Streams:
    """The state of a machine between two frames.

    outputs   float32 (m, n, m); the first is the network matrix
    inputs    float32 (n, n, m)
    """

    outputs: np.ndarray
    inputs: np.ndarray


@lru_cache(maxsize=16)
def random_outputs(rows, columns, seed, order=None):
    """Every element of every output uniform in [-1, 1), drawn as the original programs draw them.

    order     of the outputs within one element; None: ascending
    returns   float32 (columns, rows, columns), not to be written to
    """
    generator = JavaRandom(seed)
    outputs = np.zeros((columns, rows, columns), np.float32)
    order = tuple(range(columns)) if order is None else order
    for i in range(rows):
        for j in range(columns):
            for k in order:
                outputs[k, i, j] = generator.below(2) - np.float32(1)
    outputs[0, 0, 0] = 1.0
    return outputs


@njit("void(float32[:, :], float32[:, ::1], float32[:, ::1])", nogil=True, cache=True)
def _accumulate(matrix, outputs, inputs):
    """Adds to every input the outputs times its row, one after another: the float32 sums of the originals, bit by bit.

    matrix    (n, m)
    outputs   (m, elements)
    inputs    (n, elements), changed
    """
    for i in range(inputs.shape[0]):
        for j in range(outputs.shape[0]):
            weight = matrix[i, j]
            for element in range(outputs.shape[1]):
                inputs[i, element] += weight * outputs[j, element]


def down(streams, zeroed):
    """Every input: the combination of all outputs by its row of the network matrix.

    zeroed    inputs begin from zero; else each adds to what it was
    """
    inputs = np.zeros_like(streams.inputs) if zeroed else streams.inputs.copy()
    outputs = streams.outputs
    _accumulate(outputs[0], outputs.reshape(len(outputs), -1), inputs.reshape(len(inputs), -1))
    return inputs


def up(inputs, former, activations, guarded):
    """Every output: 0 is the sum of inputs 0 and 1, output 2k is made of inputs 2k and 2k + 1, odd ones stay.

    activations   names for outputs 2, 4, 6 …; what is no name leaves its output as it is
    guarded       row 0 of the network matrix is (1, 0 …), so that the machine cannot lose itself
    """
    outputs = former.copy()
    np.add(inputs[0], inputs[1], out=outputs[0])
    if guarded:
        outputs[0, 0] = 0.0
        outputs[0, 0, 0] = 1.0
    alike = {}
    for k, name in zip(range(2, min(len(outputs), len(inputs) - 1), 2), activations, strict=False):
        alike.setdefault(name, []).append(k)
    for name, places in alike.items():
        if name in ACTIVATIONS:
            places = np.array(places)
            outputs[places] = ACTIVATIONS[name](inputs[places], inputs[places + 1])
    return outputs


def squeezed(matrices):
    """Every matrix divided by its largest absolute element; one that is all zero stays."""
    largest = np.abs(matrices).max(axis=(1, 2), keepdims=True)
    return matrices / np.where(largest > 0, largest, np.float32(1))


def finite(matrices):
    """What is not finite is 0, the rest within ±1e6: one overflow must not spread for ever."""
    if np.abs(matrices).max(initial=0.0) <= LARGEST:
        return matrices
    return np.clip(np.nan_to_num(matrices, nan=0.0), -LARGEST, LARGEST)


def next_frame(streams, activations, zeroed=False, squeeze=True, guarded=True, delta=None):
    """The frame after this one, and the one before it is squeezed, as the original programs log it.

    delta     what is added to the network matrix: float32 (n, m), or None
    returns   (streams, raw streams)
    """
    inputs = down(streams, zeroed)
    outputs = up(inputs, streams.outputs, activations, guarded)
    if delta is not None:
        outputs[0] += delta
    raw = Streams(finite(outputs), finite(inputs))
    if not squeeze:
        return raw, raw
    outputs, inputs = squeezed(raw.outputs), squeezed(raw.inputs)
    if guarded:
        outputs[0, 0, 0] = 1.0
    return Streams(outputs, inputs), raw


@lru_cache(maxsize=16)
def _first_outputs(rows, columns, fill, seed, order, start):
    if fill == "random":
        outputs = random_outputs(rows, columns, seed, order).copy()
    else:
        outputs = np.zeros((columns, rows, columns), np.float32)
        outputs[0, 0, 0] = 1.0
    for (k, i, j), number in start:
        outputs[k, i, j] = number
    return outputs


def _indices(path, sizes):
    """A path of labels as indices within sizes, or None."""
    if len(path) != len(sizes) or not all(label.isdecimal() and len(label) < 4 for label in path):
        return None
    found = tuple(map(int, path))
    return found if all(index < size for index, size in zip(found, sizes, strict=True)) else None


def _elements(tree, sizes):
    """[(indices, number)] of the leaves of a tree whose paths are indices; others count as nothing."""
    pairs = ((_indices(tuple(map(str, path)), sizes), number) for path, number in leaves(tree or {}))
    return [(place, number) for place, number in pairs if place is not None]


def _matrix_of(tree, rows, columns):
    found = _elements(tree, (rows, columns))
    if not found:
        return None
    matrix = np.zeros((rows, columns), np.float32)
    for place, number in found:
        matrix[place] = min(max(number, -LARGEST), LARGEST)
    return matrix


def _order(listed, columns):
    """The listed outputs if they are a permutation of all, else None."""
    found = tuple(index for index in listed or () if isinstance(index, int))
    return found if sorted(found) == list(range(columns)) else None


def board(streams):
    """All matrices beside each other, outputs above, inputs below, with a line of zeros between."""
    count, rows, columns = streams.inputs.shape
    picture = np.zeros((2, rows + 1, count, columns + 1), np.float32)
    picture[0, :rows, : len(streams.outputs), :columns] = streams.outputs.transpose(1, 0, 2)
    picture[1, :rows, :, :columns] = streams.inputs.transpose(1, 0, 2)
    return picture.reshape(2 * (rows + 1), count * (columns + 1))[:-1, :-1]


@dataclass(frozen=True)
class _Playing:
    """What `pure` keeps from tick to tick."""

    born: tuple  # the settings that it began with: others begin it anew
    streams: Streams
    frame: int
    waited: float
    trigger: float
    outputs: dict


def _given(playing, change):
    streams = playing
    return {
        "out": streams.outputs[0],
        "board": board(streams),
        "row": {str(k + 1): float(w) for k, w in enumerate(streams.outputs[0, min(1, streams.inputs.shape[0] - 1)])},
        "mean": float(streams.inputs.mean(dtype=np.float64)),
        "change": change,
    }


def _whole(value, least, most):
    return int(min(max(value, least), most)) if isinstance(value, int | float) else least


@tree(
    inputs=(
        Input("every", Kind.NUMBER, 1.0, UNITS["number"], about="ticks from frame to frame; its frame rate"),
        Input("run", Kind.NUMBER, 1.0, UNITS["number"], about="0 stops it"),
        Input("trigger", Kind.NUMBER, about="begins anew where it rises above 0"),
        Input("delta", Kind.VVALUE, about="{row: {column: number}}, added to the network matrix in every frame"),
        Input("matrix", Kind.MATRIX, about="added to the network matrix in every frame, brought to its size"),
        Input("picture", Kind.MATRIX, about="becomes the output `into` before every frame, brought to its size"),
    ),
    outputs=(
        Output("out", Kind.MATRIX, about="its network matrix"),
        Output("board", Kind.MATRIX, about="all its outputs beside each other, its inputs below them"),
        Output("row", Kind.VVALUE, about="the master row, row 1 of its network matrix: `row/1` is column 0"),
        Output("mean", Kind.NUMBER, about="mean of all its inputs"),
        Output("change", Kind.NUMBER, about="mean distance of all its outputs from those of the frame before"),
        Output("frame", Kind.NUMBER, about="frames since it began"),
    ),
    settings=(
        Setting("rows", "integer", 12, about="inputs of the machine: rows of every matrix, 2 to 64"),
        Setting("columns", "integer", 11, about="outputs of the machine: columns of every matrix, 2 to 64"),
        Setting(
            "activations",
            "list",
            ["plus", "times", "times", "max", "max"],
            about=f"of outputs 2, 4, 6 …: {', '.join(ACTIVATIONS)}; anything else: the output stays as it is",
        ),
        Setting("fill", "choice", "random", ("random", "zero"), about="what the outputs begin with"),
        Setting("seed", "integer", 0, about="of Java's generator"),
        Setting("order", "list", None, about="the outputs in the order in which an element of each is drawn"),
        Setting("start", "tree", None, about="{output: {row: {column: number}}}, written over the fill"),
        Setting("zeroed", "boolean", False, about="inputs begin every frame at zero; else they add to what they were"),
        Setting("squeezed", "boolean", True, about="every matrix is divided by its largest element after every frame"),
        Setting("guarded", "boolean", True, about="row 0 of the network matrix stays (1, 0, 0 …)"),
        Setting("into", "integer", 1, about="the output that `picture` becomes"),
    ),
    stateful=True,
)
def pure(every, run, trigger, delta, matrix, picture, settings, state):
    """A machine of matrices alone, one of which is its own network matrix.

    Source: Lightweight_Pure_DMMs and atparty-2018 of anhinga/fluid; arXiv:1610.00831, appendix D.
    """
    rows = _whole(settings["rows"], 2, MOST_STREAMS)
    columns = _whole(settings["columns"], 2, MOST_STREAMS)
    start = tuple(_elements(settings["start"], (columns, rows, columns)))
    seed = _whole(settings["seed"], -(2**63), 2**63)
    born = (rows, columns, settings["fill"], seed, _order(settings["order"], columns), start)
    if state is None or state.born != born or trigger > 0.0 >= state.trigger:
        streams = Streams(_first_outputs(*born), np.zeros((rows, rows, columns), np.float32))
        state = _Playing(born, streams, 0, 0.0, trigger, {**_given(streams, 0.0), "frame": 0.0})
        return state.outputs, state
    waited = state.waited + 1.0 if run > 0.0 else state.waited
    if run <= 0.0 or waited < max(every, 1.0):
        return state.outputs, _Playing(born, state.streams, state.frame, waited, trigger, state.outputs)
    streams = state.streams
    if isinstance(picture, np.ndarray):
        outputs, into = streams.outputs.copy(), _whole(settings["into"], 0, columns - 1)
        outputs[into] = np.clip(resized(picture, (columns, rows)), -LARGEST, LARGEST)
        streams = Streams(outputs, streams.inputs)
    added = _matrix_of(delta, rows, columns)
    if isinstance(matrix, np.ndarray):
        more = np.clip(resized(matrix, (columns, rows)), -LARGEST, LARGEST)
        added = more if added is None else added + more
    names = settings["activations"]
    names = [names] if isinstance(names, str) else names or []
    following, _ = next_frame(
        streams, names, settings["zeroed"], settings["squeezed"], settings["guarded"], added
    )
    change = float(np.abs(following.outputs - state.streams.outputs).mean(dtype=np.float64))
    given = {**_given(following, change), "frame": float(state.frame + 1)}
    # what is left of a fraction of a tick goes on: 2.5 ticks a frame are 2 and 3 in turns
    left = min(waited - max(every, 1.0), 1.0)
    return given, _Playing(born, following, state.frame + 1, left, trigger, given)

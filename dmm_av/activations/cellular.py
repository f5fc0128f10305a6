"""Cellular machines: boards of numbers on a torus whose cells are linear combinations of their neighbours.

One activation, `neighbours`, is all of them; which neighbours, how noisy the edges are and what the weights depend on
is the patch's business.
"""

from dataclasses import dataclass, replace

import numpy as np

from dmm_av.network.activation import Input, Output, Setting, tree
from dmm_av.streams.kinds import Kind
from dmm_av.streams.linear import resized
from dmm_av.streams.units import UNITS

LARGEST = np.float32(1e6)
MOST_CELLS = 1024  # a side
MOST_EDGES = 64  # of one cell


def first_board(rows, columns, gap):
    """1 where row and column are multiples of `gap`, else -1: float32 (rows, columns)."""
    white = (np.arange(rows) % gap == 0)[:, None] & (np.arange(columns) % gap == 0)
    return np.where(white, np.float32(1), np.float32(-1))


def edges_of(board, offsets, probability, seed, frame):
    """What arrives over every edge of every cell: float32 (edges, rows, columns).

    An edge passes the neighbour's value times 1 + 0.8 (1/p - 1) with probability p, else 0.

    offsets   [(di, dj)]: cell (i, j) hears (i + di, j + dj) of a torus
    """
    arriving = np.stack([np.roll(board, (-di, -dj), (0, 1)) for di, dj in offsets])
    if probability < 1.0:
        if probability <= 0.0:
            return np.zeros_like(arriving)
        # numbers by seed and frame alone: nothing random has to be kept. The counter runs on from where it begins, so
        # frames are far apart in it: neighbouring ones would give the same numbers, shifted
        bits = np.random.Philox(key=seed, counter=frame << 128)
        chance = np.random.Generator(bits).random(arriving.shape, np.float32)
        arriving *= np.where(chance < probability, np.float32(1.0 + 0.8 * (1.0 / probability - 1.0)), np.float32(0))
    return arriving


def _offsets(listed):
    """Whole pairs of a list of pairs."""
    pairs = [tuple(pair) for pair in listed or () if isinstance(pair, list | tuple) and len(pair) == 2]
    return [pair for pair in pairs if all(isinstance(step, int) for step in pair)][:MOST_EDGES]


def _sized(matrix, shape):
    """A matrix as large as the board; None: nothing is wired; one element stands for all."""
    if not isinstance(matrix, np.ndarray):
        return np.float32(0)
    if matrix.size == 1:
        return np.clip(matrix.reshape(()), -LARGEST, LARGEST)
    return np.clip(matrix if matrix.shape == shape else resized(matrix, shape[::-1]), -LARGEST, LARGEST)


@dataclass(frozen=True)
class _Board:
    """What `neighbours` keeps from tick to tick."""

    born: tuple  # the settings that it began with, and whether with a picture: others begin it anew
    first: np.ndarray
    cells: np.ndarray
    frame: int
    waited: float
    trigger: float
    outputs: dict


def _given(cells, frame):
    largest = float(np.abs(cells).max())
    return {
        "out": cells,
        "bright": cells / np.float32(largest) if largest > 0.0 else cells,
        "mean": float(cells.mean(dtype=np.float64)),
        "spread": float(cells.std(dtype=np.float64)),
        "frame": float(frame),
    }


def _whole(value, least, most):
    return int(min(max(value, least), most)) if isinstance(value, int | float) else least


@tree(
    inputs=(
        Input("every", Kind.NUMBER, 1.0, UNITS["number"], about="ticks from frame to frame"),
        Input("trigger", Kind.NUMBER, about="begins anew where it rises above 0"),
        Input("first", Kind.MATRIX, about="what the board begins with, brought to its size; else it is as `gap` says"),
        Input("pattern", Kind.MATRIX, 1.0, about="weight of the mean over all edges; a matrix: each cell's own"),
        Input("edge", Kind.MATRIX, family=True, about="weight of the k-th edge in that mean, 1 where nothing is wired"),
        Input("constants", Kind.MATRIX, about="weight of what the board began with; a matrix: each cell's own"),
        Input("input", Kind.MATRIX, about="added to every cell: a picture, another board"),
        Input("probability", Kind.NUMBER, 1.0, UNITS["unipolar"], about="that an edge passes its value on"),
        Input("mask", Kind.MATRIX, 1.0, about="part of the plain edges, 0 to 1; sine edges have the rest"),
        Input("fold", Kind.NUMBER, 0.5, about="a sine edge gives sin(2 pi fold x)"),
    ),
    outputs=(
        Output("out", Kind.MATRIX, about="the board"),
        Output("bright", Kind.MATRIX, about="the board divided by its largest absolute cell"),
        Output("mean", Kind.NUMBER, about="mean of all cells"),
        Output("spread", Kind.NUMBER, about="standard deviation of all cells"),
        Output("frame", Kind.NUMBER, about="frames since it began"),
    ),
    settings=(
        Setting("offsets", "list", [[1, 0], [0, 1], [-1, -1]], about="[down, right] of each neighbour on the torus"),
        Setting("rows", "integer", 64, about="of the board, up to 1024"),
        Setting("columns", "integer", 64, about="of the board, up to 1024"),
        Setting("gap", "integer", 64, about="a white cell (1) at every gap-th row and column, the others black (-1)"),
    ),
    stateful=True,
)
def neighbours(
    every, trigger, first, pattern, edge, constants, input, probability, mask, fold, ports, settings, clock, state
):
    """A board on a torus: every cell becomes the mean of what its neighbours send, over noisy or sine edges.

    Source: continuous cellular automata of August 2015 and June 2016, anhinga/fluid; arXiv:1601.01050, section 4.
    """
    shape = rows, columns = tuple(_whole(settings[name], 1, MOST_CELLS) for name in ("rows", "columns"))
    offsets = _offsets(settings["offsets"])
    has_picture = isinstance(first, np.ndarray) and first.size > 1
    gap = _whole(settings["gap"], 1, MOST_CELLS)
    born = (rows, columns, gap, has_picture)
    if state is None or state.born != born or trigger > 0.0 >= state.trigger:
        cells = _sized(first, shape) if has_picture else first_board(rows, columns, gap)
        state = _Board(born, cells, cells, 0, 0.0, trigger, _given(cells, 0))
        return state.outputs, state
    waited, period = state.waited + 1.0, max(every, 1.0)
    if waited < period:
        return state.outputs, replace(state, waited=waited, trigger=trigger)
    frame = state.frame + 1
    cells = _sized(constants, shape) * state.first + _sized(input, shape)
    if offsets:
        arriving = edges_of(state.cells, offsets, probability, clock.seed, frame)
        part = _sized(mask, shape)
        if np.any(part != 1):
            bent = edges_of(np.sin(np.float32(2.0 * np.pi * fold) * state.cells), offsets, 1.0, 0, 0)
            arriving = part * arriving + (np.float32(1) - part) * bent
        for k in range(len(offsets)):
            weight = ports.get(f"edge/{k + 1}")
            if isinstance(weight, np.ndarray):
                arriving[k] *= _sized(weight, shape)
        cells = cells + _sized(pattern, shape) * arriving.mean(axis=0)
    cells = np.clip(np.broadcast_to(cells, shape), -LARGEST, LARGEST).astype(np.float32)
    # what is left of a fraction of a tick goes on: 2.5 ticks a frame are 2 and 3 in turns
    state = _Board(born, state.first, cells, frame, min(waited - period, 1.0), trigger, _given(cells, frame))
    return state.outputs, state

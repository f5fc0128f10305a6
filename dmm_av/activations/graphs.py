"""The network as a graph, drawn: neurons on a circle, weights as lines. `matrix_of` shows it as a matrix."""

from functools import lru_cache
from math import cos, pi, sin

import numpy as np

from dmm_av.network.activation import Output, Setting, tree
from dmm_av.streams.kinds import Kind
from dmm_av.streams.vvalue import leaves

LEFT_OUT = ("library", "edits", "one")  # wired to so much that nothing else would be seen
WIDTH = 0.006  # of a line, parts of the picture
DOT = 0.018  # radius
MOST_LINES = 2_000


@tree(
    inputs=("matrix",),
    outputs=(Output("out", Kind.MATRIX, about="the drawing, 0 to 1"),),
    settings=(Setting("side", "integer", 256, about="of the drawing in elements"),),
    stateful=True,
    rows={"matrix": {"self.matrix": 1.0}},
)
def graph_of(matrix, settings, state):
    """Draws a network matrix as a graph: a dot for every neuron, a line for every connection.

    matrix   usually `self.matrix`; a line is as bright as its weights are large, brightest where it arrives
    """
    side = max(16, min(int(settings["side"]), 1024))
    if state is not None and state[0] is matrix and state[1] == side:
        return state[2], state
    drawn = drawing_of(connections(matrix), side)
    return drawn, (matrix, side, drawn)


def connections(matrix):
    """{(source, target): sum of the absolute weights} of a network matrix."""
    found = {}
    for path, weight in leaves(matrix):
        if len(path) >= 4 and path[1] != "activation" and path[2] not in LEFT_OUT and path[0] not in LEFT_OUT:
            found[path[2], path[0]] = found.get((path[2], path[0]), 0.0) + abs(weight)
    return found


def drawing_of(lines, side):
    """The graph as float32 (side, side), row 0 on top.

    lines   {(source, target): strength}
    """
    names = sorted({name for line in lines for name in line})
    places = {
        name: (0.5 + 0.42 * sin(2.0 * pi * i / len(names)), 0.5 - 0.42 * cos(2.0 * pi * i / len(names)))
        for i, name in enumerate(names)
    }
    drawn = np.zeros((side, side), np.float32)
    for (source, target), strength in sorted(lines.items())[:MOST_LINES]:
        if source != target:
            rows, columns, light = _line_mask(places[source], places[target], side)
            np.maximum(drawn[rows, columns], np.float32(np.tanh(strength)) * light, out=drawn[rows, columns])
    for name, place in places.items():
        rows, columns, light = _dot_mask(place, DOT * (1.5 if (name, name) in lines else 1.0), side)
        np.maximum(drawn[rows, columns], light, out=drawn[rows, columns])
    return drawn


@lru_cache(512)
def _line_mask(start, end, side):
    """(rows, columns, light of a line of strength 1 on them); start and end as (x, y)."""
    start, end = np.array(start), np.array(end)
    rows, columns, x, y = _around(np.minimum(start, end) - WIDTH, np.maximum(start, end) + WIDTH, side)
    way = end - start
    along = np.clip(((x - start[0]) * way[0] + (y - start[1]) * way[1]) / (way @ way), 0.0, 1.0)
    far = np.hypot(x - start[0] - along * way[0], y - start[1] - along * way[1])
    return rows, columns, ((0.15 + 0.75 * along) * np.clip(1.0 - far / WIDTH, 0.0, 1.0)).astype(np.float32)


@lru_cache(512)
def _dot_mask(place, radius, side):
    """(rows, columns, light of a dot on them)."""
    place = np.array(place)
    rows, columns, x, y = _around(place - radius, place + radius, side)
    far = np.hypot(x - place[0], y - place[1])
    return rows, columns, np.clip((radius - far) * side, 0.0, 1.0).astype(np.float32)


def _around(low, high, side):
    """(rows, columns, x and y of the elements) between two places."""
    (left, top), (right, bottom) = np.clip(np.floor(np.array([low, high]) * side) + [[0, 0], [1, 1]], 0, side).astype(
        int
    )
    x, y = np.meshgrid((np.arange(left, right) + 0.5) / side, (np.arange(top, bottom) + 0.5) / side)
    return slice(top, bottom), slice(left, right), x, y

"""Linear things about numbers in bulk: sums of many rows at once, and trees as rectangles of numbers."""

import numpy as np

from dmm_av.streams.vvalue import NUMBER, leaves


class RowSums:
    """Many weighted sums over one vector of numbers, their structure fixed and their weights data.

    starts    where the terms of each row begin in `indices`
    indices   which number each term takes
    """

    def __init__(self, rows):
        """rows: a list of lists of (index of the number, weight), in the order in which they are added."""
        self.starts = np.cumsum([0, *(len(row) for row in rows)])[:-1]
        self.indices = np.array([index for row in rows for index, _ in row], np.int64)
        self.weights = np.array([weight for row in rows for _, weight in row], np.float64)
        self.filled = np.array([bool(row) for row in rows], bool)
        self._starts = self.starts[self.filled]

    def into(self, numbers, sums):
        """Writes the sums of all rows into `sums` (float64, one per row)."""
        sums[:] = 0.0
        if len(self.indices):
            sums[self.filled] = np.add.reduceat(self.weights * numbers[self.indices], self._starts)


def array_of_tree(tree):
    """A tree as a matrix: the first half of each path names the row, the second half the column.

    So a tree of depth two is what one expects, and the network matrix has a row for every input and a column
    for every output. Names in code point order, top row first.

    returns   float32, (rows, columns); (1, 1) of zero for the empty tree
    """
    cells = []
    for path, number in leaves(tree):
        path = path[:-1] if path and path[-1] == NUMBER else path
        half = (len(path) + 1) // 2
        cells.append((tuple(map(str, path[:half])), tuple(map(str, path[half:])), number))
    if not cells:
        return np.zeros((1, 1), np.float32)
    rows = {name: i for i, name in enumerate(sorted({row for row, _, _ in cells}))}
    columns = {name: i for i, name in enumerate(sorted({column for _, column, _ in cells}))}
    array = np.zeros((len(rows), len(columns)), np.float32)
    for row, column, number in cells:
        array[rows[row], columns[column]] = number
    return array


def tree_of_array(matrix):
    """A matrix as a tree {row: {column: number}} whose labels have as many digits as the last: "00" to "17".

    So `array_of_tree` gives the same matrix again.
    """
    rows, columns = ([f"{index:0{len(str(count - 1))}}" for index in range(count)] for count in matrix.shape)
    return {row: dict(zip(columns, line, strict=True)) for row, line in zip(rows, matrix.tolist(), strict=True)}


def resized(matrix, size):
    """A matrix at another size: the mean over the area that each element covers.

    size   (width, height)
    """
    for axis, count in ((0, size[1]), (1, size[0])):
        length = matrix.shape[axis]
        if length == count:
            continue
        # the area under the values up to every edge of the new elements; differences are the means
        total = np.cumsum(matrix, axis=axis, dtype=np.float64)
        total = np.concatenate([np.zeros_like(total.take([0], axis)), total], axis=axis)
        edges = np.linspace(0.0, length, count + 1)
        whole = np.minimum(edges.astype(int), length - 1)
        part = (edges - whole).reshape((-1, 1) if axis == 0 else (1, -1))
        at_edges = total.take(whole, axis) * (1.0 - part) + total.take(whole + 1, axis) * part
        matrix = np.diff(at_edges, axis=axis) * (count / length)
    return matrix.astype(np.float32)


def matrix_combination(row, streams):
    """The weighted sum of the matrices under a row; numbers are uniform matrices, trees become arrays.

    Terms are added in the order of their names. A matrix of another shape than the first counts as zero, and so
    does what is not finite.

    returns   float32 (rows, columns), (1, 1) where only numbers arrive; None where nothing does
    """
    uniform, found = 0.0, None
    something = False
    for weight, stream in _terms(row, streams):
        if isinstance(stream, dict):
            stream = stream[NUMBER] if set(stream) == {NUMBER} else array_of_tree(stream)
        something = True
        if not isinstance(stream, np.ndarray):
            uniform += weight * stream if np.isfinite(stream) else 0.0
        elif weight and (found is None or found.shape == stream.shape):
            term = np.multiply(np.nan_to_num(stream, nan=0.0, posinf=0.0, neginf=0.0), weight, dtype=np.float32)
            found = term if found is None else found + term
    if not something:
        return None
    if found is None:
        return np.full((1, 1), uniform, np.float32)
    return found + np.float32(uniform) if uniform else found


def _terms(row, streams):
    """(weight, stream) of every entry under a row whose stream is there."""
    for label in sorted(row, key=str):
        weight, stream = row[label], streams.get(label)
        if isinstance(weight, dict) and isinstance(stream, dict):
            yield from _terms(weight, stream)
        elif not isinstance(weight, dict) and isinstance(stream, dict | np.ndarray | int | float):
            yield weight, stream

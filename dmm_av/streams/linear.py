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

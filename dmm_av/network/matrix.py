"""The network matrix: a sparse matrix with keys, and the same thing as a V-value for neurons to read.

An entry is (to, input, from, output, *branches). A key that a hand or a patch wrote stays at weight 0 until it
is cut; a key made by adds or by neurons goes when it falls under `RESIDUE`. Read as a tree, the matrix shows
no zeros. Trees handed out are never changed afterwards: a write copies the dicts on its path, once per tick.
"""

from enum import IntEnum

from dmm_av.errors import EditError
from dmm_av.streams.vvalue import leaves

RESIDUE = 1e-9
NUMBER = ":number"


class Key(IntEnum):
    """Who keeps an entry alive."""

    MADE = 0  # by adds or neurons: goes when it is next to zero
    DEFAULT = 1  # by a default row: does not keep an undeclared neuron awake
    WRITTEN = 2  # by a hand or a patch: stays at zero until cut


class NetworkMatrix:
    """All weights of a network, with their keys.

    weights   {entry: weight}
    keys      {entry: Key}
    rows      {(to, input): {entry: None}}, in order of arrival
    columns   {from: {entry: None}}
    inputs    {to: {input: None}}: who has a row key
    tree      {to: {input: {from: {output: weight}}}} without zeros, a V-value
    """

    def __init__(self, budget=200_000):
        self.weights = {}
        self.keys = {}
        self.rows = {}
        self.columns = {}
        self.inputs = {}
        self.tree = {}
        self.budget = budget
        self._fresh = {}

    def weight(self, entry):
        """The weight of an entry, 0.0 where there is no key."""
        return self.weights.get(entry, 0.0)

    def put(self, entry, weight, key):
        """Gives an entry a weight and a key.

        Errors: a sentence over budget; weights are finite by the caller's care.
        """
        before = self.weights.get(entry)
        if before is None:
            if len(self.weights) >= self.budget:
                raise EditError(f"edit: the matrix is full, it holds {self.budget} weights. Cut some first.")
            self.rows.setdefault(entry[:2], {})[entry] = None
            self.columns.setdefault(entry[2], {})[entry] = None
            self.inputs.setdefault(entry[0], {})[entry[1]] = None
        self.weights[entry] = weight
        self.keys[entry] = key
        if before is None or before != weight:
            self._write(entry, weight)

    def drop(self, entry):
        """Takes an entry and its key out."""
        if self.weights.pop(entry, None) is None:
            return
        del self.keys[entry]
        row = self.rows[entry[:2]]
        del row[entry]
        if not row:
            del self.rows[entry[:2]]
            inputs = self.inputs[entry[0]]
            del inputs[entry[1]]
            if not inputs:
                del self.inputs[entry[0]]
        column = self.columns[entry[2]]
        del column[entry]
        if not column:
            del self.columns[entry[2]]
        self._write(entry, 0.0)

    def row(self, to, port):
        """{entry: weight} of one input, zeros included."""
        return {entry: self.weights[entry] for entry in self.rows.get((to, port), ())}

    def entries_of(self, to):
        """Every entry in the rows of a neuron."""
        return [entry for port in self.inputs.get(to, ()) for entry in self.rows[(to, port)]]

    def with_zeros(self):
        """A new tree that shows keys of weight 0 too: what is awake, and what counts as a hop."""
        tree = {}
        for entry, weight in self.weights.items():
            node = tree
            for label in entry[:-1]:
                child = node.get(label)
                if not isinstance(child, dict):
                    child = node[label] = {} if child is None else {NUMBER: child}
                node = child
            if isinstance(node.get(entry[-1]), dict):
                node[entry[-1]][NUMBER] = weight
            else:
                node[entry[-1]] = weight
        return tree

    def freeze(self):
        """The tree as it is now; later writes leave it as it is."""
        self._fresh.clear()
        return self.tree

    def _own(self, node):
        """A dict that may be written: the node itself if it was made since the last freeze, else a copy."""
        if id(node) in self._fresh:
            return node
        copy = dict(node)
        self._fresh[id(copy)] = copy
        return copy

    def _write(self, entry, weight):
        if weight == 0.0:
            self._erase(entry)
            return
        node = self.tree = self._own(self.tree)
        for label in entry[:-1]:
            child = node.get(label)
            if child is None:
                child = {}
                self._fresh[id(child)] = child
            elif not isinstance(child, dict):
                child = {NUMBER: child}
                self._fresh[id(child)] = child
            else:
                child = self._own(child)
            node[label] = child
            node = child
        leaf = node.get(entry[-1])
        if isinstance(leaf, dict):
            node[entry[-1]] = leaf = self._own(leaf)
            leaf[NUMBER] = weight
        else:
            node[entry[-1]] = weight

    def _erase(self, entry):
        path, node = [], self.tree
        for label in entry:
            child = node.get(label) if isinstance(node, dict) else None
            if child is None:
                return
            path.append(label)
            node = child
        if isinstance(node, dict):
            if NUMBER not in node:
                return
            path.append(NUMBER)
        elif len(path) != len(entry):
            return
        node = self.tree = self._own(self.tree)
        trail = [node]
        for label in path[:-1]:
            child = self._own(node[label])
            node[label] = child
            node = child
            trail.append(node)
        del node[path[-1]]
        for parent, label in zip(reversed(trail[:-1]), reversed(path[:-1]), strict=True):
            if parent[label]:
                if parent[label].keys() == {NUMBER}:
                    parent[label] = parent[label][NUMBER]  # a mask of a bare number scales the whole branch
                break
            del parent[label]


def entries_of_tree(tree):
    """(entry, number) for every leaf of a tree that can be an entry; shorter paths are no entries."""
    for path, number in leaves(tree):
        entry = path[:-1] if path and path[-1] == NUMBER else path
        if len(entry) >= 3 and all(isinstance(label, str) for label in entry):
            yield entry, number

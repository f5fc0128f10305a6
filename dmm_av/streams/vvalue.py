"""V-values: trees whose leaves are numbers, and their algebra. They form a vector space.

A V-value is a finite sum of `number x path`, a path being labels from the root: a nested plain dict. The
label `:number` holds the number of a node that has branches too: `{"a": 5}` and `{"a": {":number": 5}}` are
one vector (only masks tell them apart). Zero is `{}` or a missing label; a bare number is a V-value too.

Three rules hold for every operation, so that a network never stops:
  - nothing is changed in place; what an operation leaves as it was is shared, not copied;
  - what is not understood (a text, None, nan, an infinity, a path longer than DEEPEST) counts as zero where
    it is met; `clean`, at the doors, removes it all, and integers too large for a float;
  - a zero, an empty branch or an overflow that an operation makes is left out.

No neuron, port or kind of stream is known here. `room` is how many more labels a walk may follow.

Source: arXiv:1712.07447 (V-values), `core.clj` of jsa-aerial/DMM (what the operations do; MIT).
"""

import re
import sys
from numbers import Real
from urllib.parse import unquote

from dmm_av.errors import DmmError

NUMBER = ":number"  # the one reserved label
DEEPEST = 200  # labels in a path; safely below Python's recursion limit
LARGEST = sys.float_info.max  # comparing with it refuses infinities, nan and giant integers in one go
REAL = (float, int)


def total(a, b, room=DEEPEST):
    """Sum of two V-values; None only where both are None.

    Visits the labels of `b` alone: what `a` holds elsewhere stays as it is, zeros included, and so does a
    branch of `b` that meets nothing. Returns `a` itself where `b` brings nothing. A number that meets a
    branch becomes its `:number`.
    """
    if not isinstance(a, dict):
        if isinstance(b, dict):
            return total(b, _branches(a), room)
        return None if a is None and b is None else _number(_number(a) + _number(b))
    if not isinstance(b, dict):
        return total(a, _branches(b), room)
    if not room:
        return {}
    result = a
    for label, more in b.items():
        old = a.get(label, 0)
        if isinstance(more, REAL) and isinstance(old, REAL):
            new = old + more
            if not -LARGEST <= new <= LARGEST:
                new = _number(_number(old) + _number(more))
            elif new == old:
                new = old
        else:
            new = total(old, more, room - 1)
        if (new is not old) if new else (label in a):
            if result is a:
                result = a.copy()
            if new:
                result[label] = new
            else:
                del result[label]
    return b if len(a) == 0 < len(b) == len(result) else result


def scaled(k, v, room=DEEPEST):
    """`k` times a V-value: the same object for k = 1, which makes passing on free, and `{}` for k = 0."""
    if k == 1:
        return v
    if not k or not isinstance(k, REAL):
        return {}
    if not isinstance(v, dict):
        return _number(k * _number(v)) or {}
    result = {}
    for label, x in v.items() if room else ():
        if isinstance(x, REAL):
            x = k * x
            if x and -LARGEST <= x <= LARGEST:
                result[label] = x
        elif isinstance(x, dict) and (x := scaled(k, x, room - 1)):
            result[label] = x
    return result


def difference(a, b, room=DEEPEST):
    """`a` minus `b`. Skips what both share: two versions of a tree cost only what changed."""
    if a is b:
        return {}
    if not isinstance(a, dict) and not isinstance(b, dict):
        return _number(_number(a) - _number(b)) or {}
    a, b = _branches(a), _branches(b)
    result = {}
    for label in {**a, **b} if room else ():
        x, y = a.get(label, 0), b.get(label, 0)
        if x is not y and (change := difference(x, y, room - 1)):
            result[label] = change
    return result


def masked(mask, v, room=DEEPEST):
    """What lies under a mask, times the mask's numbers.

    A number in the mask scales what lies at its path, leaf or branch. A branch of the mask over a bare
    number gives nothing, and `:number` meets `:number` alone: labels pair as they are written.
    """
    if isinstance(mask, REAL):
        return scaled(mask, v, room) if isinstance(v, dict) or _number(v) else {}
    result = {}
    if isinstance(mask, dict) and isinstance(v, dict) and room:
        for label in mask:
            if label in v and (x := masked(mask[label], v[label], room - 1)):
                result[label] = x
    return result


def linear_combination(mask, v):
    """The sum of what lies under a mask, paths forgotten: the down movement of one input. Always a dict.

    Terms are added one after another by the code points of their paths, so the age of a connection is
    never heard. One tree of weight 1 passes as the same object. Two flat trees give their dot product,
    `{":number": x}`.
    """
    if not isinstance(mask, dict) or not isinstance(v, dict):
        return {}
    return _branches(_with_terms(0, mask, v, DEEPEST))


def _with_terms(result, mask, v, room):
    for label in mask if len(mask) == 1 else sorted(mask, key=str):
        weight, x = mask[label], v.get(label)
        if isinstance(weight, dict):
            if isinstance(x, dict) and room > 1:
                result = _with_terms(result, weight, x, room - 1)
        elif isinstance(weight, REAL):
            term = scaled(weight, x) if isinstance(x, dict) else _number(weight * _number(x))
            if term:
                result = total(result, term) if result else term
    return result


def matrix_product(W, v, level):
    """Matrix times V-value: at level 0 the linear combination of one row, above it a map over the rows.

    Every label of `W` down to `level` is in the result, also where nothing arrives: it keeps a neuron alive.
    """
    if level == 0 or not isinstance(W, dict):
        return linear_combination(W, v)
    return {label: matrix_product(rows, v, level - 1) for label, rows in W.items()}


def max_norm(v, room=DEEPEST):
    """The largest absolute value among the leaves; 0 for `{}`."""
    if not isinstance(v, dict):
        return abs(_number(v))
    norm = 0
    for x in v.values() if room else ():
        size = abs(x) if isinstance(x, REAL) else max_norm(x, room - 1)
        if norm < size <= LARGEST:
            norm = size
    return norm


def less_or_equal(left, right, room=DEEPEST):
    """Whether no coordinate of `left` is above that of `right`; a missing one is 0."""
    if left is right:
        return True
    if not isinstance(left, dict) and not isinstance(right, dict):
        return _number(left) <= _number(right)
    if not room:
        return True
    left, right = _branches(left), _branches(right)
    return all(less_or_equal(left.get(x, 0), right.get(x, 0), room - 1) for x in {**left, **right})


def shifted(k, v):
    """`k` added to every leaf that is there (`{}` stays `{}`); the same object for k = 0."""
    return v if k == 0 else _over_leaves(lambda x: _number(k + _number(x)), v)


def divided(k, v):
    """Every leaf divided by `k`: the same object for k = 1, `{}` for k = 0."""
    if k == 1:
        return v
    return _over_leaves(lambda x: _number(_number(x) / k), v) if _number(k) else {}


def without_zeros(v):
    """A V-value without what counts as zero; the same object where there is none of it."""
    return _over_leaves(_number, v)


def clean(v):
    """A V-value of Python numbers without what counts as zero; the same object where it is one already.

    Never raises. NumPy scalars, fractions and bools become floats. Labels that are no text and trees below
    `:number` are dropped as well.
    """
    return _over_leaves(_plain, v)


def _over_leaves(new_leaf, v, room=DEEPEST):
    if not isinstance(v, dict):
        return new_leaf(v) or {}
    result = v if room else {}
    for label, x in result.items():
        new = _over_leaves(new_leaf, x, room - 1) if isinstance(x, dict) else new_leaf(x)
        if not isinstance(label, str) or (label == NUMBER and isinstance(x, dict)):
            new = 0
        if new is not x or not new:
            if result is v:
                result = v.copy()
            if new:
                result[label] = new
            else:
                del result[label]
    return result


def is_finite(v, room=DEEPEST):
    """Whether every leaf is a finite number; what is no number is not."""
    if isinstance(v, dict):
        return not room or all(is_finite(x, room - 1) for x in v.values())
    return isinstance(v, REAL) and -LARGEST <= v <= LARGEST


def number_at(v, path=()):
    """The number at a path, bare or as the `:number` of the branch there, else 0.0."""
    for label in path[:-1] if path and path[-1] == NUMBER else path:
        v = v.get(label) if isinstance(v, dict) else None
    return _number(v.get(NUMBER) if isinstance(v, dict) else v) or 0.0


def leaves(v):
    """Every (path, number) in the order of the tree; a path is a tuple of labels, `:number` included."""
    waiting = [((), v)]
    while waiting:
        path, x = waiting.pop()
        if isinstance(x, REAL):
            yield path, x
        elif isinstance(x, dict) and len(path) < DEEPEST:
            waiting += [((*path, label), x[label]) for label in reversed(x)]


def from_leaves(pairs):
    """The clean V-value, always a dict, that is the sum of (path, number) pairs."""
    v = {}
    for path, number in pairs:
        *way, last = path or (NUMBER,)
        branch = v
        for label in way:
            if not isinstance(branch.get(label), dict):
                branch[label] = _branches(branch.get(label))
            branch = branch[label]
        branch[last] = total(branch.get(last), number)
    return clean(v)


def check_labels(v, where="tree"):
    """Refuses labels that no V-value has, with a DmmError whose sentence begins with `where`."""
    waiting = [((), v)]
    while waiting:
        path, tree = waiting.pop()
        at = "/".join([where, *map(encode_label, path)])
        if len(path) >= DEEPEST:
            raise DmmError(f"{where}: a path has more than {DEEPEST} labels. Make the tree flatter.")
        for label, x in tree.items() if isinstance(tree, dict) else ():
            if not isinstance(label, str) or not label:
                raise DmmError(f"{at}: the label `{label}` is not a text. Put it in quotes.")
            if label.startswith(":") and label != NUMBER:
                remedy = f"Leave out the colon, or write `{NUMBER}` for the number of the branch itself."
                raise DmmError(f"{at}: the label `{label}` is reserved. {remedy}")
            if isinstance(x, dict):
                if label == NUMBER:
                    raise DmmError(f"{at}: `{NUMBER}` holds a number, not a tree. Choose another label.")
                waiting.append(((*path, label), x))


def encode_label(label):
    """A label as a part of a reference: UTF-8 as %XX except for [a-z0-9_]; the empty label is `%`."""
    octets = label.encode("utf-8", "surrogatepass").decode("latin-1")
    return re.sub("[^a-z0-9_]", lambda octet: f"%{ord(octet[0]):02X}", octets) or "%"


def decode_label(text):
    """The label that `encode_label` wrote; what is not encoded stands for itself."""
    try:
        return "" if text == "%" else unquote(text, errors="surrogatepass")
    except UnicodeDecodeError:
        raise DmmError(f"`{text}`: these codes are not UTF-8. Write the letters themselves.") from None


def _number(x):
    return x if isinstance(x, REAL) and -LARGEST <= x <= LARGEST else 0


def _plain(x):
    try:
        return _number(float(x) if type(x) not in REAL and isinstance(x, Real) else x)
    except OverflowError:  # a giant fraction
        return 0


def _branches(x):
    return x if isinstance(x, dict) else {NUMBER: x} if _number(x) else {}

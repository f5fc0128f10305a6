"""Row E5: LSTM and GRU cells as patches of products and saturations. The patches are written by `lstm` and `gru`.

A sigmoid is half a tanh of half its argument, so its half and its one half are weights. Hops settle: one tick is one
step of the cell; what it remembers comes back through `accum`, one tick late.
"""

import math
import random

from dmm_av.commands.lineage_rows.row import Row
from dmm_av.commands.lineage_rows.running import open_row, watched

UNITS, INPUTS = (1, 2), (1, 2)
STEPS = 400
EXACT = 1e-6

_HEADER = """\
# {title} of two units, made of products and saturations alone (row E5).
#
# `x1` and `x2` are what it hears, `h1` and `h2` what it gives; {letters} are its gates. The sigmoid of s is
# 0.5 + 0.5 tanh(s / 2): both halves are weights. One tick is one step. Every weight of the cell is a weight of the
# network, so it can be played, faded or learned like any other: app.py edit {gate}1.input one 3 2
# Written by `{writer}` in dmm_av/commands/lineage_rows/recurrent.py.
# Source: arXiv:1610.00831, appendix C; {source}.
format: 1
name: {title}
neurons:
  x1: {{is: sine, frequency: 0.7}}
  x2: {{is: square, frequency: 3}}
"""
_FOOTER = """\
  tone1: {is: sine~, frequency: {one: 220, h1: 110}}
  tone2: {is: sine~, frequency: {one: 330, h2: 165}}
matrix:
  speakers.left: {tone1: 0.1}
  speakers.right: {tone2: 0.1}
"""


def weights(gates, seed):
    """{(gate, unit): {source: weight}} with `one` for the bias, drawn between -2 and 2."""
    draw = random.Random(seed)
    sources = ["one", *(f"x{i}" for i in INPUTS), *(f"h{i}" for i in UNITS)]
    return {(gate, unit): {one: round(draw.uniform(-2, 2), 2) for one in sources} for gate in gates for unit in UNITS}


LSTM = weights("ifog", 3)
GRU = weights("zrn", 8)


def _row(drawn, factor, remembered="was_h"):
    terms = {name.replace("h", remembered): round(factor * weight, 6) for name, weight in drawn.items()}
    return "{" + ", ".join(f"{name}: {weight:g}" for name, weight in terms.items()) + "}"


def _half(gate, unit):
    return f"{{one: 0.5, {gate}{unit}: 0.5}}"


def lstm():
    """The patch of the LSTM, as text."""
    lines = [
        _HEADER.format(
            title="long short-term memory",
            letters="`i`, `f`, `o`, `g`",
            gate="f",
            writer="lstm",
            source="Hochreiter and Schmidhuber, Neural Computation 9, 1997, with the forget gate of Gers et al., 2000",
        )
    ]
    for unit in UNITS:
        for gate in "ifog":
            row = _row(LSTM[gate, unit], 1.0 if gate == "g" else 0.5)
            lines.append(f"  {gate}{unit}: {{is: tanh, input: {row}}}\n")
        cell = f"{{kept{unit}: 1, taken{unit}: 1}}"
        lines += [
            f"  kept{unit}:  {{is: product, a: was_c{unit}, b: {_half('f', unit)}}}\n",
            f"  taken{unit}: {{is: product, a: g{unit}, b: {_half('i', unit)}}}\n",
            f"  was_c{unit}: {{is: accum, delta: {cell}}}\n",
            f"  bent{unit}:  {{is: tanh, input: {cell}}}\n",
            f"  h{unit}:     {{is: product, a: bent{unit}, b: {_half('o', unit)}}}\n",
            f"  was_h{unit}: {{is: accum, delta: h{unit}}}\n",
        ]
    return "".join([*lines, _FOOTER])


def gru():
    """The patch of the GRU, as text."""
    lines = [
        _HEADER.format(
            title="gated recurrent unit",
            letters="`z`, `r`, `n`",
            gate="z",
            writer="gru",
            source="Cho et al., arXiv:1406.1078",
        )
    ]
    for unit in UNITS:
        for gate in "zr":
            lines.append(f"  {gate}{unit}: {{is: tanh, input: {_row(GRU[gate, unit], 0.5)}}}\n")
        lines += [
            f"  reset{unit}: {{is: product, a: was_h{unit}, b: {_half('r', unit)}}}\n",
            f"  n{unit}:     {{is: tanh, input: {_row(GRU['n', unit], 1.0, 'reset')}}}\n",
            f"  kept{unit}:  {{is: product, a: was_h{unit}, b: {_half('z', unit)}}}\n",
            f"  taken{unit}: {{is: product, a: n{unit}, b: {{one: 0.5, z{unit}: -0.5}}}}\n",
            f"  h{unit}:     {{is: product, a: {{kept{unit}: 1, taken{unit}: 1}}}}\n",
            f"  was_h{unit}: {{is: accum, delta: h{unit}}}\n",
        ]
    return "".join([*lines, _FOOTER])


def sigmoid(s):
    """1 / (1 + e^-s)."""
    return 1.0 / (1.0 + math.exp(-s))


def _sums(drawn, x, h):
    known = {"one": 1.0, **{f"x{i}": x[i - 1] for i in INPUTS}, **{f"h{i}": h[i - 1] for i in UNITS}}
    return sum(weight * known[name] for name, weight in drawn.items())


def lstm_by_equations(heard):
    """[h of every step] for [x of every step]: the equations as they stand in the paper."""
    h, c, given = [0.0, 0.0], [0.0, 0.0], []
    for x in heard:
        i, f, o, g = ([_sums(LSTM[gate, unit], x, h) for unit in UNITS] for gate in "ifog")
        c = [sigmoid(f[k]) * c[k] + sigmoid(i[k]) * math.tanh(g[k]) for k in range(len(UNITS))]
        h = [sigmoid(o[k]) * math.tanh(c[k]) for k in range(len(UNITS))]
        given.append(h)
    return given


def gru_by_equations(heard):
    """The same of the GRU: h = z h + (1 - z) tanh(W x + U (r h))."""
    h, given = [0.0, 0.0], []
    for x in heard:
        z, r = ([sigmoid(_sums(GRU[gate, unit], x, h)) for unit in UNITS] for gate in "zr")
        reset = [r[k] * h[k] for k in range(len(UNITS))]
        n = [math.tanh(_sums(GRU["n", unit], x, reset)) for unit in UNITS]
        h = [z[k] * h[k] + (1.0 - z[k]) * n[k] for k in range(len(UNITS))]
        given.append(h)
    return given


def _compared(patch, by_equations):
    """A row's `obtain`: the largest distance between the patch and the equations."""

    def obtain():
        seen = watched(open_row(patch), ["x1", "x2", "h1", "h2"], STEPS)
        heard = list(zip(seen["x1"], seen["x2"], strict=True))[1:]
        found = list(zip(seen["h1"], seen["h2"], strict=True))[1:]
        expected = by_equations(heard)
        pairs = zip(sum(found, ()), sum(map(tuple, expected), ()), strict=True)
        apart = max(abs(a - b) for a, b in pairs)
        moved = max(h[0] for h in found) - min(h[0] for h in found)
        return f"{len(found)} steps: at most {apart:.1e} apart; h1 moves by {moved:.2f}", apart < EXACT and moved > 0.1

    return obtain


ROWS = (
    Row(
        "E5",
        "LSTM of products and saturations",
        "lstm",
        "the equations of Hochreiter, Schmidhuber and Gers within 1e-6",
        _compared("lstm", lstm_by_equations),
    ),
    Row(
        "E5b",
        "GRU of products and saturations",
        "gru",
        "the equations of Cho et al. within 1e-6",
        _compared("gru", gru_by_equations),
    ),
)

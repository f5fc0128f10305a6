"""The neurons that always exist on the Python side (`self`, `edits`, `osc`, `screen`) and the two indispensable
tree activations, `accum.tree` and `identity`. `one`, `transport` and `speakers` live with the signal families.
"""

from dmm_av.network.activation import LIBRARY, Activation, Input, Output, Setting, tree
from dmm_av.network.network import AUTHORS
from dmm_av.streams.kinds import Kind
from dmm_av.streams.vvalue import less_or_equal, linear_combination, masked, max_norm, total

LIBRARY.add(
    Activation(
        name="self",
        side="engine",
        about="The network matrix as a stream: emits the matrix and adds what reaches its delta.",
        inputs={
            "accum": Input("accum", Kind.VVALUE, {"self.matrix": 1.0}, about="its own matrix, weight 1"),
            "delta": Input(
                "delta",
                Kind.VVALUE,
                {f"edits.{author}": 1.0 for author in AUTHORS},
                about="what is added to the matrix each tick",
            ),
        },
        outputs={"matrix": Output("matrix", Kind.VVALUE, about="{to: {input: {from: {output: weight}}}}")},
        settings={
            "is": Setting("is", "text", "accum", about="always `accum`"),
            "free": Setting("free", "boolean", False, about="leaves the loop weight unprotected"),
        },
        family="core",
    )
)
LIBRARY.add(
    Activation(
        name="edits",
        side="engine",
        about="The edits of every hand, one output per author, as nominal deltas.",
        inputs={},
        outputs={author: Output(author, Kind.VVALUE, about=f"edits by {author}") for author in AUTHORS},
        family="core",
    )
)
LIBRARY.add(
    Activation(
        name="osc_data",
        side="engine",
        about="Data that arrived over OSC outside /dmm, held: /1/fader1 is `osc.1/fader1`.",
        inputs={},
        outputs={},
        variadic_outputs=Kind.VVALUE,
        family="core",
    )
)
LIBRARY.add(
    Activation(
        name="screen",
        side="engine",
        about="The picture that is shown.",
        inputs={"image": Input("image", Kind.IMAGE, about="what is shown")},
        outputs={},
        settings={
            "show": Setting(
                "show",
                "choice",
                "clamp",
                ("clamp", "bipolar", "abs", "tonemap"),
                about="how signed and over-bright values become light",
            )
        },
        family="core",
    )
)


@tree(inputs=("accum", "delta"), name="accum.tree", also=("accum.vvalue",), rows={})
def accum_tree(accum, delta):
    """Sum of two trees; wired to itself with weight 1 it is a memory.

    accum   usually its own output, weight 1
    delta   what is added each tick
    out     accum + delta
    """
    return total(accum, delta)


@tree(inputs=("input",))
def identity(input):
    """Passes a tree on unchanged, one tick later; wired to itself it holds a constant.

    input   any tree
    out     the same tree
    """
    return input


@tree(inputs=("input",), outputs=(Output("out", Kind.NUMBER, about="the norm"),))
def max_norm_(input):
    """The largest absolute number in a tree.

    input   any tree
    """
    return {"out": max_norm(input)}


@tree(inputs=("left", "right"), outputs=(Output("true", Kind.NUMBER), Output("false", Kind.NUMBER)))
def less_or_equal_(left, right):
    """Whether every number of the left tree is at most that of the right tree.

    left    any tree; what is missing counts as 0
    right   any tree
    """
    holds = less_or_equal(left, right)
    return {"true": float(holds), "false": float(not holds)}


@tree(inputs=("main", "mask"))
def mask(main, mask):
    """Multiplies a tree by a mask, branch by branch; paths are kept.

    main   the tree
    mask   numbers that scale branches; what the mask lacks is left out
    """
    return masked(mask, main)


@tree(inputs=("main", "row"))
def lin_comb(main, row):
    """Linear combination of branches of a tree; paths of the row are forgotten.

    main   the tree
    row    weights at the branches that are added
    """
    return linear_combination(row, main)

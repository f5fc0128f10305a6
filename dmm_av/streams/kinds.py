"""Kinds of stream, and which kind may flow into which. Knows nothing of neurons.

A weight is legal between equal kinds and along the exact linear embeddings listed in `EMBEDDINGS`;
`converter` names the activation that turns one kind into another where no embedding exists.
"""

from enum import StrEnum


class Kind(StrEnum):
    """What flows on a wire; the value is the word players see."""

    NUMBER = "number"
    AUDIO = "audio"
    VVALUE = "vvalue"
    MATRIX = "matrix"
    IMAGE = "image"
    SAMPLES = "samples"
    FIELD = "field"  # a number input of a picture activation: takes numbers and pictures



EMBEDDINGS = frozenset(
    {
        (Kind.NUMBER, Kind.AUDIO),
        (Kind.NUMBER, Kind.IMAGE),
        (Kind.NUMBER, Kind.MATRIX),
        (Kind.NUMBER, Kind.VVALUE),
        (Kind.MATRIX, Kind.IMAGE),
        (Kind.VVALUE, Kind.NUMBER),
        (Kind.NUMBER, Kind.FIELD),
        (Kind.IMAGE, Kind.FIELD),
        (Kind.MATRIX, Kind.FIELD),
        (Kind.VVALUE, Kind.FIELD),
        (Kind.VVALUE, Kind.AUDIO),
        (Kind.VVALUE, Kind.IMAGE),
        (Kind.VVALUE, Kind.MATRIX),
    }
)

_CONVERTERS = {
    (Kind.AUDIO, Kind.NUMBER): "level~",
    (Kind.AUDIO, Kind.FIELD): "level~",
    (Kind.AUDIO, Kind.IMAGE): "level~",
    (Kind.AUDIO, Kind.VVALUE): "level~",
    (Kind.AUDIO, Kind.MATRIX): "bands~",
    (Kind.IMAGE, Kind.MATRIX): "grey",
    (Kind.IMAGE, Kind.NUMBER): "level.image",
    (Kind.IMAGE, Kind.AUDIO): "level.image",
    (Kind.IMAGE, Kind.VVALUE): "level.image",
    (Kind.MATRIX, Kind.NUMBER): "picture_of, then level.image",
    (Kind.MATRIX, Kind.AUDIO): "picture_of, then level.image",
}


def is_legal(source, target):
    """Whether a weight may lead from a stream of kind `source` into an input of kind `target`."""
    return source == target or (source, target) in EMBEDDINGS


def converter(source, target):
    """The name of the activation that converts, or None."""
    return _CONVERTERS.get((source, target))

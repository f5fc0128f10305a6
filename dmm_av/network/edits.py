"""The verbs with which every hand writes to the network. Plain values: what they do is in `self_neuron`.

`to` and `source` are references as text (`fold.wedges`, `ear.low`, `voice*`), expanded over the live matrix at
the tick at which the edit takes effect. `ramp` is seconds (0.5) or beats ("2b"); None means at once.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Set:
    """Lands the entry on a weight."""

    to: str
    source: str
    weight: float
    ramp: float | str | None = None


@dataclass(frozen=True, slots=True)
class SetNorm:
    """Lands the entry on the value that lies at `position` (0..1) of the input's declared range."""

    to: str
    source: str
    position: float
    ramp: float | str | None = None


@dataclass(frozen=True, slots=True)
class Add:
    """Adds to the entry's weight; commutes, and is never stopped by others."""

    to: str
    source: str
    amount: float
    ramp: float | str | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """Multiplies the entry's weight."""

    to: str
    source: str
    factor: float
    ramp: float | str | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Removes the entry's key; with a ramp the weight goes to zero first."""

    to: str
    source: str
    ramp: float | str | None = None


@dataclass(frozen=True, slots=True)
class New:
    """Declares a neuron; on an existing name it replaces the activation and keeps what still fits.

    activation    a name, or {name: coefficient} for a mixture
    no_default    inputs that get no default row
    """

    name: str
    activation: str | dict
    no_default: tuple = ()


@dataclass(frozen=True, slots=True)
class Remove:
    """Removes a neuron: its rows, its columns, its settings."""

    name: str


@dataclass(frozen=True, slots=True)
class Setting:
    """Gives a neuron's setting a value (None: back to the default)."""

    name: str
    key: str
    value: object


@dataclass(frozen=True, slots=True)
class Insert:
    """Puts a new neuron into a connection; its first input is the way in."""

    name: str
    activation: str
    to: str
    source: str
    ramp: float | str | None = None


@dataclass(frozen=True, slots=True)
class Crossfade:
    """Sets the weights of two sources of one input to 1-x and x (equal power between sound ports)."""

    to: str
    a: str
    b: str
    position: float
    ramp: float | str | None = None


@dataclass(frozen=True, slots=True)
class Mute:
    """Takes a neuron's column out of the matrix, or puts it back."""

    name: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class Undo:
    """Takes back the author's newest step, or the newest of all authors."""

    of_any_author: bool = False


@dataclass(frozen=True, slots=True)
class Redo:
    """Does again what was last taken back, of the author or of all."""

    of_any_author: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Edits that take effect together or not at all, as one undo step.

    author   the output of `edits` they leave by: `osc`, `file`, `panel`, `midi`, `remote`
    at       None, or a grid to wait for: "bar", "beat", or a number of beats
    reply    called with (sentence or None) once it is known whether the group took effect
    """

    edits: tuple
    author: str = "panel"
    at: object = None
    reply: object = field(default=None, compare=False)

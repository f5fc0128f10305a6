"""The register of activations (unit generators): what they are called, take, give and mean.

One declaration is the only place that knows a unit: patch checking, completion, manual, sliders, engines
and tests read it here. Signal activations are scalar Python steps, tree activations are functions of
V-values, picture and matrix activations are shader or NumPy bodies; how they run is the engines' business.
"""

import inspect
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, get_args, get_origin

from dmm_av.errors import PatchError, unknown
from dmm_av.streams.kinds import Kind
from dmm_av.streams.units import UNITS, Unit


@dataclass(frozen=True)
class Input:
    """A named input: its kind, unit and default row.

    default   weight from `one` (0.0 makes no row), or a row {"transport.beat": 1.0}
    delayed   always reads the previous step of what is wired there
    rate      the input is "something per second": the engine hands its integral to the body
    family    stands for any number of inputs `name/1`, `name/2` …
    """

    name: str
    kind: Kind
    default: Any = 0.0
    unit: Unit = UNITS["number"]
    delayed: bool = False
    rate: bool = False
    about: str = ""
    also: tuple = ()
    family: bool = False


@dataclass(frozen=True)
class Output:
    """A named output and its kind."""

    name: str
    kind: Kind
    unit: Unit = UNITS["number"]
    about: str = ""


@dataclass(frozen=True)
class Setting:
    """What cannot be a number: a file, a text, a choice, a size, a list.

    kind   `file text choice number integer boolean size list tree`
    """

    name: str
    kind: str
    default: Any = None
    choices: tuple = ()
    about: str = ""


@dataclass(frozen=True)
class Activation:
    """One entry of the register.

    side       `signal` (number, audio), `tree` (v-values), `picture` (image, matrix), `engine` (built in)
    body       signal: the scalar step; tree: the function; picture: path of the shader or the function
    variadic   `inputs` and/or `outputs` take any port name (kind VVALUE or as said by the body)
    """

    name: str
    side: str
    about: str
    inputs: dict
    outputs: dict
    settings: dict = field(default_factory=dict)
    body: Any = None
    also: tuple = ()
    source: str = ""
    family: str = ""
    notes: dict = field(default_factory=dict)  # what this side's engine needs beyond the ports
    variadic_inputs: Kind | None = None
    variadic_outputs: Kind | None = None

    def input(self, name):
        """The declared input of that name (or of that other name), or None."""
        found = self.inputs.get(name)
        if found is None:
            found = next((port for port in self.inputs.values() if name in port.also), None)
        if found is None:
            first, _, number = name.partition("/")
            family = self.inputs.get(first)
            if family is not None and family.family and number.isdigit() and number[0] != "0":
                found = replace(family, name=name, family=False)
        if found is None and self.variadic_inputs is not None:
            found = Input(name, self.variadic_inputs)
        return found

    def output(self, name):
        """The declared output of that name, or None."""
        found = self.outputs.get(name)
        if found is None and self.variadic_outputs is not None:
            found = Output(name, self.variadic_outputs)
        return found

    @property
    def only_output(self):
        """The name of the single output; None when there are several."""
        return next(iter(self.outputs)) if len(self.outputs) == 1 else None


class Library:
    """A register: activations by name. User libraries are layered over the built-in one."""

    def __init__(self, base=None):
        self._own = {}
        self._also = {}
        self._base = base

    def add(self, activation, replace=False):
        """Enters an activation; the same name twice is an error unless it replaces."""
        for name in (activation.name, *activation.also):
            if not replace and name in self:
                raise PatchError(f"library: the activation `{name}` is declared twice. Rename one of them.")
        self._own[activation.name] = activation
        self._also.update({name: activation.name for name in activation.also})

    def remove(self, name):
        """Takes a user's activation out again."""
        activation = self._own.pop(name, None)
        for other in activation.also if activation else ():
            self._also.pop(other, None)

    def get(self, name):
        """The activation of that name or other name, or None."""
        found = self._own.get(name) or self._own.get(self._also.get(name, ""))
        return found or (self._base.get(name) if self._base is not None else None)

    def __contains__(self, name):
        return self.get(name) is not None

    def __getitem__(self, name):
        found = self.get(name)
        if found is None:
            raise unknown("library", "activation", name, self.names())
        return found

    def names(self):
        """Every first name, sorted."""
        return sorted(set(self._own) | set(self._base.names() if self._base is not None else ()))

    def __iter__(self):
        return (self[name] for name in self.names())


    def own_names(self):
        """First names that this register itself holds, without its base."""
        return sorted(self._own)


LIBRARY = Library()
_into = [LIBRARY]  # the register that declarations go into


@contextmanager
def declaring_into(library):
    """Within it, `@signal` and `@tree` enter what they declare in that register."""
    _into.append(library)
    try:
        yield
    finally:
        _into.pop()


# --- Declaring signal activations -----------------------------------------------------------------


class _Role:
    """A parameter of a step that is not an input."""

    def __init__(self, name):
        self.name = name


State = Annotated[float, _Role("state")]  # a number kept from step to step; its new value is returned
Memory = Annotated[float, _Role("memory")]  # a delay line; default = its length in seconds; returned: what to push
Random = Annotated[float, _Role("random")]  # a fresh uniform number in [-1, 1) every step, seeded per neuron
Bank = Annotated[int, _Role("bank")]  # an array of numbers kept from step to step; default = how many


class Family:
    """`steps: Family[Number]` declares the inputs `steps/1`, `steps/2` … as one; read with `at` and `count`."""

    def __class_getitem__(cls, annotation):
        return Annotated[annotation, _Role("family")]


class Delayed:
    """`input: Delayed[Number] = 0.0` declares an input that reads the previous step."""

    def __class_getitem__(cls, annotation):
        return Annotated[annotation, _Role("delayed")]


def _read_step(step, integrand):
    """Inputs and roles of a step, from its signature: (inputs with units, parameters as (name, role))."""
    inputs, parameters = {}, []
    for parameter in inspect.signature(step, eval_str=True).parameters.values():
        if parameter.name in ("clock", "phase", "turn"):
            parameters.append((parameter.name, parameter.name, None))
            continue
        notes = get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ()
        roles = {note.name for note in notes if isinstance(note, _Role)}
        default = parameter.default
        for role in ("state", "memory", "random", "bank"):
            if role in roles:
                parameters.append((parameter.name, role, 0.0 if default is parameter.empty else default))
                break
        else:
            unit = next((note for note in notes if isinstance(note, Unit)), UNITS["number"])
            default = 0.0 if default is parameter.empty else default
            role = "family" if "family" in roles else "input"
            inputs[parameter.name] = (unit, default, "delayed" in roles, role == "family")
            parameters.append((parameter.name, role, default))
    for name in inspect.signature(integrand).parameters if integrand else ():
        if name not in inputs:
            raise PatchError(f"library, `{step.__name__}`: the integrand takes `{name}`, which is no input.")
    return inputs, parameters


def _port_notes(docstring):
    """Lines `name   meaning` of a docstring, by name."""
    notes = {}
    for line in (docstring or "").splitlines()[1:]:
        name, _, meaning = line.strip().partition("  ")
        if meaning and name.isidentifier():
            notes[name] = meaning.strip()
    return notes


def signal(
    out=UNITS["bipolar"],
    outputs=None,
    rates="both",
    integrand=None,
    name=None,
    also=(),
    rows=None,
    settings=(),
    family=None,
    library=None,
    listens=False,
    branches=None,
):
    """Declares a signal activation from one scalar step; the signature is the list of inputs.

    A step takes, in any order: `clock` (fields `rate` in steps per second, `audio`, 1.0 at audio rate, and
    `step` in seconds), `phase` (cycles in [0, 1), the integral of `integrand`), `turn` (cycles per step),
    inputs with units, and parameters annotated `State`, `Memory`, `Random` or `Bank`. It returns its outputs,
    then the new value of every state and what is pushed into every memory, in the order of the signature.
    A memory is as long as the setting `longest` says, where there is one, else as its default.

    out         unit of the single output, or `outputs` = {name: unit} for several
    rates       `both` declares NAME (control) and NAME~ (audio); `control`, `audio` one of them
    integrand   scalar function of inputs that gives Hz; the engine integrates it (wrapped, no drift)
    rows        default rows that are not numbers: {"beat": {"transport.beat": 1.0}}
    listens     an analyser: audio inputs, number outputs (declared as NAME~)
    branches    outputs that are trees: {"spectrum": 16} is returned as 16 numbers, `spectrum/1` to `/16`
    """
    rows = rows or {}
    branches = branches or {}
    library = _into[-1] if library is None else library

    def declare(step):
        inputs, parameters = _read_step(step, integrand)
        first = name or step.__name__.rstrip("_")
        units = dict(outputs) if outputs else {"out": out}
        units = {key: get_args(unit)[1] if get_origin(unit) is Annotated else unit for key, unit in units.items()}
        notes = _port_notes(step.__doc__)
        about = (step.__doc__ or "").strip().split("\n")[0]
        source = next(
            (line.split("Source:", 1)[1].strip() for line in (step.__doc__ or "").splitlines() if "Source:" in line),
            "",
        )
        variants = {"both": ("", "~"), "control": ("",), "audio": ("~",)}[rates]
        for suffix in variants:
            kind = Kind.AUDIO if suffix else Kind.NUMBER
            library.add(
                Activation(
                    name=first + suffix,
                    side="signal",
                    about=about,
                    inputs={
                        key: Input(
                            key,
                            kind,
                            rows.get(key, default),
                            unit,
                            delayed,
                            about=notes.get(key, ""),
                            family=family_of_inputs,
                        )
                        for key, (unit, default, delayed, family_of_inputs) in inputs.items()
                    },
                    outputs={
                        key: Output(
                            key,
                            Kind.VVALUE if key in branches else Kind.NUMBER if listens else kind,
                            unit,
                            notes.get(key, ""),
                        )
                        for key, unit in units.items()
                    },
                    settings={setting.name: setting for setting in settings},
                    body=step,
                    also=tuple(other + suffix for other in also),
                    source=source,
                    family=family or step.__module__.rpartition(".")[2],
                    notes={
                        "parameters": tuple(parameters),
                        "integrand": integrand,
                        "listens": listens,
                        "families": tuple(key for key, port in inputs.items() if port[3]),
                        "flat_outputs": tuple(
                            flat
                            for key in units
                            for flat in (
                                [f"{key}/{i + 1}" for i in range(branches[key])] if key in branches else [key]
                            )
                        ),
                    },
                ),
                replace=library is not LIBRARY,
            )
        return step

    return declare


# --- Declaring tree activations --------------------------------------------------------------------


def tree(
    inputs=(),
    outputs=("out",),
    name=None,
    also=(),
    settings=(),
    stateful=False,
    variadic_inputs=None,
    variadic_outputs=None,
    rows=None,
    family=None,
    library=None,
):
    """Declares a tree activation: a function of V-values, run once a tick by the machine.

    The function takes one keyword argument per input (a V-value dict, `{}` when nothing arrives; a plain
    float for inputs declared as `Kind.NUMBER`), `settings` and `clock` if it names them, `state` if
    stateful (None at first); variadic ones take `ports`, a dict. It returns the value of its only output,
    or {output: value}; a stateful one returns (outputs, state). It never mutates what it is given.

    inputs    names, or `Input` declarations
    outputs   names, or `Output` declarations
    """
    rows = rows or {}
    library = _into[-1] if library is None else library

    def declare(function):
        first = name or function.__name__.rstrip("_")
        notes = _port_notes(function.__doc__)
        ports = [
            port
            if isinstance(port, Input)
            else Input(port, Kind.VVALUE, rows.get(port, 0.0), about=notes.get(port, ""))
            for port in inputs
        ]
        results = [
            port if isinstance(port, Output) else Output(port, Kind.VVALUE, about=notes.get(port, ""))
            for port in outputs
        ]
        library.add(
            Activation(
                name=first,
                side="tree",
                about=(function.__doc__ or "").strip().split("\n")[0],
                inputs={port.name: port for port in ports},
                outputs={port.name: port for port in results},
                settings={setting.name: setting for setting in settings},
                body=function,
                also=tuple(also),
                family=family or function.__module__.rpartition(".")[2],
                notes={
                    "stateful": stateful,
                    "parameters": tuple(inspect.signature(function).parameters),
                    "families": tuple(port.name for port in ports if port.family),
                },
                variadic_inputs=variadic_inputs,
                variadic_outputs=variadic_outputs,
            ),
            replace=library is not LIBRARY,
        )
        return function

    return declare

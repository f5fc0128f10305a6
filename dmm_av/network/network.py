"""A network at rest: the matrix, the settings, and what every name in it means. Nothing here happens in time.

Which activation a neuron applies is read from its row `activation`; there is no other register of neurons.
"""

from dataclasses import dataclass
from functools import lru_cache

from dmm_av.errors import EditError, nearest, unknown
from dmm_av.network.activation import Input, Output
from dmm_av.network.matrix import NetworkMatrix
from dmm_av.network.reference import GLOB, activation_prefix, glob, parse_reference
from dmm_av.streams.kinds import Kind, converter, is_legal

BUILT_IN = {  # neurons that always exist, with the activation of each
    "one": "one",
    "transport": "transport",
    "self": "self",
    "edits": "edits",
    "osc": "osc_data",
    "screen": "screen",
    "speakers": "speakers",
}
UNSEEN = ("self", "edits")  # globs never reach these
SELF_LOOP = ("self", "accum", "self", "matrix")
AUTHORS = ("osc", "file", "panel", "midi", "remote")
LIBRARY_NAME = "library"  # `voice.activation` from `library.sine~` says what `voice` is
LARGEST_FAMILY = 1_000  # steps/1 to steps/1000


@dataclass(frozen=True)
class Budget:
    """How large a network may grow, so that a machine that writes itself cannot eat its host."""

    neurons: int = 20_000
    weights: int = 200_000
    edits_per_tick: int = 5_000


_parsed = lru_cache(10_000)(parse_reference)  # a fader sends the same reference hundreds of times


def _is_pattern(reference):
    return reference.is_glob or any(GLOB.search(branch) for branch in reference.branches)


class Network:
    """The matrix with what cannot be a number.

    settings     {name: {key: value}}
    muted        {name: {entry: weight}}: columns taken out by `mute`
    no_default   {(to, input)}: inputs that get no default row
    """

    def __init__(self, library, budget=None):
        self.library = library
        self.budget = budget or Budget()
        self.matrix = NetworkMatrix(self.budget.weights)
        self.settings = {}
        self.muted = {}
        self.no_default = set()

    # --- what a name means ---------------------------------------------------------------------

    def mixture(self, name):
        """{activation name: coefficient} of a neuron; empty when there is no such neuron."""
        if name in BUILT_IN:
            return {BUILT_IN[name]: 1.0}
        row = self.matrix.row(name, "activation")
        if row:
            return {entry[3]: weight for entry, weight in row.items() if len(entry) == 4 and entry[2] == LIBRARY_NAME}
        prefix = activation_prefix(name)
        return {prefix: 1.0} if prefix and name in self.matrix.inputs else {}

    def activations(self, name):
        """The declarations behind a name; unknown activations are left out."""
        found = (self.library.get(one) for one in self.mixture(name))
        return [activation for activation in found if activation is not None]

    def is_active(self, name):
        """Whether W has a row key for the neuron (built-in neurons always are)."""
        return name in BUILT_IN or name in self.matrix.inputs

    @property
    def is_self_free(self):
        """Whether the patch leaves the loop weight of `self` unprotected."""
        return bool(self.settings.get("self", {}).get("free"))

    def is_placeholder(self, name):
        """Whether the neuron's activation is unknown: it keeps its weights and passes zero."""
        mixture = self.mixture(name)
        return bool(mixture) and not self.activations(name)

    def names(self):
        """Every neuron that is active, built-in ones first."""
        return [*BUILT_IN, *(name for name in self.matrix.inputs if name not in BUILT_IN)]

    def input(self, name, port):
        """The declared input `port` (families: `steps/3`), or None."""
        if port == "activation":
            return Input(port, Kind.NUMBER)
        head = port.partition("/")[0]
        for activation in self._expected(name):
            found = activation.input(head)
            if found is not None and ("/" not in port or head in activation.notes.get("families", ())):
                return found
        return Input(port, Kind.FIELD) if self.is_placeholder(name) else None

    def output(self, name, port):
        """The declared output, or None."""
        for activation in self._expected(name):
            found = activation.output(port)
            if found is not None:
                return found
        return Output(port, Kind.NUMBER) if self.is_placeholder(name) else None

    def _expected(self, name):
        """Activations behind a name, also behind an undeclared one that sleeps."""
        found = self.activations(name)
        if not found and (prefix := activation_prefix(name)):
            sleeping = self.library.get(prefix)
            return [sleeping] if sleeping else []
        return found

    def kind_of_source(self, entry):
        """The kind that flows out at an entry's source, or None when the port does not exist (yet)."""
        if len(entry) == 3:
            return Kind.VVALUE
        found = self.output(entry[2], entry[3])
        if found is None:
            return None
        return Kind.NUMBER if len(entry) > 4 and found.kind == Kind.VVALUE else found.kind

    # --- checking what a hand writes ------------------------------------------------------------

    def entry(self, to, source, where="edit"):
        """The entry that two references name.

        Errors: a sentence for unknown neurons, unknown ports and kinds that do not fit.
        """
        target = _parsed(to, where)
        if target.port is None:
            raise EditError(f"{where}: `{to}` names no input. Write `{to}.input`.")
        if target.port == "activation" and source.startswith(f"{LIBRARY_NAME}."):
            return self._coefficient(target.name, source.partition(".")[2], where)
        origin = _parsed(source, where)
        port = "/".join((target.port, *target.branches))
        known = self._expected(target.name)
        if not known and not self.is_placeholder(target.name):
            raise self.no_neuron(where, target.name)
        declared = self.input(target.name, port)
        if declared is None:
            inputs = {name for activation in known for name in activation.inputs}
            what = f"input of `{target.name}` ({', '.join(a.name for a in known)})"
            raise unknown(where, what, port, inputs, EditError)
        if declared.name not in (port, target.port):
            port = "/".join((declared.name, *target.branches))
        if any(declared.name in activation.notes.get("families", ()) for activation in known):
            self._check_member(target, where)
        entry = (target.name, port, origin.name, *self._source_labels(origin, where))
        self.check_kinds(entry, declared, where)
        return entry

    def _coefficient(self, name, activation, where):
        """The entry that says how much of an activation is in a neuron."""
        if name in BUILT_IN or activation_prefix(name) or name not in self.matrix.inputs:
            raise (
                self.no_neuron(where, name)
                if name not in self.names()
                else EditError(f"{where}: `{name}` keeps its activation. Declare a neuron of your own with `new`.")
            )
        found = self.library.get(activation)
        entry = (name, "activation", LIBRARY_NAME, found.name if found else activation)
        if found is None and entry not in self.matrix.weights:
            raise unknown(where, "activation", activation, self.library.names(), EditError)
        if found is not None and found.side == "engine":
            raise EditError(f"{where}: `{activation}` is built in; there is exactly one of it.")
        return entry

    @staticmethod
    def _check_member(target, where):
        """Members of a family of inputs are counted from 1."""
        number = target.branches[0] if len(target.branches) == 1 else ""
        if not (number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= LARGEST_FAMILY):
            raise EditError(
                f"{where}: `{target}` is no single input. Write `{target.name}.{target.port}/1` up to "
                f"`{target.port}/{LARGEST_FAMILY}`."
            )

    def source(self, reference, where="edit"):
        """(neuron, output, *branches) that a reference names as a source.

        Errors: a sentence for unknown neurons and ports.
        """
        origin = parse_reference(reference, where)
        return (origin.name, *self._source_labels(origin, where))

    def _source_labels(self, origin, where):
        if origin.whole:
            return ()
        known = self._expected(origin.name)
        if not known and not self.is_placeholder(origin.name):
            raise self.no_neuron(where, origin.name)
        port = origin.port
        if port is None:
            names = list(dict.fromkeys(name for activation in known for name in activation.outputs))
            if len(names) == 1:
                port = names[0]
            elif not names:
                port = "out"
            else:
                raise EditError(
                    f"{where}: `{origin.name}` has several outputs. "
                    f"Write `{origin.name}.{names[0]}` or another of: {', '.join(names)}."
                )
        elif self.output(origin.name, port) is None:
            names = {name for activation in known for name in activation.outputs}
            raise unknown(where, f"output of `{origin.name}`", port, names, EditError)
        if origin.branches:
            declared = self.output(origin.name, port)
            if declared is not None and declared.kind != Kind.VVALUE and not self.is_placeholder(origin.name):
                raise EditError(f"{where}: `{origin.name}.{port}` is no tree, so it has no branch `{origin}`.")
            if any(not branch or branch.startswith(":") for branch in origin.branches):
                raise EditError(
                    f"{where}: `{origin}` has a branch without a name. Labels are not empty, nor begin with `:`."
                )
        return (port, *origin.branches)

    def has_source(self, entry):
        """Whether there is an output where the entry comes from."""
        return len(entry) == 3 or self.output(entry[2], entry[3]) is not None

    def check_kinds(self, entry, declared, where):
        """Errors: a sentence when the stream at the source may not flow into the input."""
        kind = self.kind_of_source(entry)
        if entry[1] == "activation" or kind is None or is_legal(kind, declared.kind):
            return
        remedy = converter(kind, declared.kind)
        remedy = f" Put `{remedy}` between them." if remedy else ""
        needs = "numbers or pictures" if declared.kind == Kind.FIELD else str(declared.kind)
        raise EditError(
            f"{where}: `{entry[2]}.{'/'.join(entry[3:])}` gives {kind}, "
            f"but `{entry[0]}.{entry[1]}` takes {needs}.{remedy}"
        )

    def no_neuron(self, where, name):
        """The error for a neuron that is not there."""
        return EditError(f"{where}: no neuron is called `{name}`. {nearest(name, self.names())}")

    def expand(self, to, source, where="edit"):
        """Entries that two references name; globs cover existing entries.

        Errors: a sentence when nothing matches.
        """
        target = _parsed(to, where, True)
        if target.port == "activation" and not _is_pattern(target):
            return [self.entry(to, source, where)]
        origin = _parsed(source, where, True) if source is not None else None
        if origin is not None and not _is_pattern(target) and not _is_pattern(origin):
            return [self.entry(to, source, where)]
        port = None if target.port is None else glob("/".join((target.port, *target.branches)))
        output = None
        if origin is not None and origin.port is not None:
            output = glob("/".join((origin.port, *origin.branches)))
        found = [
            entry
            for entry in self._candidates(target, origin)
            if entry[0] not in UNSEEN
            and entry[2] not in UNSEEN
            and entry[1] != "activation"
            and (port is None or port(entry[1]))
            and (output is None or output("/".join(entry[3:])))
        ]
        if not found:
            raise EditError(f"{where}: no connection matches `{to} {source or ''}`.".replace(" `.", "`."))
        return found

    def _candidates(self, target, origin):
        """Entries between the neurons that two references, one a pattern at least, name."""
        matrix = self.matrix
        if origin is not None and not GLOB.search(origin.name):
            to = glob(target.name)
            return [entry for entry in matrix.columns.get(origin.name, ()) if to(entry[0])]
        names = filter(glob(target.name), matrix.inputs) if GLOB.search(target.name) else [target.name]
        source = glob(origin.name) if origin is not None else None
        return [entry for name in names for entry in matrix.entries_of(name) if source is None or source(entry[2])]

    def expand_names(self, pattern, where="edit"):
        """Neurons that a name or a glob covers; built-in ones never through a glob."""
        reference = _parsed(pattern, where, True)
        if not reference.is_glob:
            if not self.is_active(reference.name):
                raise self.no_neuron(where, reference.name)
            return [reference.name]
        covers = glob(reference.name)
        found = [name for name in self.matrix.inputs if name not in BUILT_IN and covers(name)]
        if not found:
            raise EditError(f"{where}: no neuron matches `{pattern}`.")
        return found

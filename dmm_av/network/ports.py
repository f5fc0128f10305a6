"""What the names in a piece of patch language mean: which inputs, outputs and settings stand behind each.

Inputs and outputs of a mixture are unions by name; an unknown activation is a placeholder that has any port.
Holds no weights; the living network answers the same questions in `network`.
"""

from dataclasses import dataclass

from dmm_av.network.network import BUILT_IN
from dmm_av.network.reference import activation_prefix, parse_reference


@dataclass(frozen=True)
class Ports:
    """What stands behind one name.

    mixture   {activation name: coefficient}
    found     the activations' declarations; those that are unknown are missing
    """

    mixture: dict
    found: tuple

    @property
    def is_placeholder(self):
        """Whether some activation is unknown, so that any port may exist."""
        return len(self.found) < len(self.mixture)

    @property
    def about(self):
        """The activations' names, for sentences."""
        return " + ".join(self.mixture)

    def input(self, port):
        """The declared `Input` (of `steps/3` the family's), or None."""
        head, slash, _ = port.partition("/")
        for activation in self.found:
            found = activation.input(head)
            if found is not None and (not slash or self.is_family(found.name)):
                return found
        return None

    def output(self, port):
        """The declared `Output`, or None."""
        return next((found for a in self.found if (found := a.output(port)) is not None), None)

    def setting(self, key):
        """The declared `Setting`, or None."""
        return next((a.settings[key] for a in self.found if key in a.settings), None)

    def is_family(self, port):
        """Whether an input stands for many: `steps/1`, `steps/2` …"""
        return any(port in activation.notes.get("families", ()) for activation in self.found)

    @property
    def inputs(self):
        """{name: `Input`} of all inputs; the first activation that declares a name counts."""
        return {name: port for a in reversed(self.found) for name, port in a.inputs.items()}

    @property
    def outputs(self):
        """{name: `Output`} of all outputs."""
        return {name: port for a in reversed(self.found) for name, port in a.outputs.items()}

    @property
    def settings(self):
        """{key: `Setting`} of all settings."""
        return {key: setting for a in reversed(self.found) for key, setting in a.settings.items()}

    @property
    def only_output(self):
        """The output that is meant when none is named, or None."""
        names = list(self.outputs)
        if len(names) == 1:
            return names[0]
        return "out" if not names and (self.is_placeholder or not self.found) else None

    def default_rows(self):
        """{input: {(source, output, *branches): weight}} of what Self adds when the neuron wakes."""
        rows = {}
        for name, port in self.inputs.items():
            row = default_row(port)
            if row:
                rows[name] = row
        return rows


def default_row(port):
    """{(source, output, *branches): weight} of an `Input`; zeros make no row."""
    default = port.default if isinstance(port.default, dict) else {"one.out": port.default}
    row = {}
    for text, weight in default.items():
        if weight:
            source = parse_reference(text)
            row[(source.name, source.port or "out", *source.branches)] = float(weight)
    return row


def ports_of(mixture, library):
    """The `Ports` of {activation name: coefficient}."""
    found = (library.get(name) for name in mixture)
    return Ports(mixture, tuple(activation for activation in found if activation is not None))


def built_in_ports(library):
    """{name: `Ports`} of the neurons that always exist."""
    return {name: ports_of({activation: 1.0}, library) for name, activation in BUILT_IN.items()}


def ports_of_known(name, what, library):
    """The `Ports` of a neuron that is `what`: an activation's name, several, or {activation name: coefficient}."""
    mixture = {what: 1.0} if isinstance(what, str) else what if isinstance(what, dict) else dict.fromkeys(what, 1.0)
    return undeclared_ports(name, library) or ports_of(dict(mixture), library)


def undeclared_ports(name, library):
    """The `Ports` of a name that carries its activation (`sine~:a`), else None."""
    prefix = activation_prefix(name)
    if prefix is None:
        return None
    found = library.get(prefix)
    return ports_of({found.name if found else prefix: 1.0}, library)

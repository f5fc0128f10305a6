"""Writing to a network with a way back, so that a group of edits takes effect whole or not at all.

An `Attempt` is one group on its way in. It remembers what it did twice: as a log that takes everything back should a
later edit of the group be refused, and as the `Step` that an undo goes back by. What verbs mean is in `self_neuron`.
"""

import math
from dataclasses import dataclass, field

from dmm_av.errors import EditError
from dmm_av.network.matrix import RESIDUE, Key

SETTING, MUTED, NO_DEFAULT = ":setting", ":muted", ":no_default"  # places beside entries; no neuron is called so


@dataclass(slots=True)
class Changed:
    """What a step did to one place.

    before, after   (weight, key) or None for an entry, the value for other places; `after` is where a ramp will end
    assigns         set, scaled or cut it; False: only added to it
    serial          when: of two changes of a place the later has the larger one
    former_writer   serial of the change before this one; 0 where there was none
    undone_by       how it was undone where others had a hand in the place: the later `Changed` that inherited
                    `before`, or the serial under which its share was taken away
    """

    before: object
    after: object
    assigns: bool
    serial: int
    former_writer: int = 0
    undone_by: object = None


@dataclass(slots=True)
class Step:
    """One undo step of one author.

    entries   {entry: `Changed`}
    others    {(SETTING, name, key) or (MUTED, name) or (NO_DEFAULT, name, input): `Changed`}
    states    {name: state} of neurons that went in this step, filled in by who holds the states
    single    (to, source) as text when the step is one set
    """

    serial: int
    author: str
    tick: int
    entries: dict = field(default_factory=dict)
    others: dict = field(default_factory=dict)
    states: dict = field(default_factory=dict)
    single: tuple | None = None


@dataclass(slots=True)
class Changes:
    """What one tick of Self changed.

    entries     {entry: (weight before or None, weight after or None)}
    structure   whether keys, activations or settings changed, not only weights
    settings    names of neurons whose settings changed
    removed     {name: the `Step` that keeps its state} of neurons that went; None where no hand did it
    returned    {name: state} of neurons that an undo or redo brought back
    answers     [(group, sentence or None)]
    sentences   what the player should hear
    """

    entries: dict = field(default_factory=dict)
    structure: bool = False
    settings: set = field(default_factory=set)
    removed: dict = field(default_factory=dict)
    returned: dict = field(default_factory=dict)
    answers: list = field(default_factory=list)
    sentences: list = field(default_factory=list)

    def take_over(self, attempt):
        """Adds what a successful attempt changed."""
        matrix = attempt.network.matrix
        for entry, changed in attempt.step.entries.items():
            before = changed.before[0] if changed.before else None
            after = matrix.weights.get(entry)
            former = self.entries.get(entry)
            self.entries[entry] = (former[0] if former else before, after)
            if (before is None) != (after is None) or (entry[1] == "activation" and 1.0 in (before, after)):
                self.structure = True
        for place in attempt.step.others:
            self.structure = True
            if place[0] == SETTING:
                self.settings.add(place[1])
        self.removed.update(attempt.removed)
        self.returned.update(attempt.returned)
        self.sentences += attempt.sentences


class Attempt:
    """Writes that can all be taken back.

    gain       the fraction that sets, scales and cuts go from where an entry is to their target, in (0, 1]
    declared   names that a `New` declared
    removed, returned, sentences   as in `Changes`
    """

    __slots__ = ("network", "step", "gain", "declared", "removed", "returned", "sentences", "is_travel", "_log")

    def __init__(self, network, serial, author, tick, gain=1.0):
        self.network = network
        self.step = Step(serial, author, tick)
        self.gain = gain
        self.declared = {}
        self.removed = {}
        self.returned = {}
        self.sentences = []
        self.is_travel = False
        self._log = []

    def state(self, entry):
        """(weight, key) of an entry, or None."""
        matrix = self.network.matrix
        weight = matrix.weights.get(entry)
        return None if weight is None else (weight, matrix.keys[entry])

    def write(self, entry, after, assigns=True):
        """Puts (weight, key) or None at an entry.

        Errors: a sentence for a weight that is not finite, and over budget.
        """
        network, matrix = self.network, self.network.matrix
        before = self.state(entry)
        if after is not None:
            after = (finite(after[0], "a weight"), after[1])
            if before is None and entry[0] not in matrix.inputs and len(matrix.inputs) >= network.budget.neurons:
                raise EditError(
                    f"edit: {network.budget.neurons} neurons are the most this network takes. Remove some first."
                )
            matrix.put(entry, *after)
        elif before is not None:
            matrix.drop(entry)
        else:
            return
        self._log.append(lambda: matrix.put(entry, *before) if before else matrix.drop(entry))
        changed = self.step.entries.get(entry)
        if changed is None:
            self.step.entries[entry] = Changed(before, after, assigns, self.step.serial)
        else:
            changed.after = after
            changed.assigns = changed.assigns or assigns

    def increase(self, entry, amount):
        """Adds to an entry; a key that adds have made goes again when it is next to zero."""
        value, key = self.state(entry) or (0.0, Key.MADE)
        value += amount
        if not math.isfinite(value):
            return
        gone = key == Key.MADE and abs(value) < RESIDUE
        self.write(entry, None if gone else (value, key), assigns=False)

    def assign(self, place, after):
        """Gives a place beside the entries its value; None takes it away."""
        before = value_at(self.network, place)
        if before == after:
            return
        _put_value(self.network, place, after)
        self._log.append(lambda: _put_value(self.network, place, before))
        changed = self.step.others.get(place)
        if changed is None:
            self.step.others[place] = Changed(before, after, True, self.step.serial)
        else:
            changed.after = after

    def on_return(self, restore):
        """Has `restore()` called should the attempt be taken back."""
        self._log.append(restore)

    def take_back(self):
        """Leaves the network as it was before the attempt."""
        while self._log:
            self._log.pop()()


def value_at(network, place):
    """The value at a place beside the entries, None where there is none."""
    kind, name, *rest = place
    if kind == SETTING:
        return network.settings.get(name, {}).get(rest[0])
    if kind == MUTED:
        return network.muted.get(name)
    return True if (name, rest[0]) in network.no_default else None


def _put_value(network, place, value):
    kind, name, *rest = place
    if kind == NO_DEFAULT:
        (network.no_default.discard if value is None else network.no_default.add)((name, rest[0]))
    elif kind == MUTED:
        if value is None:
            network.muted.pop(name, None)
        else:
            network.muted[name] = value
    elif value is not None:
        network.settings.setdefault(name, {})[rest[0]] = value
    else:
        settings = network.settings.get(name, {})
        settings.pop(rest[0], None)
        if not settings:
            network.settings.pop(name, None)


def finite(number, what):
    """The number as a float.

    Errors: a sentence when it is no finite number.
    """
    try:
        if math.isfinite(number) and not isinstance(number, bool):
            return float(number)
    except (TypeError, OverflowError):
        pass
    raise EditError(f"edit: {what} must be a finite number, not {number!r}.")

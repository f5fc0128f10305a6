"""Plans made aside: what a change of structure needs is worked out on a copy while the network goes on.

A large network takes longer to plan than a tick lasts. So live, edits by hands that change its structure are tried out
beforehand, in another thread; when their plan is made they take effect, whole and with it. What neurons change is in
the matrix at once and is heard and drawn when its plan is made. Offline, in small networks and for the events of a
file, plans are made in the tick itself.
"""

import threading

from dmm_av.engine.plan import build_plan
from dmm_av.engine.signal_plan import build_plan as build_signal_plan
from dmm_av.errors import DmmError
from dmm_av.network import edits as verb
from dmm_av.network.network import AUTHORS, Network
from dmm_av.network.self_neuron import SelfNeuron

LARGE = 100  # neurons: the plan of more takes too long for a tick
KEEP, WAIT, SWAP = range(3)
MOST_TRIES = 3  # a network that never stands still is planned in the tick in the end


def copy_of(network):
    """A network that can be changed without the other; what is immutable is shared."""
    copied, original = Network(network.library, network.budget), network.matrix
    matrix = copied.matrix
    matrix.weights, matrix.keys = dict(original.weights), dict(original.keys)
    matrix.rows = {spot: dict(row) for spot, row in original.rows.items()}
    matrix.columns = {name: dict(column) for name, column in original.columns.items()}
    matrix.inputs = {name: dict(ports) for name, ports in original.inputs.items()}
    matrix.tree = original.freeze()
    copied.settings = {name: dict(settings) for name, settings in network.settings.items()}
    copied.muted = {name: dict(column) for name, column in network.muted.items()}
    copied.no_default = set(network.no_default)
    return copied


def structure_of(network):
    """What is equal in two networks that can run by one plan: everything but weights."""
    weights = network.matrix.weights
    whole = {entry for entry, weight in weights.items() if weight == 1.0 and entry[1] == "activation"}
    return weights.keys(), whole, network.settings


def changes_structure(network, group):
    """Whether a group changes more than weights, as far as can be told without trying it."""
    weights = network.matrix.weights
    for edit in group.edits:
        if isinstance(edit, verb.New | verb.Remove | verb.Insert | verb.Setting | verb.Cut):
            return True
        pairs = [(edit.to, edit.source)] if isinstance(edit, verb.Set | verb.SetNorm | verb.Add) else []
        if isinstance(edit, verb.Crossfade):
            pairs = [(edit.to, edit.a), (edit.to, edit.b)]
        try:
            if any(entry not in weights for pair in pairs for entry in network.expand(*pair)):
                return True
        except DmmError:  # of a neuron that the group itself makes, or a mistake: Self will say which
            continue
    return False


class Rehearsal:
    """One plan in the making.

    groups    edits that it is for; none: the network as it is
    base      the plan that the network runs by meanwhile
    tick      at which the groups are resolved, once that is known
    """

    def __init__(self, network, patch, base, version, groups=()):
        self.groups, self.base, self.version = list(groups), base, version
        self.tick = None
        self._network, self._patch = copy_of(network), patch
        self._plans = None
        self._ready = threading.Event()

    @property
    def is_ready(self):
        return self._ready.is_set()

    def make(self):
        """Does the work, in any thread."""
        network, patch = self._network, self._patch
        try:
            gains = {author: network.matrix.weight(("self", "delta", "edits", author)) for author in AUTHORS}
            SelfNeuron(network, patch.rates.tick).resolve(self.groups, gains=gains)
            plan = build_plan(network, patch, self.version)
            self._plans = plan, build_signal_plan(plan.graph, self.base.graph)
        except DmmError:
            pass  # said when the tick itself meets it
        finally:
            self._ready.set()

    def plans(self, network, base):
        """(plan, signal plan) with the present weights; None where they are not those of the network."""
        if self._plans is None or base is not self.base or structure_of(network) != structure_of(self._network):
            return None
        weights = network.matrix.weights
        plan, signal_plan = self._plans
        plan.take_weights(weights)
        signal_plan.initial = [
            weights.get(key, former) for key, former in zip(signal_plan.keys, signal_plan.initial, strict=True)
        ]
        return plan, signal_plan


class Rehearsals:
    """Says which edits wait for a plan, and has it made.

    aside(work)   does work in another thread
    names_of      the names that a group is about
    """

    def __init__(self, aside, names_of):
        self._aside, self._names_of = aside, names_of
        self._waiting = []
        self._running = None
        self._due = None  # its groups are on their way through Self
        self._is_behind = False  # the network's structure is not that of its plan
        self._tries = 0  # plans that were out of date when they were made

    @staticmethod
    def is_large(network):
        return len(network.matrix.inputs) >= LARGE

    def pass_on(self, groups, network, patch, plan, tick, next_version):
        """Of groups that may go on in this tick, those that need no new plan and those whose plan is made."""
        if not (self._waiting or self._running or self._is_behind or (groups and self.is_large(network))):
            return groups
        ahead = [*(self._running.groups if self._running else ()), *self._waiting]
        held = {name for group in ahead for name in self._names_of(group)}
        passing = []
        for group in groups:
            names = self._names_of(group)
            if names & held or (self.is_large(network) and changes_structure(network, group)):
                self._waiting.append(group)
                held |= names
            else:
                passing.append(group)
        if self._running is not None and self._running.is_ready:
            self._due, self._running = self._running, None
            self._due.tick = tick + 1 if self._due.groups else tick
            passing += self._due.groups
        elif self._running is None and self._due is None and (self._waiting or self._is_behind):
            self._running = Rehearsal(network, patch, plan, next_version(), self._waiting)
            self._waiting = []
            self._aside(self._running.make)
        return passing

    def verdict(self, network, base, tick, changed, by_hand):
        """Whether the network goes on with the plan that it has.

        changed   the structure was changed in this tick
        by_hand   … and edits of hands that nobody has rehearsed may have done so
        returns   (KEEP, None), (WAIT, None): a new one is being made; (SWAP, plans, or None: make them now)
        """
        due, found = self._due, None
        self._is_behind |= changed
        if due is not None and due.tick <= tick:
            self._due = None
            found = due.plans(network, base) if self._is_behind else None
        if not self._is_behind:
            return KEEP, None
        must = changed and by_hand and due is None
        if found is None and not must and self.is_large(network) and self._tries < MOST_TRIES:
            self._tries += due is not None
            return WAIT, None
        self._is_behind, self._tries = False, 0
        return SWAP, found

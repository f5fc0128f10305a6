"""The neuron `self`: adds what reaches its `delta` to the matrix, and resolves the verbs of hands.

v = accum + all deltas and `add`s; then `scale`, `set`, `cut`, in order of arrival, each go the fraction g from v
to their target (g: the weight of `self.delta` from their author's output, clipped to [0, 1]); at g = 1 the
target is assigned, so a set lands exactly. What no number can say (new, remove, a setting) happens whole, or at g = 0
not at all. A group takes effect whole or not at all. Ramps are in `ramps`, undo and redo in `history`.
"""

import math

from dmm_av.errors import DmmError, EditError, unknown
from dmm_av.network import edits as verb
from dmm_av.network.attempt import MUTED, NO_DEFAULT, SETTING, Attempt, Changes, finite
from dmm_av.network.history import History
from dmm_av.network.matrix import RESIDUE, Key, entries_of_tree
from dmm_av.network.network import BUILT_IN, LIBRARY_NAME, SELF_LOOP
from dmm_av.network.ports import default_row
from dmm_av.network.ramps import Ramps, gain_of, towards
from dmm_av.network.reference import activation_prefix, entry_text, is_name
from dmm_av.network.setting_values import checked_setting
from dmm_av.streams.kinds import Kind
from dmm_av.streams.units import ramp_ticks
from dmm_av.streams.vvalue import from_leaves

AUDIO_EDIT_S = 0.010  # an edit of a weight into sound takes this long, so that it does not click


class SelfNeuron:
    """Resolves one tick of edits into the network's matrix.

    network     the `Network` that is written
    tick_rate   ticks per second, for ramps
    exempt      ids of groups that no muted source holds back: revert
    """

    def __init__(self, network, tick_rate):
        self.network = network
        self.tick_rate = tick_rate
        self.ramps = Ramps(network.budget.weights)
        self.history = History()
        self.exempt = set()
        self.tick = 0
        self.tempo = 120.0
        self._serial = 0
        self._is_beginning = False
        self._said = []

    # --- one tick ------------------------------------------------------------------------------

    def resolve(self, groups, deltas=(), gains=None, tempo=120.0, accum=None):
        """One up movement of Self.

        groups    `Group`s in order of arrival
        deltas    trees from neurons, already multiplied by their weights
        gains     {author: weight of self.delta from that author}; 1 where missing
        accum     where Self is free, the tree that reaches its `accum`; else the matrix itself
        returns   `Changes`
        """
        self.tempo = tempo
        gains = gains or {}
        changes = Changes()
        if self.ramps or deltas or accum is not None:
            self._resolve_streams(changes, deltas, gains, accum)
        adding, others = [], []
        for group in groups:
            is_adding = all(isinstance(edit, verb.Add) for edit in group.edits)
            (adding if is_adding else others).append(group)
        left = self.network.budget.edits_per_tick
        for group in (*adding, *others):
            is_whole_file = group.author == "file"  # bounded by the size of a patch, and no stranger's
            left -= 0 if is_whole_file else len(group.edits)
            changes.answers.append((group, self._resolve_group(group, gains, changes, is_whole_file or left >= 0)))
        self.network.matrix.freeze()
        self.tick += 1
        return changes

    def _resolve_group(self, group, gains, changes, is_within_budget):
        """Applies a group as far as its author's gain lets it; returns the sentence that refuses it, or None."""
        gain = gain_of(gains, group.author)
        if id(group) in self.exempt or any(isinstance(edit, verb.Undo | verb.Redo) for edit in group.edits):
            self.exempt.discard(id(group))
            gain = 1.0
        try:
            if not is_within_budget:
                raise EditError(
                    f"edit: more than the {self.network.budget.edits_per_tick} edits that one tick takes arrived at "
                    "once; this one was left out. Send it again, more slowly."
                )
            attempt = self._attempt(group, gain or 1.0)
        except DmmError as error:
            return str(error)
        if gain == 0.0:
            attempt.take_back()
            return None
        if not attempt.is_travel:
            self.history.remember(attempt.step, group.edits, self.tick_rate)
        changes.take_over(attempt)
        return None

    def _attempt(self, group, gain=1.0):
        """The `Attempt` of a group that has taken effect.

        Errors: the sentence of the first edit that is refused; the network is then as it was.
        """
        self._serial += 1
        attempt = Attempt(self.network, self._serial, group.author, self.tick, gain)
        try:
            if self._is_beginning:
                for name in BUILT_IN:
                    self._add_defaults(attempt, name)
            for edit in group.edits:
                self._do(attempt, edit)
            self._settle_names(attempt)
        except Exception as error:
            attempt.take_back()
            if isinstance(error, DmmError):
                raise
            raise EditError(f"edit: this cannot be done ({type(error).__name__}: {error}). Mend it.") from error
        return attempt

    def begin(self, group):
        """The first group of a network: built-in neurons get their default rows, nothing is remembered.

        Errors: the sentence of the first edit that is refused.
        """
        self._is_beginning = True
        try:
            self._attempt(group)
        finally:
            self._is_beginning = False
            self.network.matrix.freeze()

    def nominal(self, group):
        """The delta that a group would add at full gain, as a tree; the network stays as it is."""
        matrix = self.network.matrix
        tree = matrix.freeze()
        try:
            attempt = self._attempt(group)
            pairs = [
                (entry, (changed.after or (0.0,))[0] - (changed.before or (0.0,))[0])
                for entry, changed in attempt.step.entries.items()
            ]
            attempt.take_back()
        except DmmError:
            pairs = []
        matrix.freeze()
        matrix.tree = tree  # the same numbers; who compares by identity sees that nothing happened
        return from_leaves(pairs)

    # --- streams that reach Self -----------------------------------------------------------------

    def _resolve_streams(self, changes, deltas, gains, accum):
        """Ramps, and what neurons send to `self.accum` and `self.delta`. No undo takes this back."""
        attempt = Attempt(self.network, 0, "", self.tick)
        if accum is not None:
            self._become(attempt, accum)
        moved = self.ramps.advance(attempt, gains)
        for delta in deltas:
            self._add_tree(attempt, delta, moved)
        self.history.touch(moved)
        try:
            self._settle_names(attempt)
        except EditError as error:
            attempt.sentences.append(str(error))
        said, self._said = self._said, list(attempt.sentences)
        attempt.sentences = [sentence for sentence in self._said if sentence not in said]
        changes.take_over(attempt)

    def _become(self, attempt, tree):
        """Puts a tree in the matrix's place; keys that hands wrote stay at zero."""
        matrix = self.network.matrix
        if tree is matrix.tree:
            return
        reached = dict(entries_of_tree(tree))
        for entry in [entry for entry, weight in matrix.weights.items() if weight != reached.get(entry, 0.0)]:
            key = matrix.keys[entry]
            weight = reached.get(entry, 0.0)
            attempt.write(entry, None if key == Key.MADE and abs(weight) < RESIDUE else (weight, key))
        for entry, weight in reached.items():
            if entry not in matrix.weights:
                self._increase(attempt, entry, weight)

    def _add_tree(self, attempt, delta, moved):
        is_free = self.network.is_self_free
        for count, (entry, amount) in enumerate(entries_of_tree(delta)):
            if count >= self.network.budget.edits_per_tick:
                attempt.sentences.append("self.delta: more than one tick takes; the rest was left out.")
                return
            if is_free or entry != SELF_LOOP:
                self._increase(attempt, entry, amount)
                moved[entry] = 0

    @staticmethod
    def _increase(attempt, entry, amount):
        """Adds what a neuron sends; over budget it is left out and said, and the show goes on."""
        try:
            attempt.increase(entry, amount)
        except EditError as error:
            if str(error) not in attempt.sentences:
                attempt.sentences.append(str(error))

    # --- the verbs -------------------------------------------------------------------------------

    def _do(self, attempt, edit):
        act = self._VERBS.get(type(edit))
        if act is None:
            raise EditError(f"edit: `{type(edit).__name__}` is no verb that the network knows.")
        if attempt.is_travel and not isinstance(edit, verb.Undo | verb.Redo):
            raise EditError("edit: undo and redo cannot be bundled with other edits. Send them by themselves.")
        act(self, attempt, edit)

    def _land(self, attempt, entry, target, ramp=None, key=Key.WRITTEN):
        """Moves an entry to a target weight (None: to zero, then cut), at once or as a ramp."""
        state = attempt.state(entry)
        if target is None and state is None:
            return
        ticks = self._ticks(entry, ramp)
        value, goal = state[0] if state else 0.0, target or 0.0
        self.ramps.end(attempt, entry)
        if ticks > 1 and (ramp is not None or value != goal):
            self.ramps.begin_set(attempt, entry, target, key, ticks)
        elif attempt.gain == 1.0:
            attempt.write(entry, None if target is None else (goal, key))
        else:
            attempt.write(entry, (towards(value, goal, attempt.gain), key))

    def _land_by_hand(self, attempt, entry, target, ramp=None):
        """The same; what a mute keeps of this entry is forgotten, so that unmuting adds nothing to it."""
        column = self.network.muted.get(entry[2], {})
        if entry in column:
            left = {other: weight for other, weight in column.items() if other != entry}
            attempt.assign((MUTED, entry[2]), left)
        self._land(attempt, entry, target, ramp)

    def _ticks(self, entry, ramp):
        if self._is_beginning:
            return 0
        if ramp is not None:
            return ramp_ticks(ramp, self.tick_rate, self.tempo, f"edit of `{entry[0]}.{entry[1]}`")
        declared = self.network.input(entry[0], entry[1])
        if declared is not None and declared.kind == Kind.AUDIO:
            return math.ceil(AUDIO_EDIT_S * self.tick_rate)
        return 0

    def _connected(self, attempt, to, source, remedy=""):
        """(entry, state) of every entry that the references name.

        Errors: a sentence for one that has no key.
        """
        for entry in self.network.expand(to, source):
            state = attempt.state(entry)
            if state is None:
                raise EditError(f"edit: `{entry_text(entry)}` is not connected{remedy}.")
            yield entry, state

    def _set(self, attempt, edit):
        weight = finite(edit.weight, "a weight")
        for entry in self.network.expand(edit.to, edit.source):
            self._land_by_hand(attempt, entry, weight, edit.ramp)

    def _set_norm(self, attempt, edit):
        position = finite(edit.position, "a position")
        for entry in self.network.expand(edit.to, edit.source):
            declared = self.network.input(entry[0], entry[1])
            if declared is None:
                raise EditError(f"edit: `{entry[0]}.{entry[1]}` is not declared, so it has no range. Use `set`.")
            self._land_by_hand(attempt, entry, declared.unit.from_norm(position), edit.ramp)

    def _add(self, attempt, edit):
        amount = finite(edit.amount, "an amount")
        for entry in self.network.expand(edit.to, edit.source):
            ticks = self._ticks(entry, edit.ramp)
            if ticks > 1:
                self.ramps.begin_add(attempt, entry, amount, ticks)
            else:
                attempt.increase(entry, attempt.gain * amount)

    def _scale(self, attempt, edit):
        factor = finite(edit.factor, "a factor")
        remedy = ", so it cannot be scaled. Use `set`"
        for entry, (weight, _) in list(self._connected(attempt, edit.to, edit.source, remedy)):
            self._land_by_hand(attempt, entry, finite(weight * factor, "a weight"), edit.ramp)

    def _cut(self, attempt, edit):
        for entry, _ in list(self._connected(attempt, edit.to, edit.source)):
            self._land_by_hand(attempt, entry, None, edit.ramp)

    def _new(self, attempt, edit):
        network, name = self.network, edit.name
        if not isinstance(name, str) or not is_name(name):
            raise EditError(
                f"edit: `{name}` cannot be the name of a neuron. "
                "Names are lower case letters, digits and `_`, and begin with a letter."
            )
        if name in BUILT_IN and edit.no_default and edit.activation in (name, BUILT_IN[name]):
            return self._leave_defaults_out(attempt, edit)
        if name in BUILT_IN or name == LIBRARY_NAME:
            raise EditError(f"edit: `{name}` is built in and keeps its activation. Choose another name.")
        mixture = self._mixture(edit.activation, attempt.step.author)
        prefix = activation_prefix(name)
        if prefix:
            found = network.library.get(prefix)
            if mixture != {found.name if found else prefix: 1.0}:
                raise EditError(f"edit: `{name}` carries its activation in its name. Leave out the other one.")
        else:
            for entry in list(network.matrix.rows.get((name, "activation"), ())):
                if entry[3] not in mixture:
                    attempt.write(entry, None)
            for activation, coefficient in mixture.items():
                attempt.write((name, "activation", LIBRARY_NAME, activation), (coefficient, Key.WRITTEN))
        for other, port in list(network.no_default):
            if other == name and port not in edit.no_default:
                attempt.assign((NO_DEFAULT, name, port), None)
        self._leave_defaults_out(attempt, edit)

    @staticmethod
    def _leave_defaults_out(attempt, edit):
        matrix = attempt.network.matrix
        for port in edit.no_default:
            attempt.assign((NO_DEFAULT, edit.name, port), True)
            for entry in list(matrix.rows.get((edit.name, port), ())):
                if matrix.keys[entry] == Key.DEFAULT:
                    attempt.write(entry, None)

    def _mixture(self, written, author):
        """{activation: coefficient} under the activations' first names.

        Errors: a sentence for unknown ones (from a file they become placeholders), and for what only exists once.
        """
        library, mixture = self.network.library, {}
        written = {written: 1.0} if isinstance(written, str) else written
        if not isinstance(written, dict) or not written:
            raise EditError(f"edit: `{written}` is no activation. Write a name such as `sine~`.")
        for activation, coefficient in written.items():
            found = library.get(activation)
            if found is None and author != "file":
                raise unknown("edit", "activation", activation, library.names(), EditError)
            if found is not None and found.side == "engine":
                raise EditError(f"edit: `{activation}` is built in; there is exactly one of it.")
            mixture[found.name if found else activation] = finite(coefficient, "a coefficient")
        return mixture

    def _remove(self, attempt, edit):
        network = self.network
        for name in network.expand_names(edit.name):
            if name in BUILT_IN:
                raise EditError(f"edit: `{name}` is built in and stays.")
            for entry in [*network.matrix.entries_of(name), *network.matrix.columns.get(name, ())]:
                self.ramps.end(attempt, entry)
                attempt.write(entry, None)
            self.ramps.end_adds_of(attempt, name)
            for key in list(network.settings.get(name, ())):
                attempt.assign((SETTING, name, key), None)
            for _, port in [place for place in network.no_default if place[0] == name]:
                attempt.assign((NO_DEFAULT, name, port), None)
            attempt.assign((MUTED, name), None)

    def _setting(self, attempt, edit):
        network = self.network
        for name in network.expand_names(edit.name):
            known = {key: found for a in network.activations(name) for key, found in a.settings.items()}
            if edit.key not in known and not network.is_placeholder(name):
                raise unknown("edit", f"setting of `{name}`", edit.key, known, EditError)
            value = checked_setting(known.get(edit.key), edit.value, f"edit of `{name}.{edit.key}`")
            attempt.assign((SETTING, name, edit.key), value)
            if (name, edit.key) == ("self", "free") and not value:
                self.ramps.end(attempt, SELF_LOOP)
                attempt.write(SELF_LOOP, (1.0, Key.DEFAULT))

    def _insert(self, attempt, edit):
        network = self.network
        ((entry, (weight, _)),) = list(
            self._connected(attempt, edit.to, edit.source, ", so nothing can be inserted there")
        )
        if network.is_active(edit.name):
            raise EditError(f"edit: a neuron called `{edit.name}` exists already. Choose another name.")
        activation = network.library.get(edit.activation)
        if activation is None:
            raise unknown("edit", "activation", edit.activation, network.library.names(), EditError)
        way_out = activation.only_output or "out"
        if not activation.inputs or activation.output(way_out) is None:
            raise EditError(f"edit: `{edit.activation}` has no way through, so it cannot be inserted.")
        self._new(attempt, verb.New(edit.name, edit.activation))
        way_in = next(iter(activation.inputs.values()))
        is_family = way_in.name in activation.notes.get("families", ())
        inner = (edit.name, f"{way_in.name}/1" if is_family else way_in.name, *entry[2:])
        network.check_kinds(inner, way_in, "edit")
        attempt.write(inner, (1.0, Key.WRITTEN))
        outer = network.entry(edit.to, f"{edit.name}.{way_out}")
        self._land(attempt, outer, weight, edit.ramp)
        self._land(attempt, entry, None, edit.ramp)

    def _crossfade(self, attempt, edit):
        network = self.network
        a, b = network.entry(edit.to, edit.a), network.entry(edit.to, edit.b)
        position = finite(edit.position, "a position")
        if not 0.0 <= position <= 1.0:
            raise EditError(f"edit: a crossfade goes from 0 to 1, not to {edit.position}.")
        if a == b:
            raise EditError(f"edit: a crossfade needs two sources, and `{edit.a}` and `{edit.b}` are one.")
        weights = (1.0 - position, position)
        if network.kind_of_source(a) == network.kind_of_source(b) == Kind.AUDIO and 0.0 < position < 1.0:
            weights = (math.cos(0.25 * math.tau * position), math.sin(0.25 * math.tau * position))
        for entry, weight in zip((a, b), weights, strict=True):
            self._land_by_hand(attempt, entry, weight, edit.ramp)

    def _mute(self, attempt, edit):
        network = self.network
        for name in network.expand_names(edit.name):
            column = network.muted.get(name)
            if edit.on and column is None:
                column = {entry: attempt.state(entry) for entry in network.matrix.columns.get(name, ())}
                taken = {entry: attempt.gain * weight for entry, (weight, _) in column.items() if weight}
                attempt.assign((MUTED, name), taken)
                for entry in taken:
                    self._land(attempt, entry, 0.0, None, column[entry][1])
            elif not edit.on and column is not None:
                attempt.assign((MUTED, name), None)
                for entry, weight in column.items():
                    now = attempt.state(entry)
                    if now is not None:
                        ramp = self.ramps.sets.get(entry)
                        start = now[0] if ramp is None else ramp.target or 0.0
                        self._land(attempt, entry, finite(start + weight, "a weight"), None, now[1])

    def _undo(self, attempt, edit):
        put, of_any = self._putter(attempt), edit.of_any_author
        self._travel(attempt, lambda: self.history.undo(attempt, put, self.ramps, of_any))

    def _redo(self, attempt, edit):
        self._travel(attempt, lambda: self.history.redo(attempt, self._putter(attempt), edit.of_any_author))

    def _travel(self, attempt, go):
        if not attempt.is_travel and (attempt.step.entries or attempt.step.others):
            raise EditError("edit: undo and redo cannot be bundled with other edits. Send them by themselves.")
        attempt.is_travel = True
        inputs = self.network.matrix.inputs
        before = set(inputs)
        step = go()
        for name in {entry[0] for entry in step.entries} - set(BUILT_IN):
            if name in before and name not in inputs:
                attempt.removed[name] = step
            elif name not in before and name in inputs and name in step.states:
                attempt.returned[name] = step.states[name]

    def _putter(self, attempt):
        """A function of (place, value) that puts a former value back exactly; into sound with the usual fade."""

        def put(place, value):
            if place[0].startswith(":"):
                attempt.assign(place, value)
            elif value is not None and attempt.state(place) is not None:
                self._land(attempt, place, *[value[0], None, value[1]])
            else:
                self.ramps.end(attempt, place)
                attempt.write(place, value)

        return put

    _VERBS = {
        verb.Set: _set,
        verb.SetNorm: _set_norm,
        verb.Add: _add,
        verb.Scale: _scale,
        verb.Cut: _cut,
        verb.New: _new,
        verb.Remove: _remove,
        verb.Setting: _setting,
        verb.Insert: _insert,
        verb.Crossfade: _crossfade,
        verb.Mute: _mute,
        verb.Undo: _undo,
        verb.Redo: _redo,
    }

    # --- names that wake and sleep ------------------------------------------------------------------

    def _settle_names(self, attempt):
        """What follows when keys come and go: default rows for who wakes, sleep, rows that no longer fit.

        Errors: a sentence for mixtures of parts that cannot be mixed, and for a protected `self`.
        """
        network, matrix, step = self.network, self.network.matrix, attempt.step
        if SELF_LOOP in step.entries and not network.is_self_free and matrix.weights.get(SELF_LOOP) != 1.0:
            raise EditError(
                "edit: `self.accum` from `self.matrix` is protected: without it the whole network fades. "
                "Write `self: {is: accum, free: true}` in the patch to play with it."
            )
        shifted = self._shifted(attempt)
        if not shifted:
            return
        known = {}
        for name in dict.fromkeys(entry[0] for entry in shifted if entry[1] == "activation"):
            self._check_sides(attempt, name)
            if not attempt.is_travel and self._was_awake(attempt, name):
                known[name] = self._former_inputs(attempt, name)
                self._fit(attempt, name)
        for name in dict.fromkeys(entry[0] for entry in self._shifted(attempt)):
            if name in BUILT_IN:
                continue
            was_awake, entries = self._was_awake(attempt, name), matrix.entries_of(name)
            if activation_prefix(name) and all(matrix.keys[entry] == Key.DEFAULT for entry in entries):
                for entry in entries:
                    attempt.write(entry, None)
            elif entries and not attempt.is_travel and (name in known or not was_awake):
                self._add_defaults(attempt, name, known.get(name, ()))
            if was_awake and name not in matrix.inputs:
                attempt.removed.setdefault(name, step if step.serial else None)

    def _shifted(self, attempt):
        """Entries whose key came or went in the attempt."""
        weights = self.network.matrix.weights
        return [
            entry for entry, changed in attempt.step.entries.items() if (changed.before is None) == (entry in weights)
        ]

    def _was_awake(self, attempt, name):
        changes, matrix = attempt.step.entries, self.network.matrix
        return any(
            entry not in changes or changes[entry].before is not None for entry in matrix.entries_of(name)
        ) or any(changed.before is not None and entry[0] == name for entry, changed in changes.items())

    def _former_inputs(self, attempt, name):
        """Names of the inputs that a neuron had before its activation changed."""
        changes = attempt.step.entries
        row = {*self.network.matrix.rows.get((name, "activation"), ())}
        row |= {entry for entry in changes if entry[:2] == (name, "activation")}
        former = [entry[-1] for entry in row if entry not in changes or changes[entry].before is not None]
        found = (self.network.library.get(activation) for activation in former)
        return {port for activation in found if activation is not None for port in activation.inputs}

    def _check_sides(self, attempt, name):
        """Parts of a mixture share a side, because one engine adds them up."""
        parts = self.network.activations(name)
        if len({activation.side for activation in parts}) < 2:
            return
        listed = ", ".join(f"`{activation.name}` ({activation.side})" for activation in parts)
        sentence = (
            f"edit: `{name}` would be a mixture of {listed}, and only what is computed on one side can be mixed. "
            "Use a neuron for each."
        )
        if attempt.step.serial:
            raise EditError(sentence)
        attempt.sentences.append(sentence)

    def _fit(self, attempt, name):
        """Drops rows and columns that the neuron's (new) activation has no port for."""
        network, matrix = self.network, self.network.matrix
        if network.is_placeholder(name) or not network.activations(name):
            return
        gone = []
        for entry in {**dict.fromkeys(matrix.entries_of(name)), **matrix.columns.get(name, {})}:
            declared = network.input(entry[0], entry[1])
            fits = declared is not None and (entry[2] != name or network.has_source(entry))
            if fits and entry[1] != "activation":
                try:
                    network.check_kinds(entry, declared, "edit")
                except EditError:
                    fits = False
            if not fits:
                gone.append(entry)
        for entry in gone:
            self.ramps.end(attempt, entry)
            attempt.write(entry, None)
        if gone:
            listed = ", ".join(f"`{entry_text(entry)}`" for entry in gone[:3])
            more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
            attempt.sentences.append(f"`{name}` has no port for {listed}{more} any more: cut. Undo brings them back.")

    def _add_defaults(self, attempt, name, known=()):
        """Rows for inputs that have no key and are not `known` from before: they belong to the waking edit."""
        network = self.network
        for activation in network.activations(name):
            families = activation.notes.get("families", ())
            for port in activation.inputs.values():
                place = (name, port.name)
                if place in network.matrix.rows or place in network.no_default or port.name in (*families, *known):
                    continue
                for source, weight in default_row(port).items():
                    attempt.write((*place, *source), (weight, Key.DEFAULT))

"""The machine: the Python side of one network, tick by tick. Trees, Self, edits and what the engines are told.

Tick k makes state k+1 from state k. Knows no device, no window and no wall clock; a driver calls `tick` when
the signal side has finished tick k-1, and gives every frame to a stage. Sounds and numbers are computed by the
signal VM, which takes what is posted here for tick k+1 once `publish(k + 1)` was said.
"""

import math
import threading
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from dmm_av.engine.drawing import FrameValues
from dmm_av.engine.plan import build_plan
from dmm_av.engine.signal_plan import build_plan as build_signal_plan
from dmm_av.engine.step_compiler import is_compiled
from dmm_av.errors import DmmError, EditError
from dmm_av.network import edits as verb
from dmm_av.network.attempt import Changes
from dmm_av.network.network import AUTHORS, BUILT_IN, Network
from dmm_av.network.patch import patch_group
from dmm_av.network.reference import activation_prefix, parse_reference
from dmm_av.network.self_neuron import SelfNeuron
from dmm_av.scheduler.rehearsal import KEEP, SWAP, Rehearsals
from dmm_av.scheduler.tree_side import TreeSide
from dmm_av.streams.kinds import Kind
from dmm_av.streams.linear import array_of_tree
from dmm_av.streams.vvalue import leaves, linear_combination, number_at, total

READBACK_FRAMES = 2
BEATS_PER_BAR = 4
MOST_WAITING = 100_000  # edits and data
MOST_WAITING_FOR_A_LINE = 1_000
MOST_A_TICK = 2_000  # edits and data that one tick takes from the queue; the rest waits for the next
MOST_KEPT_STATES = 32  # of removed neurons, for undo: a delay line is a megabyte
RESTARTS = 3  # of a neuron that gave non-finite values, before it waits for an edit


@dataclass(frozen=True)
class Notice:
    """A sentence for the player: where it comes from and whether something failed."""

    where: str
    sentence: str
    is_error: bool = True

    @property
    def text(self):
        """The sentence with where it comes from."""
        return self.sentence if self.sentence.startswith(f"{self.where}:") else f"{self.where}: {self.sentence}"


@dataclass
class _Waiting:
    """A group that waits for a grid line."""

    group: verb.Group
    due_beat: float


class Machine:
    """One running network.

    patch     what it starts from
    library   the register of activations
    vm        the signal VM; the machine posts to it and reads numbers from it
    """

    def __init__(self, patch, library, vm):
        self.patch = patch
        self.library = library
        self.vm = vm
        self.k = 0
        self.ticks_per_frame = patch.rates.tick // patch.rates.frame
        self.network = Network(library)
        self.self_neuron = SelfNeuron(self.network, patch.rates.tick)
        self.outputs = {"one": {"out": 1.0}, "osc": {}, "edits": {}}
        self.notices = deque(maxlen=1_000)
        self.applied = deque(maxlen=10_000)
        self._queue = deque()
        self._ticking = threading.Lock()
        self._at_full_gain = set()
        self._pulses = []
        self._must_replan = False
        self._pending = self._leaving = []  # edits on their way to Self, and those that leave `edits` in this tick
        self._waiting = []
        self._preparing = []
        self._trees = TreeSide(self.network, patch, self.notice)
        self._numbers_read = {}
        self._no_edits = {}
        self._struck = {}
        self._kept_states = deque()
        self._picture_numbers = {}
        self._readbacks = deque()
        self._external_values = None
        self._version = 0
        self.plan = None
        self._numbers, self._places = np.zeros(0), {}  # what the signal side gave last, and where each of it stands
        self._swapped_at = -1
        self._former_exports = {}
        self._matrix_sent = {}
        self._rows_without = {}
        self.tempo = 120.0
        self._last_beat = 0.0
        self.changed = None  # a listener: called with {entry: (before, after)} after each tick that changed W
        self.tells_edits = False  # whether nominal deltas flow out of `edits` where no neuron reads them, too
        self.prepare = None  # a driver may set it: prepare(activations, done) builds pieces off the tick path
        self.is_exact = False  # a driver may set it: in this tick no edit waits for what it needs
        self._rehearsals = None
        self.self_neuron.begin(patch_group(patch))
        self.self_neuron.network.matrix.freeze()
        self.outputs["self"] = {"matrix": self.network.matrix.tree}
        self._new_plan(0)
        self._post_externals(0)
        self.vm.publish(0)
        self.refresh()

    # --- what others ask of it -----------------------------------------------------------------------

    def submit(self, group, at_full_gain=False):
        """Queues a group of edits; from any thread. It takes effect two ticks after the next one starts."""
        if len(self._queue) > MOST_WAITING:
            if group.reply:
                group.reply("edit: too many edits are waiting; this one was left out. Send them more slowly.")
            return
        if at_full_gain:
            self._at_full_gain.add(id(group))
        self._queue.append(("group", group))

    def hold(self, labels, value, pulse=False):
        """Holds data that arrived over OSC on `osc.label/label…`; a pulse falls back to 0 after one tick."""
        self._queue.append(("data", (tuple(labels), float(value), pulse)))

    def replace_activations(self, activations):
        """Layers newly built activations over those of the same names; rows and states that fit are kept."""
        self._queue.append(("activations", activations))

    def between_ticks(self, question):
        """The result of `question()`, asked when no tick is under way; from any thread."""
        with self._ticking:
            return question()

    def plan_aside(self, aside):
        """Has plans of large networks made off the tick path: `aside(work)` does work in another thread."""
        self._rehearsals = Rehearsals(aside, self._names_of)

    def panic(self, on):
        """Silence, or back."""
        self.vm.panic(on)

    def readback(self, frame, values):
        """Numbers {pass: {output: value}} read from picture `frame`; they enter the state of frame + 2."""
        self._readbacks.append((frame + READBACK_FRAMES, values))

    def notice(self, where, sentence, is_error=True):
        """Leaves a sentence for the player."""
        self.notices.append(Notice(where, sentence, is_error))

    @property
    def drawing(self):
        """What the stage is to draw now; its `version` tells whether it changed."""
        return self.plan.drawing

    def refresh(self):
        """Takes over the numbers that the signal VM has made for the present state, in the plan's order."""
        numbers = self.vm.numbers(self.k)
        exports = self.plan.exports
        if self.k == self._swapped_at:
            former = self._former_exports
            taken = [former.get(source, -1) for source in exports]
            numbers = np.array([numbers[i] if 0 <= i < len(numbers) else 0.0 for i in taken])
        self._numbers = numbers if len(numbers) == len(exports) else np.zeros(len(exports))
        self._places = exports

    def check_reference(self, reference):
        """Errors: a sentence for names that nothing answers to, and for pictures."""
        name, *path = source = self.network.source(reference, "watch")
        if not self.network.is_active(name):
            raise self.network.no_neuron("watch", name)
        if path:
            kinds = {self.network.kind_of_source((name, "", *source))}
        else:
            kinds = {port.kind for one in self.network.activations(name) for port in one.outputs.values()}
        known = self.network.activations(name)
        if known and not any(one.outputs or one.variadic_outputs for one in known):
            raise EditError(f"watch: nothing flows out of `{name}`. Watch what flows in.")
        if kinds and kinds <= {Kind.IMAGE, Kind.MATRIX}:
            raise EditError(
                f"watch: `{reference}` is a stream of kind {kinds.pop()}, which has no value to print. "
                "Watch a `level.image` of it."
            )

    def value(self, reference):
        """The stream at a reference in the present state: a number, a tree, or None where there is none now.

        Of a sound it is the last sample of the block that ended with this state.
        """
        try:
            source = self.network.source(reference, "watch")
        except DmmError:
            return None
        stream = self._stream(source)
        if stream is None and len(source) > 1 and self.network.is_active(source[0]):
            stream = {} if self.network.kind_of_source((source[0], "", *source)) == Kind.VVALUE else 0.0
        return stream

    def streams_of(self, name):
        """[(port, number)] of every number that flows out of a neuron now; trees give their leaves."""
        found = [
            (output, float(self._numbers[index]))
            for (owner, output), index in self._places.items()
            if owner == name
        ]
        for output, stream in self.outputs.get(name, {}).items():
            if isinstance(stream, dict):
                found += [("/".join((output, *map(str, path))), number) for path, number in leaves(stream)]
            elif isinstance(stream, int | float):
                found.append((output, float(stream)))
        return found

    def _stream(self, source):
        name, *path = source
        if not path:
            return self._whole(name)
        output, *branches = path
        index = self._places.get((name, "/".join(path)))
        if index is not None:
            return float(self._numbers[index])
        found = self.outputs.get(name, {}).get(output)
        if found is None:
            return self._tree_of_numbers(name, path) or self._last_sample(name, "/".join(path))
        for branch in branches:
            found = found.get(branch, 0.0) if isinstance(found, dict) else 0.0
        return found

    def _whole(self, name):
        """{output: stream} of a neuron."""
        if name in self.outputs:
            return self.outputs[name]
        outputs = dict.fromkeys(port for one in self.network.activations(name) for port in one.outputs)
        streams = {port: self._stream((name, port)) for port in outputs}
        return {port: stream for port, stream in streams.items() if stream is not None}

    def _tree_of_numbers(self, name, path):
        """The numbers that the signal side gives below a path (`ear.spectrum`), as a tree."""
        above = "/".join(path) + "/"
        return {
            output.removeprefix(above): float(self._numbers[index])
            for (owner, output), index in self._places.items()
            if owner == name and output.startswith(above)
        }

    def _last_sample(self, name, output):
        found = self.vm.last_sample(name, output)
        return self.vm.last_sample(f"{name}|{output}", "out") if found is None else found

    # --- one tick ------------------------------------------------------------------------------------

    def tick(self):
        """Makes state k+1 of trees and Self, and posts to the signal VM what it needs for tick k+1."""
        with self._ticking:
            try:
                changes = self._tick()
            except Exception as error:  # whatever goes wrong in one tick, the next one comes
                changes = self._skipped(error)
        self._answer(changes)

    def _skipped(self, error):
        """Lets a tick pass in which something failed: its edits are answered, the engines play on as they were."""
        sentence = f"tick {self.k} failed over it ({type(error).__name__}: {error}); the last good state plays on."
        self.notice("machine", sentence)
        lost = self._pending if self._pending is self._leaving else [*self._pending, *self._leaving]
        changes = Changes(answers=[(group, sentence) for group in lost])
        self._pending = self._leaving = []
        self._trees.forget()
        self.k += 1
        self.vm.publish(self.k)
        return changes

    def _tick(self):
        k = self.k
        self.refresh()
        self._follow_transport()
        self._take_readbacks(k)
        groups = self._leaving = self._drain()
        streams = self._streams_for_trees()
        following = self._run_trees(streams)
        changes = self._resolve_self(streams)
        self._pending = groups
        following["one"] = self.outputs["one"]
        following["osc"] = self.outputs["osc"]
        following["edits"] = self._nominal(groups)
        same = self.outputs["self"]["matrix"] is self.network.matrix.tree
        following["self"] = self.outputs["self"] if same else {"matrix": self.network.matrix.tree}
        for name, numbers in self._picture_numbers.items():
            following[name] = numbers
        self.outputs = following
        self._follow(changes, k + 1)
        self._post_externals(k + 1)
        self._report_signal_events()
        self.k = k + 1
        self.vm.publish(k + 1)
        return changes

    def _follow_transport(self):
        beat_at = self.plan.exports.get(("transport", "beat"))
        beat = float(self._numbers[beat_at]) if beat_at is not None else 0.0
        per_tick = beat - self._last_beat
        if per_tick > 0.0:
            self.tempo = 60.0 * per_tick * self.patch.rates.tick
        self._last_beat = beat

    def _drain(self):
        """The groups that leave `edits` in this tick; data is held at once."""
        groups = []
        for labels in self._pulses:
            self._put_held(labels, 0.0)
        self._pulses = []
        for _ in range(min(len(self._queue), MOST_A_TICK)):
            what, content = self._queue.popleft()
            if what == "data":
                self._hold(*content)
            elif what == "activations":
                groups += self._take_activations(content)
            else:
                self._sort_in(content, groups)
        if self._preparing:
            groups += self._prepared()
        if self._rehearsals is not None and not self.is_exact:
            groups = self._rehearsals.pass_on(groups, self.network, self.patch, self.plan, self.k, self._next_version)
        if self._waiting:
            due = [waiting for waiting in self._waiting if self._last_beat >= waiting.due_beat]
            self._waiting = [waiting for waiting in self._waiting if waiting not in due]
            groups += [replace(waiting.group, at=None) for waiting in due]
        return groups

    def _take_activations(self, activations):
        """Takes over new declarations; neurons that apply them get rows for inputs that are new."""
        for activation in activations:
            self.library.add(activation, replace=True)
        self._trees.failed.clear()
        self._must_replan = True
        names = {activation.name for activation in activations}
        mixtures = {name: self.network.mixture(name) for name in self.network.matrix.inputs if name not in BUILT_IN}
        return [
            verb.Group((verb.New(name, mixture),), "file")
            for name, mixture in mixtures.items()
            if names & set(mixture) and ":" not in name
        ]

    def _sort_in(self, group, groups):
        if group.at is not None:
            try:
                if len(self._waiting) >= MOST_WAITING_FOR_A_LINE:
                    raise DmmError(f"at: {MOST_WAITING_FOR_A_LINE} edits wait for their time already. Send it later.")
                self._waiting.append(_Waiting(group, self._grid_line(group.at)))
            except DmmError as error:
                self._reply(group, str(error))
                return
            if self.prepare and (missing := self.unprepared(group)):
                self.prepare(missing, lambda: None)  # in time, so that it need not wait when it is due
            return
        missing = self.unprepared(group) if self.prepare and not self.is_exact else []
        if missing or self._names_of(group) & {n for _, names, _ in self._preparing for n in names}:
            ready = threading.Event()
            if missing:
                self.prepare(missing, ready.set)
            else:
                ready.set()
            self._preparing.append((group, self._names_of(group), ready))
            return
        groups.append(group)

    def _prepared(self):
        """Groups whose pieces are built, unless an earlier one that names the same neurons still waits."""
        found, held = [], set()
        still = []
        for group, names, ready in self._preparing:
            if ready.is_set() and not names & held:
                found.append(group)
            else:
                held |= names
                still.append((group, names, ready))
        self._preparing = still
        return found

    def unprepared(self, group):
        """Activations that a group needs and that are not compiled yet."""
        wanted = []
        for edit in group.edits:
            if isinstance(edit, verb.New | verb.Insert):
                mixture = edit.activation if isinstance(edit.activation, dict) else {edit.activation: 1.0}
                wanted += list(mixture)
            elif isinstance(edit, verb.Set | verb.Add) and (prefix := activation_prefix(edit.to)):
                wanted.append(prefix)
        found = (self.library.get(name) for name in wanted)
        return [a for a in found if a is not None and a.side == "signal" and not is_compiled(a)]

    @staticmethod
    def _names_of(group):
        names = set()
        for edit in group.edits:
            for text in (getattr(edit, "name", None), getattr(edit, "to", None), getattr(edit, "source", None)):
                if text:
                    try:
                        names.add(parse_reference(text, globs=True).name)
                    except DmmError:
                        continue
        return names - {"one"}

    def _grid_line(self, at):
        grid = {"bar": float(BEATS_PER_BAR), "beat": 1.0}.get(at)
        if grid is None:
            try:
                grid = float(at)
            except (TypeError, ValueError):
                grid = -1.0
            if not 0.0 < grid < 10_000.0:
                raise DmmError(f'at: `{at}` is no grid. Write "bar", "beat" or a number of beats.')
        return (math.floor(self._last_beat / grid + 1e-9) + 1) * grid

    def _hold(self, labels, value, pulse):
        self._put_held(labels, value)
        if pulse:
            self._pulses.append(labels)

    def _put_held(self, labels, value):
        osc = self.outputs["osc"] = dict(self.outputs["osc"])
        node = osc
        for label in labels[:-1]:
            child = node.get(label)
            child = dict(child) if isinstance(child, dict) else ({} if child is None else {":number": child})
            node[label] = child
            node = child
        if isinstance(node.get(labels[-1]), dict):
            node[labels[-1]] = {**node[labels[-1]], ":number": value}
        else:
            node[labels[-1]] = value

    def _take_readbacks(self, k):
        """Picture numbers that enter the state k+1: that of frame n at the tick before its state."""
        while self._readbacks and self._readbacks[0][0] * self.ticks_per_frame <= k + 1:
            _, values = self._readbacks.popleft()
            for name, numbers in values.items():
                if name in self._picture_numbers:
                    self._picture_numbers[name] = dict(numbers)

    # --- trees ---------------------------------------------------------------------------------------

    def _streams_for_trees(self):
        """{neuron: {output: stream}} of state k, with the numbers that trees read."""
        if not self._number_sources:
            return self.outputs
        streams = dict(self.outputs)
        for name, ports in self._number_sources.items():
            found = {}
            for output, branch, index in ports:
                if branch is None:
                    found[output] = float(self._numbers[index])
                else:
                    found.setdefault(output, {})[branch] = float(self._numbers[index])
            if found != (former := self._numbers_read.get(name)):
                former = self._numbers_read[name] = found
            streams[name] = former  # the same object as long as the numbers are the same
        return streams

    def _run_trees(self, streams):
        return self._trees.run(streams, self.k)

    # --- Self ----------------------------------------------------------------------------------------

    def _resolve_self(self, streams):
        matrix = self.network.matrix
        gains = {author: matrix.weight(("self", "delta", "edits", author)) for author in AUTHORS}
        for group in self._pending:
            if id(group) in self._at_full_gain:
                self._at_full_gain.discard(id(group))
                self.self_neuron.exempt.add(id(group))
        if self.network.settings.get("self", {}).get("free"):
            return self._resolve_free(streams, gains)
        deltas = []
        rows = matrix.tree.get("self", {})
        for port, left_out in (("accum", "self"), ("delta", "edits")):
            row = rows.get(port)
            if row and (len(row) > 1 or left_out not in row):
                deltas.append(linear_combination({k: v for k, v in row.items() if k != left_out}, streams))
        return self.self_neuron.resolve(self._pending, deltas, gains, self.tempo)

    def _resolve_free(self, streams, gains):
        """Self without protection: its loop weight is an ordinary weight."""
        rows = self.network.matrix.tree.get("self", {})
        delta = {k: v for k, v in rows.get("delta", {}).items() if k != "edits"}
        return self.self_neuron.resolve(
            self._pending,
            [linear_combination(delta, streams)],
            gains,
            self.tempo,
            accum=linear_combination(rows.get("accum", {}), streams),
        )

    def _nominal(self, groups):
        """What neurons read on `edits`: the nominal deltas, computed only where somebody reads them."""
        column = self.network.matrix.columns.get("edits", {})
        if not groups or (len(column) <= len(AUTHORS) and not self.tells_edits):
            return self._no_edits
        found = {}
        for group in groups:
            found[group.author] = total(found.get(group.author, {}), self.self_neuron.nominal(group))
        return found

    # --- telling the engines --------------------------------------------------------------------------

    def _follow(self, changes, tick):
        """Posts what changed: weights as data, a new structure as a new plan."""
        names = {entry[0] for entry in changes.entries} | changes.settings
        self._trees.revive(names)
        for name in names:
            if self._struck.pop(name, 0):
                for node in self.plan.graph.nodes:
                    if node.name.partition("|")[0] == name:
                        self.vm.post_reset(tick, node.name)
        for name, step in changes.removed.items():
            if not self.network.is_active(name):
                self._drop_state(name, step)
        for trees, _ in changes.returned.values():
            self._trees.states.update(trees)
        verdict, plans = self._verdict(changes)
        if verdict == SWAP:
            self._new_plan(tick, plans, {name: signal for name, (_, signal) in changes.returned.items()})
        plan, weights = self.plan, self.network.matrix.weights
        for entry in changes.entries:
            weight = weights.get(entry, 0.0)
            if entry in plan.signal_keys:
                self.vm.post_weight(tick, self.vm.key_index(entry), weight)
            position = plan.row_terms.get(entry)
            if position is not None:
                plan.rows.weights[position] = weight
            slot = plan.weight_slots.get(entry)
            if slot is not None:
                plan.values[slot] = weight

    def _verdict(self, changes):
        changed, self._must_replan = changes.structure or self._must_replan, False
        if self._rehearsals is None:
            return (SWAP if changed else KEEP), None
        return self._rehearsals.verdict(self.network, self.plan, self.k, changed, bool(changes.answers))

    def _next_version(self):
        self._version += 1
        return self._version

    def _drop_state(self, name, step):
        """Forgets the state of a neuron that went; the undo step that took it (if a hand did) keeps it."""
        trees = self._trees.take_states(name)
        if step is not None:
            step.states[name] = (trees, self.vm.state({name}).get(name, {}))
            self._kept_states.append((step, name))
            if len(self._kept_states) > MOST_KEPT_STATES:
                oldest, lost = self._kept_states.popleft()
                oldest.states.pop(lost, None)

    def _new_plan(self, tick, plans=None, states=None):
        """From `tick` on the network runs by a new plan.

        plans    (plan, signal plan) that were made aside
        states   {name: {activation: snapshot}} of signal neurons that return with the state they had
        """
        running = self.plan
        former = running.sentences if running is not None else []
        if plans is None:
            plan = build_plan(self.network, self.patch, self._next_version())
            plans = plan, build_signal_plan(plan.graph, running.graph if running is not None else None)
        plan, signal_plan = plans
        if running is not None and replace(plan.drawing, version=running.drawing.version) == running.drawing:
            plan.drawing = running.drawing  # the pictures need not know
            if plan.numbers == running.numbers:
                plan.vector = running.vector
        self._former_exports = running.exports if running is not None else {}
        self._swapped_at = tick
        self.plan = plan
        for sentence in plan.sentences:
            if sentence not in former:
                self.notice("plan", sentence, is_error=False)
        exports = plan.exports
        self._trees.adopt(plan)
        self._number_sources, self._numbers_read = {}, {}
        for (name, output), index in exports.items():
            if name in plan.tree_sources:
                port, _, branch = output.partition("/")
                self._number_sources.setdefault(name, []).append((port, branch or None, index))
        kept = self._picture_numbers
        self._picture_numbers = {name: kept.get(name, {}) for name in plan.drawing.readbacks}
        self._picture_exports = self._exports_of(plan)
        self._matrix_sent = {}
        self._external_values = None
        self.vm.post_swap(tick, signal_plan, states)

    def _exports_of(self, plan):
        """Where the numbers that a plan's pictures read stand among those of the signal side; -1: elsewhere."""
        exports = self.plan.exports
        return np.array([exports.get((n[0], "/".join(n[1:])), -1) for n in plan.numbers], np.int64).reshape(-1)

    def _post_externals(self, tick):
        externals = self.plan.externals
        if not externals:
            return
        former = self._external_values or [None] * len(externals)
        values = []
        for index, source in enumerate(externals):
            value = self._number(source)
            values.append(value)
            if value != former[index]:
                self.vm.post_external(tick, self.vm.external_index(source), value)
        self._external_values = values

    def _number(self, source):
        """The finite number at (neuron, output, *branches) on the Python side; 0 where there is none."""
        name, *path = source
        value = self.outputs.get(name)
        if value is None:
            return 0.0
        value = number_at(value, tuple(path))
        return value if math.isfinite(value) else 0.0

    def _report_signal_events(self):
        for tick, name, what in self.vm.events():
            name = name.partition("|")[0]
            strikes = self._struck[name] = self._struck.get(name, 0) + 1
            if strikes == 1:
                self.notice(name, f"`{name}` became {what} at tick {tick} and is muted; it starts afresh in 1 s.")
            elif strikes == RESTARTS + 1:
                self.notice(name, f"`{name}` became {what} again and again; it stays muted until you edit it.")

    def _answer(self, changes):
        if changes.entries and self.changed is not None:
            self.changed(changes.entries)
        for group, sentence in changes.answers:
            if sentence is None:
                self.applied.append((self.k, group))
            else:
                self.notice("edit", sentence)
            self._reply(group, sentence)
        for sentence in changes.sentences:
            self.notice("self", sentence)

    def _reply(self, group, sentence):
        if group.reply is not None:
            try:
                group.reply(sentence)
            except Exception as error:  # a sender that is gone must not stop the tick
                self.notice("reply", f"{type(error).__name__}: {error}")

    # --- pictures ------------------------------------------------------------------------------------

    @property
    def is_frame(self):
        """Whether the present state is that of a picture."""
        return self.k % self.ticks_per_frame == 0

    def frame(self, plan=None):
        """`FrameValues` of the picture of the present state (k = n·tick/frame).

        plan   a former one whose drawing is still being drawn; None: the present one
        """
        self.refresh()
        numbers = self._numbers
        if plan is None or plan is self.plan:
            plan, taken = self.plan, self._picture_exports
        else:
            taken = self._exports_of(plan)
            plan.take_weights(self.network.matrix.weights)
        vector = plan.vector
        for index, source in enumerate(plan.numbers):
            if taken[index] < 0 and source[0] in self.outputs:  # what is gone stays as it was last
                vector[index] = self._number(source)
        if len(vector):
            known = taken >= 0
            vector[known] = numbers[taken[known]]
        values = plan.values.copy()
        plan.rows.into(vector, values[: len(plan.rows.starts)])

        def transport(output):
            index = self.plan.exports.get(("transport", output))
            return float(numbers[index]) if index is not None else 0.0

        return FrameValues(
            number=self.k // self.ticks_per_frame,
            time=self.k / self.patch.rates.tick,
            beat=transport("beat"),
            phase=transport("phase"),
            frame_rate=float(self.patch.rates.frame),
            values=values,
            matrices=self._tree_matrices(),
            seed=self.patch.seed,
        )

    def _tree_matrices(self):
        found = {}
        tree = self.network.matrix.tree
        for name, port in self.plan.tree_passes.items():
            if isinstance(port, tuple):  # a matrix that a tree neuron has made
                matrix = self.outputs.get(port[0], {}).get(port[1])
                if isinstance(matrix, np.ndarray) and self._matrix_sent.get(name) is not matrix:
                    self._matrix_sent[name] = matrix
                    found[name] = np.ascontiguousarray(matrix, np.float32)
                continue
            row = tree.get(name, {}).get(port)
            stream = linear_combination(row, self._streams_for_trees()) if row else {}
            if self._matrix_sent.get(name) is not stream:
                self._matrix_sent[name] = stream
                found[name] = array_of_tree(stream)
        return found

"""From a signal graph to what the compiled loops run: order, tables, addresses. Holds no state and no clock.

`build_plan` does the work that may take a while (order of evaluation, compiling of activations); `Plan.bind` then
only puts in the addresses of weights and of what neurons keep, which outlast plans.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from dmm_av.engine import signal_loops as loops
from dmm_av.engine import step_compiler as steps
from dmm_av.engine.plain_step import LINE_MARGIN
from dmm_av.engine.settle import components, settle
from dmm_av.network.activation import Activation
from dmm_av.streams.kinds import Kind

VECTOR = 8  # float64 in the widest vector of today's processors
WIDEST_TILE = 32
RUN_LENGTH = 16  # neurons between two looks at what can be summed: their rows stay in the nearest cache
SLAB = 1 << 14  # words of memory that small tables share
WIDE = 16  # an input with more terms than this is summed part by part


@dataclass(frozen=True)
class SignalNode:
    """A neuron of the signal side.

    families   {input family: how many inputs it has}
    """

    name: str
    activation: Activation
    settings: dict
    seed: int
    families: dict


@dataclass(frozen=True)
class SignalTerm:
    """One entry of the network matrix: into an input of node `target`, from a source, with a key.

    source   ("node", index, output), ("external", index) or ("one",)
    weight   where the entry is new; an entry that the VM knows already keeps its value
    key      whatever names the entry; terms of one key share one weight; None: a constant of the plan
    """

    target: int
    input: str
    source: tuple
    weight: float
    key: object


@dataclass(frozen=True)
class SignalGraph:
    """The signal side of a network; terms in the order of their sums.

    externals   how many numbers come from outside, or a tuple of keys that name them across plans
    exports     (node, output) whose numbers are wanted outside
    strict      one step per hop everywhere
    """

    nodes: tuple
    terms: tuple
    externals: object
    exports: tuple
    strict: bool
    sample_rate: int
    tick_rate: int


def shape_of(node, sample_rate, tick_rate):
    """What must be equal for a neuron to go on with the state it has."""
    layout = steps.step_layout(node.activation)
    rate = sample_rate if is_audio(node.activation) else tick_rate
    lines = tuple(line_length(node, seconds, rate) for seconds in layout.memories)
    return (layout.phase, layout.randoms, len(layout.states), layout.banks, lines, layout.outputs, rate)


def line_length(node, seconds, rate):
    """Numbers in a delay line: a power of two with room for the longest delay."""
    longest = node.settings.get("longest")
    longest = seconds if longest is None else float(longest)
    return 1 << max(3, (int(min(max(longest, 0.0), 600.0) * rate) + LINE_MARGIN - 1).bit_length())


def is_audio(activation):
    """Whether an activation takes a step per sample."""
    return bool(activation.notes.get("listens")) or any(
        output.kind == Kind.AUDIO for output in activation.outputs.values()
    )


def _number_address(source, one, external, kept):
    """Where the number of a source lies; of a neuron the present one, that of the step before is a word further."""
    if source[0] == "one":
        return one
    if source[0] == "external":
        return external[source[1]]
    return kept[source[1]] + 8 * (loops.KEPT_HEADER + 2 * source[2])


def identity_of(node, graph):
    """What names a neuron's state across plans."""
    return (node.name, node.activation.name, shape_of(node, graph.sample_rate, graph.tick_rate))


def faded_graph(graph, previous):
    """The graph that still holds what `previous` had and `graph` lacks, or None; its weights fade to 0."""
    if previous is None or (previous.sample_rate, previous.tick_rate) != (graph.sample_rate, graph.tick_rate):
        return None
    keys = {term.key for term in graph.terms}
    lost = [term for term in previous.terms if term.key is not None and term.key not in keys]
    if not lost:
        return None
    place = {}
    for index, node in enumerate(graph.nodes):
        place[node.name if node.activation.body is None else identity_of(node, graph)] = index
    nodes, moved = list(graph.nodes), {}
    for index, node in enumerate(previous.nodes):
        own = node.name if node.activation.body is None else identity_of(node, previous)
        if own not in place:
            place[own] = len(nodes)
            nodes.append(node)
        moved[index] = place[own]
    kept = {(moved[term.target], term.key) for term in lost}
    terms = list(graph.terms)
    externals = graph.externals
    if isinstance(externals, tuple) and isinstance(previous.externals, tuple):
        number_of = {key: index for index, key in enumerate(externals)}
    for term in previous.terms:
        target = moved[term.target]
        alone = term.key is None and target >= len(graph.nodes)
        if (target, term.key) not in kept and not alone and target < len(graph.nodes):
            continue
        source = term.source
        if source[0] == "node":
            source = ("node", moved[source[1]], source[2])
        elif source[0] == "external" and isinstance(externals, tuple):
            key = previous.externals[source[1]]
            source = ("external", number_of.setdefault(key, len(number_of)))
        terms.append(replace(term, target=target, source=source))
    if isinstance(externals, tuple):
        externals = tuple(number_of)
    return replace(graph, nodes=tuple(nodes), terms=tuple(terms), externals=externals)


def build_plan(graph, previous=None, sink="speakers", by_samples=False, keep_rows=False):
    """The `Plan` of a graph.

    previous     the graph that the VM runs when this one takes over: what it has more is faded out over one block
    sink         the activation whose inputs left, right and both are heard
    by_samples   every neuron goes sample by sample, as if all were in one cycle: slow, with the same bits
    keep_rows    every row of a block can be read after it: for looking inside
    Errors: a sentence for an activation that cannot be compiled.
    """
    plan = Plan(graph, sink, by_samples, keep_rows)
    plan.fade_from(previous)
    return plan


def _aligned(words):
    """Zeroed int64 words at a whole cache line."""
    raw = np.zeros(words + VECTOR, np.int64)
    start = -raw.ctypes.data // 8 % VECTOR
    return raw[start : start + words]


class _Terms:
    """The terms of one kind of input, collected per slot and laid out flat."""

    def __init__(self):
        self.rows = {}

    def add(self, slot, *term):
        self.rows.setdefault(slot, []).append(term)

    def flat(self, slots):
        """([first, last] per slot, all terms)."""
        bounds = np.zeros((slots, 2), np.int64)
        terms = []
        for slot in range(slots):
            bounds[slot, 0] = len(terms)
            terms += self.rows.get(slot, ())
            bounds[slot, 1] = len(terms)
        return bounds, terms


class Plan:
    """The tables of a graph; `bind` makes them runnable."""

    def __init__(self, graph, sink, by_samples=False, keep_rows=False):
        self.graph = graph
        self.by_samples, self.keep_rows = by_samples, keep_rows
        self.transition = None
        self.previous = None
        self.block = graph.sample_rate // graph.tick_rate
        self.padded = -(-self.block // VECTOR) * VECTOR
        self.row_words = self.padded + VECTOR
        self.identities = []
        self.compiled = []
        self.sink = None
        self.sink_name = sink
        self._read_nodes(sink)
        self._read_terms()
        self._order_audio()
        self._order_numbers()
        self.address = 0
        self.history = None

    def fade_from(self, previous):
        """Prepares the plan of the one block in which what only `previous` has fades out."""
        faded = faded_graph(self.graph, previous)
        self.previous = previous
        self.transition = None
        if faded is not None:
            self.transition = Plan(faded, self.sink_name, self.by_samples, self.keep_rows)

    # --- reading ---------------------------------------------------------------------------------

    def _read_nodes(self, sink):
        graph = self.graph
        known = {}
        self.audio, self.number = [], []
        for index, node in enumerate(graph.nodes):
            activation = node.activation
            if activation.name == sink:
                self.sink = index
                self.compiled.append(None)
                self.identities.append(None)
                continue
            if activation.body is None or "parameters" not in activation.notes:
                self.compiled.append(None)  # a placeholder: keeps its weights, passes zero
                self.identities.append(None)
                continue
            compiled = known.get(id(activation.body))
            if compiled is None:
                compiled = known[id(activation.body)] = steps.compile_activation(activation)
            layout = steps.step_layout(activation)
            self.compiled.append(replace(compiled, layout=layout))
            self.identities.append(identity_of(node, graph))
            (self.audio if is_audio(activation) else self.number).append(index)
        self.is_audio = [False] * len(graph.nodes)
        for index in self.audio:
            self.is_audio[index] = True

    def _ports(self, index):
        """{input: its slot within the node}."""
        if index == self.sink:
            return {"left": 0, "right": 1, "both": 2}
        layout = self.compiled[index].layout
        ports = {name: slot for slot, name in enumerate(layout.inputs)}
        for family in layout.families:
            for number in range(self.graph.nodes[index].families.get(family, 0)):
                ports[f"{family}/{number + 1}"] = len(ports)
        return ports

    def _read_terms(self):
        graph = self.graph
        self.keys, key_ids = [], {}
        self.initial = []
        self.edges, self.number_edges = [], []  # (source, target, delayed)
        self.audio_terms = []  # (target, slot in node, source node, output, key id, edge)
        self.control_terms = []
        self.number_terms = []
        self.key_targets = {}
        ports = {}
        for index, compiled in enumerate(self.compiled):
            if compiled is not None or index == self.sink:
                ports[index] = self._ports(index)
        self.ports = ports
        for term in graph.terms:
            slot = ports.get(term.target, {}).get(term.input)
            if slot is None:
                continue
            source = self._source(term.source)
            if source is None:
                continue
            key = term.key
            if key is None:
                own = graph.nodes[source[1]].name if source[0] == "node" else source[-1]
                key = ("constant of the plan", graph.nodes[term.target].name, term.input, own, term.source[-1])
            number = key_ids.get(key)
            if number is None:
                number = key_ids[key] = len(self.keys)
                self.keys.append(key)
                self.initial.append(float(term.weight))
            self.key_targets.setdefault(number, []).append(term.target)
            declared = graph.nodes[term.target].activation.input(term.input)
            delayed = bool(declared is not None and declared.delayed)
            audio_target = term.target == self.sink or self.is_audio[term.target]
            heard = source[0] == "node" and self._gives_audio(source[1])
            if audio_target and heard:
                self.audio_terms.append((term.target, slot, source[1], source[2], number, len(self.edges)))
                self.edges.append((source[1], term.target, delayed))
            elif audio_target:
                self.control_terms.append((term.target, slot, source, number))
            elif not heard:
                self.number_terms.append((term.target, slot, source, number, len(self.number_edges)))
                if source[0] == "node" and not self.is_audio[source[1]]:
                    self.number_edges.append((source[1], term.target, delayed))
                else:
                    self.number_edges.append(None)

    def _gives_audio(self, index):
        return self.is_audio[index] and not self._listens(index)

    def _source(self, source):
        """("one",), ("external", j) or ("node", index, number of the output); None where nothing flows."""
        if source[0] != "node":
            return source
        compiled = self.compiled[source[1]]
        if compiled is None or source[2] not in compiled.layout.outputs:
            return None
        return ("node", source[1], compiled.layout.outputs.index(source[2]))

    # --- order -----------------------------------------------------------------------------------

    def _order_audio(self):
        """Nodes in the order in which blocks are computed, as operations; what is in a cycle goes by samples."""
        local = {index: i for i, index in enumerate(self.audio)}
        inner = [
            (local[source], local[target], delayed) for source, target, delayed in self.edges if target != self.sink
        ]
        settled = settle(len(local), inner, self.graph.strict)
        if self.by_samples and local:
            settled = replace(settled, tangles=[list(range(len(local)))])
        reads = iter(settled.previous)
        # what is heard is no hop
        self.reads_previous = [target != self.sink and next(reads) for _, target, _ in self.edges]
        level_within = [0] * len(local)
        for level, members in enumerate(settled.levels):
            for member in members:
                level_within[member] = level
        tangle_of = {}
        for number, members in enumerate(settled.tangles):
            for member in members:
                tangle_of[member] = number
        successors = [[] for _ in local]
        for source, target, _ in inner:
            successors[source].append(target)
        depth = [0] * len(local)
        for members in components(len(local), successors):
            own = max(depth[member] for member in members)
            for member in members:
                depth[member] = own
            for member in members:
                for target in successors[member]:
                    if tangle_of.get(target, -1) != tangle_of.get(member, -2):
                        depth[target] = max(depth[target], own + 1)
        self.order, self.operations = [], []
        self.tiles, self.tangles = [], []
        self._sort_terms({self.audio[member]: number for member, number in tangle_of.items()})
        by_depth = {}
        for member in range(len(local)):
            by_depth.setdefault(depth[member], []).append(member)
        for level in sorted(by_depth):
            self._place_level(by_depth[level], tangle_of, settled, level_within)
        self.node_place = {index: place for place, index in enumerate(self.order)}
        self._give_rows()

    def _sort_terms(self, inside_of):
        """Audio terms by input: those inside a cycle, and those from outside."""
        self.inside, self.outside = {}, {}
        self.columns = set()  # nodes whose sample before the block is read
        for target, slot, source, output, number, edge in self.audio_terms:
            previous = self.reads_previous[edge]
            if target in inside_of and inside_of.get(source) == inside_of[target]:
                self.inside.setdefault((target, slot), []).append((source, output, previous, number))
            else:
                self.outside.setdefault((target, slot), []).append((source, output, previous, number))
                if previous:
                    self.columns.add(source)
        self.summed = {  # wide inputs, and how many of their terms have been summed
            own: 0 for own, terms in self.outside.items() if len(terms) > WIDE and own[0] not in inside_of
        }
        self.placed = set()

    def _place_level(self, members, tangle_of, settled, level_within):
        pure, groups, tangles = [], {}, {}
        for member in members:
            index = self.audio[member]
            if member in tangle_of:
                tangles.setdefault(tangle_of[member], None)
            elif self.compiled[index].layout.is_pure:
                pure.append(index)
            else:
                groups.setdefault((self.compiled[index].address, self._counts(index)), []).append(index)
        pure.sort(key=lambda index: self.graph.nodes[index].name)  # the order of sums
        for first in range(0, len(pure), RUN_LENGTH):
            some = pure[first : first + RUN_LENGTH]
            self._place((loops.RUN, len(self.order), len(self.order) + len(some), 0), some)
        for indices in groups.values():
            for first in range(0, len(indices), WIDEST_TILE):
                some = indices[first : first + WIDEST_TILE]
                self.tiles.append(some)
                self._place((loops.TILE, len(self.tiles) - 1, 0, 0), some)
        inside = [member for number in tangles for member in settled.tangles[number]]
        if inside:  # cycles that do not read each other go side by side
            levels = {self.audio[member]: level_within[member] for member in inside}
            self.tangles.append((list(levels), levels))
            self._place((loops.TANGLE, len(self.tangles) - 1, 0, 0), list(levels))

    def _place(self, operation, indices):
        """Appends an operation, and the sums that can go on after it."""
        self.operations.append((operation, indices, None))
        self.order += indices
        self.placed.update(indices)
        for own, done in self.summed.items():
            terms = self.outside[own]
            ready = done
            while ready < len(terms) and terms[ready][0] in self.placed:
                ready += 1
            if ready - done >= RUN_LENGTH or (ready == len(terms) and ready > done):
                self.operations.append(((loops.SUM, own, done, ready), [], own))
                self.summed[own] = ready

    def _give_rows(self):
        """Rows for all outputs; a row is given on as soon as its last reader has read it."""
        last_use = {}
        for number, (operation, indices, own) in enumerate(self.operations):
            if own is not None:
                for source, *_ in self.outside[own][operation[2] : operation[3]]:
                    last_use[source] = number
            for index in indices:
                last_use.setdefault(index, number)
                for slot in range(len(self.ports[index])):
                    if (index, slot) not in self.summed:
                        for source, *_ in self.outside.get((index, slot), ()):
                            last_use[source] = number
        kept = set(self.columns)
        if self.sink is not None:
            for slot in range(3):
                if (self.sink, slot) not in self.summed:
                    kept.update(source for source, *_ in self.outside.get((self.sink, slot), ()))
        kept.update(index for index in self.order if self._listens(index))
        if self.keep_rows:
            kept.update(self.order)
        leaving = {}
        for index in self.order:
            if index not in kept:
                leaving.setdefault(last_use[index], []).append(index)
        self.first_row, self.row_count = {}, 0
        free = {}
        for number, (_, indices, _) in enumerate(self.operations):
            for index in indices:
                span = len(self.compiled[index].layout.outputs)
                if free.get(span):
                    self.first_row[index] = free[span].pop()
                else:
                    self.first_row[index] = self.row_count
                    self.row_count += span
            for index in leaving.get(number, ()):
                free.setdefault(len(self.compiled[index].layout.outputs), []).append(self.first_row[index])

    def _listens(self, index):
        return bool(self.graph.nodes[index].activation.notes.get("listens"))

    def _counts(self, index):
        node = self.graph.nodes[index]
        return tuple(node.families.get(family, 0) for family in self.compiled[index].layout.families)

    def _order_numbers(self):
        local = {index: i for i, index in enumerate(self.number)}
        real = [edge for edge in self.number_edges if edge is not None]
        inner = [(local[source], local[target], delayed) for source, target, delayed in real]
        settled = settle(len(local), inner, self.graph.strict)
        reads = iter(settled.previous)
        self.number_previous = [edge is not None and next(reads) for edge in self.number_edges]
        self.number_order = [self.number[i] for level in settled.levels for i in level]
        self.number_place = {index: place for place, index in enumerate(self.number_order)}

    # --- addresses -------------------------------------------------------------------------------

    def bind(self, pairs, kept, external, one, plan_id):
        """Makes the tables runnable.

        pairs      address of the weight's pair of every key, in the order of `keys`
        kept       {node: address of what it keeps}
        external   {j: address of the pair}
        one        address of the pair that is always 1
        """
        self.memory, self.slab = [], _aligned(0)
        self.plan_id = plan_id
        pairs = np.asarray(pairs, np.int64)
        words = self._array(loops.PLAN_WORDS)
        words[loops.BLOCK_SIZE] = self.block
        words[loops.PADDED] = self.padded
        words[loops.ROW_BYTES] = 8 * self.row_words
        words[loops.PLAN_ID] = plan_id
        ramp = self._array(self.padded, float)
        ramp[:] = (np.arange(self.padded) + 1) / self.block
        words[loops.RAMP] = ramp.ctypes.data
        self._bind_rows(words)
        self._bind_slots(words, pairs, kept, external, one)
        self._bind_nodes(words, kept)
        self._bind_tiles(words)
        self._bind_tangles(words, pairs)
        self._bind_numbers(words, pairs, kept, external, one)
        self._bind_exports(words, kept)
        self.address = words.ctypes.data
        return self

    def _array(self, shape, kind=np.int64):
        """Zeroed memory that lives as long as the plan, at a whole cache line."""
        size = math.prod(shape) if isinstance(shape, tuple) else int(shape)
        whole = -(-size // VECTOR) * VECTOR
        if whole > len(self.slab):
            self.slab = _aligned(max(whole, SLAB))
            self.memory.append(self.slab)
        array, self.slab = self.slab[:size].view(kind).reshape(shape), self.slab[whole:]
        return array

    def _rows(self, count):
        """Address of sample 0 of the first of `count` rows."""
        return self._array((count, self.row_words), float).ctypes.data + 8 * VECTOR

    def _span(self, index):
        return len(self.ports[index])

    def _bind_rows(self, words):
        self.rows = self._array((self.row_count, self.row_words), float)  # eight before the block, its samples
        base = self.rows.ctypes.data + 8 * VECTOR
        self.row_address = {index: base + 8 * self.row_words * first for index, first in self.first_row.items()}
        widest = max([WIDEST_TILE, *(self._span(index) for index in self.order)])
        words[loops.ROOM] = self._rows(widest)
        words[loops.TABLE] = self._array(WIDEST_TILE).ctypes.data
        self.unread = self._rows(1)

    def _bind_slots(self, words, pairs, kept, external, one):
        self.first_slot, slots = {}, 0
        for index in self.order:
            self.first_slot[index] = slots
            slots += self._span(index)
        words[loops.SPEAKERS] = -1
        if self.sink is not None:
            self.first_slot[self.sink] = words[loops.SPEAKERS] = slots
            slots += 3
        controls, audios = _Terms(), _Terms()
        for target, slot, source, number in self.control_terms:
            address = _number_address(source, one, external, kept)
            controls.add(self.first_slot[target] + slot, pairs[number], address)
        moving = {(target, slot) for target, slot, source, _ in self.control_terms if source[0] != "one"}
        places = sorted(self.first_slot[target] + slot for target, slot in moving)
        words[loops.MOVING] = self._table([(place,) for place in places], 1)
        words[loops.MOVING_COUNT] = len(places)
        self.moved = {target for target, _ in moving}
        for (target, slot), terms in self.outside.items():
            for source, output, previous, number in terms:
                address = self.row_address[source] + 8 * self.row_words * output - 8 * previous
                audios.add(self.first_slot[target] + slot, pairs[number], address, self.node_place[source])
        control_bounds, control_terms = controls.flat(slots)
        audio_bounds, audio_terms = audios.flat(slots)
        table = self._array((max(slots, 1), loops.SLOT_WORDS))
        table[:slots, 0:2] = control_bounds
        table[:slots, 2:4] = audio_bounds
        for target, slot in self.summed:
            table[self.first_slot[target] + slot, 4] = self._rows(1)
        words[loops.SLOTS] = table.ctypes.data
        words[loops.SLOT_COUNT] = slots
        words[loops.CONTROLS] = self._table(control_terms, loops.CONTROL_WORDS)
        words[loops.AUDIOS] = self._table(audio_terms, loops.AUDIO_WORDS)
        words[loops.CONTROL_NOW] = self._array(max(slots, 1), float).ctypes.data
        words[loops.CONTROL_BEFORE] = self._array(max(slots, 1), float).ctypes.data
        places = sorted(self.node_place[source] for source in self.columns)
        words[loops.COLUMNS] = self._table([(place,) for place in places], 1)
        words[loops.COLUMN_COUNT] = len(places)
        listeners = [place for place, index in enumerate(self.order) if self._listens(index)]
        words[loops.LISTENERS] = self._table([(place,) for place in listeners], 1)
        words[loops.LISTENER_COUNT] = len(listeners)
        operations = []
        for operation, _, own in self.operations:
            if own is not None:
                slot = self.first_slot[own[0]] + own[1]
                begin = int(audio_bounds[slot, 0])
                operation = (loops.SUM, slot, begin + operation[2], begin + operation[3])
            operations.append(operation)
        words[loops.OPERATIONS] = self._table(operations, loops.OPERATION_WORDS)
        words[loops.OPERATION_COUNT] = len(operations)
        self.read = {  # outputs whose rows somebody reads
            (source, output) for terms in self.outside.values() for source, output, *_ in terms
        }

    def _targets(self, places):
        """Per eight lanes of which some are read: where they start, and the addresses of their rows.

        places   {(output or 0, first place): {lane: (node, output)}}
        """
        targets = []
        for (first, second), lanes in sorted(places.items()):
            rows = [
                self.row_address[lanes[lane][0]] + 8 * self.row_words * lanes[lane][1]
                if lane in lanes and self._is_read(*lanes[lane])
                else self.unread
                for lane in range(VECTOR)
            ]
            if any(row != self.unread for row in rows):
                targets.append((first, second, *rows))
        return self._table(targets, loops.TARGET_WORDS), len(targets)

    def _is_read(self, index, output):
        return self.keep_rows or (index, output) in self.read or self._listens(index)

    def _table(self, rows, width):
        table = self._array((max(len(rows), 1), width))
        if rows:
            table[: len(rows)] = rows
        return table.ctypes.data

    def _record(self, index, state, **fields):
        """A call record; clock and families filled in."""
        single = len(self.compiled[index].layout.inputs)
        record = self._array(steps.RECORD_WORDS + single)
        if self.compiled[index].layout.is_pure:
            record.view(float)[steps.REMEMBERED : steps.RECORD_WORDS] = np.nan
        numbers = record.view(float)
        audio = self.is_audio[index]
        rate = self.graph.sample_rate if audio else self.graph.tick_rate
        numbers[steps.RATE], numbers[steps.AUDIO], numbers[steps.STEP] = rate, float(audio), 1.0 / rate
        record[steps.STATE] = state
        for place, number in enumerate(self._counts(index)):
            record[steps.FAMILIES + place] = number
        for place, value in fields.items():
            record[getattr(steps, place)] = value
        return record

    def _state(self, index, kept):
        return kept[index] + 8 * (loops.KEPT_HEADER + 2 * len(self.compiled[index].layout.outputs))

    def _bind_nodes(self, words, kept):
        nodes = self._array((max(len(self.order), 1), loops.NODE_WORDS))
        scratch = self._array(self.padded).ctypes.data
        for place, index in enumerate(self.order):
            compiled = self.compiled[index]
            row = nodes[place]
            row[loops.KERNEL] = compiled.address
            row[loops.FIRST_SLOT] = self.first_slot[index]
            row[loops.SLOT_SPAN] = self._span(index)
            row[loops.ROWS] = self.row_address[index]
            row[loops.KEPT] = kept[index]
            row[loops.OUTPUTS] = len(compiled.layout.outputs)
            row[loops.LISTENS] = self._listens(index)
            row[loops.IS_STILL] = index not in self.moved
            if compiled.layout.is_pure:
                row[loops.RECORD] = self._record(
                    index, self._state(index, kept), OUTPUT_STRIDE=self.row_words, SCRATCH=scratch
                ).ctypes.data
                row[loops.INPUTS] = self._array(max(self._span(index), 1)).ctypes.data
        words[loops.NODES] = nodes.ctypes.data
        words[loops.NODE_COUNT] = len(self.order)

    def _lanes(self, index, count):
        """Lanes for `count` neurons: whole vectors, where the loop can be vectorised."""
        return count if self.compiled[index].layout.memories else -(-count // VECTOR) * VECTOR

    def _bind_tiles(self, words):
        members, tiles = [], []
        most = [1, 1, 1]  # numbers of X, of Y, state words
        for indices in self.tiles:
            layout = self.compiled[indices[0]].layout
            width = -(-len(indices) // VECTOR) * VECTOR
            most[0] = max(most[0], self._span(indices[0]) * self.padded * width)
            most[1] = max(most[1], len(layout.outputs) * self.padded * width)
            most[2] = max(most[2], layout.words * width)
        words[loops.TILE_X] = self._array(most[0], float).ctypes.data
        words[loops.TILE_Y] = self._array(most[1], float).ctypes.data
        words[loops.TILE_STATE] = self._array(most[2]).ctypes.data
        words[loops.TILE_FLAGS] = self._array(WIDEST_TILE).ctypes.data
        for indices in self.tiles:
            compiled = self.compiled[indices[0]]
            layout = compiled.layout
            width = -(-len(indices) // VECTOR) * VECTOR
            record = self._record(
                indices[0],
                words[loops.TILE_STATE],
                LANE_STRIDE=width,
                FLAGS=words[loops.TILE_FLAGS],
                SLOT_STRIDE=self.padded * width,
                OUTPUT_STRIDE=self.padded * width,
            )
            places = {}
            for lane, index in enumerate(indices):
                for output in range(len(layout.outputs)):
                    places.setdefault((output, lane - lane % VECTOR), {})[lane % VECTOR] = (index, output)
            targets, target_count = self._targets(places)
            row = [0] * loops.TILE_WORDS
            row[loops.TILE_KERNEL] = compiled.address
            row[loops.TILE_RECORD] = record.ctypes.data
            row[loops.TILE_FIRST] = len(members)
            row[loops.TILE_COUNT] = len(indices)
            row[loops.TILE_LANES] = self._lanes(indices[0], len(indices))
            row[loops.TILE_SLOTS] = self._span(indices[0])
            row[loops.TILE_OUTPUTS] = len(layout.outputs)
            row[loops.TILE_STATE_WORDS] = layout.words
            row[loops.TILE_SINGLES] = len(layout.inputs)
            row[loops.TILE_TARGETS] = targets
            row[loops.TILE_TARGET_COUNT] = target_count
            tiles.append(row)
            members += [self.node_place[index] for index in indices]
        words[loops.TILES] = self._table(tiles, loops.TILE_WORDS)
        self.members = members

    def _bind_tangles(self, words, pairs):
        self.no_weight = self._array(2, float).ctypes.data
        tangles = [self._bind_tangle(inside, levels, pairs) for inside, levels in self.tangles]
        words[loops.TANGLES] = self._table(tangles, loops.TANGLE_WORDS)
        words[loops.MEMBERS] = self._table([(place,) for place in self.members], 1)

    def _bind_tangle(self, inside, levels, pairs):
        groups = {}
        for index in inside:
            own = (levels[index], self.compiled[index].address, self._counts(index))
            groups.setdefault(own, []).append(index)
        ordered = [groups[own] for own in sorted(groups, key=lambda own: (own[0], groups[own][0]))]
        width = positions = 0
        where = {}  # index -> (group, lane, first place in Y, distance, first place in X)
        for number, indices in enumerate(ordered):
            stride = -(-len(indices) // VECTOR) * VECTOR
            for lane, index in enumerate(indices):
                where[index] = (number, lane, width + lane, stride, positions + lane)
            width += stride * len(self.compiled[indices[0]].layout.outputs)
            positions += stride * self._span(indices[0])
        slot_at = self._array(positions + 1)
        decides = self._array(positions + 1)
        slot_at[:] = decides[:] = -1
        now = self._array(positions + 1, float)  # the last place takes what fills up bundles
        bundles, sources, inside_pairs, table, targets = [], [], [], [], {}
        for number, indices in enumerate(ordered):
            compiled = self.compiled[indices[0]]
            layout = compiled.layout
            stride = where[indices[0]][3]
            lines, can_hold = [], layout.phase
            for index in indices:
                for slot in range(self._span(index)):
                    place = where[index][4] + slot * stride
                    slot_at[place] = self.first_slot[index] + slot
                    deciding = slot in layout.integrand
                    if deciding:
                        decides[place] = number
                    terms = self.inside.get((index, slot), ())
                    if terms:
                        can_hold = can_hold and not deciding
                        lines.append((place, terms))
                for output in range(len(layout.outputs)):
                    at = where[index][2] + output * stride
                    targets.setdefault((at - at % VECTOR, 0), {})[at % VECTOR] = (index, output)
            first_bundle = len(bundles)
            self._bundle(lines, positions, where, width, pairs, bundles, sources, inside_pairs)
            state = self._array((max(layout.words, 1), stride)).ctypes.data
            record = self._record(
                indices[0],
                state,
                LANE_STRIDE=stride,
                FLAGS=self._array(stride).ctypes.data,
                SLOT_STRIDE=stride,
                OUTPUT_STRIDE=stride,
                SCRATCH=self._array(2 * stride).ctypes.data,
            )
            row = [0] * loops.GROUP_WORDS
            row[loops.GROUP_KERNEL] = compiled.address
            row[loops.GROUP_RECORD] = record.ctypes.data
            row[loops.GROUP_LANES] = self._lanes(indices[0], len(indices))
            row[loops.GROUP_X] = now.ctypes.data + 8 * where[indices[0]][4]
            row[loops.GROUP_Y] = where[indices[0]][2]
            row[loops.GROUP_FIRST_BUNDLE] = first_bundle
            row[loops.GROUP_LAST_BUNDLE] = len(bundles)
            row[loops.GROUP_STATE] = state
            row[loops.GROUP_FLAGS] = record[steps.FLAGS]
            row[loops.GROUP_STATE_WORDS] = layout.words
            row[loops.GROUP_STRIDE] = stride
            row[loops.GROUP_CAN_HOLD] = can_hold
            table.append(row)
        row = [0] * loops.TANGLE_WORDS
        row[loops.GROUPS] = self._table(table, loops.GROUP_WORDS)
        row[loops.GROUP_COUNT] = len(table)
        row[loops.POSITIONS] = slot_at.ctypes.data
        row[loops.POSITION_COUNT] = positions
        row[loops.DECIDES] = decides.ctypes.data
        row[loops.X_NOW] = now.ctypes.data
        row[loops.X_BASE] = self._array(positions + 1, float).ctypes.data
        row[loops.VARYING] = self._array((positions + 1, 2)).ctypes.data
        row[loops.VARYING_ROWS] = self._rows(max(positions, 1))
        row[loops.BUNDLES] = self._table(bundles, loops.BUNDLE_WORDS)
        row[loops.INSIDE] = self._table([(source,) for source in sources], 1)
        row[loops.INSIDE_COUNT] = len(sources)
        row[loops.INSIDE_PAIRS] = self._table([(pair,) for pair in inside_pairs], 1)
        row[loops.INSIDE_WEIGHT] = self._array(max(len(sources), 1), float).ctypes.data
        row[loops.INSIDE_SLOPE] = self._array(max(len(sources), 1), float).ctypes.data
        row[loops.Y_ROWS] = self._array((self.padded + 1, max(width, 1)), float).ctypes.data
        row[loops.Y_WIDTH] = width
        row[loops.TANGLE_FIRST] = len(self.members)
        row[loops.TANGLE_COUNT] = len(inside)
        row[loops.PLACES] = self._table(
            [(where[index][2], where[index][3], where[index][1], where[index][0]) for index in inside], 4
        )
        row[loops.TANGLE_TARGETS], row[loops.TANGLE_TARGET_COUNT] = self._targets(targets)
        self.members += [self.node_place[index] for index in inside]
        return row

    def _bundle(self, lines, nowhere, where, width, pairs, bundles, sources, inside_pairs):
        """Packs inputs with terms inside a cycle by fours, those with equally many terms together."""
        lines.sort(key=lambda line: -len(line[1]))
        for first in range(0, len(lines), 4):
            four = lines[first : first + 4]
            four += [(nowhere, ())] * (4 - len(four))
            longest = len(four[0][1])
            bundles.append((*(place for place, _ in four), len(sources), longest))
            for j in range(longest):
                for _, terms in four:
                    if j < len(terms):
                        source, output, previous, key = terms[j]
                        at = where[source][2] + output * where[source][3]
                        sources.append(at - width if previous else at)
                        inside_pairs.append(pairs[key])
                    else:
                        sources.append(0)
                        inside_pairs.append(self.no_weight)

    def _bind_numbers(self, words, pairs, kept, external, one):
        nodes = self._array((max(len(self.number_order), 1), loops.NODE_WORDS))
        slots, first_slot = 0, {}
        for index in self.number_order:
            first_slot[index] = slots
            slots += self._span(index)
        terms = _Terms()
        for target, slot, source, number, edge in self.number_terms:
            address = _number_address(source, one, external, kept)
            if source[0] == "node":
                address += 8 * self.number_previous[edge]
            terms.add(first_slot[target] + slot, pairs[number], address)
        bounds, flat = terms.flat(slots)
        for place, index in enumerate(self.number_order):
            compiled = self.compiled[index]
            outputs = len(compiled.layout.outputs)
            row = nodes[place]
            results = self._array(outputs + 1, float).ctypes.data
            row[loops.KERNEL] = compiled.address
            row[loops.FIRST_SLOT] = first_slot[index]
            row[loops.SLOT_SPAN] = self._span(index)
            row[loops.KEPT] = kept[index]
            row[loops.OUTPUTS] = outputs
            row[loops.VALUES] = self._array(max(self._span(index), 1), float).ctypes.data
            row[loops.RESULTS] = results
            row[loops.RECORD] = self._record(
                index,
                self._state(index, kept),
                LANE_STRIDE=1,
                FLAGS=results + 8 * outputs,
                SLOT_STRIDE=1,
                OUTPUT_STRIDE=1,
            ).ctypes.data
        words[loops.NUMBERS] = nodes.ctypes.data
        words[loops.NUMBER_COUNT] = len(self.number_order)
        words[loops.NUMBER_SLOTS] = self._table([tuple(row) for row in bounds], 2)
        words[loops.NUMBER_TERMS] = self._table(flat, 2)

    def _bind_exports(self, words, kept):
        addresses = []
        nothing = self._array(2, float).ctypes.data
        for index, output in self.graph.exports:
            source = self._source(("node", index, output))
            addresses.append((nothing if source is None else kept[index] + 8 * (loops.KEPT_HEADER + 2 * source[2]),))
        words[loops.EXPORTS] = self._table(addresses, 1)
        words[loops.EXPORT_COUNT] = len(addresses)
        self.history = self._array((loops.HISTORY_TICKS, max(len(addresses), 1)), float)
        words[loops.EXPORT_HISTORY] = self.history.ctypes.data

"""From a network to what its engines run: the signal graph, the drawing, the tree neurons. No device, no clock.

A plan holds indices only. Changing a weight never makes a new plan: `Plan.weights` says where in each engine
the weight of an entry stands.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from dmm_av.engine.drawing import Component, Drawing, Pass, Row, Term
from dmm_av.engine.settle import settle
from dmm_av.engine.signal_plan import SignalGraph, SignalNode, SignalTerm, is_audio
from dmm_av.network.network import BUILT_IN, LARGEST_FAMILY
from dmm_av.streams.kinds import Kind
from dmm_av.streams.linear import RowSums

PICTURE_KINDS = (Kind.IMAGE, Kind.MATRIX)
NUMBER_SOURCES = (Kind.NUMBER, Kind.VVALUE)


@lru_cache(50_000)
def seed_of(patch_seed, name):
    """The seed of a neuron's randomness: depends on the patch's seed and the neuron's name only."""
    return int.from_bytes(blake2b(f"{patch_seed}/{name}".encode(), digest_size=7).digest(), "big")


@dataclass(frozen=True)
class TreeNode:
    """A tree neuron: components as (activation, coefficient entry or None), inputs by name."""

    name: str
    components: tuple
    inputs: tuple


@dataclass
class Plan:
    """Everything the engines need of one structure of the network.

    signal_keys     {entry: None}: entries that are terms of the signal graph
    externals       [(from, output, *branches)]: numbers that the tree side gives to the signal side
    exports         {(name, output): index into the signal side's numbers}
    trees           [TreeNode]
    drawing         the `Drawing`
    numbers         [(from, output, *branches)] that the picture side reads, in the order of the number vector
    rows            `RowSums` from that vector to the first slots of `FrameValues.values`
    row_terms       {entry: position in rows.weights}
    weight_slots    {entry: slot in values}
    values          `FrameValues.values` but for its first slots: weights of pictures and coefficients
    vector          the numbers that the picture side read in the last frame
    sentences       what a player should know: cycles that cost a step, contributions that count as zero
    """

    graph: SignalGraph
    signal_keys: dict
    externals: list
    exports: dict
    trees: list
    tree_sources: list
    drawing: Drawing
    numbers: list
    rows: RowSums
    row_terms: dict
    weight_slots: dict
    tree_passes: dict
    values: np.ndarray
    vector: np.ndarray
    sentences: list = field(default_factory=list)

    def take_weights(self, weights):
        """Brings a plan up to date that was not told of every change; keys that are gone keep what they had."""
        for entry, position in self.row_terms.items():
            if entry in weights:
                self.rows.weights[position] = weights[entry]
        for entry, slot in self.weight_slots.items():
            if entry in weights:
                self.values[slot] = weights[entry]


class _Planner:
    """Reads one network once; its parts are read off in order."""

    def __init__(self, network, patch):
        self.network = network
        self.patch = patch
        self.sentences = []
        self.names = network.names()
        self.mixtures = {name: network.mixture(name) for name in self.names}
        library = {one: network.library.get(one) for mixture in self.mixtures.values() for one in mixture}
        self.activations = {
            name: [library[one] for one in mixture if library[one] is not None]
            for name, mixture in self.mixtures.items()
        }
        self.plain = {name for name, mixture in self.mixtures.items() if list(mixture.values()) == [1.0]}
        self.sides = {}
        self._kinds = {}
        for name, activations in self.activations.items():
            if activations:
                side = activations[0].side
                self.sides[name] = "signal" if name in ("speakers", "transport", "one") else side

    def terms_of(self, name, port):
        """[(entry, weight)] of one input, by source and output in code point order."""
        matrix = self.network.matrix
        entries = matrix.rows.get((name, port), ())
        ordered = sorted(entries, key=lambda entry: entry[2:]) if len(entries) > 1 else entries
        return [(entry, matrix.weights[entry]) for entry in ordered]

    def source_kind(self, entry):
        """The kind at the source of an entry, None where nothing flows."""
        source = entry[2:]
        if source not in self._kinds:
            self._kinds[source] = self.network.kind_of_source(entry) if entry[2] in self.sides else None
        return self._kinds[source]

    def setting_pairs(self, name):
        """Settings of a neuron with the declared defaults filled in."""
        own = self.network.settings.get(name, {})
        found = {}
        for activation in self.activations[name]:
            for setting in activation.settings.values():
                found[setting.name] = own.get(setting.name, setting.default)
        return found

    # --- signal ------------------------------------------------------------------------------------

    def signal(self):
        nodes, outputs_of, mixes = [], {}, []
        for name in self.names:
            if self.sides.get(name) != "signal" or name == "one":
                continue
            plain = name in self.plain
            parts = []
            for activation in self.activations[name]:
                if activation.side != "signal" and name not in BUILT_IN:
                    continue
                families = {family: self._family_count(name, family) for family in activation.notes.get("families", ())}
                label = name if plain else f"{name}|{activation.name}"
                nodes.append(
                    SignalNode(label, activation, self.setting_pairs(name), seed_of(self.patch.seed, label), families)
                )
                parts.append((len(nodes) - 1, activation))
            if plain:
                for index, activation in parts:
                    for output in self._flat_outputs(activation):
                        outputs_of[(name, output)] = (index, output)
            else:
                mixes.append((name, parts))
        mix_terms = []
        for name, parts in mixes:
            self._mix(nodes, name, parts, outputs_of, mix_terms)
        return nodes, outputs_of, mix_terms

    def _flat_outputs(self, activation):
        return activation.notes.get("flat_outputs") or tuple(activation.outputs)

    def _family_count(self, name, family):
        numbers = [
            int(port.partition("/")[2])
            for port in self.network.matrix.inputs.get(name, ())
            if port.startswith(family + "/") and port.partition("/")[2].isdigit()
        ]
        return min(max(numbers, default=0), LARGEST_FAMILY)

    def _mix(self, nodes, name, parts, outputs_of, mix_terms):
        """A mixture's output is the sum of its components, their coefficients being weights like any other."""
        outputs = list(dict.fromkeys(o for _, activation in parts for o in self._flat_outputs(activation)))
        for output in outputs:
            audio = any(a.outputs[output].kind == Kind.AUDIO for _, a in parts if output in a.outputs)
            product = self.network.library["product~" if audio else "product"]
            label = f"{name}|{output}"
            nodes.append(SignalNode(label, product, {}, seed_of(self.patch.seed, label), {}))
            mixer = len(nodes) - 1
            outputs_of[(name, output)] = (mixer, "out")
            mix_terms.append(SignalTerm(mixer, "b", ("one",), 1.0, None))
            for index, activation in sorted(parts, key=lambda part: part[1].name):
                if output in self._flat_outputs(activation):
                    entry = (name, "activation", "library", activation.name)
                    weight = self.network.matrix.weight(entry)
                    mix_terms.append(SignalTerm(mixer, "a", ("node", index, output), weight, entry))

    def signal_terms(self, nodes, outputs_of):
        terms, externals = [], {}
        for index, node in enumerate(nodes):
            name, bar, part = node.name.partition("|")
            if bar and part != node.activation.name:
                continue  # a mixer; its terms are coefficients
            ports = [*node.activation.inputs]
            for family, count in node.families.items():
                ports.remove(family)
                ports += [f"{family}/{number}" for number in range(1, count + 1)]
            for port in ports:
                for entry, weight in self.terms_of(name, port):
                    source = self._signal_source(entry, outputs_of, externals)
                    if source is not None:
                        terms.append(SignalTerm(index, port, source, weight, entry))
        return terms, externals

    def _signal_source(self, entry, outputs_of, externals):
        kind = self.source_kind(entry)
        if kind is None or kind in PICTURE_KINDS or kind == Kind.SAMPLES:
            return None
        if entry[2] == "one":
            return ("one",)
        found = outputs_of.get((entry[2], "/".join(entry[3:])))
        if found is not None:
            return ("node", *found)
        if self.sides[entry[2]] == "signal":
            return None
        return ("external", externals.setdefault(entry[2:], len(externals)))

    # --- trees -------------------------------------------------------------------------------------

    def trees(self):
        network = self.network
        found, sources = [], {}
        for name in self.names:
            if self.sides.get(name) != "tree":
                continue
            components = tuple(
                (one, None if name in self.plain else (name, "activation", "library", one.name))
                for one in sorted(self.activations[name], key=lambda one: one.name)
            )
            ports = {port: network.input(name, port) for port in network.matrix.inputs.get(name, ())}
            inputs = tuple(
                replace(port, name=key) if port.family else port  # one of a family: `edge/2`
                for key, port in ports.items()
                if port is not None and key != "activation"
            )
            found.append(TreeNode(name, components, inputs))
            for entry in network.matrix.entries_of(name):
                sources[entry[2]] = None
        listening = [("self", "accum"), ("self", "delta")]
        for name, side in self.sides.items():
            if side == "picture":
                ports = network.matrix.inputs.get(name, ())
                listening += [(name, port) for port in ports if _takes_trees(network.input(name, port))]
        for place in listening:
            for entry in network.matrix.rows.get(place, ()):
                sources[entry[2]] = None
        return found, sources

    # --- pictures ----------------------------------------------------------------------------------

    def pictures(self):
        network = self.network
        names = [name for name in self.names if self.sides.get(name) == "picture"]
        index = {name: i for i, name in enumerate(names)}
        edges, entries = [], []
        for name in names:
            for port in network.matrix.inputs.get(name, ()):
                declared = network.input(name, port)
                for entry in network.matrix.rows[(name, port)]:
                    if entry[2] in index and self.source_kind(entry) in PICTURE_KINDS:
                        edges.append((index[entry[2]], index[name], bool(declared and declared.delayed)))
                        entries.append(entry)
        settled = settle(len(names), edges, strict=self.patch.rates.hops == "strict")
        previous = {entry: reads for entry, reads in zip(entries, settled.previous, strict=True)}
        for loop in settled.loops:
            self.name_loop([names[i] for i in loop], "frame")
        seen = self._visible(names, index, edges, settled)
        order = [names[i] for level in settled.levels for i in level if i in seen]
        return order, previous

    def _visible(self, names, index, edges, settled):
        """Indices of pictures that the screen, a readback or a loop can see."""
        sources = [[] for _ in names]
        for source, target, _ in edges:
            sources[target].append(source)
        waiting = [index[e[2]] for e in self.network.matrix.rows.get(("screen", "image"), ()) if e[2] in index]
        for name, i in index.items():
            if any(o.kind == Kind.NUMBER for a in self.activations[name] for o in a.outputs.values()):
                waiting.append(i)
        waiting += [i for tangle in settled.tangles for i in tangle]
        seen = set()
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += sources[node]
        return seen

    def name_loop(self, names, step):
        self.sentences.append(
            f"The loop through {', '.join(names[:6])}{' …' if len(names) > 6 else ''} has no delayed input: "
            f"each hop in it costs one {step}."
        )

    def drawing(self, version):
        """The drawing, with the bookkeeping that fills its values."""
        network = self.network
        order, previous = self.pictures()
        numbers, sums, slots = {}, [], {}
        row_terms, weight_slots, tree_passes, handed = {}, {}, {}, {}
        pending = []  # (name, port) -> Row built once slots are known
        coefficient_rows = []
        for name in [*order, "screen"]:
            components = self.activations[name]
            ports = list(dict.fromkeys(p for a in components for p in a.inputs))
            for port in ports:
                declared = network.input(name, port)
                if declared.kind == Kind.VVALUE:
                    tree_passes[name] = port
                    continue
                row, terms = [], []
                for entry, weight in self.terms_of(name, port):
                    kind = self.source_kind(entry)
                    if kind in PICTURE_KINDS:
                        terms.append((entry, self._place_of_picture(entry, handed), str(kind)))
                    elif kind in NUMBER_SOURCES:
                        row_terms[entry] = (len(sums), len(row))
                        row.append((numbers.setdefault(entry[2:], len(numbers)), weight))
                is_bare = not row and declared.kind in PICTURE_KINDS  # no number is wired here: nothing to add
                pending.append((name, port, -1 if is_bare else len(sums), terms))
                if not is_bare:
                    sums.append(row)
            if name != "screen" and name not in self.plain:
                coefficient_rows += [(name, a) for a in components]
        slot = len(sums)
        built = {}
        for name, port, constant, terms in pending:
            row = []
            for entry, (source, output), kind in terms:
                weight_slots[entry] = slot
                row.append(Term(source, output, kind, slot, previous.get(entry, False)))
                slot += 1
            built.setdefault(name, []).append(Row(port, constant, tuple(row)))
        for name, activation in coefficient_rows:
            weight_slots[(name, "activation", "library", activation.name)] = slot
            slots[(name, activation.name)] = slot
            slot += 1
        flat = RowSums(sums)
        row_terms = {entry: int(flat.starts[row]) + position for entry, (row, position) in row_terms.items()}
        passes = tuple(Pass(name, (Component("matrix_of"),), (), (), 0, "matrix") for name in handed)
        passes += tuple(self._pass(name, built.get(name, []), slots) for name in order)
        tree_passes.update(handed)
        (screen,) = built["screen"]
        readbacks = tuple(
            name
            for name in order
            if any(o.kind == Kind.NUMBER for a in self.activations[name] for o in a.outputs.values())
        )
        drawing = Drawing(
            version,
            tuple(self.patch.size),
            float(self.patch.limit),
            passes,
            screen,
            self.setting_pairs("screen")["show"],
            readbacks,
        )
        return drawing, numbers, flat, row_terms, weight_slots, tree_passes, slot

    def _place_of_picture(self, entry, handed):
        """(pass, output) that gives a picture or matrix; what a tree neuron makes is handed over in a pass."""
        if self.sides.get(entry[2]) != "tree":
            return entry[2], entry[3]
        name = f"{entry[2]}|{entry[3]}"
        handed[name] = (entry[2], entry[3])
        return name, "out"

    def _pass(self, name, rows, slots):
        activations = self.activations[name]
        components = tuple(Component(a.name, slots.get((name, a.name), -1)) for a in activations)
        kinds = {str(o.kind) for a in activations for o in a.outputs.values()}
        kind = "matrix" if "matrix" in kinds else "image"
        settings = tuple(sorted(self.setting_pairs(name).items(), key=lambda pair: pair[0]))
        return Pass(name, components, tuple(rows), settings, seed_of(self.patch.seed, name), kind)


def build_plan(network, patch, version=0):
    """The plan of a network.

    patch   gives rates, size, seed and limit
    """
    planner = _Planner(network, patch)
    nodes, outputs_of, mix_terms = planner.signal()
    terms, externals = planner.signal_terms(nodes, outputs_of)
    exports = [
        (name, output, index, own)
        for (name, output), (index, own) in outputs_of.items()
        if nodes[index].activation.side == "signal" and _is_number(nodes[index].activation, own)
    ]
    terms = sorted([*terms, *mix_terms], key=lambda term: term.target)
    graph = SignalGraph(
        nodes=tuple(nodes),
        terms=tuple(terms),
        externals=tuple(externals),
        exports=tuple((index, own) for _, _, index, own in exports),
        strict=patch.rates.hops == "strict",
        sample_rate=patch.rates.sample,
        tick_rate=patch.rates.tick,
    )
    for names, step in _loops_of_signals(graph):
        planner.name_loop(names, step)
    trees, tree_sources = planner.trees()
    drawing, numbers, rows, row_terms, weight_slots, tree_passes, slots = planner.drawing(version)
    values = np.zeros(slots, np.float64)
    for entry, slot in weight_slots.items():
        values[slot] = network.matrix.weight(entry)
    return Plan(
        graph=graph,
        signal_keys={term.key: None for term in terms if term.key is not None},
        externals=list(externals),
        exports={(name, output): i for i, (name, output, _, _) in enumerate(exports)},
        trees=trees,
        tree_sources=list(tree_sources),
        drawing=drawing,
        numbers=list(numbers),
        rows=rows,
        row_terms=row_terms,
        weight_slots=weight_slots,
        tree_passes=tree_passes,
        values=values,
        vector=np.zeros(len(numbers), np.float64),
        sentences=planner.sentences,
    )


def _loops_of_signals(graph):
    """(neurons, what a step is) of each cycle of sounds, and of numbers, that no delayed input opens."""
    nodes = graph.nodes
    for sounding in (True, False):
        own = [i for i, node in enumerate(nodes) if is_audio(node.activation) == sounding]
        place = {index: i for i, index in enumerate(own)}
        edges = []
        for term in graph.terms:
            if term.source[0] == "node" and term.source[1] in place and term.target in place:
                declared = nodes[term.target].activation.input(term.input)
                if not (sounding and nodes[term.source[1]].activation.notes.get("listens")):
                    edges.append((place[term.source[1]], place[term.target], bool(declared and declared.delayed)))
        for loop in settle(len(own), edges, graph.strict).loops:
            names = list(dict.fromkeys(nodes[own[i]].name.partition("|")[0] for i in loop))
            yield names, "sample" if sounding else "tick"


def _takes_trees(declared):
    return declared is not None and declared.kind == Kind.VVALUE


def _is_number(activation, output):
    declared = activation.outputs.get(output) or activation.outputs.get(output.partition("/")[0])
    return declared is not None and declared.kind in NUMBER_SOURCES

"""Small signal networks for tests: built from rows, run by the VM or, slowly and plainly, in Python."""

import numpy as np
from signal_reference import PlainNeuron

from dmm_av.activations.library import open_library
from dmm_av.engine.settle import settle
from dmm_av.engine.signal_plan import SignalGraph, SignalNode, SignalTerm, build_plan, is_audio
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.engine.step_compiler import step_layout
from dmm_av.network.activation import Library

RATE, TICKS = 48_000, 240
BLOCK = RATE // TICKS
PROBES = Library(open_library())  # tests may add activations of their own


def graph_of(neurons, exports=(), externals=0, strict=False, rate=RATE, ticks=TICKS, seeds=None):
    """A graph from {name: (activation, {input: row})}; a row is {source: weight}, "x3" is external 3.

    An input without a row has its default row.
    """
    names = list(neurons)
    nodes = []
    for number, name in enumerate(names):
        kind, rows, *rest = neurons[name]
        activation = kind if not isinstance(kind, str) else PROBES[kind]
        families = {
            family: sum(port.startswith(family + "/") for port in rows)
            for family in activation.notes.get("families", ())
        }
        seed = (seeds or {}).get(name, 100 + number)
        nodes.append(SignalNode(name, activation, rest[0] if rest else {}, seed, families))
    terms = []
    for number, name in enumerate(names):
        defaults = {
            port.name: float(port.default)
            for port in nodes[number].activation.inputs.values()
            if not isinstance(port.default, dict) and port.default
        }
        for port, row in {**defaults, **neurons[name][1]}.items():
            row = row if isinstance(row, dict) else {"one": row}
            for source in sorted(row):
                terms.append(
                    SignalTerm(number, port, source_of(source, names, nodes), row[source], (name, port, source))
                )
    return SignalGraph(
        tuple(nodes),
        tuple(terms),
        externals,
        tuple(source_of(export, names, nodes)[1:] for export in exports),
        strict,
        rate,
        ticks,
    )


def source_of(text, names, nodes):
    if text == "one":
        return ("one",)
    if text[0] == "x" and text[1:].isdigit():
        return ("external", int(text[1:]))
    name, _, output = text.partition(".")
    index = names.index(name)
    return ("node", index, output or step_layout(nodes[index].activation).outputs[0])


def vm_of(graph, **options):
    vm = SignalVM(graph.sample_rate, graph.tick_rate)
    vm.swap(build_plan(graph, **{"keep_rows": True, **options}))
    return vm


def run(vm, ticks):
    """Publishes and renders some ticks."""
    vm.publish(max(vm.tick + ticks - 1, 0))
    return vm.run(ticks)


def rows_of(vm, name):
    """The rows that a neuron wrote in the last block, float64 (outputs, block)."""
    plan = vm._plan
    index = [node.name for node in plan.graph.nodes].index(name)
    outputs = len(plan.compiled[index].layout.outputs)
    first = plan.first_row[index]
    return plan.rows[first : first + outputs, 8 : 8 + plan.block].copy()


def heard(vm, name, ticks):
    """What a neuron sounded in the next ticks: float64 (outputs, ticks * block)."""
    blocks = []
    for _ in range(ticks):
        run(vm, 1)
        blocks.append(rows_of(vm, name))
    return np.concatenate(blocks, axis=1)


class PlainNetwork:
    """The slow, plain engine: every neuron alone, one number at a time, in settled order."""

    def __init__(self, graph):
        self.graph = graph
        self.block = graph.sample_rate // graph.tick_rate
        self.neurons = []
        self.audio = []
        for node in graph.nodes:
            audio = is_audio(node.activation)
            rate = graph.sample_rate if audio else graph.tick_rate
            plain = PlainNeuron(node.activation, rate, audio, node.seed, node.settings, node.families)
            self.neurons.append(plain)
            self.audio.append(audio)
        self.y = [[0.0] * len(step_layout(node.activation).outputs) for node in graph.nodes]
        self.before = [list(values) for values in self.y]
        self.audio_order = self._order(True)
        self.number_order = self._order(False)

    def _listens(self, index):
        return bool(self.graph.nodes[index].activation.notes["listens"])

    def _order(self, audio):
        """([node in order], {term: whether it reads the previous step})."""
        graph = self.graph
        edges, terms = [], []
        for number, term in enumerate(graph.terms):
            if term.source[0] == "node" and self.audio[term.target] == audio:
                source = term.source[1]
                if self.audio[source] == audio and not self._listens(source):
                    delayed = graph.nodes[term.target].activation.input(term.input).delayed
                    edges.append((source, term.target, delayed))
                    terms.append(number)
        settled = settle(len(graph.nodes), edges, graph.strict)
        order = [node for level in settled.levels for node in level if self.audio[node] == audio]
        return order, dict(zip(terms, settled.previous, strict=True))

    def _inputs(self, node, value):
        found = {}
        activation = self.graph.nodes[node].activation
        for port in activation.inputs:
            found[port] = 0.0
        for number, term in enumerate(self.graph.terms):
            if term.target == node:
                found[term.input] = found.get(term.input, 0.0) + term.weight * value(number, term.source)
        return found

    def _output(self, values, source):
        return values[source[1]][step_layout(self.graph.nodes[source[1]].activation).outputs.index(source[2])]

    def tick(self, record=None):
        """One tick; `record` collects a neuron's outputs, sample by sample."""
        order, previous = self.audio_order
        sounding = [list(values) for values in self.y]
        for t in range(self.block):
            last = [list(values) for values in sounding]
            share = (t + 1) / self.block

            def value(number, source, share=share, last=last):
                if source[0] != "node":
                    return 1.0
                if not self.audio[source[1]] or self._listens(source[1]):
                    a, b = self._output(self.before, source), self._output(self.y, source)
                    return a + (b - a) * share
                return self._output(last if previous[number] else sounding, source)

            for node in order:
                sounding[node] = self.neurons[node].step(self._inputs(node, value))
            if record is not None:
                record.append(list(sounding))
        self.before, old = [list(values) for values in self.y], self.y
        self.y = [sounding[i] if self.audio[i] else list(old[i]) for i in range(len(old))]
        order, reads = self.number_order

        def number_value(number, source):
            if source[0] != "node":
                return 1.0
            return self._output(self.before if reads.get(number) else self.y, source)

        for node in order:
            self.y[node] = self.neurons[node].step(self._inputs(node, number_value))

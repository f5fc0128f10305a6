"""Our sound, measured beside scsynth on the same numbers; and what an edit of a weight costs."""

import math
import statistics
import time

from bench.peers import scsynth
from bench.rows import Row, interleaved, times_real_time
from bench.workloads import (
    SAMPLE_RATE,
    VOICE,
    feedback_network,
    sine_frequencies,
    voice_frequencies,
)
from dmm_av.activations.library import open_library
from dmm_av.engine.signal_plan import SignalGraph, SignalNode, SignalTerm, build_plan
from dmm_av.engine.signal_vm import SignalVM

TICK_RATE = 240
SECONDS = 8
PEER_SECONDS = 20.0
ROUNDS = 5
EDITS = 2000
UNIT = "x real time"


class Network:
    """Neurons and rows, as a graph that the signal VM runs."""

    def __init__(self):
        self.library = open_library()
        self.neurons = {}  # name: (activation, {input: {source: weight}})

    def add(self, name, activation, **rows):
        self.neurons[name] = (self.library[activation], rows)

    def graph(self):
        place = {name: index for index, name in enumerate(self.neurons)}
        nodes, terms = [], []
        for name, (activation, rows) in self.neurons.items():
            nodes.append(SignalNode(name, activation, {}, place[name], {}))
            for port, row in rows.items():
                row = row if isinstance(row, dict) else {"one": row}
                for source in sorted(row):
                    neuron, _, output = source.partition(".")
                    flows = ("one",) if source == "one" else ("node", place[neuron], output or "out")
                    terms.append(SignalTerm(place[name], port, flows, row[source], (name, port, source)))
        return SignalGraph(tuple(nodes), tuple(terms), 0, (), False, SAMPLE_RATE, TICK_RATE)


class Sounding:
    """A network on a VM, warm."""

    def __init__(self, network):
        self.vm = SignalVM(SAMPLE_RATE, TICK_RATE)
        self.vm.swap(build_plan(network.graph()))
        self.vm.publish(1 << 50)
        self.vm.run(TICK_RATE)

    def speed(self):
        """Seconds of sound per second of one core."""
        return times_real_time(lambda: self.vm.run(SECONDS * TICK_RATE), SECONDS)


def sine_bank(count=1000):
    network = Network()
    frequencies = sine_frequencies(count)
    names = [f"s{index:04}" for index in range(count)]
    for name, frequency in zip(names, frequencies, strict=True):
        network.add(name, "sine~", frequency=frequency)
    network.add("speakers", "speakers", left=dict.fromkeys(names, 1.0 / count))
    return network


def feedback_fm(count=50, sources=5):
    network = Network()
    frequencies, weights = feedback_network(count, sources)
    for to, frequency in enumerate(frequencies):
        row = {f"s{source:04}": weight for (target, source), weight in weights.items() if target == to}
        network.add(f"s{to:04}", "sine~", frequency=frequency, offset=row)
    network.add("speakers", "speakers", left={f"s{index:04}": 1.0 / count for index in range(count)})
    return network


def voices(count=20):
    """Saw -> low-pass with its cutoff on the envelope -> tanh -> times envelope; 1 / Q as in the peer's."""
    resonance = 1.0 - (VOICE["rq"] - 0.01) / math.sqrt(2.0)
    network = Network()
    network.add("pulse", "square~", frequency=VOICE["pulse"], width=0.1)
    for index, frequency in enumerate(voice_frequencies(count)):
        own = f"{index:02}"
        network.add(f"saw{own}", "saw~", frequency=frequency)
        network.add(
            f"env{own}",
            "envelope~",
            gate={"pulse": 1.0},
            attack=VOICE["attack"],
            decay=VOICE["decay"],
            sustain=0.0,
            release=VOICE["decay"],
        )
        network.add(
            f"svf{own}",
            "svf~",
            input={f"saw{own}": 1.0},
            cutoff={"one": VOICE["cutoff"], f"env{own}": VOICE["sweep"]},
            resonance=resonance,
        )
        network.add(f"bent{own}", "tanh~", input={f"svf{own}.low": VOICE["drive"]})
        network.add(f"vca{own}", "product~", a={f"bent{own}": 1.0}, b={f"env{own}": 1.0})
    network.add("speakers", "speakers", left={f"vca{index:02}": 1.0 / count for index in range(count)})
    return network


def beside_scsynth(name, network, piece):
    """One row: our speed, and scsynth's in turns with it."""

    def measure(peers):
        sounding = Sounding(network())
        measures = {"ours": sounding.speed}
        with_peer = peers and scsynth.is_installed()
        if with_peer:
            played = piece()
            measures["peer"] = lambda: scsynth.times_real_time(played, PEER_SECONDS)
        figures = interleaved(measures, ROUNDS)
        return [Row(name, figures["ours"], UNIT, piece().peer, figures.get("peer"))]

    return measure


def edit(_peers=True):
    """Rows: what an edit of one weight costs on the tick path, posted from Python and taken over by the loops."""
    sounding = Sounding(feedback_fm())
    vm = sounding.vm
    index = vm.key_index(("s0000", "frequency", "one"))
    posted, taken = [], []
    for _ in range(ROUNDS * 3):
        tick = vm.tick
        begun = time.perf_counter()
        for edited in range(EDITS):
            vm.post_weight(tick, index, 200.0 + edited)
        posted.append((time.perf_counter() - begun) / EDITS * 1e6)
        vm.publish(1 << 50)
        begun = time.thread_time()
        vm.run(1)
        with_edits = time.thread_time() - begun
        begun = time.thread_time()
        vm.run(1)
        taken.append((with_edits - (time.thread_time() - begun)) / EDITS * 1e6)
    return [
        Row("edit of a weight, posted", statistics.median(posted), "µs"),
        Row("edit of a weight, taken over by the sound", max(0.0, statistics.median(taken)), "µs"),
    ]


FIGURES = {
    "sines": beside_scsynth("sines: 1000 sine~ to mono", sine_bank, scsynth.sines),
    "feedback-fm": beside_scsynth("feedback-fm: 50 sine~, 250 weights", feedback_fm, scsynth.feedback_fm),
    "voices": beside_scsynth("voices: 20 saw~ envelope~ svf~ tanh~", voices, scsynth.voices),
    "edit": edit,
}

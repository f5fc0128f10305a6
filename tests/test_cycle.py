"""The two-stroke cycle against the golden networks of the lineage, and the laws of both hop rules.

`networks.json` comes from the Clojure reference engine. Its neurons are type/name pairs; ours are one name that
carries its activation (`identity:osc`), so they sleep when their last row goes, as there. None of the eight networks
is marked `reference_defect`.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawings import gl_context
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_components import Tick, components_of, is_audio, picture_component, signal_component
from running import lockstep, steps, submit

from dmm_av.activations.library import open_library
from dmm_av.engine.plan import seed_of
from dmm_av.engine.settle import settle
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.engine.stage import PictureEngine
from dmm_av.network.activation import Input, Library, tree
from dmm_av.network.cycle import (
    Component,
    State,
    awake_neurons,
    immediate_hops,
    self_component,
    sum_of_terms,
    two_stroke_cycle,
)
from dmm_av.network.edits import Add, Crossfade, Cut, Insert, Mute, New, Remove, Set, Undo
from dmm_av.network.matrix import entries_of_tree
from dmm_av.network.patch import parse_patch
from dmm_av.scheduler.lockstep import LockStep
from dmm_av.streams.kinds import Kind
from dmm_av.streams.vvalue import leaves, number_at, total

PATCHES = Path(__file__).parent.parent / "patches"
NETWORKS = json.loads((Path(__file__).parent / "fixtures" / "networks.json").read_text())["networks"]
ACTIVATIONS = {
    "accum": "accum.tree",
    "identity": "identity",
    "printer": "identity",
    "max-norm": "max_norm",
    "upd": "channel",
    "reader-step": "channel",
    "reader0": "channel",
    "one-src": "constant",
}


# --- from the reference's spelling to ours ---------------------------------------------------------------


def our_name(kind, name):
    return "self" if (kind, name) == ("accum", "self") else f"{ACTIVATIONS[kind]}:{name.replace('-', '_')}"


def our_input(kind, port):
    return "input" if ACTIVATIONS[kind] == "identity" else port.replace("-", "_")


def our_output(kind, name, port):
    if our_name(kind, name) == "self":
        return "matrix"
    return "out" if port == "single" or ACTIVATIONS[kind] == "identity" else port.replace("-", "_")


def our_row(row):
    return {
        our_name(kind, name): {our_output(kind, name, port): weight for port, weight in ports.items()}
        for kind, names in row.items()
        for name, ports in names.items()
    }


def our_matrix(matrix):
    return {
        our_name(kind, name): {our_input(kind, port): our_row(row) for port, row in rows.items()}
        for kind, names in matrix.items()
        for name, rows in names.items()
    }


def our_outputs(outputs):
    """An output layer; the trees that flow to Self are matrices, and are translated too."""
    return {
        our_name(kind, name): {
            our_output(kind, name, port): our_matrix(stream) if is_matrix(stream) else stream
            for port, stream in ports.items()
        }
        for kind, names in outputs.items()
        for name, ports in names.items()
    }


def is_matrix(stream):
    return bool(stream) and all(kind in ACTIVATIONS for kind in stream)


def our_events(events):
    """What a scripted channel gives: output by output, or the whole message on `signal`."""
    translated = []
    for message in events:
        message = message or {}
        translated.append(
            {
                port.replace("-", "_"): our_matrix(stream) if is_matrix(stream) else stream
                for port, stream in message.items()
            }
        )
    return translated


def library_with(events=(), quiet=None, late=False):
    """The built-in trees, a constant, and a channel that gives `events[t]` in the tick that makes state t + 1."""
    library = Library(open_library())
    first = HEAD_START if late else 0

    @tree(inputs=("d",), library=library)
    def constant(d):
        """The number 1 as a tree."""
        return {":number": 1.0}

    @tree(inputs=("direct", "dummy"), outputs=("direct", "to_img", "signal"), library=library)
    def channel(direct, dummy, clock):
        """Scripted messages."""
        message = events[clock.tick - first] if 0 <= clock.tick - first < len(events) else {}
        if quiet is None:
            return message
        return {"signal": message or quiet}

    return library


def states(network, library, ticks):
    """States 0 to `ticks` of a network of the fixture, by the reference cycle in strict mode."""
    return run_slowly(our_outputs(network["init"]), library, ticks)


def run_slowly(outputs, library, ticks):
    components = components_of(library)
    found = [State(outputs)]
    for t in range(ticks):
        found.append(two_stroke_cycle(components, found[-1], Tick(t), hops="strict"))
    return found


HEAD_START = 2  # ticks until what the machine is handed at its start is in effect


def fast_states(network, library, ticks):
    """The same by the running machine."""
    return run_fast(our_outputs(network["init"]), library, ticks)


def run_fast(outputs, library, ticks):
    """Adds a network to an empty patch, so that its keys are made, not written, and lets the machine run."""
    run = lockstep("rates: {hops: strict}\nneurons: {}\n", library)
    matrix = outputs["self"]["matrix"]
    adds = [Add(f"{to}.{port}", f"{source}.{output}", weight) for to, port, source, output, weight in entries(matrix)]
    answers = submit(run, *[add for add in adds if add.to != "self.accum"])
    steps(run, HEAD_START)
    assert answers == [None]
    run.machine.outputs.update({name: streams for name, streams in outputs.items() if name != "self"})
    found = [fast_state(run.machine)]
    for _ in range(ticks):
        run.step()
        found.append(fast_state(run.machine))
    return found


def entries(matrix):
    for to, rows in matrix.items():
        for port, row in rows.items():
            for source, ports in row.items():
                for output, weight in ports.items():
                    yield to, port, source, output, weight


def fast_state(machine):
    """The machine's state without the neurons that the historical machines have not."""
    outputs = {name: streams for name, streams in machine.outputs.items() if ":" in name or name == "self"}
    matrix = {name: dict(rows) for name, rows in outputs["self"]["matrix"].items() if ":" in name or name == "self"}
    delta = {source: ports for source, ports in matrix["self"].pop("delta").items() if source != "edits"}
    if delta:
        matrix["self"]["delta"] = delta
    return State({**outputs, "self": {"matrix": matrix}})


def matrix_of(state):
    return state.outputs["self"]["matrix"]


# --- the golden networks ---------------------------------------------------------------------------------

ENGINES = pytest.mark.parametrize("engine", [states, fast_states], ids=["reference", "machine"])


@ENGINES
def test_a_wave_of_three_updates_travels_round_the_delta_row(engine):
    network = NETWORKS["wave3"]
    run = engine(network, library_with(), len(network["delta_row_by_tick"]) - 1)
    assert [matrix_of(state)["self"]["delta"] for state in run] == list(map(our_row, network["delta_row_by_tick"]))
    assert [matrix_of(state) for state in run[:5]] == list(map(our_matrix, network["matrix_by_tick"]))
    assert run[1].outputs == our_outputs(network["full_output_tick_1"])


@ENGINES
def test_an_update_of_minus_two_on_its_own_link_oscillates(engine):
    network = NETWORKS["oscillation_minus2"]
    run = engine(network, library_with(), len(network["weight"]) - 1)
    assert [matrix_of(state)["self"]["delta"]["identity:u"]["out"] for state in run] == network["weight"]


@ENGINES
def test_an_update_of_minus_one_on_its_own_link_removes_itself(engine):
    network = NETWORKS["self_extinguishing_update"]
    run = engine(network, library_with(), len(network["delta_row"]) - 1)
    expected = [None if row == "ABSENT" else our_row(row) for row in network["delta_row"]]
    assert [matrix_of(state)["self"].get("delta") for state in run] == expected


def test_a_self_loop_of_nine_tenths_fades_the_whole_network_super_exponentially():
    network = NETWORKS["self_decay_0.9"]
    matrix = {"self": {"accum": {"self": {"matrix": 0.9}}}, "identity:a": {"input": {"identity:b": {"out": 1.0}}}}
    state, run = State({"self": {"matrix": matrix}}), []
    for t in range(len(network["self_weight"])):
        run.append(matrix_of(state))
        state = two_stroke_cycle(components_of(library_with()), state, Tick(t), hops="strict")
    assert [W["self"]["accum"]["self"]["matrix"] for W in run] == network["self_weight"]
    assert [W["identity:a"]["input"]["identity:b"]["out"] for W in run] == network["other_weight"]


def test_the_machine_fades_as_the_reference_when_its_patch_frees_self():
    network = NETWORKS["self_decay_0.9"]
    run = lockstep(
        """
rates: {hops: strict}
neurons:
  self: {is: accum, free: true, accum: {self.matrix: 0.9}}
  a: {is: identity, input: a}
"""
    )
    found = []
    for _ in network["self_weight"]:
        found.append(run.machine.outputs["self"]["matrix"])
        run.step()
    assert [W["self"]["accum"]["self"]["matrix"] for W in found] == network["self_weight"]
    assert [W["a"]["input"]["a"]["out"] for W in found] == network["other_weight"]


@ENGINES
def test_a_leaky_accumulator_fills_towards_ten(engine):
    network = NETWORKS["leaky_accumulator_0.9"]
    run = engine(network, library_with(), len(network["value"]) - 1)
    values = [state.outputs.get("accum.tree:leak", {}).get("out") for state in run]
    assert [number_at(value) for value in values[1:]] == network["value"][1:]
    assert not values[0] and network["value"][0] is None


@ENGINES
def test_a_live_edit_changes_the_matrix_one_tick_and_the_values_two_ticks_after_it_left(engine):
    network = NETWORKS["live_edit"]
    library = library_with(our_events(network["events_by_tick"]), late=engine is fast_states)
    run = engine(network, library, len(network["events_by_tick"]))
    assert len(run) == len(network["osc_x"])
    for t, state in enumerate(run):
        awake = {our_name(*text.split("/")) for text in network["active_neurons"][t]}
        assert t == 0 or set(state.outputs) == awake, t
        weight = matrix_of(state).get("identity:osc", {}).get("input", {}).get("identity:osc", {}).get("out", "ABSENT")
        assert weight == network["osc_weight"][t], t
        assert state.outputs.get("identity:osc", {}).get("out", "ABSENT") == network["osc_x"][t], t
        assert state.outputs.get("accum.tree:img", {}).get("out", "ABSENT") == network["img"][t], t


@ENGINES
def test_a_reader_of_a_channel_feeds_an_accumulator_and_a_printer(engine):
    network = NETWORKS["async_reader"]
    library = library_with(network["events_by_tick"], quiet={"step": 1}, late=engine is fast_states)
    run = engine(network, library, len(network["events_by_tick"]))[1:]
    assert [state.outputs["channel:the_reader"]["signal"] for state in run] == network["reader_signal"]
    assert [state.outputs["accum.tree:the_reader_accum"]["out"] for state in run] == network["accum_output"]
    assert [state.outputs["identity:the_printer"]["out"] for state in run] == network["printer_input"]


@ENGINES
def test_words_are_counted_and_the_largest_count_is_known_one_tick_later(engine):
    network = NETWORKS["word_counter"]
    words = [{word: 1} for word in network["words_one_per_tick"]]
    library = library_with(words, quiet={}, late=engine is fast_states)
    run = engine(network, library, len(network["counts_by_tick"]))[1:]
    assert [state.outputs["accum.tree:counts"]["out"] for state in run] == network["counts_by_tick"]
    assert [state.outputs["max_norm:top"]["out"] for state in run] == network["max_count_by_tick"]


# --- the two hop rules -----------------------------------------------------------------------------------


def adder(side="signal", kind=Kind.NUMBER, delayed=()):
    """A component whose `out` is the sum of its inputs `input` and `late`."""
    inputs = {port: Input(port, kind, delayed=port in delayed) for port in ("input", "late")}

    def step(inputs, state, clock):
        return {"out": inputs.get("input", 0.0) + inputs.get("late", 0.0)}, None

    return Component(step, inputs, side)


def counter():
    """A component of the signal side that counts its steps."""
    return Component(lambda inputs, state, clock: ({"out": float((state or 0) + 1)}, (state or 0) + 1), {}, "signal")


def machine(rows, units):
    """(components, first state) of a network of units, {neuron: `Component`}; rows as {(to, input): {from: weight}}."""
    matrix = {name: {"activation": {"library": {name: 1.0}}} for name in units}
    matrix["self"] = {"accum": {"self": {"matrix": 1.0}}}
    for (to, port), row in rows.items():
        matrix[to][port] = {source: {"out": weight} for source, weight in row.items()}
    return lambda name, activation: units.get(name) or self_component(name, activation), State(
        {"self": {"matrix": matrix}}
    )


def outputs_over(rows, units, steps, names, hops="settled", held=None, matrix=None):
    """[{name: value of `out`}] of states 1 to `steps`."""
    components, state = machine(rows, units)
    found = []
    for t in range(steps):
        state = two_stroke_cycle(components, state, t, held, hops, matrix)
        found.append({name: state.outputs[name]["out"] for name in names})
    return found


GAINS = {f"gain_{i}": adder() for i in range(5)}
CHAIN = {("gain_0", "input"): {"x": 1.0}, **{(f"gain_{i}", "input"): {f"gain_{i - 1}": 1.0} for i in range(1, 5)}}


def test_a_path_and_the_same_path_through_five_gains_cancel_in_every_step():
    rows = {**CHAIN, ("sum", "input"): {"x": 1.0, "gain_4": -1.0}}
    found = outputs_over(rows, {"x": counter(), "sum": adder(), **GAINS}, 6, ["x", "sum"])
    assert found == [{"x": float(n), "sum": 0.0} for n in range(1, 7)]


def test_in_strict_mode_every_hop_costs_one_step():
    found = outputs_over(CHAIN, {"x": counter(), **GAINS}, 8, ["gain_4"], hops="strict")
    assert [state["gain_4"] for state in found] == [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("pictures", [1, 2, 5])
def test_a_picture_loop_through_one_delayed_input_lasts_one_frame_however_many_pictures_it_passes(pictures):
    units = {f"p{i}": adder("picture", Kind.IMAGE, delayed=("late",)) for i in range(pictures)}
    rows = {(f"p{i}", "input"): {f"p{i - 1}": 1.0} for i in range(1, pictures)}
    rows["p0", "late"] = {f"p{pictures - 1}": 1.0}
    rows["p0", "input"] = {"one": 1.0}
    found = outputs_over(rows, units, 4, units, held={"one": {"out": 1.0}})
    assert [set(state.values()) for state in found] == [{1.0}, {2.0}, {3.0}, {4.0}]


def test_in_a_cycle_without_a_delayed_input_every_hop_costs_one_step_and_the_hops_around_it_none():
    ring = {("a", "input"): {"c": 1.0, "x": 1.0}, ("b", "input"): {"a": 1.0}, ("c", "input"): {"b": 1.0}}
    rows = {**ring, ("after", "input"): {"c": 1.0}}
    units = {"x": counter(), "a": adder(), "b": adder(), "c": adder(), "after": adder()}
    found = outputs_over(rows, units, 5, ["a", "b", "c", "after"])
    assert [state["a"] for state in found[:3]] == [1.0, 2.0, 3.0], "x reaches a at once"
    assert [state["b"] for state in found[:3]] == [0.0, 1.0, 2.0]
    assert [state["c"] for state in found] == [0.0, 0.0, 1.0, 2.0, 3.0]
    assert all(state["after"] == state["c"] for state in found)
    assert found[3]["a"] == 4.0 + found[2]["c"]


def test_closing_or_cutting_a_loop_through_a_delayed_input_re_times_nothing_else():
    units = {"x": counter(), "a": adder(delayed=("late",)), "b": adder()}
    open_rows = {("a", "input"): {"x": 1.0}, ("b", "input"): {"a": 1.0}}
    closed = {**open_rows, ("a", "late"): {"b": 0.0}}
    assert outputs_over(open_rows, units, 4, ["a", "b"]) == outputs_over(closed, units, 4, ["a", "b"])


def test_a_key_at_weight_zero_is_a_hop():
    units = {"x": counter(), "a": adder(), "b": adder()}
    rows = {("a", "input"): {"x": 1.0, "b": 0.0}, ("b", "input"): {"a": 1.0}}
    components, state = machine(rows, units)
    with_key = two_stroke_cycle(components, state)
    assert (with_key.outputs["a"]["out"], with_key.outputs["b"]["out"]) == (1.0, 0.0), "the cycle a, b costs steps"


def test_hops_between_sides_cost_one_step():
    units = {"x": counter(), "picture": adder("picture", Kind.IMAGE), "shown": adder("picture", Kind.IMAGE)}
    rows = {("picture", "input"): {"x": 1.0}, ("shown", "input"): {"picture": 1.0}}
    found = outputs_over(rows, units, 3, ["x", "picture", "shown"])
    assert [state["x"] for state in found] == [1.0, 2.0, 3.0]
    assert [state["picture"] for state in found] == [state["shown"] for state in found] == [0.0, 1.0, 2.0]


def test_one_cycle_changes_neither_the_state_nor_the_matrix_it_was_given():
    rows = {**CHAIN, ("gain_0", "late"): {"gain_4": 0.5}}
    components, state = machine(rows, {"x": counter(), **GAINS})
    before = json.dumps([state.outputs, list(state.kept)])
    first = two_stroke_cycle(components, state)
    assert two_stroke_cycle(components, state) == first
    assert json.dumps([state.outputs, list(state.kept)]) == before


# --- mixtures, activity, sums ----------------------------------------------------------------------------


def test_a_mixture_is_the_sum_of_its_components_times_their_coefficients_each_with_its_own_state():
    by_step = Component(lambda inputs, state, clock: ({"out": (state or 0) + 10}, (state or 0) + 10), {}, "signal")
    units = {"ones": counter(), "tens": by_step}
    matrix = {"voice": {"activation": {"library": {"ones": 0.5, "tens": 2.0}}}}
    state = State({"self": {"matrix": matrix}})
    for expected in (20.5, 41.0, 61.5):
        state = two_stroke_cycle(lambda name, activation: units.get(activation), state, matrix=matrix)
        assert state.outputs["voice"]["out"] == expected


def test_a_neuron_without_a_row_is_gone_with_its_state_and_reads_as_zero_downstream():
    rows = {("a", "input"): {"x": 1.0}}
    components, state = machine(rows, {"x": counter(), "a": adder()})
    state = two_stroke_cycle(components, state)
    matrix = {name: row for name, row in matrix_of(state).items() if name != "x"}
    state = two_stroke_cycle(components, state, matrix=matrix)
    state = two_stroke_cycle(components, state, matrix=matrix)
    assert "x" not in state.outputs
    assert ("x", "x") not in state.kept
    assert state.outputs["a"]["out"] == 0.0


def test_terms_are_added_in_code_point_order_of_their_sources_and_zero_weights_are_skipped():
    streams = {"b": {"out": 1.0}, "a": {"out": 1e16}, "c": {"out": -1e16}, "nan": {"out": float("nan")}}
    row = {"c": {"out": 1.0}, "nan": {"out": 0.0}, "b": {"out": 1.0}, "a": {"out": 1.0}}
    assert sum_of_terms(Kind.NUMBER, row, streams) == (1e16 + 1.0) - 1e16
    assert sum_of_terms(Kind.NUMBER, {"nan": {"out": 2.0}}, streams) == 0.0


def test_numbers_trees_matrices_and_pictures_flow_where_an_exact_embedding_exists():
    picture = np.arange(24.0).reshape(2, 3, 4)
    grey = np.arange(6.0).reshape(2, 3)
    streams = {
        "n": {"out": 2.0},
        "t": {"out": {"x": {":number": 3.0, "y": 4.0}}},
        "m": {"out": grey},
        "p": {"out": picture},
    }

    def into(kind, row):
        return sum_of_terms(kind, row, streams)

    assert into(Kind.NUMBER, {"t": {"out": {"x": 1.0}}}) == 3.0
    assert into(Kind.NUMBER, {"t": {"out": {"x": {"y": 0.5}}}}) == 2.0
    assert into(Kind.VVALUE, {"t": {"out": 2.0}, "n": {"out": 1.0}}) == {
        "x": {":number": 6.0, "y": 8.0},
        ":number": 2.0,
    }
    assert np.array_equal(into(Kind.IMAGE, {"n": {"out": 0.5}, "p": {"out": 1.0}}), picture + 1.0)
    assert np.array_equal(into(Kind.IMAGE, {"m": {"out": 1.0}}), np.repeat(grey[:, :, None], 4, axis=2))
    assert np.array_equal(into(Kind.MATRIX, {"m": {"out": 2.0}, "n": {"out": 1.0}}), 2.0 * grey + 2.0)
    assert np.allclose(into(Kind.FIELD, {"p": {"out": 1.0}}), picture[:, :, :3] @ [0.299, 0.587, 0.114])


def test_a_matrix_of_another_shape_counts_as_zero():
    streams = {"a": {"out": np.ones((2, 2))}, "b": {"out": np.ones((3, 3))}}
    assert np.array_equal(sum_of_terms(Kind.MATRIX, {"a": {"out": 1.0}, "b": {"out": 1.0}}, streams), np.ones((2, 2)))


# --- Self ------------------------------------------------------------------------------------------------


def test_an_update_that_cancels_the_self_loop_leaves_a_network_that_is_the_update_alone():
    hook = {"self": {"accum": {"self": {"matrix": 1.0}}, "delta": {"identity:u": {"out": 1.0}}}}
    keeper = {"identity:u": {"input": {"identity:u": {"out": 1.0}}}}
    update = {"self": {"accum": {"self": {"matrix": -1.0}}}}
    state = State({"self": {"matrix": {**hook, **keeper}}, "identity:u": {"out": update}})
    components, found = components_of(library_with()), []
    for t in range(4):
        state = two_stroke_cycle(components, state, Tick(t), hops="strict")
        found.append(matrix_of(state))
    loop = {"self": {"accum": {"self": {"matrix": 1.0}}}}
    assert found == [{"self": {"delta": hook["self"]["delta"]}, **keeper}, update, loop, loop]


def test_the_matrix_is_an_output_that_any_neuron_may_read():
    matrix = {
        "self": {"accum": {"self": {"matrix": 1.0}}},
        "identity:mirror": {"input": {"self": {"matrix": 2.0}}},
    }
    state = two_stroke_cycle(components_of(library_with()), State({"self": {"matrix": matrix}}), Tick(0))
    assert state.outputs["identity:mirror"]["out"] == total(matrix, matrix)


# --- the fast order and the reference's rule are one -----------------------------------------------------------

HOPS = st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from(["input", "late"]))


@given(st.lists(HOPS, max_size=24, unique=True), st.sampled_from(["settled", "strict"]))
def test_the_engines_order_obeys_the_references_rule(hops, rule):
    neurons = {f"n{i}": {"x": (1.0, adder(delayed=("late",)))} for i in range(8)}
    matrix = {name: {"input": {}, "late": {}} for name in neurons}
    for source, target, port in hops:
        matrix[f"n{target}"][port][f"n{source}"] = {"out": 0.0}
    expected = immediate_hops(neurons, matrix) if rule == "settled" else set()
    settled = settle(8, [(source, target, port == "late") for source, target, port in hops], rule == "strict")
    found = {
        (f"n{source}", f"n{target}", port)
        for (source, target, port), reads_previous in zip(hops, settled.previous, strict=True)
        if not reads_previous
    }
    assert found == expected
    level = {node: number for number, nodes in enumerate(settled.levels) for node in nodes}
    assert sorted(level) == list(range(8))
    assert all(level[int(source[1:])] < level[int(target[1:])] for source, target, _ in found)


TREES = {
    "identity:a": ["input"],
    "identity:b": ["input"],
    "accum.tree:c": ["accum", "delta"],
    "mask:d": ["main", "mask"],
}
PLACES = [(name, port) for name, ports in TREES.items() for port in ports]
FACTORS = st.sampled_from([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
ROWS = st.tuples(st.sampled_from(PLACES), st.sampled_from(list(TREES)), FACTORS)
BRANCHES = st.dictionaries(st.sampled_from("xy"), FACTORS, min_size=1)
UPDATES = st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(list(TREES)), FACTORS), max_size=2)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(ROWS, min_size=1, max_size=6, unique_by=lambda row: row[:2]),
    st.dictionaries(st.sampled_from(list(TREES)), FACTORS, max_size=2),
    st.dictionaries(st.sampled_from(list(TREES)), st.one_of(BRANCHES, UPDATES), max_size=3),
)
def test_any_machine_of_trees_that_writes_itself_runs_exactly_as_the_reference(rows, into_delta, first):
    matrix = {"self": {"accum": {"self": {"matrix": 1.0}}}}
    if into_delta:
        matrix["self"]["delta"] = {name: {"out": weight} for name, weight in into_delta.items()}
    for (to, port), source, weight in rows:
        matrix.setdefault(to, {}).setdefault(port, {})[source] = {"out": weight}
    outputs = {
        name: {"out": stream if isinstance(stream, dict) else update_of(stream)} for name, stream in first.items()
    }
    start = {"self": {"matrix": matrix}, **outputs}
    slow = run_slowly(start, library_with(), 6)
    fast = run_fast(start, library_with(), 6)
    for t, (one, other) in enumerate(zip(slow, fast, strict=True)):
        assert dict(entries_of_tree(matrix_of(other))) == dict(entries_of_tree(matrix_of(one))), t
        assert t == 0 or without_self(other) == without_self(one), t


def without_self(state):
    return {name: streams for name, streams in state.outputs.items() if name != "self"}


def update_of(rows):
    """A matrix to be added, from [((to, input), from, weight)]."""
    matrix = {}
    for (to, port), source, weight in rows:
        matrix.setdefault(to, {}).setdefault(port, {})[source] = {"out": weight}
    return matrix


# --- the running machine agrees with the reference ---------------------------------------------------------

RICH = """
rates: {hops: HOPS}
seed: 5
neurons:
  slow:    {is: sine, frequency: {one: 3, walker: 0.5}}
  walker:  {is: walk, frequency: 2}
  hiss:    noise
  pattern: {is: steps, beat: {transport.beat: 8}, steps: [1, 0.5, 0, 0.25]}
  smooth:  {is: lag, input: {pattern.out: 1, slow: 0.25}, rise: 0.02, fall: 0.1}
  low:     {is: svf, input: smooth, cutoff: {one: 12, slow: 4}, resonance: 0.3}
  gate:    {is: decay, trigger: pattern.trigger, time: 0.3}
  sum:     {is: accum, accum: {sum: 0.9}, delta: {low.low: 0.1, hiss: 0.01}}
  ring_a:  {is: product, a: {ring_b: 0.5, slow: 1}}
  ring_b:  {is: product, a: {ring_c: 0.5, ring_a: 0.25}}
  ring_c:  {is: product, a: ring_b}
  after:   {is: product, a: ring_c, b: gate}
  memory:  {is: accum.tree, accum: memory, delta: {slow: 0.125, keeper: 0.5}}
  keeper:  {is: identity, input: {memory: 0.25, osc.1: 1, transport.beat: 0.5}}
  size:    {is: max_norm, input: memory}
  back:    {is: product, a: {size: 0.01, "memory": 1}}
"""


def agreement(text, ticks, groups=()):
    """Runs a patch in the machine and its numbers and trees in the reference; yields both sides of every state.

    groups   {tick: edits}, queued at that tick
    """
    run = lockstep(text)
    machine = run.machine
    heard = {}
    components = control_components(machine, heard)
    state = State({"self": machine.outputs["self"]})
    answers = {}
    for k in range(ticks):
        if k in groups:
            answers[k] = submit(run, *groups[k])
        held = {name: machine.outputs[name] for name in ("one", "osc", "edits", "self")}
        held.update({name: machine.outputs.get(name, {}) for name in machine.plan.drawing.readbacks})
        matrix = machine.network.matrix.with_zeros()
        run.step()
        machine.refresh()
        for name, output in machine.plan.exports:
            heard.setdefault(name, {})[output] = machine.value(f"{name}.{output}")
        clock = Tick(k, machine.patch.rates.tick)
        state = two_stroke_cycle(components, state, clock, held, machine.patch.rates.hops, matrix)
        yield machine, state
    assert answers == {k: [None] for k in groups}, "an edit was refused"


def control_components(machine, heard):
    """Components of trees and numbers; analysers of sound give what the machine has `heard`."""
    network, plan = machine.network, machine.plan
    families = {node.name.partition("|")[0]: node.families for node in plan.graph.nodes}
    ordinary = components_of(
        machine.library,
        network.settings,
        families,
        lambda label: seed_of(machine.patch.seed, label),
        machine.patch.rates.tick,
        audio=False,
    )

    def component(neuron, activation):
        found = machine.library.get(activation)
        if found is not None and found.notes.get("listens"):
            return Component(lambda inputs, state, clock: (unflat(heard.get(neuron, {})), None), {}, "signal")
        return None if neuron in ("speakers", "screen", "self") else ordinary(neuron, activation)

    return component


def unflat(numbers):
    """{output: number or branches} of {"spectrum/1": number}."""
    outputs = {}
    for path, number in numbers.items():
        port, slash, branch = path.partition("/")
        if slash:
            outputs.setdefault(port, {})[branch] = number
        else:
            outputs[port] = number
    return outputs


def assert_agreement(machine, state):
    for name, outputs in state.outputs.items():
        if any(activation.notes.get("listens") for activation in machine.network.activations(name)):
            continue  # what is heard is given to the reference
        if not machine.network.is_active(name):
            continue  # it went in the matrix of this very state
        for output, stream in outputs.items():
            found = machine.value(f"{name}.{output}")
            assert found == pytest.approx(stream, rel=1e-9, abs=1e-12), (machine.k, name, output)


@pytest.mark.parametrize("hops", ["settled", "strict"])
def test_numbers_and_trees_of_the_machine_agree_with_the_reference(hops):
    for machine, state in agreement(RICH.replace("HOPS", hops), 300):
        assert_agreement(machine, state)


def test_a_mixture_of_the_machine_agrees_with_the_reference():
    morph = """
  morph: {is: {sine: 0.25, saw: 0.75}, frequency: {one: 2, slow: 1}}
  reads: {is: lag, input: morph, rise: 0.1}
  trees: {is: {accum.tree: 0.5, identity: 2}, accum: trees, delta: {morph: 1}, input: memory}
"""
    for machine, state in agreement(RICH.replace("HOPS", "settled") + morph, 100):
        assert_agreement(machine, state)


def test_the_machine_agrees_with_the_reference_while_it_is_edited():
    edits = {
        10: [Set("slow.frequency", "one", 7.0)],
        20: [Set("ring_a.a", "slow", 0.25, 0.05), Add("sum.delta", "hiss", 0.5)],
        30: [New("late", "sine"), Set("late.frequency", "slow", 5.0), Set("smooth.input", "late", 0.5)],
        40: [Insert("between", "tanh", "after.a", "ring_c")],
        50: [Cut("after.b", "gate")],
        60: [Remove("walker")],
        70: [Crossfade("smooth.input", "slow", "late", 0.5, 0.1)],
        80: [Mute("low")],
        90: [Undo()],
    }
    for machine, state in agreement(RICH.replace("HOPS", "settled"), 150, edits):
        assert_agreement(machine, state)


@pytest.mark.parametrize("path", sorted(PATCHES.glob("*.yaml")), ids=lambda path: path.stem)
def test_numbers_and_trees_of_every_patch_agree_with_the_reference(path):
    for machine, state in agreement(path.read_text("utf-8"), 120):
        assert_agreement(machine, state)


def sound_component(machine, neuron, name):
    """A sounding activation, one sample a step; None for all others."""
    activation = machine.library.get(name)
    if activation is None or activation.side != "signal" or not is_audio(activation) or activation.notes["listens"]:
        return None
    families = {node.name.partition("|")[0]: node.families for node in machine.plan.graph.nodes}.get(neuron)
    label = neuron if machine.network.mixture(neuron) == {name: 1.0} else f"{neuron}|{name}"
    seed, settings = seed_of(machine.patch.seed, label), machine.network.settings.get(neuron)
    return signal_component(activation, machine.patch.rates.sample, seed, settings, families, shares_state=True)


def between(a, b, share):
    """A number, or every number of a tree, on the way from `a` to `b`."""
    if isinstance(b, dict):
        a = a if isinstance(a, dict) else {}
        return {label: between(a.get(label, 0.0), branch, share) for label, branch in b.items()}
    return a + (b - a) * share


def sound_agreement(text, ticks):
    """Plays a patch in the machine and its sounding neurons in the reference, sample by sample from the start.

    yields   (machine, state of the last sample) of every block, whose numbers are what the machine computed
    """
    run = lockstep(text)
    machine = run.machine
    made = {}

    def component(neuron, name):
        if (neuron, name) not in made:
            made[neuron, name] = sound_component(machine, neuron, name)
        return made[neuron, name]

    def situation():
        """(rows of sounding neurons, {neuron: {output: stream}} of the numbers that reach them)."""
        machine.refresh()
        matrix = machine.network.matrix.with_zeros()
        matrix = {name: matrix[name] for name in awake_neurons(component, matrix)}
        held = {}
        for (_, port, source, output, *_), _ in leaves(matrix):
            if port != "activation" and source not in matrix:
                held.setdefault(source, {})[output] = machine.value(f"{source}.{output}")
        return matrix, held

    state, former = State({}), None
    for _ in range(ticks):
        now = situation()
        former = former or (now[0], {"one": now[1].get("one", {})})  # before the first state all others were 0
        matrices, streams = zip(former, now, strict=True)
        run.step()
        block = machine.patch.rates.sample // machine.patch.rates.tick
        for sample in range(block):
            share = (sample + 1) / block
            held, matrix = between(*streams, share), between(*matrices, share)
            state = two_stroke_cycle(component, state, None, held, machine.patch.rates.hops, matrix)
        yield machine, state
        former = now


@pytest.mark.parametrize("path", sorted(PATCHES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sound_of_every_patch_agrees_with_the_reference(path):
    for machine, state in sound_agreement(path.read_text("utf-8"), 3):
        for name, outputs in state.outputs.items():
            for output, stream in outputs.items():
                found = machine.vm.last_sample(name, output)
                if found is None:  # of a mixture the sum is heard
                    found = machine.vm.last_sample(f"{name}|{output}", "out")
                assert found == pytest.approx(stream, abs=1e-6), (machine.k, name, output)
        assert state.outputs, "no sound was compared"


class PictureStage(PictureEngine):
    """The picture engine as lock-step calls a stage."""

    def draw(self, values):
        self.values = values
        return super().draw(values)

    def streams(self, drawing):
        """{name: array} of every picture and matrix of the frame drawn last."""
        return {
            drawn.name: np.array(self.matrix(drawn.name) if drawn.kind == "matrix" else self.picture(drawn.name))
            for drawn in drawing.passes
        }


def picture_agreement(text, frames, size, context):
    """Draws a patch by the picture engine and by the reference; yields ({name: array}, state) of every frame.

    Every frame begins from the pictures of the engine, so that rounding does not go round in a loop.
    """
    library = open_library()
    patch = replace(parse_patch(text, "test.yaml", library), size=size)
    for declared in patch.neurons.values():  # pictures of one size, so that NumPy can add them
        parts = [library.get(name) for name in declared.activation]
        if any(part is not None and "out" in part.outputs and part.outputs["out"].kind == Kind.IMAGE for part in parts):
            declared.settings.pop("size", None)
    run = LockStep(patch, library, SignalVM(patch.rates.sample, patch.rates.tick))
    machine = run.machine
    with context:
        run.stage = PictureStage(context, size, library)

    def component(neuron, name):
        activation = library.get(name)
        if activation is None or activation.side != "picture":
            return None
        seed = seed_of(machine.patch.seed, neuron)
        own = machine.network.settings.get(neuron)
        return picture_component(activation, library, context, size, seed, own, machine.patch.limit)

    state = State({})
    for _ in range(frames):
        machine.refresh()
        held = {name: dict(streams) for name, streams in machine.outputs.items()}
        for name, output in machine.plan.exports:
            port, slash, branch = output.partition("/")
            number = machine.value(f"{name}.{output}")
            if slash:
                held.setdefault(name, {}).setdefault(port, {})[branch] = number
            else:
                held.setdefault(name, {})[port] = number
        matrix = machine.network.matrix.with_zeros()
        drawing = machine.drawing
        with context:
            for _ in range(machine.ticks_per_frame):
                run.step()
            streams = run.stage.streams(drawing)
        state = two_stroke_cycle(component, state, run.stage.values, held, machine.patch.rates.hops, matrix)
        yield streams, state
        state = State({**state.outputs, **{name: {"out": stream} for name, stream in streams.items()}}, state.kept)


@pytest.mark.parametrize("path", sorted(PATCHES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_picture_of_every_patch_agrees_with_its_shader_drawn_alone(path):
    for streams, state in picture_agreement(path.read_text("utf-8"), 8, (64, 36), gl_context()):
        for name, stream in streams.items():
            expected = state.outputs[name].get("out")
            if np.ndim(expected):
                assert stream.shape == expected.shape, name
                largest = max(1.0, np.max(np.abs(expected)))
                apart = np.abs(stream - expected) / largest
                assert np.quantile(apart, 0.99) < 2 / 255, name
                assert np.max(apart) < 8 / 255, f"{name}: more than the half floats that it reads can explain"

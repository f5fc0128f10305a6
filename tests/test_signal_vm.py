"""The signal VM: sound and numbers are what the declarations say, whichever path computes them."""

import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from signal_networks import (
    BLOCK,
    PROBES,
    RATE,
    TICKS,
    PlainNetwork,
    graph_of,
    heard,
    rows_of,
    run,
    vm_of,
)

from dmm_av.engine.ring import Ring
from dmm_av.engine.signal_plan import build_plan, is_audio
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.engine.step_compiler import compile_activation
from dmm_av.errors import DmmError
from dmm_av.network.activation import LIBRARY, Library, Memory, State, signal
from dmm_av.streams.dsp import between_taps
from dmm_av.streams.units import Number

CEILING = 10 ** (-1 / 20)


@signal(rates="audio", name="tap_of", library=PROBES, listens=True)
def tap_of(input: Number):
    """The last sample of a block, as a number.

    input   a sound
    """
    return input


@signal(rates="both", library=PROBES)
def grows(input: Number, kept: State = 1.0):
    """Multiplies itself by its input, until it bursts.

    input   factor per step
    """
    return kept, kept * input


@signal(rates="audio", library=PROBES)
def reciprocal(input: Number):
    """1 / input, infinite at 0.

    input   anything
    """
    return 1.0 / input


# --- What is heard ----------------------------------------------------------------------------------


def test_a_1_khz_sine_turns_once_in_48_samples_at_48_khz():
    vm = vm_of(graph_of({"a": ("sine~", {"frequency": 1000.0})}))
    sound = heard(vm, "a", 3)[0]
    assert sound == pytest.approx(np.sin(2 * np.pi * np.arange(600) / 48), abs=1e-8)


def test_what_reaches_the_speakers_is_heard_after_the_limiters_look_ahead():
    vm = vm_of(graph_of({"a": ("sine~", {"frequency": 1000.0}), "speakers": ("speakers", {"left": {"a": 0.5}})}))
    sound = run(vm, 240)
    assert sound.dtype == np.float32 and sound.shape == (RATE, 2)
    assert not sound[:, 1].any()
    n = np.arange(24_000, RATE) - vm.latency
    assert sound[24_000:, 0] == pytest.approx(0.5 * np.sin(2 * np.pi * n / 48), abs=3e-3)  # DC blocker's phase


def test_both_reaches_left_and_right_alike():
    vm = vm_of(graph_of({"a": ("noise~", {}), "speakers": ("speakers", {"both": {"a": 0.3}, "left": {"a": -0.3}})}))
    sound = run(vm, 30)
    assert np.abs(sound[:, 0]).max() == 0.0
    assert np.abs(sound[:, 1]).max() > 0.1


def test_sound_fades_in_over_50_ms():
    vm = vm_of(graph_of({"a": ("sine~", {"frequency": 4000.0}), "speakers": ("speakers", {"both": {"a": 0.5}})}))
    sound = np.abs(run(vm, 24)[:, 0])
    peaks = [sound[k : k + 240].max() for k in range(72, 2400, 240)]
    assert all(a < b for a, b in zip(peaks, peaks[1:], strict=False))
    assert sound[2640:].max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("gain", [1.0, 3.0, 100.0, 1e5])
@pytest.mark.parametrize("source", ["square~", "noise~", "sine~"])
def test_nothing_heard_passes_minus_1_dbfs(gain, source):
    rows = {"frequency": 997.0} if source != "noise~" else {}
    vm = vm_of(graph_of({"a": (source, rows), "speakers": ("speakers", {"both": {"a": gain}})}))
    sound = run(vm, 120)
    assert np.abs(sound).max() <= np.float32(CEILING)
    assert np.abs(sound[BLOCK * 60 :]).max() > 0.7


def test_what_is_soft_passes_the_limiter_unchanged():
    soft = run(vm_of(graph_of({"a": ("noise~", {}), "speakers": ("speakers", {"both": {"a": 0.4}})})), 40)
    softer = run(vm_of(graph_of({"a": ("noise~", {}), "speakers": ("speakers", {"both": {"a": 0.2}})})), 40)
    assert np.array_equal(soft, 2 * softer)


def test_a_constant_offset_is_not_heard():
    vm = vm_of(graph_of({"a": ("phasor~", {}), "speakers": ("speakers", {"both": {"one": 0.5}})}))
    assert np.abs(run(vm, 480)[-BLOCK:]).max() < 1e-4


def test_panic_is_silence_within_100_ms_and_can_be_taken_back():
    vm = vm_of(graph_of({"a": ("noise~", {}), "speakers": ("speakers", {"both": {"a": 0.4}})}))
    run(vm, 24)
    vm.panic()
    assert np.abs(run(vm, 24)[-BLOCK:]).max() < 1e-4
    vm.panic(False)
    assert np.abs(run(vm, 24)[-BLOCK:]).max() > 0.3


def test_the_same_graph_sounds_the_same_twice_however_it_is_cut_into_runs():
    graph = graph_of(
        {
            "n": ("pink~", {}),
            "f": ("svf~", {"input": {"n": 1.0}, "cutoff": {"one": 900.0, "l": 400.0}, "resonance": 0.7}),
            "l": ("walk", {"frequency": 3.0}),
            "speakers": ("speakers", {"left": {"f.low": 1.0}, "right": {"f.high": 0.3}}),
        }
    )
    whole = run(vm_of(graph), 50)
    vm = vm_of(graph)
    pieces = np.concatenate([run(vm, 1) for _ in range(7)] + [run(vm, 43)])
    assert np.array_equal(whole, pieces)


# --- Paths --------------------------------------------------------------------------------------------


def audio_activations():
    return [kind for kind in LIBRARY if kind.side == "signal" and is_audio(kind)]


def exercised(kind, number, constant):
    """Rows that make an activation work: slow noise or constants around useful values."""
    rows = {}
    for place, (name, port) in enumerate(kind.inputs.items()):
        default = port.default if isinstance(port.default, float | int) else 0.0
        if port.family:
            for k in range(5):
                rows[f"{name}/{k + 1}"] = {"one": 0.3 * k - 0.4}
            continue
        base = default * (1 + 0.05 * number) if default else 0.1 * (number + 1)
        rows[name] = {"one": base}
        if not constant:
            depth = 0.3 * base if default else 0.8
            rows[name][f"mod{(place + number) % 3}"] = depth
    return rows


MODULATORS = {
    "mod0": ("sine~", {"frequency": 331.0}),
    "mod1": ("pink~", {}),
    "mod2": ("saw~", {"frequency": 57.0}),
}


@pytest.mark.parametrize("constant", [False, True], ids=["modulated", "constant"])
@pytest.mark.parametrize("kind", audio_activations(), ids=lambda kind: kind.name)
def test_block_and_sample_path_give_the_same_bits(kind, constant):
    neurons = dict(MODULATORS)
    for number in range(3):  # three side by side: lanes of a group or tile
        neurons[f"u{number}"] = (kind, exercised(kind, number, constant))
    graph = graph_of(neurons)
    blocks, samples = vm_of(graph), vm_of(graph, by_samples=True)
    for _ in range(12):
        run(blocks, 1)
        run(samples, 1)
        for number in range(3):
            a, b = rows_of(blocks, f"u{number}"), rows_of(samples, f"u{number}")
            assert a.tobytes() == b.tobytes() or np.array_equal(a, b)
            assert np.isfinite(a).all()
    assert not blocks.events() and not samples.events()


@pytest.mark.parametrize("kind", audio_activations(), ids=lambda kind: kind.name)
def test_constant_inputs_give_the_same_bits_as_inputs_that_might_vary(kind):
    rows = exercised(kind, 1, True)
    touched = {name: {**row, "mod0": 0.0} for name, row in rows.items()}
    plain = vm_of(graph_of({**MODULATORS, "u": (kind, rows)}, seeds={"u": 5}))
    varied = vm_of(graph_of({**MODULATORS, "u": (kind, touched)}, seeds={"u": 5}))
    assert np.array_equal(heard(plain, "u", 6), heard(varied, "u", 6))


@pytest.mark.parametrize("kind", audio_activations(), ids=lambda kind: kind.name)
def test_a_neuron_sounds_as_its_step_says_in_plain_python(kind):
    neurons = {**MODULATORS, "u": (kind, exercised(kind, 0, False))}
    graph = graph_of(neurons)
    sound = heard(vm_of(graph), "u", 2)
    plain, record = PlainNetwork(graph), []
    for _ in range(2):
        plain.tick(record)
    expected = np.array([sample[3] for sample in record]).T
    assert sound == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("block", [(48_000, 240), (44_100, 300), (48_000, 480), (1_000, 1_000), (24_000, 375)])
def test_any_tick_rate_that_divides_the_sample_rate_cuts_the_same_sound(block):
    rate, ticks = block
    neurons = {
        "a": ("saw~", {"frequency": {"one": 90.0, "b": 40.0}}),
        "b": ("sine~", {"frequency": 7.0}),
        "c": ("svf~", {"input": {"a": 1.0}, "cutoff": {"one": 300.0, "b": 100.0}}),
        "d": ("delay~", {"input": {"c.low": 1.0}, "time": 0.004, "feedback": 0.5}),
    }
    one = heard(vm_of(graph_of(neurons, rate=rate, ticks=1)), "d", 1)
    many = heard(vm_of(graph_of(neurons, rate=rate, ticks=ticks)), "d", ticks)
    assert np.array_equal(one, many)


@st.composite
def networks(draw):
    """Small random networks of numbers and sound, with cycles."""
    kinds = ["sine~", "tanh~", "product~", "onepole~", "accum~", "delay~", "sine", "lag", "tanh", "accum", "level~"]
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=2, max_size=6))
    names = [f"n{k}" for k in range(len(chosen))]
    sounding = [name for name, kind in zip(names, chosen, strict=True) if kind.endswith("~") and kind != "level~"]
    numbers = [name for name in names if name not in sounding]
    weight = st.sampled_from([0.0, 0.5, -0.3, 1.0, 0.2])
    neurons = {}
    for name, kind in zip(names, chosen, strict=True):
        rows = {}
        for port in LIBRARY[kind].inputs.values():
            legal = numbers + (sounding if kind.endswith("~") else [])
            chosen_sources = draw(st.lists(st.sampled_from(legal), max_size=3)) if legal else []
            # strong phase feedback is chaos: rounding would grow threefold with every sample
            row = {s: draw(weight) * (0.1 if port.name == "offset" else 1.0) for s in chosen_sources}
            default = port.default if isinstance(port.default, float | int) else 0.0
            if port.name == "time":
                default = draw(st.sampled_from([0.0001, 0.0021]))
                row = {}
            row["one"] = default or 0.1
            rows[port.name] = row
        neurons[name] = (kind, rows)
    return neurons


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.booleans())
def test_random_networks_agree_with_the_plain_engine(neurons, strict):
    graph = graph_of(neurons, exports=[name for name in neurons], strict=strict, rate=6400, ticks=200)
    vm, plain = vm_of(graph), PlainNetwork(graph)
    for _ in range(3):  # 96 samples: cycles of sound are chaotic beyond
        run(vm, 1)
        plain.tick()
        expected = [values[0] for values in plain.y]
        assume(np.abs(expected).max() < 100)  # what explodes, explodes differently
        assert vm.numbers(vm.tick) == pytest.approx(np.array(expected), abs=1e-6)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.booleans())
def test_random_networks_have_the_same_bits_by_blocks_and_by_samples(neurons, strict):
    graph = graph_of(neurons, exports=[name for name in neurons], strict=strict, rate=6400, ticks=200)
    blocks, samples = vm_of(graph), vm_of(graph, by_samples=True)
    alike = not blocks._plan.tangles  # inside a cycle, what comes from outside is added first
    for _ in range(4):
        run(blocks, 1)
        run(samples, 1)
        a, b = blocks.numbers(blocks.tick), samples.numbers(samples.tick)
        assert np.array_equal(a, b) if alike else a == pytest.approx(b, abs=1e-6)


def wide_mix():
    """Many voices of several kinds into one mix, whose terms are summed part by part."""
    neurons = {"n": ("noise~", {}), "lfo": ("sine~", {"frequency": 3.0})}
    for k in range(40):
        neurons[f"a{k:02}"] = ("saw~", {"frequency": 40.0 + 11 * k})
        rows = {"input": {f"a{k:02}": 1.0, "n": 0.1}, "cutoff": {"one": 900.0, "lfo": 300.0}}
        neurons[f"b{k:02}"] = ("onepole~", rows)
    voices = [f"{letter}{k:02}" for letter in "ab" for k in range(40)]
    neurons["mix"] = ("product~", {"a": {voice: 0.01 + 0.001 * k for k, voice in enumerate(voices)}})
    neurons["speakers"] = ("speakers", {"left": {"mix": 0.5}, "right": {voice: 0.01 for voice in voices}})
    return graph_of(neurons)


def test_rows_that_are_used_again_and_sums_in_parts_change_no_bit():
    graph = wide_mix()
    lean, kept, samples = (
        vm_of(graph, keep_rows=False), vm_of(graph), vm_of(graph, keep_rows=False, by_samples=True)
    )  # fmt: skip
    assert lean._plan.row_count < kept._plan.row_count
    sounds = [run(vm, 8) for vm in (lean, kept, samples)]
    assert sounds[0].any()
    assert np.array_equal(sounds[0], sounds[1]) and np.array_equal(sounds[0], sounds[2])


def test_a_part_of_a_wide_sum_that_is_not_finite_is_left_out_and_the_rest_is_whole():
    neurons = {f"a{k:02}": ("sine~", {"frequency": 50.0 + k}) for k in range(40)}
    whole = {**neurons, "mix": ("product~", {"a": {name: 1.0 for name in neurons}})}
    broken = {**neurons, "a20b": ("reciprocal~", {"input": {"zero": 1.0}}), "zero": ("clip~", {"input": 0.0})}
    broken["mix"] = ("product~", {"a": {name: 1.0 for name in [*neurons, "a20b"]}})
    vm = vm_of(graph_of(broken))
    assert np.array_equal(heard(vm, "mix", 3), heard(vm_of(graph_of(whole)), "mix", 3))
    assert [name for _, name, _ in vm.events()] == ["a20b"]


# --- Hops ---------------------------------------------------------------------------------------------


def test_x_minus_x_through_five_gains_is_silence():
    neurons = {"x": ("noise~", {}), "g0": ("product~", {"a": {"x": 1.0}, "b": 1.0})}
    for k in range(1, 5):
        neurons[f"g{k}"] = ("product~", {"a": {f"g{k - 1}": 1.0}, "b": 1.0})
    neurons["sum"] = ("product~", {"a": {"x": 1.0, "g4": -1.0}, "b": 1.0})
    assert not heard(vm_of(graph_of(neurons)), "sum", 3).any()


def test_strict_hops_cost_one_sample_each():
    neurons = {"x": ("noise~", {}), "g": ("product~", {"a": {"x": 1.0}, "b": 1.0})}
    neurons["h"] = ("product~", {"a": {"g": 1.0}, "b": 1.0})
    vm = vm_of(graph_of(neurons, strict=True))
    blocks = [(run(vm, 1), rows_of(vm, "x")[0], rows_of(vm, "h")[0])[1:] for _ in range(3)]
    x, h = (np.concatenate(part) for part in zip(*blocks, strict=True))
    assert np.array_equal(h[2:], x[:-2])


def test_a_loop_through_a_delay_lasts_exactly_its_time():
    neurons = {
        "click": ("compare~", {"a": {"ramp": 1.0}, "b": 0.9999}),
        "ramp": ("phasor~", {"frequency": 1.0, "offset": 0.99985}),
        "pass": ("product~", {"a": {"click": 1.0, "echo": 1.0}, "b": 1.0}),
        "echo": ("delay~", {"input": {"pass": 1.0}, "time": 100 / RATE}),
    }
    sound = heard(vm_of(graph_of(neurons)), "pass", 4)[0]
    first = int(np.argmax(sound > 0.5))
    expected = np.zeros_like(sound)
    burst = int((heard(vm_of(graph_of(neurons)), "click", 1)[0] > 0.5).sum())
    for k in range(first, len(sound), 100):
        expected[k : k + burst] = 1.0
    assert burst > 0
    assert sound == pytest.approx(expected, abs=1e-9)


def test_a_cycle_of_sines_costs_one_sample_per_hop():
    graph = graph_of(
        {
            "a": ("sine~", {"frequency": 200.0, "offset": {"b": 0.2}}),
            "b": ("sine~", {"frequency": 300.0, "offset": {"a": 0.2}}),
        }
    )
    sound = heard(vm_of(graph), "a", 1)[0]
    a = b = 0.0
    for t in range(64):
        a, b = (
            np.sin(2 * np.pi * (200 * t / RATE + 0.2 * b)),
            np.sin(2 * np.pi * (300 * t / RATE + 0.2 * a)),
        )
        assert sound[t] == pytest.approx(a, abs=1e-6)


def test_numbers_settle_in_one_tick_and_accumulate_one_step_per_tick():
    graph = graph_of(
        {
            "c": ("product", {"a": {"b": 2.0}, "b": 1.0}),
            "b": ("product", {"a": {"a": 2.0}, "b": 1.0}),
            "a": ("product", {"a": 5.0, "b": 1.0}),
            "n": ("accum", {"accum": {"n": 1.0}, "delta": {"a": 1.0}}),
        },
        exports=("c", "n"),
    )
    vm = vm_of(graph)
    run(vm, 4)
    assert [list(vm.numbers(k)) for k in (1, 2, 3, 4)] == [[20, 0], [20, 5], [20, 10], [20, 15]]


def test_what_an_analyser_hears_in_block_k_is_in_state_k_plus_1():
    graph = graph_of(
        {
            "x": ("saw~", {"frequency": 100.0}),
            "ear": ("tap_of~", {"input": {"x": 1.0}}),
            "twice": ("product", {"a": {"ear": 2.0}, "b": 1.0}),
        },
        exports=("ear", "twice"),
    )
    vm = vm_of(graph)
    for tick in range(4):
        run(vm, 1)
        last = rows_of(vm, "x")[0, -1]
        assert list(vm.numbers(tick + 1)) == [last, 2 * last]


# --- Edits --------------------------------------------------------------------------------------------


def constant_sound(weight=1.0):
    return graph_of({"a": ("product~", {"a": {"one": weight}, "b": 1.0})})


def test_a_weight_into_sound_runs_linearly_over_the_block_of_its_tick():
    vm = vm_of(constant_sound())
    vm.post_weight(2, vm.key_index(("a", "a", "one")), 3.0)
    sound = heard(vm, "a", 4)[0]
    assert (sound[: 2 * BLOCK] == 1.0).all()
    assert sound[2 * BLOCK : 3 * BLOCK] == pytest.approx(1 + 2 * (np.arange(BLOCK) + 1) / BLOCK)
    assert (sound[3 * BLOCK :] == 3.0).all()


def test_a_number_into_sound_runs_linearly_from_one_state_to_the_next():
    graph = graph_of({"n": ("integrate", {"input": float(TICKS)}), "a": ("product~", {"a": {"n": 1.0}, "b": 1.0})})
    sound = heard(vm_of(graph), "a", 4)[0]
    expected = np.concatenate([np.zeros(BLOCK), (np.arange(3 * BLOCK) + 1) / BLOCK])
    assert sound == pytest.approx(expected, abs=1e-12)


def test_an_external_is_a_number_from_outside():
    graph = graph_of({"n": ("product", {"a": {"x0": 2.0}, "b": {"x1": 1.0}})}, exports=("n",), externals=2)
    vm = vm_of(graph)
    vm.post_external(1, 0, 3.0)
    vm.post_external(1, 1, 4.0)
    vm.post_external(2, 1, float("nan"))
    run(vm, 3)
    assert [vm.numbers(k)[0] for k in (1, 2, 3)] == [0.0, 24.0, 0.0]


def test_a_new_entry_into_a_neuron_that_runs_begins_at_0_and_a_cut_one_ends_there():
    before = graph_of({"a": ("product~", {"a": {"one": 1.0}, "b": 1.0})})
    after = graph_of({"a": ("product~", {"a": {"q": 1.0}, "b": 1.0}), "q": ("product~", {"a": 5.0, "b": 1.0})})
    vm = vm_of(before)
    sound = [heard(vm, "a", 2)[0]]
    vm.post_swap(2, build_plan(after, before, keep_rows=True))
    sound.append(blocks_of_a_change(vm, "a", 1))
    sound.append(heard(vm, "a", 2)[0])
    sound = np.concatenate(sound)
    rise = (np.arange(BLOCK) + 1) / BLOCK
    assert (sound[: 2 * BLOCK] == 1.0).all()
    assert sound[2 * BLOCK : 3 * BLOCK] == pytest.approx(1 - rise + 5 * rise)
    assert (sound[3 * BLOCK :] == 5.0).all()


def blocks_of_a_change(vm, name, ticks):
    """Like `heard`, while the plan that fades the old one out is running."""
    plan = vm._plan.transition
    index = [node.name for node in plan.graph.nodes].index(name)
    blocks = []
    for _ in range(ticks):
        run(vm, 1)
        blocks.append(plan.rows[plan.first_row[index], 8 : 8 + plan.block].copy())
    return np.concatenate(blocks)


def test_a_neuron_that_is_removed_fades_out_while_it_still_runs():
    before = graph_of({"a": ("sine~", {"frequency": 500.0}), "m": ("product~", {"a": {"a": 1.0}, "b": 1.0})})
    after = graph_of({"m": ("product~", {"a": {}})})
    vm = vm_of(before)
    heard(vm, "m", 3)
    vm.post_swap(3, build_plan(after, before, keep_rows=True))
    fading = blocks_of_a_change(vm, "m", 1)
    n = np.arange(BLOCK) + 3 * BLOCK
    share = 1 - (np.arange(BLOCK) + 1) / BLOCK
    assert fading == pytest.approx(share * np.sin(2 * np.pi * 500 * n / RATE), abs=1e-7)
    assert not heard(vm, "m", 1).any()


def test_state_and_weights_outlast_a_plan():
    neurons = {"a": ("sine~", {"frequency": 313.0}), "d": ("delay~", {"input": {"a": 1.0}, "time": 0.01})}
    more = {**neurons, "b": ("sine~", {"frequency": 20.0})}
    plain, swapped = vm_of(graph_of(neurons)), vm_of(graph_of(neurons))
    for vm in (plain, swapped):
        vm.post_weight(3, vm.key_index(("a", "frequency", "one")), 471.0)
    expected = heard(plain, "d", 20)
    begin = heard(swapped, "d", 8)
    swapped.post_swap(8, build_plan(graph_of(more), graph_of(neurons), keep_rows=True))
    middle = heard(swapped, "d", 5)
    swapped.post_swap(13, build_plan(graph_of(neurons), graph_of(more), keep_rows=True))
    run(swapped, 1)
    last = heard(swapped, "d", 6)
    assert np.array_equal(np.concatenate([begin, middle], axis=1), expected[:, : 13 * BLOCK])
    assert np.array_equal(last, expected[:, 14 * BLOCK :])


def test_a_neuron_that_wakes_has_its_inputs_in_full_at_once():
    before = graph_of({"a": ("sine~", {"frequency": 100.0})})
    after = graph_of({"a": ("sine~", {"frequency": 100.0}), "b": ("sine~", {"frequency": 1000.0})})
    vm = vm_of(before)
    run(vm, 3)
    vm.post_swap(3, build_plan(after, before, keep_rows=True))
    assert heard(vm, "b", 1)[0] == pytest.approx(np.sin(2 * np.pi * np.arange(BLOCK) / 48), abs=1e-8)


def test_a_key_that_returns_while_it_fades_comes_back_to_its_value():
    with_it = constant_sound(2.0)
    without = graph_of({"a": ("product~", {"a": {}})})
    vm = vm_of(with_it)
    run(vm, 2)
    vm.post_swap(2, build_plan(without, with_it, keep_rows=True))
    run(vm, 1)
    vm.post_swap(3, build_plan(with_it, without, keep_rows=True))
    assert heard(vm, "a", 3)[0, -BLOCK:] == pytest.approx(2.0)


def random_voices(rng):
    """Some of twenty sines, some of them through a filter, into the speakers."""
    neurons, mix = {}, {}
    for k in rng.permutation(20)[: rng.integers(1, 12)]:
        neurons[f"a{k:02}"] = ("sine~", {"frequency": 60.0 + 20.0 * k})
        name = f"a{k:02}"
        if rng.random() < 0.5:
            neurons[f"f{k:02}"] = ("onepole~", {"input": {name: 1.0}, "cutoff": 500.0})
            name = f"f{k:02}"
        mix[name] = 0.03
    neurons["speakers"] = ("speakers", {"both": mix})
    return graph_of(neurons)


def test_neurons_that_come_and_go_never_click():
    rng = np.random.default_rng(5)
    running = random_voices(rng)
    vm = vm_of(running)
    sound = [run(vm, 24)]
    for _ in range(80):
        following = random_voices(rng)
        vm.post_swap(vm.tick, build_plan(following, running))
        running = following
        sound.append(run(vm, int(rng.integers(1, 4))))
    sound = np.concatenate(sound)[2400:, 0]
    assert np.abs(np.diff(sound)).max() < 12 * 0.03 * (2 * np.pi * 440 / RATE + 1 / BLOCK)
    bends = np.abs(np.diff(sound, 2))  # a click is a jump: twice differenced it is as high as the jump itself
    assert bends.max() < 0.01


def test_what_left_is_forgotten_so_memory_stays_flat():
    rng = np.random.default_rng(6)
    running = random_voices(rng)
    vm = vm_of(running)
    for _ in range(300):
        following = random_voices(rng)
        vm.post_swap(vm.tick, build_plan(following, running))
        running = following
        run(vm, 1)
    assert len(vm._kept) <= 40
    assert vm._weights.used <= 150
    assert len(vm._plans) <= 2 * 256 + 10


def test_plans_that_arrive_late_are_taken_over_while_the_sound_runs():
    rng = np.random.default_rng(7)
    running = random_voices(rng)
    vm, ring = vm_of(running), ReadableRing(8192)
    vm.publish(0)
    vm.start(ring.base, fill=1000, slack=900)
    try:
        for turn in range(150):
            following = random_voices(rng)
            vm.post_swap(2 * turn, build_plan(following, running))  # ticks long past, on a fast device
            vm.publish(2 * turn)
            running = following
            assert np.isfinite(drained(ring, 500)).all()
    finally:
        vm.stop()
    assert vm.lags()
    vm.publish(1 << 40)
    assert np.isfinite(vm.run(5)).all()


def test_a_weight_that_is_not_finite_counts_as_zero():
    vm = vm_of(constant_sound())
    vm.post_weight(1, vm.key_index(("a", "a", "one")), float("inf"))
    assert not heard(vm, "a", 3)[0, -BLOCK:].any()


def test_more_commands_than_the_ring_holds_arrive_all_the_same():
    vm = vm_of(constant_sound())
    index = vm.key_index(("a", "a", "one"))
    for k in range(100_000):
        vm.post_weight(k // 1000, index, float(k))
    assert heard(vm, "a", 102)[0, -1] == 99_999.0


def test_only_published_ticks_are_rendered():
    vm = SignalVM()
    vm.post_swap(0, build_plan(constant_sound()))
    assert len(vm.run(5)) == 0
    vm.publish(2)
    assert len(vm.run(5)) == 3 * BLOCK
    assert vm.tick == 3
    assert len(vm.run(2, force=True)) == 2 * BLOCK


# --- Numbers that are not finite --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["blocks", "samples"])
def test_a_sound_that_is_not_finite_is_muted_named_once_and_tried_again_three_times(path):
    graph = graph_of(
        {
            "bad": ("grows~", {"input": 1e9}),
            "good": ("product~", {"a": {"bad": 1.0, "n": 1.0}, "b": 1.0}),
            "n": ("sine~", {"frequency": 100.0}),
        },
        ticks=TICKS,
    )
    vm = vm_of(graph, by_samples=path == "samples")
    run(vm, 1)
    assert vm.events() == [(0, "bad", "non-finite")]
    assert np.isfinite(rows_of(vm, "good")).all()
    run(vm, 1)
    assert not rows_of(vm, "bad").any() and rows_of(vm, "good").any()
    run(vm, 239)
    assert vm.events() == []
    run(vm, 5 * 240)
    assert [tick for tick, _, _ in vm.events()] == [241, 482, 723]  # three times more, then never
    vm.reset("bad")
    run(vm, 3)
    assert [name for _, name, _ in vm.events()] == ["bad"]


def test_a_number_that_is_not_finite_is_muted_too():
    neurons = {"bad": ("grows", {"input": 1e200}), "n": ("product", {"a": {"bad": 1.0}})}
    graph = graph_of(neurons, exports=("n",))
    vm = vm_of(graph)
    run(vm, 6)
    numbers = [vm.numbers(k)[0] for k in range(1, 7)]
    assert numbers[:2] == [1.0, 1e200] and numbers[2:] == [0.0] * 4
    assert [name for _, name, _ in vm.events()] == ["bad"]


def test_a_pure_step_that_is_not_finite_never_reaches_a_weight():
    graph = graph_of(
        {
            "ramp": ("phasor~", {"frequency": 0.0}),
            "bad": ("reciprocal~", {"input": {"ramp": 1.0}}),
            "sum": ("product~", {"a": {"bad": 0.5, "ok": 1.0}, "b": 1.0}),
            "ok": ("sine~", {"frequency": 50.0}),
        }
    )
    vm = vm_of(graph)
    sound = heard(vm, "sum", 2)[0]
    assert np.isfinite(sound).all() and sound.any()
    assert [name for _, name, _ in vm.events()] == ["bad"]


# --- State ------------------------------------------------------------------------------------------------


def test_state_saved_and_loaded_goes_on_with_the_same_bits():
    graph = graph_of(
        {
            "n": ("noise~", {}),
            "c": ("comb~", {"input": {"n": 0.1}, "time": 0.003, "feedback": 0.95}),
            "e": ("envelope~", {"gate": {"l": 1.0}, "attack": 0.01, "decay": 0.1, "sustain": 0.5, "release": 0.1}),
            "l": ("sine~", {"frequency": 5.0}),
            "w": ("walk", {"frequency": 2.0}),
        },
        exports=("w",),
    )
    first, second = vm_of(graph), vm_of(graph)
    run(first, 20)
    assert second.load_state(first.state()) == []
    a = np.concatenate([heard(first, "c", 3), heard(first, "e", 3)])
    b = np.concatenate([heard(second, "c", 3), heard(second, "e", 3)])
    assert np.array_equal(a, b)
    assert first.numbers(first.tick) == second.numbers(second.tick)


def test_dropped_state_returns_when_a_swap_brings_it():
    neurons = {"c": ("integrate", {"input": 1.0}), "o": ("product", {"a": {"c": 1.0}})}
    with_it = graph_of(neurons, exports=("o",))
    without = graph_of({"o": ("product", {"a": {}})}, exports=("o",))
    vm = vm_of(with_it)
    run(vm, 240)
    saved = vm.state(["c"])
    vm.post_swap(vm.tick, build_plan(without, with_it, keep_rows=True))
    run(vm, 10)
    vm.post_swap(vm.tick, build_plan(with_it, without, keep_rows=True), states=saved)
    run(vm, 2)
    assert vm.numbers(vm.tick)[0] == pytest.approx(1 + 2 / 240)


# --- Live ---------------------------------------------------------------------------------------------------


def drained(ring, frames, timeout=20.0):
    """Reads frames from a ring as a device would, but as fast as they come."""
    out, deadline = [], time.monotonic() + timeout
    while sum(map(len, out)) < frames:
        assert time.monotonic() < deadline
        ready = ring.written - ring.read
        if ready:
            out.append(ring.take(ready))
        else:
            time.sleep(0.0005)
    return np.concatenate(out)[:frames]


class ReadableRing(Ring):
    def take(self, count):
        places = (self.read + np.arange(count)) % self.size
        frames = self._frames.reshape(-1, 2)[places].copy()
        self._control[16] += count
        return frames


def loud():
    return graph_of(
        {
            "a": ("saw~", {"frequency": {"one": 110.0, "b": 20.0}}),
            "b": ("sine~", {"frequency": 6.0}),
            "speakers": ("speakers", {"both": {"a": 0.3}}),
        }
    )


def test_the_live_loop_sounds_as_offline():
    expected = run(vm_of(loud()), 60)
    vm, ring = vm_of(loud()), ReadableRing(4096)
    vm.publish(1 << 40)
    vm.start(ring.base, fill=1024)
    try:
        sound = drained(ring, 60 * BLOCK)
    finally:
        vm.stop()
    assert np.array_equal(sound, expected)
    assert vm.lags() == []


def test_the_live_loop_waits_for_python_only_while_the_ring_has_slack():
    vm, ring = SignalVM(), ReadableRing(4096)
    vm.post_swap(0, build_plan(loud()))
    vm.publish(3)
    vm.start(ring.base, fill=2048, slack=400)
    try:
        assert vm.wait(4, 10.0)
        held = drained(ring, 4 * BLOCK)
        assert vm.wait(6, 10.0)  # the ring ran empty: it goes on without being told
    finally:
        vm.stop()
    assert np.array_equal(held, run(vm_of(loud()), 4))
    assert vm.lags()[0] == (4, 3)


def test_the_live_loop_runs_while_another_thread_holds_the_interpreter():
    vm, ring = vm_of(loud()), ReadableRing(1 << 15)
    vm.publish(1 << 40)
    vm.start(ring.base, fill=1 << 14)
    seen = []

    def hold():
        begun = vm.tick
        sum(k for k in range(3_000_000))  # one long stretch of Python
        seen.append(vm.tick - begun)

    try:
        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
        assert vm.wait(40, 10.0)
    finally:
        vm.stop()
    assert seen


# --- Sentences ----------------------------------------------------------------------------------------------


def sentence_for(step, **options):
    own = Library()
    signal(library=own, rates="control", **options)(step)
    with pytest.raises(DmmError) as error:
        compile_activation(own[step.__name__])
    return str(error.value)


def test_a_step_that_fails_is_named_with_file_line_and_reason():
    def broken(input: Number):
        """Broken."""
        return input + undefined  # noqa: F821

    text = sentence_for(broken)
    line = broken.__code__.co_firstlineno + 2
    assert f"test_signal_vm.py, line {line}" in text
    assert "undefined" in text and "`broken`" in text


def test_a_step_that_returns_too_little_is_told_what_is_missing():
    def short(input: Number, kept: State = 0.0):
        """Short."""
        return input

    assert "returns 1 numbers; 2 are declared" in sentence_for(short)


def test_a_step_that_cannot_be_compiled_is_explained():
    def texts(input: Number):
        """Texts."""
        return float(f"{input}")

    text = sentence_for(texts)
    assert "test_signal_vm.py, line" in text and "cannot be compiled" in text
    assert "\n" not in text


def test_a_tick_rate_that_does_not_divide_is_refused():
    with pytest.raises(DmmError, match="cannot be cut"):
        SignalVM(44_100, 240)


# --- Users' steps ---------------------------------------------------------------------------------------------


def test_a_users_step_with_helpers_of_its_own_is_compiled_and_changed():
    def twice(x):
        return 2.0 * x

    scope = {"twice": twice}

    def made(factor):
        own = Library(LIBRARY)

        def mine(input: Number, line: Memory = 0.01):
            """Mine."""
            return scope_twice(input) * factor, input

        scope_twice = scope["twice"]
        signal(library=own, rates="audio")(mine)
        return own["mine~"]

    first, second = made(3.0), made(5.0)
    assert heard(vm_of(graph_of({"u": (first, {"input": 1.0})})), "u", 1)[0, -1] == 6.0
    before = graph_of({"u": (first, {"input": 1.0})})
    vm = vm_of(before)
    run(vm, 2)
    vm.post_swap(2, build_plan(graph_of({"u": (second, {"input": 1.0})}), before, keep_rows=True))
    assert heard(vm, "u", 1)[0, -1] == 10.0


def test_a_delay_line_is_as_long_as_its_setting():
    own = Library(LIBRARY)

    def echo(input: Number, line: Memory = 0.5):
        """Echo."""
        return between_taps(line, 1e9), input

    signal(library=own, rates="audio")(echo)
    graph = graph_of({"u": (own["echo~"], {"input": 1.0}, {"longest": 0.001})})
    sound = heard(vm_of(graph), "u", 1)[0]
    assert np.argmax(sound > 0.5) == pytest.approx(64 - 4, abs=2)

"""The dense lightweight machines: what the originals computed, bit by bit, and what a patch hears and sees of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from running import lockstep, steps, submit

from dmm_av.activations import pure
from dmm_av.commands.lineage_rows.pure import ROWS, frames_of, plainly, spells
from dmm_av.commands.lineage_rows.running import open_row
from dmm_av.io.offline_stage import OfflineStage
from dmm_av.network.edits import Set, Setting
from dmm_av.streams.linear import array_of_tree, matrix_combination, tree_of_array

GOLDEN = json.loads((Path(__file__).parent / "fixtures" / "lightweight_pure.json").read_text())
WAKE = ("plus", "times", "times", "max", "max")
CONWAY = ("pseudoconway",) * 5
TRACES = {"wake_sleep_seed_746484": WAKE, "pseudoconway_seed_746484": CONWAY}


def begun(case):
    order = tuple(case["fill_order_of_output_indices"])
    outputs = pure.random_outputs(case["n_inputs"], case["n_outputs"], case["seed"], order)
    return pure.Streams(outputs, np.zeros((case["n_inputs"], case["n_inputs"], case["n_outputs"]), np.float32))


def run_of(text, **settings):
    """A `LockStep` of one machine with these settings."""
    own = ", ".join(f"{key}: {json.dumps(value)}" for key, value in settings.items())
    return lockstep(f"format: 1\nneurons:\n  machine: {{is: pure, {own}}}\n{text}")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_of_the_catalogue_shows_what_is_known_of_it(row):
    obtained, passed = row.obtain()
    assert passed, f"expected {row.expected}; obtained {obtained}"


def test_the_generator_is_that_of_java():
    generator = pure.JavaRandom(746484)
    drawn = [float(generator.below(2) - np.float32(1)) for _ in range(8)]
    assert drawn == GOLDEN["java_random_746484_first8_random2_minus1"]


@pytest.mark.parametrize("name", TRACES)
def test_three_hundred_frames_are_those_of_the_original_bit_by_bit(name):
    case, streams, logged = GOLDEN[name], begun(GOLDEN[name]), []
    for frame in range(1, 301):
        before = streams
        streams, raw = pure.next_frame(streams, TRACES[name])
        logged.append([float(raw.outputs[0, 1, 1]), float(raw.inputs[1, 1, 1])])
        checks = case["after_squeeze_checks"].get(str(frame))
        if checks is not None:
            assert streams.outputs[0, 1, :6].tolist() == checks["W_row1"]
            assert streams.inputs.mean(dtype=np.float64) == pytest.approx(checks["mean_input"], abs=1e-12)
            assert streams.inputs.sum(dtype=np.float64) == pytest.approx(checks["sum_inputs_f64"], abs=1e-9)
            assert streams.outputs.sum(dtype=np.float64) == pytest.approx(checks["sum_outputs_f64"], abs=1e-9)
        change = case.get("mean_abs_change_per_frame", {}).get(str(frame))
        if change is not None:
            assert np.abs(streams.outputs - before.outputs).mean(dtype=np.float64) == pytest.approx(change, abs=1e-8)
    first = case["logged_before_squeeze_W11_and_in1_11"]
    assert logged[: len(first)] == first
    assert {frame: logged[int(frame) - 1] for frame in case["at_frames"]} == case["at_frames"]


def test_the_same_machine_with_its_inputs_zeroed_falls_into_period_9_and_never_sleeps():
    streams, last, changes = begun(GOLDEN["wake_sleep_seed_746484"]), [], []
    for _ in range(3000):
        before = streams
        streams, _ = pure.next_frame(streams, WAKE, zeroed=True)
        changes.append(np.abs(streams.outputs - before.outputs).mean(dtype=np.float64))
        last = [*last[-9:], streams.outputs]
    known = GOLDEN["wake_sleep_summary_3000_frames"]["if_inputs_are_zeroed_each_frame"]
    assert sum(change < 0.002 for change in changes) == known["quiet_frames"]
    assert np.median(changes) == pytest.approx(known["median"], abs=5e-5)
    assert known["settles_to_exact_period"] == 9
    assert np.abs(last[0] - last[9]).max() < 1e-5  # exact but for what float32 rounds
    assert all(np.abs(last[0] - last[period]).max() > 0.1 for period in range(1, 9))


def test_as_written_its_changes_have_the_known_median_and_tenth():
    changes = frames_of("sleep_wake", 3000, ["change"])["change"][1:]
    known = GOLDEN["wake_sleep_summary_3000_frames"]["as_written"]
    assert np.median(changes) == pytest.approx(known["median"], abs=5e-5)
    assert np.percentile(changes, 90) == pytest.approx(known["p90"], abs=5e-4)
    quiet = [[first + 1, last + 1] for first, last in spells(np.array(changes) < 0.002, 20)]
    assert quiet == known["quiet_below_0.002_runs_of_20_or_more_frames"]


def test_pseudoconway_is_that_of_the_golden_grid_and_of_uniform_boards():
    grid = GOLDEN["pseudoconway_grid"]
    assert pure.pseudoconway(np.array(grid["in"], np.float32)).tolist() == grid["out"]
    for value, result in GOLDEN["pseudoconway_uniform"].items():
        assert (pure.pseudoconway(np.full((5, 7), float(value), np.float32)) == result).all()


def test_the_machine_equals_loops_over_single_elements_of_its_matrix():
    streams = pure.Streams(pure.random_outputs(9, 8, 11), np.zeros((9, 9, 8), np.float32))
    outputs, inputs = streams.outputs.copy(), streams.inputs.copy()
    sources = {
        2: lambda x: x[2] + x[3],
        4: lambda x: x[4] * x[5],
        6: lambda x: np.maximum(x[6], x[7]),
    }
    for _ in range(50):
        streams, _ = pure.next_frame(streams, ("plus", "times", "max"))
        plainly(outputs, inputs, sources)
        assert np.array_equal(streams.outputs, outputs) and np.array_equal(streams.inputs, inputs)


def test_row_0_is_guarded_and_an_unguarded_machine_may_lose_its_loop():
    start = {"0": {"1": {"1": 1}}, "1": {"0": {"0": -1}}}
    loops = []
    for guarded in (True, False):
        run = run_of("", fill="zero", zeroed=True, squeezed=False, guarded=guarded, start=start)
        seen = []
        for _ in range(6):
            run.step()
            seen.append(float(run.machine.outputs["machine"]["out"][0, 0]))
        loops.append(seen)
    assert loops[0] == [1.0] * 6
    assert loops[1] == [1.0, 0.0, -1.0, 1.0, 1.0, 1.0]  # all is lost but the update, whose own weight is the loop's


def test_an_all_zero_matrix_is_not_divided_and_nothing_becomes_nan():
    zero = np.zeros((2, 3, 3), np.float32)
    assert not pure.squeezed(zero).any()
    wild = pure.finite(np.array([[[np.nan, np.inf], [-np.inf, 1e30]]], np.float32))
    assert np.isfinite(wild).all() and np.abs(wild).max() <= 1e6


def test_a_machine_that_grows_without_bound_stays_finite():
    run = run_of("", fill="zero", zeroed=False, squeezed=False, start={"0": {"1": {"1": 3}}, "1": {"1": {"1": 9}}})
    steps(run, 80)
    assert np.isfinite(run.machine.outputs["machine"]["board"]).all()
    assert not any(notice.is_error for notice in run.machine.notices)


def test_every_24_ticks_is_a_frame():
    run = run_of("", seed=1, every=24)
    frames = []
    for _ in range(100):
        run.step()
        frames.append(run.machine.outputs["machine"]["frame"])
    assert [frames.index(number) for number in (1, 2, 3)] == [24, 48, 72]


def test_two_and_a_half_ticks_are_two_and_three_in_turns():
    run = run_of("", seed=1, every=2.5)
    steps(run, 101)
    assert run.machine.outputs["machine"]["frame"] == 40


def test_run_0_stops_it_and_a_trigger_begins_anew():
    run = run_of("", seed=1)
    steps(run, 10)
    submit(run, Set("machine.run", "one", 0.0))
    steps(run, 5)
    stopped = run.machine.outputs["machine"]["frame"]
    steps(run, 5)
    assert run.machine.outputs["machine"]["frame"] == stopped > 0
    submit(run, Set("machine.trigger", "one", 1.0))
    steps(run, 4)
    assert run.machine.outputs["machine"]["frame"] == 0
    assert np.array_equal(run.machine.outputs["machine"]["out"], pure.random_outputs(12, 11, 1)[0])


def test_another_seed_while_it_runs_is_another_machine_and_other_activations_are_not():
    run = run_of("", seed=1)
    steps(run, 10)
    submit(run, Setting("machine", "activations", ["pseudoconway"]))
    steps(run, 5)
    assert run.machine.outputs["machine"]["frame"] > 10
    second = run.machine.outputs["machine"]["board"][0:12, 24:35]
    assert set(np.unique(second)) <= {-1.0, 1.0}
    submit(run, Setting("machine", "seed", 2))
    steps(run, 4)
    assert run.machine.outputs["machine"]["frame"] < 4


def test_a_hand_adds_to_an_element_of_the_matrix_over_osc_data():
    run = run_of("matrix:\n  machine.delta: osc.hand\n", fill="zero", zeroed=True, squeezed=False)
    steps(run, 3)
    run.machine.hold(("hand", "3", "5"), 0.25)
    steps(run, 2)
    before = run.machine.outputs["machine"]["out"][3, 5]
    steps(run, 4)
    after = run.machine.outputs["machine"]["out"]
    assert after[3, 5] == before + 4 * 0.25
    assert np.count_nonzero(after) == 2  # the loop and that element


def test_the_master_row_is_numbers_that_play():
    run = run_of("  tone: {is: product, a: machine.row/5}\n", seed=3, every=6)
    steps(run, 10)
    run.machine.refresh()
    outputs = run.machine.outputs["machine"]
    assert run.machine.value("machine.row/5") == pytest.approx(float(outputs["out"][1, 4]))
    steps(run, 1)
    run.machine.refresh()
    assert run.machine.value("tone") == pytest.approx(float(outputs["out"][1, 4]))


def test_a_matrix_of_another_machine_becomes_an_output_and_is_brought_to_its_size():
    run = run_of(
        "  other: {is: neighbours, gap: 3, rows: 24, columns: 22}\nmatrix:\n  machine.picture: {other.out: 2}\n",
        fill="zero",
        zeroed=True,
        squeezed=False,
    )
    steps(run, 6)
    board = run.machine.outputs["machine"]["board"]
    shown = board[:12, 12:23]
    blocks = run.machine.outputs["other"]["out"].reshape(12, 2, 11, 2).mean(axis=(1, 3))
    assert shown.shape == (12, 11) and shown.min() < 0.0
    assert abs(float(shown.mean()) - 2.0 * float(blocks.mean())) < 0.2


def test_the_organ_of_the_orchestrated_demo_has_the_known_gains():
    run = open_row("orchestrated")
    matrix = run.machine.network.matrix
    for k in range(23):
        assert matrix.weight((f"voice{k + 1}", "frequency", "one", "out")) == 40 * (k + 1)
        assert matrix.weight(("organ", "a", f"part{k + 1}", "out")) == pytest.approx(1.4**-k, rel=1e-3)


def test_terms_of_a_matrix_input_are_scaled_and_added_and_other_shapes_count_as_zero():
    streams = {
        "a": {"out": np.ones((2, 3), np.float32)},
        "b": {"out": np.full((2, 3), np.nan, np.float32)},
        "c": {"out": np.ones((4, 4), np.float32)},
        "n": {"out": 0.5},
        "t": {"out": {"0": {"0": 1.0, "1": 2.0, "2": 3.0}, "1": {"0": 4.0, "1": 5.0, "2": 6.0}}},
    }
    rows = {name: {"out": 2.0} for name in streams}
    assert matrix_combination(rows, streams).tolist() == [[5, 7, 9], [11, 13, 15]]
    assert matrix_combination({"n": {"out": 2.0}}, streams).tolist() == [[1.0]]
    assert matrix_combination({"gone": {"out": 1.0}}, streams) is None


def test_a_matrix_survives_being_a_tree():
    matrix = np.arange(24 * 13, dtype=np.float32).reshape(24, 13) + 1
    assert np.array_equal(array_of_tree(tree_of_array(matrix)), matrix)


def test_a_picture_reaches_the_machine_as_its_output_two_frames_later():
    stage = OfflineStage((96, 96))
    run = lockstep(
        "format: 1\nrates: {tick: 60, frame: 60}\nneurons:\n"
        "  up:  {is: gradient, size: [88, 96]}\n"
        "  eye: {is: cells.image, picture: {up: 2}, size: [88, 96]}\n"
        "  machine: {is: pure, fill: zero, zeroed: true, squeezed: false, picture: {eye.cells: 10, one: -5}}\n",
        stage=stage,
    )
    steps(run, 8)
    cells = array_of_tree(run.machine.outputs["eye"]["cells"])
    shown = run.machine.outputs["machine"]["board"][:12, 12:23]
    assert cells.shape == shown.shape == (12, 11)
    assert np.allclose(shown, 10 * cells - 5, atol=0.3)  # the blue of a gradient wanders from frame to frame
    assert (np.diff(cells[:, 5]) < 0).all() and (np.diff(cells[5]) > 0).all()  # green grows upwards, red to the right

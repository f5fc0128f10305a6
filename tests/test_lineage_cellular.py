"""Cellular machines: exact without noise, statistics with it."""

import json
from pathlib import Path

import numpy as np
import pytest
from running import lockstep, steps, submit

from dmm_av.activations.cellular import edges_of, first_board
from dmm_av.commands.lineage_rows.cellular import ENVELOPES, EXACT, HELD, LAGS, ROWS
from dmm_av.network.edits import Set

GOLDEN = json.loads((Path(__file__).parent / "fixtures" / "cellular.json").read_text())
FRAMES = (100, 250, 1000, 3000)
QUIET = GOLDEN["deterministic_p_1_[mean,std]_at_frames_100_250_1000_3000"]
CASES = [(letter, gap) for letter, gaps in QUIET.items() for gap in gaps]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_of_the_catalogue_shows_what_is_known_of_it(row):
    obtained, passed = row.obtain()
    assert passed, f"expected {row.expected}; obtained {obtained}"


def test_the_rows_expect_what_the_golden_cases_say():
    for patch, case in zip(ENVELOPES, GOLDEN["stochastic_p_0.995_frame_250"].values(), strict=True):
        assert ENVELOPES[patch] == (tuple(case["avg"]), tuple(case["min"]), tuple(case["max"]))
        assert [f"autocorr{lag}" for lag in LAGS[patch]] == case["columns"][2:]
    assert [list(pair) for pair in EXACT.values()] == QUIET["A"]["3"][: len(EXACT)]
    assert tuple(EXACT) == FRAMES[: len(EXACT)]


@pytest.mark.parametrize(("letter", "gap"), CASES)
def test_without_noise_boards_have_the_known_means_and_deviations(letter, gap):
    offsets = GOLDEN["connections"][letter]
    board = first_board(64, 64, int(gap))
    for frame, (mean, deviation) in zip(FRAMES[:3], QUIET[letter][gap][:3], strict=True):
        board = first_board(64, 64, int(gap))
        for _ in range(frame - HELD):
            board = edges_of(board, offsets, 1.0, 0, 0).mean(axis=0)
        assert board.mean(dtype=np.float64) == pytest.approx(mean, abs=1e-4)
        assert board.std(dtype=np.float64) == pytest.approx(deviation, abs=1e-4)


def test_an_edge_fails_as_often_as_it_should_and_is_made_up_for_in_part():
    board = np.ones((64, 64), np.float32)
    sent = np.stack([edges_of(board, [(1, 0), (0, 1)], 0.9, seed=7, frame=frame) for frame in range(20)])
    passed = sent > 0
    assert passed.mean() == pytest.approx(0.9, abs=0.003)
    assert np.unique(sent[passed]) == pytest.approx([1 + 0.8 * (1 / 0.9 - 1)])


def test_noise_of_one_frame_says_nothing_about_that_of_the_next_wherever_one_looks():
    board = np.ones((64, 64), np.float32)
    first, second = (edges_of(board, [(1, 0)], 0.5, 7, frame).ravel() > 0 for frame in (3, 4))
    for shift in range(-16, 17):
        assert abs(np.corrcoef(first, np.roll(second, shift))[0, 1]) < 0.08


def test_the_same_seed_gives_the_same_board_and_neurons_of_other_names_others():
    text = "format: 1\nneurons:\n  a: {is: neighbours, probability: 0.9}\n  b: {is: neighbours, probability: 0.9}\n"
    boards = []
    for _ in range(2):
        run = lockstep(text)
        steps(run, 20)
        boards.append([run.machine.outputs[name]["out"] for name in "ab"])
    assert np.array_equal(boards[0][0], boards[1][0])
    assert not np.array_equal(boards[0][0], boards[0][1])


def test_a_board_of_any_shape_and_neighbours_stays_on_its_torus():
    text = "format: 1\nneurons:\n  a: {is: neighbours, rows: 5, columns: 7, gap: 3, offsets: [[2, -3]]}\n"
    run = lockstep(text)
    steps(run, 1)
    first = run.machine.outputs["a"]["out"]
    steps(run, 1)
    assert np.array_equal(run.machine.outputs["a"]["out"], np.roll(first, (-2, 3), (0, 1)))


def test_a_weight_may_be_a_matrix_with_a_value_for_every_cell():
    run = lockstep(
        "format: 1\nneurons:\n"
        "  slope: {is: neighbours, gap: 2, offsets: [], constants: 0.5}\n"
        "  a: {is: neighbours, gap: 3, pattern: slope.out}\n"
    )
    steps(run, 3)
    before = run.machine.outputs["a"]["out"]
    weights = run.machine.outputs["slope"]["out"]
    steps(run, 1)
    heard = edges_of(before, [(1, 0), (0, 1), (-1, -1)], 1.0, 0, 0).mean(axis=0)
    assert np.allclose(run.machine.outputs["a"]["out"], weights * heard, atol=1e-6)


def test_edits_of_every_weight_never_make_anything_infinite():
    run = lockstep("format: 1\nneurons:\n  a: {is: neighbours, pattern: 5, probability: 0.5}\n")
    submit(run, Set("a.input", "one", 1e30), Set("a.fold", "one", 1e9), Set("a.mask", "one", 0.5))
    steps(run, 60)
    outputs = run.machine.outputs["a"]
    assert np.isfinite(outputs["out"]).all() and np.isfinite(outputs["mean"])
    assert not any(notice.is_error for notice in run.machine.notices)

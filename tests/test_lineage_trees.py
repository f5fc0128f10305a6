"""The machines of trees of the lineage (rows A1 to A10, E3, E5, E7, intervals), and the laws of their activations."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import lockstep, steps

from dmm_av.activations.library import open_library
from dmm_av.commands.lineage_rows import recurrent, trees
from dmm_av.commands.lineage_rows.running import watched
from dmm_av.streams.vvalue import clean, leaves, masked, number_at, total

PATCHES = Path(__file__).parent.parent / "patches" / "lineage"
FIXTURES = Path(__file__).parent / "fixtures"
NETWORKS = json.loads((FIXTURES / "networks.json").read_text())["networks"]
ROWS = (*trees.ROWS, *recurrent.ROWS)

LEAF = st.integers(-9, 9).map(float)
TREE = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAF, max_size=3),
    lambda branch: st.dictionaries(st.sampled_from("abc"), branch | LEAF, max_size=3),
    max_leaves=8,
).map(clean)
ENDS = st.fixed_dictionaries({"low": LEAF, "high": LEAF}).map(clean)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_shows_what_a_correct_run_shows(row):
    obtained, passed = row.obtain()
    assert passed, obtained


def test_the_numbers_that_the_rows_expect_are_those_of_the_reference_engine():
    edits = NETWORKS["live_edit"]
    assert [0 if weight == "ABSENT" else weight for weight in edits["osc_weight"]] == trees.OSC_WEIGHT
    assert [0 if x == "ABSENT" else x[":number"] for x in edits["osc_x"]] == trees.OSC_X
    assert [None if image == "ABSENT" else image for image in edits["img"]] == trees.IMAGE
    assert NETWORKS["async_reader"]["accum_output"][1:] == trees.COUNTED
    assert NETWORKS["leaky_accumulator_0.9"]["value"][1:] == pytest.approx(trees.LEAKY)
    assert NETWORKS["word_counter"]["counts_by_tick"][-1] == trees.WORDS


def test_the_recurrent_cells_are_what_their_writers_write():
    assert (PATCHES / "lstm.yaml").read_text() == recurrent.lstm()
    assert (PATCHES / "gru.yaml").read_text() == recurrent.gru()


# --- activations ---------------------------------------------------------------------------------------


def run_of(name, settings=None):
    """A function that lets an activation take a step with other inputs; it returns its outputs."""
    activation = open_library()[name]
    filled = {key: setting.default for key, setting in activation.settings.items()} | (settings or {})
    state = None

    def step(**inputs):
        nonlocal state
        given = {
            port: inputs.get(port, {} if str(d.kind) == "vvalue" else d.default)
            for port, d in activation.inputs.items()
        }
        more = {"settings": filled} if "settings" in activation.notes["parameters"] else {}
        if not activation.notes["stateful"]:
            return activation.body(**given, **more)
        found, state = activation.body(**given, **more, state=state)
        return found

    return step


def test_a_reader_gives_one_word_every_few_ticks_and_then_says_that_it_is_over():
    step = run_of("reader", {"text": "one two", "by": "words", "every": 3})
    found = [step() for _ in range(9)]
    assert [one["out"] for one in found] == [{"one": 1.0}, {}, {}, {"two": 1.0}, {}, {}, {}, {}, {}]
    assert [one["end"] for one in found] == [0, 0, 0, 0, 0, 0, 1, 1, 1]


def test_a_reader_that_loops_begins_again():
    step = run_of("reader", {"text": "ab", "loop": True})
    assert [next(iter(step()["out"])) for _ in range(5)] == list("ababa")


def test_a_reader_writes_a_colon_so_that_it_is_no_reserved_label():
    assert run_of("reader", {"text": ":"})()["out"] == {"%3A": 1.0}


def test_a_script_gives_its_trees_at_their_ticks_and_repeats_when_told():
    step = run_of("events", {"script": {"1": {"a": {"x": 1.0}}}, "quiet": {"b": 2.0}, "every": 3})
    assert [step() for _ in range(6)] == [{"b": 2.0}, {"a": {"x": 1.0}}, {"b": 2.0}] * 2


def test_a_memory_begins_with_its_tree_and_then_passes_on_what_arrives():
    step = run_of("memory", {"first": {"a": 1.0}})
    assert [step(input={}), step(input={"b": 2.0}), step(input={})] == [{"a": 1.0}, {"b": 2.0}, {}]


def test_a_list_grows_when_an_item_has_a_flag_and_keeps_only_so_many():
    step, listed = run_of("cons", {"most": 3}), {}
    for x in range(1, 8):
        listed = step(self=listed, signal={"x": float(x), "flag": 1.0})
        assert step(self=listed, signal={"x": 99.0}) is listed
    items = []
    while "this" in listed:
        items.append(listed["this"]["x"])
        listed = listed["rest"]
    assert items == [7, 6, 5]


def test_what_changes_is_given_out_once_with_a_flag():
    step = run_of("changes")
    seen = [step(input=v) for v in ({"x": 1.0}, {"x": 1.0}, {"x": 2.0}, {"x": 2.0})]
    assert seen == [{}, {}, {"x": 2.0, "flag": 1.0}, {}]


def test_a_latch_takes_a_tree_only_when_its_trigger_rises():
    step = run_of("latch")
    pairs = [(0, "a"), (1, "b"), (1, "c"), (0, "d"), (0.5, "e")]
    assert [step(input={label: 1.0}, trigger=height) for height, label in pairs] == [
        {},
        {"b": 1.0},
        {"b": 1.0},
        {"b": 1.0},
        {"e": 1.0},
    ]


@given(TREE, st.floats(0, 1))
def test_two_gates_with_amounts_that_sum_to_one_give_the_tree_back(v, amount):
    halves = total(run_of("gate")(input=v, amount=amount), run_of("gate")(input=v, amount=1.0 - amount))
    found, expected = dict(leaves(halves)), dict(leaves(v))
    assert {path: x for path, x in found.items() if abs(x) > 1e-9} == pytest.approx(expected)


@given(TREE, TREE)
def test_a_dot_product_is_symmetric_and_of_a_tree_with_itself_its_squares(a, b):
    step = run_of("dot")
    assert step(a=a, b=b) == step(a=b, b=a)
    assert step(a=a, b=a)["out"] == sum(x * x for _, x in leaves(a))


def test_a_dot_product_can_be_limited_as_in_dmm_lite():
    assert run_of("dot", {"limit": 4.0})(a={"x": 3.0}, b={"x": -3.0})["out"] == -4.0


@given(ENDS, ENDS)
def test_meets_and_joins_absorb_each_other_also_when_ends_are_crossed(a, b):
    step = run_of("intervals")
    both = step(a=a, b=b)
    assert both == step(a=b, b=a)
    assert step(a=a, b=both["meet"])["join"] == a == step(a=a, b=both["join"])["meet"]
    assert total(both["meet"], both["join"]) == total(a, b)  # a distributive lattice with a valuation


@given(TREE, st.sampled_from([-2.0, 1.0, 3.0]))
def test_an_offset_reaches_every_number_that_is_there_and_no_other(v, amount):
    found = dict(leaves(run_of("offset")(input=v, amount=amount)))
    assert found == {path: x + amount for path, x in leaves(v) if x + amount}


def test_a_timer_counts_ticks_and_a_printer_tells_the_player_at_most_so_often():
    run = lockstep(
        """
rates: {hops: strict}
neurons:
  count: {is: timer, input: count}
  says:  {is: printer, input: count, every: 20}
"""
    )
    seen = watched(run, ["count"], 50)["count"]
    assert seen[1:] == list(range(1, 50))
    assert [notice.text for notice in run.machine.notices] == [
        "says: :number 1",
        "says: :number 21",
        "says: :number 41",
    ]
    assert not any(notice.is_error for notice in run.machine.notices)


def test_a_mask_of_a_mask_is_the_product_of_both():
    run = lockstep(
        """
rates: {hops: strict}
neurons:
  t:     {is: constant, tree: {a: 2, b: {c: 3, d: 4}}}
  m:     {is: constant, tree: {b: {c: 5}}}
  under: {is: mask, main: t, mask: m}
"""
    )
    steps(run, 4)
    assert run.machine.outputs["under"]["out"] == masked({"b": {"c": 5.0}}, {"a": 2.0, "b": {"c": 3.0, "d": 4.0}})
    assert number_at(run.machine.outputs["under"]["out"], ("b", "c")) == 15.0

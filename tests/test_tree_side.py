"""The tree side of the machine: what nothing new has reached is not computed again, and nothing else changes by it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from running import lockstep, steps, submit

from dmm_av.activations.library import open_library
from dmm_av.network.activation import Library, Setting, tree
from dmm_av.network.edits import Set
from dmm_av.network.edits import Setting as SetSetting
from dmm_av.scheduler.tree_side import flat_terms, sum_of
from dmm_av.streams.vvalue import linear_combination

NUMBER = st.one_of(st.integers(-4, 4).map(float), st.floats(-1e300, 1e300), st.floats())
LABELS = st.sampled_from(["a", "b", ":number"])
TREE = st.recursive(
    NUMBER | st.none() | st.just("text"),
    lambda branch: st.dictionaries(st.sampled_from("ab"), branch | NUMBER, max_size=3),
    max_leaves=6,
)
STREAM = st.dictionaries(LABELS, NUMBER.filter(bool), max_size=3) | TREE
STREAMS = st.dictionaries(st.sampled_from("uvw"), st.dictionaries(st.sampled_from(["out", "b"]), STREAM), max_size=3)
WEIGHT = st.sampled_from([1.0, -1.0, 0.5, -2.0, 1e308]) | st.floats(-1e3, 1e3)
ROW = st.dictionaries(st.sampled_from("uvw"), st.dictionaries(st.sampled_from(["out", "b"]), WEIGHT, max_size=2))


def leaf_numbers(v, path=()):
    """{path: number} of a tree, without zeros and what is no number."""
    if isinstance(v, dict):
        return {p: x for label, y in v.items() for p, x in leaf_numbers(y, (*path, label)).items()}
    return {path: v} if isinstance(v, float | int) and v and abs(v) < float("inf") else {}


@settings(max_examples=400, deadline=None)
@given(ROW, STREAMS)
def test_a_sum_in_place_is_the_linear_combination_to_the_last_bit(row, streams):
    assert leaf_numbers(sum_of(flat_terms(row), streams)) == leaf_numbers(linear_combination(row, streams))


def test_a_row_that_reaches_into_a_tree_has_no_flat_terms():
    assert flat_terms({"a": {"out": {"x": 1.0}}}) is None
    assert flat_terms({"b": {"out": 1.0}, "a": {"y": 2.0, "x": 3.0}}) == [
        ("a", "x", 3.0),
        ("a", "y", 2.0),
        ("b", "out", 1.0),
    ]


def counting_library(calls):
    library = Library(open_library())

    @tree(inputs=("input",), settings=(Setting("more", "number", 0.0),), library=library)
    def counted(input, settings):
        """Notes that it is called."""
        calls.append(settings["more"])
        return {"a": settings["more"], "b": input}

    return library


PATCH = """
rates: {hops: strict}
neurons:
  still: {is: constant, tree: {x: 1}}
  busy:  {is: timer, input: busy}
  quiet: {is: counted, input: still}
  moved: {is: identity, input: {busy: 1, still: 1}}
"""


def test_a_neuron_that_nothing_new_reaches_is_not_called_again():
    calls = []
    run = lockstep(PATCH, counting_library(calls))
    steps(run, 5)
    before = len(calls)
    steps(run, 50)
    assert len(calls) == before
    assert run.machine.value("busy") == run.machine.value("moved")[":number"] + 1


def test_an_edit_of_its_row_or_its_setting_calls_it_again():
    calls = []
    run = lockstep(PATCH, counting_library(calls))
    steps(run, 10)
    submit(run, Set("quiet.input", "still", 3.0))
    steps(run, 4)
    assert run.machine.value("quiet") == {"a": 0.0, "b": {"x": 3.0}}
    submit(run, SetSetting("quiet", "more", 2.0))
    steps(run, 4)
    assert run.machine.value("quiet") == {"a": 2.0, "b": {"x": 3.0}}


def test_a_loop_that_has_come_to_rest_stays_the_same_object():
    run = lockstep("rates: {hops: strict}\nneurons:\n  a: {is: identity, input: {a: 0.5, one: 1}}\n")
    steps(run, 80)
    resting = run.machine.outputs["a"]
    steps(run, 5)
    assert run.machine.outputs["a"] is resting
    assert resting == {"out": {":number": 2.0}}


def test_numbers_of_the_signal_side_reach_trees_in_every_tick_in_which_they_move():
    run = lockstep("neurons:\n  s: {is: sine, frequency: 3}\n  t: {is: identity, input: s}\n")
    for _ in range(100):
        run.machine.refresh()
        expected = run.machine.value("s")
        run.step()
        assert run.machine.value("t").get(":number", 0.0) == expected

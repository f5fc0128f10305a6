"""The network matrix: its keys, its tree without zeros, what is shared; and which entry two references name."""

from copy import deepcopy

import pytest

import dmm_av.activations.core  # declares the built-in neurons
import dmm_av.activations.sources  # noqa: F401  declares `one`
from dmm_av.errors import DmmError, EditError
from dmm_av.network.activation import LIBRARY, Activation, Family, Input, Library, Output, Setting, signal
from dmm_av.network.matrix import Key, NetworkMatrix, entries_of_tree
from dmm_av.network.network import Network
from dmm_av.network.setting_values import checked_setting
from dmm_av.streams.kinds import Kind
from dmm_av.streams.units import Cycles, Number
from dmm_av.streams.vvalue import linear_combination

ENTRY = ("voice", "frequency", "slow", "out")


def matrix_of(weights, key=Key.WRITTEN):
    matrix = NetworkMatrix()
    for entry, weight in weights.items():
        matrix.put(entry, weight, key)
    return matrix


# --- the matrix ------------------------------------------------------------------------------------------------


def test_a_key_at_zero_is_there_but_not_in_the_tree():
    matrix = matrix_of({ENTRY: 0.5})
    assert matrix.tree == {"voice": {"frequency": {"slow": {"out": 0.5}}}}
    matrix.put(ENTRY, 0.0, Key.WRITTEN)
    assert (matrix.tree, matrix.weight(ENTRY)) == ({}, 0.0)
    assert matrix.with_zeros() == {"voice": {"frequency": {"slow": {"out": 0.0}}}}
    assert matrix.inputs == {"voice": {"frequency": None}}
    matrix.drop(ENTRY)
    assert (matrix.weights, matrix.keys, matrix.rows, matrix.columns, matrix.inputs) == ({}, {}, {}, {}, {})
    matrix.drop(ENTRY)


def test_a_tree_that_was_handed_out_stays_as_it_was_and_shares_what_did_not_change():
    matrix = matrix_of({ENTRY: 0.5, ("mix", "input", "voice", "out"): 1.0})
    before = matrix.freeze()
    copy = deepcopy(before)
    matrix.put(ENTRY, 0.75, Key.WRITTEN)
    matrix.put(("voice", "offset", "one", "out"), 1.0, Key.WRITTEN)
    after = matrix.freeze()
    matrix.drop(ENTRY)
    assert before == copy
    assert after["voice"] == {"frequency": {"slow": {"out": 0.75}}, "offset": {"one": {"out": 1.0}}}
    assert after["mix"] is before["mix"]


def test_a_weight_that_does_not_change_leaves_the_very_same_tree():
    matrix = matrix_of({ENTRY: 0.5})
    tree = matrix.freeze()
    matrix.put(ENTRY, 0.5, Key.DEFAULT)
    assert matrix.freeze() is tree


def test_the_keys_of_a_branch_and_of_what_lies_below_it_are_two_entries():
    branch, leaf = ("a", "input", "osc", "1"), ("a", "input", "osc", "1", "x")
    for order in ((branch, leaf), (leaf, branch)):
        matrix = matrix_of(dict(zip(order, (2.0, 3.0), strict=True)))
        both = {":number": matrix.weights[branch], "x": matrix.weights[leaf]}
        assert matrix.tree == matrix.with_zeros() == {"a": {"input": {"osc": {"1": both}}}}
        assert dict(entries_of_tree(matrix.tree)) == matrix.weights


def test_when_the_leaf_goes_the_branch_is_a_plain_number_again_so_that_it_masks_as_before():
    branch, leaf = ("a", "input", "osc", "1"), ("a", "input", "osc", "1", "x")
    matrix = matrix_of({branch: 2.0, leaf: 3.0})
    matrix.drop(leaf)
    assert matrix.tree == {"a": {"input": {"osc": {"1": 2.0}}}}
    assert linear_combination(matrix.tree["a"]["input"], {"osc": {"1": {"y": 5.0}}}) == {"y": 10.0}
    matrix.put(leaf, 3.0, Key.WRITTEN)
    matrix.drop(branch)
    assert matrix.tree == {"a": {"input": {"osc": {"1": {"x": 3.0}}}}}


def test_a_whole_neuron_is_an_entry_of_three_labels():
    matrix = matrix_of({("a", "input", "reader"): 1.0})
    assert matrix.tree == {"a": {"input": {"reader": 1.0}}}
    assert list(entries_of_tree(matrix.tree)) == [(("a", "input", "reader"), 1.0)]


def test_paths_shorter_than_an_entry_are_none():
    assert list(entries_of_tree({"a": 1.0, "b": {"c": {":number": 2.0}}})) == []


def test_a_full_matrix_takes_no_new_key():
    matrix = NetworkMatrix(budget=1)
    matrix.put(ENTRY, 1.0, Key.WRITTEN)
    matrix.put(ENTRY, 2.0, Key.WRITTEN)
    with pytest.raises(EditError, match="full"):
        matrix.put((*ENTRY, "x"), 1.0, Key.WRITTEN)


# --- which entry is meant ----------------------------------------------------------------------------------------


@pytest.fixture
def network():
    library = Library(LIBRARY)

    @signal(library=library, name="tone", also=("osc_tone",))
    def tone(frequency: Number = 220.0, offset: Cycles = 0.0):
        """A tone."""
        return frequency

    @signal(library=library, name="pattern")
    def pattern(beat: Number = 0.0, steps: Family[Number] = 0.0):
        """A pattern."""
        return beat

    @signal(library=library, name="pair", outputs={"left": Number, "right": Number})
    def pair(input: Number = 0.0):
        """Two outputs."""
        return input, input

    knob = Input("amount", Kind.FIELD, 0.5, also=("depth",))
    library.add(Activation("wash", "picture", "", {"amount": knob}, {"out": Output("out", Kind.IMAGE)}), replace=True)
    network = Network(library)
    for name, activation in (("a", "tone"), ("p", "pattern"), ("lr", "pair"), ("w", "wash"), ("gone", "unheard_of")):
        network.matrix.put((name, "activation", "library", activation), 1.0, Key.WRITTEN)
    return network


@pytest.mark.parametrize(
    "to, source, entry",
    [
        ("a.frequency", "one", ("a", "frequency", "one", "out")),
        ("a.frequency", "a.out", ("a", "frequency", "a", "out")),
        ("a.frequency", "osc.1/fader1", ("a", "frequency", "osc", "1", "fader1")),
        ("a.frequency", "osc/", ("a", "frequency", "osc")),
        ("a.frequency", "tone:u", ("a", "frequency", "tone:u", "out")),
        ("tone:u.offset", "a", ("tone:u", "offset", "a", "out")),
        ("p.steps/12", "one", ("p", "steps/12", "one", "out")),
        ("a.frequency", "lr.right", ("a", "frequency", "lr", "right")),
        ("w.depth", "a", ("w", "amount", "a", "out")),
        ("gone.what/ever", "a", ("gone", "what/ever", "a", "out")),
        ("a.frequency", "gone.whatever", ("a", "frequency", "gone", "whatever")),
        ("a.activation", "library.pattern", ("a", "activation", "library", "pattern")),
        ("gone.activation", "library.unheard_of", ("gone", "activation", "library", "unheard_of")),
        ("self.delta", "a", ("self", "delta", "a", "out")),
    ],
)
def test_two_references_name_one_entry(network, to, source, entry):
    assert network.entry(to, source) == entry


@pytest.mark.parametrize(
    "to, source, sentence",
    [
        ("a", "one", "names no input"),
        ("a.freqency", "one", "Did you mean `frequency`?"),
        ("b.frequency", "one", "no neuron is called `b`"),
        ("a.frequency", "b", "no neuron is called `b`"),
        ("a.frequency", "lr", "has several outputs"),
        ("a.frequency", "lr.middle", "no output of `lr`"),
        ("a.frequency", "w", "takes number"),
        ("a.frequency", "a.out/x", "no tree"),
        ("a.frequency/1", "one", "no input of `a`"),
        ("p.steps", "one", "no single input"),
        ("p.steps/0", "one", "no single input"),
        ("p.steps/1000000000000", "one", "no single input"),
        ("p.steps/x", "one", "no single input"),
        ("a.frequency", "osc.1/%3Anumber", "Labels"),
        ("a.activation", "library.tune", "no activation is called `tune`"),
        ("a.activation", "library.self", "built in"),
        ("one.activation", "library.tone", "keeps its activation"),
        ("a.frequency", "", "no reference"),
    ],
)
def test_what_names_no_entry_gets_a_sentence(network, to, source, sentence):
    with pytest.raises(DmmError, match=sentence):
        network.entry(to, source)


def test_globs_match_neurons_ports_members_and_branches(network):
    entries = [
        ("a", "frequency", "one", "out"),
        ("a", "offset", "lr", "left"),
        ("p", "steps/1", "one", "out"),
        ("p", "steps/2", "osc", "1", "x"),
        ("w", "amount", "osc", "1", "y"),
    ]
    for entry in entries:
        network.matrix.put(entry, 0.5, Key.WRITTEN)

    def found(to, source):
        return sorted(network.expand(to, source))

    assert found("*", "*") == entries
    assert found("a", "*") == found("a.*", None) == entries[:2]
    assert found("*", "one") == [entries[0], entries[2]]
    assert found("p.steps/*", "*") == entries[2:4]
    assert found("*", "osc.1/*") == entries[3:]
    assert found("*", "lr.l*") == [entries[1]]
    assert found("{a,w}.*", "{lr,osc}.*") == [entries[1], entries[4]]
    assert found("[a-o].frequency", "*") == [entries[0]]
    for to, source in (("*.activation", "*"), ("*", "self*"), ("x*", "*"), ("a.x*", "one")):
        with pytest.raises(EditError, match="no connection matches"):
            network.expand(to, source)


def test_names_that_a_glob_covers_never_include_built_in_ones(network):
    assert sorted(network.expand_names("*")) == ["a", "gone", "lr", "p", "w"]
    assert network.expand_names("screen") == ["screen"]
    with pytest.raises(EditError, match="no neuron matches"):
        network.expand_names("x*")


@pytest.mark.parametrize(
    "kind, value, expected",
    [
        ("number", 3, 3.0),
        ("integer", 4.0, 4),
        ("boolean", 1, True),
        ("boolean", "false", False),
        ("text", "x", "x"),
        ("file", "a.png", "a.png"),
        ("size", (640, 360), [640, 360]),
        ("size", "640x360", [640, 360]),
        ("size", 64.0, [64, 64]),
        ("list", (1, 2), [1, 2]),
        ("list", 1, [1]),
        ("tree", {"a": {"b": 1}}, {"a": {"b": 1}}),
        ("number", None, None),
    ],
)
def test_a_setting_is_taken_as_its_declared_kind(kind, value, expected):
    found = checked_setting(Setting("x", kind), value)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    "kind, value",
    [
        ("number", "3"),
        ("number", float("nan")),
        ("integer", 3.5),
        ("boolean", 2),
        ("boolean", "maybe"),
        ("text", [1]),
        ("file", 3),
        ("size", [0, 100]),
        ("size", [640]),
        ("size", "wide"),
        ("size", [640, 20_000]),
        ("size", [640, float("inf")]),
        ("tree", 3),
        ("tree", {":odd": 1}),
    ],
)
def test_a_setting_of_another_kind_gets_a_sentence(kind, value):
    with pytest.raises(DmmError, match=r"\.$"):
        checked_setting(Setting("x", kind), value)

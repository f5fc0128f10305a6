"""V-values: the golden cases of the reference engine, and the laws of the algebra."""

import copy
import json
import math
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmm_av.errors import DmmError
from dmm_av.streams.vvalue import (
    DEEPEST,
    NUMBER,
    check_labels,
    clean,
    decode_label,
    difference,
    divided,
    encode_label,
    from_leaves,
    is_finite,
    leaves,
    less_or_equal,
    linear_combination,
    masked,
    matrix_product,
    max_norm,
    number_at,
    scaled,
    shifted,
    total,
    without_zeros,
)

# --- the reference engine -----------------------------------------------------------------------------------

GOLDEN = json.loads((Path(__file__).parent / "fixtures" / "vvalue_ops.json").read_text())["cases"]

OPERATIONS = {
    "sum": total,
    "mult": scaled,
    "add_scalar": shifted,
    "sub_scalar": lambda k, v: shifted(-k, v),
    "div_scalar": divided,
    "mask": masked,
    "lincomb": linear_combination,
    "apply1": lambda W, v: matrix_product(W, v, 1),
    "apply3": lambda W, v: matrix_product(W, v, 3),
    "max_norm_fn": max_norm,
    "leq_fn": less_or_equal,
    "max_norm_neuron": lambda inputs: {NUMBER: max_norm(inputs)},
    "leq_neuron": lambda inputs: truth_channels(less_or_equal(inputs["left"], inputs["right"])),
    "accum_neuron": lambda inputs: {"single": total(inputs.get("accum"), inputs.get("delta"))},
    "mult_mask_neuron": lambda inputs: {"single": masked(inputs["mask"], inputs["main"])},
    "lin_comb_neuron": lambda inputs: {"single": linear_combination(inputs["mask"], inputs["main"])},
}

# The reference throws when dividing by an exact zero; a network never stops, so the quotient is left out.
# Its two mask neurons look `single` up in the result instead of wrapping it, and so are always silent.
INSTEAD_OF_DEFECT = {
    "div_scalar": {},
    "mult_mask_neuron": {"single": {"a": 6}},
    "lin_comb_neuron": {"single": {NUMBER: 6}},
}


def truth_channels(truth):
    return {"true-channel": int(truth), "false-channel": int(not truth)}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['op']} {json.dumps(case['args'])}"[:80])
def test_every_golden_case_of_the_reference_engine(case):
    untouched = copy.deepcopy(case["args"])
    expected = INSTEAD_OF_DEFECT[case["op"]] if case.get("reference_defect") else case["result"]
    assert OPERATIONS[case["op"]](*case["args"]) == expected
    assert case["args"] == untouched


def test_every_defect_of_the_reference_has_an_answer_of_ours():
    assert {case["op"] for case in GOLDEN if case.get("reference_defect")} == set(INSTEAD_OF_DEFECT)


# --- trees to try the laws on ---------------------------------------------------------------------------------

labels = st.sampled_from(["a", "b", "c", "wave", "Ü/1", NUMBER])
numbers = st.integers(-8, 8) | st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)
junk = st.sampled_from([None, "text", math.nan, math.inf, -math.inf, 1j, [1], (), np.zeros(3)])


def for_all(*strategies):
    """A law tried on many examples, however busy the machine is."""
    return lambda law: settings(deadline=None)(given(*strategies)(law))


def trees(leaf, label=labels):
    return st.recursive(
        st.dictionaries(label, leaf, max_size=3),
        lambda branch: st.dictionaries(label, leaf | branch, max_size=3),
        max_leaves=12,
    )


vvalues = trees(numbers).map(clean)
dirty_trees = trees(numbers | junk | st.floats() | st.booleans() | st.just(10**400))
scalars = st.integers(-4, 4) | st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-6)


def close(v, w):
    """The same vector to rounding, whichever way the number of a node is written."""
    scale = max(max_norm(v), max_norm(w), 1)
    return max_norm(difference(v, w)) <= 1e-6 * scale


# --- a vector space ---------------------------------------------------------------------------------------------


@for_all(vvalues, vvalues)
def test_total_is_commutative(a, b):
    assert total(a, b) == total(b, a)


@for_all(vvalues, vvalues, vvalues)
def test_total_is_associative_to_rounding(a, b, c):
    assert close(total(total(a, b), c), total(a, total(b, c)))


@for_all(vvalues)
def test_a_tree_and_its_opposite_are_nothing(v):
    assert total(v, scaled(-1, v)) == {}


@for_all(scalars, vvalues, vvalues)
def test_scaled_distributes_over_total(k, a, b):
    assert close(scaled(k, total(a, b)), total(scaled(k, a), scaled(k, b)))


@for_all(scalars, scalars, vvalues)
def test_scaled_distributes_over_numbers(k, m, v):
    assert close(scaled(k + m, v), total(scaled(k, v), scaled(m, v)))


@for_all(vvalues, vvalues)
def test_difference_is_the_total_with_the_opposite(a, b):
    assert close(difference(a, b), total(a, scaled(-1, b)))
    assert difference(a, copy.deepcopy(a)) == {}


@for_all(vvalues, vvalues, scalars)
def test_a_linear_combination_is_linear_over_trees_of_one_shape(mask, a, k):
    b = shifted(k, a)
    assert close(linear_combination(mask, total(a, b)), total(linear_combination(mask, a), linear_combination(mask, b)))


@for_all(vvalues)
def test_a_flat_tree_combined_with_itself_is_its_squared_length(v):
    flat = {label: x for label, x in v.items() if not isinstance(x, dict)}
    squared = sum(x * x for x in flat.values())
    assert number_at(linear_combination(flat, flat)) == pytest.approx(squared)


def terms(mask, v):
    """What each number of a mask keeps, one by one."""
    for label in mask.keys() & v.keys():
        if not isinstance(mask[label], dict):
            yield scaled(mask[label], v[label])
        elif isinstance(v[label], dict):
            yield from terms(mask[label], v[label])


@for_all(vvalues, vvalues)
def test_a_linear_combination_is_the_sum_of_what_each_number_of_the_mask_keeps(mask, v):
    summed = {}
    for term in terms(mask, v):
        summed = total(summed, term)
    assert close(linear_combination(mask, v), summed)


@pytest.mark.parametrize("ages", list(permutations("Zaz")), ids="".join)
def test_terms_are_added_by_code_point_and_not_by_the_age_of_a_connection(ages):
    outputs = {"z": 1.0, "a": -1e16, "Z": 1e16}  # any other order loses the 1
    assert linear_combination(dict.fromkeys(ages, 1), outputs) == {NUMBER: 1.0}


# --- shared, never changed --------------------------------------------------------------------------------------


@for_all(vvalues, vvalues, scalars)
def test_no_operation_changes_what_it_is_given(a, b, k):
    before = copy.deepcopy((a, b))
    total(a, b), scaled(k, a), difference(a, b), masked(a, b), linear_combination(a, b), matrix_product(a, b, 1)
    shifted(k, a), divided(k, a), without_zeros(a), clean(a), from_leaves([*leaves(a), *leaves(b)])
    assert (a, b) == before


@for_all(vvalues)
def test_what_does_not_change_is_the_same_object(v):
    assert scaled(1, v) is v
    assert shifted(0, v) is v
    assert divided(1, v) is v
    assert clean(v) is v
    assert without_zeros(v) is v
    assert total(v, {}) is v
    assert total(v, None) is v
    assert total(None, v) is v
    assert total(v, {"absent": 0, "unheard": "text", "empty": {}}) is v
    assert difference(v, v) == {}


@for_all(vvalues, vvalues)
def test_branches_that_a_sum_does_not_reach_are_the_same_objects(a, b):
    result = total(a, b)
    for label in result:
        if label not in b and isinstance(a[label], dict):
            assert result[label] is a[label]
        if label not in a and isinstance(b[label], dict):
            assert result[label] is b[label]


def test_an_empty_accumulator_takes_a_tree_over_as_the_same_object():
    tree = {"a": {"b": 1}, "c": 2.5}
    assert total({}, tree) is tree


def test_a_connection_of_weight_1_passes_a_tree_as_the_same_object():
    picture = {"points": {"x": 1, "y": 2}}
    assert matrix_product({"view": {"camera": {"out": 1}}}, {"camera": {"out": picture}}, 1)["view"] is picture


def test_a_zero_that_arrives_copies_nothing():
    tree = {"a": {"b": 1.5}, "c": 2}
    assert total(tree, {"a": {"b": 0.0}, "c": 0, "d": 0}) is tree


def test_the_difference_of_two_versions_is_only_what_changed_between_them():
    class Untouchable(dict):
        def keys(self, *_):
            raise AssertionError("a shared branch was walked")

        __iter__ = get = keys

    shared = Untouchable(x=1)
    assert difference({"old": shared, "new": 1}, {"old": shared}) == {"new": 1}
    assert less_or_equal({"old": shared}, {"old": shared, "new": 1})


# --- nothing stops the network ----------------------------------------------------------------------------------


@for_all(dirty_trees)
def test_clean_is_idempotent_and_leaves_only_finite_numbers(tree):
    once = clean(tree)
    assert clean(once) is once
    assert is_finite(once)
    assert all(type(number) in (int, float) and number for _, number in leaves(once))


@for_all(dirty_trees, dirty_trees, scalars.filter(lambda k: k not in (0, 1)))
def test_no_operation_raises_on_a_tree_full_of_junk_or_keeps_any_of_it(a, b, k):
    for result in (without_zeros(a), clean(a), shifted(k, a), divided(k, a), difference(a, b)):
        assert is_finite(result)
    assert is_finite(max_norm(a))
    assert less_or_equal(a, b) in (True, False)
    assert is_finite(linear_combination(clean(a), clean(b)))
    assert clean(from_leaves(leaves(a))) == from_leaves(leaves(a))


@for_all(trees(numbers | junk, st.sampled_from("abc")), vvalues, scalars.filter(lambda k: k != 1))
def test_junk_counts_as_zero_in_sums_and_products(tree, v, k):
    assert close(total(v, tree), total(v, clean(tree)))
    assert close(total(tree, v), total(clean(tree), v))
    assert scaled(k, tree) == scaled(k, clean(tree))
    assert close(linear_combination(tree, v), linear_combination(clean(tree), v))
    assert close(clean(masked(tree, v)), masked(clean(tree), v))


@pytest.mark.parametrize("other", [None, "text", math.nan, math.inf, [], np.zeros(3)], ids=repr)
def test_a_whole_value_that_is_not_understood_counts_as_zero(other):
    tree = {"a": 1}
    assert total(tree, other) is tree
    assert total(other, tree) is tree
    assert linear_combination(tree, other) == {}
    assert linear_combination(other, tree) == {}
    assert matrix_product(other, tree, 2) == {}
    assert masked(tree, other) == {}
    assert masked("text", tree) == {}
    assert masked(tree, {"a": other}) == {}
    assert linear_combination(tree, {"a": other}) == {}
    assert difference(tree, other) == tree
    assert clean(other) == {}
    assert max_norm(other) == 0
    assert number_at(other, ("a",)) == 0.0
    assert list(leaves(other if not isinstance(other, float) else None)) == []


def test_labels_that_are_no_texts_stop_no_sum():
    assert linear_combination({"a": 2, 1: 3, None: 1}, {"a": 5, 1: 7}) == {NUMBER: 31}


def test_an_overflow_is_left_out():
    huge = {"a": 1e308, "b": 1}
    assert total(huge, huge) == {"b": 2}
    assert scaled(1e10, huge) == {"b": 1e10}
    assert divided(1e-10, huge) == {"b": 1e10}
    assert linear_combination({"a": 1e10, "b": 1}, huge) == {NUMBER: 1}


def test_integers_that_grow_without_end_are_left_out_before_they_slow_the_network():
    v = {"a": 3}
    for _ in range(40):
        v = scaled(v.get("a", 0), v)
    assert v == {}


def test_a_value_that_is_not_finite_does_not_wipe_what_it_is_added_to():
    assert total({"a": 5}, {"a": math.nan}) == {"a": 5}
    assert total({"a": math.inf}, {"a": 5}) == {"a": 5}


def nested(depth, leaf=1.0):
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf


OVER_TREES = {
    "total": lambda v: total(v, v),
    "scaled": lambda v: scaled(2, v),
    "difference": lambda v: difference(v, {"b": 1}),
    "masked": lambda v: masked(v, v),
    "linear_combination": lambda v: linear_combination(v, v),
    "matrix_product": lambda v: matrix_product({"row": v}, v, 1),
    "max_norm": max_norm,
    "less_or_equal": lambda v: less_or_equal(v, {"b": 1}),
    "shifted": lambda v: shifted(1, v),
    "divided": lambda v: divided(2, v),
    "without_zeros": without_zeros,
    "clean": clean,
    "is_finite": is_finite,
    "leaves": lambda v: list(leaves(v)),
    "from_leaves": lambda v: from_leaves([(("a",) * (DEEPEST + 1), 1)]),
}


@pytest.mark.parametrize("depth", [DEEPEST + 1, 5_000])
@pytest.mark.parametrize("operation", OVER_TREES)
def test_a_path_of_more_than_200_labels_counts_as_zero_and_raises_nothing(operation, depth):
    nothing = {
        "difference": {"b": -1},
        "matrix_product": {"row": {}},
        "max_norm": 0,
        "less_or_equal": True,
        "is_finite": True,
        "leaves": [],
    }
    assert OVER_TREES[operation](nested(depth)) == nothing.get(operation, {})


def test_a_path_of_200_labels_is_heard():
    deepest = nested(DEEPEST)
    assert total(deepest, nested(DEEPEST)) == nested(DEEPEST, 2.0)
    assert scaled(2, deepest) == nested(DEEPEST, 2.0)
    assert difference(deepest, {}) == deepest
    assert masked(deepest, deepest) == deepest
    assert linear_combination(deepest, deepest) == {NUMBER: 1.0}
    assert max_norm(deepest) == 1.0
    assert not less_or_equal(deepest, {})
    assert clean(deepest) is deepest
    assert len(list(leaves(deepest))) == 1
    check_labels(deepest)


def test_a_list_that_grows_by_one_level_a_tick_is_passed_on_for_ever():
    chain = {}
    for _ in range(2_000):
        chain = {"this": {NUMBER: 1}, "rest": scaled(1, chain)}
    assert scaled(1, chain) is chain
    assert max_norm(chain) == 1


# --- questions and single numbers -------------------------------------------------------------------------------


@for_all(vvalues, vvalues)
def test_less_or_equal_says_that_no_coordinate_of_the_difference_is_negative(a, b):
    assert less_or_equal(a, b) == all(x >= 0 for _, x in leaves(difference(b, a)))


def test_less_or_equal_also_holds_where_a_difference_would_overflow():
    assert less_or_equal({"a": -1.7e308}, {"a": 1.7e308})
    assert not less_or_equal({"a": 1.7e308}, {"a": -1.7e308})


@for_all(vvalues, vvalues)
def test_max_norm_is_a_norm(a, b):
    assert max_norm(total(a, b)) <= (max_norm(a) + max_norm(b)) * (1 + 1e-9)
    assert (max_norm(a) == 0) == (a == {})


def test_a_bare_number_is_a_vvalue():
    assert total(2, 3) == 5
    assert total(2, {"a": 1}) == {"a": 1, NUMBER: 2} == total({"a": 1}, 2)
    assert scaled(2, 3) == 6
    assert difference(2, 3) == -1
    assert max_norm(-3) == 3
    assert less_or_equal(2, 3) and not less_or_equal(3, 2)
    assert number_at(3) == 3


def test_a_number_is_found_at_its_path_however_it_is_written():
    assert number_at({"a": 5}, ("a",)) == 5
    assert number_at({"a": {NUMBER: 5}}, ("a",)) == 5
    assert number_at({"a": 5}, ("a", NUMBER)) == 5
    assert number_at({NUMBER: 5, "a": 1}) == 5
    assert number_at({"a": 5}, ("a", "b")) == 0.0
    assert isinstance(number_at({}, ("a",)), float)
    assert number_at({"a": {"b": 5}}, ("a",)) == 0.0
    assert number_at({"a": math.nan}, ("a",)) == 0.0


@for_all(vvalues)
def test_every_leaf_is_found_at_its_path(v):
    assert all(number_at(v, path) == number for path, number in leaves(v))


def test_is_finite_means_numbers_and_nothing_else():
    assert is_finite({"a": {"b": 1}, "c": 0.5})
    assert is_finite({}) and is_finite(1)
    for leaf in (math.nan, math.inf, "text", None, 10**400):
        assert not is_finite({"a": {"b": leaf}})


def test_clean_makes_python_numbers_of_other_real_numbers():
    foreign = {"a": np.float32(0.5), "b": np.int64(2), "c": True, "d": Fraction(1, 4), "e": np.float64(3)}
    cleaned = clean(foreign)
    assert cleaned == {"a": 0.5, "b": 2, "c": 1, "d": 0.25, "e": 3}
    assert {type(x) for x in cleaned.values()} == {float}
    assert clean({"a": Fraction(10**400), "b": np.float32("nan"), "c": np.bool_(True)}) == {}


def test_clean_drops_labels_that_are_no_text_and_trees_below_number():
    assert clean({1: 5, "a": {NUMBER: {"b": 1}, "c": 2}}) == {"a": {"c": 2}}


def test_without_zeros_shares_the_branches_that_had_none():
    tree = {"silent": {"a": 0, "b": {}}, "loud": {"c": 1}, "off": 0.0}
    shown = without_zeros(tree)
    assert shown == {"loud": {"c": 1}}
    assert shown["loud"] is tree["loud"]


# --- leaves and labels ------------------------------------------------------------------------------------------


@for_all(vvalues)
def test_a_tree_is_rebuilt_from_its_leaves(v):
    assert from_leaves(leaves(v)) == v


@for_all(vvalues, vvalues)
def test_the_leaves_of_two_trees_together_are_their_total(a, b):
    assert close(from_leaves([*leaves(a), *leaves(b)]), total(a, b))


def test_leaves_come_in_the_order_of_the_tree():
    tree = {"b": {"y": 1, "x": 2}, "a": 3, NUMBER: 4}
    assert list(leaves(tree)) == [(("b", "y"), 1), (("b", "x"), 2), (("a",), 3), ((NUMBER,), 4)]


def test_a_number_on_the_way_to_another_becomes_the_number_of_its_branch():
    assert from_leaves([(("a",), 5), (("a", "b"), 3)]) == {"a": {NUMBER: 5, "b": 3}}
    assert from_leaves([(("a", "b"), 3), (("a",), 5)]) == {"a": {NUMBER: 5, "b": 3}}
    assert from_leaves([((), 5)]) == {NUMBER: 5}


@for_all(st.text() | st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF))
def test_a_label_comes_back_from_a_reference(label):
    written = encode_label(label)
    assert decode_label(written) == label
    assert written and set(written) <= set("abcdefghijklmnopqrstuvwxyz_0123456789%ABCDEF")


@for_all(st.text(), st.text())
def test_two_labels_are_never_written_alike(a, b):
    assert (encode_label(a) == encode_label(b)) == (a == b)


def test_plain_labels_are_written_as_they_are():
    assert encode_label("fader_1") == "fader_1"
    assert encode_label("Ab/ü") == "%41b%2F%C3%BC"
    assert decode_label("Fader-1") == "Fader-1"


def test_codes_that_are_no_text_are_answered_with_a_sentence():
    with pytest.raises(DmmError, match=r"^`%FF`: these codes are not UTF-8. Write the letters themselves\.$"):
        decode_label("%FF")


@for_all(vvalues)
def test_the_labels_of_a_vvalue_pass(v):
    check_labels(v)


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ({"a": {":image": 1}}, r"^row 3/a: the label `:image` is reserved\. Leave out the colon, or write"),
        ({":": 1}, r"^row 3: the label `:` is reserved"),
        ({"a": {1: 2}}, r"^row 3/a: the label `1` is not a text\. Put it in quotes\.$"),
        ({"": 2}, r"^row 3: the label `` is not a text"),
        ({"a": {NUMBER: {"b": 1}}}, r"^row 3/a: `:number` holds a number, not a tree\. Choose another label\.$"),
        (nested(DEEPEST + 1), r"^row 3: a path has more than 200 labels\. Make the tree flatter\.$"),
    ],
)
def test_a_label_that_no_vvalue_has_is_refused_with_a_sentence(tree, sentence):
    with pytest.raises(DmmError, match=sentence):
        check_labels(tree, where="row 3")

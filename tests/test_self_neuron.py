"""What every verb does to the network matrix: landing, ramps, groups, gains, keys, default rows, undo, refusals."""

import math
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import dmm_av.activations.core  # declares the built-in neurons
import dmm_av.activations.sources  # noqa: F401  declares `one`
from dmm_av.errors import EditError
from dmm_av.network.activation import LIBRARY, Activation, Input, Library, Output, Setting, signal, tree
from dmm_av.network.edits import (
    Add,
    Crossfade,
    Cut,
    Group,
    Insert,
    Mute,
    New,
    Redo,
    Remove,
    Scale,
    Set,
    SetNorm,
    Undo,
)
from dmm_av.network.edits import Setting as SetSetting
from dmm_av.network.matrix import Key
from dmm_av.network.network import SELF_LOOP, Budget, Network
from dmm_av.network.self_neuron import SelfNeuron
from dmm_av.streams.kinds import Kind
from dmm_av.streams.units import Cycles, Hertz, Number
from dmm_av.streams.vvalue import NUMBER, leaves, linear_combination

TICK_RATE = 240
SOUND_TICKS = 3  # 10 ms at 240 ticks a second


def small_library():
    """A library of a few activations of every side, so that these laws do not depend on the real one."""
    library = Library(LIBRARY)

    @signal(library=library, name="tone")
    def tone(clock, phase, frequency: Hertz = 220.0, offset: Cycles = 0.0):
        """A tone."""
        return phase

    @signal(library=library, name="buzz")
    def buzz(frequency: Hertz = 110.0, width: Number = 0.5):
        """Another tone, with one input more and one fewer."""
        return frequency

    @signal(library=library, name="gain")
    def gain(input: Number = 0.0, amount: Number = 1.0):
        """Passes something on."""
        return input * amount

    @tree(inputs=("input",), library=library)
    def note(input):
        """A tree."""
        return input

    knob = {"amount": Input("amount", Kind.FIELD, 0.5)}
    picture = {"picture": Input("picture", Kind.IMAGE)}
    drawn = {"out": Output("out", Kind.IMAGE)}
    look = {"file": Setting("file", "file"), "show": Setting("show", "choice", "fit", ("fit", "crop"))}
    library.add(Activation("wash", "picture", "A colour.", knob, drawn, look), replace=True)
    library.add(Activation("turned", "picture", "A turn.", {**picture, **knob}, drawn), replace=True)
    out = {"left": Input("left", Kind.AUDIO), "both": Input("both", Kind.AUDIO)}
    library.add(Activation("speakers", "engine", "The loudspeakers.", out, {}), replace=True)
    return library


class Bench:
    """A network and its Self, driven by hand."""

    def __init__(self, *edits, budget=None, tick_rate=TICK_RATE):
        self.network = Network(small_library(), budget)
        self.me = SelfNeuron(self.network, tick_rate)
        self.me.begin(Group(edits, "file"))

    def resolve(self, *groups, **more):
        return self.me.resolve(list(groups), **more)

    def do(self, *edits, author="panel", gains=None):
        """One group that must be accepted."""
        changes = self.resolve(Group(edits, author), gains=gains)
        ((_, sentence),) = changes.answers
        assert sentence is None, sentence
        return changes

    def refused(self, *edits, author="panel", gains=None):
        """The sentence that refuses a group; nothing may have changed."""
        before = self.everything()
        changes = self.resolve(Group(edits, author), gains=gains)
        ((_, sentence),) = changes.answers
        assert sentence is not None, "it was accepted"
        assert self.everything() == before
        assert (changes.entries, changes.structure, changes.removed, changes.returned) == ({}, False, {}, {})
        assert sentence.endswith((".", "?")), sentence
        return sentence

    def run(self, ticks):
        for _ in range(ticks):
            self.resolve()

    def weight(self, to, source):
        """The weight of an entry written `voice.frequency`, `one`; None where there is no key."""
        return self.network.matrix.weights.get(self.entry(to, source))

    def key(self, to, source):
        return self.network.matrix.keys.get(self.entry(to, source))

    @staticmethod
    def entry(to, source):
        name, _, port = to.rpartition(".")
        origin, _, output = source.partition(".")
        return (name, port, origin, *(output or "out").split("/"))

    def contents(self):
        """What a player would call the network."""
        network = self.network
        return deepcopy(
            (network.matrix.weights, network.matrix.keys, network.settings, network.muted, network.no_default)
        )

    def everything(self):
        """The whole state of matrix, ramps and history, for comparison."""
        matrix, history = self.network.matrix, self.me.history
        return deepcopy(
            (
                self.contents(),
                (matrix.tree, matrix.rows, matrix.columns, matrix.inputs),
                (self.me.ramps.sets, self.me.ramps.adds),
                ({a: s for a, s in history.done.items() if s}, {a: s for a, s in history.undone.items() if s}),
                {place: writer for place, writer in history.writers.items() if writer},
            )
        )


def two_voices(**more):
    """Two tones on the loudspeakers and a gain between numbers."""
    return Bench(
        New("a", "tone~"),
        New("b", "tone~"),
        New("slow", "tone"),
        New("knob", "gain"),
        Set("knob.input", "slow", 0.5),
        Set("speakers.both", "a", 0.1),
        Set("speakers.both", "b", 0.2),
        **more,
    )


# --- set, add, scale, cut ------------------------------------------------------------------------------


def test_a_set_lands_exactly_and_the_last_of_two_in_one_tick_wins():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 0.1), Set("knob.input", "slow", 0.7))
    assert bench.weight("knob.input", "slow") == 0.7


def test_adds_come_before_sets_whatever_their_order_of_arrival():
    bench = two_voices()
    bench.resolve(Group((Set("knob.input", "slow", 2.0),)), Group((Add("knob.input", "slow", 5.0),), "osc"))
    assert bench.weight("knob.input", "slow") == 2.0


def test_a_scale_multiplies_what_neurons_and_adds_have_left_in_the_same_tick():
    bench = two_voices()
    delta = {"knob": {"input": {"slow": {"out": 0.5}}}}
    groups = [Group((Scale("knob.input", "slow", 10.0),)), Group((Add("knob.input", "slow", 1.0),), "osc")]
    bench.resolve(*groups, deltas=[delta])
    assert bench.weight("knob.input", "slow") == (0.5 + 0.5 + 1.0) * 10.0


def test_a_cut_takes_the_key_and_a_zero_keeps_it():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 0.0))
    assert bench.weight("knob.input", "slow") == 0.0
    assert "slow" not in bench.network.matrix.tree["knob"].get("input", {})
    bench.do(Cut("knob.input", "slow"))
    assert bench.weight("knob.input", "slow") is None


def test_what_is_not_connected_can_be_neither_scaled_nor_cut():
    bench = two_voices()
    assert "not connected" in bench.refused(Scale("knob.amount", "slow", 2.0))
    assert "not connected" in bench.refused(Cut("knob.amount", "slow"))


def test_a_position_lands_on_the_value_in_the_declared_range():
    bench = two_voices()
    bench.do(SetNorm("slow.frequency", "one", 0.5))
    assert bench.weight("slow.frequency", "one") == pytest.approx(math.sqrt(20.0 * 20_000.0))


def test_the_same_reference_may_name_an_input_by_family_branch_or_activation():
    bench = Bench(New("voice", {"tone": 0.25, "buzz": 0.75}))
    bench.do(Set("voice.activation", "library.tone", 0.5))
    assert bench.network.mixture("voice") == {"tone": 0.5, "buzz": 0.75}
    bench.do(Cut("voice.activation", "library.buzz"))
    assert bench.network.mixture("voice") == {"tone": 0.5}
    assert "Did you mean `tone`?" in bench.refused(Set("voice.activation", "library.tonne", 0.5))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "1", None, True])
def test_a_weight_that_is_no_finite_number_is_refused(bad):
    bench = two_voices()
    for edit in (
        Set("knob.input", "slow", bad),
        Add("knob.input", "slow", bad),
        Scale("knob.input", "slow", bad),
        Crossfade("speakers.both", "a", "b", bad),
        SetNorm("slow.frequency", "one", bad),
        New("x", {"tone": bad}),
    ):
        assert "finite number" in bench.refused(edit)


def test_a_scale_that_would_overflow_is_refused():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 1e300))
    bench.refused(Scale("knob.input", "slow", 1e300))


def test_kinds_that_do_not_fit_are_refused_with_a_remedy():
    bench = two_voices()
    assert "Put `level~` between them" in bench.refused(Set("knob.input", "a", 1.0))
    bench.refused(Set("knob.nothing", "slow", 1.0))
    bench.refused(Set("nobody.input", "slow", 1.0))
    bench.refused(Set("knob.input", "slow.nothing", 1.0))
    assert "no tree" in bench.refused(Set("knob.input", "slow.out/x", 1.0))


# --- ramps ---------------------------------------------------------------------------------------------


def test_a_ramp_in_seconds_goes_in_equal_steps_and_lands_exactly():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 1.3, ramp=4 / TICK_RATE))
    seen = [bench.weight("knob.input", "slow")]
    for _ in range(3):
        bench.resolve()
        seen.append(bench.weight("knob.input", "slow"))
    assert seen == pytest.approx([0.7, 0.9, 1.1, 1.3])
    assert seen[-1] == 1.3
    bench.run(3)
    assert bench.weight("knob.input", "slow") == 1.3


def test_a_ramp_in_beats_follows_the_tempo_at_which_it_began():
    bench = two_voices()
    bench.resolve(Group((Set("knob.input", "slow", 1.0, ramp="2b"),)), tempo=60.0)
    bench.run(2 * TICK_RATE - 2)
    assert bench.weight("knob.input", "slow") < 1.0
    bench.run(1)
    assert bench.weight("knob.input", "slow") == 1.0


def test_a_ramp_lands_although_others_add_meanwhile_and_their_adds_stay_after_it():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 2.0, ramp=4 / TICK_RATE))
    bench.do(Add("knob.input", "slow", 100.0), author="osc")
    bench.run(2)
    assert bench.weight("knob.input", "slow") == 2.0
    bench.do(Add("knob.input", "slow", 1.0), author="osc")
    assert bench.weight("knob.input", "slow") == 3.0


def test_a_later_set_or_cut_ends_a_ramp():
    for later in (Set("knob.input", "slow", 0.25), Cut("knob.input", "slow")):
        bench = two_voices()
        bench.do(Set("knob.input", "slow", 2.0, ramp=1.0))
        bench.do(later)
        expected = bench.weight("knob.input", "slow")
        bench.run(10)
        assert bench.weight("knob.input", "slow") == expected


def test_ramps_of_adds_go_on_beside_each_other_and_are_stopped_by_nobody():
    bench = two_voices()
    bench.do(Add("knob.input", "slow", 1.0, ramp=4 / TICK_RATE))
    bench.do(Add("knob.input", "slow", 2.0, ramp=4 / TICK_RATE), author="osc")
    bench.do(Set("knob.input", "slow", 0.0))
    bench.run(4)
    assert bench.weight("knob.input", "slow") == pytest.approx(0.25 + 2 * 0.5)


def test_a_cut_with_a_ramp_goes_to_zero_and_then_loses_its_key():
    bench = two_voices()
    bench.do(Cut("knob.input", "slow", ramp=4 / TICK_RATE))
    bench.run(2)
    assert bench.weight("knob.input", "slow") == pytest.approx(0.125)
    changes = bench.resolve()
    assert bench.weight("knob.input", "slow") is None
    assert changes.structure


def test_an_edit_into_sound_takes_10_ms_and_a_patch_is_there_at_once():
    bench = two_voices()
    assert bench.weight("speakers.both", "a") == 0.1
    bench.do(Set("speakers.both", "a", 0.4))
    assert bench.weight("speakers.both", "a") == pytest.approx(0.2)
    bench.run(SOUND_TICKS - 1)
    assert bench.weight("speakers.both", "a") == 0.4


def test_a_ramp_that_is_no_length_of_time_is_refused():
    bench = two_voices()
    for ramp in (-1.0, math.nan, "soon", "2 bars", 1e9):
        bench.refused(Set("knob.input", "slow", 1.0, ramp=ramp))


def test_a_removed_neuron_is_not_brought_back_by_its_ramps():
    bench = two_voices()
    bench.do(
        Set("knob.input", "slow", 1.0, ramp=1.0),
        Add("knob.amount", "slow", 1.0, ramp=1.0),
        Add("slow.offset", "knob", 1.0, ramp=1.0),
    )
    bench.do(Remove("knob"))
    bench.run(5)
    assert not bench.network.is_active("knob")
    assert "knob" not in bench.network.matrix.columns
    assert not bench.me.ramps


def test_a_ramp_of_an_entry_that_a_neuron_took_away_ends():
    bench = Bench(New("slow", "tone"), New("knob", "gain"))
    bench.do(Add("knob.amount", "slow", 0.5))
    bench.resolve(Group((Set("knob.amount", "slow", 0.75, ramp=1.0),)))
    bench.network.matrix.drop(("knob", "amount", "slow", "out"))
    bench.run(3)
    assert bench.weight("knob.amount", "slow") is None
    assert not bench.me.ramps


# --- gains ---------------------------------------------------------------------------------------------


def test_at_gain_zero_nothing_happens_but_mistakes_are_still_explained():
    bench = two_voices()
    before = bench.everything()
    for edit in (
        Set("knob.input", "slow", 9.0),
        Set("speakers.both", "a", 9.0),
        Cut("knob.input", "slow"),
        Remove("a"),
        New("c", "tone"),
        Mute("a"),
        Insert("i", "gain", "knob.input", "slow"),
    ):
        changes = bench.do(edit, author="osc", gains={"osc": 0.0})
        assert bench.everything() == before, edit
        assert not changes.structure
    assert "nobody" in bench.refused(Set("nobody.x", "one", 1.0), author="osc", gains={"osc": 0.0})


def test_the_edit_of_a_muted_source_does_not_end_the_ramp_of_another():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 2.0, ramp=3 / TICK_RATE))
    bench.do(Set("knob.input", "slow", 9.0), author="osc", gains={"osc": 0.0})
    bench.run(1)
    assert bench.weight("knob.input", "slow") == 2.0


@pytest.mark.parametrize("ticks", [1, 2, 3, 50])
def test_at_gain_one_tenth_a_set_goes_one_tenth_of_the_way_however_long_it_takes(ticks):
    bench = two_voices()
    gains = {"osc": 0.1}
    bench.do(Set("knob.input", "slow", 1.5, ramp=ticks / TICK_RATE), author="osc", gains=gains)
    for _ in range(ticks - 1):
        bench.resolve(gains=gains)
    assert bench.weight("knob.input", "slow") == pytest.approx(0.6)
    assert not bench.me.ramps


def test_at_gain_one_tenth_adds_scales_and_cuts_are_suggestions_too():
    bench = two_voices()
    gains = {"osc": 0.1}
    bench.do(Add("knob.input", "slow", 1.0), author="osc", gains=gains)
    assert bench.weight("knob.input", "slow") == pytest.approx(0.6)
    bench.do(Scale("knob.input", "slow", 2.0), author="osc", gains=gains)
    assert bench.weight("knob.input", "slow") == pytest.approx(0.66)
    bench.do(Cut("knob.input", "slow"), author="osc", gains=gains)
    assert bench.weight("knob.input", "slow") == pytest.approx(0.594)


def test_gains_are_clipped_to_zero_and_one():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 3.0), author="osc", gains={"osc": 7.0})
    assert bench.weight("knob.input", "slow") == 3.0
    bench.do(Set("knob.input", "slow", 5.0), author="osc", gains={"osc": -2.0})
    assert bench.weight("knob.input", "slow") == 3.0


def test_undo_works_although_its_author_is_muted():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 3.0), author="osc")
    bench.do(Undo(), author="osc", gains={"osc": 0.0})
    assert bench.weight("knob.input", "slow") == 0.5


def test_an_exempt_group_has_full_gain_once():
    bench = two_voices()
    group = Group((Set("knob.input", "slow", 3.0),), "file")
    bench.me.exempt.add(id(group))
    bench.resolve(group, gains={"file": 0.0})
    assert bench.weight("knob.input", "slow") == 3.0
    assert not bench.me.exempt


def test_a_set_into_sound_of_a_source_that_is_muted_on_the_way_stops_there():
    bench = two_voices()
    bench.do(Set("speakers.both", "a", 0.4), author="osc")
    bench.resolve(gains={"osc": 0.0})
    assert bench.weight("speakers.both", "a") == pytest.approx(0.2)


# --- groups, budgets, refusals -------------------------------------------------------------------------


def test_a_group_takes_effect_whole_or_not_at_all():
    bench = two_voices()
    sentence = bench.refused(
        New("c", "tone~"),
        Set("speakers.both", "c", 0.3),
        Mute("a"),
        Remove("b"),
        Set("knob.input", "slow", 0.9, ramp=2.0),
        Set("knob.inptu", "slow", 0.9),
    )
    assert "Did you mean `input`?" in sentence


def test_a_group_may_name_what_it_has_just_declared():
    bench = two_voices()
    bench.do(New("c", "tone~"), Set("speakers.both", "c", 0.3), Set("c.frequency", "one", 55.0))
    bench.run(SOUND_TICKS)
    assert bench.weight("c.frequency", "one") == 55.0


def test_over_budget_an_edit_is_refused_and_the_show_goes_on():
    bench = Bench(New("a", "tone"), budget=Budget(neurons=10, weights=200, edits_per_tick=3))
    for i in range(20):
        bench.resolve(Group((New(f"n{i}", "gain"),)))
    assert len(bench.network.matrix.inputs) <= 10
    assert "most this network takes" in bench.refused(New("one_more", "gain"))
    assert "most this network takes" in bench.refused(Set("gain:more.input", "a", 1.0))
    assert "3 edits" in bench.refused(*[Set("a.frequency", "one", 1.0)] * 4)
    changes = bench.resolve(*[Group((Set("a.offset", "one", float(i)),)) for i in range(5)])
    assert [sentence is None for _, sentence in changes.answers] == [True] * 3 + [False] * 2


def test_a_full_matrix_refuses_new_keys_and_takes_new_weights():
    bench = Bench(New("a", "tone"), New("b", "gain"), budget=Budget(weights=20))
    while len(bench.network.matrix.weights) < 20:
        bench.do(Set("a.offset", f"osc.{len(bench.network.matrix.weights)}", 1.0))
    assert "matrix is full" in bench.refused(Set("b.input", "a", 1.0))
    bench.do(Set("a.frequency", "one", 100.0))
    changes = bench.resolve(deltas=[{"b": {"input": {"a": {"out": 1.0}}}, "a": {"frequency": {"one": {"out": 1.0}}}}])
    assert bench.weight("a.frequency", "one") == 101.0
    assert len(changes.sentences) == 1
    assert bench.resolve(deltas=[{"b": {"input": {"a": {"out": 1.0}}}}]).sentences == [], "it is said once"


def test_what_is_no_verb_or_breaks_a_verb_is_refused_with_a_sentence():
    bench = two_voices()
    bench.refused("set everything")
    bench.refused(Set(3, "slow", 1.0))
    bench.refused(Set("knob.input", ["slow"], 1.0))
    bench.refused(New("x", 5))
    bench.refused(New(["x"], "tone"))


@pytest.mark.parametrize("name", ["Voice", "1st", "a-b", "", "voice!", "library", "one", "self", "screen", "sine:a:b"])
def test_names_that_cannot_be_are_refused(name):
    two_voices().refused(New(name, "tone"))


def test_the_loop_of_self_is_protected_unless_the_patch_frees_it():
    bench = two_voices()
    for edit in (
        Set("self.accum", "self.matrix", 0.9),
        Cut("self.accum", "self.matrix"),
        Add("self.accum", "self.matrix", -0.1),
        Mute("self"),
    ):
        assert "protected" in bench.refused(edit)
    bench.refused(Remove("self"))
    bench.do(Set("self.accum", "self.matrix", 1.0))
    bench.resolve(deltas=[{"self": {"accum": {"self": {"matrix": -1.0}}}}])
    assert bench.network.matrix.weights[SELF_LOOP] == 1.0
    free = Bench(Set("self.accum", "self.matrix", 0.9), SetSetting("self", "free", True))
    assert free.network.matrix.weights[SELF_LOOP] == 0.9
    free.do(SetSetting("self", "free", False))
    assert free.network.matrix.weights[SELF_LOOP] == 1.0


# --- globs ---------------------------------------------------------------------------------------------


def test_a_glob_covers_existing_entries_and_no_match_is_an_error():
    bench = two_voices()
    bench.do(Scale("speakers.both", "*", 0.5))
    bench.run(SOUND_TICKS)
    assert (bench.weight("speakers.both", "a"), bench.weight("speakers.both", "b")) == (0.05, 0.1)
    bench.do(Set("{a,slow}.freq*", "one", 99.0))
    bench.run(SOUND_TICKS)
    assert bench.weight("a.frequency", "one") == bench.weight("slow.frequency", "one") == 99.0
    assert bench.weight("b.frequency", "one") == 220.0
    assert "no connection matches" in bench.refused(Set("x*.frequency", "one", 1.0))
    assert "no neuron matches" in bench.refused(Remove("x*"))
    bench.refused(Set("knob.input", "x*", 1.0))


def test_globs_never_reach_self_edits_or_what_a_neuron_is():
    bench = two_voices()
    untouched = {
        entry: weight
        for entry, weight in bench.network.matrix.weights.items()
        if entry[0] in ("self", "edits") or entry[2] in ("self", "edits") or entry[1] == "activation"
    }
    bench.do(Scale("*", "*", 0.0))
    bench.do(Cut("*", "*"))
    bench.run(SOUND_TICKS)
    assert {entry: bench.network.matrix.weights[entry] for entry in untouched} == untouched
    assert set(bench.network.matrix.weights) == set(untouched)


def test_a_glob_removes_neurons_but_never_built_in_ones():
    bench = two_voices()
    bench.do(Remove("*"))
    assert {entry[0] for entry in bench.network.matrix.weights} <= {"self", "transport", "speakers"}
    assert bench.network.is_active("speakers")


# --- keys and default rows -------------------------------------------------------------------------------


def test_a_key_made_by_adds_goes_when_it_is_next_to_zero_and_a_written_one_stays():
    bench = two_voices()
    bench.do(Add("knob.amount", "slow", 0.1))
    bench.do(Add("knob.amount", "slow", 0.2))
    bench.do(Add("knob.amount", "slow", -0.3))
    assert bench.weight("knob.amount", "slow") is None, "float residue does not keep it"
    bench.do(Add("knob.input", "slow", -0.5))
    assert bench.weight("knob.input", "slow") == 0.0


def test_a_key_that_neurons_made_and_a_hand_then_set_is_written():
    bench = two_voices()
    bench.resolve(deltas=[{"knob": {"amount": {"slow": {"out": 0.5}}}}])
    assert bench.key("knob.amount", "slow") == Key.MADE
    bench.do(Set("knob.amount", "slow", 0.25))
    bench.resolve(deltas=[{"knob": {"amount": {"slow": {"out": -0.25}}}}])
    assert bench.weight("knob.amount", "slow") == 0.0


def test_default_rows_come_with_the_edit_that_wakes_only_where_no_key_is():
    bench = two_voices()
    bench.do(New("c", "tone"), Set("c.frequency", "slow", 3.0))
    assert bench.weight("c.frequency", "one") is None, "the written row replaces the default"
    assert bench.weight("c.offset", "one") is None, "a zero default makes no row"
    bench.do(New("d", "tone"))
    assert bench.weight("d.frequency", "one") == 220.0
    bench.do(Set("d.frequency", "slow", 3.0))
    assert bench.weight("d.frequency", "one") == 220.0, "a live connection adds to it"


def test_an_empty_row_means_no_default():
    bench = Bench(New("c", "tone", no_default=("frequency",)), New("tone:u", "tone", no_default=("frequency",)))
    assert bench.weight("c.frequency", "one") is None
    bench.do(Set("tone:u.offset", "one", 0.5))
    assert bench.weight("tone:u.frequency", "one") is None
    bench.do(Remove("c"))
    bench.do(New("c", "tone"))
    assert bench.weight("c.frequency", "one") == 220.0, "a new neuron of that name starts afresh"


def test_an_undeclared_neuron_wakes_with_its_first_row_and_sleeps_when_its_last_written_key_goes():
    bench = two_voices()
    bench.do(Set("tone:u.offset", "one", 0.25))
    assert bench.weight("tone:u.frequency", "one") == 220.0
    assert bench.key("tone:u.frequency", "one") == Key.DEFAULT
    bench.do(Set("tone:u.offset", "one", 0.0))
    assert bench.network.is_active("tone:u"), "a fader at zero does not kill its neuron"
    changes = bench.do(Cut("tone:u.offset", "one"))
    assert not bench.network.is_active("tone:u")
    assert "tone:u" in changes.removed
    assert bench.weight("tone:u.frequency", "one") is None


def test_an_undeclared_neuron_that_a_ramp_cuts_sleeps_when_the_ramp_ends():
    bench = two_voices()
    bench.do(Set("tone:u.offset", "one", 0.25))
    bench.do(Cut("tone:u.offset", "one", ramp=3 / TICK_RATE))
    bench.run(1)
    assert bench.network.is_active("tone:u")
    changes = bench.resolve()
    assert not bench.network.is_active("tone:u")
    assert changes.structure and "tone:u" in changes.removed


def test_a_neuron_wakes_others_with_their_defaults_after_the_whole_sum_and_puts_them_to_sleep():
    bench = two_voices()
    row = {"offset": {"one": {"out": 0.5}}, "frequency": {"slow": {"out": 2.0}}}
    bench.resolve(deltas=[{"tone:u": row}])
    assert bench.weight("tone:u.frequency", "one") is None, "the sum has a row for it"
    bench.resolve(deltas=[{"tone:v": {"offset": {"one": {"out": 0.5}}}}])
    assert bench.weight("tone:v.frequency", "one") == 220.0
    changes = bench.resolve(deltas=[{"tone:v": {"offset": {"one": {"out": -0.5}}}}])
    assert not bench.network.is_active("tone:v")
    assert changes.removed == {"tone:v": None}


def test_a_neuron_may_declare_another_one_by_writing_its_activation():
    bench = two_voices()
    changes = bench.resolve(deltas=[{"child": {"activation": {"library": {"tone": 1.0}}}}])
    assert bench.network.mixture("child") == {"tone": 1.0}
    assert bench.weight("child.frequency", "one") == 220.0
    assert changes.structure


def test_the_default_row_that_a_hand_cut_stays_cut_when_the_activation_is_replaced():
    bench = two_voices()
    bench.do(Cut("slow.frequency", "one"))
    bench.do(New("slow", "buzz"))
    assert bench.weight("slow.frequency", "one") is None
    assert bench.weight("slow.width", "one") == 0.5, "an input that the former activation had not"


# --- new, remove, setting, insert, crossfade, mute ---------------------------------------------------------


def test_new_on_an_existing_name_keeps_the_rows_that_still_fit_and_says_what_it_cut():
    bench = two_voices()
    bench.do(Set("slow.offset", "knob", 0.5), Set("slow.frequency", "one", 7.0))
    changes = bench.do(New("slow", "buzz"))
    assert bench.weight("slow.frequency", "one") == 7.0
    assert bench.weight("slow.offset", "knob") is None
    assert bench.weight("knob.input", "slow") == 0.5
    assert any("slow.offset knob.out" in sentence for sentence in changes.sentences)
    bench.do(New("slow", "buzz~"))
    assert bench.weight("knob.input", "slow") is None, "sound does not flow into a number"
    bench.do(Undo())
    bench.do(Undo())
    assert bench.network.mixture("slow") == {"tone": 1.0}
    assert bench.weight("slow.offset", "knob") == bench.weight("knob.input", "slow") == 0.5


def test_an_unknown_activation_is_refused_from_a_hand_and_kept_as_a_placeholder_from_a_file():
    bench = two_voices()
    assert "Did you mean" in bench.refused(New("c", "tonne"))
    bench.do(New("c", "wobble"), Set("c.anything", "slow", 0.5), Set("knob.amount", "c", 1.0), author="file")
    assert bench.network.is_placeholder("c")
    assert bench.weight("c.anything", "slow") == 0.5
    bench.refused(Insert("i", "wobble", "knob.input", "slow"), author="file")


def test_the_parts_of_a_mixture_live_on_one_side():
    bench = two_voices()
    assert "one side" in bench.refused(New("mixed", {"tone": 0.5, "wash": 0.5}))
    assert "one side" in bench.refused(Set("slow.activation", "library.note", 0.5))
    bench.do(New("morph", {"wash": 0.5, "turned": 0.5}))


def test_remove_takes_rows_columns_settings_and_mute():
    bench = Bench(New("w", "wash"), New("t", "turned"), Set("t.picture", "w", 1.0), SetSetting("w", "file", "x.png"))
    bench.do(Mute("w"))
    changes = bench.do(Remove("w"))
    assert list(changes.removed) == ["w"]
    assert not any("w" in (entry[0], entry[2]) for entry in bench.network.matrix.weights)
    assert (bench.network.settings, bench.network.muted) == ({}, {})


@pytest.mark.parametrize(
    "key, value", [("show", "stretch"), ("file", 3), ("fyle", "x.png"), ("show", None.__class__), ("file", ["a", "b"])]
)
def test_a_setting_of_another_kind_is_refused(key, value):
    bench = Bench(New("w", "wash"))
    bench.refused(SetSetting("w", key, value))


def test_a_setting_is_structure_and_none_means_the_default():
    bench = Bench(New("w", "wash"))
    changes = bench.do(SetSetting("w", "show", "crop"))
    assert (changes.structure, changes.settings) == (True, {"w"})
    assert bench.network.settings == {"w": {"show": "crop"}}
    bench.do(SetSetting("w", "show", None))
    assert bench.network.settings == {}


def test_insert_puts_a_neuron_into_a_connection():
    bench = two_voices()
    bench.do(Insert("half", "gain", "knob.input", "slow"))
    assert bench.weight("knob.input", "half") == 0.5
    assert bench.weight("half.input", "slow") == 1.0
    assert bench.weight("half.amount", "one") == 1.0
    assert bench.weight("knob.input", "slow") is None
    bench.do(Undo())
    assert bench.weight("knob.input", "slow") == 0.5
    assert not bench.network.is_active("half")


def test_insert_into_a_branch_of_a_tree_takes_the_branch():
    bench = two_voices()
    bench.do(Set("knob.amount", "osc.1/fader1", 0.5))
    bench.do(Insert("half", "gain", "knob.amount", "osc.1/fader1"))
    assert bench.network.matrix.weights["half", "input", "osc", "1", "fader1"] == 1.0
    assert bench.weight("knob.amount", "half") == 0.5
    assert ("knob", "amount", "osc", "1", "fader1") not in bench.network.matrix.weights


def test_insert_with_a_ramp_crosses_over():
    bench = two_voices()
    bench.do(Insert("half", "gain", "knob.input", "slow", ramp=4 / TICK_RATE))
    bench.run(1)
    assert bench.weight("knob.input", "half") == bench.weight("knob.input", "slow") == 0.25
    bench.run(2)
    assert (bench.weight("knob.input", "half"), bench.weight("knob.input", "slow")) == (0.5, None)


def test_insert_needs_a_connection_a_free_name_and_a_way_through():
    bench = two_voices()
    assert "not connected" in bench.refused(Insert("half", "gain", "knob.amount", "slow"))
    assert "exists already" in bench.refused(Insert("a", "gain", "knob.input", "slow"))
    bench.refused(Insert("half", "wash", "knob.input", "slow"))
    bench.refused(Insert("half", "speakers", "knob.input", "slow"))
    bench.refused(Insert("half", "gian", "knob.input", "slow"))


def test_a_crossfade_is_linear_between_numbers_and_of_equal_power_between_sounds():
    bench = two_voices()
    bench.do(New("other", "tone"))
    bench.do(Crossfade("knob.input", "slow", "other", 0.25))
    assert (bench.weight("knob.input", "slow"), bench.weight("knob.input", "other")) == (0.75, 0.25)
    bench.do(Crossfade("speakers.both", "a", "b", 0.5))
    bench.run(SOUND_TICKS)
    assert bench.weight("speakers.both", "a") ** 2 + bench.weight("speakers.both", "b") ** 2 == pytest.approx(1.0)
    bench.do(Crossfade("speakers.both", "a", "b", 1.0))
    bench.run(SOUND_TICKS)
    assert (bench.weight("speakers.both", "a"), bench.weight("speakers.both", "b")) == (0.0, 1.0)
    bench.do(Crossfade("a.frequency", "one", "slow", 0.5))
    bench.run(SOUND_TICKS)
    assert bench.weight("a.frequency", "one") == 0.5, "numbers into a sound's knob are no sounds"
    bench.refused(Crossfade("knob.input", "slow", "other", 1.5))
    bench.refused(Crossfade("knob.input", "slow", "slow", 0.5))


def test_mute_takes_a_neurons_column_out_and_puts_it_back():
    bench = two_voices()
    bench.do(Add("knob.amount", "slow", 0.25))
    bench.do(Mute("slow"))
    assert (bench.weight("knob.input", "slow"), bench.weight("knob.amount", "slow")) == (0.0, 0.0)
    bench.do(Add("knob.input", "slow", 1.0), author="osc")
    bench.do(Mute("slow", False))
    assert (bench.weight("knob.input", "slow"), bench.weight("knob.amount", "slow")) == (1.5, 0.25)
    assert bench.network.muted == {}


def test_mute_and_unmute_in_quick_succession_return_the_weight_of_a_sound_exactly():
    bench = two_voices()
    bench.do(Mute("a"))
    bench.do(Mute("a", False))
    bench.run(SOUND_TICKS)
    assert bench.weight("speakers.both", "a") == 0.1


def test_what_was_cut_while_a_neuron_was_muted_stays_cut():
    bench = two_voices()
    bench.do(Mute("slow"))
    bench.do(Cut("knob.input", "slow"))
    bench.do(Mute("slow", False))
    assert bench.weight("knob.input", "slow") is None


# --- undo and redo -----------------------------------------------------------------------------------------


def test_undo_of_what_is_untouched_returns_the_former_value_exactly():
    bench = two_voices()
    before = bench.contents()
    bench.do(Set("knob.input", "slow", 0.1 + 0.2))
    bench.do(Set("knob.amount", "slow", 0.0))
    bench.do(Cut("speakers.both", "a"))
    for _ in range(3):
        bench.do(Undo())
        bench.run(SOUND_TICKS)
    assert bench.contents() == before
    assert "nothing left" in bench.refused(Undo())


def test_undo_under_a_later_set_leaves_it_and_lets_it_inherit_the_former_value():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 1.0), author="osc")
    bench.do(Set("knob.input", "slow", 2.0), author="panel")
    bench.do(Undo(), author="osc")
    assert bench.weight("knob.input", "slow") == 2.0
    bench.do(Undo(), author="panel")
    assert bench.weight("knob.input", "slow") == 0.5
    bench.do(Redo(), author="panel")
    assert bench.weight("knob.input", "slow") == 2.0


def test_undo_under_a_later_cut_lets_the_cut_inherit():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 1.0), author="osc")
    bench.do(Cut("knob.input", "slow"), author="panel")
    bench.do(Undo(), author="osc")
    assert bench.weight("knob.input", "slow") is None
    bench.do(Undo(), author="panel")
    assert bench.weight("knob.input", "slow") == 0.5


def test_undo_of_what_others_added_to_takes_only_its_own_share_away():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 1.0), author="osc")
    bench.do(Add("knob.input", "slow", 0.25), author="panel")
    bench.resolve(deltas=[{"knob": {"input": {"slow": {"out": 0.125}}}}])
    bench.do(Undo(), author="osc")
    assert bench.weight("knob.input", "slow") == 0.875
    bench.do(Undo(), author="panel")
    assert bench.weight("knob.input", "slow") == 0.625
    bench.do(Redo(), author="osc")
    assert bench.weight("knob.input", "slow") == 1.0, "touched in between: the set is done again"


def test_undo_and_redo_at_once_change_nothing_whatever_happened_before():
    for between in (
        lambda bench: None,
        lambda bench: bench.do(Set("knob.input", "slow", 2.0), author="panel"),
        lambda bench: bench.do(Add("knob.input", "slow", 2.0), author="panel"),
        lambda bench: bench.do(Cut("knob.input", "slow"), author="panel"),
        lambda bench: bench.resolve(deltas=[{"knob": {"input": {"slow": {"out": 0.125}}}}]),
        lambda bench: bench.do(Remove("knob"), author="panel"),
    ):
        bench = two_voices()
        bench.do(Set("knob.input", "slow", 1.0), author="osc")
        between(bench)
        before = bench.contents()
        bench.do(Undo(), author="osc")
        bench.do(Redo(), author="osc")
        assert bench.contents() == before


def test_redo_after_anothers_set_does_the_edit_again_and_its_undo_returns_the_others_value():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 1.0), author="osc")
    bench.do(Undo(), author="osc")
    bench.do(Set("knob.input", "slow", 2.0), author="panel")
    bench.do(Redo(), author="osc")
    assert bench.weight("knob.input", "slow") == 1.0
    bench.do(Undo(), author="panel")
    assert bench.weight("knob.input", "slow") == 1.0, "replaced since: the redone edit inherits"
    bench.do(Undo(), author="osc")
    assert bench.weight("knob.input", "slow") == 0.5


def test_a_new_edit_forgets_what_could_be_redone_for_its_author_only():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 1.0), author="osc")
    bench.do(Undo(), author="osc")
    bench.do(Set("knob.amount", "slow", 1.0), author="panel")
    bench.do(Redo(), author="osc")
    bench.do(Undo(), author="osc")
    bench.do(Set("knob.amount", "slow", 3.0), author="osc")
    assert "nothing to do again" in bench.refused(Redo(), author="osc")


def test_sets_of_one_entry_by_one_author_less_than_half_a_second_apart_are_one_step():
    bench = two_voices()
    for value in (1.0, 2.0, 3.0):
        bench.do(Set("knob.input", "slow", value))
        bench.run(TICK_RATE // 2 - 2)
    bench.run(2)
    bench.do(Set("knob.input", "slow", 4.0))
    bench.do(Undo())
    assert bench.weight("knob.input", "slow") == 3.0
    bench.do(Undo())
    assert bench.weight("knob.input", "slow") == 0.5
    bench.do(Redo())
    assert bench.weight("knob.input", "slow") == 3.0


def test_sets_between_which_another_author_wrote_are_two_steps():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 1.0), author="osc")
    bench.do(Set("knob.input", "slow", 2.0), author="panel")
    bench.do(Set("knob.input", "slow", 3.0), author="osc")
    bench.do(Undo(), author="osc")
    assert bench.weight("knob.input", "slow") == 2.0


def test_a_fader_that_wakes_a_neuron_is_one_step_too():
    bench = two_voices()
    bench.do(Set("tone:u.offset", "one", 0.1))
    bench.do(Set("tone:u.offset", "one", 0.2))
    bench.do(Undo())
    assert not bench.network.is_active("tone:u")
    bench.refused(Undo())


def test_a_bundle_is_one_step():
    bench = two_voices()
    before = bench.contents()
    bench.do(New("c", "tone~"), Set("speakers.both", "c", 0.5), Remove("a"), SetSetting("self", "free", True))
    bench.run(SOUND_TICKS)
    bench.do(Undo())
    bench.run(SOUND_TICKS)
    assert bench.contents() == before


def test_undo_of_a_ramp_under_way_stops_it():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 5.0, ramp=1.0))
    bench.run(10)
    bench.do(Undo())
    bench.run(10)
    assert bench.weight("knob.input", "slow") == 0.5
    bench.do(Set("knob.input", "slow", 5.0, ramp=1.0))
    bench.do(Add("knob.input", "slow", 1.0), author="osc")
    bench.do(Undo())
    bench.run(10)
    assert bench.weight("knob.input", "slow") == 0.5, "an add under a ramp is absorbed, as it would be at its end"


def test_undo_of_an_added_ramp_takes_away_what_it_has_added_and_stops_it():
    bench = two_voices()
    bench.do(Add("knob.input", "slow", 4.0, ramp=4 / TICK_RATE))
    bench.run(1)
    assert bench.weight("knob.input", "slow") == 2.5
    bench.do(Undo())
    bench.run(4)
    assert bench.weight("knob.input", "slow") == 0.5
    bench.do(Add("knob.input", "slow", 4.0, ramp=4 / TICK_RATE))
    bench.do(Add("knob.input", "slow", 1.0), author="osc")
    bench.do(Undo())
    bench.run(4)
    assert bench.weight("knob.input", "slow") == pytest.approx(1.5)


def test_undo_of_remove_brings_back_the_neuron_its_mute_its_settings_and_its_state():
    bench = Bench(
        New("w", "wash", no_default=("amount",)),
        New("t", "turned"),
        Set("t.picture", "w", 1.0),
        SetSetting("w", "file", "x.png"),
    )
    bench.do(Mute("w"))
    before = bench.contents()
    changes = bench.do(Remove("w"))
    changes.removed["w"].states["w"] = "the state that was dropped"
    changes = bench.do(Undo())
    assert bench.contents() == before
    assert changes.returned == {"w": "the state that was dropped"}
    assert bench.do(Redo()).removed.keys() == {"w"}


def test_redo_of_new_brings_back_the_state_that_its_undo_dropped():
    bench = two_voices()
    bench.do(New("c", "tone"))
    bench.do(Undo()).removed["c"].states["c"] = "state"
    assert bench.do(Redo()).returned == {"c": "state"}


def test_undo_of_remove_does_not_bring_back_a_default_that_was_cut():
    bench = two_voices()
    bench.do(Set("tone:u.offset", "one", 0.1))
    bench.do(Cut("tone:u.frequency", "one"))
    before = bench.contents()
    bench.do(Remove("tone:u"))
    bench.do(Undo())
    assert bench.contents() == before


def test_undo_of_a_setting_that_another_has_changed_leaves_it_and_lets_that_edit_inherit():
    bench = Bench(New("w", "wash"))
    bench.do(SetSetting("w", "file", "a.png"), author="osc")
    bench.do(SetSetting("w", "file", "b.png"), author="panel")
    bench.do(Undo(), author="osc")
    assert bench.network.settings["w"]["file"] == "b.png"
    bench.do(Undo(), author="panel")
    assert bench.network.settings == {}


def test_undo_cannot_be_bundled_with_other_edits():
    bench = two_voices()
    bench.do(Set("knob.input", "slow", 1.0))
    bench.refused(Undo(), Set("knob.input", "slow", 2.0))
    bench.refused(Set("knob.input", "slow", 2.0), Undo())
    bench.do(Set("knob.amount", "slow", 2.0))
    bench.do(Undo(), Undo())
    assert bench.weight("knob.input", "slow") == 0.5
    bench.refused(Redo(), Redo(), Redo())


def test_the_history_does_not_grow_for_ever():
    bench = two_voices()
    for i in range(1_050):
        bench.do(Set("knob.input" if i % 2 else "knob.amount", "slow", float(i)))
    assert len(bench.me.history.done["panel"]) == 1_000


# --- what neurons read, free Self, trees ---------------------------------------------------------------------


def test_the_nominal_delta_leaves_everything_as_it_is():
    bench = two_voices()
    bench.do(Set("knob.amount", "slow", 1.0))
    handed_out = bench.network.matrix.tree
    before = bench.everything()
    tick = bench.me.tick
    nominal = bench.me.nominal(Group((Set("knob.input", "slow", 2.0), Cut("knob.amount", "slow")), "osc"))
    assert nominal == {"knob": {"input": {"slow": {"out": 1.5}}, "amount": {"slow": {"out": -1.0}}}}
    assert bench.me.nominal(Group((Undo(),), "panel")) == {"knob": {"amount": {"slow": {"out": -1.0}}}}
    assert bench.me.nominal(Group((Set("nobody.x", "one", 2.0),), "osc")) == {}
    assert bench.everything() == before
    assert bench.me.tick == tick
    assert bench.network.matrix.tree is handed_out
    copy = deepcopy(handed_out)
    bench.do(Set("knob.input", "slow", 9.0))
    assert handed_out == copy


def free_bench(loop):
    bench = two_voices()
    bench.do(SetSetting("self", "free", True))
    bench.do(Set("self.accum", "self.matrix", loop))
    return bench


def test_a_free_self_whose_loop_is_nine_tenths_fades_the_network_exactly_as_the_reference():
    bench = free_bench(0.9)
    expected, seen = [], []
    loop, weight = 0.9, 0.5
    for _ in range(6):
        weight, loop = weight * loop, loop * loop
        expected.append((loop, weight))
        bench.resolve(accum=bench_accum(bench))
        seen.append((bench.network.matrix.weights[SELF_LOOP], bench.weight("knob.input", "slow")))
    assert seen == expected
    assert seen[-1][0] == pytest.approx(0.9**64)


def bench_accum(bench):
    """What reaches `self.accum` over the loop."""
    handed_out = bench.network.matrix.tree
    return linear_combination(handed_out.get("self", {}).get("accum", {}), {"self": {"matrix": handed_out}})


def test_a_free_self_that_loses_its_loop_keeps_what_flows_in_alone():
    bench = free_bench(1.0)
    update = {"self": {"accum": {"self": {"matrix": -1.0}}}}
    loops = []
    for _ in range(4):
        bench.resolve(accum=bench_accum(bench), deltas=[update] if len(loops) < 2 else [])
        loops.append(bench.network.matrix.weights[SELF_LOOP])
    assert loops == [0.0, -1.0, 1.0, 1.0]
    assert bench.network.matrix.tree == {"self": {"accum": {"self": {"matrix": 1.0}}}}


def test_a_tree_that_was_handed_out_is_never_changed_afterwards():
    bench = two_voices()
    handed_out = []
    for i in range(30):
        bench.do(Set("knob.input", "slow", float(i)), Add("knob.amount", "slow", (-1.0) ** i))
        bench.resolve(Group((Set("knob.input", "slow", 1.0), Set("no.thing", "x", 1.0))))
        tree_now = bench.network.matrix.tree
        handed_out.append((tree_now, deepcopy(tree_now)))
    assert all(tree_then == copy for tree_then, copy in handed_out)


def test_what_an_edit_leaves_as_it_was_is_shared_between_trees():
    bench = two_voices()
    before = bench.network.matrix.tree
    bench.do(Set("knob.input", "slow", 3.0))
    after = bench.network.matrix.tree
    assert after is not before
    assert after["speakers"] is before["speakers"]
    assert after["knob"]["activation"] is before["knob"]["activation"]


# --- laws over random edits ------------------------------------------------------------------------------------

NAMES = ["a", "b", "slow", "knob", "c", "tone:u", "gain:v"]
TARGETS = ["knob.input", "knob.amount", "slow.frequency", "slow.offset", "tone:u.offset", "gain:v.input", "*.frequency"]
SOURCES = ["slow", "knob", "one", "tone:u", "osc.1/x", "*"]
SOUNDS = ["a", "b"]
WEIGHTS = st.floats(-4.0, 4.0)
RAMPS = st.sampled_from([None, None, None, 2 / TICK_RATE, 5 / TICK_RATE, "0.01b"])


def edits_of(names, targets, sources, weights, ramps, mixtures):
    """Edits of every verb, drawn from what the strategies give."""
    return st.one_of(
        st.builds(Set, targets, sources, weights, ramps),
        st.builds(Add, targets, sources, weights, ramps),
        st.builds(Scale, targets, sources, weights, ramps),
        st.builds(Cut, targets, sources, ramps),
        st.builds(New, names, mixtures, st.sampled_from([(), ("frequency",)])),
        st.builds(Remove, names),
        st.builds(SetSetting, names, st.sampled_from(["file", "show"]), st.sampled_from(["crop", None])),
        st.builds(Insert, names, mixtures, targets, sources, ramps),
        st.builds(Crossfade, targets, sources, sources, st.sampled_from([0.0, 0.25, 1.0]), ramps),
        st.builds(Mute, names, st.booleans()),
    )


MIXTURES = st.sampled_from(["tone", "gain", "buzz", {"tone": 0.5, "buzz": 0.5}])
NEAR = edits_of(
    st.sampled_from(NAMES), st.sampled_from(TARGETS), st.sampled_from(SOURCES), WEIGHTS, RAMPS, MIXTURES
) | st.builds(Set, st.just("speakers.both"), st.sampled_from(SOUNDS), WEIGHTS, RAMPS)
WILD = edits_of(
    st.sampled_from([*NAMES, "Bad", "one", "self", "*", "nobody*"]),
    st.sampled_from([*TARGETS, "speakers.both", "knob.nothing", "nobody.input", "self.accum", "a.activation"]),
    st.sampled_from([*SOURCES, *SOUNDS, "nobody", "slow.nothing", "library.buzz~", "self.matrix"]),
    st.one_of(WEIGHTS, st.sampled_from([0.0, -0.0, 1e-10, 1e300, -1e300, math.nan, math.inf])),
    st.sampled_from([None, 0.0, 2 / TICK_RATE, "x", -1.0]),
    st.sampled_from(["tone~", "note", "wash", "x", "self", 5, {}, {"tone": 0.5, "wash": 0.5}]),
)
GROUPS = st.one_of(
    NEAR.map(lambda edit: (edit,)),
    st.lists(NEAR, min_size=1, max_size=3).map(tuple),
    st.lists(st.one_of(NEAR, WILD), min_size=1, max_size=4).map(tuple),
)
AUTHORS = st.sampled_from(["osc", "panel"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(GROUPS, AUTHORS), max_size=6), GROUPS, AUTHORS)
def test_a_refused_group_leaves_everything_bit_identical(before, group, author):
    bench = two_voices()
    for edits, who in before:
        bench.resolve(Group(edits, who))
    bench.me.ramps.sets.clear()
    bench.me.ramps.adds.clear()
    everything = bench.everything()
    changes = bench.resolve(Group((*group, Set("nobody.input", "one", 1.0)), author))
    assert changes.answers[0][1] is not None
    assert bench.everything() == everything
    assert (changes.entries, changes.structure, changes.removed) == ({}, False, {})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(GROUPS, AUTHORS), min_size=1, max_size=8))
def test_undoing_all_that_one_author_did_and_redoing_it_goes_there_and_back_exactly(groups):
    bench = two_voices()
    start = bench.contents()
    steps = 0
    for edits, _ in groups:
        bench.resolve(Group(edits, "osc"))
        bench.run(TICK_RATE)
    end, steps = bench.contents(), len(bench.me.history.done.get("osc", ()))
    for _ in range(steps):
        bench.do(Undo(), author="osc")
        bench.run(SOUND_TICKS)
    assert bench.contents() == start
    for _ in range(steps):
        bench.do(Redo(), author="osc")
        bench.run(SOUND_TICKS)
    assert bench.contents() == end


@settings(max_examples=60, deadline=None)
@given(st.permutations([0.1, 0.2, -0.3, 1e3, 7.7, -1e-3]), st.permutations([0.1, 0.2, -0.3, 1e3, 7.7, -1e-3]))
def test_adds_commute_to_rounding(some, others):
    def after(amounts):
        bench = two_voices()
        bench.resolve(*[Group((Add("knob.input", "slow", amount),), "osc") for amount in amounts])
        return bench.weight("knob.input", "slow")

    assert after(some) == pytest.approx(after(others), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e6, 1e6), st.integers(1, 20), st.lists(st.floats(-1e3, 1e3), max_size=3))
def test_a_set_with_a_ramp_lands_exactly_whatever_is_added_on_the_way(weight, ticks, adds):
    bench = two_voices()
    bench.do(Set("knob.input", "slow", weight, ramp=ticks / TICK_RATE))
    adds = adds[: max(0, ticks - 2)]
    for amount in adds:
        bench.do(Add("knob.input", "slow", amount), author="osc")
    bench.run(ticks - 1 - len(adds))
    assert bench.weight("knob.input", "slow") == weight


class EditedNetwork(RuleBasedStateMachine):
    """Any edits by two hands and neurons, at any gain: what must always hold."""

    @initialize()
    def start(self):
        self.bench = two_voices()
        self.handed_out = []

    @rule(groups=st.lists(st.tuples(GROUPS, AUTHORS), max_size=3), gain=st.sampled_from([0.0, 0.1, 1.0]))
    def edit(self, groups, gain):
        self.bench.resolve(*[Group(edits, author) for edits, author in groups], gains={"osc": gain})

    @rule(author=AUTHORS, edit=st.sampled_from([Undo(), Redo()]))
    def travel(self, author, edit):
        self.bench.resolve(Group((edit,), author))

    @rule(
        to=st.sampled_from(["knob", "slow", "tone:u", "gain:v", "self", "nobody"]),
        port=st.sampled_from(["input", "offset", "accum", "activation", "whatever"]),
        source=st.sampled_from(["slow", "one", "self", "library"]),
        output=st.sampled_from(["out", "matrix", "tone"]),
        weight=st.floats(-2.0, 2.0),
    )
    def neurons_write(self, to, port, source, output, weight):
        self.bench.resolve(deltas=[{to: {port: {source: {output: weight}}}}])

    @rule(ticks=st.integers(1, 8))
    def time_passes(self, ticks):
        self.bench.run(ticks)

    @rule(edits=GROUPS, author=AUTHORS)
    def ask_for_the_nominal_delta(self, edits, author):
        before = self.bench.everything()
        self.bench.me.nominal(Group(edits, author))
        assert self.bench.everything() == before

    @invariant()
    def the_tree_is_the_weights_without_zeros(self):
        if not hasattr(self, "bench"):
            return
        matrix = self.bench.network.matrix
        shown = {path[:-1] if path[-1] == NUMBER else path: number for path, number in leaves(matrix.tree)}
        assert shown == {entry: weight for entry, weight in matrix.weights.items() if weight}
        assert all(path[-1] != NUMBER or len(branch_of(matrix.tree, path[:-1])) > 1 for path, _ in leaves(matrix.tree))
        self.handed_out = [*self.handed_out[-3:], (matrix.tree, deepcopy(matrix.tree))]
        assert all(tree_then == copy for tree_then, copy in self.handed_out)

    @invariant()
    def rows_columns_and_inputs_are_those_of_the_keys(self):
        if not hasattr(self, "bench"):
            return
        matrix = self.bench.network.matrix
        assert matrix.keys.keys() == matrix.weights.keys()
        assert {entry for row in matrix.rows.values() for entry in row} == set(matrix.weights)
        assert {entry for column in matrix.columns.values() for entry in column} == set(matrix.weights)
        assert {(to, port) for to, ports in matrix.inputs.items() for port in ports} == set(matrix.rows)
        assert all(matrix.rows.values()) and all(matrix.columns.values()) and all(matrix.inputs.values())
        assert all(math.isfinite(weight) for weight in matrix.weights.values())

    @invariant()
    def self_keeps_its_loop_and_nobody_is_kept_awake_by_defaults_alone(self):
        if not hasattr(self, "bench"):
            return
        network = self.bench.network
        assert network.matrix.weights[SELF_LOOP] == 1.0
        for name in network.matrix.inputs:
            if ":" in name:
                keys = [network.matrix.keys[entry] for entry in network.matrix.entries_of(name)]
                assert any(key != Key.DEFAULT for key in keys), name


def branch_of(tree_now, path):
    for label in path:
        tree_now = tree_now[label]
    return tree_now


EditedNetwork.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_whatever_is_edited_the_network_stays_whole = EditedNetwork.TestCase


def test_begin_explains_a_broken_first_group():
    network = Network(small_library())
    with pytest.raises(EditError, match="nobody"):
        SelfNeuron(network, TICK_RATE).begin(Group((Set("nobody.x", "one", 1.0),), "file"))

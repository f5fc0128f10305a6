"""One-line edits: what each line says, that every edit has a line, and what a prompt completes."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmm_av.activations.library import open_library
from dmm_av.errors import PatchError
from dmm_av.network import edits
from dmm_av.network.activation import Activation, Input, Library, Output, Setting
from dmm_av.network.network import BUILT_IN
from dmm_av.network.notation import USAGE, Command, complete, edit_text, parse_line
from dmm_av.streams.kinds import Kind


@pytest.mark.parametrize(
    ("line", "edit"),
    [
        ("fold.wedges 7", edits.Set("fold.wedges", "one", 7.0)),
        ("fold.wedges 7 2", edits.Set("fold.wedges", "one", 7.0, 2.0)),
        ("fold.wedges 7 2b", edits.Set("fold.wedges", "one", 7.0, "2b")),
        ("fold.wedges 7 50ms", edits.Set("fold.wedges", "one", 7.0, 0.05)),
        ("fold.wedges ear.low 0.3", edits.Set("fold.wedges", "ear.low", 0.3)),
        ("fold.wedges ear.low 0.3 0.5s", edits.Set("fold.wedges", "ear.low", 0.3, 0.5)),
        ("set fold.wedges -1e3", edits.Set("fold.wedges", "one", -1000.0)),
        ("speakers.both voice* 50%", edits.Set("speakers.both", "voice*", 0.5)),
        ("speakers.both voice 0dB", edits.Set("speakers.both", "voice", 1.0)),
        ("accum.image:trail.delta reader/ 1", edits.Set("accum.image:trail.delta", "reader/", 1.0)),
        ("norm fold.wedges 0.5", edits.SetNorm("fold.wedges", "one", 0.5)),
        ("add fold.wedges ear.low 0.1", edits.Add("fold.wedges", "ear.low", 0.1)),
        ("scale voice*.frequency one 2 4b", edits.Scale("voice*.frequency", "one", 2.0, "4b")),
        ("cut fold.wedges ear.low", edits.Cut("fold.wedges", "ear.low")),
        ("cut fold.wedges", edits.Cut("fold.wedges", "one")),
        ("cut fold.wedges 3", edits.Cut("fold.wedges", "one", 3.0)),
        ("new pad sine~", edits.New("pad", "sine~")),
        ("new pad {sine~: 0.7, saw~: 0.3}", edits.New("pad", {"sine~": 0.7, "saw~": 0.3})),
        ("new pad sine~ without frequency octaves", edits.New("pad", "sine~", ("frequency", "octaves"))),
        ("remove voice*", edits.Remove("voice*")),
        ("setting kick file drums/kick 1.wav", edits.Setting("kick", "file", "drums/kick 1.wav")),
        ("setting grey size [64, 48]", edits.Setting("grey", "size", [64, 48])),
        ("setting grey size", edits.Setting("grey", "size", None)),
        ("insert soft lowpass~ speakers.both voice 2", edits.Insert("soft", "lowpass~", "speakers.both", "voice", 2.0)),
        ("insert soft lowpass~ on speakers.both voice", edits.Insert("soft", "lowpass~", "speakers.both", "voice")),
        ("crossfade screen.image a b 0.25 4b", edits.Crossfade("screen.image", "a", "b", 0.25, "4b")),
        ("mute drums", edits.Mute("drums", True)),
        ("mute drums 0", edits.Mute("drums", False)),
        ("undo", edits.Undo()),
        ("  redo  ", edits.Redo()),
        ("save", Command("save")),
        ("save my patch.yaml", Command("save", ("my patch.yaml",))),
        ("at bar fold.wedges 7 2", Command("at", ("bar", "fold.wedges 7 2"))),
        ("eval fold.wedges: {ear.low: 0.3}", Command("eval", ("fold.wedges: {ear.low: 0.3}",))),
        ("get voice*", Command("get", ("voice*",))),
        ("panic", Command("panic")),
        ("revert", Command("revert")),
    ],
)
def test_a_line_says(line, edit):
    assert parse_line(line) == edit


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "there is nothing in it"),
        ("fold", "no verb is called `fold`"),
        ("scael fold.wedges 2", "Did you mean `scale`?"),
        ("fold.wedges", "something is missing. Write `set to.input [source] weight [ramp]`."),
        ("fold.wedges ear.low", "a number is missing"),
        ("fold.wedges 7 2 3", "there is more than belongs here"),
        ("fold.wedges nan", "a number is missing"),
        ("fold.wedges .nan", "`.nan` is no finite number"),
        ("fold.wedges 1e999", "`1e999` is no finite number"),
        ("fold.wedges 7 -1", "`-1` is no length of time"),
        ("fold.wedges 7 soon", "`soon` is no length of time"),
        ("fold.wedges 7 1.2.3s", "`1.2.3s` is no length of time"),
        ("fold.wedges Ear 1", "`Ear` cannot be the name of a neuron"),
        ("cut", "Write `cut to.input [source] [ramp]`"),
        ("new pad", "Write `new name activation [without input …]`"),
        ("new pad {sine~ 0.7}", "a mixture is `{sine~: 0.7, saw~: 0.3}`"),
        ("new pad {sine~: loud}", "the coefficient `loud` is no finite number"),
        ("new pad sine~ saw~", "there is more than belongs here"),
        ("mute drums off", "neither 1 nor 0"),
        ("undo twice", "there is more than belongs here"),
        ("crossfade screen.image a b", "something is missing"),
        ("at bar", "Write `at grid edit…`"),
        ("eval", "Write `eval text…`"),
        ("revert all", "Write `revert`"),
    ],
)
def test_a_line_that_says_nothing_is_answered_with_the_form_it_lacks(line, sentence):
    with pytest.raises(PatchError) as error:
        parse_line(line, "prompt")
    assert str(error.value).startswith("prompt: ")
    assert sentence in str(error.value)


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
ACTIVATIONS = st.from_regex(r"[a-z][a-z0-9_]{0,5}~?(\.[a-z]{1,4})?", fullmatch=True)
NEURONS = NAMES | st.builds("{}:{}".format, ACTIVATIONS, NAMES) | st.builds("{}*".format, NAMES)
BRANCHES = st.lists(st.sampled_from(["1", "fader1", "%20", "a%2Fb", "xy"]), max_size=2)
INPUTS = st.builds("{}.{}".format, NEURONS, NAMES) | st.builds("{}.{}/3".format, NEURONS, NAMES)
SOURCES = (
    st.just("one")
    | NEURONS
    | st.builds("{}/".format, NEURONS)
    | st.builds(lambda name, port, tail: "/".join([f"{name}.{port}", *tail]), NEURONS, NAMES, BRANCHES)
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
RAMPS = st.none() | st.floats(0, 86_000) | st.builds("{}b".format, st.integers(0, 64) | st.floats(0, 64))
TEXTS = st.text(max_size=12) | st.text(string.printable, max_size=12)
VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers(-(2**40), 2**40) | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
EDITS = st.one_of(
    st.builds(edits.Set, INPUTS | NAMES, SOURCES, NUMBERS, RAMPS),
    st.builds(edits.SetNorm, INPUTS, SOURCES, NUMBERS, RAMPS),
    st.builds(edits.Add, INPUTS, SOURCES, NUMBERS, RAMPS),
    st.builds(edits.Scale, INPUTS, SOURCES, NUMBERS, RAMPS),
    st.builds(edits.Cut, INPUTS, SOURCES, RAMPS),
    st.builds(
        edits.New,
        NAMES,
        ACTIVATIONS | st.dictionaries(ACTIVATIONS, NUMBERS, min_size=1, max_size=3),
        st.lists(NAMES, max_size=2).map(tuple),
    ),
    st.builds(edits.Remove, NEURONS),
    st.builds(edits.Setting, NEURONS, NAMES, VALUES | st.none()),
    st.builds(edits.Insert, NAMES.filter(lambda name: name != "on"), ACTIVATIONS, INPUTS, SOURCES, RAMPS),
    st.builds(edits.Crossfade, INPUTS, SOURCES, SOURCES, NUMBERS, RAMPS),
    st.builds(edits.Mute, NEURONS, st.booleans()),
    st.just(edits.Undo()),
    st.just(edits.Redo()),
)


@given(EDITS)
@settings(deadline=None)
def test_every_edit_has_a_line_that_says_it(edit):
    line = edit_text(edit)
    assert len(line.splitlines()) == 1
    assert parse_line(line) == edit


def test_a_group_is_shown_on_one_line():
    group = edits.Group((edits.Set("fold.wedges", "one", 7.0), edits.Undo()))
    assert edit_text(group) == "fold.wedges 7; undo"


@given(
    st.text(max_size=60) | st.lists(st.sampled_from([*USAGE, "a.b", "one", "1", "2b", "{", "x:y", "/"])).map(" ".join)
)
def test_any_line_is_an_edit_a_command_or_a_sentence(line):
    try:
        parse_line(line, "prompt")
    except PatchError as error:
        assert str(error).startswith("prompt: ")


# Completion


def small_library():
    library = Library()
    for built_in in BUILT_IN.values():
        library.add(open_library()[built_in])
    frequency = {"frequency": Input("frequency", Kind.AUDIO), "offset": Input("offset", Kind.AUDIO)}
    library.add(Activation("sine~", "signal", "", frequency, {"out": Output("out", Kind.AUDIO)}))
    bands = {"low": Output("low", Kind.NUMBER), "high": Output("high", Kind.NUMBER)}
    library.add(Activation("bands~", "signal", "", {"input": Input("input", Kind.AUDIO)}, bands))
    library.add(
        Activation(
            "picture",
            "picture",
            "",
            {},
            {"out": Output("out", Kind.IMAGE)},
            {"fit": Setting("fit", "choice", "cover", ("cover", "contain")), "file": Setting("file", "file")},
        )
    )
    return library


KNOWN = {"voice": "sine~", "ear": ("bands~",), "photo": {"picture": 1.0}, "vase": "sine~"}


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("v", ["vase.", "voice."]),
        ("voice.", ["voice.frequency", "voice.offset"]),
        ("voice.fr", ["voice.frequency"]),
        ("voice.frequency e", ["ear", "edits"]),
        ("voice.frequency ear", ["ear", "ear.high", "ear.low"]),
        ("voice.frequency ear.l", ["ear.low"]),
        ("scal", ["scale"]),
        ("scale vo", ["voice."]),
        ("remove v", ["vase", "voice"]),
        ("remove s", []),
        ("new pad s", ["sine~"]),
        ("new pad sine~ ", ["without"]),
        ("new pad sine~ without o", ["offset"]),
        ("setting photo ", ["file", "fit"]),
        ("setting photo fit c", ["contain", "cover"]),
        ("mute ear ", ["0", "1"]),
        ("at b", ["bar", "beat"]),
        ("fold.wedges 7 2 ", []),
    ],
)
def test_the_prompt_completes(prefix, words):
    assert complete(prefix, small_library(), KNOWN) == words


def test_an_empty_prompt_offers_every_verb_and_every_neuron_with_inputs():
    offered = complete("", small_library(), KNOWN)
    assert set(USAGE) <= set(offered)
    assert "voice." in offered and "speakers." in offered and "one." not in offered

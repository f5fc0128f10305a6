"""The patch language: what a file says, what it may not say, and the way from file to edits and back."""

import math
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmm_av.activations.library import open_library
from dmm_av.errors import PatchError
from dmm_av.network import edits, patch_saving
from dmm_av.network.activation import Activation, Input, Library, Output, Setting
from dmm_av.network.network import BUILT_IN, Network
from dmm_av.network.notation import edit_text
from dmm_av.network.patch import (
    Rates,
    difference,
    parse_fragment,
    parse_patch,
    patch_group,
    read_patch,
    saved_text,
)
from dmm_av.network.patch_sections import MIGRATIONS, full_rows, migrated, read_sections, source_text, target_text
from dmm_av.network.patch_text import MOST_NODES, compose, number_text
from dmm_av.network.self_neuron import SelfNeuron
from dmm_av.streams.kinds import Kind
from dmm_av.streams.units import UNITS
from dmm_av.streams.vvalue import decode_label

FIXTURES = Path(__file__).parent / "fixtures" / "patches"
HERTZ, SECONDS, DECIBELS = UNITS["Hz"], UNITS["s"], UNITS["dB"]


def activation(name, inputs, outputs=(("out", None),), side="signal", config=(), families=(), also=()):
    return Activation(
        name,
        side,
        "",
        {port.name: port for port in inputs},
        {port: Output(port, kind) for port, kind in outputs},
        {setting.name: setting for setting in config},
        also=also,
        notes={"families": families},
    )


def small_library():
    library = Library()
    for suffix, kind in (("", Kind.NUMBER), ("~", Kind.AUDIO)):
        for name, also in (("sine", "osc"), ("saw", "sawtooth")):
            ports = [Input("frequency", kind, 220.0, HERTZ), Input("octaves", kind, 0.0), Input("offset", kind, 0.0)]
            library.add(activation(name + suffix, ports, [("out", kind)], also=(also + suffix,)))
        library.add(
            activation(
                "steps" + suffix,
                [Input("beat", kind, {"transport.beat": 1.0}), Input("steps", kind), Input("per_beat", kind, 4.0)],
                [("out", kind), ("gate", kind), ("trigger", kind)],
                families=("steps",),
            )
        )
        ports = [Input("input", kind), Input("time", kind, 0.1, SECONDS), Input("gain", kind, 0.0, DECIBELS)]
        library.add(activation("lag" + suffix, ports, [("out", kind)]))
    bands = [("low", Kind.NUMBER), ("mid", Kind.NUMBER), ("high", Kind.NUMBER)]
    library.add(activation("bands~", [Input("input", Kind.AUDIO), Input("attack", Kind.AUDIO, 0.01, SECONDS)], bands))
    library.add(activation("waves", [Input("frequency", Kind.FIELD, 20.0)], [("out", Kind.IMAGE)], "picture"))
    fold = [Input("picture", Kind.IMAGE), Input("wedges", Kind.FIELD, 6.0, also=("sides",))]
    library.add(activation("kaleidoscope", fold, [("out", Kind.IMAGE)], "picture", also=("kaleid",)))
    library.add(activation("grey", [Input("picture", Kind.IMAGE)], [("out", Kind.MATRIX)], "picture"))
    both = [Input("accum", Kind.IMAGE, delayed=True), Input("delta", Kind.IMAGE)]
    library.add(activation("accum.image", both, [("out", Kind.IMAGE)], "picture"))
    both = [Input("accum", Kind.VVALUE), Input("delta", Kind.VVALUE)]
    library.add(activation("accum.tree", both, [("out", Kind.VVALUE)], "tree"))
    config = (
        Setting("file", "file"),
        Setting("fit", "choice", "cover", ("cover", "contain", "stretch")),
        Setting("size", "size"),
        Setting("loop", "boolean", False),
        Setting("order", "list"),
        Setting("start", "tree"),
        Setting("count", "integer", 1),
        Setting("speed", "number", 1.0),
        Setting("title", "text", ""),
    )
    library.add(activation("movie", [], [("out", Kind.IMAGE)], "picture", config))
    library.add(
        activation(
            "self",
            [
                Input("accum", Kind.VVALUE, {"self.matrix": 1.0}),
                Input("delta", Kind.VVALUE, {"edits.osc": 1.0, "edits.file": 1.0}),
            ],
            [("matrix", Kind.VVALUE)],
            "engine",
            (Setting("free", "boolean", False),),
        )
    )
    show = Setting("show", "choice", "clamp", ("clamp", "bipolar"))
    library.add(activation("screen", [Input("image", Kind.IMAGE)], [], "engine", (show,)))
    library.add(activation("one", [], [("out", Kind.NUMBER)], "engine"))
    ports = [Input("tempo", Kind.NUMBER, 120.0), Input("run", Kind.NUMBER, 1.0)]
    library.add(activation("transport", ports, [("beat", Kind.NUMBER), ("phase", Kind.NUMBER)], "engine"))
    library.add(activation("edits", [], [("osc", Kind.VVALUE), ("file", Kind.VVALUE)], "engine"))
    both = [Input(port, Kind.AUDIO) for port in ("left", "right", "both")]
    library.add(activation("speakers", both, [], "engine"))
    library.add(Activation("osc_data", "engine", "", {}, {}, variadic_outputs=Kind.VVALUE))
    return library


LIBRARY = small_library()
ONE = ("one", "out")


def patch_of(text, library=LIBRARY):
    return parse_patch(text, "tides.yaml", library)


def refusal(text, library=LIBRARY):
    with pytest.raises(PatchError) as error:
        patch_of(text, library)
    return str(error.value)


def rows_of(text):
    return patch_of(text).rows


TIDES = """\
# Tides: a slow swell leans on the pitch of a voice.
format: 1
name: tides
neurons:
  swell: sine                       # slow
  voice: {is: sine~, frequency: {one: 220, swell: 30}}

matrix:                             # input: {output: weight, ...}
  swell.frequency: 0.1
  speakers.left:   {voice: 0.1}     # quiet
"""


# What a patch says


def test_a_patch_says_its_neurons_and_rows():
    patch = patch_of(TIDES)
    assert patch.name == "tides"
    assert {name: declared.activation for name, declared in patch.neurons.items()} == {
        "swell": {"sine": 1.0},
        "voice": {"sine~": 1.0},
    }
    assert patch.rows == {
        ("voice", "frequency"): {ONE: 220.0, ("swell", "out"): 30.0},
        ("swell", "frequency"): {ONE: 0.1},
        ("speakers", "left"): {("voice", "out"): 0.1},
    }
    assert patch.places[("swell", "frequency")] == (9, 3)
    assert patch.warnings == ()


def test_what_a_patch_does_not_say_has_its_usual_value():
    patch = patch_of("neurons: {}")
    assert (patch.rates, patch.size, patch.seed, patch.limit) == (
        Rates(48_000, 240, 60, "settled"),
        (1280, 720),
        0,
        4.0,
    )


def test_the_header_says_rates_size_seed_and_limit():
    patch = patch_of("{rates: {tick: 250, frame: 25, hops: strict}, size: 640x360, seed: 7, limit: 2.5, about: on}")
    assert patch.rates == Rates(48_000, 250, 25, "strict")
    assert (patch.size, patch.seed, patch.limit, patch.about) == ((640, 360), 7, 2.5, "on")


@pytest.mark.parametrize(
    ("row", "entries"),
    [
        ("5", {ONE: 5.0}),
        ("-1e3", {ONE: -1000.0}),
        ("swell", {("swell", "out"): 1.0}),
        ("swell.out", {("swell", "out"): 1.0}),
        ("{swell: 0.5, one: 2}", {("swell", "out"): 0.5, ONE: 2.0}),
        ("{sine:other: 0.5}", {("sine:other", "out"): 0.5}),
        ("{osc.1/fader1: 2}", {("osc", "1", "fader1"): 2.0}),
        ("{osc.x/A%2Fb: 2}", {("osc", "x", "A/b"): 2.0}),
        ("{tree/: 3}", {("tree",): 3.0}),
        ("{transport.beat: 0}", {("transport", "beat"): 0.0}),
        ('"440Hz"', {ONE: 440.0}),
        ("1.5kHz", {ONE: 1500.0}),
        ("50%", {ONE: 0.5}),
        ("{swell: 0dB}", {("swell", "out"): 1.0}),
        ("{swell: -20dB}", {("swell", "out"): 0.1}),
    ],
)
def test_a_row_is_a_number_a_name_or_a_sum(row, entries):
    text = f"neurons:\n  swell: sine\n  tree: accum.tree\n  voice: {{is: sine~, frequency: {row}}}\n"
    found = rows_of(text + "matrix: {sine:other.offset: 0}")[("voice", "frequency")]
    assert found == pytest.approx(entries)


@pytest.mark.parametrize(("number", "weight"), [("10ms", 0.01), ("2s", 2.0), ("0.5", 0.5), ("25%", 0.25)])
def test_times_are_in_seconds(number, weight):
    assert rows_of(f"neurons: {{soft: {{is: lag~, time: {number}}}}}")[("soft", "time")] == {ONE: weight}


def test_decibels_stay_decibels_where_decibels_are_counted():
    assert rows_of("neurons: {soft: {is: lag~, gain: -6dB}}")[("soft", "gain")] == {ONE: -6.0}


def test_empty_braces_mean_no_default():
    patch = patch_of("neurons: {voice: {is: sine~, frequency: {}}}")
    assert patch.rows == {}
    assert patch.no_default == {("voice", "frequency")}
    assert ("voice", "frequency") not in full_rows(patch, LIBRARY)


def test_a_row_takes_the_place_of_the_default_row():
    rows = full_rows(patch_of("neurons: {swell: sine, voice: {is: sine~, frequency: {swell: 30}}}"), LIBRARY)
    assert rows[("voice", "frequency")] == {("swell", "out"): 30.0}
    assert rows[("swell", "frequency")] == {ONE: 220.0}
    assert ("swell", "octaves") not in rows


def test_a_list_on_a_family_is_one_row_for_each_item():
    patch = patch_of("neurons: {lfo: sine, hits: {is: steps~, steps: [1, 0, {lfo: 0.5}, lfo, {}], steps/6: 0.25}}")
    assert [patch.rows.get(("hits", f"steps/{i}")) for i in range(1, 8)] == [
        {ONE: 1.0},
        {ONE: 0.0},
        {("lfo", "out"): 0.5},
        {("lfo", "out"): 1.0},
        None,
        {ONE: 0.25},
        None,
    ]


def test_a_name_with_a_range_repeats_the_line():
    patch = patch_of(
        """
neurons:
  note(1..3): {is: sine, frequency: "(110, 220, 330)"}
  voice(1..3): {is: saw~, frequency: note(1..3), offset: {"note(3,2,1)": 0.5}}
  film(a,b): {is: movie, file: "take (a,b).mp4", title: "a (good) one"}
matrix:
  voice(1..3).octaves: "(0, 1, 2)"
  speakers.both: {voice(1..3): "(0.1, 0.2, 0.3)"}
"""
    )
    assert [patch.rows[(f"note{i}", "frequency")] for i in (1, 2, 3)] == [{ONE: 110.0}, {ONE: 220.0}, {ONE: 330.0}]
    assert patch.rows[("voice3", "frequency")] == {("note3", "out"): 1.0}
    assert patch.rows[("voice3", "offset")] == {("note1", "out"): 0.5}
    assert patch.rows[("voice3", "octaves")] == {ONE: 2.0}
    assert patch.rows[("speakers", "both")] == {(f"voice{i}", "out"): i / 10 for i in (1, 2, 3)}
    assert patch.neurons["filmb"].settings == {"file": "take b.mp4", "title": "a (good) one"}


def test_a_pattern_stands_for_the_declared_neurons_that_match():
    patch = patch_of(
        """
neurons: {voice1: sine~, voice2: saw~, other: sine~, ear: {is: bands~, input: voice*}}
matrix:
  speakers.both: {"voice[12]": 0.1, voice2: 0.5}
  speakers.left: {sine~:*: 1}
  sine~:a.offset: {"ear.{low,high}": 0.2}
"""
    )
    assert patch.rows[("ear", "input")] == {("voice1", "out"): 1.0, ("voice2", "out"): 1.0}
    assert patch.rows[("speakers", "both")] == {("voice1", "out"): 0.1, ("voice2", "out"): 0.5}
    assert patch.rows[("speakers", "left")] == {("sine~:a", "out"): 1.0}
    assert patch.rows[("sine~:a", "offset")] == {("ear", "low"): 0.2, ("ear", "high"): 0.2}


def test_a_mixture_has_the_inputs_and_outputs_of_all_it_mixes():
    patch = patch_of("neurons: {pad: {is: {sine~: 0.7, saw~: 0.3}, frequency: 110}, b: {is: lag~, input: pad}}")
    assert patch.neurons["pad"].activation == {"sine~": 0.7, "saw~": 0.3}
    assert patch.rows[("b", "input")] == {("pad", "out"): 1.0}


def test_what_a_neuron_is_may_be_written_as_a_row():
    patch = patch_of("matrix: {pad.activation: {library.sine~: 0.7, saw~: 0.3}, lead.activation: saw~, pad.offset: 1}")
    assert patch.neurons["pad"].activation == {"sine~": 0.7, "saw~": 0.3}
    assert patch.neurons["lead"].activation == {"saw~": 1.0}
    assert patch.rows == {("pad", "offset"): {ONE: 1.0}}


def test_other_names_of_activations_and_inputs_are_accepted_and_forgotten():
    patch = patch_of("neurons: {fold: {is: kaleid, sides: 3}, voice: osc~}")
    assert patch.neurons["fold"].activation == {"kaleidoscope": 1.0}
    assert patch.neurons["voice"].activation == {"sine~": 1.0}
    assert patch.rows == {("fold", "wedges"): {ONE: 3.0}}


def test_an_undeclared_neuron_wakes_with_its_first_row():
    patch = patch_of("matrix: {sine~:a.frequency: 330, speakers.left: {sine~:a: 0.1, saw~:b: 0.1}}")
    assert patch.neurons == {}
    assert full_rows(patch, LIBRARY)[("sine~:a", "frequency")] == {ONE: 330.0}
    assert patch.warnings == (
        "tides.yaml, line 1, column 64, row `speakers.left`: `saw~:b` sleeps, for no row of its own wakes it. "
        "Write one, or declare a neuron.",
    )


def test_built_in_neurons_take_rows_and_settings():
    patch = patch_of(
        "neurons: {screen: {image: waves1, show: bipolar}, waves1: waves, self: {is: accum, free: true}, "
        "transport: {tempo: 90}}"
    )
    assert patch.neurons["screen"].settings == {"show": "bipolar"}
    assert patch.neurons["self"].settings == {"free": True}
    assert patch.rows[("screen", "image")] == {("waves1", "out"): 1.0}
    assert patch.rows[("transport", "tempo")] == {ONE: 90.0}
    assert not any(isinstance(edit, edits.New) and edit.name != "waves1" for edit in patch_group(patch).edits)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("file: films/sea 1.mp4", "films/sea 1.mp4"),
        ("fit: contain", "contain"),
        ("size: [64, 48]", [64, 48]),
        ("size: 64x48", [64, 48]),
        ("size: 64", [64, 64]),
        ("loop: on", True),
        ("loop: no", False),
        ("order: [1, 2.5, two, true]", [1, 2.5, "two", True]),
        ("start: {a: 1, b: {c: -2}}", {"a": 1.0, "b": {"c": -2.0}}),
        ("count: 3", 3),
        ("speed: 50%", 0.5),
        ("title: 0123", "0123"),
        ("title: yes", "yes"),
        ('title: ""', ""),
    ],
)
def test_settings_have_the_type_they_are_declared_with(setting, value):
    (found,) = patch_of(f"neurons: {{film: {{is: movie, {setting}}}}}").neurons["film"].settings.values()
    assert found == value
    assert type(found) is type(value)


def test_yaml_of_1_1_has_no_traps_here():
    patch = patch_of(
        "neurons: {on: sine, no: {is: sine~, frequency: {on: 1e3, y: 0x1}}, y: sine}".replace("0x1", "012")
    )
    assert patch.rows == {("no", "frequency"): {("on", "out"): 1000.0, ("y", "out"): 12.0}}


def test_json_is_a_patch_too():
    patch = patch_of('{"format": 1, "neurons": {"voice": {"is": "sine~", "frequency": 330}}, "matrix": {}}')
    assert patch.rows == {("voice", "frequency"): {ONE: 330.0}}


def test_an_alias_repeats_what_was_named():
    assert rows_of("neurons: {a: {is: sine, offset: &o 0.25}, b: {is: sine, offset: *o}}") == {
        ("a", "offset"): {ONE: 0.25},
        ("b", "offset"): {ONE: 0.25},
    }


def test_an_unknown_activation_is_a_placeholder_that_keeps_what_is_written():
    patch = patch_of(
        """
neurons:
  lfo: sine
  voice: {is: sien~, frequency: {lfo: 30}, glow: 3, input: lfo.out, file: sea.mp4, order: [1, 2], map: {a: b}}
  after: {is: lag, input: voice}
  other: {is: lag, input: voice.low}
  more: sien~
"""
    )
    assert patch.unknown == {"voice": "sien~", "more": "sien~"}
    assert patch.rows[("voice", "frequency")] == {("lfo", "out"): 30.0}
    assert patch.rows[("voice", "glow")] == {ONE: 3.0}
    assert patch.rows[("voice", "input")] == {("lfo", "out"): 1.0}
    assert patch.rows[("after", "input")] == {("voice", "out"): 1.0}
    assert patch.rows[("other", "input")] == {("voice", "low"): 1.0}
    assert patch.neurons["voice"].settings == {"file": "sea.mp4", "order": [1, 2], "map": {"a": "b"}}
    (warning,) = patch.warnings
    assert warning.startswith("tides.yaml, line 4, column 15: no activation is called `sien~`. Did you mean `sine~`?")


def test_a_row_that_mutes_hands_is_pointed_out():
    (warning,) = patch_of("matrix: {self.delta: {edits.osc: 0.1}}").warnings
    assert "row `self.delta`: leaves out edits.file, edits.panel, edits.midi, edits.remote" in warning


# What a patch may not say

HEAD = "neurons:\n  swell: sine\n  ear: bands~\n  pic: waves\n  tree: accum.tree\n  hits: steps~\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "  voice: {is: sine~, frequencey: 1}",
            "line 7, column 22: no input or setting of `voice` (sine~) is called "
            "`frequencey`. Did you mean `frequency`?",
        ),
        ("  voice: {is: sine~, frequency: swel}", "no neuron is called `swel`. Did you mean `swell`?"),
        ("  voice: {is: sine~, frequency: saw}", "That is an activation: declare one, `my_saw: saw`."),
        (
            "  voice: {is: sine~, frequency: {ear.lo: 1}}",
            "line 7, column 34, row `voice.frequency`: no output of `ear` (bands~) is called `lo`. Did you mean `low`?",
        ),
        (
            "  voice: {is: sine~, frequency: ear}",
            "`ear` has several outputs. Write `ear.low` or another of: low, mid, high.",
        ),
        ("  voice: {is: lag~, input: speakers}", "`speakers` has no outputs."),
        (
            "  fold: {is: kaleidoscope, picture: hits.gate}",
            "`hits.gate` gives audio, but this input takes image. Put `level~` between them.",
        ),
        (
            "  g: {is: grey, picture: tree}\n  f: {is: sine, frequency: g}",
            "`g.out` gives matrix, but this input takes number. Put `picture_of, then level.image` between them.",
        ),
        ("  a: {is: accum.tree, delta: pic}", "`pic.out` gives image, but this input takes vvalue."),
        ("  voice: {is: sine~, frequency: [1, 2]}", "this input takes one row, not a list"),
        ("  b: {is: steps, steps: 3}", "Write a list, `steps: [1, 0, 0.5]`, or one of them, `steps/1: 1`."),
        ("  b: {is: steps, steps: []}", "Write a list"),
        ("  b: {is: steps, steps: [1, [2]]}", "a list within the list"),
        ("  b: {is: steps, steps/0: 2}", "inputs of this family are numbered from 1 to 1024"),
        ("  b: {is: steps, steps/9999: 2}", "inputs of this family are numbered from 1 to 1024"),
        ("  b: {is: steps, steps/loud: 2}", "inputs of this family are numbered from 1 to 1024"),
        ("  b: {is: steps, steps: [1], steps/1: 2}", "the row `b.steps/1` is written twice, first in line 7"),
        ("  voice: {is: sine~, frequency: .inf}", "`.inf` is no finite number"),
        ("  voice: {is: sine~, frequency: 1e999}", "`1e999` is no finite number"),
        ("  voice: {is: sine~, frequency: {swell: .nan}}", "`.nan` is no finite number"),
        (
            "  voice: {is: sine~, frequency: {swell: fast}}",
            "`fast` is no number. Weights are numbers; to multiply two streams, put `product` between them.",
        ),
        ("  voice: {is: sine~, frequency: {swell: }}", "`` is no number"),
        ("  voice: {is: sine~, frequency: {3: 1}}", "`3` stands where a source belongs"),
        (
            "  voice: {is: sine~, frequency: {swell: 1, swell.out: 2}}",
            "`swell.out` is in the row `voice.frequency` twice",
        ),
        (
            "  voice: {is: sine~, frequency: {swell.out/x: 1}}",
            "`swell.out` is number, not a tree, so it has no branches",
        ),
        ("  voice: {is: sine~, frequency: }", "nothing is written. Write a number, a name, or `{}`"),
        ("  voice: {is: sine~, frequency: ~}", "nothing is written"),
        ("  voice: {is: sine~, frequency: 10ms}", "`10ms` does not fit, for this input counts in Hz"),
        ("  voice: {is: sine~, frequency: -}", "`-` cannot be the name of a neuron"),
        ("  voice: {is: sine~, frequency: {noise*: 1}}", "no neuron of this patch matches `noise*`"),
        ("  voice:", "`voice` does not say what it is"),
        ("  voice: {frequency: 3}", "`voice` does not say what it is"),
        ("  voice: [sine~]", "`voice` cannot be a list"),
        ("  voice: 220", "`220` cannot be the name of an activation"),
        ("  voice: {is: {sine~: 0.5, pic: }}", "the coefficient `` is no number"),
        ("  voice: {is: {sine~: 0.5, osc~: 0.5}}", "`sine~` is in the mixture twice"),
        ("  voice: {is: {sine~: 0.5, sine: 0.5}}", "`sine~` and `sine` do not mix"),
        ("  voice: {is: {}}", "`voice` is one activation, or a mixture"),
        ("  voice: screen", "`screen` is built in; there is exactly one of it"),
        ("  screen: waves", "`screen` is always `screen`"),
        ("  sine~:a: saw~", "`sine~:a` is always `sine~`"),
        ("  Voice: sine~", "`Voice` cannot be the name of a neuron"),
        ("  voice*: sine~", "`voice*` cannot be the name of a neuron"),
        ("  swell: saw", "line 7, column 3: `swell` is written twice, first in line 2"),
        ("  v(1..2): sine\n  v2: sine", "line 8, column 3: `v2` is declared twice, first in line 7"),
        ("  v(1..3): {is: sine, offset: note(1..2)}", "`note(1..2)` stands for 2 things, its line for 3"),
        ("  v: {is: sine, offset: swell(1..2)}", "its line is not repeated"),
        ("  v(1..99999): sine", "stands for more than 1000 lines"),
        ("  v(): sine", "`v()` repeats nothing"),
        ("  v(1..2)(1..2): sine", "needs one pair of parentheses"),
        ("  v: {is: sine, offset: swell(1,2)}", "put a name with a comma in quotes"),
        ("  film: {is: movie, fit: fill}", "setting `film.fit`: no choice is called `fill`"),
        ("  film: {is: movie, fit: coverr}", "Did you mean `cover`?"),
        ("  film: {is: movie, size: [0, 3]}", "this is no size"),
        ("  film: {is: movie, size: large}", "this is no size"),
        ("  film: {is: movie, loop: maybe}", "`maybe` is neither true nor false"),
        ("  film: {is: movie, count: 1.5}", "`1.5` is not a whole number"),
        ("  film: {is: movie, file: [a]}", "one file belongs here"),
        ("  film: {is: movie, order: 3}", "this is a list"),
        ("  film: {is: movie, start: 3}", "this is a tree of numbers"),
        ("  film: {is: movie, start: {a: [1]}}", "a list has no place in a tree"),
        ("  film: {is: movie, start: {':x': 1}}", "the label `:x` is reserved"),
        ("matrix:\n  voice.frequency: 3", "no neuron is called `voice`"),
        ("matrix:\n  swell: 3", "`swell` names no input. Write `swell.input: …`"),
        ("matrix:\n  swell*.frequency: 3", "`swell*.frequency` is a pattern"),
        (
            "matrix:\n  swell.frequenzy: 3",
            "row `swell.frequenzy`: no input of `swell` (sine) is called `frequenzy`. Did you mean `frequency`?",
        ),
        (
            "matrix:\n  swell.frequency: 3\n  swell.frequency: 4",
            "line 9, column 3: `swell.frequency` is written twice, first in line 8",
        ),
        (
            "  v: {is: sine, offset: 1}\nmatrix:\n  v.offset: 2",
            "line 9, column 3: the row `v.offset` is written twice, first in line 7",
        ),
        ("  k: {is: kaleid, wedges: 1, sides: 2}", "the row `k.wedges` is written twice"),
        ("matrix:\n  speakers.left: pic", "`pic.out` gives image, but this input takes audio"),
        ("matrix: 3", "`matrix` is a list of `key: value`, one a line"),
        ("wires: {}", "no part of a patch is called `wires`"),
        ("neuron: {}", "Did you mean `neurons`?"),
        ("format: 2", "a format that this version does not know"),
        ("format: old", "a format that this version does not know"),
        ("seed: -1", "`seed` is a whole number from 0 up"),
        ("limit: 0", "every picture is black"),
        ("size: [1280, wide]", "this is no size. Write `[width, height]` in pixels"),
        ("name: [a]", "`name` is a text"),
        ("rates: 60", "`rates` is a map"),
        ("rates: {fps: 60}", "no rate is called `fps`"),
        ("rates: {tick: fast}", "`tick` is a whole number of Hz, not `fast`"),
        ("rates: {hops: loose}", "no rule for `hops` is called `loose`"),
    ],
)
def test_a_slip_is_answered_with_place_and_remedy(line, sentence):
    answer = refusal(HEAD + line)
    assert answer.startswith("tides.yaml, line ")
    assert sentence in answer


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "tides.yaml: there is nothing in it. Begin with `neurons:`."),
        ("# only a comment", "there is nothing in it"),
        ("- a\n- b", "a patch is a list of `key: value`"),
        ("voice sine", "a patch is a list of `key: value`"),
        (
            "neurons:\n\tvoice: sine",
            "line 2, column 1: this cannot be read (found character that cannot start any "
            "token). Indent with spaces, not with tabs.",
        ),
        ("neurons: {voice: sine", "A `{` has no `}`, or a comma is missing between two entries."),
        ("matrix: {a.b: [1, 2}", "A `[` has no `]`"),
        ("matrix:\n  a.b: `x`", "A text that begins with ``` needs quotes."),
        ("matrix:\n  speakers.left: {*: 0.1}", "A name that begins with `*` or `&` needs quotes"),
        ("matrix:\n  speakers.left: {*voice : 0.1}", 'put it in quotes: "*voice"'),
        ("neurons: voice: sine", "A `:` too many"),
        ("neurons:\n  a: sine\n   b: sine", "A `:` too many, or the lines above are indented otherwise."),
        ("neurons:\n  a: -", "A `-` stands where a value belongs"),
        ("name: 'x", "A quote is opened and never closed."),
        ("neurons: {a: !!python/object:os.system x}", "is a tag, and patches have none"),
        ("neurons: {a: !load x}", "`!load` is a tag"),
        ("neurons: {base: &b {is: sine}, a: {<<: *b}}", "`<<` is not part of the language"),
        ("name: a\n---\nname: b", "a second document begins"),
        ("neurons: {? [a, b] : sine}", "a list or map stands where a name belongs"),
        ("neurons: &n {a: *n}", "YAML's way to repeat something named before"),
        ("name: a\nname: b", "`name` is written twice, first in line 1"),
        ("name: \x07", "Remove the invisible characters."),
        ("%YAML 9\n---\nname: a", "this cannot be read"),
        ("x" * 300 + ": 1", "is too long for a name"),
        ("neurons: {a: " + "x" * 300 + "}", "is too long for a name"),
    ],
)
def test_a_text_that_is_no_patch_is_answered_with_a_remedy(text, sentence):
    answer = refusal(text)
    assert answer.startswith("tides.yaml")
    assert sentence in answer
    assert len(answer) < 400


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        ("tick: 7", "`tick` 7 does not divide `sample` 48000. Nearest that do: 6 and 8."),
        (
            "tick: 250, frame: 60",
            "`frame` 60 does not divide `tick` 250. Nearest that do: 50 and 125, or set `tick` to 240",
        ),
        ("tick: 240, frame: 25", "Nearest that do: 24 and 30, or set `tick` to 250"),
        ("sample: 100", "`sample` is 100; it lies between 8000 and 192000"),
    ],
)
def test_rates_that_do_not_divide_are_answered_with_the_nearest_that_do(rates, sentence):
    assert sentence in refusal(f"rates: {{{rates}}}")


@pytest.mark.parametrize(("tick", "frame"), [(240, 60), (240, 24), (250, 25), (240, 30), (250, 50), (300, 60)])
def test_the_usual_frame_rates_are_possible(tick, frame):
    Rates(48_000, tick, frame).check()


def test_a_file_that_is_missing_or_no_text_is_answered_with_a_sentence(tmp_path):
    with pytest.raises(PatchError, match=r"none\.yaml: the patch cannot be read .* Check the path"):
        read_patch(tmp_path / "none.yaml", LIBRARY)
    (tmp_path / "latin.yaml").write_bytes(b"name: a\nabout: \xe9t\xe9\n")
    with pytest.raises(PatchError, match=r"latin\.yaml, line 2: this is not UTF-8 text"):
        read_patch(tmp_path / "latin.yaml", LIBRARY)
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(PatchError, match=r"large\.yaml: larger than 1000 kB"):
        read_patch(tmp_path / "large.yaml", LIBRARY)


def test_a_file_may_begin_with_a_byte_order_mark_and_end_its_lines_as_windows_does(tmp_path):
    (tmp_path / "tides.yaml").write_bytes(b"\xef\xbb\xbf" + TIDES.replace("\n", "\r\n").encode())
    assert read_patch(tmp_path / "tides.yaml", LIBRARY).rows == patch_of(TIDES).rows


PIECES = [*"{}[],*&!'\"#-~/%|>\t\n", "neurons:", "matrix:", "a", "a.b", "1", "sine~", "(1..3)", "&x", "is", "one"]
PIECES += [": ", "  ", "\n  ", "voice(1,2)", "osc.%FF", ".nan", "self.delta", "---", "steps", "e9"]


@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_a_patch_or_a_sentence(text):
    try:
        patch_of(text)
    except PatchError as error:
        assert str(error).startswith("tides.yaml")
        assert str(error).endswith((".", "?", '".', ")"))


# Hostile texts

LAUGHS = "a: &a [l, l, l, l, l, l, l, l, l]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)
HOSTILE = {
    "billion laughs": LAUGHS,
    "laughs in rows": "neurons:\n  x: sine\n"
    + "matrix:\n  a.b: &a {x: 1, y: 1}\n"
    + "".join(f"  {chr(98 + i)}.b: &{chr(98 + i)} {{p: *{chr(97 + i)}, q: *{chr(97 + i)}}}\n" for i in range(24)),
    "deep brackets": "x: " + "[" * 400_000,
    "deep braces": "{a: " * 200_000,
    "deep lines": "\n".join(" " * i + "a:" for i in range(1_300)),
    "deep dashes": "- " * 400_000,
    "a million keys": "\n".join(f"k{i}: 1" for i in range(110_000)),
    "a long list": "x: [" + "1," * 490_000 + "]",
    "one long word": "x" * 999_999,
    "one long key": "x" * 999_990 + ": 1",
    "a long number": "neurons: {a: {is: sine, offset: " + "9" * 999_000 + "}}",
    "an open quote": "x: '" + "y" * 999_000,
    "many anchors": " ".join(f"&a{i}" for i in range(100_000)),
    "many repeats": "neurons:\n" + "".join(f"  n{i}(1..999): sine\n" for i in range(2_000)),
    "a net of patterns": "neurons:\n  v(1..1000): {is: lag, input: v*}\n",
    "empty patterns": "neurons:\n  v(1..1000): sine\nmatrix:\n" + "".join(
        f"  lag:a{i}.input: {{v*.none: 1}}\n" for i in range(9_000)
    ),
    "a pattern in every row": "neurons:\n  v(1..1000): sine\n  w(1..1000): sine\nmatrix:\n" + "".join(
        f"  lag:a{i}.input: {{v?: 1}}\n" for i in range(5_000)
    ),
    "a new pattern in every row": "neurons:\n  v(1..1000): sine\nmatrix:\n" + "".join(
        f"  lag:a{i}.input: {{'v{{1,2}}{'{,a,b}' * 20}*{i}*,v1}}': 1}}\n" for i in range(5_000)
    ),
    "repeated sums": "neurons:\n" + "".join(
        f"  v{i}(1..1000): {{is: lag, input: {{{', '.join(f'v{j}(1..1000): 0' for j in range(100))}}}}}\n"
        for i in range(100)
    ),
    "repeated settings": "neurons:\n  v(1..1000): {is: unheard_of, order: [" + "1, " * 40_000 + "]}\n",
    "repeated texts": "neurons:\n  v(1..1000): {is: movie, title: '" + "(" * 900_000 + "'}\n  x: 1\n",
    "braces in patterns": "neurons: {v: sine, w: {is: lag, input: '" + "{a,b}" * 39 + "'}}",
    "stars in patterns": "neurons: {" + "a" * 190 + ": sine, w: {is: lag, input: '" + "a*" * 90 + "b'}}",
    "unknown activations": "neurons:\n" + "".join(f"  n{i}: sort_{i}\n" for i in range(9_000)) + "  x: 1\n",
    "mistyped names": "neurons:\n" + "".join(f"  n{i}: sine\n" for i in range(9_000)) + "  x: {is: lag, input: nn7}",
    "tabs": "\t" * 999_000,
    "question marks": "? " * 300_000,
    "colons": ": " * 300_000,
    "directives": "%a b\n" * 150_000,
    "line breaks": "a:\n" + "\n" * 999_000,
    "folded": "a: >\n" + " b\n" * 300_000,
}  # fmt: skip

ATTACK = """
import resource, sys, time
sys.path.insert(0, sys.argv[1])
from dmm_av.errors import PatchError
from tests.test_patch import HOSTILE, LIBRARY, parse_patch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
for name, text in HOSTILE.items():
    start = time.process_time()
    try:
        parse_patch(text, "hostile.yaml", LIBRARY)
        answer = "accepted"
    except PatchError as error:
        answer = str(error)
    seconds = time.process_time() - start
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{name}|{seconds:.3f}|{growth // 1024}|{len(answer)}|{answer[:120]}")
"""


def test_a_hostile_text_gets_a_sentence_in_under_a_second_and_200_mb():
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", ATTACK, str(root)], capture_output=True, text=True, timeout=120, cwd=root
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = {line.split("|")[0]: line.split("|", 4)[1:] for line in done.stdout.splitlines()}
    assert answers.keys() == HOSTILE.keys()
    for name, (seconds, megabytes, length, answer) in answers.items():
        assert answer.startswith("hostile.yaml"), (name, answer)
        assert float(seconds) < 1.0, (name, seconds)
        assert int(megabytes) < 200, (name, megabytes)
        assert int(length) < 1_000, (name, length)


def test_aliases_count_as_often_as_they_are_used():
    items = ", ".join(["*a"] * 999)
    compose(f"a: &a [1]\nb: [{items}]", "x")
    many = "\n".join(f"{key}: &{key} [{', '.join(['*' + before] * 40)}]" for before, key in ["ab", "bc", "cd"])
    with pytest.raises(PatchError, match=f"more than {MOST_NODES} pieces, counting what `\\*` repeats"):
        compose("a: &a [1]\n" + many, "x")


def test_a_patch_of_60_lines_is_read_in_less_than_60_ms():
    lines = [f"  voice{i}: {{is: sine~, frequency: {{one: {100 + i}, lfo: 3}}, offset: 0.{i}}}" for i in range(40)]
    rows = [f"  lag~:l{i}.input: {{voice{i}: 0.5, one: 1}}" for i in range(20)]
    text = "\n".join(["neurons:", "  lfo: sine", *lines, "matrix:", *rows])
    patch_of(text)
    spans = []
    for _ in range(5):
        start = time.perf_counter()
        patch_of(text)
        spans.append(time.perf_counter() - start)
    assert min(spans) < 0.060


# Older formats


def test_a_patch_in_an_older_format_is_read_as_if_it_were_new():
    patch = read_patch(FIXTURES / "format_0.yaml", LIBRARY)
    assert patch.format == 1
    assert patch.rows[("speakers", "left")] == {("voice", "out"): 0.1}
    assert patch.text.splitlines()[1] == "format: 1"
    assert patch.text.splitlines()[6] == "matrix:                        # rows"


def test_every_migration_has_a_fixture():
    for version in MIGRATIONS:
        assert read_patch(FIXTURES / f"format_{version}.yaml", LIBRARY).neurons


# From patches to edits


@dataclass
class Live:
    """A plain model of the living network: what edits do to a full set of rows."""

    neurons: dict
    rows: dict

    @classmethod
    def of(cls, patch):
        live = cls({}, {})
        live.neurons = {
            name: (dict(declared.activation), dict(declared.settings)) for name, declared in patch.neurons.items()
        }
        live.rows = {spot: dict(row) for spot, row in full_rows(patch, LIBRARY).items()}
        return live

    def apply(self, group):
        fresh, asleep = set(), {edit.to.rpartition(".")[0] for edit in group.edits if isinstance(edit, edits.Set)}
        asleep = {name for name in asleep if ":" in name and not any(spot[0] == name for spot in self.rows)}
        for edit in group.edits:
            match edit:
                case edits.New():
                    mixture = {edit.activation: 1.0} if isinstance(edit.activation, str) else edit.activation
                    self.neurons[edit.name] = (dict(mixture), self.neurons.get(edit.name, ({}, {}))[1])
                    fresh.add((edit.name, edit.no_default))
                case edits.Remove():
                    del self.neurons[edit.name]
                    self.rows = {
                        spot: {source: weight for source, weight in row.items() if source[0] != edit.name}
                        for spot, row in self.rows.items()
                        if spot[0] != edit.name
                    }
                case edits.Setting():
                    settings = self.neurons.setdefault(edit.name, ({edit.name: 1.0}, {}))[1]
                    settings.pop(edit.key, None)
                    if edit.value is not None:
                        settings[edit.key] = edit.value
                case edits.Set() | edits.Cut():
                    spot, source = self.entry(edit)
                    if isinstance(edit, edits.Set):
                        self.rows.setdefault(spot, {})[source] = edit.weight
                    else:
                        del self.rows[spot][source]
        fresh |= {(name, ()) for name in asleep if name not in [name for name, _ in fresh]}
        for name, left_out in fresh:
            mixture = self.neurons.setdefault(name, ({name.partition(":")[0]: 1.0}, {}))[0]
            for activation_name in mixture:
                for port in LIBRARY[activation_name].inputs.values():
                    if not self.rows.get((name, port.name)) and port.name not in left_out and port.default:
                        default = port.default if isinstance(port.default, dict) else {"one.out": port.default}
                        row = {tuple(source.split(".")): float(weight) for source, weight in default.items()}
                        self.rows[(name, port.name)] = row
            inputs = {port for one in self.neurons[name][0] for port in LIBRARY[one].inputs}
            for spot in [spot for spot in self.rows if spot[0] == name and spot[1].split("/")[0] not in inputs]:
                del self.rows[spot]
        self.rows = {spot: row for spot, row in self.rows.items() if row}

    def entry(self, edit):
        to, _, port = edit.to.rpartition(".")
        if edit.source == "one":
            return (to, port), ONE
        if edit.source.endswith("/"):
            return (to, port), (edit.source[:-1],)
        name, _, output = edit.source.partition(".")
        return (to, port), (name, *map(decode_label, output.split("/")))


def empty():
    return Live.of(patch_of("neurons: {}"))


def comparable(live):
    settings = {name: config for name, (_, config) in live.neurons.items() if config}
    kinds = {
        name: mixture for name, (mixture, _) in live.neurons.items() if name not in ("screen", "self", "transport")
    }
    return live.rows, settings, {name: mixture for name, mixture in kinds.items() if ":" not in name}


def test_a_whole_patch_is_one_edit_by_the_file():
    group = patch_group(patch_of(TIDES))
    assert group.author == "file"
    assert [edit_text(edit) for edit in group.edits] == [
        "new swell sine",
        "new voice sine~",
        "voice.frequency 220",
        "voice.frequency swell.out 30",
        "swell.frequency 0.1",
        "speakers.left voice.out 0.1",
    ]


def test_a_default_row_that_the_patch_leaves_out_where_no_declaration_stands_is_said_by_one():
    group = patch_group(patch_of("matrix: {transport.run: {}, sine~:a.frequency: {}, sine~:a.offset: 1}"))
    assert [edit_text(edit) for edit in group.edits] == [
        "new transport transport without run",
        "new sine~:a sine~ without frequency",
        "sine~:a.offset 1",
    ]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("voice: sine~", "voice: sine~", []),
        ("voice: sine~", "voice: {is: sine~}", []),
        ("voice: sine~", "voice: {is: sine~, frequency: 220}", []),
        ("voice: {is: sine~, frequency: 330}", "voice: {is: sine~, frequency: 440}", ["voice.frequency 440"]),
        ("voice: {is: sine~, frequency: 330}", "voice: sine~", ["voice.frequency 220"]),
        ("voice: {is: sine~, offset: 0.5}", "voice: sine~", ["cut voice.offset one"]),
        ("voice: sine~", "voice: {is: sine~, frequency: {}}", ["cut voice.frequency one"]),
        ("voice: sine~", "voice: {is: sine~, offset: {voice: 1}}", ["voice.offset voice.out 1"]),
        ("voice: sine~", "voice: sine~\n  other: {is: sine~, offset: 1}", ["new other sine~", "other.offset 1"]),
        ("voice: sine~\n  other: {is: lag~, input: voice}", "voice: sine~", ["remove other"]),
        ("other: sine~\n  voice: {is: lag~, input: {other: 1}}", "voice: lag~", ["remove other"]),
        ("voice: sine~", "voice: saw~", ["new voice saw~"]),
        ("voice: sine~", "voice: {is: {sine~: 0.5, saw~: 0.5}}", ["new voice {sine~: 0.5, saw~: 0.5}"]),
        ("voice: {is: sine~, frequency: 330}", "voice: {is: lag~, time: 2}", ["new voice lag~", "voice.time 2"]),
        (
            "voice: {is: sine~, frequency: 330}",
            "voice: {is: saw~, frequency: {}}",
            ["cut voice.frequency one", "new voice saw~ without frequency"],
        ),
        ("film: {is: movie, file: a.mp4, fit: contain}", "film: {is: movie, file: b.mp4}",
         ["setting film fit", "setting film file b.mp4"]),
        ("film: movie\n  screen: {show: bipolar}", "film: movie\n  screen: {}", ["setting screen show"]),
        ("transport: {tempo: 90}", "transport: {}", ["transport.tempo 120"]),
        ("sine~:a: {offset: 1}", "transport: {}", ["cut sine~:a.offset one", "cut sine~:a.frequency one"]),
        ("transport: {}", "sine~:a: {offset: 1}", ["sine~:a.offset 1"]),
    ],
)  # fmt: skip
def test_a_reload_edits_only_what_differs(old, new, lines):
    group = difference(patch_of(f"neurons:\n  {old}"), patch_of(f"neurons:\n  {new}"), LIBRARY)
    assert [edit_text(edit) for edit in group.edits] == lines
    assert group.author == "file"


def test_a_reload_asks_nothing_of_what_was_removed_live():
    old = patch_of("neurons:\n  a: sine\n  b: {is: lag, input: {a: 1, one: 2}}\n  c: sine")
    new = patch_of("neurons:\n  a: sine\n  b: {is: lag, input: {one: 3}}")
    live = Live.of(old)
    del live.rows[("b", "input")][("a", "out")]
    live.apply(edits.Group((edits.Remove("c"),)))
    group = difference(old, new, LIBRARY, live)
    assert [edit_text(edit) for edit in group.edits] == ["b.input 3"]


def test_a_reload_brings_back_a_removed_neuron_once_its_line_is_touched():
    old = patch_of("neurons:\n  a: sine\n  b: {is: lag, input: {a: 1}, time: 2}\n  c: {is: lag, input: b}\n  d: sine")
    new = patch_of("neurons:\n  a: sine\n  b: {is: lag, input: {a: 1}, time: 3}\n  c: {is: lag, input: b}\n  d: sine")
    live = Live.of(old)
    live.apply(edits.Group((edits.Remove("a"), edits.Remove("b"), edits.Remove("d"))))
    live.apply(difference(old, new, LIBRARY, live))
    expected = Live.of(new)
    expected.apply(edits.Group((edits.Remove("d"),)))
    assert comparable(live) == comparable(expected)


# A strategy for whole networks: every network below is written by `saved_text` into an empty patch.

VOICES = ["a", "b", "c", "d"]
KINDS = ["sine", "saw~", "steps", "lag~", "lag", "bands~", "accum.tree", "movie", "waves", "kaleidoscope"]
WEIGHTS = st.sampled_from([0.0, 1.0, -1.0, 0.5, 220.0, 1e-7, 1e22]) | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def networks(draw):
    """A `Live` that some patch says."""
    neurons, lines = draw(st.dictionaries(st.sampled_from(VOICES), st.sampled_from(KINDS))), []
    for name, kind in neurons.items():
        fields = [f"is: {kind}"]
        if kind == "movie" and draw(st.booleans()):
            fields.append(f"title: {draw(st.sampled_from(['x', 'yes', '1', 'a: b', '#']))!r}")
            fields.append(f"loop: {draw(st.sampled_from(['true', 'false']))}")
        lines.append(f"  {name}: {{{', '.join(fields)}}}")
    names = [*neurons, *draw(st.lists(st.sampled_from(["sine:u", "lag~:w"]), unique=True))]
    kinds = {**neurons, "sine:u": "sine", "lag~:w": "lag~", "screen": "screen", "transport": None}
    text = "\n".join(["neurons:", *lines]) + "\n"
    live = Live.of(patch_of(text))
    targets = []
    for name in [*names, "screen"]:
        for port in LIBRARY[kinds[name]].inputs:
            targets += [(name, f"{port}/{i}") for i in (1, 2, 3, 5)] if port == "steps" else [(name, port)]
    for spot in draw(st.lists(st.sampled_from(targets), unique=True, max_size=8)) if targets else ():
        row = {}
        for name in draw(st.lists(st.sampled_from([*neurons, "one", "osc", "transport"]), unique=True, max_size=3)):
            if name == "osc":
                source = ("osc", "1", draw(st.sampled_from(["fader", "A/b", "é"])))
            elif name == "transport":
                source = ("transport", "beat")
            elif name == "one":
                source = ONE
            else:
                source = (name, draw(st.sampled_from(list(LIBRARY[neurons[name]].outputs))))
            port = LIBRARY[kinds[spot[0]]].input(spot[1].split("/")[0])
            if legal(source, port, neurons):
                row[source] = draw(WEIGHTS)
        if row:
            live.rows[spot] = row
        else:
            live.rows.pop(spot, None)
    for name in names:
        if name in ("sine:u", "lag~:w") and any(spot[0] == name for spot in live.rows):
            live.neurons[name] = ({kinds[name]: 1.0}, {})
    return live


def legal(source, port, neurons):
    try:
        declared = "\n".join(f"  {name}: {kind}" for name, kind in neurons.items())
        head = f"neurons:\n{declared}\n  to: test\n"
        library = Library(LIBRARY)
        library.add(Activation("test", "signal", "", {"port": replace(port, name="port")}, {}))
        patch_of(f"{head}matrix:\n  to.port: {{{source_text(source)}: 1}}\n", library)
    except PatchError:
        return False
    return True


def said(live, text):
    """Whether a patch text says exactly a living network."""
    patch = patch_of(text)
    settings = {name: declared.settings for name, declared in patch.neurons.items() if declared.settings}
    wanted = {
        name: config
        for name, (mixture, all_config) in live.neurons.items()
        if (config := {
            key: value for key, value in all_config.items() if key in settings.get(name, ())
            or LIBRARY[next(iter(mixture))].settings[key].default != value
        })
    }  # fmt: skip
    declared = {name: d.activation for name, d in patch.neurons.items() if ":" not in name and name != "screen"}
    mixtures = {name: mixture for name, (mixture, _) in live.neurons.items() if ":" not in name and name != "screen"}
    return (full_rows(patch, LIBRARY), settings, declared) == (live.rows, wanted, mixtures)


@given(networks())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_saved_network_reads_back_exactly(live):
    text = saved_text("# kept\nname: any\n", live, LIBRARY)
    assert text.startswith("# kept\nname: any\n")
    assert said(live, text)
    assert saved_text(text, live, LIBRARY) == text


@given(networks(), networks())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_saving_into_any_patch_changes_it_in_place_and_reads_back_exactly(before, after):
    text = saved_text("name: any\n", before, LIBRARY)
    _, root = migrated(text, "x")
    wanted = patch_saving._Wanted(after, LIBRARY, read_sections(root, "x", LIBRARY))
    changed = patch_saving._in_place(text, root, wanted)
    assert said(after, changed)
    assert saved_text(text, after, LIBRARY) == changed


@given(networks(), networks())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_reload_leads_exactly_from_one_patch_to_the_next(before, after):
    old, new = (patch_of(saved_text("name: any\n", live, LIBRARY)) for live in (before, after))
    live = Live.of(old)
    live.apply(difference(old, new, LIBRARY))
    assert comparable(live)[0] == comparable(Live.of(new))[0]
    assert comparable(live)[2] == comparable(Live.of(new))[2]
    again = difference(new, new, LIBRARY)
    assert again.edits == ()


def live_view(network):
    """What saving sees of a real network."""
    matrix = network.matrix
    names = [name for name in network.names() if name not in BUILT_IN or network.settings.get(name)]
    rows = {
        spot: {entry[2:]: matrix.weights[entry] for entry in row}
        for spot, row in matrix.rows.items()
        if spot[1] != "activation"
    }
    return Live({name: (network.mixture(name), network.settings.get(name, {})) for name in names}, rows)


@given(networks(), networks())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_self_takes_a_patch_and_its_reload_as_they_are_meant(before, after):
    old, new = (patch_of(saved_text("name: any\n", live, LIBRARY)) for live in (before, after))
    network = Network(LIBRARY)
    hand = SelfNeuron(network, tick_rate=240)
    hand.begin(patch_group(old))
    assert live_view(network).rows == full_rows(old, LIBRARY)
    assert saved_text(old.text, live_view(network), LIBRARY) == old.text
    ((_, refusal_of_it),) = hand.resolve([difference(old, new, LIBRARY, live_view(network))]).answers
    assert refusal_of_it is None
    for _ in range(4):  # edits into sound take 10 ms
        hand.resolve([])
    assert live_view(network).rows == full_rows(new, LIBRARY)


@given(networks())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_whole_patch_as_an_edit_builds_its_network(live):
    patch = patch_of(saved_text("name: any\n", live, LIBRARY))
    built = empty()
    built.apply(patch_group(patch))
    assert comparable(built)[0] == full_rows(patch, LIBRARY)


@given(WEIGHTS)
@settings(deadline=None)
def test_a_number_is_written_so_that_it_reads_back_exactly(weight):
    (row,) = rows_of(f"neurons: {{a: {{is: sine, offset: {number_text(weight)}}}}}").values()
    assert row == {ONE: weight}
    assert math.copysign(1, row[ONE]) == math.copysign(1, weight)


# Saving


PIECE = """\
# A piece with everything.
format: 1
name: piece    # its name
rates: {tick: 240}

neurons:
  # the slow one
  swell: sine                       # slow
  voice: {is: sine~, frequency: {one: 220, swell: 30}}   # leans
  v(1..3): {is: saw~, frequency: note(1..3)}             # three of them
  note(1..3): {is: sine, frequency: "(110, 220, 330)"}
  hits: {is: steps~, steps: [1, 0, 0.5, 0]}
  long:
    is: lag~
    input:
      voice: 0.5      # half
      v1: 0.25
    time: 10ms        # short

matrix:               # rows
  speakers.both: {v?: 0.1}     # all
  speakers.left: voice

  sine~:u.offset: 0.25         # undeclared
  # the end
"""


def live_piece():
    return Live.of(patch_of(PIECE))


def changed_lines(before, after):
    kept = set(after.splitlines())
    gone = [line for line in before.splitlines() if line not in kept]
    kept = set(before.splitlines())
    return gone, [line for line in after.splitlines() if line not in kept]


def test_a_text_is_unchanged_when_nothing_changed():
    assert saved_text(PIECE, live_piece(), LIBRARY) == PIECE
    assert saved_text(TIDES, Live.of(patch_of(TIDES)), LIBRARY) == TIDES


def save(change):
    live = live_piece()
    change(live)
    text = saved_text(PIECE, live, LIBRARY)
    assert said(live, text)
    return changed_lines(PIECE, text)


def test_a_changed_weight_is_written_in_place():
    def change(live):
        live.rows[("voice", "frequency")][("swell", "out")] = 40.0
        live.rows[("long", "input")][("v1", "out")] = 0.75
        live.rows[("long", "time")][ONE] = 0.02
        live.rows[("hits", "steps/3")][ONE] = 0.7

    assert save(change) == (
        [
            "  voice: {is: sine~, frequency: {one: 220, swell: 30}}   # leans",
            "  hits: {is: steps~, steps: [1, 0, 0.5, 0]}",
            "      v1: 0.25",
            "    time: 10ms        # short",
        ],
        [
            "  voice: {is: sine~, frequency: {one: 220, swell: 40}}   # leans",
            "  hits: {is: steps~, steps: [1, 0, 0.7, 0]}",
            "      v1: 0.75",
            "    time: 0.02        # short",
        ],
    )


def test_a_new_connection_joins_its_row():
    def change(live):
        live.rows[("voice", "frequency")][("note1", "out")] = 2.0
        live.rows[("long", "input")][("v2", "out")] = 0.1
        live.rows[("speakers", "left")][("v1", "out")] = 0.2
        live.rows[("swell", "offset")] = {ONE: 0.5}
        live.rows[("long", "gain")] = {("swell", "out"): 1.0}

    assert save(change)[1] == [
        "  swell: {is: sine, offset: 0.5}                       # slow",
        "  voice: {is: sine~, frequency: {one: 220, swell: 30, note1: 2}}   # leans",
        "      v2: 0.1",
        "    gain: swell",
        "  speakers.left: {voice: 1, v1: 0.2}",
    ]


def test_a_cut_default_is_written_as_empty_braces():
    def change(live):
        del live.rows[("swell", "frequency")]
        del live.rows[("hits", "per_beat")]

    assert save(change)[1] == [
        "  swell: {is: sine, frequency: {}}                       # slow",
        "  hits: {is: steps~, steps: [1, 0, 0.5, 0], per_beat: {}}",
    ]


def test_what_was_cut_goes_from_the_text():
    def change(live):
        del live.rows[("voice", "frequency")][("swell", "out")]
        del live.rows[("long", "input")]
        del live.rows[("speakers", "left")]

    assert save(change) == (
        [
            "  voice: {is: sine~, frequency: {one: 220, swell: 30}}   # leans",
            "    input:",
            "      voice: 0.5      # half",
            "      v1: 0.25",
            "  speakers.left: voice",
        ],
        ["  voice: {is: sine~, frequency: {one: 220}}   # leans"],
    )


def test_a_repeated_line_is_written_out_once_one_of_its_members_differs():
    def change(live):
        live.rows[("v2", "octaves")] = {ONE: -1.0}

    assert save(change) == (
        ["  v(1..3): {is: saw~, frequency: note(1..3)}             # three of them"],
        [
            "  v1: {is: saw~, frequency: note1}",
            "  v2: {is: saw~, frequency: note2, octaves: -1}",
            "  v3: {is: saw~, frequency: note3}             # three of them",
        ],
    )


def test_a_pattern_is_written_out_once_its_weights_differ():
    def change(live):
        live.rows[("speakers", "both")][("v3", "out")] = 0.3

    assert save(change)[1] == ["  speakers.both: {v1: 0.1, v2: 0.1, v3: 0.3}     # all"]


def test_new_neurons_come_at_the_end():
    def change(live):
        live.neurons["soft"] = ({"lag~": 1.0}, {})
        live.rows[("soft", "time")] = {ONE: 0.1}
        live.rows[("soft", "input")] = {("voice", "out"): 1.0}
        live.neurons["pad"] = ({"sine~": 0.7, "saw~": 0.3}, {})
        live.rows[("pad", "frequency")] = {ONE: 220.0}
        live.neurons["film"] = ({"movie": 1.0}, {"file": "a (1): b.mp4", "loop": True, "fit": "cover"})
        live.rows[("lag:x", "input")] = {("swell", "out"): 0.5}
        live.rows[("lag:x", "time")] = {ONE: 0.1}
        live.rows[("screen", "image")] = {("film", "out"): 1.0}

    assert save(change)[1] == [
        "  soft: {is: lag~, input: voice}",
        "  pad: {is: {sine~: 0.7, saw~: 0.3}}",
        '  film: {is: movie, file: "a (1): b.mp4", loop: true}',
        "  lag:x.input: {swell: 0.5}",
        "  screen.image: film",
    ]


def test_removed_neurons_go_with_their_rows():
    def change(live):
        live.apply(edits.Group((edits.Remove("long"), edits.Remove("v2"), edits.Remove("voice"))))
        live.rows.pop(("sine~:u", "offset"))
        live.rows.pop(("sine~:u", "frequency"))

    gone, new = save(change)
    assert "  long:" in gone and "  speakers.left: voice" in gone
    assert "  sine~:u.offset: 0.25         # undeclared" in gone
    assert new == [
        "  v1: {is: saw~, frequency: note1}",
        "  v3: {is: saw~, frequency: note3}             # three of them",
        "  speakers.both: {v1: 0.1, v3: 0.1}     # all",
    ]


def test_another_activation_is_written_in_place():
    def change(live):
        live.neurons["swell"] = ({"saw": 1.0}, {})
        live.neurons["voice"] = ({"sine~": 0.5, "saw~": 0.5}, {})

    assert save(change)[1] == [
        "  swell: saw                       # slow",
        "  voice: {is: {sine~: 0.5, saw~: 0.5}, frequency: {one: 220, swell: 30}}   # leans",
    ]


def test_a_pattern_that_grew_longer_stays_a_list():
    def change(live):
        live.rows[("hits", "steps/5")] = {ONE: 1.0}
        live.rows[("hits", "steps/7")] = {("swell", "out"): 1.0}

    assert save(change)[1] == ["  hits: {is: steps~, steps: [1, 0, 0.5, 0, 1], steps/7: swell}"]


def test_a_pattern_with_a_hole_keeps_what_is_before_it_as_a_list():
    def change(live):
        del live.rows[("hits", "steps/2")]

    assert save(change)[1] == ["  hits: {is: steps~, steps: [1], steps/3: 0.5, steps/4: 0}"]


def test_rows_made_by_neurons_are_saved_as_far_as_the_language_can_say_them():
    live = live_piece()
    live.rows[("voice", "frequency")][("nobody", "out")] = 1.0
    live.rows[("voice", "frequency")][("swell", "none")] = 1.0
    live.rows[("voice", "no_input")] = {ONE: 1.0}
    live.rows[("nobody", "input")] = {ONE: 1.0}
    live.rows[("self", "delta")] = {("edits", "osc"): 1.0, ("edits", "file"): 1.0}
    live.rows[("voice", "activation")] = {("library", "sine~"): 1.0}
    assert saved_text(PIECE, live, LIBRARY) == PIECE


def test_a_network_without_its_self_row_in_view_leaves_self_alone():
    text = "matrix:\n  self.delta: {edits.osc: 0.1}\n"
    live = Live.of(patch_of(text))
    live.rows = {spot: row for spot, row in live.rows.items() if spot[0] != "self"}
    assert saved_text(text, live, LIBRARY) == text


def test_an_alias_is_written_out_rather_than_changed_for_all():
    text = "# two\nneurons:\n  a: {is: sine, offset: &o 0.25}\n  b: {is: sine, offset: *o}\n"
    live = Live.of(patch_of(text))
    live.rows[("b", "offset")] = {ONE: 0.5}
    assert (
        saved_text(text, live, LIBRARY)
        == "# two\nneurons:\n  a: {is: sine, offset: 0.25}\n  b: {is: sine, offset: 0.5}\n"
    )


@pytest.mark.parametrize(
    ("text", "saved"),
    [
        ("", "format: 1\nneurons:\n  v: {is: sine, offset: 1}\nmatrix:\n  lag:x.input: v\n"),
        ("neurons:\nmatrix:  # none\n", "neurons:\n  v: {is: sine, offset: 1}\nmatrix:  # none\n  lag:x.input: v\n"),
        ("{neurons: {}, matrix: }", "{neurons: {v: {is: sine, offset: 1}}, matrix:  {lag:x.input: v}}"),
        ('{"name": "x"}', '{"name": "x", neurons: {v: {is: sine, offset: 1}}, matrix: {lag:x.input: v}}'),
        ("name: x", "name: x\nneurons:\n  v: {is: sine, offset: 1}\nmatrix:\n  lag:x.input: v"),
        (
            "neurons:\r\n  v: sine\r\n  w: sine # gone\r\n# end\r\n",
            "neurons:\r\n  v: {is: sine, offset: 1}\r\nmatrix:\r\n  lag:x.input: v\r\n# end\r\n",
        ),
    ],
)
def test_sections_are_filled_or_made_where_they_lack(text, saved):
    live = Live.of(patch_of("neurons:\n  v: {is: sine, offset: 1}\nmatrix:\n  lag:x.input: v\n"))
    assert saved_text(text, live, LIBRARY) == saved


def test_a_patch_in_an_older_format_is_saved_in_the_new_one():
    text = (FIXTURES / "format_0.yaml").read_text()
    live = Live.of(read_patch(FIXTURES / "format_0.yaml", LIBRARY))
    assert saved_text(text, live, LIBRARY) == text.replace("format: 0", "format: 1").replace("weights:", "matrix:")


def test_placeholders_are_saved_as_they_are():
    text = "neurons:\n  lfo: sine\n  x: {is: unheard_of, glow: {lfo: 2}, file: a.b, order: [1, 2]}  # later\n"
    live = Live.of(patch_of(text))
    assert saved_text(text, live, LIBRARY) == text
    live.rows[("x", "glow")][("lfo", "out")] = 3.0
    assert saved_text(text, live, LIBRARY) == text.replace("lfo: 2", "lfo: 3")


IN_BLOCKS = """\
neurons:
  swell:
    is: sine
  screen:
    show: bipolar
  voice:
    is:
      sine~: 0.5
      saw~: 0.5
    frequency:
      one: 220
      swell: 30
  v(1..3):
    is: saw~
    frequency: note(1..3)
  note(1..3): sine
  hits:
    is: steps~
    steps:
      - 1
      - 0
      - {swell: 1}
matrix:
  v(1..3).offset: 0.5
  speakers.both:
    v?: 0.1

  sine~:u.offset:
     voice: 1
  pad.activation: sine~
  pad.offset: 2
"""
IN_BRACES = (
    '{"neurons": {"swell": "sine", "v(1..3)": {"is": "saw~", "frequency": "note(1..3)"}, "note(1..3)": {"is": "sine"}, '
    '"hits": {"is": "steps~", "steps": [1, 0, 0.5]}}, "matrix": {"speakers.both": {"v?": 0.1}, '
    '"v(1..3).offset": 0.5, "sine~:u.offset": 1}}'
)


def changed_at_random(live, chance):
    for _ in range(chance.randint(1, 6)):
        what, spot = chance.random(), chance.choice([spot for spot in live.rows if spot[0] != "self"])
        declared = [name for name in live.neurons if name != "screen"]
        if what < 0.3:
            live.rows[spot][chance.choice(list(live.rows[spot]))] = chance.choice([0.0, 1.0, -2.5])
        elif what < 0.5:
            del live.rows[spot][chance.choice(list(live.rows[spot]))]
            live.rows = {spot: row for spot, row in live.rows.items() if row}
        elif what < 0.65 and declared:
            name = chance.choice(declared)
            port = chance.choice([port for one in live.neurons[name][0] for port in LIBRARY[one].inputs])
            port = f"steps/{chance.randint(1, 6)}" if port == "steps" else port
            live.rows.setdefault((name, port), {})[ONE] = chance.choice([1.0, 0.25])
        elif what < 0.8 and declared:
            live.apply(edits.Group((edits.Remove(chance.choice(declared)),)))
        elif what < 0.9:
            name = f"n{chance.randint(1, 5)}"
            live.apply(edits.Group((edits.New(name, "lag"), edits.Set(f"{name}.input", "one", 0.5))))
        elif simple := [name for name in declared if live.neurons[name][0] in ({"sine": 1.0}, {"saw": 1.0})]:
            live.neurons[chance.choice(simple)] = ({"saw": 1.0}, {})


@pytest.mark.parametrize("text", [PIECE, PIECE.replace("\n", "\r\n"), IN_BLOCKS, IN_BRACES])
@pytest.mark.parametrize("seed", range(60))
def test_however_a_patch_is_laid_out_it_is_changed_in_place(text, seed):
    live = Live.of(patch_of(text))
    changed_at_random(live, Random(seed))
    _, root = migrated(text, "x")
    wanted = patch_saving._Wanted(live, LIBRARY, read_sections(root, "x", LIBRARY))
    changed = patch_saving._in_place(text, root, wanted)
    assert said(live, changed)
    assert saved_text(text, live, LIBRARY) == changed
    assert saved_text(changed, live, LIBRARY) == changed


# Pieces of patches

KNOWN = {"voice": "sine~", "swell": ("sine",), "ear": {"bands~": 1.0}, "film": "movie", "lag:x": "lag"}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("fold.wedges 7 2", ["fold.wedges 7 2"]),
        ("fold.wedges 7\n# and\n\nundo", ["fold.wedges 7", "undo"]),
        ("set {a,b}.frequency 3", ["set {a,b}.frequency 3"]),
        ("voice.frequency: 300", ["voice.frequency 300"]),
        ("voice.frequency: {swell: 30}", ["voice.frequency swell.out 30"]),
        ("voice: {frequency: 300, offset: swell}", ["voice.frequency 300", "voice.offset swell.out 1"]),
        ("voice: saw~", ["new voice saw~"]),
        ("voice: sine~\nvoice.offset: 1", ["voice.offset 1"]),
        ("new_one: {is: lag~, input: voice}", ["new new_one lag~", "new_one.input voice.out 1"]),
        ("neurons: {n: {is: lag, time: {}}}\nmatrix: {voice.offset: n}",
         ["new n lag without time", "voice.offset n.out 1"]),
        ("v(1..2): {is: sine~, frequency: '(3,4)'}\nspeakers.both: {v?: 0.5}",
         ["new v1 sine~", "new v2 sine~", "v1.frequency 3", "v2.frequency 4", "speakers.both v1.out 0.5",
          "speakers.both v2.out 0.5"]),
        ("film: {title: 'a b'}", ["setting film title a b"]),
        ("lag:x.time: 3", ["lag:x.time 3"]),
        ("saw:y.offset: 3", ["saw:y.offset 3"]),
        ("voice.frequency: {}", ["cut voice.frequency *"]),
        ("screen: {show: bipolar, image: film}", ["screen.image film.out 1", "setting screen show bipolar"]),
    ],
)  # fmt: skip
def test_a_piece_of_the_language_is_one_edit(text, lines):
    group = parse_fragment(text, LIBRARY, KNOWN, author="osc")
    assert group.author == "osc"
    shown = [edit_text(edit) for edit in group.edits]
    assert shown == [line.removeprefix("set ") if line.startswith("set {") else line for line in lines]


def test_a_row_of_a_piece_takes_the_place_of_the_living_row():
    rows = {("voice", "frequency"): {ONE: 220.0, ("ear", "low"): 3.0}, ("voice", "offset"): {ONE: 1.0}}
    group = parse_fragment("voice: {frequency: {ear.low: 5}, offset: {}}", LIBRARY, KNOWN, rows=rows)
    assert [edit_text(edit) for edit in group.edits] == [
        "cut voice.frequency one",
        "cut voice.offset one",
        "voice.frequency ear.low 5",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "eval: there is nothing in it"),
        ("# only", "there is nothing in it"),
        ("fold.wedges", "eval, line 1: something is missing"),
        ("voice.offset 1\nscael voice.offset 2", "eval, line 2: no verb is called `scael`. Did you mean `scale`?"),
        ("save", "`save` is a command, not an edit"),
        ("voice.frequenzy: 1", "eval, line 1, column 1, row `voice.frequenzy`: no input of `voice` (sine~)"),
        ("voice.frequency: nobody", "no neuron is called `nobody`"),
        ("voice: {frequency: 1", "A `{` has no `}`"),
        ("rates: {tick: 250}\nneurons: {}", "a piece cannot change `rates`"),
        ("new_one: {offset: 1}", "`new_one` does not say what it is"),
        ("voice.frequency: ear", "`ear` has several outputs"),
    ],
)
def test_a_piece_that_cannot_be_understood_is_answered_with_a_sentence(text, sentence):
    with pytest.raises(PatchError) as error:
        parse_fragment(text, LIBRARY, KNOWN)
    assert sentence in str(error.value)


# The patches that come with the instrument


def test_every_patch_of_the_instrument_is_read_without_a_warning_and_saved_as_it_is():
    library = open_library()
    paths = sorted((Path(__file__).parent.parent / "patches").glob("*.yaml"))
    assert paths
    for path in paths:
        patch = read_patch(path, library)
        assert patch.warnings == ()
        network = Network(library)
        SelfNeuron(network, patch.rates.tick).begin(patch_group(patch))
        assert live_view(network).rows == full_rows(patch, library)
        assert saved_text(patch.text, live_view(network), library) == patch.text


def test_targets_and_sources_are_written_as_references():
    assert target_text("hits", "steps/3") == "hits.steps/3"
    assert source_text(("osc", "1", "A/b")) == "osc.1/%41%2Fb"
    assert source_text(("reader",)) == "reader/"
    assert source_text(ONE) == "one"

"""OSC: what addresses mean, what bytes mean, and how the socket behaves before friends and strangers."""

import queue
import random
import re
import shlex
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.udp_client import SimpleUDPClient

from dmm_av.errors import DeviceError, DmmError, EditError
from dmm_av.io import osc
from dmm_av.io.osc import OscClient, OscServer, RefusalLimit, Subscriptions
from dmm_av.io.osc_addresses import (
    Acknowledge,
    At,
    Data,
    Ping,
    Query,
    Subscribe,
    Unsubscribe,
    address_of,
    covers,
    gather,
    shown_address,
    translate,
)
from dmm_av.io.osc_packets import Message, datagram_of, messages_of
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
    Setting,
    Undo,
)
from dmm_av.network.notation import Command
from dmm_av.network.reference import parse_reference

PAGE = Path(__file__).parent.parent / "docs" / "osc.md"
PATIENCE_S = 10.0


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "args", "meaning"),
    [
        ("/dmm/w/fold/wedges", [7], [Set("fold.wedges", "one", 7.0)]),
        ("/dmm/w/fold/wedges", [True], [Set("fold.wedges", "one", 1.0)]),
        ("/dmm/w/fold/wedges", [7, 0.5], [Set("fold.wedges", "one", 7.0, 0.5)]),
        ("/dmm/w/fold/wedges", [7, "2b"], [Set("fold.wedges", "one", 7.0, "2b")]),
        ("/dmm/w/fold/wedges", [7, None], [Set("fold.wedges", "one", 7.0)]),
        ("/dmm/w/bent/amount/ear", [0.3], [Set("bent.amount", "ear", 0.3)]),
        ("/dmm/w/bent/amount/ear/low", [0.3], [Set("bent.amount", "ear.low", 0.3)]),
        ("/dmm/w/bent/amount/osc/1/fader1", [0.3], [Set("bent.amount", "osc.1/fader1", 0.3)]),
        ("/dmm/w/bent/amount/osc/1/a%20b/c", [0.3], [Set("bent.amount", "osc.1/a%20b/c", 0.3)]),
        ("/dmm/w/bent.amount/ear.low", [0.3], [Set("bent.amount", "ear.low", 0.3)]),
        ("/dmm/w", ["bent.amount", "ear.low", 0.3, 1], [Set("bent.amount", "ear.low", 0.3, 1)]),
        ("/dmm/w", ["bent.amount", 0.3], [Set("bent.amount", "one", 0.3)]),
        ("/dmm/w/bent/amount", ["ear.low", 0.3], [Set("bent.amount", "ear.low", 0.3)]),
        ("/dmm/w/hits/steps/3", [0.5], [Set("hits.steps/3", "one", 0.5)]),
        ("/dmm/w/hits/steps/3/ear/low", [0.5], [Set("hits.steps/3", "ear.low", 0.5)]),
        ("/dmm/w/hits/steps/[1-4]", [0.5], [Set("hits.steps/[1-4]", "one", 0.5)]),
        ("/dmm/w/hits/steps/{1,3}/ear", [0.5], [Set("hits.steps/{1,3}", "ear", 0.5)]),
        ("/dmm/w/hits/steps/*", [0.5], [Set("hits.steps", "*", 0.5)]),
        ("/dmm/w/sine:a/frequency", [220], [Set("sine:a.frequency", "one", 220.0)]),
        ("/dmm/w/accum.image:trail/delta/rose", [1], [Set("accum.image:trail.delta", "rose", 1.0)]),
        ("/dmm/w/accum.image:trail.delta/rose", [1], [Set("accum.image:trail.delta", "rose", 1.0)]),
        ("/dmm/w/self/delta/reader/", [1], [Set("self.delta", "reader/", 1.0)]),
        ("/dmm/w/voice*/{frequency,offset}", [1], [Set("voice*.{frequency,offset}", "one", 1.0)]),
        ("/dmm/norm/waves/frequency", [0.5], [SetNorm("waves.frequency", "one", 0.5)]),
        ("/dmm/norm", ["waves.frequency", 0.5, 2], [SetNorm("waves.frequency", "one", 0.5, 2)]),
        ("/dmm/add/bent/amount/ear/low", [-0.1, 1], [Add("bent.amount", "ear.low", -0.1, 1)]),
        ("/dmm/scale/bent/amount/ear/low", [0.5], [Scale("bent.amount", "ear.low", 0.5)]),
        ("/dmm/cut/bent/amount", [], [Cut("bent.amount", "one")]),
        ("/dmm/cut/bent/amount/ear/low", [2], [Cut("bent.amount", "ear.low", 2)]),
        ("/dmm/cut", ["bent.amount", "ear.low", "2b"], [Cut("bent.amount", "ear.low", "2b")]),
        ("/dmm/cut", ["bent.amount", "2b"], [Cut("bent.amount", "one", "2b")]),
        ("/dmm/neuron/pad", ["saw~"], [New("pad", "saw~")]),
        ("/dmm/neuron", ["pad", "saw~"], [New("pad", "saw~")]),
        ("/dmm/neuron/pad", ["saw~", 0.7, "sine~", 0.3], [New("pad", {"saw~": 0.7, "sine~": 0.3})]),
        ("/dmm/remove/pad", [], [Remove("pad")]),
        ("/dmm/remove/pad", [1], [Remove("pad")]),
        ("/dmm/remove/pad", [0], []),
        ("/dmm/remove", ["pad", "bass"], [Remove("pad"), Remove("bass")]),
        ("/dmm/insert/tilt", ["rotate", "screen.image", "rose"], [Insert("tilt", "rotate", "screen.image", "rose")]),
        ("/dmm/insert/tilt", ["rotate", "screen.image", 2], [Insert("tilt", "rotate", "screen.image", "one", 2)]),
        ("/dmm/insert", ["tilt", "rotate", "a.b", "c.d", "1b"], [Insert("tilt", "rotate", "a.b", "c.d", "1b")]),
        ("/dmm/setting/still/file", ["moon.png"], [Setting("still", "file", "moon.png")]),
        ("/dmm/setting/still/file", [], [Setting("still", "file", None)]),
        ("/dmm/setting/still/file", [None], [Setting("still", "file", None)]),
        ("/dmm/setting/still/size", [640, 480], [Setting("still", "size", [640, 480])]),
        ("/dmm/setting", ["still", "loop", False], [Setting("still", "loop", False)]),
        ("/dmm/setting/still", ["loop", True], [Setting("still", "loop", True)]),
        ("/dmm/crossfade/screen/image", ["a", "b.low", 0.5, 2], [Crossfade("screen.image", "a", "b.low", 0.5, 2)]),
        ("/dmm/crossfade/screen/image/a/b.low", [0.5], [Crossfade("screen.image", "a", "b.low", 0.5)]),
        ("/dmm/crossfade/hits/steps/3/a/b", [0.5], [Crossfade("hits.steps/3", "a", "b", 0.5)]),
        ("/dmm/crossfade", ["screen.image", "a", "b", 0.5], [Crossfade("screen.image", "a", "b", 0.5)]),
        ("/dmm/mute/pad", [], [Mute("pad", True)]),
        ("/dmm/mute/pad", [1], [Mute("pad", True)]),
        ("/dmm/mute/pad", [0], [Mute("pad", False)]),
        ("/dmm/mute", ["pad", False], [Mute("pad", False)]),
        ("/dmm/undo", [], [Undo()]),
        ("/dmm/undo", [1.0], [Undo()]),
        ("/dmm/undo", [0.0], []),
        ("/dmm/redo", [None], [Redo()]),
        ("/dmm/save", [], [Command("save", ())]),
        ("/dmm/save", ["tonight.yaml"], [Command("save", ("tonight.yaml",))]),
        ("/dmm/save", [0], []),
        ("/dmm/revert", [], [Command("revert", ())]),
        ("/dmm/eval", ["fold.wedges 7"], [Command("eval", ("fold.wedges 7",))]),
        ("/dmm/panic", [], [Command("panic", ())]),
        ("/dmm/panic", [0], []),
        ("/dmm/panic/on", [], [Command("panic", (True,))]),
        ("/dmm/panic/off", [1], [Command("panic", (False,))]),
        ("/dmm/at", ["bar"], [At("bar")]),
        ("/dmm/at", [4], [At(4)]),
        ("/dmm/at/0.5", [], [At(0.5)]),
        ("/dmm/at/beat/w/fold/wedges", [7], [At("beat"), Set("fold.wedges", "one", 7.0)]),
        ("/dmm/get/w/fold/*", [], [Query("w", ("fold", "*"))]),
        ("/dmm/get/w", ["fold.wedges"], [Query("w", ("fold", "wedges"))]),
        ("/dmm/get/y", ["osc.1/fader1"], [Query("y", ("osc", "1", "fader1"))]),
        ("/dmm/get/y/ear", [], [Query("y", ("ear",))]),
        ("/dmm/get/neurons", [], [Query("neurons")]),
        ("/dmm/status", [], [Query("status")]),
        ("/dmm/subscribe", [], [Subscribe("/dmm", 30.0)]),
        ("/dmm/subscribe", ["/dmm/w/fold/*", 10], [Subscribe("/dmm/w/fold/*", 10.0)]),
        ("/dmm/subscribe/w/fold", [10], [Subscribe("/dmm/w/fold", 10.0)]),
        ("/dmm/unsubscribe", [], [Unsubscribe(None)]),
        ("/dmm/unsubscribe", ["/dmm/w/fold"], [Unsubscribe("/dmm/w/fold")]),
        ("/dmm/ack", [1], [Acknowledge(True)]),
        ("/dmm/ack", [0], [Acknowledge(False)]),
        ("/dmm/ping", [1, "x"], [Ping((1, "x"))]),
        ("/dmm/error", ["/dmm/w", "no"], []),
        ("/dmm/reply", ["/dmm/w", 3], []),
        ("/dmm/done", ["/dmm/w"], []),
        ("/1/fader1", [0.4], [Data(("1", "fader1"), 0.4)]),
        ("/1/fader1", [True], [Data(("1", "fader1"), 1.0)]),
        ("/xy", [0.1, 0.2], [Data(("xy", "1"), 0.1), Data(("xy", "2"), 0.2)]),
        ("/pads/kick", [], [Data(("pads", "kick"), 1.0, pulse=True)]),
        ("/Layer-1/Opacity", [0.5], [Data(("layer_1", "Opacity"), 0.5)]),
        ("/1/a%20b", [0.5], [Data(("1", "a b"), 0.5)]),
    ],
)
def test_an_address_means(address, args, meaning):
    assert translate(address, args) == meaning


@pytest.mark.parametrize(
    ("address", "args", "sentence"),
    [
        ("", [], "begins with `/`"),
        ("dmm/w", [], "begins with `/`"),
        ("/", [], "empty"),
        ("/dmm", [], "what of it"),
        ("/dmm//w", [], "empty"),
        ("/dmm/undo/", [], "ends with `/`"),
        ("/1/fader1/", [0.5], "ends with `/`"),
        ("/ä/b", [1], "visible ASCII"),
        ("/a b", [1], "no space"),
        ("/a#b", [1], "no `#`"),
        ("/a\nb", [1], "visible ASCII"),
        ("/dmm/undo\n", [], "visible ASCII"),
        ("/" + "a" * 2_000, [1], "at most 1024"),
        ("/" + "a" * 200, [1], "labels of 128"),
        ("/a" * 100, [1], "at most 40 labels"),
        ("/dmm/wieght/fold/wedges", [1], "no address below `/dmm` is called `wieght`"),
        ("/dmm/undoo", [], "Did you mean `undo`?"),
        ("/dmm/w/fold/wedges", 7, "the arguments are a list"),
        ("/dmm/w", [], "an input such as"),
        ("/dmm/w/fold", [7], "the input is missing"),
        ("/dmm/w/fold/", [7], "the input is missing"),
        ("/dmm/w/fold/wedges", [], "a weight is needed"),
        ("/dmm/w/fold/wedges", [None], "a weight is needed"),
        ("/dmm/w/fold/wedges", [float("nan")], "finite"),
        ("/dmm/w/fold/wedges", [float("inf")], "finite"),
        ("/dmm/w/fold/wedges", [10**400], "finite"),
        ("/dmm/w/fold/wedges", [7, -1], "no length of time"),
        ("/dmm/w/fold/wedges", [7, float("nan")], "no length of time"),
        ("/dmm/w/fold/wedges", [7, "soon"], "no length of time"),
        ("/dmm/w/fold/wedges", [7, True], "no length of time"),
        ("/dmm/w/fold/wedges", [7, 1, 1], "1 of 3 arguments"),
        ("/dmm/w/fold/wedges", ["x" * 500, 7], "more than 400"),
        ("/dmm/w/hits/steps/3/", [7], "ends with `/`"),
        ("/dmm/neuron/pad", [], "an activation"),
        ("/dmm/neuron/pad", [3], "an activation"),
        ("/dmm/neuron/pad/saw", ["x"], "goes on after the name"),
        ("/dmm/neuron/pad", ["saw~", 1, "sine~"], "a coefficient"),
        ("/dmm/remove", [], "the name of a neuron"),
        ("/dmm/insert/tilt", ["rotate"], "an input"),
        ("/dmm/setting/a/b/c", [1], "`/dmm/setting/<name>/<key>`"),
        ("/dmm/setting/a/b", [float("inf")], "finite"),
        ("/dmm/setting/a/b", [b"x"], "a number or a text"),
        ("/dmm/crossfade/screen/image/a", [0.5], "between two sources"),
        ("/dmm/crossfade/screen/image/a/b/c", [0.5], "between two sources"),
        ("/dmm/crossfade/screen/image", ["a", 0.5], "the second source"),
        ("/dmm/mute/pad", ["yes"], "as a number"),
        ("/dmm/undo/all", [], "goes on with `all`"),
        ("/dmm/undo", ["x"], "as a number"),
        ("/dmm/panic/loud", [], "`/dmm/panic/on`"),
        ("/dmm/eval", [7], "lines of the patch language"),
        ("/dmm/at", [], "waits for"),
        ("/dmm/at", ["night"], "waits for"),
        ("/dmm/at", [0], "waits for"),
        ("/dmm/at/bar/at/bar/undo", [], "one grid"),
        ("/dmm/morph", ["tide.yaml", 8], "not there yet"),
        ("/dmm/get", [], "no question"),
        ("/dmm/get/weights", [], "no question is called `weights`"),
        ("/dmm/subscribe", ["fold"], "begins with `/`"),
        ("/dmm/subscribe", ["/dmm", 0], "a rate is from"),
        ("/dmm/subscribe", ["/dmm", 1e9], "a rate is from"),
        ("/scene", ["verse"], "put the word into the address"),
        ("/scene", [b"blob"], "as a number"),
        ("/scene", [None], "as a number"),
        ("/scene", [float("nan")], "finite"),
        ("/scene/:number", [1], "begins with `:`"),
        ("/scene/%", [1], "empty"),
        ("/scene/*", [1], "a pattern"),
        ("/scene/%ff", [1], "UTF-8"),
    ],
)
def test_what_is_no_message_is_refused_with_a_sentence(address, args, sentence):
    with pytest.raises(DmmError, match=re.escape(sentence)):
        translate(address, args)


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(["dmm", "w", "at", "bar", "get", "y", "crossfade", "subscribe", "ear", "3", "*", ""]),
            max_size=8,
        ).map(lambda labels: "/" + "/".join(labels)),
    ),
    st.lists(st.integers() | st.floats() | st.text(max_size=30) | st.booleans() | st.none() | st.binary(max_size=4)),
)
@settings(max_examples=400, deadline=None)
def test_whatever_comes_has_a_meaning_or_gets_a_sentence(address, args):
    try:
        items = translate(address, args)
    except DmmError as refusal:
        assert str(refusal).rstrip().endswith((".", "?", "…"))
    else:
        assert isinstance(items, list)


@given(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), min_size=4, max_size=4), st.lists(st.text()))
@settings(max_examples=200, deadline=None)
def test_the_address_of_an_entry_sets_that_entry(ports, branches):
    entry = (*ports, *branches[:30])
    address = address_of(entry)
    if len(address) > 1_000 or any(len(label) > 128 for label in address.split("/")):
        return
    (edit,) = translate(address, [0.5])
    to, source = parse_reference(edit.to), parse_reference(edit.source)
    assert (to.name, to.port, source.name, source.port, *source.branches) == entry


def test_the_addresses_of_family_inputs_and_whole_neurons_set_them_too():
    assert translate(address_of(("hits", "steps/3", "one", "out")), [1]) == [Set("hits.steps/3", "one.out", 1.0)]
    assert translate(address_of(("self", "delta", "reader")), [1]) == [Set("self.delta", "reader/", 1.0)]


def test_a_pattern_covers_labels_one_by_one_and_everything_below():
    full = "/dmm/w/voice1/frequency/one/out"
    for pattern in ("/dmm", "/dmm/w/voice1", "/dmm/w/voice*", "/dmm/*/{voice1,pad}/f*", "/dmm/w/voice[0-3]/", full):
        assert covers(pattern, full)
    for pattern in ("/dmm/w/voice", "/dmm/w/*/offset", "/dmm/w/voice[!1]", full + "/x", "/*/frequency"):
        assert not covers(pattern, full)


def test_a_pattern_that_stands_for_too_much_is_refused():
    with pytest.raises(EditError, match="stands for more than"):
        covers("/dmm/" + "{a,b}" * 7, "/dmm/w")


def test_a_fader_that_listens_to_its_own_address_hears_itself_under_it():
    assert shown_address("/dmm/w/fold/wedges", "/dmm/w/fold/wedges/one/out") == "/dmm/w/fold/wedges"
    assert shown_address("/dmm/w/bent/amount/ear", "/dmm/w/bent/amount/ear/out") == "/dmm/w/bent/amount/ear"
    assert shown_address("/dmm/w/fold", "/dmm/w/fold/wedges/one/out") == "/dmm/w/fold/wedges"
    assert shown_address("/dmm/w/fold", "/dmm/w/fold/wedges/ear/low") == "/dmm/w/fold/wedges/ear/low"


def test_the_edits_of_a_packet_are_one_group_and_its_grid_is_theirs():
    items = [At("bar"), Set("a.b", "one", 1.0), Command("save", ()), Undo(), Data(("x",), 1.0), Ping()]
    request, own = gather(items, sender="me", addresses=("/x",))
    assert request.group == Group((Set("a.b", "one", 1.0), Undo()), "osc", "bar")
    assert (request.commands, request.data, request.sender) == ((Command("save", ()),), (Data(("x",), 1.0),), "me")
    assert own == [Ping()]


# --- the page ------------------------------------------------------------------------------------


def examples(kind):
    """[[(address, args, remark), …] for each block of that kind on the page]."""
    found = []
    for block in re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        lines = [re.fullmatch(r"(.*?)(?:\s+# (.*))?", line).groups() for line in block.strip().splitlines()]
        found.append([(*as_message(text), remark or "") for text, remark in lines])
    assert found
    return found


def as_message(text):
    words = shlex.split(text, posix=False)
    args = [word[1:-1] if word[0] == '"' else float(word) if "." in word else int(word) for word in words[1:]]
    return words[0], args


@pytest.mark.parametrize(("address", "args", "remark"), [one for block in examples("osc") for one in block])
def test_every_example_of_the_page_is_understood(address, args, remark):
    assert gather(translate(address, args))


def test_every_bundle_of_the_page_is_one_group():
    for block in examples("osc-bundle"):
        request, own = gather([item for address, args, _ in block for item in translate(address, args)])
        assert request.group.at == "bar"
        assert len(request.group.edits) == len(block) - 1


@pytest.mark.parametrize(("address", "args", "remark"), [one for block in examples("osc-refused") for one in block])
def test_every_mistake_of_the_page_gets_the_sentence_that_it_says(address, args, remark):
    with pytest.raises(DmmError, match=re.escape(remark)):
        gather(translate(address, args))


def test_every_verb_is_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    with pytest.raises(EditError) as refusal:
        translate("/dmm/qqqqqqqq")
    for name in re.findall(r"\w+", str(refusal.value).partition("Known: ")[2]):
        assert f"/dmm/{name}" in page


# --- bytes ----------------------------------------------------------------------------------------


VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32, allow_nan=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    st.booleans(),
    st.none(),
)


@given(st.from_regex(r"/[a-z0-9/]{0,30}", fullmatch=True), st.lists(VALUES, max_size=12))
def test_a_message_is_read_as_python_osc_reads_it(address, values):
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    datagram = builder.build().dgram
    assert messages_of(datagram) == [Message(address, tuple(OscMessage(datagram).params))]
    assert messages_of(datagram) == [Message(address, tuple(values))]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_an_exact_message_carries_every_float_as_it_is(values):
    assert messages_of(datagram_of("/a", values, exact=True)) == [Message("/a", tuple(values))]


def test_what_is_told_to_controllers_is_single_precision_unless_it_would_overflow():
    assert messages_of(datagram_of("/a", [0.1, 1e300, 2**40]))[0].args == (pytest.approx(0.1), 1e300, 2**40)
    assert b",fdh" in datagram_of("/a", [0.1, 1e300, 2**40])


def test_an_impulse_is_true_and_shifts_nothing():
    assert messages_of(b"/a\0\0,If\0" + struct.pack(">f", 0.5)) == [Message("/a", (True, 0.5))]


def test_a_bundle_keeps_its_order_and_inner_times_are_never_earlier_than_outer_ones():
    inner = OscBundleBuilder(2_000_000_000)
    inner.add_content(OscMessageBuilder("/b").build())
    outer = OscBundleBuilder(2_000_000_010)
    outer.add_content(OscMessageBuilder("/a").build())
    outer.add_content(inner.build())
    outer.add_content(OscMessageBuilder("/c").build())
    found = messages_of(outer.build().dgram)
    assert [message.address for message in found] == ["/a", "/b", "/c"]
    assert [message.time for message in found] == pytest.approx([2_000_000_010] * 3, abs=1e-3)


NOW_TAG = b"\0" * 7 + b"\1"


def nested(depth):
    packet = b"#bundle\0" + NOW_TAG
    for _ in range(depth):
        packet = b"#bundle\0" + NOW_TAG + struct.pack(">i", len(packet)) + packet
    return packet


MALFORMED = {
    "nothing": b"",
    "text": b"hello",
    "a bundle without a time": b"#bundle\0",
    "a negative size": b"#bundle\0" + NOW_TAG + struct.pack(">i", -4),
    "a size of nothing": b"#bundle\0" + NOW_TAG + b"\0" * 65_000,
    "a size beyond the end": b"#bundle\0" + NOW_TAG + struct.pack(">i", 400) + b"/a\0\0",
    "half a size": b"#bundle\0" + NOW_TAG + b"\0\0",
    "an element of rubbish": b"#bundle\0" + NOW_TAG + struct.pack(">i", 4) + b"abcd",
    "bundles in bundles in …": nested(3_000),
    "very many bundles": b"#bundle\0" + NOW_TAG + (struct.pack(">i", 16) + b"#bundle\0" + NOW_TAG) * 3_000,
    "very many messages": b"#bundle\0" + NOW_TAG + (struct.pack(">i", 4) + b"/a\0\0") * 8_000,
    "an endless address": b"/" + b"a" * 65_000,
    "an address without an end": b"/abc",
    "no comma": b"/a\0\0if\0\0\0\0\0\0\0\0\0\0",
    "endless types": b"/a\0\0," + b"i" * 65_000,
    "types without an end": b"/a\0\0,iii",
    "very many blobs": b"/a\0\0," + b"b" * 200 + b"\0" * 60_000,
    "a missing int": b"/a\0\0,i\0\0",
    "half a float": b"/a\0\0,f\0\0\0\0",
    "a missing second float": b"/a\0\0,ff\0\0\0\0\0",
    "a missing double": b"/a\0\0,d\0\0\0\0\0\0",
    "a text without an end": b"/a\0\0,s\0\0abcd",
    "a text that is not UTF-8": b"/a\0\0,s\0\0\xff\xfe\0\0",
    "a blob": b"/a\0\0,b\0\0\0\0\0\4abcd",
    "an array": b"/a\0\0,[i]\0\0\0\0\0\0\0\0",
    "a colour": b"/a\0\0,r\0\0\0\0\0\0",
    "an unknown type": b"/a\0\0,\xff\0\0",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_packet_gets_a_sentence_at_once(what):
    before = time.thread_time()
    with pytest.raises(EditError, match=r"\.$"):
        messages_of(MALFORMED[what])
    assert time.thread_time() - before < 0.05  # a hundred times what it takes: the machine may be busy


@given(st.binary(max_size=200), st.sampled_from([b"", b"/", b"/a\0\0,", b"#bundle\0", b"#bundle\0" + NOW_TAG]))
@settings(max_examples=500, deadline=None)
def test_random_bytes_are_messages_or_get_a_sentence(noise, start):
    try:
        found = messages_of(start + noise)
    except EditError:
        return
    assert all(isinstance(message, Message) for message in found)


# --- the socket -----------------------------------------------------------------------------------


class Machine:
    """Stands where the instrument stands: keeps requests, answers as it is told to."""

    def __init__(self):
        self.requests = queue.Queue()
        self.sentence = None
        self.answering = True

    def deliver(self, request):
        self.requests.put((time.monotonic(), request))
        if self.answering:
            if request.group:
                request.group.reply(self.sentence)
            if request.commands:
                request.reply(self.sentence)

    def next(self):
        return self.requests.get(timeout=PATIENCE_S)[1]

    def query(self, question):
        weights = {("fold", "wedges", "one", "out"): 7.0, ("bent", "amount", "ear", "low"): 0.5}
        if question.what != "w":
            raise EditError(f"no {question.what} here.")
        told = {address_of(entry): (weight,) for entry, weight in weights.items()}
        return [(address, values) for address, values in told.items() if covers(question.pattern, address)]


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def server(machine):
    with OscServer("127.0.0.1", 0, machine.deliver, machine.query) as server:
        yield server


@pytest.fixture
def client(server):
    with OscClient("127.0.0.1", server.port, timeout=PATIENCE_S) as client:
        yield client


def hear(client, wanted, seconds=PATIENCE_S):
    """The values of the next message with that address."""
    for address, values in client.heard(time.monotonic() + seconds):
        if address == wanted:
            return values
    raise AssertionError(f"no {wanted} within {seconds} s")


def test_a_message_from_any_client_arrives_as_one_request(server, machine):
    SimpleUDPClient("127.0.0.1", server.port).send_message("/dmm/w/fold/wedges", [7.0, 0.5])
    request = machine.next()
    assert request.group == Group((Set("fold.wedges", "one", 7.0, 0.5),), "osc")
    assert request.addresses == ("/dmm/w/fold/wedges",)
    assert request.due is None


def test_a_thousand_messages_arrive_in_order(client, machine):
    for number in range(1_000):
        client.send((f"/count/{number % 7}", (number,)))
    assert [machine.next().data[0].value for _ in range(1_000)] == list(range(1_000))


def test_a_bundle_is_one_request_with_one_group(client, machine):
    edits = ("/dmm/w/a/b", (1,)), ("/dmm/w/c/d", (2,))
    client.send(("/dmm/at", ("beat",)), ("/dmm/save", ()), edits[0], ("/1/fader1", (0.5,)), edits[1])
    request = machine.next()
    assert request.group == Group((Set("a.b", "one", 1.0), Set("c.d", "one", 2.0)), "osc", "beat")
    assert request.data == (Data(("1", "fader1"), 0.5),)
    assert request.commands == (Command("save", ()),)
    assert machine.requests.empty()


def test_one_wrong_message_in_a_bundle_refuses_all_of_it(client, machine):
    client.send(("/dmm/w/a/b", (1,)), ("/dmm/w/c", (2,)), ("/1/fader1", (0.5,)))
    about, sentence = hear(client, "/dmm/error")
    assert about == "/dmm/w/c"
    assert "the input is missing" in sentence
    client.send(("/last", (1,)))
    assert machine.next().addresses == ("/last",)


def test_a_future_bundle_comes_at_its_time_and_nothing_waits_for_it(client, machine):
    client.send(("/later", (1,)), time=time.time() + 0.4)
    client.send(("/latest", (1,)), time=time.time() + 0.5)
    due = time.monotonic() + 0.4
    client.send(("/now", (1,)))
    assert machine.next().addresses == ("/now",)
    assert time.monotonic() < due
    came, request = machine.requests.get(timeout=PATIENCE_S)
    assert request.addresses == ("/later",)
    assert request.due == pytest.approx(due, abs=0.02)
    assert came >= request.due
    assert machine.next().addresses == ("/latest",)


def test_a_bundle_that_comes_late_is_performed_at_once(client, machine):
    client.send(("/late", (1,)), time=time.time() - 3.0)
    assert machine.next().due is None


def test_a_bundle_with_two_times_is_two_requests(client, machine):
    inner = OscBundleBuilder(time.time() + 0.2)
    inner.add_content(OscMessageBuilder("/second").build())
    outer = OscBundleBuilder(IMMEDIATELY)
    outer.add_content(inner.build())
    outer.add_content(OscMessageBuilder("/first").build())
    client._socket.send(outer.build().dgram)
    assert [machine.next().addresses, machine.next().addresses] == [("/first",), ("/second",)]


def test_a_time_tag_beyond_an_hour_is_refused(client):
    client.send(("/dmm/undo", ()), time=time.time() + 4_000)
    assert "in the future" in hear(client, "/dmm/error")[1]


def test_what_waits_for_its_time_is_bounded(server, client, monkeypatch):
    monkeypatch.setattr(osc, "MOST_WAITING_BYTES", 200)
    for _ in range(10):
        client.send(("/dmm/undo", ()), time=time.time() + 1_000)
    assert "wait for their time already" in hear(client, "/dmm/error")[1]
    assert server._waiting_bytes <= 200


def test_an_error_goes_to_the_one_who_caused_it(server, client):
    with OscClient("127.0.0.1", server.port) as innocent:
        client.send(("/dmm/undoo", ()))
        assert hear(client, "/dmm/error")[0] == "/dmm/undoo"
        assert list(innocent.heard(time.monotonic() + 0.05)) == []


def test_a_refusal_of_the_machine_is_told_under_the_address_of_the_edit(client, machine):
    machine.sentence = "edit: no neuron is called `fold`."
    told = client.ask(("/dmm/w/fold/wedges", (7,)))
    assert told.sentences == ("edit: no neuron is called `fold`.",)
    assert not told.done


def test_done_is_told_only_to_those_who_asked_for_it(server, client, machine):
    plain = SimpleUDPClient("127.0.0.1", server.port)
    plain.send_message("/dmm/undo", None)
    machine.next()
    assert client.ask(("/dmm/undo", ())).done
    assert plain.receive(0.05) == b""


def test_done_waits_until_edits_and_commands_are_both_answered(client, machine):
    machine.answering = False

    def answer():
        request = machine.next()
        request.group.reply(None)
        time.sleep(0.1)
        request.reply(None)

    thread = threading.Thread(target=answer)
    thread.start()
    before = time.monotonic()
    assert client.ask(("/dmm/undo", ()), ("/dmm/save", ())).done
    assert time.monotonic() - before > 0.1
    thread.join()


def test_an_answer_that_does_not_come_is_said_in_a_sentence(client, machine):
    client.ask(("/dmm/ping", ()))
    machine.answering = False
    told = client.ask(("/dmm/undo", ()), timeout=0.05)
    assert (told.done, told.errors) == (False, ())
    assert "No answer came in time" in told.sentences[0]


def test_a_machine_that_fails_costs_a_sentence_and_not_the_thread():
    failures = iter([ZeroDivisionError("by zero"), EditError("Too many edits are waiting."), None])

    def deliver(request):
        failure = next(failures)
        if failure:
            raise failure

    with OscServer("127.0.0.1", 0, deliver) as server, OscClient("127.0.0.1", server.port) as client:
        assert "ZeroDivisionError" in client.ask(("/a", (1,))).errors[0]
        assert client.ask(("/a", (1,))).errors == ("Too many edits are waiting.",)
        assert client.ask(("/a", (1,))).done


def test_questions_are_answered_one_message_for_each_match(client):
    assert client.ask(("/dmm/get/w", ())).replies == (
        ("/dmm/w/fold/wedges/one/out", (7.0,)),
        ("/dmm/w/bent/amount/ear/low", (0.5,)),
    )
    assert client.ask(("/dmm/get/w/b*", ())).replies == (("/dmm/w/bent/amount/ear/low", (0.5,)),)
    assert client.ask(("/dmm/get/w/none", ())).errors == ("`/dmm/w/none` matches nothing.",)
    assert client.ask(("/dmm/get/neurons", ())).errors == ("no neurons here.",)
    assert client.ask(("/dmm/ping", (3, "x"))).replies == (("/dmm/ping", (3, "x")),)


def test_answers_are_never_answered(server, client):
    for address in ("/dmm/error", "/dmm/reply", "/dmm/done"):
        client.send((address, ("/dmm/w", "no")))
    assert list(client.heard(time.monotonic() + 0.1)) == []
    assert server.refused == 0


def test_strangers_addresses_cannot_fill_the_memory(client, machine, monkeypatch):
    monkeypatch.setattr(osc, "MOST_HELD", 3)
    assert all(client.ask((f"/fader{number}", (1,))).done for number in (1, 2, 3, 1))
    assert "holds 3 numbers already" in client.ask(("/fader4", (1,))).errors[0]
    assert client.ask(("/fader2", (0,))).done


def test_20_000_random_packets_leave_the_thread_alive(server, client, machine):
    noise = random.Random(7)
    heads = [b"", b"/", b"/dmm/w/a/b\0\0,", b"/dmm/subscribe\0\0,s\0\0", b"#bundle\0" + NOW_TAG + b"\0\0\0"]
    for number in range(20_000):
        client._socket.send(noise.choice(heads) + noise.randbytes(noise.randrange(60)))
        if number % 500 == 0:  # the kernel's queue is short; each must be received to count
            deadline = time.monotonic() + PATIENCE_S
            while server.received < number and time.monotonic() < deadline:
                time.sleep(0.001)
    for packet in MALFORMED.values():
        client._socket.send(packet)
    assert server._thread.is_alive()
    assert client.ask(("/dmm/w/fold/wedges", (7,))).done
    assert server.received >= 20_000
    while (request := machine.next()).addresses != ("/dmm/w/fold/wedges",):
        assert request.group is None


def test_a_flood_of_mistakes_is_answered_a_hundred_times_and_then_counted(client):
    for _ in range(300):
        client.send(("/dmm/undoo", ()))
    answers = [values for address, values in client.heard(time.monotonic() + 1.5) if address == "/dmm/error"]
    assert [about for about, _ in answers] == ["/dmm/undoo"] * 100 + ["*"]
    assert answers[-1][1] == "200 more messages were refused in that second."


def test_the_senders_that_are_remembered_are_bounded():
    limit = RefusalLimit(most=1, most_senders=3)
    assert [limit.admits(sender, 0.0) for sender in "abcd"] == [True, True, True, False]
    assert not limit.admits("a", 0.5)
    assert limit.overdue(0.9) == []
    assert limit.overdue(1.1) == [("a", 1)]
    assert limit.admits("d", 1.2)


def test_a_taken_port_is_named_with_the_remedy(server):
    with pytest.raises(DeviceError, match=rf"port {server.port} is taken .* `--osc-port`"):
        OscServer("127.0.0.1", server.port, print)


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_cannot_be_is_refused(port):
    with pytest.raises(DeviceError, match="there is no port"):
        OscServer("127.0.0.1", port, print)


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "a" * 300])
def test_a_host_that_is_not_here_is_refused(host):
    with pytest.raises(DeviceError, match="--osc-host"):
        OscServer(host, 0, print)


def test_a_port_that_is_closed_is_free_again(machine):
    with OscServer("127.0.0.1", 0, machine.deliver) as server:
        port = server.port
    OscServer("127.0.0.1", port, machine.deliver).close()


def test_an_open_port_is_warned_of_and_loopback_is_not(server):
    assert server.warning is None
    wide = OscServer("0.0.0.0", 0, print)
    wide.close()
    assert "every computer" in wide.warning


def test_a_client_says_when_nobody_answers():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        with OscClient("127.0.0.1", port, timeout=0.3) as client, pytest.raises(DeviceError, match="nothing answers"):
            client.ask(("/dmm/undo", ()))
    with OscClient("127.0.0.1", port, timeout=0.3) as client, pytest.raises(DeviceError, match="Start `play`"):
        client.ask(("/dmm/undo", ()))


def test_a_client_does_not_send_what_fits_into_no_packet(client):
    with pytest.raises(EditError, match="do not fit into one packet"):
        client.send(("/dmm/eval", ("x" * 66_000,)))


# --- subscriptions --------------------------------------------------------------------------------


class Told:
    def __init__(self):
        self.messages = []
        self.subscriptions = Subscriptions(lambda *message: self.messages.append(message))


WEDGES = "/dmm/w/fold/wedges/one/out"


def test_a_change_is_told_at_once_then_at_the_rate_and_the_last_value_wins():
    told = Told()
    told.subscriptions.add("panel", "/dmm/w/fold", 10, now=0.0)
    for step in range(10):
        told.subscriptions.changed(WEDGES, (step,), now=0.005 * step)
        told.subscriptions.flush(0.005 * step)
    assert told.messages == [("panel", "/dmm/w/fold/wedges", (0,))]
    assert told.subscriptions.due == pytest.approx(0.1)
    told.subscriptions.flush(0.11)
    assert told.messages[1:] == [("panel", "/dmm/w/fold/wedges", (9,))]
    told.subscriptions.flush(0.22)
    assert told.subscriptions.due is None
    assert len(told.messages) == 2


def test_each_listener_has_its_own_pattern_and_rate():
    told = Told()
    told.subscriptions.add("fast", "/dmm/w/*/wedges", 100, now=0.0)
    told.subscriptions.add("slow", "/dmm", 1, now=0.0)
    told.subscriptions.add("other", "/dmm/w/bent", 100, now=0.0)
    told.subscriptions.changed(WEDGES, (1,), now=0.0)
    told.subscriptions.changed(WEDGES, (2,), now=0.02)
    told.subscriptions.flush(0.02)
    assert sorted(told.messages) == [
        ("fast", "/dmm/w/fold/wedges", (1,)),
        ("fast", "/dmm/w/fold/wedges", (2,)),
        ("slow", "/dmm/w/fold/wedges", (1,)),
    ]


def test_who_unsubscribes_hears_no_more():
    told = Told()
    told.subscriptions.add("panel", "/dmm/w/fold", 10, now=0.0)
    told.subscriptions.add("panel", "/dmm/w/bent", 10, now=0.0)
    told.subscriptions.remove("panel", "/dmm/w/fold")
    told.subscriptions.changed(WEDGES, (1,), now=0.0)
    assert told.messages == []
    assert len(told.subscriptions) == 1
    told.subscriptions.remove("panel")
    assert len(told.subscriptions) == 0


def test_there_is_room_for_64_and_a_silent_one_makes_way():
    subscriptions = Told().subscriptions
    for number in range(64):
        subscriptions.add(number, "/dmm", 10, now=0.0)
    with pytest.raises(EditError, match="64 listeners"):
        subscriptions.add("new", "/dmm", 10, now=30.0)
    for number in range(1, 64):
        subscriptions.heard_from(number, now=40.0)
    subscriptions.add("new", "/dmm", 10, now=70.0)
    with pytest.raises(EditError, match="64 listeners"):
        subscriptions.add(0, "/dmm", 10, now=70.0)


def test_patterns_of_one_listener_are_bounded_and_a_wrong_one_is_refused():
    subscriptions = Told().subscriptions
    for number in range(32):
        subscriptions.add("panel", f"/dmm/w/{number}", 10)
    with pytest.raises(EditError, match="32 subscriptions"):
        subscriptions.add("panel", "/dmm/w/one_more", 10)


def test_changes_reach_a_subscriber_over_the_socket(server, client):
    assert client.ask(("/dmm/subscribe", ("/dmm/w/fold/wedges", 50))).done
    for step in range(5):
        server.subscriptions.changed(WEDGES, (float(step),))
    assert hear(client, "/dmm/w/fold/wedges") == (0.0,)
    assert hear(client, "/dmm/w/fold/wedges", seconds=0.7) == (4.0,)  # sooner than an idle thread looks up


def test_a_subscriber_that_has_gone_is_forgotten_where_the_system_tells_and_others_still_hear(server, client):
    with OscClient("127.0.0.1", server.port) as gone:
        assert gone.ask(("/dmm/subscribe", ("/dmm", 1_000))).done
    assert client.ask(("/dmm/subscribe", ("/dmm", 1_000))).done
    left = 1 if sys.platform == "linux" else 2
    deadline, step = time.monotonic() + PATIENCE_S, 0
    while len(server.subscriptions) != left and time.monotonic() < deadline:
        server.subscriptions.changed(WEDGES, (float(step),))
        step += 1
        time.sleep(0.005)
    assert len(server.subscriptions) == left
    server.subscriptions.changed("/dmm/w/last/one/one/out", (1.0,))
    assert hear(client, "/dmm/w/last/one") == (1.0,)

"""The command line as a person meets it: help, mistakes, exact values, checks, lists, the doctor, edits by hand."""

import json
import math
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from player import ROOT, run_app
from running import lockstep, steps

from dmm_av.commands import opening
from dmm_av.commands.command_line import commands, main
from dmm_av.errors import EditError, PatchError
from dmm_av.io.osc import OscServer

COMMANDS = sorted(commands.registered_commands, key=lambda one: one.name)
NAMES = [one.name for one in COMMANDS]
NO_SCREEN = {name: text for name, text in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}

TONE = """
size: [64, 36]
neurons:
  tone:   {is: sine~, frequency: 440}
  swing:  {is: sine, frequency: 3}
  waves:  {is: stripes, frequency: 4}
  reader: {is: identity, input: self.matrix}
matrix:
  speakers.both: {tone: 0.3}
  screen.image: waves
"""


@pytest.fixture
def app(capsys):
    """Runs a command in this process: (exit status, stdout, stderr)."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "tone.yaml"
    path.write_text(TONE)
    return path


def is_one_sentence(text):
    """Whether a player got one line that ends, and no traceback."""
    return bool(re.fullmatch(r"\S[^\n]*[.…]\n", text)) and "Traceback" not in text


def lines_of(text):
    """The JSON lines of a trace."""
    return [json.loads(line) for line in text.splitlines()]


# --- help and mistyped lines ------------------------------------------------------------------------


def test_help_is_there_in_less_than_0_3_seconds():
    def seconds():
        """Of processor time: others may use this machine too."""
        before = os.times()
        assert "render" in run_app("--help").stdout
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(5)) < 0.3


def test_nothing_heavy_is_imported_before_a_command_is_chosen():
    heavy = "'numpy', 'numba', 'moderngl', 'av', 'glfw', 'yaml', 'sounddevice', 'rich', 'prompt_toolkit'"
    code = f"import sys, dmm_av.commands.command_line; print([m for m in ({heavy},) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_has_help(app, name, option):
    status, out, err = app(name, option)
    assert status == 0 and err == ""
    assert out.startswith(f"Usage: app.py {name}")
    assert re.search(r"\n\n  \S.*\.|\n\n  Edit", out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rendr"], "app.py: no command is called `rendr`. Did you mean `render`?"),
        (["--sped"], "app.py: no option is called `--sped`."),
        (["render"], "render: PATCH is missing."),
        (["render", "hello_sine"], "render: -o is missing."),
        (["render", "hello_sine", "-o", "x.wav", "--sed", "3"], "no option is called `--sed`. Did you mean `--seed`?"),
        (["render", "hello_sine", "-o", "x.wav", "--seed", "x"], "render: --seed cannot be this"),
        (["trace", "hello_sine", "--ticks", "0"], "trace: --ticks cannot be this"),
        (["trace", "hello_sine", "--ticks"], "'--ticks'"),
        (["check"], "check: PATCH... is missing."),
        (["list", "knobs"], "list: activations|devices|patches cannot be this"),
        (["doctor", "who"], "doctor: "),
        (["play"], "play: "),
    ],
)
def test_a_mistyped_line_is_answered_with_one_sentence(app, arguments, said):
    status, out, err = app(*arguments)
    assert status != 0 and out == ""
    assert is_one_sentence(err) or err.rstrip().endswith("?"), err
    assert said in err


def test_without_a_command_there_is_the_list_of_commands(app):
    status, _, err = app()
    assert status == 2
    assert all(name in err for name in NAMES)


def test_a_reader_that_goes_away_is_no_mistake(tone):
    command = f"'{sys.executable}' app.py trace '{tone}' --ticks 20000 --watch swing | head -n 2"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


# --- files that are no patches ----------------------------------------------------------------------


def _folder(path):
    path.mkdir()


NO_PATCHES = {
    "missing": (lambda path: None, "cannot be read (No such file or directory)"),
    "a folder": (_folder, "cannot be read (Is a directory)"),
    "empty": (lambda path: path.write_text(""), "there is nothing in it"),
    "binary": (lambda path: path.write_bytes(bytes(range(128, 256)) * 20), "line 1: this is not UTF-8 text"),
    "text": (lambda path: path.write_text("hello\n"), "line 1"),
    "unclosed": (lambda path: path.write_text("neurons:\n  a: {is: sine\n"), "line 3"),
    "huge": (lambda path: path.write_text("# " + "x" * 8_000_000), "larger than"),
    "bombs": (lambda path: path.write_text("a: &a [1,1]\nb: &b [*a,*a]\nc: [*b,*b]\n"), "line 1"),
    "typo": (lambda path: path.write_text("neurons:\n  a: {is: sine, freqency: 3}\n"), "Did you mean `frequency`?"),
}


@pytest.mark.parametrize("command", [["check"], ["trace"], ["render", "-o", "never.wav"], ["play"]], ids=lambda c: c[0])
@pytest.mark.parametrize("what", NO_PATCHES)
def test_a_file_that_is_no_patch_is_a_sentence_with_its_name(app, tmp_path, monkeypatch, command, what):
    monkeypatch.chdir(tmp_path)
    make, said = NO_PATCHES[what]
    make(tmp_path / "odd.yaml")
    begun = time.perf_counter()
    status, out, err = app(*command, "odd.yaml")
    assert time.perf_counter() - begun < 5.0
    assert status == 1 and out == ""
    assert is_one_sentence(err) or err.rstrip().endswith("?"), err
    assert err.startswith("odd.yaml") and said in err
    assert not list(tmp_path.glob("never*"))


def test_a_patch_that_may_not_be_read_is_a_sentence(app):
    status, _, err = app("check", "/proc/self/mem")
    assert status == 1 and is_one_sentence(err)
    assert "cannot be read" in err


def test_a_bare_name_is_one_of_the_patches_that_come_along(app):
    assert app("check", "hello_sine", "lineage/bistable")[0] == 0
    status, _, err = app("check", "helo_sine")
    assert status == 1 and "Did you mean `hello_sine`?" in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", None),
        ("# nothing", None),
        ("nonsense", "line 1: this is no event"),
        ('{"tick": 3}', "this is no event"),
        ('{"tick": "soon", "address": "/dmm/undo"}', "this is no event"),
        ('{"tick": 1e999, "address": "/dmm/undo"}', "this is no event"),
        ("[1, 2]", "this is no event"),
        ('{"tick": 1, "address": "/dmm/undoo"}', "Did you mean `undo`?"),
        ('{"tick": 1, "address": "/dmm/w/tone/frequency", "args": ["high"]}', "a weight is needed"),
        ('{"tick": 1, "address": "/dmm/w/tone/frequency", "args": 7}', "the arguments are a list"),
        ('{"tick": 1, "address": "/dmm/get/neurons"}', "nobody hears the answer"),
    ],
)
def test_a_line_that_is_no_event_is_named_with_file_and_line(app, tone, tmp_path, line, said):
    events = tmp_path / "events.jsonl"
    events.write_text(line + "\n")
    status, out, err = app("trace", tone, "--ticks", "2", "--watch", "swing", "--events", events)
    if said is None:
        assert status == 0 and len(out.splitlines()) == 2
    else:
        assert status == 1 and out == ""
        assert err.startswith(f"{events}, line 1") and said in err


# --- lengths, sizes, rates --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20", 20), ("0.5", 0.5), ("3s", 3), ("1:30", 90), ("00:01:30", 90), ("1:00.5", 60.5), ("8beats", 4), ("1b", 0.5)],
)
def test_a_duration_is_seconds_a_clock_time_or_beats(text, seconds):
    assert opening.parse_duration(text, tempo=120.0) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "1e400", "ten", "1:2:3:4", "5 bars", "9999999"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(PatchError, match="--duration"):
        opening.parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("64x36", (64, 36)), ("1080P", (1920, 1080)), ("4k", (3840, 2160))])
def test_a_size_is_two_numbers_or_a_name(text, size):
    assert opening.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "64", "0x3", "ax4", "99999x2", "-4x4"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(PatchError, match="--size"):
        opening.parse_size(text)


@pytest.mark.parametrize("text", ["", "0", "-24", "60/0", "fast", "nan"])
def test_what_is_no_frame_rate_is_refused(text):
    with pytest.raises(PatchError, match="--fps"):
        opening.parse_fps(text)


# --- trace ------------------------------------------------------------------------------------------


def test_a_trace_is_one_json_line_a_tick_with_the_exact_numbers_of_the_machine(app, tone):
    status, out, err = app("trace", tone, "--ticks", "9", "--watch", "swing", "--watch", "transport.beat")
    run = lockstep(TONE)
    expected = []
    for k in range(9):
        run.machine.refresh()
        swing, beat = run.machine.value("swing"), run.machine.value("transport.beat")
        expected.append({"tick": k, "swing": swing, "transport.beat": beat})
        run.step()
    assert (status, err) == (0, "")
    assert lines_of(out) == expected
    assert expected[-1]["swing"] != 0.0


def test_of_a_sound_the_last_sample_of_the_block_is_traced(app, tone):
    _, out, _ = app("trace", tone, "--ticks", "6", "--watch", "tone")
    for line in lines_of(out)[1:]:
        n = line["tick"] * 200 - 1
        assert line["tone"] == pytest.approx(math.sin(math.tau * 440 * n / 48_000), abs=1e-7)


def test_trees_the_matrix_and_whole_neurons_are_traced(app, tone):
    _, out, _ = app("trace", tone, "--ticks", "3", "--watch", "self.matrix", "reader/", "reader", "tone/", "transport/")
    lines = lines_of(out)
    rows = lines[0]["self.matrix"]
    assert rows["tone"]["frequency"] == {"one": {"out": 440.0}}
    assert rows["speakers"]["both"] == {"tone": {"out": 0.3}}
    assert [line["reader"] for line in lines] == [{}, rows, rows]  # trees take one tick per hop
    assert lines[2]["reader/"] == {"out": rows}
    assert set(lines[2]["transport/"]) == {"beat", "phase", "bar", "time"}
    assert lines[2]["tone/"] == {"out": pytest.approx(math.sin(math.tau * 440 * 399 / 48_000), abs=1e-7)}


def test_a_branch_of_a_tree_is_traced(app, tone):
    _, out, _ = app("trace", tone, "--ticks", "1", "--watch", "self.matrix/tone/frequency/one/out")
    assert lines_of(out) == [{"tick": 0, "self.matrix/tone/frequency/one/out": 440.0}]


def test_a_mixture_is_traced_as_what_flows_out_of_it(app, tmp_path):
    path = tmp_path / "mix.yaml"
    path.write_text(
        "neurons:\n  both: {is: {sine~: 0.5, saw~: 0.25}, frequency: 100}\n  half: {is: {sine: 0.5, saw: 0.5}}\n"
    )
    _, out, _ = app("trace", path, "--ticks", "4", "--watch", "both", "--watch", "half")
    run = lockstep(path.read_text().replace("{sine~: 0.5, saw~: 0.25}", "sine~"))
    steps(run, 3)
    run.machine.refresh()
    line = lines_of(out)[3]
    assert isinstance(line["half"], float)
    assert 0.0 < abs(line["both"] - 0.5 * run.machine.value("both")) <= 0.25


def test_an_event_for_tick_k_is_in_the_matrix_of_state_k_plus_2(app, tone, tmp_path):
    events = tmp_path / "events.jsonl"
    events.write_text(
        '{"tick": 3, "address": "/dmm/w/swing/frequency", "args": [7]}\n'
        "# a remark, and an edit of several messages at a time in seconds\n"
        '{"time": 0.025, "messages": [["/dmm/neuron/late", "sine"], ["/dmm/w/late/frequency", 2]]}\n'
    )
    watched = ("self.matrix/swing/frequency/one/out", "late", "self.matrix/late/frequency/one/out")
    status, out, err = app("trace", tone, "--ticks", "9", "--events", events, "--watch", *watched)
    lines = lines_of(out)
    assert (status, err) == (0, "")
    assert [line[watched[0]] for line in lines] == [3, 3, 3, 3, 3, 7, 7, 7, 7]
    assert [line["late"] is None for line in lines] == [True] * 8 + [False]
    assert [line[watched[2]] for line in lines][-2:] == [0.0, 2.0]


def test_what_an_edit_says_leaves_edits_one_tick_after_it_was_queued(app, tone, tmp_path):
    events = tmp_path / "events.jsonl"
    events.write_text('{"tick": 3, "address": "/dmm/w/swing/frequency", "args": [7]}\n')
    _, out, _ = app("trace", tone, "--ticks", "6", "--events", events, "--watch", "edits.osc")
    delta = {"swing": {"frequency": {"one": {"out": 4.0}}}}
    assert [line["edits.osc"] for line in lines_of(out)] == [{}, {}, {}, {}, delta, {}]


def test_an_edit_that_is_refused_is_told_and_the_trace_goes_on(app, tone, tmp_path):
    events = tmp_path / "events.jsonl"
    events.write_text('{"tick": 1, "address": "/dmm/w/swing/freqency", "args": [7]}\n')
    _, out, err = app("trace", tone, "--ticks", "5", "--events", events, "--watch", "swing")
    assert len(lines_of(out)) == 5
    assert err == "edit: no input of `swing` (sine) is called `freqency`. Did you mean `frequency`?\n"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("swimg", "no neuron is called `swimg`. Did you mean `swing`?"),
        ("swimg/", "no neuron is called `swimg`. Did you mean `swing`?"),
        ("swing.mid", "no output of `swing` is called `mid`. Known: out."),
        ("swing.out/x", "is no tree"),
        ("transport", "several outputs"),
        ("waves", "is a stream of kind image"),
        ("waves/", "is a stream of kind image"),
        ("speakers", "nothing flows out of `speakers`"),
        ("..", "cannot be the name of a neuron"),
    ],
)
def test_a_reference_that_nothing_answers_to_is_a_sentence(app, tone, reference, said):
    status, out, err = app("trace", tone, "--watch", reference)
    assert (status, out) == (1, "")
    assert said in err and len(err.splitlines()) == 1


def test_what_is_measured_in_pictures_is_traced_as_it_is_rendered(app, tmp_path):
    path = tmp_path / "eye.yaml"
    path.write_text(
        "size: [32, 32]\nneurons:\n  grey: {is: solid, red: 0.5, green: 0.5, blue: 0.5}\n"
        "  eye: {is: level.image, picture: grey}\n"
    )
    _, out, _ = app("trace", path, "--ticks", "12", "--watch", "eye.out")
    seen = [line["eye.out"] for line in lines_of(out)]
    assert seen[:8] == [0.0] * 8  # of picture n in the state of picture n + 2
    assert seen[8:] == [pytest.approx(0.5, abs=0.002)] * 4


# --- check ------------------------------------------------------------------------------------------


def test_check_names_cycles_without_a_delayed_input_and_what_a_hop_in_them_costs(app, tmp_path):
    path = tmp_path / "loops.yaml"
    path.write_text(
        """
neurons:
  a: {is: sine~, frequency: {one: 100, b: 50}}
  b: {is: sine~, frequency: {one: 130, a: 20}}
  n: {is: product, a: {m: 0.5, one: 0.1}}
  m: {is: product, a: n}
  p: {is: rotate, picture: q}
  q: {is: rotate, picture: p}
  echo: {is: delay~, input: {a: 1, echo: 0.5}}
  trail: {is: accum.image, accum: {trail: 0.9}, delta: p}
"""
    )
    status, out, err = app("check", path)
    assert status == 0
    assert "The loop through a, b has no delayed input: each hop in it costs one sample." in err
    assert "The loop through n, m has no delayed input: each hop in it costs one tick." in err
    assert "The loop through p, q has no delayed input: each hop in it costs one frame." in err
    assert len(err.splitlines()) == 3  # delay~ and accum.image are delayed
    assert "no mistakes, 3 remarks" in out


def test_check_looks_at_every_patch_and_fails_when_one_is_wrong(app, tone, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("neurons:\n  a: {is: sine~}\n  b: {is: lag, input: a}\n")
    status, out, err = app("check", wrong, tone, tmp_path / "none.yaml")
    assert status == 1
    assert err.splitlines()[0].startswith(f"{wrong}, line 3, column 23")
    assert "Put `level~` between them." in err
    assert f"{tmp_path / 'none.yaml'}: the patch cannot be read" in err
    assert out == f"{tone}: 8 neurons, 20 weights, no mistakes.\n"


def test_check_finds_pictures_that_are_missing_or_broken(app, tmp_path):
    path = tmp_path / "files.yaml"
    (tmp_path / "broken.png").write_text("no picture")
    path.write_text("neurons:\n  a: {is: picture, file: missing.png}\n  b: {is: monochrome, file: broken.png}\n")
    status, out, err = app("check", path)
    assert status == 1
    assert f"{path}, line 2, `a.file`: There is no picture file `missing.png`" in err
    assert f"{path}, line 3, `b.file`: `broken.png` is no picture that can be read" in err
    assert "2 mistakes" in out


def test_an_unknown_activation_is_a_remark_since_its_weights_are_kept(app, tmp_path):
    path = tmp_path / "future.yaml"
    path.write_text("neurons:\n  a: {is: sinne~, frequency: 3}\n")
    status, out, err = app("check", path)
    assert status == 0
    assert f"{path}, line 2, column 11: no activation is called `sinne~`. Did you mean `sine~`?" in err
    assert "1 remark." in out


@pytest.mark.parametrize("path", sorted((ROOT / "patches").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_patch_that_comes_along_has_no_mistakes(app, path):
    status, out, _ = app("check", path)
    assert status == 0 and "no mistakes" in out


# --- list -------------------------------------------------------------------------------------------


def test_activations_are_listed_as_lines_as_json_and_as_a_page(app):
    library = opening.open_library()
    _, lines, _ = app("list", "activations")
    _, text, _ = app("list", "activations", "--json")
    _, page, _ = app("list", "activations", "--markdown")
    rows = {row["name"]: row for row in json.loads(text)}
    assert [line.split()[0] for line in lines.splitlines()] == library.names() == list(rows)
    assert rows["stripes"]["inputs"]["frequency"]["kind"] == "field"
    assert rows["picture"]["settings"]["fit"]["choices"] == ["cover", "contain", "stretch"]
    assert rows["svf~"]["outputs"].keys() == {"low", "band", "high"}
    headings = {name for line in page.splitlines() if line.startswith("### ") for name in re.findall("`(.+?)`", line)}
    assert headings == set(rows)


def test_a_users_activations_are_listed_too(app, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from dmm_av.network.activation import tree\n\n"
        '@tree(inputs=("a",))\ndef mine(a):\n    """Mine."""\n    return a\n'
    )
    _, out, _ = app("list", "activations", "--library", mine)
    assert re.search(r"^mine +a +Mine\.$", out, re.M)


def test_patches_are_listed_with_what_they_teach(app):
    _, text, _ = app("list", "patches", "--json")
    names = {row["name"]: row for row in json.loads(text)}
    assert {path.stem for path in (ROOT / "patches").rglob("*.yaml")} == {name.rpartition("/")[2] for name in names}
    assert all(row["about"] and yaml.safe_load(Path(row["file"]).read_text("utf-8")) for row in names.values())


def test_devices_are_listed_and_none_is_said(app):
    status, out, err = app("list", "devices", "--json")
    devices = json.loads(out)
    _, lines, said = app("list", "devices")
    assert status == 0 and len(lines.splitlines()) == len(devices)
    assert said == ("" if devices else "list: there are no devices.\n")


def test_only_activations_have_a_page(app):
    status, out, err = app("list", "patches", "--markdown")
    assert (status, out) == (1, "") and is_one_sentence(err)


# --- doctor -----------------------------------------------------------------------------------------


def test_the_doctor_names_what_is_missing_and_the_remedy_and_never_breaks_down():
    environment = {**NO_SCREEN, "__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent", "PULSE_SERVER": "/nonexistent"}
    done = run_app("doctor", environment=environment, check=False)
    assert done.stderr == "" and done.returncode == 1
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if not line.startswith(" ")}
    assert {"python", "libraries", "activations", "sound", "display", "pictures", "video", "osc"} == set(lines)
    assert "MISSING" in lines["display"] and "--headless" in lines["display"]
    assert "MISSING" in lines["pictures"] and "libegl1" in lines["pictures"]
    assert "MISSING" not in lines["video"] and "libx264" in lines["video"]


def test_the_doctor_names_the_renderer_the_path_of_matrices_and_a_port_that_is_taken(app):
    try:
        server = OscServer(port=9129).start()
    except Exception:  # another program has it: that is what the doctor shall say
        server = None
    _, out, _ = app("doctor")
    if server is not None:
        server.close()
    assert re.search(r"^pictures +\S.*pictures up to \d+x\d+$", out, re.M)
    assert re.search(r"^ +Matrices: ", out, re.M)
    assert re.search(r"^osc +MISSING OSC: port 9129 is taken", out, re.M)


# --- edit -------------------------------------------------------------------------------------------


class Instrument:
    """An OSC server that remembers what it was told and knows one weight."""

    def __init__(self):
        self.told = []
        self.server = OscServer(port=0, deliver=self._deliver, query=self._answer).start()
        self.port = self.server.port

    def _deliver(self, request):
        self.told.append(request)
        for command in request.commands:
            if command.args == ("nonsense",):
                raise EditError("eval: no verb is called `nonsense`. Known: set.")
        if request.reply:
            request.reply(None)

    def _answer(self, question):
        if question.what == "neurons":
            return [("/dmm/neuron/tone", ("sine~",)), ("/dmm/neuron/lamp", ("lag",))]
        if question.what == "w" and question.labels[:1] in ((), ("tone",)):
            return [("/dmm/w/tone/frequency/one/out", (440.0,))]
        raise EditError("get: nothing matches.")


@pytest.fixture
def instrument():
    instrument = Instrument()
    yield instrument
    instrument.server.close()


@pytest.mark.parametrize(
    ("words", "evaluated"),
    [
        (["tone.frequency", "440"], "tone.frequency 440"),
        (["tone.frequency", "-0.5", "2"], "tone.frequency -0.5 2"),
        (["new", "hiss", "noise~"], "new hiss noise~"),
        (["undo"], "undo"),
    ],
)
def test_edit_sends_patch_notation(app, instrument, words, evaluated):
    assert app("edit", "--osc-port", instrument.port, *words) == (0, "", "")
    (request,) = instrument.told
    assert [(command.name, command.args) for command in request.commands] == [("eval", (evaluated,))]


def test_edit_sends_addresses_as_they_are(app, instrument):
    assert app("edit", "--osc-port", instrument.port, "/dmm/w/tone/frequency", "-330.5", "1") == (0, "", "")
    assert app("edit", "--osc-port", instrument.port, "/1/fader1", "0.4") == (0, "", "")
    (edit,) = instrument.told[0].group.edits
    assert (edit.to, edit.source, edit.weight, edit.ramp) == ("tone.frequency", "one", -330.5, 1.0)
    assert instrument.told[1].data[0].labels == ("1", "fader1")


def test_edit_prints_answers_and_tells_refusals(app, instrument):
    port = ("--osc-port", instrument.port)
    assert app("edit", *port, "/dmm/get/w") == (0, "/dmm/w/tone/frequency/one/out 440.0\n", "")
    assert app("edit", *port, "get", "tone.frequency") == (0, "/dmm/w/tone/frequency/one/out 440.0\n", "")
    assert app("edit", *port, "get", "lamp.input") == (1, "", "get: nothing matches.\n")
    assert app("edit", *port, "nonsense") == (1, "", "eval: no verb is called `nonsense`. Known: set.\n")
    status, _, err = app("edit", *port, "/dmm/undoo")
    assert status == 1 and "Did you mean `undo`?" in err


def test_edit_dash_evaluates_stdin_as_one_edit(instrument):
    fragment = "neurons:\n  hiss: noise~\nmatrix:\n  speakers.both: {hiss: 0.1}\n"
    run_app("edit", "--osc-port", instrument.port, "-", stdin=fragment)
    assert [command.args for request in instrument.told for command in request.commands] == [(fragment,)]


def test_edit_takes_lines_from_a_pipe(instrument):
    done = run_app("edit", "--osc-port", instrument.port, stdin="tone.frequency 3\n\nnonsense\n", check=False)
    assert [c.args for r in instrument.told for c in r.commands] == [("tone.frequency 3",), ("nonsense",)]
    assert done.returncode == 1 and "no verb is called" in done.stderr


def test_edit_without_an_instrument_says_how_to_start_one(app):
    with_nobody = OscServer(port=0)
    port = with_nobody.port
    with_nobody.close()
    status, out, err = app("edit", "--osc-port", port, "tone.frequency", "3")
    assert (status, out) == (1, "")
    assert is_one_sentence(err) and "Start `play` there" in err
    status, _, err = app("edit", "--osc-host", "no.such.host.invalid", "tone.frequency", "3")
    assert status == 1 and "no.such.host.invalid" in err and "Traceback" not in err


class Terminal:
    """A program at a terminal: what it shows, and keys pressed in it."""

    def __init__(self, *arguments):
        self.shown = ""
        self._process, self._screen = pty.fork()
        if not self._process:
            os.environ["TERM"] = "xterm"
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "app.py", *map(str, arguments)])

    def press(self, keys):
        os.write(self._screen, keys.encode())

    def until(self, holds, seconds=30.0):
        """Reads on until `holds(shown)`."""
        deadline = time.monotonic() + seconds
        while not holds(self.shown):
            assert time.monotonic() < deadline, self.shown
            if select.select([self._screen], [], [], 0.1)[0]:
                try:
                    text = os.read(self._screen, 65_536).decode(errors="replace")
                except OSError:  # it has ended
                    assert holds(self.shown), self.shown
                    return
                self.shown += text
                if "\x1b[6n" in text:
                    self.press("\x1b[1;1R")  # terminals say where the cursor is

    def status(self):
        """Its exit status, once it has ended."""
        killer = threading.Timer(20.0, os.kill, (self._process, 9))
        killer.start()
        status = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        killer.cancel()
        os.close(self._screen)
        return status


def test_the_prompt_completes_names_of_the_running_network_and_sends_lines(instrument):
    def evaluated():
        return [command.args[0] for request in instrument.told for command in request.commands]

    def asked(times):
        """Waits until it has asked for so many lines: what is typed before may get lost."""
        terminal.until(lambda shown: shown.count("\x1b[?2004h") == times)

    terminal = Terminal("edit", "--osc-port", instrument.port)
    asked(1)
    terminal.press("tone.fr\t")
    terminal.until(lambda shown: "equency" in shown)
    terminal.press(" 330\r")
    asked(2)
    assert evaluated() == ["tone.frequency 330"]
    terminal.press("nonsense\r")
    asked(3)
    terminal.until(lambda shown: "no verb is called" in shown)
    terminal.press("/dmm/w/to\t")
    terminal.until(lambda shown: "ne/frequency/one/out" in shown)
    terminal.press("\x03")
    asked(4)
    terminal.press("get tone.frequency\r")
    asked(5)
    terminal.until(lambda shown: "440.0" in shown)
    terminal.press("\x04")
    assert terminal.status() == 0
    assert "Traceback" not in terminal.shown


def test_the_prompt_does_not_begin_where_nobody_answers():
    nobody = OscServer(port=0)
    nobody.close()
    terminal = Terminal("edit", "--osc-port", nobody.port)
    assert terminal.until(lambda shown: "nothing answers" in shown) is None
    assert terminal.status() == 1

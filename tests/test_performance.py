"""Laws of the commands: files written and taken over whole, one undo for all hands, replies that say when."""

import os
import shutil

import pytest
from player import ROOT, Player
from running import lockstep, steps, submit

import dmm_av.commands.play as play
import dmm_av.io.osc as osc
import dmm_av.scheduler.performance as performance_module
from dmm_av.activations import pictures
from dmm_av.activations.library import names_declared_in, open_library
from dmm_av.commands.command_line import main
from dmm_av.errors import EditError, PatchError
from dmm_av.io.osc import OscClient, OscServer
from dmm_av.io.osc_addresses import Request
from dmm_av.network.activation import LIBRARY, Library
from dmm_av.network.edits import Group, Redo, Remove, Set, Undo
from dmm_av.network.notation import Command, edit_text, parse_line
from dmm_av.network.patch import LARGEST, parse_patch, read_patch

PATCH = """# a patch
neurons:
  a: {is: sine, frequency: 1}
  b: {is: product, a: 0.5}
"""
SETTLED = 6  # ticks after which an edit has long taken effect


class Replies(list):
    """What a reply was called with: (sentence, sample, remark)."""

    def __call__(self, sentence, sample=None, remark=None):
        self.append((sentence, sample, remark))


def opened(path, text=PATCH, library=None):
    """A `LockStep` of a patch that stands in a file."""
    path.write_text(text, encoding="utf-8")
    run = lockstep(text, library)
    run.performance.patch, run.performance.path = parse_patch(text, str(path), run.machine.library), str(path)
    return run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "show.yaml"


@pytest.fixture
def run(path):
    return opened(path)


def weight(run, to, port, source="one", output="out"):
    return run.machine.network.matrix.weight((to, port, source, output))


def said(run):
    return [notice.sentence for notice in run.machine.notices]


def edit(run, *edits, author="osc"):
    answers = submit(run, *edits, author=author)
    steps(run, SETTLED)
    assert answers == [None]


def evaluated(run, text, author="osc"):
    """What a line of notation was answered."""
    replies = Replies()
    run.performance.request(None, (Command("eval", (text,)),), reply=replies, author=author)
    steps(run, SETTLED)
    return replies


# --- saving -----------------------------------------------------------------------------------------


def test_save_writes_the_live_network_and_keeps_the_old_file(run, path):
    edit(run, Set("a.frequency", "one", 3.0))
    run.performance.command("save")
    assert "frequency: 3" in path.read_text() and path.read_text().startswith("# a patch")
    assert path.with_suffix(".yaml.bak").read_text() == PATCH
    assert sorted(os.listdir(path.parent)) == ["show.yaml", "show.yaml.bak"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_file_as_it_was(run, path, monkeypatch, failing):
    edit(run, Set("a.frequency", "one", 3.0))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(performance_module.os, failing, full)
    with pytest.raises(EditError, match="No space left"):
        run.performance.save()
    monkeypatch.undo()
    assert path.read_text() == PATCH
    assert not path.with_suffix(".yaml.part").exists()
    run.performance.save()
    assert "frequency: 3" in path.read_text()


def test_where_a_file_has_only_one_name_the_old_one_is_copied(run, path, monkeypatch):
    def refused(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(performance_module.os, "link", refused)
    edit(run, Set("a.frequency", "one", 3.0))
    run.performance.save()
    assert path.with_suffix(".yaml.bak").read_text() == PATCH


def test_a_link_to_a_patch_stays_a_link(run, path):
    link = path.with_name("link.yaml")
    link.symlink_to(path)
    run.performance.path = str(link)
    edit(run, Set("a.frequency", "one", 3.0))
    run.performance.save()
    assert link.is_symlink() and "frequency: 3" in path.read_text()


def test_save_under_another_name_writes_a_copy_and_goes_on_with_its_own_file(run, path):
    other = path.with_name("other.yaml")
    edit(run, Set("a.frequency", "one", 3.0))
    run.performance.command("save", (str(other),))
    assert "frequency: 3" in other.read_text() and path.read_text() == PATCH
    assert (run.performance.path, run.performance.patch.text) == (str(path), PATCH)
    assert f"a copy, `{path}` goes on" in said(run)[-1]
    path.write_text(PATCH.replace("a: 0.5", "a: 0.25"))
    run.performance.reload()
    steps(run, SETTLED)
    assert (weight(run, "a", "frequency"), weight(run, "b", "a")) == (3.0, 0.25)


def test_what_save_has_written_is_not_taken_for_an_edit(run):
    edit(run, Set("a.frequency", "one", 3.0))
    applied = len(run.machine.applied)
    run.performance.save()
    run.performance.reload()
    steps(run, SETTLED)
    assert len(run.machine.applied) == applied


def test_a_file_that_is_being_taken_over_is_not_written_over(run, path):
    changed = PATCH.replace("a: 0.5", "a: 0.25")
    path.write_text(changed)
    run.performance.reload()
    with pytest.raises(EditError, match="Save again"):
        run.performance.save()
    assert path.read_text() == changed
    steps(run, SETTLED)
    run.performance.save()
    assert path.read_text() == changed


# --- reloading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (PATCH.encode() + b"# gr\xfcn\n", "line 5: this is not UTF-8"),
        (b"#" * (LARGEST + 1), "larger than"),
        (b"neurons: {a: {is: sine, frequenzy: 1}}", "Did you mean `frequency`"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_patch_is_explained_and_changes_nothing(run, path, content, sentence):
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(PatchError, match=sentence):
        run.performance.reload()
    assert run.performance.patch.text == PATCH


def test_a_pipe_is_no_patch(tmp_path):
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with pytest.raises(PatchError, match="no regular file"):
        read_patch(pipe, open_library())


def test_a_file_counts_as_taken_over_only_when_its_edit_is(run, path):
    changed = PATCH.replace("frequency: 1", "frequency: 2")
    run.performance.reload(changed)
    assert run.performance.patch.text == PATCH
    steps(run, SETTLED)
    assert run.performance.patch.text == changed
    submit(run, Remove("b"))  # before the file's edit, which then cannot cut what is gone
    run.performance.reload(changed.replace("a: 0.5", "b: 0.5"))
    steps(run, SETTLED)
    assert run.performance.patch.text == changed
    assert any("`b" in sentence for sentence in said(run))
    run.performance.reload(changed.replace("a: 0.5", "b: 0.5"))
    steps(run, SETTLED)
    assert weight(run, "b", "b") == 0.5


def test_two_saves_in_a_row_are_both_taken_over(run):
    run.performance.reload(PATCH.replace("frequency: 1", "frequency: 2"))
    run.performance.reload(PATCH.replace("a: 0.5", "a: 0.25"))
    steps(run, SETTLED)
    assert (weight(run, "a", "frequency"), weight(run, "b", "a")) == (1.0, 0.25)
    assert run.performance.patch.text == PATCH.replace("a: 0.5", "a: 0.25")


def test_a_large_file_is_taken_over_whole(run):
    large = PATCH + "".join(f"  n{i}: {{is: product, a: {i + 1}, b: 0.5}}\n" for i in range(20))
    run.machine.network.budget = performance_module.replace(run.machine.network.budget, edits_per_tick=10)
    run.performance.reload(large)
    refused = submit(run, *[Set("a.frequency", "one", 1.0)] * 11)
    steps(run, SETTLED)
    assert weight(run, "n19", "a") == 20.0
    assert "more than the 10 edits" in refused[0]


@pytest.mark.parametrize(
    ("line", "said_keys"),
    [
        ("seed: 4", "`seed` takes"),
        ("limit: 8", "`limit` takes"),
        ("size: [64, 64]", "`size` takes"),
        ("rates: {frame: 30}\nseed: 4", "`rates`, `seed` take"),
        ("name: other", "`name` takes"),
    ],
)
def test_a_key_that_does_not_act_live_is_said(run, line, said_keys):
    run.performance.reload(f"{line}\n{PATCH}")
    assert said(run) == [f"{said_keys} effect at the next start; everything else is live."]
    run.performance.reload(f"{line}\n{PATCH}# more\n")
    assert len(said(run)) == 1


# --- undo -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("take_back", ["command", "eval"])
def test_who_sees_the_whole_takes_back_the_newest_step_of_any_hand(run, take_back):
    edit(run, Set("a.frequency", "one", 2.0), author="osc")
    run.performance.reload(PATCH.replace("a: 0.5", "a: 0.25"))
    steps(run, SETTLED)

    def travel(name):
        if take_back == "command":
            run.performance.command(name)
        else:
            run.performance.evaluate(name, "osc")
        steps(run, SETTLED)
        return weight(run, "a", "frequency"), weight(run, "b", "a")

    assert travel("undo") == (2.0, 0.5)
    assert travel("undo") == (1.0, 0.5)
    assert travel("redo") == (2.0, 0.5)
    assert travel("redo") == (2.0, 0.25)
    assert said(run) == []
    travel("redo")
    assert said(run) == ["redo: there is nothing to do again."]


def test_a_hand_takes_back_its_own_step_where_it_asks_so(run):
    edit(run, Set("a.frequency", "one", 2.0), author="osc")
    edit(run, Set("b.a", "one", 0.25), author="file")
    edit(run, Undo(), author="osc")
    assert (weight(run, "a", "frequency"), weight(run, "b", "a")) == (1.0, 0.25)
    edit(run, Redo(), author="osc")
    assert weight(run, "a", "frequency") == 2.0


@pytest.mark.parametrize("edit", [Undo(), Redo(), Undo(of_any_author=True), Redo(of_any_author=True)])
def test_whose_step_is_meant_is_kept_in_a_line(edit):
    assert parse_line(edit_text(edit)) == edit


# --- panic ------------------------------------------------------------------------------------------


def test_panic_reaches_sound_and_picture_whoever_asks(run):
    heard = []
    run.performance.on_panic = heard.append
    run.performance.request(None, (Command("panic"),))
    run.performance.command("panic")
    run.performance.request(None, (Command("panic", (True,)),))
    assert heard == [True, False, True]


# --- replies ----------------------------------------------------------------------------------------


def test_a_reply_says_the_sample_from_which_the_edit_is_heard(run):
    steps(run, 10)
    replies = Replies()
    run.performance.request(Group((Set("a.frequency", "one", 2.0),), "osc", None, replies))
    steps(run, SETTLED)
    assert replies == [(None, (10 + 2) * 200, None)]


def test_a_reply_says_that_the_edit_has_closed_a_loop(run):
    edit(run, Set("a.frequency", "b", 1.0))
    replies = Replies()
    run.performance.request(Group((Set("b.b", "a", 1.0),), "osc", None, replies))
    steps(run, SETTLED)
    (sentence, sample, remark) = replies[0]
    assert sentence is None and sample is not None and "loop through" in remark


def test_a_refusal_is_a_sentence_alone(run):
    ((sentence, sample, remark),) = evaluated(run, "nobody.a 3")
    assert "nobody" in sentence and (sample, remark) == (None, None)


def test_done_carries_the_sample_and_the_sentence(run):
    with OscServer("127.0.0.1", 0, lambda request: None) as server, OscClient("127.0.0.1", server.port) as client:

        def deliver(request):
            if request.group:
                request.group.reply(None, 2_400, None)
            if request.commands:
                request.reply(None, 2_600, "The loop through a, b has no delayed input.")

        server._deliver = deliver
        told = client.ask(("/dmm/undo", ()), ("/dmm/save", ()))
        assert (told.done, told.sample) == (True, 2_600)
        assert told.sentences == ("The loop through a, b has no delayed input.",)
        assert client.ask(("/dmm/undo", ())).sample == 2_400
        assert client.ask(("/dmm/ping", ())).sample is None


# --- notation ---------------------------------------------------------------------------------------


def test_at_delays_a_line_to_the_grid(run):
    assert evaluated(run, "at bar a.frequency 7") == []
    assert weight(run, "a", "frequency") == 1.0
    steps(run, 4 * 120 + SETTLED)  # four beats at 120 a minute
    assert weight(run, "a", "frequency") == 7.0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [("at noon a.frequency 7", "is no grid"), ("at bar panic", "is a command"), ("at bar", "at grid edit")],
)
def test_at_is_refused_where_there_is_nothing_to_delay(run, line, sentence):
    assert sentence in evaluated(run, line)[0][0]


def test_get_answers_with_weights_and_streams(run):
    ((sentence, _, told),) = evaluated(run, "get a.frequency")
    assert sentence is None and told == "a.frequency one.out 1"
    ((_, _, told),) = evaluated(run, "get b")
    assert "b.a one.out 0.5" in told and "b.out = " in told
    assert "nothing is called" in evaluated(run, "get nobody")[0][0]


# --- numbers held on `osc` ----------------------------------------------------------------------------


def test_held_numbers_are_forgotten_unless_something_is_wired_to_them(run):
    edit(run, Set("a.frequency", "osc.1/fader1", 1.0), Set("b.b", "osc.pad", 1.0))
    for labels in (("1", "fader1"), ("1", "fader2"), ("1",), ("pad", "x"), ("lone",)):
        run.machine.hold(labels, 0.5)
    steps(run, 2)
    paths = [("1", "fader1"), ("1", "fader2"), ("1",), ("pad", "x"), ("lone",)]
    assert run.performance.forget(paths) == [("1", "fader2"), ("lone",)]
    assert run.machine.outputs["osc"] == {"1": {"fader1": 0.5, ":number": 0.5}, "pad": {"x": 0.5}}


def test_idle_labels_make_room_for_new_ones(monkeypatch):
    monkeypatch.setattr(osc, "MOST_HELD", 3)
    monkeypatch.setattr(osc, "SILENCE_S", 0.0)
    wired, asked = {("fader1",)}, []

    def forget(labels):
        asked.append(list(labels))
        return [one for one in labels if one not in wired][:1]

    with (
        OscServer("127.0.0.1", 0, lambda request: None, forget=forget) as server,
        OscClient("127.0.0.1", server.port) as client,
    ):
        for number in (1, 2, 3, 4, 1, 5):
            assert client.ask((f"/fader{number}", (1,))).done
        assert asked == [[("fader1",), ("fader2",), ("fader3",)], [("fader3",), ("fader4",), ("fader1",)]]
        assert list(server._held) == [("fader4",), ("fader1",), ("fader5",)]


# --- libraries and shaders ----------------------------------------------------------------------------

UNITS = '''from dmm_av.network.activation import signal
from dmm_av.streams.units import Number


@signal()
def amp(input: Number = 0.0):
    """Amp."""
    return input
'''
SHADER = """/*
name: bar
about: grey.
inputs:
  light: {default: 0.5}
*/
vec4 bar(vec2 uv) { return vec4(light); }
"""


def test_a_register_knows_what_a_file_has_declared(tmp_path):
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text(UNITS)
    second.write_text(UNITS.replace("amp", "damp"))
    library = open_library([first, second])
    assert names_declared_in(first, library) == ["amp", "amp~"]
    assert names_declared_in(second, library) == ["damp", "damp~"]


def test_what_a_library_no_longer_declares_leaves_the_register(tmp_path):
    units, patch = tmp_path / "units.py", tmp_path / "show.yaml"
    units.write_text(UNITS)
    patch.write_text("neurons:\n  loud: {is: amp, input: 3}\n  soft: {is: product, a: loud, b: 1}\n")
    with Player(patch, "--headless", "--no-audio", "--size", "32x32", "--library", units) as player:
        units.write_text(UNITS.replace("amp", "lamp"))
        sentence = player.wait_for("not declared any more")
        assert "`amp`, `amp~`" in sentence and "`loud` keeps its weights and passes zero" in sentence
        assert "amp" in player.ask("/dmm/neuron/other", "amp").errors[0]
        assert player.ask("/dmm/neuron/other", "lamp").done
        assert player.weight("loud", "input", "one") == 3.0
        player.until(lambda: player.ask("/dmm/get/y/soft/out").replies[0][1][0] == 0.0, "zero")
        units.write_text(UNITS)
        player.until(lambda: player.ask("/dmm/get/y/soft/out").replies[0][1][0] == 3.0, "return")


def test_a_broken_shader_is_said_where_the_library_is_opened(tmp_path, monkeypatch, capsys):
    (tmp_path / "bar.glsl").write_text(SHADER.replace("about: grey.", ""))
    monkeypatch.setattr(pictures, "MISTAKES", pictures.read_folder(tmp_path, Library(LIBRARY)))
    patch = tmp_path / "show.yaml"
    patch.write_text(PATCH)
    assert main(["check", str(patch)]) == 0
    assert "bar.glsl, line 1: `about:` is missing" in capsys.readouterr().err


def test_a_shader_saved_for_the_first_time_can_be_played_at_once(tmp_path):
    for name in ("dmm_av", "shaders"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "patches").mkdir()
    patch = tmp_path / "show.yaml"
    patch.write_text(PATCH)
    shader = tmp_path / "shaders/activations/bar.glsl"
    with Player(patch, "--headless", "--no-audio", "--size", "32x32", root=tmp_path) as player:
        player.wait_for("drawn by")
        assert "bar" in player.ask("/dmm/neuron/grey", "bar").errors[0]
        shader.write_text(SHADER)
        player.wait_for("`bar` declares is taken over")
        assert player.ask("/dmm/neuron/grey", "bar").done
        assert player.ask("/dmm/w/screen/image/grey", 1.0).done
        assert player.weight("grey", "light", "one") == 0.5
        shader.write_text(SHADER.replace("light: {default: 0.5}", "light: {default: 0.5}\n  dark: {}"))
        player.until(lambda: player.ask("/dmm/w/grey/dark", 0.25).done, "new input")
        shader.write_text(SHADER.replace("about: grey.", ""))
        player.wait_for("bar.glsl, line 1: `about:` is missing")
        assert player.ask("/dmm/w/grey/dark", 0.5).done


# --- the window -----------------------------------------------------------------------------------------


class Window:
    """A stage client without a process: says what it is given, keeps what it is told."""

    restarts = 0

    def __init__(self):
        self.events, self.notices, self.panics = [], [], []
        self.notice, self.panic = self.notices.append, self.panics.append

    def poll(self):
        events, self.events = self.events, []
        return events


@pytest.fixture
def show(path):
    library = open_library()
    path.write_text(PATCH)
    return play._Show(read_patch(path, library), path, library, Window(), [], False, None, {})


def pass_on(show, *events):
    """What `play` does with events of the window, and a few ticks."""
    show.stage.events += events
    show._hear_stage()
    for _ in range(SETTLED):
        show.machine.tick()
        show.live.vm.run(1)
    show._hear_machine()


def test_keys_and_mouse_are_data_that_anything_can_be_wired_to(show):
    pass_on(show, ("mouse", 0.25, 0.75), ("key", "a", 1), ("key", "b", 1), ("key", "b", 0), ("button", "left", 1))
    pass_on(show, ("scroll", 0.0, 1.0), ("scroll", 0.0, -3.0))
    assert show.machine.outputs["osc"] == {
        "mouse": {"x": 0.25, "y": 0.75, "left": 1.0, "scroll": -2.0},
        "keys": {"a": 1.0, "b": 0.0},
    }
    show.machine.submit(Group((Set("a.frequency", "osc.mouse/x", 2.0),)))
    pass_on(show)
    assert show.machine.network.matrix.weight(("a", "frequency", "osc", "mouse", "x")) == 2.0
    assert show.machine.value("osc.mouse/x") == 0.25


def test_undo_in_the_window_takes_back_what_came_over_osc(show):
    show.machine.submit(Group((Set("a.frequency", "one", 3.0),), "osc"))
    pass_on(show)
    pass_on(show, ("action", "undo"))
    assert show.machine.network.matrix.weight(("a", "frequency", "one", "out")) == 1.0
    assert show.stage.notices == []
    pass_on(show, ("action", "undo"))
    assert show.stage.notices == ["undo: there is nothing left to take back."]


def test_errors_and_saves_are_shown_in_the_window(show, path):
    pass_on(show, ("error", "stage", "bar.glsl, line 3: no."))
    assert show.stage.notices == ["bar.glsl, line 3: no."]
    pass_on(show, ("action", "save"))
    assert show.stage.notices[1:] == [f"saved {path}"]


def test_panic_blacks_the_picture_whoever_asks(show):
    pass_on(show, ("action", "panic"))
    show._deliver(Request(None, (Command("panic", (False,)),)))
    assert show.stage.panics == [True, False]


def test_pictures_that_were_skipped_are_counted(show, capsys):
    pass_on(show, ("skipped", (3, 4)), ("skipped", (9,)), ("shown", 10, 0.0, 0.0))
    show._closing_line()
    assert "3 pictures skipped" in capsys.readouterr().err


def test_a_size_given_at_the_start_is_no_change_of_the_file(tmp_path):
    patch = tmp_path / "show.yaml"
    patch.write_text(PATCH)
    with Player(patch, "--headless", "--no-audio", "--size", "32x32", "--seed", "9") as player:
        patch.write_text(PATCH.replace("a: 0.5", "a: 0.25"))
        player.until(lambda: player.weight("b", "a", "one") == 0.25, "saved weight")
        patch.write_text(PATCH.replace("neurons", "size: [64, 64]\nneurons"))
        assert "`size` takes effect" in player.wait_for("next start")
        assert sum("next start" in line for line in player.lines) == 1
        done = player.ask("/dmm/w/a/frequency", 3.0)
        assert done.done and done.sample > 0 and done.sample % 200 == 0
        told = player.ask("/dmm/eval", "get a.frequency")
        assert told.sentences == ("a.frequency one.out 3",)
        assert player.ask("/dmm/eval", "undo").done
        assert player.weight("a", "frequency", "one") == 1.0

"""Activations of a player's own: used like built-in ones, explained when they are wrong, exchanged while they sound."""

import json

import numpy as np
import pytest
import soundfile
from player import Player
from running import lockstep, sound, steps

from dmm_av.activations.library import load_user_file, open_library
from dmm_av.commands.command_line import main
from dmm_av.errors import PatchError
from dmm_av.network.activation import LIBRARY, Library

UNITS = '''from dmm_av.network.activation import Setting, State, signal, tree
from dmm_av.streams.units import Bipolar, Hertz


def stride(frequency, rate):
    return frequency / rate


@signal(out=Bipolar)
def climb(clock, frequency: Hertz = 2.0, level: State = 0.0):
    """Climbs for ever.

    frequency   how much a second
    """
    following = level + stride(frequency, clock.rate)
    return level, following


@tree(inputs=("input",), settings=(Setting("label", "text", "kept"),))
def wrap_tree(input, settings):
    """Puts a tree under a label."""
    return {settings["label"]: input}
'''

PATCH = """
size: [32, 32]
neurons:
  up:   {is: climb, frequency: 24}
  ramp: {is: climb~, frequency: 30}
  held: {is: wrap_tree, input: self.matrix, label: inner}
matrix:
  speakers.both: {ramp: 0.2}
"""


@pytest.fixture
def units(tmp_path):
    path = tmp_path / "my_units.py"
    path.write_text(UNITS)
    return path


@pytest.fixture
def patch(tmp_path):
    path = tmp_path / "patch.yaml"
    path.write_text(PATCH)
    return path


@pytest.fixture
def app(capsys):
    """Runs a command in this process: (exit status, stdout, stderr)."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


# --- used like built-in ones ------------------------------------------------------------------------


def test_a_users_steps_and_trees_are_traced_like_built_in_ones(app, patch, units):
    watched = ("up", "ramp", "held/inner/up/frequency/one/out")
    status, out, err = app("trace", patch, "--library", units, "--ticks", "5", "--watch", *watched)
    lines = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [line["up"] for line in lines] == pytest.approx([0.0, 0.0, 0.1, 0.2, 0.3])
    assert [line["ramp"] for line in lines[1:]] == pytest.approx([30 * (200 * k - 1) / 48_000 for k in range(1, 5)])
    assert [line[watched[2]] for line in lines] == [0.0, 24.0, 24.0, 24.0, 24.0]


def test_a_users_step_is_heard_in_what_is_rendered(app, patch, units, tmp_path):
    assert app("render", patch, "--library", units, "-o", tmp_path / "a.wav", "--duration", "0.1")[0] == 0
    heard, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    run = lockstep(PATCH, open_library([units]))
    assert np.array_equal(heard, sound(run, 0.1)) and np.abs(heard).max() > 0.01
    notes = json.loads((tmp_path / "a.wav.json").read_text())
    assert list(notes["libraries"]) == [str(units)]


def test_without_the_file_its_activations_are_placeholders_that_are_named(app, patch):
    status, out, err = app("trace", patch, "--ticks", "2", "--watch", "up")
    assert status == 0 and json.loads(out.splitlines()[-1]) == {"tick": 1, "up": 0.0}
    assert "no activation is called `climb`" in err


def test_the_same_units_under_another_file_name_run_from_what_is_compiled_already(units, tmp_path):
    copy = tmp_path / "copied_units.py"
    copy.write_text(UNITS)
    values = []
    for path in (units, copy):
        run = lockstep(PATCH, open_library([path]))
        steps(run, 4)
        run.machine.refresh()
        values.append(run.machine.value("up"))
    assert values[0] == values[1] == pytest.approx(0.3)


def test_two_files_stand_side_by_side(units, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(UNITS.replace("climb", "crawl").replace("wrap_tree", "other_tree").replace("/ rate", "/ rate / 2"))
    text = PATCH.replace("neurons:", "neurons:\n  slow: {is: crawl, frequency: 24}")
    run = lockstep(text, open_library([units, other]))
    steps(run, 4)
    run.machine.refresh()
    assert run.machine.value("up") == pytest.approx(2 * run.machine.value("slow")) == pytest.approx(0.3)


def test_annotations_that_are_texts_are_understood(units):
    units.write_text("from __future__ import annotations\n\n" + UNITS)
    climb = open_library([units])["climb"]
    assert list(climb.inputs) == ["frequency"]
    assert climb.inputs["frequency"].unit.symbol == "Hz"


def test_a_built_in_name_may_be_replaced_and_only_there(units):
    units.write_text(UNITS.replace("def climb", "def sine"))
    library = open_library([units])
    text = "neurons:\n  up: {is: sine, frequency: 24}\n"
    mine, theirs = lockstep(text, library), lockstep(text)
    steps(mine, 61)
    steps(theirs, 61)
    for run in (mine, theirs):
        run.machine.refresh()
    assert mine.machine.value("up") == pytest.approx(6.0)
    assert abs(theirs.machine.value("up")) <= 1.0
    assert LIBRARY["sine"] is not library["sine"]


# --- explained --------------------------------------------------------------------------------------


def test_two_files_that_declare_one_name_are_named_with_their_lines(units, tmp_path):
    other = tmp_path / "other.py"
    other.write_text("\n" + UNITS.replace("wrap_tree", "other_tree"))
    with pytest.raises(PatchError) as told:
        open_library([units, other])
    assert str(told.value) == f"{other}, line 10: `climb` is declared in {units}, line 9, too. Rename one of them."


def test_another_name_that_is_taken_clashes_too(units, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(
        UNITS.replace("climb", "crawl")
        .replace("wrap_tree", "other_tree")
        .replace("@signal(out=Bipolar)", '@signal(out=Bipolar, also=["climb"])')
    )
    with pytest.raises(PatchError, match=r"other\.py, line \d+: `climb~?` is declared in .*my_units\.py, line 9, too"):
        open_library([units, other])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("return level, following", "return level, following)"), ", line 16: this is no Python: unmatched ')'."),
        (("import Setting", "import Seting"), ", line 1: ImportError: cannot import name 'Seting'"),
        (("from dmm_av.streams", "import nonesuch\nfrom dmm_av.streams"), ", line 2: ModuleNotFoundError: No module"),
        (("out=Bipolar", "out=Bipolarr"), ", line 9: NameError: name 'Bipolarr' is not defined"),
        (("def stride", "raise SystemExit(3)\n\ndef stride"), ", line 5: SystemExit: 3."),
        (("def stride", "open('none.txt')\n\ndef stride"), ", line 5: FileNotFoundError"),
        (("def stride", "int('x')\n\ndef stride"), ", line 5: ValueError"),
        (("level + stride", "levle + stride"), ", line 15: the step `climb` fails on its defaults: NameError"),
        (("return level, following", "return level"), "line 9: the step `climb` returns 1 numbers; 2 are declared"),
        (("following = level", "following = max([level, 0.0], key=abs)"), "the step `climb` cannot be compiled"),
    ],
    ids=lambda value: value[1].splitlines()[0] if isinstance(value, tuple) else "",
)
def test_a_broken_file_is_explained_with_file_and_line(app, patch, units, change, said):
    units.write_text(UNITS.replace(*change))
    status, out, err = app("trace", patch, "--library", units, "--watch", "up")
    assert (status, out) == (1, "")
    assert "my_units.py" in err.split(":")[0] and said in err
    assert len(err.splitlines()) == 1 and err.rstrip().endswith((".", "?"))


def test_files_that_are_no_python_are_explained(app, patch, tmp_path):
    (tmp_path / "binary.py").write_bytes(b"\0\1\2")
    (tmp_path / "latin.py").write_bytes(b"name = 'caf\xe9'\n")
    (tmp_path / "folder.py").mkdir()
    for name in ("binary.py", "latin.py", "folder.py", "missing.py"):
        status, _, err = app("check", patch, "--library", tmp_path / name)
        assert status == 1 and err.startswith(str(tmp_path / name)) and len(err.splitlines()) == 1


def test_a_broken_file_leaves_the_register_as_it_was(units):
    library = open_library([units])
    before = {name: library[name] for name in library.names()}
    units.write_text(UNITS.replace("def wrap_tree", "1 / 0\n\ndef wrap_tree"))
    with pytest.raises(PatchError):
        load_user_file(units, library)
    assert {name: library[name] for name in library.names()} == before


def test_a_file_may_declare_its_own_names_anew(units):
    library = open_library([units])
    units.write_text(UNITS.replace("Climbs for ever", "Climbs higher"))
    names = load_user_file(units, Library(library))
    assert names == ["climb", "climb~", "wrap_tree"]


def test_a_tree_that_fails_while_it_runs_is_muted_and_named(units):
    units.write_text(UNITS.replace('return {settings["label"]: input}', "return input['nothing']"))
    run = lockstep(PATCH, open_library([units]))
    steps(run, 6)
    (notice,) = [one for one in run.machine.notices if one.where == "held"]
    assert "`held` (wrap_tree) is muted: KeyError: 'nothing'" in notice.sentence
    run.machine.refresh()
    assert run.machine.value("up") == pytest.approx(0.5)


# --- exchanged while it sounds ----------------------------------------------------------------------


@pytest.mark.xdist_group("live")
def test_a_saved_library_is_heard_at_once_and_a_broken_one_is_explained_while_the_old_one_plays_on(patch, units):
    def value(*labels):
        replies = player.ask("/".join(("/dmm/get/y", *labels))).replies
        return replies[0][1][0] if replies else None

    steady = UNITS.replace("    following = level", "    level = HEIGHT\n    following = level")
    units.write_text(steady.replace("HEIGHT", "0.25"))
    arguments = ("--library", units, "--headless", "--no-audio", "--size", "64x64")
    with Player(patch, *arguments) as player:
        player.until(lambda: value("up") == 0.25, "first step")

        units.write_text(steady.replace("HEIGHT", "0.75"))
        player.until(lambda: value("up") == 0.75, "changed step")

        units.write_text(steady.replace("HEIGHT", "heigth"))
        said = player.wait_for("the step `climb` fails on its defaults: NameError")
        assert "my_units.py, line 15" in said
        units.write_text(steady.replace("HEIGHT", "(0.9"))
        assert ", line " in player.wait_for("this is no Python")
        tick = player.status()[0]
        player.until(lambda: player.status()[0] > tick + 48, "ticks that go on")
        assert value("up") == 0.75

        units.write_text(steady.replace("HEIGHT", "0.5").replace('settings["label"]: input', '"other": input'))
        player.until(lambda: value("up") == 0.5, "mended step")
        leaf = ("up", "frequency", "one", "out")
        player.until(lambda: player.ask("/".join(("/dmm/get/y/held/out/other", *leaf))).done, "changed tree")
        assert not player.ask("/".join(("/dmm/get/y/held/out/inner", *leaf))).done
        assert player.ask("/dmm/neuron/another", "climb").done
        player.until(lambda: value("another") == 0.5, "new neuron of it")

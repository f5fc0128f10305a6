"""Rendering: what a file holds, that it is the same every time, and that a broken run leaves nothing behind."""

import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from player import ROOT, run_app

from dmm_av.commands.command_line import main
from dmm_av.io.video import read_picture, read_sound, read_video

TONE = """
# a remark
name: tone
size: [64, 36]
seed: 3
neurons:
  tone:   {is: sine~, frequency: 440}
  hiss:   noise~
  clouds: {is: noise.image, scale: 3, speed: 0.5}
matrix:
  speakers.both: {tone: 0.2, hiss: 0.1}
  screen.image: clouds
"""


@pytest.fixture
def render(tmp_path, monkeypatch, capsys):
    """Renders a patch text in this process: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(text, *arguments, events=()):
        (tmp_path / "patch.yaml").write_text(text)
        (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        command = ["render", "patch.yaml", *map(str, arguments), *(["--events", "events.jsonl"] if events else [])]
        monkeypatch.setattr(sys, "argv", ["app.py", *command])
        status = main(command)
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


@pytest.fixture
def film(render, tmp_path):
    """Renders without loss: (pictures uint8 (n, height, width, 3), sound float32 (samples, 2))."""

    def run(text, *arguments, **events):
        status, _, err = render(text, "-o", "film.mkv", "--quality", "lossless", "-y", *arguments, **events)
        assert status == 0, err
        pictures = np.array([picture[..., :3] for _, picture in read_video(tmp_path / "film.mkv")])
        return pictures, read_sound(tmp_path / "film.mkv")[1]

    return run


def left_behind(folder):
    """Files in a folder that the test did not put there, hidden ones too."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("patch.yaml", "events.jsonl"))


# --- the same every time ----------------------------------------------------------------------------


def test_a_patch_rendered_twice_is_byte_for_byte_the_same_sound_and_pictures(render, tmp_path):
    for name in ("one", "two"):
        assert render(TONE, "-o", f"{name}/p%03d.png", "--duration", "0.2")[0] == 0
        assert render(TONE, "-o", f"{name}/s.wav", "--duration", "0.2")[0] == 0
    run_app("render", tmp_path / "patch.yaml", "-o", tmp_path / "three/p%03d.png", "--duration", "0.2")
    names = [f"p{number:03d}.png" for number in range(12)] + ["p.wav"]
    one, two, three = ([(tmp_path / once / name).read_bytes() for name in names] for once in ("one", "two", "three"))
    assert one == two == three
    assert (tmp_path / "one/s.wav").read_bytes() == (tmp_path / "two/s.wav").read_bytes() == one[-1]
    assert len(set(one)) == len(names)  # the clouds move


def test_another_seed_is_another_piece_and_the_same_seed_the_same(film):
    pictures, sound = film(TONE, "--duration", "0.1")
    same_pictures, same_sound = film(TONE, "--duration", "0.1", "--seed", "3")
    other_pictures, other_sound = film(TONE, "--duration", "0.1", "--seed", "4")
    assert np.array_equal(pictures, same_pictures) and np.array_equal(sound, same_sound)
    assert not np.array_equal(pictures, other_pictures) and not np.array_equal(sound, other_sound)


# --- containers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["mp4", "mkv", "mov", "webm"])
def test_a_film_holds_pictures_and_sound_of_the_asked_size_rate_and_length(render, tmp_path, extension):
    path = tmp_path / f"film.{extension}"
    status, out, _ = render(TONE, "-o", path.name, "--duration", "0.5", "--size", "96x64", "--fps", "30")
    frames = list(read_video(path))
    rate, sound = read_sound(path)
    assert status == 0
    assert out == f"film.{extension}: 0.5 s, 15 pictures of 96x64\n"
    assert [seconds for seconds, _ in frames] == pytest.approx([n / 30 for n in range(15)], abs=0.001)
    assert {picture.shape for _, picture in frames} == {(64, 96, 4)}
    assert len(sound) == pytest.approx(0.5 * rate, abs=0.001 * rate)
    assert 0.1 < np.abs(sound[rate // 10 : rate // 2]).max() < 0.5


def test_pictures_are_numbered_from_0_with_their_sound_beside(render, tmp_path):
    assert render(TONE, "-o", "out/shot_%05d.png", "--duration", "0.1", "--size", "33x21")[0] == 0
    assert left_behind(tmp_path / "out") == ["shot.png.json", "shot.wav", *(f"shot_{n:05d}.png" for n in range(6))]
    assert read_picture(tmp_path / "out/shot_00005.png").shape == (21, 33, 4)
    assert soundfile.info(tmp_path / "out/shot.wav").frames == 4_800


def test_a_sound_file_is_what_the_film_sounds(render, film, tmp_path):
    _, heard = film(TONE, "--duration", "0.3")
    assert render(TONE, "-o", "sound.wav", "--duration", "0.3")[0] == 0
    sound, rate = soundfile.read(tmp_path / "sound.wav", dtype="float32")
    assert rate == 48_000
    assert np.array_equal(sound, heard)


def test_picture_and_sound_of_one_moment_stand_at_the_same_time_in_the_file(render, tmp_path):
    text = """
size: [64, 36]
neurons:
  beep:  {is: sine~, frequency: 1000}
  white: {is: solid, red: 1, green: 1, blue: 1}
matrix:
  speakers.both: {beep: 0}
  screen.image: {white: 0}
"""
    flash = [["/dmm/w/speakers/both/beep", 0.5, 0.0], ["/dmm/w/screen/image/white", 1.0]]
    assert render(text, "-o", "film.mp4", "--duration", "1", events=[{"tick": 118, "messages": flash}])[0] == 0
    seen = next(seconds for seconds, picture in read_video(tmp_path / "film.mp4") if picture.mean() > 128)
    rate, sound = read_sound(tmp_path / "film.mp4")
    heard = np.flatnonzero(np.abs(sound[:, 0]) > 0.05)[0] / rate
    assert seen == pytest.approx(0.5, abs=1e-3)  # queued at tick 118, effective from sample 120 · 200
    assert heard == pytest.approx(0.5, abs=0.01)


# --- sizes and rates --------------------------------------------------------------------------------


def test_the_size_is_the_patchs_or_the_asked_one_whatever_screens_there_are(render, tmp_path):
    for asked, shape in (((), (36, 64, 4)), (("--size", "30x50"), (50, 30, 4)), (("--size", "1080p"), (1080, 1920, 4))):
        assert render(TONE, "-o", "film.mp4", "--duration", "0.01", "-y", *asked)[0] == 0
        assert next(read_video(tmp_path / "film.mp4"))[1].shape == shape


def test_a_picture_looks_the_same_at_another_size(film):
    text = "size: [64, 64]\nneurons: {waves: {is: stripes, frequency: 2, speed: 0.3}}\nmatrix: {screen.image: waves}\n"
    small, _ = film(text, "--duration", "0.1")
    large, _ = film(text, "--duration", "0.1", "--size", "192x192")
    middle = large[:, 1::3, 1::3]
    assert np.abs(middle.astype(int) - small).max() <= 2


@pytest.mark.parametrize("fps", ["24", "30000/1001", "120", "50"])
def test_another_frame_rate_repeats_or_drops_pictures_and_changes_nothing_else(film, fps):
    trail = "  trail: {is: accum.image, accum: {trail: 0.9}, delta: {clouds: 0.2}}\nmatrix:"
    text = TONE.replace("matrix:", trail).replace("screen.image: clouds", "screen.image: trail")
    every, sound = film(text, "--duration", "0.5")
    some, same_sound = film(text, "--duration", "0.5", "--fps", fps)
    top, _, bottom = fps.partition("/")
    rate = int(top) / int(bottom or 1)
    assert len(every) == 30
    assert len(some) == int(np.ceil(0.5 * rate - 1e-9))
    for number, picture in enumerate(some):
        assert np.array_equal(picture, every[int(number / rate * 60 + 1e-9)])
    assert np.array_equal(sound, same_sound[: len(sound)])


def test_a_duration_in_beats_follows_the_tempo_of_the_patch(render):
    text = TONE + "  transport.tempo: 240\n"
    assert render(text, "-o", "a.wav", "--duration", "2beats")[1] == "a.wav: 0.5 s\n"
    status, _, err = render(text.replace("240", "0"), "-o", "b.wav", "--duration", "2beats")
    assert status == 1 and "there are no beats. Write seconds." in err


# --- events -----------------------------------------------------------------------------------------


def test_structural_edits_from_a_file_take_effect_at_their_tick(film):
    plain_pictures, plain_sound = film(TONE, "--duration", "0.3")
    pictures, sound = film(
        TONE,
        "--duration",
        "0.3",
        events=[
            {"tick": 22, "address": "/dmm/insert/soft", "args": ["lowpass~", "speakers.both", "hiss"]},
            {"tick": 22, "address": "/dmm/eval", "args": ["insert dark invert on screen.image clouds"]},
            {"tick": 46, "address": "/dmm/remove/dark"},
        ],
    )
    same = [np.array_equal(one, other) for one, other in zip(pictures, plain_pictures, strict=True)]
    assert same[:6] == [True] * 6 and not any(same[6:12])
    assert np.abs(pictures[6:12].astype(int) + plain_pictures[6:12] - 255).max() <= 1  # inverted
    assert pictures[13:].max() == 0  # nothing is wired to the screen any more
    first_other = np.flatnonzero(np.any(sound != plain_sound, axis=1))[0]
    assert 24 * 200 <= first_other < 25 * 200


def test_a_refused_edit_is_told_and_the_file_is_whole_but_the_status_is_not_0(render, tmp_path):
    status, out, err = render(
        TONE, "-o", "a.wav", "--duration", "0.1", events=[{"tick": 3, "address": "/dmm/w/tone/freqency", "args": [3]}]
    )
    assert status == 1
    assert "no input of `tone` (sine~) is called `freqency`. Did you mean `frequency`?" in err
    assert out == "a.wav: 0.1 s; 1 mistake, see above\n"
    assert soundfile.info(tmp_path / "a.wav").frames == 4_800
    assert "Did you mean" in json.loads((tmp_path / "a.wav.json").read_text())["messages"][0]


# --- loops ------------------------------------------------------------------------------------------

DOT = """
size: [64, 16]
neurons:
  dot:  {is: shape, sides: 0, radius: 0.12, softness: 0.001, x: -0.4}
  move: {is: scroll, picture: LAST, x: 0.015625}
"""
LOOPS = {
    1: DOT.replace("LAST", "{move: 1, dot: 1}") + "matrix:\n  screen.image: move\n",
    2: DOT.replace("LAST", "trail")
    + "  trail: {is: accum.image, accum: move, delta: dot}\nmatrix:\n  screen.image: trail\n",
    5: DOT.replace("LAST", "trail")
    + """  a: {is: invert, picture: move}
  b: {is: invert, picture: a}
  c: {is: brightness, picture: b, amount: 0}
  trail: {is: accum.image, accum: c, delta: dot}
matrix:
  screen.image: trail
""",
}


@pytest.mark.parametrize("pictures_in_the_loop", LOOPS)
def test_a_dot_through_a_picture_loop_moves_one_step_every_frame(film, pictures_in_the_loop):
    """A delayed input opens the longer loops; alone with itself, a picture is one hop, and that costs one frame."""
    is_open = pictures_in_the_loop > 1
    entry = "trail.delta" if is_open else "move.picture"
    shown, _ = film(
        LOOPS[pictures_in_the_loop],
        "--duration",
        "0.3",
        events=[{"tick": 6 if is_open else 2, "address": "/dmm/eval", "args": [f"cut {entry} dot"]}],
    )
    light = shown[int(is_open) :, ..., 1].astype(float)
    assert np.all(light.sum((1, 2)) == light[0].sum()) and light[0].sum() > 0
    columns = (light.sum(1) * np.arange(64)).sum(1) / light.sum((1, 2))
    assert np.diff(columns) == pytest.approx(np.ones(len(columns) - 1), abs=1e-9)


# --- sound that listens to pictures -----------------------------------------------------------------


def test_a_sound_file_of_sound_that_listens_to_pictures_is_that_of_the_film(render, film, tmp_path):
    text = """
size: [32, 32]
neurons:
  sweep: {is: stripes, frequency: 1, speed: 4}
  eye:   {is: level.image, picture: sweep}
  tone:  {is: sine~, frequency: {one: 300, eye.left: 300}}
matrix:
  speakers.both: {tone: 0.2}
"""
    _, heard = film(text, "--duration", "0.3")
    assert render(text, "-o", "sound.wav", "--duration", "0.3")[0] == 0
    sound, _ = soundfile.read(tmp_path / "sound.wav", dtype="float32")
    assert np.array_equal(sound, heard)
    _, deaf = film(text.replace("eye.left: 300", "eye.left: 0"), "--duration", "0.3")
    assert not np.array_equal(sound, deaf)


# --- what is said and left --------------------------------------------------------------------------


def test_the_notes_beside_the_file_say_what_was_rendered_from_what(render, tmp_path):
    events = [{"tick": 3, "address": "/dmm/w/tone/frequency", "args": [330]}]
    assert render(TONE, "-o", "a.mp4", "--duration", "0.1", "--seed", "9", "--fps", "30", events=events)[0] == 0
    notes = json.loads((tmp_path / "a.mp4.json").read_text())
    assert notes["patch_sha256"] == hashlib.sha256((tmp_path / "patch.yaml").read_bytes()).hexdigest()
    assert notes["events_sha256"] == hashlib.sha256((tmp_path / "events.jsonl").read_bytes()).hexdigest()
    assert (notes["seed"], notes["size"], notes["fps"], notes["frames"]) == (9, [64, 36], "30", 3)
    assert notes["rates"] == {"sample": 48_000, "tick": 240, "frame": 60, "hops": "settled"}
    assert notes["renderer"] and notes["processor"] and notes["messages"] == []
    assert {"dmm-av", "python", "numpy", "numba", "moderngl", "av"} <= set(notes["versions"])
    assert notes["command"][:2] == ["render", "patch.yaml"]


def test_progress_goes_to_stderr_and_the_result_to_stdout(tmp_path):
    (tmp_path / "patch.yaml").write_text(TONE)
    done = run_app("render", tmp_path / "patch.yaml", "-o", tmp_path / "a.wav", "--duration", "0.5")
    assert done.stdout == f"{tmp_path / 'a.wav'}: 0.5 s\n"
    assert re.search(r"rendering .*100 %.*ETA \d+:\d\d:\d\d\n$", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "a.xyz"], "a.xyz: nothing is written into `.xyz` files. Known: .mkv, .mov, .mp4, .png, .wav, .webm."),
        (["-o", "film"], "film: the name has no extension."),
        (["-o", "a.png"], "Use a name such as `a%05d.png`."),
        (["-o", "a.mp4", "--size", "33x21"], "33x21 is an odd size, which this codec cannot store. Use 32x20"),
        (["-o", "a.mp4", "--codec", "vp9"], "a .mp4 file cannot hold `vp9`."),
        (["-o", "a.mp4", "--codec", "h26"], "Did you mean `h26"),
        (["-o", "a.mp4", "--quality", "best"], "no quality is called `best`"),
        (["-o", "a.mp4", "--fps", "0"], "--fps: `0` is no frame rate."),
        (["-o", "a.mp4", "--events", "none.jsonl"], "none.jsonl: "),
        (["-o", "a.mp4", "--library", "none.py"], "none.py: the library cannot be read"),
        (["-o", "patch.yaml/a.mp4"], "cannot be written"),
    ],
)
def test_what_cannot_be_rendered_is_a_sentence_and_no_file(render, tmp_path, arguments, said):
    status, out, err = render(TONE, "--duration", "0.1", *arguments)
    assert (status, out) == (1, "")
    assert said in err and len(err.splitlines()) == 1
    assert left_behind(tmp_path) == []


def test_a_file_that_exists_is_not_written_over_unasked(render, tmp_path):
    (tmp_path / "a.wav").write_text("mine")
    status, _, err = render(TONE, "-o", "a.wav", "--duration", "0.1")
    assert status == 1 and "this file exists" in err and "-y" in err
    assert (tmp_path / "a.wav").read_text() == "mine"
    assert render(TONE, "-o", "a.wav", "--duration", "0.1", "-y")[0] == 0
    assert soundfile.info(tmp_path / "a.wav").frames == 4_800


def test_sound_needs_no_graphics_and_pictures_say_what_they_need(tmp_path):
    (tmp_path / "patch.yaml").write_text(TONE)
    environment = {**os.environ, "__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent"}
    environment.pop("DISPLAY", None)
    arguments = ("render", tmp_path / "patch.yaml", "--duration", "0.1", "-o")
    assert run_app(*arguments, tmp_path / "a.wav", environment=environment).returncode == 0
    done = run_app(*arguments, tmp_path / "a.mp4", environment=environment, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "libegl1" in done.stderr and "`-o a.wav`" in done.stderr
    assert left_behind(tmp_path) == ["a.wav", "a.wav.json"]


@pytest.mark.parametrize("name", ["a.mp4", "a.wav", "a%05d.png"])
def test_a_disk_that_is_full_leaves_no_half_file(tmp_path, name):
    (tmp_path / "patch.yaml").write_text(TONE)
    done = subprocess.run(
        [sys.executable, "app.py", "render", tmp_path / "patch.yaml", "-o", tmp_path / name, "--duration", "4"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "cannot be written (File too large)" in done.stderr
    assert [one for one in left_behind(tmp_path) if not re.fullmatch(r"a\d+\.png", one)] == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_a_render_that_is_interrupted_leaves_no_half_file(tmp_path, stop):
    (tmp_path / "patch.yaml").write_text(TONE)
    process = subprocess.Popen(
        [sys.executable, "app.py", "render", tmp_path / "patch.yaml", "-o", tmp_path / "a.mp4", "--duration", "9999"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        unfinished = tmp_path / ".a.mp4.part"
        while not unfinished.exists() or not unfinished.stat().st_size:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        process.send_signal(stop)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err and err.rstrip().endswith("stopped")
    assert left_behind(tmp_path) == []

"""The real program, played: a sound server, a window, an OSC client, saved files, killed processes."""

import os
import random
import signal
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from player import Player, run_app
from sound_server import SoundServer
from virtual_display import VirtualDisplay

pytestmark = pytest.mark.xdist_group("live")

TONE = """
neurons:
  tone: {is: sine~, frequency: 440}
  waves: {is: stripes, frequency: 4, speed: 0}
matrix:
  speakers.both: {tone: 0.3}
  screen.image: waves
"""

EYE = """  lamp: {is: solid, red: {transport.time: 0.01}}
  eye: {is: level.image, picture: lamp}
"""


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "tone.yaml"
    path.write_text(TONE)
    return path


def frequency_of(sound):
    """Hz of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(sound[:, 0] * np.hanning(len(sound))))
    return np.argmax(spectrum) * 48_000 / len(sound)


def test_what_is_heard_live_is_what_is_rendered_sample_for_sample(tmp_path):
    events = tmp_path / "events.jsonl"
    events.write_text(
        '{"tick": 200, "address": "/dmm/w/body/frequency/one", "args": [70, 0.2]}\n'
        '{"tick": 400, "address": "/dmm/insert/soft", "args": ["lowpass~", "speakers.left", "snare"]}\n'
        '{"tick": 600, "address": "/dmm/w/transport/tempo", "args": [150]}\n'
    )
    arguments = ("patches/drum_machine.yaml", "--events", events, "--size", "160x90")
    run_app("render", *arguments, "-o", tmp_path / "offline.wav", "--duration", "5")
    offline, _ = soundfile.read(tmp_path / "offline.wav", dtype="float32")
    offline = offline[np.flatnonzero(np.abs(offline).max(1))[0] :]
    frames = int(3.5 * 48_000)
    for _ in range(3):  # a computer that is too busy for an edit in time says so; then it is played once more
        with SoundServer() as server, server.record() as recording:
            options = ("--headless", "--osc-port", "0", "--duration", "4")
            played = run_app("play", *arguments, *options, environment=server.environment)
            recording.wait_for(0.2)
            live = recording.frames()
        live = live[np.flatnonzero(np.abs(live).max(1))[0] :]
        if " 0 late ticks" in played.stderr and " 0 drop-outs" in played.stderr:
            break
    assert len(live) >= frames
    assert np.array_equal(live[:frames], offline[:frames])


def test_an_edit_over_osc_is_heard_in_the_recording_and_seen_in_the_window(tone, tmp_path):
    with VirtualDisplay() as display, SoundServer() as server, server.record() as recording:
        environment = {**server.environment, "DISPLAY": display.name}
        with Player(tone, "--size", "320x180", environment=environment) as player:
            player.until(lambda: player.status()[1] > 5, "frames", 30)
            recording.wait_for(0.5)
            before = display.picture()
            assert player.ask("/dmm/w/tone/frequency/one", 660.0).done
            assert player.ask("/dmm/w/waves/frequency/one", 9.0).done
            recording.wait_for(1.0)
            sound, after = recording.frames(), display.picture()
    assert frequency_of(sound[-24_000:-1_000]) == pytest.approx(660, abs=3)
    assert np.abs(after.astype(int) - before.astype(int)).mean() > 1.0


def test_a_saved_patch_is_taken_over_and_a_broken_one_is_explained(tone):
    with Player(tone, "--headless", "--no-audio", "--size", "64x64") as player:
        tone.write_text(TONE.replace("frequency: 440", "frequency: 550"))
        player.until(lambda: player.weight("tone", "frequency", "one") == 550, "saved weight")
        tone.write_text(TONE.replace("sine~", "sine~, freqency: 3"))
        said = player.wait_for("freqency")
        assert "line 3" in said and "Did you mean `frequency`?" in said
        assert player.weight("tone", "frequency", "one") == 550
        assert player.ask("/dmm/w/tone/frequency/one", 333.0).done
        assert player.ask("/dmm/save").done
        assert "333" in tone.read_text()
        assert tone.with_suffix(".yaml.bak").exists()
        assert player.ask("/dmm/undo").done
        player.until(lambda: player.weight("tone", "frequency", "one") == 550, "undone weight")


def test_malformed_and_random_packets_change_nothing(tone):
    noise = random.Random(5)
    with Player(tone, "--headless", "--no-audio", "--size", "64x64") as player:
        before = player.weights()
        target = ("127.0.0.1", player.port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hostile:
            for number in range(10_000):
                kind = number % 4
                packet = noise.randbytes(noise.randrange(0, 200))
                if kind == 1:
                    packet = b"/dmm/w/tone/frequency\0\0\0,s\0\0" + packet
                elif kind == 2:
                    packet = b"#bundle\0" + packet
                elif kind == 3:
                    packet = b"/dmm/nothing/there\0\0,f\0\0" + packet[:4].ljust(4, b"\0")
                hostile.sendto(packet, target)
                if number % 200 == 0:
                    time.sleep(0.005)
        refused = player.ask("/dmm/w/tone/frequenzy/one", 3.0)
        assert "Did you mean `frequency`?" in refused.errors[0]
        assert player.weights() == before
        assert player.ask("/dmm/w/tone/frequency/one", 441.0).done


def brightness(player):
    """How bright the picture was that was read back last; it grows with time."""
    return player.ask("/dmm/get/y/eye").replies[0][1][0]


def test_sound_goes_on_when_the_stage_is_killed_and_the_picture_returns(tone):
    tone.write_text(TONE.replace("matrix:", EYE + "matrix:"))
    with (
        SoundServer() as server,
        server.record() as recording,
        Player(tone, "--headless", "--size", "160x90", environment=server.environment) as player,
    ):
        player.until(lambda: player.status()[1] > 5, "frames", 30)
        stage = _child_of(player.process.pid)
        player.until(lambda: brightness(player) > 0.0, "picture that is read back")
        os.kill(stage, signal.SIGKILL)
        killed = time.monotonic()
        player.wait_for("started again", 10)
        last = brightness(player)  # held from the stage that is gone
        player.until(lambda: brightness(player) > last, "picture of the new stage")
        returned = time.monotonic() - killed
        assert _child_of(player.process.pid) != stage
        recording.wait_for(0.5)
        assert player.status()[3] == 0
        sound = recording.frames()
    heard = np.abs(sound[np.flatnonzero(np.abs(sound[:, 0]) > 0.1)[0] :][4_800:-4_800, 0])
    assert heard.reshape(-1)[: len(heard) // 480 * 480].reshape(-1, 480).max(1).min() > 0.25
    assert returned < 6.0  # 2 s on a computer that does nothing else


def _child_of(pid):
    """The process number of the stage, a child of `play`."""
    found = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    return next((int(children[0]) for children in found if children), None)


def test_play_without_a_display_says_so_and_goes_on(tone):
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = run_app("play", tone, "--duration", "1.5", "--osc-port", "0", "--size", "64x64", environment=environment)
    assert "there is no display" in done.stderr
    assert "played: 1" in done.stderr

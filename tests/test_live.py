"""Laws of a live performance: what nothing may delay, what waits for what, how it ends. Counted, where it can be."""

import contextlib
import ctypes
import os
import pty
import random
import re
import select
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from player import ROOT, Player
from running import lockstep, sound, steps, submit
from sound_server import SoundServer

import dmm_av.scheduler.live as live_module
import dmm_av.scheduler.machine as machine_module
import dmm_av.scheduler.rehearsal as rehearsal_module
from dmm_av.activations.library import load_user_file, open_library
from dmm_av.engine.ring import Ring
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.io.audio_device import VirtualClock
from dmm_av.io.osc import OscClient
from dmm_av.network.edits import Cut, Group, New, Set
from dmm_av.network.patch import parse_patch
from dmm_av.scheduler.live import Live, ring_frames

pytestmark = pytest.mark.xdist_group("live")

TONE = """
neurons:
  tone: {is: sine~, frequency: 440}
  waves: {is: stripes, frequency: 4, speed: 0.1}
matrix:
  speakers.both: {tone: 0.3}
  screen.image: waves
"""


class Listed:
    """A stage client that only remembers: [("drawing", version) or ("frame", version, values)]."""

    def __init__(self):
        self.heard = []

    def send_drawing(self, drawing):
        self.heard.append(("drawing", drawing.version))

    def send_frame(self, values, version=None):
        self.heard.append(("frame", version, values))

    def drawings(self):
        return [message[1] for message in self.heard if message[0] == "drawing"]

    def newest_frame(self):
        frames = [message for message in self.heard if message[0] == "frame"]
        return frames[-1] if frames else (None, None, None)


@contextlib.contextmanager
def playing(text, library=None, stage=None, events=()):
    """A `Live` of a patch given as text, on a clock instead of a device."""
    library = library or open_library()
    patch = parse_patch(text, "live.yaml", library)
    ring = Ring(ring_frames(patch.rates.sample, patch.rates.tick))
    vm = SignalVM(patch.rates.sample, patch.rates.tick)
    live = Live(patch, library, vm, VirtualClock(ring, patch.rates.sample), stage, events)
    interval = sys.getswitchinterval()
    live.start()
    try:
        yield live
    finally:
        live.stop()
        sys.setswitchinterval(interval)


def until(question, seconds=30.0):
    """The first true answer of `question()`."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.002)
    return answer


def ask(live, *edits, author="osc"):
    """Queues edits; (tick that came next, list for the tick of effect)."""
    effective = []
    group = Group(edits, author, None, lambda sentence: effective.append(sentence or live.machine.k))
    begun = live.machine.between_ticks(lambda: (live.machine.k, live.machine.submit(group))[0])
    return begun, effective


# --- Sound waits for nobody -------------------------------------------------------------------------------


def test_a_thread_that_keeps_the_interpreter_for_longer_than_the_ring_lasts_costs_no_sound(monkeypatch):
    monkeypatch.setattr(live_module, "AHEAD_S", 0.075)  # what an overloaded computer may let a thread wait
    held_s, over = 0.15, threading.Event()

    def hog():
        library = ctypes.PyDLL(None)  # keeps the lock, unlike CDLL
        while not over.is_set():
            library.usleep(int(held_s * 1e6))
            time.sleep(0.002)

    with playing(TONE) as live:
        until(lambda: live.machine.k > 20)
        thread = threading.Thread(target=hog)
        begun = live.vm.tick
        thread.start()
        until(lambda: live.vm.tick - begun >= 5 * 240)
        over.set()
        thread.join()
        assert live.count_late_ticks() > 240  # the ticks did have to wait …
        assert live.output.underruns == 0  # … and the sound did not


@pytest.mark.parametrize("tick", [1, 20, 60, 8_000])
def test_every_rate_of_ticks_can_be_played(tick):
    with playing(f"rates: {{tick: {tick}, frame: 1}}\n{TONE}") as live:
        until(lambda: live.output.ring.read > 4_096)
        assert live.output.ring.size >= 3 * live.vm.block


def test_an_edit_queued_before_tick_k_is_effective_in_tick_k_plus_2_while_pictures_are_drawn():
    chance = random.Random(1)
    with playing(TONE, stage=Listed()) as live:
        until(lambda: live.stage.newest_frame()[1] is not None)
        distances = []
        for _ in range(100):
            begun, effective = ask(live, Set("tone.frequency", "one", chance.uniform(200, 400)))
            until(lambda answered=effective: answered)
            distances.append(effective[0] - begun)
            time.sleep(chance.uniform(0.0, 0.01))
        assert distances == [2] * 100


def test_a_new_activation_is_compiled_while_other_edits_pass(tmp_path):
    units = tmp_path / "units.py"
    units.write_text(
        "from dmm_av.network.activation import signal\n"
        "from dmm_av.streams.units import Number\n"
        "@signal()\n"
        f"def never_seen(input: Number = 0.0):\n    'New.'\n    return input * {random.random()}\n"
    )
    library = open_library()
    load_user_file(units, library)
    with playing(TONE, library) as live:
        _, made = ask(live, New("x", "never_seen~"), Set("x.input", "tone", 1.0), Set("speakers.both", "x", 0.1))
        _, behind = ask(live, Set("x.input", "tone", 0.5))
        _, passing = ask(live, Set("waves.frequency", "one", 6.0))
        until(lambda: made and behind and passing)
        assert passing[0] < made[0] <= behind[0]
        until(lambda: live.machine.network.matrix.weights[("x", "input", "tone", "out")] == 0.5)


# --- Large networks are planned aside -----------------------------------------------------------------------


def voices(count):
    lines = [f"  v{i}: {{is: saw~, frequency: {100 + i}}}\n  f{i}: {{is: onepole~, input: v{i}}}" for i in range(count)]
    row = ", ".join(f"f{i}: {0.1 / count}" for i in range(count))
    return "neurons:\n" + "\n".join(lines) + f"\nmatrix:\n  speakers.both: {{{row}}}\n"


LARGE = voices(rehearsal_module.LARGE)
BELL = (New("bell", "sine~"), Set("speakers.both", "bell", 0.2))


def test_the_plan_of_a_large_network_is_not_made_by_the_thread_of_the_ticks(monkeypatch):
    planned_by = []

    def noted(*arguments, **named):
        planned_by.append(threading.current_thread().name)
        return build_plan(*arguments, **named)

    build_plan = rehearsal_module.build_plan
    with playing(LARGE) as live:
        monkeypatch.setattr(rehearsal_module, "build_plan", noted)
        monkeypatch.setattr(machine_module, "build_plan", noted)
        _, made = ask(live, *BELL)
        _, passing = ask(live, Set("v0.frequency", "one", 300.0))
        until(lambda: made and passing)
        assert planned_by == ["builder"]
        assert passing[0] < made[0]
        assert ("speakers", "both", "bell", "out") in live.machine.plan.signal_keys
        assert live.vm.key_index(("v0", "frequency", "one", "out")) is not None


def rehearsing(text):
    """Lock-step with plans made aside, at once."""
    run = lockstep(text)
    run.machine.plan_aside(lambda work: work())
    return run


def test_what_is_planned_aside_sounds_as_what_is_planned_in_the_tick_one_tick_later():
    heard = []
    for begin, later in ((lockstep, 1), (rehearsing, 0)):
        run = begin(LARGE)
        parts = [sound(run, (10 + later) / 240)]
        submit(run, *BELL)
        submit(run, Set("bell.frequency", "one", 330.0))
        parts.append(sound(run, 24 / 240))
        submit(run, Cut("speakers.both", "bell"), Set("v1.frequency", "one", 200.0))
        parts.append(sound(run, (72 - later) / 240))
        heard.append(np.concatenate(parts))
    assert np.max(np.abs(heard[0])) > 0.01
    assert np.array_equal(*heard)


def test_a_plan_made_aside_has_the_weights_of_the_tick_in_which_it_takes_over():
    run = lockstep(LARGE)
    works = []
    run.machine.plan_aside(works.append)
    answers = submit(run, *BELL)
    steps(run, 5)
    submit(run, Set("v3.frequency", "one", 777.0))
    steps(run, 5)
    assert answers == [] and len(works) == 1
    works.pop()()
    steps(run, 4)
    assert answers == [None]
    terms = {term.key: number for number, term in enumerate(run.machine.plan.graph.terms)}
    assert ("speakers", "both", "bell", "out") in terms
    place = run.vm.key_index(("v3", "frequency", "one", "out"))
    assert run.vm._weights.pairs[place, 0] == 777.0


def test_a_plan_that_is_out_of_date_when_it_is_made_is_made_again():
    run = lockstep(LARGE)
    works = []
    run.machine.plan_aside(works.append)
    answers = submit(run, *BELL)
    steps(run, 2)
    run.machine.is_exact = True  # as an event of a file
    submit(run, New("gong", "sine~"), Set("speakers.both", "gong", 0.1))
    steps(run, 1)
    run.machine.is_exact = False
    steps(run, 3)
    for _ in range(4):
        while works:
            works.pop(0)()
        steps(run, 3)
    assert answers == [None]
    assert run.machine.plan.signal_keys.keys() >= {("speakers", "both", one, "out") for one in ("bell", "gong")}


# --- Pictures go on while the next drawing is prepared ----------------------------------------------------


def test_frames_are_laid_out_by_the_former_drawing_until_the_stage_is_ready():
    with playing(TONE, stage=(stage := Listed())) as live:
        first = until(lambda: stage.newest_frame()[1])
        live.drawing_is_ready(first)
        _, made = ask(live, New("bent", "rotate"), Set("bent.picture", "waves", 1.0), Set("screen.image", "bent", 1.0))
        second = until(lambda: stage.drawings()[1:])[0]
        sent = len(stage.heard)
        until(lambda: len(stage.heard) > sent + 3)
        _, version, values = stage.newest_frame()
        assert (version, len(values.values)) == (first, len(stage.heard[1][2].values))
        live.drawing_is_ready(second)
        until(lambda: stage.newest_frame()[1] == second)
        assert len(stage.newest_frame()[2].values) > len(values.values)
        assert made


def test_an_edit_of_the_sound_alone_sends_no_new_drawing():
    with playing(TONE, stage=(stage := Listed())) as live:
        until(lambda: stage.newest_frame()[1])
        _, made = ask(live, *BELL)
        until(lambda: made)
        sent = len(stage.heard)
        until(lambda: len(stage.heard) > sent + 3)
        assert len(stage.drawings()) == 1


# --- The program ------------------------------------------------------------------------------------------


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "tone.yaml"
    path.write_text(TONE)
    return path


def children(pid):
    """Process numbers of a process's children."""
    found = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for ones in found for child in ones]


def resident_mb(pid):
    """Memory of a process."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def test_edits_do_not_fill_the_memory_of_machine_or_stage(tone):
    chance, sizes = random.Random(4), []
    with Player(tone, "--headless", "--no-audio", "--size", "64x64") as player:
        player.until(lambda: player.status()[1] > 5, "frames", 60)
        (stage,) = children(player.process.pid)
        for number in range(900):
            player.client.send(("/dmm/w/tone/frequency/one", (chance.uniform(200, 400),)))
            player.client.send(("/dmm/w/waves/frequency/one", (chance.uniform(2, 9),)))
            if number % 50 == 0:
                assert player.ask("/dmm/neuron/x", "lowpass~").done
                assert player.ask("/dmm/remove/x").done
                sizes.append((resident_mb(player.process.pid), resident_mb(stage)))
            time.sleep(0.02)
    for own in zip(*sizes, strict=True):
        assert statistics.median(own[-4:]) - statistics.median(own[5:9]) < 5.0


def test_ctrl_c_ends_machine_and_stage_with_the_closing_line(tone):
    with Player(tone, "--headless", "--no-audio", "--size", "64x64") as player:
        player.until(lambda: player.status()[1] > 5, "frames", 60)
        stages = children(player.process.pid)
        player.process.send_signal(signal.SIGINT)
        assert player.process.wait(20) == 0
        until(lambda: any(line.startswith("played: ") for line in player.lines))
    assert len(stages) == 1 and not Path(f"/proc/{stages[0]}").exists()


def test_a_terminal_shows_one_line_of_status_with_the_last_edit_and_the_last_error(tone):
    master, terminal = pty.openpty()
    command = [sys.executable, str(ROOT / "app.py"), "play", str(tone), "--headless", "--no-audio", "--osc-port", "0"]
    environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal, cwd=ROOT, env=environment
    )
    os.close(terminal)
    shown = ""

    def until_shown(pattern, seconds=60.0):
        nonlocal shown
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, shown)):
            assert time.monotonic() < deadline, f"never shown: {pattern}; it showed {shown[-500:]}"
            if select.select([master], [], [], 0.2)[0]:
                shown += os.read(master, 65_536).decode(errors="replace")
        return found

    try:
        port = int(until_shown(r"listening on 127\.0\.0\.1:(\d+)").group(1))
        until_shown(r"\r\x1b\[K +\d+\.\d fps · sound +\d+ % · 0 drop-outs · edit: none · error: none")
        with OscClient(port=port, timeout=20.0) as client:
            assert client.ask(("/dmm/w/tone/frequency/one", (550.0,))).done
            until_shown(r"edit: tone\.frequency 550\b")
            assert client.ask(("/dmm/w/tone/frequenzy/one", (550.0,))).errors
        process.send_signal(signal.SIGINT)
        until_shown(r"\r\x1b\[Kplayed: ")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_when_the_device_is_gone_time_goes_on_and_it_is_said(tone):
    with (
        SoundServer() as server,
        Player(tone, "--headless", "--size", "64x64", environment=server.environment) as player,
    ):
        player.wait_for("sound: ")
        server.kill()
        player.wait_for("no longer takes sound", 60)
        tick = player.status()[0]
        player.until(lambda: player.status()[0] > tick + 240, "ticks")
        assert player.ask("/dmm/w/tone/frequency/one", 300.0).done

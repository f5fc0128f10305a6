"""The instrument as it is played, measured: the real program on a sound server, edited over OSC and by saved files.

The program runs from a copy of the tree, so that shaders can be saved while it plays. What happens inside it is
written down by `inside.py`.
"""

import contextlib
import importlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from bench.rows import Row
from dmm_av.activations.library import open_library
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.network.edits import Group
from dmm_av.network.notation import parse_line
from dmm_av.network.patch import parse_patch
from dmm_av.scheduler.lockstep import LockStep

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))  # the sound server and the client are those of the tests
Player = importlib.import_module("player").Player
SoundServer = importlib.import_module("sound_server").SoundServer

PARTS = ("app.py", "bench", "dmm_av", "patches", "shaders")
SHADER = Path("shaders", "activations", "stripes.glsl")
PICTURES_PER_SECOND = 5.0  # so many, and pictures are drawn

# A tone that never pauses, so that a recording shows every gap, and pictures in a loop at the size of a projection.
PATCH = """\
neurons:
  slow:   {is: sine, frequency: 0.3}
  tone:   {is: sine~, frequency: {one: 220, slow: 10}}
  fifth:  {is: saw~, frequency: 330}
  dark:   {is: lowpass~, input: fifth, cutoff: {one: 900, slow: 300}}
  echo:   {is: comb~, input: {dark: 0.2}, time: 0.11, feedback: 0.4}
  waves:  {is: stripes, frequency: {one: 9, slow: 2}, speed: 0.1, offset: 0.2}
  clouds: {is: noise.image, scale: 3}
  bent:   {is: modulate, picture: waves, by: clouds, amount: 0.1}
  turned: {is: rotate, picture: trail, angle: 0.002}
  trail:  {is: accum.image, accum: {turned: 0.9}, delta: {bent: 0.1}}
matrix:
  speakers.both: {tone: 0.4, dark: 0.1, echo: 0.1}
  screen.image: trail
"""
WEIGHTS = (("tone", "frequency"), ("dark", "cutoff"), ("echo", "feedback"), ("waves", "frequency"), ("turned", "angle"))
RANGES = {"frequency": (100.0, 400.0), "cutoff": (400.0, 2_000.0), "feedback": (0.1, 0.6), "angle": (0.0, 0.01)}


# --- A stage for measurements --------------------------------------------------------------------------


class Workplace:
    """A copy of the instrument with a patch of its own, and a private sound server; gone with the `with`.

    is_fresh      without anything that is kept from former runs
    root, patch   the copy and the patch in it
    """

    def __init__(self, is_fresh=False):
        self._is_fresh = is_fresh

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        folder = tempfile.mkdtemp(prefix="dmm-bench-")
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self.root = Path(folder)
        kept = shutil.ignore_patterns("__pycache__") if self._is_fresh else None
        for part in PARTS:
            if (ROOT / part).is_file():
                shutil.copy2(ROOT / part, self.root / part)
            else:
                shutil.copytree(ROOT / part, self.root / part, ignore=kept)
        self.patch = self.root / "patches" / "measured.yaml"
        self.patch.write_text(PATCH)
        self.log = self.root / "log.jsonl"
        self.server = self._stack.enter_context(SoundServer())
        self.environment = {**self.server.environment, "PYTHONPATH": str(self.root)}
        if self._is_fresh:
            self.environment["DMM_AV_CACHE"] = str(self.root / "cache")
        return self

    def __exit__(self, *_):
        self._stack.close()

    def player(self, *arguments, patch=None, hog=None):
        """A `Player` of the copy, headless, on the sound server."""
        environment = {**self.environment, "DMM_BENCH_LOG": str(self.log)}
        if hog:
            environment["DMM_BENCH_HOG"] = str(hog)
        library = ("--library", self.root / "bench" / "inside.py")
        return Player(patch or self.patch, "--headless", *library, *arguments, environment=environment, root=self.root)

    def noted(self):
        """What `inside.py` has written since the last call."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        self.log.write_text("")
        return lines

    def save_shader(self, number):
        """An editor saves a shader that has changed."""
        path = self.root / SHADER
        text = (ROOT / SHADER).read_text()
        fresh = path.with_suffix(".part")
        fresh.write_text(f"{text}// {number}\n")
        os.replace(fresh, path)


def until_pictures(player):
    """Waits until pictures are drawn."""
    player.until(lambda: player.status()[1] >= PICTURES_PER_SECOND, "pictures", 60)


def send_edits(player, count, pause_s=0.05, seed=1):
    """Edits of weights at irregular moments."""
    chance = random.Random(seed)
    for _ in range(count):
        name, port = chance.choice(WEIGHTS)
        player.client.send((f"/dmm/w/{name}/{port}/one", (chance.uniform(*RANGES[port]),)))
        time.sleep(chance.uniform(0.5, 1.5) * pause_s)


def gaps(sound, shortest=48):
    """How many silences of that many samples a recording of the tone has between its first and last sound."""
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > 1e-4)
    return int((np.diff(loud) > shortest).sum()) if len(loud) else 0


def percentile(values, share):
    return float(np.percentile(values, share)) if len(values) else None


# --- Figures --------------------------------------------------------------------------------------------


def dropouts(_peers=True, seconds=None):
    """A thread of the machine's process holds the interpreter lock, a shader is recompiled every second."""
    seconds = seconds or 60.0
    with Workplace() as place, place.server.record() as recording:
        hog = place.root / "hog"
        with place.player("--size", "640x360", hog=hog) as player:
            until_pictures(player)
            hog.touch()
            end, number = time.monotonic() + seconds, 0
            while time.monotonic() < end:
                number += 1
                place.save_shader(number)
                time.sleep(1.0)
            status = player.status()
        recorded = recording.frames()
    return [
        Row(f"dropouts: lock held 30 ms at a time, {seconds:.0f} s", float(status[3]), "drop-outs"),
        Row("dropouts: silences in the recording", float(gaps(recorded)), "gaps"),
    ]


def latency(_peers=True):
    """From the arrival of a packet to the sample from which it is heard, while pictures are drawn."""
    with Workplace() as place, place.player() as player:
        until_pictures(player)
        place.noted()
        send_edits(player, 400, 0.03)
        player.status()
        lines = place.noted()
    ticks = [line["effective"] - line["tick"] for line in lines]
    heard = [1e3 * (line["heard"] - line["arrived"]) for line in lines]
    return [
        Row("latency: packet to effective sample, median", percentile(ticks, 50), "ticks"),
        Row("latency: packet to effective sample, 99th percentile", percentile(ticks, 99), "ticks"),
        Row("latency: packet to the ear, median", percentile(heard, 50), "ms"),
        Row("latency: packet to the ear, 99th percentile", percentile(heard, 99), "ms"),
    ]


def save(_peers=True, count=40):
    """From the moment at which a saved patch is noticed to the sample and the picture that have its new weight."""
    with Workplace() as place, place.player() as player:
        until_pictures(player)
        place.noted()
        chance, took = random.Random(2), []
        for number in range(count):
            fresh = place.patch.with_suffix(".part")
            fresh.write_text(PATCH.replace("frequency: 330", f"frequency: {331 + number}"))
            saved = time.perf_counter()
            os.replace(fresh, place.patch)
            player.until(lambda value=331 + number: player.weight("fifth", "frequency", "one") == value, "weight")
            took.append(saved)
            time.sleep(chance.uniform(0.05, 0.15))
        lines = place.noted()
    ticks = [line["effective"] - line["tick"] for line in lines]
    frames = [line["frames"] for line in lines]
    noticed = [1e3 * (line["arrived"] - at) for line, at in zip(lines, took, strict=False)]
    return [
        Row("save: watcher's event to sound, median", percentile(ticks, 50), "ticks"),
        Row("save: watcher's event to sound, 95th percentile", percentile(ticks, 95), "ticks"),
        Row("save: watcher's event to picture, 95th percentile", percentile(frames, 95), "frames"),
        Row("save: file written to watcher's event, median", percentile(noticed, 50), "ms"),
    ]


def new(_peers=True, count=60):
    """From a packet with a new neuron to its sound."""
    with Workplace() as place, place.player() as player:
        until_pictures(player)
        place.noted()
        for number in range(count):
            kind = ("sine~", "saw~", "lowpass~", "comb~")[number % 4]
            name = f"new{number}"
            player.client.send((f"/dmm/neuron/{name}", (kind,)), (f"/dmm/w/speakers/both/{name}", (0.01,)))
            time.sleep(0.1)
            if number % 4 == 3:
                player.ask(f"/dmm/remove/{name}")
        player.status()
        lines = place.noted()
    heard = [1e3 * (line["heard"] - line["arrived"]) for line in lines]
    return [
        Row("new: packet to sound, median", percentile(heard, 50), "ms"),
        Row("new: packet to sound, 95th percentile", percentile(heard, 95), "ms"),
    ]


def start(_peers=True, rounds=5):
    """From the command to the first sound in the recording and the first picture."""
    with Workplace() as place:
        started(place)  # what is read for the first time, a disk reads
        sounds, pictures = zip(*(started(place) for _ in range(rounds)), strict=True)
    return [
        Row("start: command to first sound, warm", statistics.median(sounds), "s"),
        Row("start: command to first picture, warm", statistics.median(pictures), "s"),
    ]


def start_after_setup(_peers=True):
    """The same for the first start after the compilation cache was filled, as `make setup` does it."""
    with Workplace(is_fresh=True) as place:
        subprocess.run([sys.executable, "app.py", "warm"], cwd=place.root, env=place.environment, check=True)
        sound, picture = started(place)
    return [
        Row("start: command to first sound, after set-up", sound, "s"),
        Row("start: command to first picture, after set-up", picture, "s"),
    ]


def started(place):
    """Seconds from the command to the first sound and to the first picture."""
    found = []
    with place.server.record() as recording:
        silent = len(recording.frames())
        began = time.perf_counter()
        listener = threading.Thread(target=_note_sound, args=(recording, silent, found))
        listener.start()
        with place.player() as player:
            player.wait_for("pictures:", 60)
            listener.join()
    return found[0] - began, player.moments["pictures:"] - began


def _note_sound(recording, begin, found, deadline_s=60.0):
    """Appends the moment at which a recording is no longer silent."""
    end = time.perf_counter() + deadline_s
    while time.perf_counter() < end:
        if np.any(np.abs(recording.frames()[begin:]) > 1e-4):
            break
        time.sleep(0.005)
    found.append(time.perf_counter())


def packets(_peers=True, count=100_000):
    """Malformed and random packets against a running performance."""
    chance = random.Random(5)
    with Workplace() as place, place.player("--size", "320x180") as player:
        until_pictures(player)
        before, tick = player.weights(), player.status()[0]
        target = ("127.0.0.1", player.port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hostile:
            for number in range(count):
                hostile.sendto(hostile_packet(chance, number), target)
                if number % 100 == 0:
                    time.sleep(0.005)
        after, status = player.weights(), player.status()
    changed = len(before.items() ^ after.items())
    return [
        Row(f"packets: weights changed by {count} hostile packets", float(changed), "weights"),
        Row("packets: ticks played meanwhile", float(status[0] - tick), "ticks"),
        Row("packets: drop-outs meanwhile", float(status[3]), "drop-outs"),
    ]


def hostile_packet(chance, number):
    """A packet that is no edit: noise, addresses without sense, values of wrong types."""
    noise = chance.randbytes(chance.randrange(0, 200))
    return (
        noise,
        b"/dmm/w/tone/frequency/one\0\0\0,s\0\0" + noise,
        b"#bundle\0" + noise,
        b"/dmm/nothing/there\0\0,f\0\0" + noise[:4].ljust(4, b"\0"),
        b"/dmm/w/tone/frequency/one\0\0\0,f\0\0\x7f\xc0\0\0",
        b"/dmm/w/waves/frequency/fifth/out\0\0\0\0,f\0\0\x3f\x80\0\0",
    )[number % 6]


def soak(_peers=True, seconds=None):
    """An edit every 20 ms, a shader saved every 5 s: drop-outs, and memory after the first minute."""
    seconds = seconds or 600.0
    settled = min(60.0, seconds / 3)
    with Workplace() as place, place.server.record() as recording:
        with place.player("--size", "640x360") as player:
            until_pictures(player)
            began, number = time.monotonic(), 0
            machine, stage = [], []
            chance = random.Random(3)
            while (passed := time.monotonic() - began) < seconds:
                name, port = chance.choice(WEIGHTS)
                player.client.send((f"/dmm/w/{name}/{port}/one", (chance.uniform(*RANGES[port]),)))
                if passed >= 5.0 * number:
                    number += 1
                    place.save_shader(number)
                    machine.append((passed, resident_mb(player.process.pid)))
                    stage.append((passed, resident_mb(child_of(player.process.pid))))
                time.sleep(max(0.0, began + 0.02 * (1 + passed // 0.02) - time.monotonic()))
            status = player.status()
        recorded = recording.frames()
    return [
        Row(f"soak: {seconds:.0f} s, drop-outs", float(status[3]), "drop-outs"),
        Row("soak: silences in the recording", float(gaps(recorded)), "gaps"),
        Row("soak: growth of the machine after the first minute", growth(machine, settled), "MB"),
        Row("soak: growth of the stage after the first minute", growth(stage, settled), "MB"),
        Row("soak: memory of the machine", machine[-1][1], "MB"),
        Row("soak: memory of the stage", stage[-1][1], "MB"),
    ]


def growth(samples, settled):
    """MB that the last samples have more than the first after `settled` seconds; medians of five."""
    later = [size for passed, size in samples if passed >= settled]
    return statistics.median(later[-5:]) - statistics.median(later[:5])


def resident_mb(pid):
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def child_of(pid):
    """The process number of the stage."""
    found = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    return next((int(children[0]) for children in found if children), None)


def edit(_peers=True, rounds=200, together=50):
    """What the edit of a weight costs on the tick path of the whole machine, beside ticks without one."""
    library = open_library()
    vm = SignalVM()
    driven = LockStep(parse_patch(PATCH, "measured", library), library, vm)
    groups = [
        Group((parse_line(f"{name}.{port} {RANGES[port][0] + index}"),))
        for index, (name, port) in enumerate(WEIGHTS * (together // len(WEIGHTS)))
    ]
    idle, edited = [], []
    for turn in range(rounds):
        for group in groups if turn % 2 else ():
            driven.machine.submit(group)
        began = time.thread_time()
        driven.machine.tick()  # they leave the queue …
        vm.run(1)
        driven.machine.tick()  # … and are in the matrix
        (edited if turn % 2 else idle).append(time.thread_time() - began)
        vm.run(1)
    each = (statistics.median(edited) - statistics.median(idle)) / len(groups)
    return [Row("edit of a weight, whole tick path", 1e6 * each, "µs")]


FIGURES = {
    "edit": edit,
    "dropouts": dropouts,
    "latency": latency,
    "save": save,
    "new": new,
    "start": start,
    "start-after-setup": start_after_setup,
    "packets": packets,
    "soak": soak,
}

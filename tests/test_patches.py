"""The patches that come with the instrument: each can be played as it is, and the demo keeps what is said of it.

Whole pieces run in lock-step with small pictures: lengths are normalised, so a small picture is the same picture.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dmm_av.activations.library import open_library
from dmm_av.commands.opening import read_events
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.io.offline_stage import OfflineStage
from dmm_av.network.patch import read_patch
from dmm_av.scheduler.lockstep import LockStep
from dmm_av.scheduler.machine import Machine

FOLDER = Path(__file__).parent.parent / "patches"
LESSONS = sorted(path for path in FOLDER.glob("*.yaml") if path.stem != "demo")
DEMO, EVENTS = FOLDER / "demo.yaml", FOLDER / "demo.events.jsonl"
ALL = [*LESSONS, DEMO]
RINGS = {"feedback_fm"}  # whose idea is a loop of sounds that `check` names
LOUDEST = 10 ** (-1 / 20)  # -1 dBFS
DEMO_S = 20
CELLS = (40, 22)  # the parts of a picture that can flash, about half a degree wide from where people sit
every_patch = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def library():
    return open_library()


def smaller(patch, size=(160, 90)):
    """The same patch with a small stage; pictures with a size of their own are made as small."""
    neurons = {
        name: replace(declared, settings={**declared.settings, "size": list(size)})
        if "size" in declared.settings and "grey" not in declared.activation
        else declared
        for name, declared in patch.neurons.items()
    }
    return replace(patch, size=size, neurons=neurons)


def performed(path, library, seconds, events=None):
    """(run, pictures float32 (n, height, width, 3), sound float32 (n, 2), sentences) of a whole performance."""
    patch = smaller(read_patch(path, library))
    pictures, sounds = [], []
    with OfflineStage(patch.size, str(FOLDER)) as stage:
        vm = SignalVM(patch.rates.sample, patch.rates.tick)
        run = LockStep(patch, library, vm, stage, read_events(events, patch.rates.tick), path)
        for _ in range(round(seconds * patch.rates.tick)):
            sound, drawn = run.step()
            sounds.append(sound)
            if drawn is not None:
                pictures.append(run.picture[:, :, :3].copy())
    sentences = [notice.sentence for notice in run.machine.notices]
    return run, np.array(pictures), np.concatenate(sounds), sentences


@pytest.fixture(scope="module")
def demo(library):
    return performed(DEMO, library, DEMO_S, EVENTS)


# --- Every patch ----------------------------------------------------------------------------------------


def test_there_are_at_least_eight_lessons():
    assert len(LESSONS) >= 8


@every_patch
def test_a_patch_has_no_mistakes_and_nothing_that_needs_a_remark(path, library):
    patch = read_patch(path, library)
    machine = Machine(patch, library, SignalVM(patch.rates.sample, patch.rates.tick))
    sentences = [notice.sentence for notice in machine.notices]
    if path.stem in RINGS:
        assert len(sentences) == 1 and "each hop in it costs one sample" in sentences[0]
    else:
        assert sentences == []
    assert patch.warnings == () and patch.name


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_begins_with_its_one_idea_and_with_edits_to_try(path):
    remark = path.read_text(encoding="utf-8").partition("format:")[0]
    assert all(line.startswith("#") for line in remark.splitlines())
    assert remark.count("One idea: ") == 1 and "app.py edit " in remark


@every_patch
def test_a_patch_gives_a_moving_picture_and_a_clean_sound(path, library):
    _, pictures, sound, _ = performed(path, library, 0.5)
    last = pictures[-1].astype(float) / 255.0
    assert last.max() > 0.2, "black"
    assert last.std() > 0.02, "uniform"
    assert (last > 0.98).all(-1).mean() < 0.05, "burnt out"
    assert np.abs(last - pictures[5] / 255.0).max() > 0.02, "still"
    assert np.isfinite(sound).all()
    assert np.sqrt((sound**2).mean()) > 0.003 and np.abs(sound).max() <= LOUDEST


def test_the_drum_machine_has_at_most_25_lines():
    assert len((FOLDER / "drum_machine.yaml").read_text(encoding="utf-8").splitlines()) <= 25


# --- The demo as a network ------------------------------------------------------------------------------


def picture_loop(patch, library, name):
    """The pictures on the shortest way from a picture back to itself."""
    feeds = {
        one: {source[0] for (to, _), row in patch.rows.items() if to == one for source in row}
        for one, declared in patch.neurons.items()
        if any(library[activation].side == "picture" for activation in declared.activation)
    }
    ways = [[name]]
    while ways:
        way = ways.pop(0)
        for source in sorted(feeds.get(way[-1], ())):
            if source == name:
                return way
            if source in feeds and source not in way:
                ways.append([*way, source])
    return []


def test_the_demo_has_at_least_20_neurons_and_a_sidechain_that_is_a_negative_weight(library):
    patch = read_patch(DEMO, library)
    assert len(patch.neurons) >= 20
    assert patch.rows[("thump", "trigger")] == {("kick_at", "trigger"): 1.0}
    assert ("bass", "out") in patch.rows[("ducked", "a")] and patch.rows[("ducked", "b")][("thump", "out")] < 0.0


def test_the_demo_feeds_at_least_three_pictures_back(library):
    assert len(picture_loop(read_patch(DEMO, library), library, "trail")) >= 3


def test_in_the_demo_sound_drives_picture_and_picture_drives_sound(library):
    patch = read_patch(DEMO, library)
    hears = {to for (to, _), row in patch.rows.items() if any(source[0] == "ear" for source in row)}
    sees = {to for (to, _), row in patch.rows.items() if any(source[0] == "eye" for source in row)}
    sides = {name: library[activation].side for name, one in patch.neurons.items() for activation in one.activation}
    assert {sides[name] for name in hears} == {"picture"} and {sides[name] for name in sees} == {"signal"}


def test_the_hands_insert_a_neuron_crossfade_two_sources_and_change_the_tempo():
    lines = [line for line in EVENTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    events = [json.loads(line) for line in lines]
    addresses = [address for event in events for address, *_ in event.get("messages", [[event.get("address")]])]
    for wanted in ("/dmm/insert/", "/dmm/crossfade/", "/dmm/w/transport/tempo", "/dmm/neuron/"):
        assert any(address.startswith(wanted) for address in addresses), wanted
    assert all(event["tick"] < DEMO_S * 240 for event in events)


# --- The demo as a piece --------------------------------------------------------------------------------


def k_weighted(sound, rate=48_000):
    """Sound as loudness is measured: a shelf for the head, a high pass for the ear. (n, channels) → the same.

    Source: ITU-R BS.1770-5, annex 1, tables 1 and 2, for 48 kHz.
    """
    assert rate == 48_000
    size = 1 << (len(sound) + rate).bit_length()
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1.0 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1.0 - 2.0 * z + z**2) / (1.0 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    spectrum = np.fft.rfft(sound, size, axis=0) * (shelf * high_pass)[:, None]
    return np.fft.irfft(spectrum, size, axis=0)[: len(sound)]


def loudness(sound, rate=48_000):
    """Integrated loudness in LUFS: blocks of 400 ms every 100 ms, gated at -70 LUFS and 10 LU below the mean.

    Source: ITU-R BS.1770-5, annex 1.
    """
    weighted = k_weighted(sound, rate) ** 2
    length, hop = round(0.4 * rate), round(0.1 * rate)
    powers = np.array([weighted[at : at + length].mean(0).sum() for at in range(0, len(weighted) - length + 1, hop)])

    def lufs(power):
        return -0.691 + 10.0 * np.log10(power)

    powers = powers[lufs(powers + 1e-20) > -70.0]
    powers = powers[lufs(powers) > lufs(powers.mean()) - 10.0]
    return lufs(powers.mean())


def cells(pictures):
    """Mean colours of the parts that can flash: float (n, rows, columns, 3) in [0, 1]."""
    columns, rows = CELLS
    height, width = pictures.shape[1] // rows, pictures.shape[2] // columns
    cut = pictures[:, : rows * height, : columns * width].astype(np.float32) / 255.0
    return cut.reshape(len(cut), rows, height, columns, width, 3).mean((2, 4))


def flashing_area(pictures, fps, flashes):
    """The largest share of the picture that flashes so often within a second.

    A flash is a swing of luminance by a tenth of the brightest and back, the darker side below 0.8; parts are
    counted whether or not they flash together, which is stricter than what is required.

    Source: W3C, WCAG 2.2, definition of general flash; ITU-R BT.1702.
    """
    light = (cells(pictures) ** 2.2) @ np.array([0.2126, 0.7152, 0.0722])
    high, low, going = light[0].copy(), light[0].copy(), np.zeros(light[0].shape)
    swings = np.zeros(light.shape, int)
    for number, now in enumerate(light):
        high, low = np.maximum(high, now), np.minimum(low, now)
        fell = (going >= 0) & (high - now >= 0.1) & (now < 0.8)
        rose = (going <= 0) & (now - low >= 0.1) & (low < 0.8)
        swings[number] = fell | rose
        going = np.where(fell, -1, np.where(rose, 1, going))
        high, low = np.where(fell | rose, now, high), np.where(fell | rose, now, low)
    counted = np.cumsum(swings, axis=0)
    return max(((counted[at + fps] - counted[at]) // 2 >= flashes).mean() for at in range(len(light) - fps))


def test_the_meter_reads_minus_3_for_a_full_sine_of_997_hz_in_one_channel():
    sine = np.sin(2.0 * np.pi * 997.0 * np.arange(3 * 48_000) / 48_000)
    assert loudness(np.stack([sine, 0.0 * sine], axis=1)) == pytest.approx(-3.01, abs=0.02)


def test_three_flashes_of_half_the_picture_are_counted_and_a_slow_swell_is_none():
    moments = np.arange(120) / 60.0
    light = np.zeros((120, 90, 160, 3))
    light[:, :, :80] = 127.5 - 127.5 * np.cos(2.0 * np.pi * 3.5 * moments)[:, None, None, None]
    assert flashing_area(light, 60, 3) == pytest.approx(0.5)
    light[:, :, :80] = 127.5 - 127.5 * np.cos(2.0 * np.pi * 0.5 * moments)[:, None, None, None]
    assert flashing_area(light, 60, 2) == 0.0


def test_every_event_of_the_demo_is_accepted_and_has_its_effect(demo):
    run, _, _, sentences = demo
    assert sentences == [] and not run.events
    assert {"rose", "lead"} <= set(run.machine.network.names())
    weights = run.machine.network.matrix.weights
    assert weights[("transport", "tempo", "one", "out")] == 120.0
    assert weights[("seed", "a", "ring", "out")] > 0.5


def test_the_demo_is_about_minus_18_lufs_loud_and_never_above_minus_1_dbfs(demo):
    _, _, sound, _ = demo
    assert np.isfinite(sound).all() and np.abs(sound).max() <= LOUDEST
    assert loudness(sound) == pytest.approx(-18.0, abs=1.0)


def test_the_demo_stays_under_three_flashes_a_second(demo):
    _, pictures, _, _ = demo
    assert flashing_area(pictures, 60, 3) < 0.25


def test_no_two_seconds_of_the_demo_look_alike(demo):
    _, pictures, _, _ = demo
    seconds = cells(pictures).reshape(DEMO_S, -1, CELLS[1], CELLS[0], 3).mean(1)
    apart = np.abs(seconds[:, None] - seconds[None, :]).mean((2, 3, 4))
    assert apart[~np.eye(DEMO_S, dtype=bool)].min() > 0.005


def test_no_two_seconds_of_the_demo_sound_alike(demo):
    _, _, sound, _ = demo
    seconds = sound.mean(1).reshape(DEMO_S, -1)
    spectra = np.abs(np.fft.rfft(seconds * np.hanning(seconds.shape[1]), axis=1))[:, 30:8_000]
    spectra /= np.linalg.norm(spectra, axis=1, keepdims=True)
    alike = spectra @ spectra.T
    assert alike[~np.eye(DEMO_S, dtype=bool)].max() < 0.98


def test_no_second_of_the_demo_is_silent_or_black(demo):
    _, pictures, sound, _ = demo
    assert np.sqrt((sound.reshape(DEMO_S, -1) ** 2).mean(1)).min() > 0.01
    assert pictures.reshape(DEMO_S, -1).max(1).min() > 100

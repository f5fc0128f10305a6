"""Activations of numbers and sound: what each one promises, heard."""

import numpy as np
import pytest
from signal_networks import BLOCK, RATE, TICKS, graph_of, heard, run, vm_of
from signal_reference import PlainNeuron

from dmm_av.activations.library import open_library
from dmm_av.engine.signal_plan import is_audio
from dmm_av.engine.step_compiler import step_layout

LIBRARY = open_library()
SIGNALS = [kind for kind in LIBRARY if kind.side == "signal"]


def sound(activation, seconds=1.0, output=0, sources=None, settings=None, **rows):
    """What one neuron sounds, float64, after its default rows are overridden."""
    vm = vm_of(graph_of({**(sources or {}), "u": (activation, rows, settings or {})}))
    return heard(vm, "u", round(seconds * TICKS))[output]


def numbers(activation, ticks, output=None, sources=None, **rows):
    """The numbers that one neuron gives, state 1 to `ticks`."""
    export = f"u.{output}" if output else "u"
    graph = graph_of({**(sources or {}), "u": (activation, rows)}, exports=(export,))
    vm = vm_of(graph)
    found = []
    for _ in range(ticks):
        run(vm, 1)
        found.append(vm.numbers(vm.tick)[0])
    return np.array(found)


def spectrum_db(samples):
    """Level per Hz of one second of sound, dB of full scale, with a window that hides -120 dB leakage."""
    window = np.blackman(len(samples)) ** 2
    level = np.abs(np.fft.rfft(samples * window)) * 2 / window.sum()
    return 20 * np.log10(np.maximum(level, 1e-12))


def pitch_of(samples):
    """Frequency of the strongest partial, Hz, between the bins."""
    level = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    k = int(level.argmax())
    a, b, c = np.log(level[k - 1 : k + 2])
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * RATE / len(samples)


def clicks(times, height=1.0, seconds=1.0):
    """A plain trigger: one sample high at each time, as a table for `numbers` or comparisons."""
    samples = np.zeros(round(seconds * RATE))
    samples[[round(time * RATE) for time in times]] = height
    return samples


def stepped(activation, inputs, audio=True):
    """Outputs of a step run plainly on given samples: {input: array}."""
    kind = LIBRARY[activation]
    neuron = PlainNeuron(kind, RATE if audio else TICKS, audio)
    defaults = {
        name: float(port.default) if isinstance(port.default, int | float) else 0.0
        for name, port in kind.inputs.items()
    }
    length = max(len(np.atleast_1d(values)) for values in inputs.values())
    rows = {name: np.broadcast_to(values, length) for name, values in inputs.items()}
    out = [neuron.step({**defaults, **{name: float(row[t]) for name, row in rows.items()}}) for t in range(length)]
    return np.array(out).T


# --- The register ---------------------------------------------------------------------------------------


def test_every_activation_of_the_list_is_there_at_both_rates_unless_one_is_named():
    both = set("sine saw square triangle phasor noise pink walk hold decay envelope lag clock steps euclid".split())  # noqa: SIM905
    both |= set("product sine_of tanh clip fold wrap absolute minimum maximum power compare".split())  # noqa: SIM905
    both |= set("lowpass highpass svf onepole accum integrate midi_to_hz db_to_gain".split())  # noqa: SIM905
    for name in both:
        assert not is_audio(LIBRARY[name]) and is_audio(LIBRARY[name + "~"])
    for name in ("delay~", "comb~", "allpass~", "pan~", "level~", "bands~"):
        assert is_audio(LIBRARY[name]) and name[:-1] not in LIBRARY
    assert "transport" in LIBRARY and "transport~" not in LIBRARY
    assert {"one", "speakers"} <= set(LIBRARY.names())


@pytest.mark.parametrize("kind", SIGNALS, ids=lambda kind: kind.name)
def test_every_activation_is_described_port_by_port(kind):
    assert kind.about.endswith(".") and kind.about[0].isupper()
    for port in [*kind.inputs.values(), *kind.outputs.values()]:
        if port.name != "out" or len(kind.outputs) > 1:
            assert port.about, port.name


@pytest.mark.parametrize("kind", SIGNALS, ids=lambda kind: kind.name)
def test_every_activation_runs_on_its_defaults_and_stays_finite(kind):
    vm = vm_of(graph_of({"u": (kind, {})}, exports=tuple(f"u.{o}" for o in step_layout(kind).outputs)))
    for _ in range(20):
        run(vm, 1)
        assert np.isfinite(vm.numbers(vm.tick)).all()
    assert vm.events() == []


WILD = [0.0, -0.0, 1e-300, -1e-300, 1e12, -1e12, 1e300, -1e300, 0.5, -3.7]


@pytest.mark.parametrize("kind", SIGNALS, ids=lambda kind: kind.name)
def test_no_input_however_wild_does_harm(kind):
    ports = list(kind.inputs)
    for value in WILD:
        rows = {}
        for name, port in kind.inputs.items():
            for own in [f"{name}/{k}" for k in (1, 2, 3)] if port.family else [name]:
                rows[own] = {"one": value}
        for wild in [None, *ports]:
            some = {
                name: row if wild is None or name.partition("/")[0] == wild else {"one": 0.3}
                for name, row in rows.items()
            }
            neurons = {"u": (kind, some), "v": (kind, some)}
            outputs = tuple(f"u.{o}" for o in step_layout(kind).outputs)
            vm = vm_of(graph_of(neurons, exports=outputs, rate=4800, ticks=240))
            for _ in range(3):
                run(vm, 1)
                assert np.isfinite(vm.numbers(vm.tick)).all()


# --- Sources ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sine~", "saw~", "square~", "triangle~"])
def test_an_octave_up_is_twice_the_frequency_exactly(kind):
    assert np.array_equal(sound(kind, 0.1, frequency=220.0, octaves=1.0), sound(kind, 0.1, frequency=440.0))


NAIVE = {"saw~": lambda p: 2 * p - 1, "square~": lambda p: np.where(p < 0.5, 1, -1)}


@pytest.mark.parametrize(("kind", "naive"), NAIVE.items())
def test_aliases_are_at_least_20_db_softer_than_of_a_naive_waveform(kind, naive):
    hertz = 2500.0 + 1 / 7
    phase = np.arange(RATE) * hertz / RATE % 1
    ours, plain = spectrum_db(sound(kind, frequency=hertz)), spectrum_db(naive(phase).astype(float))
    partials = np.zeros(len(ours), bool)
    for k in range(1, int(RATE / 2 / hertz) + 1):
        centre = round(k * hertz)
        partials[max(0, centre - 8) : centre + 9] = True
    partials[:20] = True
    below = ~partials & (np.arange(len(ours)) < 8000)
    power = [10 * np.log10((10 ** (level[below] / 10)).sum()) for level in (ours, plain)]
    assert power[0] < power[1] - 20


def test_a_triangle_is_smooth_at_audio_rate_and_right_in_shape():
    wave = sound("triangle~", 0.1, frequency=100.0)
    phase = (np.arange(len(wave)) * 100.0 / RATE + 0.25) % 1
    assert wave == pytest.approx(1 - 4 * np.abs(phase - 0.5), abs=0.01)


def test_waveforms_are_exact_at_control_rate():
    saw = numbers("saw", 32, frequency=15.0)
    assert (saw == 2 * (np.arange(32) / 16 % 1) - 1).all()
    square = numbers("square", 16, frequency=15.0, width=0.25)
    assert (square == np.where(np.arange(16) < 4, 1.0, -1.0)).all()


def test_a_pulse_spends_its_width_up_high():
    wave = sound("square~", 1.0, frequency=100.0, width=0.2)
    assert wave.mean() == pytest.approx(0.2 - 0.8, abs=0.01)


@pytest.mark.parametrize("kind", ["saw~", "square~", "triangle~", "sine~"])
@pytest.mark.parametrize("hertz", [5.0, 440.0, 9000.0, 23_000.0, -300.0])
def test_waveforms_stay_within_1(kind, hertz):
    assert np.abs(sound(kind, 0.2, frequency=hertz)).max() <= 1.0 + 1e-9


def test_a_phase_keeps_its_precision_over_a_long_show():
    kind = LIBRARY["sine~"]
    neuron = PlainNeuron(kind, RATE, True)
    inputs = {"frequency": 1000.0 / 3, "octaves": 0.0, "offset": 0.0}
    neuron.step(inputs)
    increment = neuron.phase
    ten_hours = 10 * 3600 * RATE
    drift = (increment * ten_hours / 2**64 - ten_hours * 1000.0 / 3 / RATE) % 1
    assert min(drift, 1 - drift) < 1e-7


def test_phase_modulation_and_frequency_modulation_go_through_zero():
    sources = {"m": ("sine~", {"frequency": 100.0})}
    wave = sound("sine~", 0.1, sources=sources, frequency={"m": 400.0})
    n = np.arange(len(wave))
    frequency = 400 * np.sin(2 * np.pi * 100 * n / RATE)
    phase = np.concatenate([[0], np.cumsum(frequency / RATE)[:-1]])
    assert wave == pytest.approx(np.sin(2 * np.pi * phase), abs=1e-6)


def test_noise_is_white_uniform_and_its_own_in_every_neuron():
    graph = graph_of({"a": ("noise~", {}), "b": ("noise~", {})}, seeds={"a": 1, "b": 2})
    vm = vm_of(graph)
    a, b = (np.concatenate(part) for part in zip(*[both_rows(vm) for _ in range(200)], strict=True))
    for wave in (a, b):
        assert np.abs(wave).max() <= 1.0
        assert wave.std() == pytest.approx(1 / np.sqrt(3), rel=0.02)
        assert abs(np.corrcoef(wave[:-1], wave[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02


def test_pink_noise_falls_3_db_per_octave():
    wave = np.concatenate([sound("pink~", 4.0)])
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    bands = [power[(hertz >= low) & (hertz < 2 * low)].mean() for low in (50, 100, 200, 400, 800, 1600, 3200, 6400)]
    falls = 10 * np.log10(np.array(bands[:-1]) / np.array(bands[1:]))
    assert falls.mean() == pytest.approx(3.0, abs=0.5)
    assert np.abs(wave).max() < 1.5


def test_a_walk_wanders_all_over_its_room_and_never_leaves_it():
    walk = numbers("walk", 240 * 20, frequency=2.0)
    assert walk.min() < -0.8 and walk.max() > 0.8
    assert np.abs(walk).max() <= 1.0
    assert np.abs(np.diff(walk)).max() < 0.5


def test_hold_gives_a_new_value_as_often_as_it_says():
    held = numbers("hold", 240, frequency=10.0)
    changes = np.flatnonzero(np.diff(held))
    assert list(changes + 1) == list(range(24, 240, 24))


# --- Envelopes --------------------------------------------------------------------------------------------------


def test_a_decay_is_as_loud_as_its_trigger_and_60_db_down_after_its_time():
    out = stepped("decay~", {"trigger": clicks([0.01], 0.5, 0.3), "time": 0.2})[0]
    start = round(0.01 * RATE)
    assert out[start - 1] == 0.0 and out[start] == 0.5
    assert out[start + round(0.2 * RATE)] == pytest.approx(0.0005, rel=0.01)


def test_a_number_that_climbs_into_sound_triggers_with_the_height_it_reaches():
    trigger = np.concatenate([np.zeros(100), np.arange(1, 201) / 200 * 0.8, np.full(500, 0.8)])
    out = stepped("decay~", {"trigger": trigger, "time": 1.0})[0]
    assert out.max() == pytest.approx(0.8, abs=1e-6)


def test_an_envelope_attacks_decays_sustains_and_releases_in_its_times():
    gate = np.concatenate([np.ones(RATE), np.zeros(RATE)])
    out = stepped("envelope~", {"gate": gate, "attack": 0.1, "decay": 0.2, "sustain": 0.5, "release": 0.3})[0]
    assert np.argmax(out >= 1.0) == pytest.approx(0.1 * RATE, rel=0.01)
    assert out[round(0.3 * RATE)] == pytest.approx(0.505, abs=0.005)
    assert out[RATE - 1] == pytest.approx(0.5, abs=1e-3)
    assert out[RATE + round(0.3 * RATE)] == pytest.approx(0.005, abs=1e-3)
    assert (np.abs(np.diff(out)) < 0.01).all()


def test_an_envelope_opens_again_from_where_it_is_and_scales_with_its_gate():
    gate = np.concatenate([np.full(4800, 0.5), np.zeros(480), np.full(4800, 0.5)])
    out = stepped("envelope~", {"gate": gate, "attack": 0.02, "decay": 0.1, "sustain": 1.0, "release": 0.1})[0]
    assert out.max() == pytest.approx(0.5, abs=1e-9)
    assert np.abs(np.diff(out)).max() < 0.01
    assert out[5280] > 0.2


def test_a_lag_goes_99_percent_of_the_way_in_its_time_up_and_down():
    jump = np.concatenate([np.ones(RATE // 2), np.zeros(RATE)])
    out = stepped("lag~", {"input": jump, "rise": 0.1, "fall": 0.4})[0]
    assert out[round(0.1 * RATE) - 1] == pytest.approx(0.99, abs=1e-3)
    assert out[RATE // 2 + round(0.4 * RATE) - 1] == pytest.approx(0.01, abs=1e-3)


# --- Patterns -------------------------------------------------------------------------------------------------


def transported(activation, ticks, output="out", tempo=120.0, per_beat=4.0, weight=1.0, **rows):
    sources = {"transport": ("transport", {"tempo": tempo})}
    return numbers(activation, ticks, output, sources, beat={"transport.beat": weight}, per_beat=per_beat, **rows)


def test_beats_are_whole_numbers_on_the_beat_and_count_up():
    beats = numbers("transport", 240 * 10 + 1, "beat", tempo=120.0)
    assert (beats[::120] == np.arange(21)).all()
    assert (np.diff(beats) > 0).all()
    assert numbers("transport", 481, "bar", tempo=120.0)[-1] == 1.0
    assert (numbers("transport", 240, "phase", tempo=97.0) < 1.0).all()
    assert numbers("transport", 241, "time")[-1] == pytest.approx(1.0)


def test_a_transport_that_does_not_run_stands_still():
    assert not numbers("transport", 50, "beat", run=0.0).any()


def test_a_clock_counts_steps_and_triggers_once_in_each():
    number = transported("clock", 240)
    assert (number[::30] == np.arange(8)).all()
    trigger = transported("clock", 240, "trigger")
    rises = np.flatnonzero((trigger[1:] > 0) & (trigger[:-1] <= 0))
    assert list(rises + 1) == list(range(30, 240, 30))
    assert transported("clock", 240, "gate").mean() == pytest.approx(0.5, abs=0.01)


def test_a_weight_of_2_is_double_time():
    assert (transported("clock", 240, weight=2.0)[::15] == np.arange(16)).all()


def test_steps_plays_its_list_round_and_round():
    values = [1.0, 0.0, 0.5, 0.0]
    rows = {f"steps/{k + 1}": value for k, value in enumerate(values)}
    held = transported("steps", 240, **rows)
    assert [held[k * 30 + 15] for k in range(8)] == values * 2
    trigger = transported("steps", 240, "trigger", **rows)
    assert [trigger[k * 30] for k in range(8)] == values * 2
    assert not trigger[15::30].any()


def test_steps_follows_a_list_of_sixty_four():
    rows = {f"steps/{k + 1}": float(k) for k in range(64)}
    held = transported("steps", 64 * 5 + 3, per_beat=24.0, **rows)
    assert [held[k * 5 + 2] for k in range(64)] == list(range(64))
    assert held[64 * 5 + 2] == 0.0


@pytest.mark.parametrize(
    ("pulses", "length", "pattern"),
    [
        (3, 8, "x..x..x."),
        (5, 8, "x.xx.xx."),
        (4, 16, "x...x...x...x..."),
        (2, 5, "x..x."),
        (0, 4, "...."),
        (4, 4, "xxxx"),
    ],
)
def test_euclid_spreads_pulses_evenly(pulses, length, pattern):
    out = transported("euclid", 30 * length, pulses=float(pulses), length=float(length))
    found = "".join("x" if out[k * 30 + 10] else "." for k in range(length))
    turns = {found[k:] + found[:k] for k in range(length)}
    assert found[0] == pattern[0]
    assert pattern in turns


def test_euclid_turns_by_its_rotation():
    plain = transported("euclid", 240)[10::30]
    turned = transported("euclid", 240, rotation=2.0)[10::30]
    assert list(turned) == list(np.roll(plain, -2))


def test_patterns_at_audio_rate_step_at_the_same_time_as_at_control_rate():
    sources = {"transport": ("transport", {"tempo": 150.0})}
    rows = {f"steps/{k + 1}": float(k + 1) for k in range(3)}
    wave = sound("steps~", 2.0, sources=sources, beat={"transport.beat": 1.0}, **rows)
    jumps = np.flatnonzero(np.diff(wave)) + 1
    assert np.diff(jumps) == pytest.approx(RATE * 60 / 150 / 4, abs=1.01)


# --- Shapers ----------------------------------------------------------------------------------------------------

X = np.linspace(-4.0, 4.0, 81)


@pytest.mark.parametrize(
    ("kind", "rows", "formula"),
    [
        ("tanh~", {}, np.tanh),
        ("clip~", {}, lambda x: np.clip(x, -1, 1)),
        ("clip~", {"low": 0.0, "high": 2.0}, lambda x: np.clip(x, 0, 2)),
        ("fold~", {}, lambda x: 2 / np.pi * np.arcsin(np.sin(np.pi / 2 * x))),
        ("wrap~", {}, lambda x: (x + 1) % 2 - 1),
        ("absolute~", {}, np.abs),
        ("power~", {"exponent": 2.0}, lambda x: np.sign(x) * x**2),
        ("power~", {"exponent": 0.5}, lambda x: np.sign(x) * np.sqrt(np.abs(x))),
    ],
)
def test_shapers_are_the_functions_that_they_are_called_after(kind, rows, formula):
    out = stepped(kind, {"input": X, **rows})[0]
    assert out == pytest.approx(formula(X), abs=1e-8)


def test_sine_of_is_sin_of_a_x_plus_b():
    assert stepped("sine_of~", {"x": X, "a": 1.7, "b": 0.4})[0] == pytest.approx(np.sin(1.7 * X + 0.4), abs=2e-9)


def test_two_inputs_are_multiplied_compared_and_chosen():
    a, b = X, X[::-1] * 0.5
    assert np.array_equal(stepped("product~", {"a": a, "b": b})[0], a * b)
    assert np.array_equal(stepped("minimum~", {"a": a, "b": b})[0], np.minimum(a, b))
    assert np.array_equal(stepped("maximum~", {"a": a, "b": b})[0], np.maximum(a, b))
    assert np.array_equal(stepped("compare~", {"a": a, "b": b})[0], (a > b).astype(float))


def test_notes_and_decibels_are_exact_where_musicians_look():
    notes = [stepped("midi_to_hz", {"input": note}, audio=False)[0, 0] for note in (69.0, 57.0, 81.0, 60.0)]
    assert notes[:3] == [440.0, 220.0, 880.0]
    assert notes[3] == pytest.approx(261.6255653, abs=1e-6)
    gains = [stepped("db_to_gain", {"input": level}, audio=False)[0, 0] for level in (0.0, -20.0, 6.0)]
    assert gains == pytest.approx([1.0, 0.1, 10 ** (6 / 20)], rel=1e-9)


def test_a_pan_is_equally_loud_everywhere():
    for position in (-1.0, -0.3, 0.0, 0.8, 1.0):
        left, right = stepped("pan~", {"input": 1.0, "position": position})[:, 0]
        assert left**2 + right**2 == pytest.approx(1.0, abs=1e-8)
    assert stepped("pan~", {"input": 1.0, "position": -1.0})[:, 0] == pytest.approx([1.0, 0.0], abs=1e-8)


# --- Filters --------------------------------------------------------------------------------------------------


def response_db(kind, hertz, output=0, **rows):
    """Level of a sine through a filter, dB."""
    wave = sound(kind, 0.5, output, {"x": ("sine~", {"frequency": hertz})}, input={"x": 1.0}, **rows)
    tail = wave[len(wave) // 2 :]
    return 20 * np.log10(tail.std() * np.sqrt(2) + 1e-12)


@pytest.mark.parametrize(("kind", "output"), [("lowpass~", 0), ("svf~", 0)])
def test_a_low_pass_is_flat_below_3_db_down_at_and_12_db_per_octave_above_its_cutoff(kind, output):
    assert response_db(kind, 100.0, output, cutoff=1000.0) == pytest.approx(0.0, abs=0.2)
    assert response_db(kind, 1000.0, output, cutoff=1000.0) == pytest.approx(-3.0, abs=0.2)
    fall = response_db(kind, 4000.0, output, cutoff=1000.0) - response_db(kind, 8000.0, output, cutoff=1000.0)
    assert fall == pytest.approx(12.0, abs=2.0)


def test_a_high_pass_is_the_mirror_of_it():
    assert response_db("highpass~", 8000.0, cutoff=500.0) == pytest.approx(0.0, abs=0.2)
    assert response_db("highpass~", 500.0, cutoff=500.0) == pytest.approx(-3.0, abs=0.2)
    assert response_db("highpass~", 125.0, cutoff=500.0) == pytest.approx(-24.0, abs=1.0)


def test_low_band_and_high_of_an_svf_add_up_to_its_input():
    noise = np.random.default_rng(1).uniform(-1, 1, 2000)
    low, band, high = stepped("svf~", {"input": noise, "cutoff": 700.0, "resonance": 0.6})
    assert low + band + high == pytest.approx(noise, abs=1e-9)


def test_resonance_raises_the_cutoff():
    flat = response_db("svf~", 1000.0, cutoff=1000.0)
    peak = response_db("svf~", 1000.0, cutoff=1000.0, resonance=0.9)
    assert peak > flat + 15


@pytest.mark.parametrize("kind", ["svf~", "lowpass~", "highpass~", "onepole~"])
def test_a_cutoff_modulated_at_audio_rate_does_not_blow_up(kind):
    sources = {"n": ("noise~", {}), "m": ("saw~", {"frequency": 3000.0})}
    rows = {"resonance": 0.95} if kind != "onepole~" else {}
    wave = sound(kind, 1.0, 0, sources, input={"n": 1.0}, cutoff={"one": 6000.0, "m": 15_000.0}, **rows)
    assert np.abs(wave).max() < 50


def test_a_one_pole_is_3_db_down_at_its_cutoff():
    assert response_db("onepole~", 700.0, cutoff=700.0) == pytest.approx(-3.0, abs=0.1)


# --- Delays ---------------------------------------------------------------------------------------------------


def test_a_comb_tuned_to_440_hz_sounds_440_0_hz():
    ring = {"n": ("noise~", {}), "d": ("decay~", {"trigger": 1.0, "time": 0.01})}
    ring["x"] = ("product~", {"a": {"n": 1.0}, "b": {"d": 1.0}})
    wave = sound("comb~", 2.0, 0, ring, input={"x": 1.0}, time=1 / 440, feedback=0.995)
    level = np.abs(np.fft.rfft(wave[4800:] * np.hanning(len(wave) - 4800)))
    hertz = np.fft.rfftfreq(len(wave) - 4800, 1 / RATE)
    near = (hertz > 400) & (hertz < 480)
    k = np.flatnonzero(near)[level[near].argmax()]
    a, b, c = np.log(level[k - 1 : k + 2])
    found = hertz[k] + 0.5 * (a - c) / (a - 2 * b + c) * hertz[1]
    assert found == pytest.approx(440.0, abs=0.05)


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 7, 100, 9000])
def test_a_delay_of_whole_samples_gives_them_back_unchanged(samples):
    graph = graph_of(
        {"n": ("noise~", {}), "u": ("delay~", {"input": {"n": 1.0}, "time": samples / RATE, "feedback": 0.0})}
    )
    both = vm_of(graph)
    x, y = (np.concatenate(part) for part in zip(*[both_rows(both) for _ in range(60)], strict=True))
    assert y[samples:] == pytest.approx(x[:-samples], abs=1e-9)
    assert np.abs(y[:samples]).max() < 1e-9


def both_rows(vm):
    run(vm, 1)
    plan = vm._plan
    return tuple(plan.rows[plan.first_row[index], 8 : 8 + plan.block].copy() for index in range(2))


def test_a_delay_that_glides_bends_the_pitch_and_does_not_click():
    sources = {"x": ("sine~", {"frequency": 500.0}), "t": ("sine~", {"frequency": 0.5})}
    wave = sound("delay~", 2.0, 0, sources, input={"x": 1.0}, time={"one": 0.02, "t": 0.01})
    assert np.abs(np.diff(wave[2400:])).max() < 0.08


def test_echoes_return_by_their_feedback():
    impulse = clicks([0.001], 1.0, 0.1)
    echo = stepped("delay~", {"input": np.concatenate([[0], impulse[:-1]]), "time": 0.01, "feedback": 0.5})[0]
    peaks = [echo[round((0.001 + 0.01 * k) * RATE)] for k in (1, 2, 3)]
    assert peaks == pytest.approx([1.0, 0.5, 0.25], abs=1e-6)


def test_an_all_pass_keeps_every_frequency_as_loud():
    for hertz in (60.0, 333.0, 2222.0, 5000.0):
        assert response_db("allpass~", hertz, time=0.0123, feedback=0.6) == pytest.approx(0.0, abs=0.1)


def test_the_longest_delay_is_a_setting():
    long = sound("delay~", 3.2, 0, {"n": ("noise~", {})}, {"longest": 3.0}, input={"n": 1.0}, time=2.9)
    assert np.abs(long[: round(2.9 * RATE)]).max() == 0.0
    assert np.abs(long[round(2.95 * RATE) :]).max() > 0.5


# --- Accumulators ---------------------------------------------------------------------------------------------


def test_an_accumulator_wired_to_itself_adds_up():
    graph = graph_of({"u": ("accum", {"accum": {"u": 1.0}, "delta": 2.0})}, exports=("u",))
    vm = vm_of(graph)
    run(vm, 5)
    assert [vm.numbers(k)[0] for k in range(1, 6)] == [2, 4, 6, 8, 10]


def test_integrate_adds_per_second_at_every_rate():
    assert numbers("integrate", 240, input=3.0)[-1] == pytest.approx(3.0)
    assert sound("integrate~", 1.0, input=3.0)[-1] == pytest.approx(3.0)


# --- Analysers ------------------------------------------------------------------------------------------------


def test_a_level_follows_loudness_up_and_down_in_its_times():
    burst = np.concatenate([np.ones(RATE // 2), np.zeros(RATE // 2)])
    out = stepped("level~", {"input": burst, "attack": 0.02, "release": 0.1})[0]
    assert out[round(0.02 * RATE)] == pytest.approx(1 - 1 / np.e, abs=0.01)
    assert out[RATE // 2 + round(0.1 * RATE)] == pytest.approx(1 / np.e, abs=0.01)


@pytest.mark.parametrize(("hertz", "loud"), [(80.0, "low"), (700.0, "mid"), (5000.0, "high")])
def test_bands_tells_bass_middle_and_treble_apart(hertz, loud):
    neurons = {"x": ("sine~", {"frequency": hertz}), "ear": ("bands~", {"input": {"x": 0.5}})}
    vm = vm_of(graph_of(neurons, exports=("ear.low", "ear.mid", "ear.high")))
    run(vm, 120)
    found = dict(zip(("low", "mid", "high"), vm.numbers(vm.tick), strict=True))
    assert max(found, key=found.get) == loud
    assert found[loud] > 0.9


def test_the_spectrum_has_sixteen_branches_and_its_peak_where_the_sound_is():
    outputs = tuple(f"ear.spectrum/{k}" for k in range(1, 17))
    peaks = []
    for hertz in (60.0, 250.0, 1000.0, 4000.0):
        neurons = {"x": ("sine~", {"frequency": hertz}), "n": ("noise~", {})}
        neurons["ear"] = ("bands~", {"input": {"x": 0.5, "n": 0.0}})
        vm = vm_of(graph_of(neurons, exports=outputs))
        run(vm, 120)
        levels = vm.state(["ear"])["ear"]["bands~"]["state"].view(float)[32:48]
        peaks.append(int(levels.argmax()))
    assert peaks == [0, 4, 8, 12]


def test_silence_and_faint_hiss_are_not_blown_up_by_the_auto_gain():
    neurons = {"n": ("noise~", {}), "ear": ("bands~", {"input": {"n": 0.0001}})}
    vm = vm_of(graph_of(neurons, exports=("ear.low", "ear.mid", "ear.high")))
    run(vm, 120)
    assert vm.numbers(vm.tick).max() < 0.2


def test_a_block_is_a_tick_of_samples():
    assert BLOCK * TICKS == RATE

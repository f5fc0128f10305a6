"""Laws of the running machine: when an edit takes effect, what hops cost, what is heard."""

import numpy as np
import pytest
from running import lockstep, sound, steps, submit

from dmm_av.network.edits import Crossfade, Cut, Insert, Mute, New, Remove, Set, Setting, Undo

LAMP = """
neurons:
  lamp: {is: lag, input: 0.25, rise: 0, fall: 0}
"""


def weight(run, *entry):
    return run.machine.network.matrix.weights.get(entry)


def test_an_edit_queued_at_tick_k_is_in_the_matrix_of_state_k_plus_2():
    run = lockstep(LAMP)
    steps(run, 5)
    submit(run, Set("lamp.input", "one", 0.7))
    seen = []
    for _ in range(4):
        seen.append(run.machine.outputs["self"]["matrix"]["lamp"]["input"]["one"]["out"])
        run.step()
    assert seen == [0.25, 0.25, 0.7, 0.7]


def test_a_weight_set_twice_in_one_tick_lands_on_the_last_value():
    run = lockstep(LAMP)
    submit(run, Set("lamp.input", "one", 0.3), Set("lamp.input", "one", 0.7))
    steps(run, 3)
    assert weight(run, "lamp", "input", "one", "out") == 0.7


def test_numbers_settle_within_a_tick_however_many_neurons_they_pass():
    run = lockstep(
        """
neurons:
  a: {is: product, a: transport.beat}
  b: {is: product, a: a}
  c: {is: product, a: b}
  d: {is: product, a: {c: 1, transport.beat: -1}}
"""
    )
    steps(run, 20)
    run.machine.refresh()
    assert run.machine.value("transport.beat") > 0.1
    assert run.machine.value("d") == 0.0


def test_parallel_paths_of_sound_stay_aligned():
    gains = "\n".join(f"  g{i}: {{is: product~, a: {'x' if i == 1 else f'g{i - 1}'}}}" for i in range(1, 6))
    wires = "matrix:\n  speakers.both: {x: 1, g5: -1}\n"
    run = lockstep(f"neurons:\n  x: {{is: saw~, frequency: 313}}\n{gains}\n{wires}")
    assert np.max(np.abs(sound(run, 0.5))) == 0.0


def test_a_comb_tuned_to_440_hz_sounds_440_hz():
    run = lockstep(
        """
neurons:
  hit:    {is: clock~, per_beat: 0.001}
  pluck:  {is: decay~, trigger: hit.trigger, time: 0.005}
  hiss:   noise~
  burst:  {is: product~, a: hiss, b: pluck}
  string: {is: comb~, input: burst, time: 0.00227272727272727, feedback: 0.998}
matrix:
  speakers.both: {string: 0.3}
"""
    )
    heard = sound(run, 8.0)[:, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 8 * len(heard)))
    frequency = np.fft.rfftfreq(8 * len(heard), 1 / 48_000)
    band = (frequency > 400) & (frequency < 480)
    peak = frequency[band][np.argmax(spectrum[band])]
    assert peak == pytest.approx(440.0, abs=0.3)


def test_a_loop_through_a_delay_lasts_exactly_its_time():
    run = lockstep(
        """
neurons:
  once: {is: clock~, per_beat: 0.001}
  hit:  {is: decay~, trigger: once.trigger, time: 0.002}
  echo: {is: delay~, input: {hit: 1, echo: 1}, time: 0.01}
matrix:
  speakers.both: {echo: 0.5}
"""
    )
    heard = sound(run, 0.6)[14_400:, 0]
    assert np.abs(heard).max() > 0.2
    assert np.abs(heard[480:] - heard[:-480]).max() < 1e-3
    assert np.abs(heard[481:] - heard[:-481]).max() > 0.05
    assert np.abs(heard[479:] - heard[:-479]).max() > 0.05


def test_random_weight_edits_on_a_sounding_patch_make_no_click():
    run = lockstep(
        """
neurons:
  tone:  {is: sine~, frequency: 200}
  over:  {is: sine~, frequency: 300}
matrix:
  speakers.both: {tone: 0.2, over: 0.1}
"""
    )
    random = np.random.default_rng(1)
    pieces = []
    for _ in range(1_000):
        submit(run, Set("speakers.both", str(random.choice(["tone", "over"])), float(random.uniform(0, 0.25))))
        pieces += [run.step()[0] for _ in range(3)]
    heard = np.concatenate(pieces)[4_800:, 0].astype(float)
    click = (heard - _lowpassed(heard, 8 * 300.0))[2_000:-2_000]  # what no partial of the patch can be
    assert 20 * np.log10(np.max(np.abs(click))) < -60.0


def _lowpassed(x, cutoff_hz):
    spectrum = np.fft.rfft(x)
    spectrum[np.fft.rfftfreq(len(x), 1 / 48_000) > cutoff_hz] = 0
    return np.fft.irfft(spectrum, len(x))


def test_the_sound_begins_with_a_fade_in_of_50_ms_and_stays_below_minus_1_dbfs():
    run = lockstep("neurons:\n  loud: {is: square~, frequency: 100}\nmatrix:\n  speakers.both: {loud: 8}\n")
    heard = np.abs(sound(run, 1.0))
    assert heard[:24].max() < 0.01
    assert 0.5 < heard.max() <= 10 ** (-1 / 20) + 1e-6


def test_a_new_neuron_sounds_and_its_undo_is_silence_again():
    run = lockstep("neurons:\n  one_: {is: sine~, frequency: 440}\nmatrix: {}\n")
    sound(run, 0.2)
    answer = submit(run, New("tone", "sine~"), Set("speakers.both", "tone", 0.3))
    before = sound(run, 0.5)
    assert answer == [None]
    assert np.abs(before[12_000:]).max() == pytest.approx(0.3, abs=0.01)
    submit(run, Undo())
    assert np.abs(sound(run, 0.5)[12_000:]).max() < 1e-4


def test_a_refused_edit_says_why_and_changes_nothing():
    run = lockstep("neurons:\n  tone: {is: sine~, frequency: 440}\nmatrix:\n  speakers.both: {tone: 0.1}\n")
    steps(run, 4)
    before = dict(run.machine.network.matrix.weights)
    answer = submit(run, Set("tone.frequency", "one", 100.0), Set("tone.freqency", "one", 3.0))
    steps(run, 4)
    assert answer == ["edit: no input of `tone` (sine~) is called `freqency`. Did you mean `frequency`?"]
    assert run.machine.network.matrix.weights == before


def test_the_same_patch_gives_the_same_samples_twice():
    text = """
seed: 11
neurons:
  hiss: noise~
  drift: walk
  tone: {is: saw~, frequency: {one: 110, drift: 20}}
  soft: {is: lowpass~, input: {tone: 1, hiss: 0.2}, cutoff: 800}
matrix:
  speakers.both: {soft: 0.3}
"""
    assert np.array_equal(sound(lockstep(text), 1.0), sound(lockstep(text), 1.0))


def test_edits_wait_for_the_bar_when_they_are_told_to():
    run = lockstep("neurons:\n  lamp: {is: lag, input: 0}\nmatrix:\n  transport.tempo: 240\n")
    steps(run, 30)
    submit(run, Set("lamp.input", "one", 1.0), at="bar")
    for _ in range(400):
        run.machine.refresh()
        if weight(run, "lamp", "input", "one", "out") == 1.0:
            break
        run.step()
    assert run.machine.value("transport.beat") == pytest.approx(4.0, abs=0.1)


def test_self_is_edited_by_a_neuron_of_trees():
    run = lockstep(
        """
neurons:
  lamp: {is: lag, input: 0.5, rise: 0, fall: 0}
  pusher: {is: identity, input: pusher}
matrix:
  self.delta: {pusher: 1}
"""
    )
    run.machine.outputs["pusher"] = {"out": {"lamp": {"input": {"one": {"out": 0.01}}}}}
    steps(run, 11)
    assert weight(run, "lamp", "input", "one", "out") == pytest.approx(0.61, abs=1e-9)


def test_insert_crossfade_and_remove_keep_the_sound_finite():
    run = lockstep("neurons:\n  tone: {is: sine~, frequency: 440}\nmatrix:\n  speakers.both: {tone: 0.3}\n")
    sound(run, 0.1)
    inserted = submit(run, Insert("soft", "lowpass~", "speakers.both", "tone"))
    sound(run, 0.1)
    refused = submit(run, Setting("soft", "nothing", 1))
    faded = submit(run, Crossfade("speakers.both", "tone", "soft", 0.5))
    heard = sound(run, 0.2)
    removed = submit(run, Remove("soft"))
    cut = submit(run, Cut("speakers.both", "tone", 0.05))
    sound(run, 0.2)
    assert inserted == faded == removed == cut == [None]
    assert "nothing" in refused[0]
    assert np.isfinite(heard).all() and np.abs(heard).max() > 0.05
    assert np.abs(sound(run, 0.1)).max() < 1e-3  # the DC blocker settles


def test_an_undo_brings_a_removed_neuron_back_with_the_state_it_had():
    run = lockstep("neurons:\n  lamp: {is: integrate, input: 1}\n")
    steps(run, 240)
    submit(run, Remove("lamp"))
    steps(run, 100)
    submit(run, Undo())
    steps(run, 5)
    run.machine.refresh()
    assert run.machine.value("lamp") == pytest.approx(1.0, abs=0.05)


def test_a_weight_set_together_with_a_new_neuron_is_heard_too():
    run = lockstep(LAMP)
    steps(run, 5)
    submit(run, Set("lamp.input", "one", 0.7), New("other", "sine"))
    steps(run, 5)
    run.machine.refresh()
    assert run.machine.value("lamp") == pytest.approx(0.7)


def test_any_number_of_a_picture_can_be_modulated_live():
    run = lockstep("neurons:\n  swing: sine\n  waves: stripes\nmatrix:\n  screen.image: waves\n")
    steps(run, 8)
    before = run.machine.frame().values
    assert submit(run, Set("waves.angle", "swing", 0.5), Set("waves.frequency", "swing", 3.0)) == []
    steps(run, 8)
    after = run.machine.frame().values
    assert len(before) == len(after)
    assert not np.array_equal(before, after)


def test_a_neuron_that_is_not_finite_is_muted_and_named_and_an_edit_wakes_it():
    run = lockstep("neurons:\n  burst: {is: product, a: 1e200, b: 1e200}\n  heard: {is: product, a: burst}\n")
    steps(run, 240 * 5)
    run.machine.refresh()
    assert run.machine.value("heard") == 0.0
    said = [notice.sentence for notice in run.machine.notices if notice.where == "burst"]
    assert len(said) == 2 and "until you edit it" in said[1]
    submit(run, Set("burst.a", "one", 3e-200))
    steps(run, 10)
    run.machine.refresh()
    assert run.machine.value("heard") == pytest.approx(3.0)


def test_what_is_set_while_a_neuron_is_muted_is_what_it_has_afterwards():
    run = lockstep("neurons:\n  tone: {is: sine~}\nmatrix:\n  speakers.both: {tone: 0.5}\n")
    submit(run, Mute("tone"))
    steps(run, 8)
    submit(run, Set("speakers.both", "tone", 0.3))
    steps(run, 8)
    submit(run, Mute("tone", False))
    steps(run, 8)
    assert weight(run, "speakers", "both", "tone", "out") == 0.3


def test_a_tick_that_fails_is_told_and_the_next_one_comes(monkeypatch):
    run = lockstep(LAMP)
    steps(run, 3)
    monkeypatch.setattr(run.machine, "_run_trees", lambda streams: 1 / 0)
    answer = submit(run, Set("lamp.input", "one", 0.7))
    steps(run, 2)
    monkeypatch.undo()
    steps(run, 2)
    assert "ZeroDivisionError" in answer[0]
    assert submit(run, Set("lamp.input", "one", 0.6)) == []
    steps(run, 3)
    assert weight(run, "lamp", "input", "one", "out") == 0.6


def test_an_empty_row_of_a_built_in_neuron_leaves_its_default_out():
    run = lockstep("neurons:\n  tone: sine~\nmatrix:\n  transport.run: {}\n  speakers.right: {}\n")
    steps(run, 20)
    run.machine.refresh()
    assert run.machine.value("transport.beat") == 0.0

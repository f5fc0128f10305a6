"""Fields: what their equations keep, how they die away, and how they compare with computations written apart."""

import numpy as np
import pytest
from running import lockstep, steps, submit

from dmm_av.activations.fields import gaussians, gray_scott_step, laplacian, wave_energy, wave_step
from dmm_av.network.edits import Set


def bumps(shape=(24, 32)):
    return np.random.Generator(np.random.Philox(key=5)).standard_normal(shape)


@pytest.mark.parametrize("edge", ["wrap", "fixed", "free"])
def test_a_wave_without_damping_keeps_its_energy(edge):
    before = bumps()
    now = before + 0.1 * bumps()[::-1]
    begun = wave_energy(now, before, 0.5, edge)
    for _ in range(500):
        now, before = wave_step(now, before, 0.5, 0.0, 0.0, edge), now
    assert wave_energy(now, before, 0.5, edge) == pytest.approx(begun, rel=1e-9)


def test_with_damping_d_it_dies_away_as_exp_of_minus_d_t():
    now = before = np.cos(2 * np.pi * 4 * np.arange(64) / 64) * np.ones((8, 1))
    begun = wave_energy(now, before, 0.5, "wrap")
    for _ in range(400):
        now, before = wave_step(now, before, 0.5, 0.01, 0.0, "wrap"), now
    assert wave_energy(now, before, 0.5, "wrap") / begun == pytest.approx(np.exp(-4.0), rel=0.05)


def test_a_plane_wave_turns_as_fast_as_the_scheme_says():
    k, courant = 2 * np.pi * 3 / 64, 0.5
    turn = 2 * np.arcsin(courant * np.sin(k / 2))  # of a step: sin(w/2) = c sin(k/2)
    wave = [np.cos(k * np.arange(64) - turn * t) * np.ones((4, 1)) for t in range(301)]
    now, before = wave[1], wave[0]
    for _ in range(299):
        now, before = wave_step(now, before, courant, 0.0, 0.0, "wrap"), now
    assert np.abs(now - wave[300]).max() < 1e-9


def test_nothing_flows_through_a_free_edge_nor_off_a_torus():
    for edge in ("wrap", "free"):
        assert laplacian(bumps(), edge).sum() == pytest.approx(0.0, abs=1e-9)


def test_a_push_in_the_middle_reaches_a_place_when_its_distance_is_travelled():
    run = lockstep(
        "format: 1\nneurons:\n"
        "  stones: {is: sources, width: 0.03, rows: 65, columns: 65, places: [[0.5, 0.5]], strength: [1]}\n"
        "  pond: {is: wave_field, rows: 65, columns: 65, source: stones, speed: 0.5, damping: 0, edge: fixed}\n"
    )
    heard = []
    for _ in range(80):
        run.step()
        heard.append(abs(float(run.machine.outputs["pond"]["out"][32, 52])))
    arrived = next(k for k, height in enumerate(heard) if height > 0.05 * max(heard))
    assert 26 <= arrived <= 44  # 20 cells at half a cell a tick, less the width of the bell


def test_the_uniform_states_of_gray_scott_stay():
    feed, kill = 0.06, 0.05
    root = np.sqrt(1 - 4 * (feed + kill) ** 2 / feed)
    for u, v in [(1.0, 0.0)] + [((1 + s * root) / 2, feed * (1 - s * root) / 2 / (feed + kill)) for s in (1, -1)]:
        fields = gray_scott_step(np.full((6, 7), u), np.full((6, 7), v), feed, kill, 0.16, 0.08, 0.0, "wrap")
        assert fields[0] == pytest.approx(u, abs=1e-12) and fields[1] == pytest.approx(v, abs=1e-12)


def by_loops(u, v, feed, kill):
    """A step of Gray and Scott on a torus, cell by cell."""
    rows, columns = len(u), len(u[0])
    more_u, more_v = [], []
    for i in range(rows):
        line_u, line_v = [], []
        for j in range(columns):
            spread = [
                s[i - 1][j] + s[(i + 1) % rows][j] + s[i][j - 1] + s[i][(j + 1) % columns] - 4 * s[i][j] for s in (u, v)
            ]
            eaten = u[i][j] * v[i][j] ** 2
            line_u.append(u[i][j] + 0.16 * spread[0] - eaten + feed * (1 - u[i][j]))
            line_v.append(v[i][j] + 0.08 * spread[1] + eaten - (feed + kill) * v[i][j])
        more_u.append(line_u)
        more_v.append(line_v)
    return more_u, more_v


GROWING = (
    "format: 1\nseed: {seed}\nneurons:\n"
    "  skin: {{is: reaction_diffusion, rows: {rows}, columns: {columns}, {more}}}\n"
)


def test_reaction_diffusion_equals_loops_over_cells():
    run = lockstep(GROWING.format(seed=1, rows=16, columns=20, more="steps: 1, feed: 0.04, kill: 0.06"))
    steps(run, 1)
    u, v = (run.machine.outputs["skin"][name].astype(float).tolist() for name in ("food", "out"))
    steps(run, 100)
    for _ in range(100):
        u, v = by_loops(u, v, 0.04, 0.06)
    assert np.abs(run.machine.outputs["skin"]["out"] - np.array(v)).max() < 1e-4


def test_whatever_it_began_with_spots_fill_the_field_alike_and_with_more_killing_all_dies():
    means = []
    for seed in (1, 2, 3):
        run = lockstep(GROWING.format(seed=seed, rows=48, columns=48, more="steps: 32, feed: 0.037, kill: 0.06"))
        steps(run, 130)
        skin = run.machine.outputs["skin"]
        means.append(skin["mean"])
        assert skin["spread"] > 0.08 and skin["out"].max() < 0.6
    assert max(means) - min(means) < 0.15 * np.mean(means)
    dying = lockstep(GROWING.format(seed=1, rows=48, columns=48, more="steps: 32, feed: 0.037, kill: 0.08"))
    steps(dying, 160)
    assert dying.machine.outputs["skin"]["out"].max() < 1e-3


def test_a_bell_stands_where_it_is_put_and_is_round_on_any_field():
    field = gaussians([(0.24375, 0.7625, 2.0)], 40, 80, 0.1)
    row, column = np.unravel_index(field.argmax(), field.shape)
    assert (row, column) == (9, 19)
    assert field.max() == pytest.approx(2.0, rel=1e-6)
    assert field.sum() == pytest.approx(2.0 * 2 * np.pi * (0.1 * 40) ** 2, rel=0.03)
    assert field[row, column + 6] == pytest.approx(field[row - 6, column], rel=1e-5)


def test_edits_of_any_size_never_make_a_field_infinite():
    run = lockstep(
        "format: 1\nneurons:\n  pond: {is: wave_field, source: 1}\n  skin: {is: reaction_diffusion, source: 1}\n"
    )
    for port in ("pond.source", "pond.speed", "pond.damping", "skin.source", "skin.feed", "skin.kill", "skin.steps"):
        submit(run, Set(port, "one", 1e30))
        steps(run, 20)
    submit(run, Set("pond.damping", "one", -5.0), Set("skin.feed", "one", -5.0))
    steps(run, 60)
    for outputs in (run.machine.outputs["pond"], run.machine.outputs["skin"]):
        assert all(np.isfinite(stream).all() for stream in outputs.values())
    assert not any(notice.is_error for notice in run.machine.notices)

"""Fields: matrices that live by themselves on a rectangle, computed on the tree side, where neurons can read them.

Where neurons stand, what they read of a field and what it does to weights is the business of machine and patch.
"""

from dataclasses import dataclass, replace

import numpy as np

from dmm_av.network.activation import Input, Output, Setting, tree
from dmm_av.streams.kinds import Kind
from dmm_av.streams.linear import resized
from dmm_av.streams.units import UNITS
from dmm_av.streams.vvalue import number_at

LARGEST = np.float32(1e3)
MOST_CELLS = 512  # a side


def laplacian(field, edge):
    """Sum of the four neighbours minus four times the cell.

    edge   `wrap`: a torus; `fixed`: zero outside; `free`: the border repeats, nothing flows through it
    """
    if edge == "wrap":
        around = np.pad(field, 1, mode="wrap")
    elif edge == "free":
        around = np.pad(field, 1, mode="edge")
    else:
        around = np.pad(field, 1)
    return around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:] - np.float32(4) * field


def wave_step(now, before, courant, damping, driven, edge):
    """The next state of the damped wave equation u_tt + d u_t = c² (u_xx + u_yy) + s, by central differences.

    courant   c in cells per step, at most sqrt(1/2) for a stable scheme
    damping   d per step
    driven    s per step²
    """
    half = np.float32(0.5 * damping)
    pushed = np.float32(courant) ** 2 * laplacian(now, edge) + driven
    return (2 * now - (1 - half) * before + pushed) / (1 + half)


def wave_energy(now, before, courant, edge):
    """The energy that an undamped, undriven step keeps: of motion, plus of slopes between both states."""
    moved = now - before
    return float(0.5 * np.sum(moved * moved) - 0.5 * courant**2 * np.sum(now * laplacian(before, edge)))


def gray_scott_step(u, v, feed, kill, u_flow, v_flow, added, edge):
    """One step of u' = Du Δu - u v² + F (1 - u), v' = Dv Δv + u v² - (F + k) v, of length 1.

    Source: P. Gray, S. K. Scott, Chem. Eng. Sci. 39 (1984); J. E. Pearson, Science 261 (1993).
    """
    eaten = u * v * v
    return (
        u + u_flow * laplacian(u, edge) - eaten + feed * (1 - u),
        v + v_flow * laplacian(v, edge) + eaten - (feed + kill) * v + added,
    )


def gaussians(places, rows, columns, width):
    """The sum of bells with these centres and strengths: float32 (rows, columns), row 0 on top.

    places   [(x, y, strength)]: uv, (0, 0) bottom left, (1, 1) top right
    width    standard deviation, part of the field's height
    """
    found = np.zeros((rows, columns), np.float32)
    x = (np.arange(columns) + 0.5) / rows  # in heights, so that bells are round
    y = 1.0 - (np.arange(rows) + 0.5) / rows
    for at_x, at_y, strength in places:
        across = np.exp(-0.5 * ((x - at_x * columns / rows) / width) ** 2)
        down = np.exp(-0.5 * ((y - at_y) / width) ** 2)
        found += np.float32(strength) * np.outer(down, across).astype(np.float32)
    return found


@dataclass(frozen=True)
class _Field:
    """What a field keeps from tick to tick: its shape, two matrices, its clock, what it gave last."""

    shape: tuple
    first: np.ndarray
    second: np.ndarray
    waited: float
    trigger: float
    outputs: dict


def _whole(value, least, most):
    return int(min(max(value, least), most)) if isinstance(value, int | float) else least


def _sized(matrix, shape):
    if not isinstance(matrix, np.ndarray):
        return np.float32(0)
    if matrix.size == 1:
        return np.clip(matrix.reshape(()), -LARGEST, LARGEST)
    return np.clip(matrix if matrix.shape == shape else resized(matrix, shape[::-1]), -LARGEST, LARGEST)


def _bounded(field):
    if np.abs(field).max(initial=0.0) <= LARGEST:
        return field
    return np.clip(np.nan_to_num(field, nan=0.0), -LARGEST, LARGEST)


SHAPE = (
    Setting("rows", "integer", 48, about="of the field, 2 to 512"),
    Setting("columns", "integer", 64, about="of the field, 2 to 512"),
    Setting("edge", "choice", "wrap", ("wrap", "fixed", "free"), about="torus; zero outside; nothing flows out"),
)
EVERY = Input("every", Kind.NUMBER, 1.0, UNITS["number"], about="ticks from step to step")
TRIGGER = Input("trigger", Kind.NUMBER, about="begins anew where it rises above 0")


@tree(
    inputs=(
        EVERY,
        TRIGGER,
        Input("source", Kind.MATRIX, about="what pushes the field, a step"),
        Input("speed", Kind.NUMBER, 0.5, about="cells that a wave travels in a step, 0 to 0.7"),
        Input("damping", Kind.NUMBER, 0.01, about="part of the motion that is lost in a step"),
    ),
    outputs=(
        Output("out", Kind.MATRIX, about="the field"),
        Output("energy", Kind.NUMBER, about="mean energy of a cell"),
    ),
    settings=SHAPE,
    stateful=True,
)
def wave_field(every, trigger, source, speed, damping, settings, state):
    """A field of waves: what pushes it spreads in rings, meets and dies away.

    Source: the damped wave equation, central differences in space and time.
    """
    shape = tuple(_whole(settings[name], 2, MOST_CELLS) for name in ("rows", "columns"))
    if state is None or state.shape != shape or trigger > 0.0 >= state.trigger:
        flat = np.zeros(shape, np.float32)
        state = _Field(shape, flat, flat, 0.0, trigger, {"out": flat, "energy": 0.0})
        return state.outputs, state
    waited, period = state.waited + 1.0, max(every, 1.0)
    if waited < period:
        return state.outputs, replace(state, waited=waited, trigger=trigger)
    edge, courant = settings["edge"], min(max(speed, 0.0), 0.7)
    driven = _sized(source, shape)
    following = wave_step(state.first, state.second, courant, min(max(damping, 0.0), 2.0), driven, edge)
    following = _bounded(following.astype(np.float32, copy=False))
    energy = wave_energy(following, state.first, courant, edge) / following.size
    outputs = {"out": following, "energy": energy}
    return outputs, _Field(shape, following, state.first, min(waited - period, 1.0), trigger, outputs)


@tree(
    inputs=(
        EVERY,
        TRIGGER,
        Input("source", Kind.MATRIX, about="added to v in a tick: where something new may grow"),
        Input("feed", Kind.NUMBER, 0.037, about="how fast u is fed"),
        Input("kill", Kind.NUMBER, 0.06, about="how fast v dies"),
        Input("steps", Kind.NUMBER, 4.0, about="steps at once, 1 to 32"),
    ),
    outputs=(
        Output("out", Kind.MATRIX, about="v, the pattern, about 0 to 0.5"),
        Output("food", Kind.MATRIX, about="u, what it feeds on, 0 to 1"),
        Output("mean", Kind.NUMBER, about="mean of v"),
        Output("spread", Kind.NUMBER, about="standard deviation of v"),
    ),
    settings=(*SHAPE, Setting("seeds", "integer", 12, about="squares of v that it begins with")),
    stateful=True,
)
def reaction_diffusion(every, trigger, source, feed, kill, steps, settings, clock, state):
    """Two substances that feed on each other and spread: spots that divide, worms, mazes.

    Source: Gray and Scott, Chem. Eng. Sci. 39 (1984); parameters as in Pearson, Science 261 (1993), Du 0.16, Dv 0.08.
    """
    shape = tuple(_whole(settings[name], 2, MOST_CELLS) for name in ("rows", "columns"))
    if state is None or state.shape != shape or trigger > 0.0 >= state.trigger:
        u, v = first_substances(shape, _whole(settings["seeds"], 0, 1000), clock.seed)
        state = _Field(shape, u, v, 0.0, trigger, _substances(u, v))
        return state.outputs, state
    waited, period = state.waited + 1.0, max(every, 1.0)
    if waited < period:
        return state.outputs, replace(state, waited=waited, trigger=trigger)
    u, v = state.first, state.second
    added = _sized(source, shape)
    feed, kill = (np.float32(min(max(rate, 0.0), 0.2)) for rate in (feed, kill))
    for step in range(_whole(steps, 1, 32)):
        more = added if step == 0 else np.float32(0)
        u, v = gray_scott_step(u, v, feed, kill, np.float32(0.16), np.float32(0.08), more, settings["edge"])
        u, v = np.clip(u, 0.0, 1.0), np.clip(v, 0.0, 1.0)  # sources of any size must not make it burst
    outputs = _substances(u, v)
    return outputs, _Field(shape, u, v, min(waited - period, 1.0), trigger, outputs)


def first_substances(shape, seeds, seed):
    """u 1 and v 0, but for squares of u 0.5, v 0.25 at places that the seed gives, a little uneven."""
    generator = np.random.Generator(np.random.Philox(key=seed))
    u, v = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    side = max(2, min(shape) // 12)
    for _ in range(seeds):
        rows = (generator.integers(shape[0]) + np.arange(side)) % shape[0]
        columns = (generator.integers(shape[1]) + np.arange(side)) % shape[1]
        u[np.ix_(rows, columns)] = 0.5
        v[np.ix_(rows, columns)] = 0.25 + 0.02 * generator.random((side, side), np.float32)
    return u, v


def _substances(u, v):
    return {"out": v, "food": u, "mean": float(v.mean(dtype=np.float64)), "spread": float(v.std(dtype=np.float64))}


@tree(
    inputs=(
        Input("strength", Kind.NUMBER, family=True, about="how strong the source at the k-th place is"),
        Input("width", Kind.NUMBER, 0.06, about="of a bell, part of the field's height"),
    ),
    outputs=(Output("out", Kind.MATRIX, about="the sum of all bells"),),
    settings=(
        Setting("places", "list", [[0.5, 0.5]], about="[x, y] of every source, uv: [0, 0] is bottom left"),
        Setting("rows", "integer", 48, about="of the field, 2 to 512"),
        Setting("columns", "integer", 64, about="of the field, 2 to 512"),
    ),
    stateful=True,
)
def sources(strength, width, ports, settings, state):
    """Bells at places of a field, each as strong as a number says.

    Source: a sum of Gaussians.
    """
    rows, columns = (_whole(settings[name], 2, MOST_CELLS) for name in ("rows", "columns"))
    places = []
    for k, place in enumerate(settings["places"] or ()):
        how_strong = ports.get(f"strength/{k + 1}", 0.0)
        if how_strong and isinstance(place, list | tuple) and len(place) == 2:
            places.append((*(number_at(at) for at in place), min(max(how_strong, -LARGEST), LARGEST)))
    asked = (tuple(places), rows, columns, max(width, 1e-3))
    if state is not None and state[0] == asked:
        return {"out": state[1]}, state
    field = gaussians(*asked)
    return {"out": field}, (asked, field)

"""How fast networks of trees run: the wave and the ring of updates, and a thousand neurons. Processor time."""

import random
import statistics
import time

from bench.rows import Row
from dmm_av.activations.library import open_library
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.network.edits import Group, Set
from dmm_av.network.patch import parse_patch
from dmm_av.scheduler.machine import Machine

REFERENCE = {3: 160_000.0, 300: 2_150.0}  # ticks/s of the Clojure engine on two cores of an EPYC
NEURONS, GROUPS, FAN_IN = 1_000, 10, 5
ROUNDS = 5
SETTLED = 400  # ticks until what rests is at rest to the last bit


def machine(text):
    """A machine of a patch given as text, without sound running."""
    library = open_library()
    patch = parse_patch(text, "bench", library)
    return Machine(patch, library, SignalVM(patch.rates.sample, patch.rates.tick))


def ring(count):
    """Updates that hand one link to `self.delta` on, as a patch."""
    lines = ["rates: {hops: strict}", "neurons:"]
    for i in range(count):
        update = f"{{self: {{delta: {{u{i}: {{out: -1}}, u{(i + 1) % count}: {{out: 1}}}}}}}}"
        lines.append(f"  u{i}: {{is: constant, tree: {update}}}")
    row = ", ".join(f"u{i}: {0 if i else 1}" for i in range(count))
    return "\n".join([*lines, "matrix:", f"  self.delta: {{{row}}}", ""])


def crowd(moving):
    """A thousand identities with five weights each, in ten groups; so many groups follow a counter, the others rest."""
    draw = random.Random(1)
    lines = ["rates: {hops: strict}", "neurons:", "  step: {is: timer, input: step}"]
    size = NEURONS // GROUPS
    for i in range(NEURONS):
        group = [j for j in range(i // size * size, i // size * size + size) if j != i]
        row = {f"n{i}": 0.5, "step" if i // size < moving else "one": 0.001}
        row |= {f"n{j}": round(draw.uniform(-0.15, 0.15), 3) for j in draw.sample(group, FAN_IN - 2)}
        lines.append(f"  n{i}: {{is: identity, input: {{{', '.join(f'{name}: {w}' for name, w in row.items())}}}}}")
    return "\n".join([*lines, ""])


def per_tick(running, ticks):
    """Median over rounds of the processor time of a tick, seconds."""
    taken = []
    for _ in range(ROUNDS + 1):
        begun = time.thread_time()
        for _ in range(ticks):
            running.tick()
        taken.append((time.thread_time() - begun) / ticks)
    return statistics.median(taken[1:])


def updates(count, ticks):
    """A row: ticks a second of a ring of updates, beside the reference engine's."""

    def measure(_peers=True):
        speed = 1.0 / per_tick(machine(ring(count)), ticks)
        return [Row(f"ring of {count} updates", speed, "ticks/s", "Clojure engine, noted", REFERENCE[count])]

    return measure


def thousand(_peers=True):
    """Rows: a tick of a thousand neurons where most rest and where all move, and an edit of it."""
    resting, moving = machine(crowd(1)), machine(crowd(GROUPS))
    for running in (resting, moving):
        for _ in range(SETTLED):
            running.tick()
    rows = [
        Row("1,000 tree neurons, 5,000 weights, a tenth moves", per_tick(resting, 30) * 1e3, "ms"),
        Row("1,000 tree neurons, 5,000 weights, all move", per_tick(moving, 10) * 1e3, "ms"),
    ]
    return [*rows, Row("edit of one weight of it, submitted and resolved", live_edit(resting) * 1e6, "µs")]


def live_edit(running, count=60):
    """Processor seconds that an edit adds to the two ticks in which it is taken in and resolved."""
    plain, edited = [], []
    for turn in range(2 * count):
        begun = time.thread_time()
        if turn % 2:
            running.submit(Group((Set("n950.input", "n950", 0.5 + turn / 1e4),), "panel"))
        running.tick()
        running.tick()
        (edited if turn % 2 else plain).append(time.thread_time() - begun)
        for _ in range(4):
            running.tick()  # what the edit set in motion is no part of it
    return statistics.median(edited) - statistics.median(plain)


FIGURES = {"wave": updates(3, 5_000), "ring": updates(300, 2_000), "trees": thousand}

"""Signal activations run the slow, plain way: the step itself, one number at a time, no compiler.

Here are what a step is handed in plain Python (clock, phase, delay lines, banks, families) and `PlainNeuron`, which
keeps them from step to step. The fast loops are compared with it; it knows no network.
"""

from collections import namedtuple
from inspect import signature

from dmm_av.streams.dsp import float_of

Clock = namedtuple("Clock", "rate audio step")

WORD = (1 << 64) - 1
LINE_MARGIN = 4  # steps that four-point reading needs beyond the longest delay


class Line:
    """A delay line of plain numbers."""

    def __init__(self, steps):
        self.length = 1 << max(3, (int(steps) + LINE_MARGIN - 1).bit_length())
        self.numbers = [0.0] * self.length
        self.position = 0

    def tap(self, distance):
        return self.numbers[(self.position - distance) % self.length]

    def reach(self):
        return self.length - 1 - 3.0

    def push(self, value):
        self.numbers[self.position % self.length] = float(value)
        self.position += 1


class Numbers:
    """A bank or a family as a list of plain numbers."""

    def __init__(self, numbers):
        self.numbers = numbers

    def at(self, index):
        return self.numbers[index]

    def put(self, index, value):
        self.numbers[index] = float(value)

    def count(self):
        return len(self.numbers)


def turns_of(word):
    """A fixed-point phase as a float in [0, 1)."""
    return float_of((word & WORD) >> 12 | 0x3FF0000000000000) - 1.0


def fixed_of(turn):
    """Cycles per step as a fixed-point increment modulo one cycle."""
    r = turn - (turn + 0.5) // 1.0
    return int(r * 18446744073709551616.0) & WORD


def chance(key, counter):
    """The random number in [-1, 1) at a place of a neuron's sequence; see step_code."""
    z = (key + counter * 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & WORD
    return 2.0 * turns_of(z ^ z >> 31) - 1.0


def random_key(seed, place):
    """The key of a neuron's `place`-th random sequence, from the neuron's seed."""
    z = (seed * 0xD1342543DE82EF95 + (place + 1) * 0x2545F4914F6CDD1D) & WORD
    z = ((z ^ z >> 32) * 0xBF58476D1CE4E5B9) & WORD
    return z ^ z >> 29


class PlainNeuron:
    """One signal activation with its state, stepped in plain Python."""

    def __init__(self, activation, rate, audio, seed=0, settings=None, families=None):
        self.activation = activation
        self.clock = Clock(float(rate), 1.0 if audio else 0.0, 1.0 / rate)
        self.integrand = activation.notes["integrand"]
        self.phase = 0
        self.kept = {}
        self.randoms = {}
        longest = (settings or {}).get("longest")
        for name, role, default in activation.notes["parameters"]:
            if role == "state":
                self.kept[name] = float(default)
            elif role == "memory":
                self.kept[name] = Line((longest if longest is not None else default) * rate)
            elif role == "bank":
                self.kept[name] = Numbers([0.0] * int(default))
            elif role == "random":
                self.randoms[name] = [random_key(seed, len(self.randoms)), 0]
        self.families = families or {}

    def arguments(self, inputs):
        """What the body is called with: {parameter: value}."""
        frequency = (
            self.integrand(*(inputs[name] for name in signature(self.integrand).parameters)) if self.integrand else 0.0
        )
        turn = frequency * self.clock.step
        turn = turn if abs(turn) < 1e9 else 0.0
        found = {}
        for name, role, _ in self.activation.notes["parameters"]:
            if role == "input":
                found[name] = inputs[name]
            elif role == "family":
                size = self.families.get(name, 0)
                found[name] = Numbers([inputs.get(f"{name}/{k + 1}", 0.0) for k in range(size)])
            elif role == "random":
                found[name] = chance(*self.randoms[name])
            elif role in ("state", "memory", "bank"):
                found[name] = self.kept[name]
            else:
                found[name] = {"clock": self.clock, "phase": turns_of(self.phase), "turn": turn}[role]
        self.phase = (self.phase + fixed_of(turn)) & WORD
        return found

    def step(self, inputs):
        """Outputs of one step, in the order of the declaration."""
        results = self.activation.body(**self.arguments(inputs))
        results = results if isinstance(results, tuple) else (results,)
        for random in self.randoms.values():
            random[1] += 1
        outputs = len(self.activation.notes.get("flat_outputs") or self.activation.outputs)
        kept = iter(results[outputs:])
        for name, role, _ in self.activation.notes["parameters"]:
            if role == "state":
                self.kept[name] = float(next(kept))
            elif role == "memory":
                self.kept[name].push(next(kept))
        return [float(value) for value in results[:outputs]]


def plain_arguments(activation, rate=48_000.0):
    """Arguments with which a step can be tried: its defaults and fresh state."""
    inputs = {
        name: float(default) if isinstance(default, int | float) else 0.0
        for name, role, default in activation.notes["parameters"]
        if role == "input"
    }
    families = {name: 4 for name, role, _ in activation.notes["parameters"] if role == "family"}
    return PlainNeuron(activation, rate, True, families=families).arguments(inputs)

"""Signal activations run the slow, plain way: the step itself, one number at a time, no compiler. Tests use it.

`PlainNeuron` keeps clock, phase, delay lines, banks and random sequences from step to step. The fast loops are
compared with it; it knows no network.
"""

from dmm_av.engine.plain_step import Line, Numbers, cycles_per_step
from dmm_av.engine.signal_vm import random_key
from dmm_av.engine.step_code import Clock
from dmm_av.streams.dsp import float_of

WORD = (1 << 64) - 1


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
        turn = cycles_per_step(self.integrand, inputs, self.clock.step)
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

"""What a signal step is handed in plain Python, without the compiler: clock, delay lines, banks, families.

Enough to try a step once before it is compiled. The loops that run steps are in `step_compiler`.
"""

from inspect import signature

from dmm_av.engine.step_code import Clock

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


def cycles_per_step(integrand, inputs, step):
    """How far the phase turns in a step of `step` seconds; nothing where no phase could follow.

    integrand   function of some inputs that gives cycles per second, or None
    """
    frequency = integrand(*(inputs[name] for name in signature(integrand).parameters)) if integrand else 0.0
    turn = frequency * step
    return turn if abs(turn) < 1e9 else 0.0


def plain_arguments(activation, rate=48_000.0):
    """Arguments with which a step can be tried: its defaults and fresh state."""
    parameters = activation.notes["parameters"]
    inputs = {
        name: float(default) if isinstance(default, int | float) else 0.0
        for name, role, default in parameters
        if role == "input"
    }
    clock = Clock(float(rate), 1.0, 1.0 / rate)
    turn = cycles_per_step(activation.notes["integrand"], inputs, clock.step)
    fresh = {
        "input": lambda name, _: inputs[name],
        "family": lambda *_: Numbers([0.0] * 4),
        "random": lambda *_: 0.5,
        "state": lambda _, default: float(default),
        "memory": lambda _, default: Line(default * rate),
        "bank": lambda _, default: Numbers([0.0] * int(default)),
        "clock": lambda *_: clock,
        "phase": lambda *_: 0.0,
        "turn": lambda *_: turn,
    }
    return {name: fresh[role](name, default) for name, role, default in parameters}

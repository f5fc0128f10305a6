"""Writes synth definitions of the SuperCollider server (`SCgf`, version 2), in place of sclang. Plays nothing."""

import struct
from dataclasses import dataclass, field

SCALAR, CONTROL, AUDIO = 0, 1, 2
MULTIPLY, ADD, TANH = 2, 0, 36  # operators of BinaryOpUGen and UnaryOpUGen


@dataclass(frozen=True)
class Wire:
    """One output of one unit generator of a definition."""

    unit: int
    output: int


@dataclass
class SynthDef:
    """A graph of unit generators, written in the order in which it is built.

    Source: SuperCollider's reference page "Synth Definition File Format".
    """

    name: str
    constants: dict = field(default_factory=dict)
    units: list = field(default_factory=list)

    def unit(self, kind, *inputs, outputs=1, rate=AUDIO, special=0):
        """Adds a unit generator; inputs are wires or numbers; returns its wire, or a list of them."""
        wires = b"".join(self._input(value) for value in inputs)
        head = pascal(kind) + struct.pack(">biih", rate, len(inputs), outputs, special)
        self.units.append(head + wires + struct.pack(">b", rate) * outputs)
        made = [Wire(len(self.units) - 1, output) for output in range(outputs)]
        return made[0] if outputs == 1 else made

    def multiply(self, a, b):
        return self.unit("BinaryOpUGen", a, b, special=MULTIPLY)

    def multiply_add(self, a, b, c):
        """a * b + c in one unit generator, as sclang writes it."""
        return self.unit("MulAdd", a, b, c)

    def tanh(self, a):
        return self.unit("UnaryOpUGen", a, special=TANH)

    def total(self, makers):
        """The sum of wires that are made one after the other, so that few of them are alive at once.

        makers   functions without arguments, each adds its unit generators and returns a wire
        Sums with Sum4 and Sum3, as sclang's optimiser does.
        """
        waiting = []
        for maker in makers:
            waiting.append(maker())
            if len(waiting) == 4:
                waiting = [self.unit("Sum4", *waiting)]
        if len(waiting) == 1:
            return waiting[0]
        if len(waiting) == 2:
            return self.unit("BinaryOpUGen", *waiting, special=ADD)
        return self.unit("Sum3", *waiting)

    def write(self, path):
        """Writes the definition as a file that `/d_load` reads."""
        constants = struct.pack(f">i{len(self.constants)}f", len(self.constants), *self.constants)
        no_parameters, no_variants = struct.pack(">ii", 0, 0), struct.pack(">h", 0)
        units = struct.pack(">i", len(self.units)) + b"".join(self.units)
        path.write_bytes(
            b"SCgf" + struct.pack(">ih", 2, 1) + pascal(self.name) + constants + no_parameters + units + no_variants
        )

    def _input(self, value):
        if isinstance(value, Wire):
            return struct.pack(">ii", value.unit, value.output)
        return struct.pack(">ii", -1, self.constants.setdefault(float(value), len(self.constants)))


def pascal(text):
    """A string with its length in the first byte."""
    return struct.pack(">B", len(text)) + text.encode("ascii")

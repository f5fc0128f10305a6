"""Memory without a formula: sums that go on from step to step. Delay lines and pictures are elsewhere."""

from dmm_av.network.activation import Delayed, State, signal
from dmm_av.streams.units import UNITS, Number


@signal(out=UNITS["number"])
def accum(accum: Delayed[Number] = 0.0, delta: Delayed[Number] = 0.0):
    """Sum of two inputs one step ago; wired to itself with weight 1 it is a memory.

    accum   usually its own output
    delta   what is added each step
    out     accum + delta
    """
    return accum + delta


@signal(out=UNITS["number"])
def integrate(clock, input: Number, total: State = 0.0):
    """Adds up its input over time.

    input   change per second
    out     the sum so far, from 0
    """
    total = total + input * clock.step
    return total, total

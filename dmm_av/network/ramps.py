"""Weights on their way, tick by tick. A ramp of a set or cut owns its entry; ramps of adds go on beside each other."""

from dataclasses import dataclass

from dmm_av.errors import EditError
from dmm_av.network.matrix import Key


@dataclass(slots=True)
class Ramp:
    """One ramp.

    target   weight on which a set lands; None: goes to zero, then its key is cut
    amount   what an add still adds
    ticks    how long it is; `done` of them are over
    serial   of the step that began it
    """

    entry: tuple
    author: str
    serial: int
    ticks: int
    target: float | None = None
    key: Key = Key.WRITTEN
    amount: float = 0.0
    done: int = 0


class Ramps:
    """All running ramps.

    sets   {entry: `Ramp`}
    adds   [`Ramp`]
    """

    def __init__(self, most):
        self.sets = {}
        self.adds = []
        self._most = most

    def __bool__(self):
        return bool(self.sets or self.adds)

    def begin_set(self, attempt, entry, target, key, ticks):
        """Starts on the way to a target with this tick's share; the former ramp of the entry must have ended."""
        step = attempt.step
        start = attempt.state(entry)
        ramp = Ramp(entry, step.author, step.serial, ticks, target, key)
        self._advance_set(attempt, ramp, attempt.gain)
        if attempt.gain == 1.0:
            step.entries[entry].after = None if target is None else (target, key)
        else:
            step.entries[entry].after = (towards(start[0] if start else 0.0, target or 0.0, attempt.gain), key)
        self.sets[entry] = ramp
        attempt.on_return(lambda: self.sets.pop(entry))

    def begin_add(self, attempt, entry, amount, ticks):
        """Starts to add an amount in equal parts.

        Errors: a sentence when too many are under way.
        """
        if len(self.adds) >= self._most:
            raise EditError(f"edit: {self._most} ramps are the most that run at once. Wait until some have ended.")
        step = attempt.step
        ramp = Ramp(entry, step.author, step.serial, ticks, amount=amount)
        self._advance_add(attempt, ramp, attempt.gain)
        changed = step.entries.get(entry)
        if changed is not None and changed.after is not None:
            changed.after = (changed.after[0] + attempt.gain * ramp.amount, changed.after[1])
        self.adds.append(ramp)
        attempt.on_return(self.adds.pop)

    def end(self, attempt, entry):
        """Stops the ramp of a set or cut where it is."""
        ramp = self.sets.pop(entry, None)
        if ramp is not None:
            attempt.on_return(lambda: self.sets.__setitem__(entry, ramp))

    def end_adds(self, attempt, entry, serial):
        """Stops the adds to an entry that one step began; returns what they had still to add."""
        return self._end_adds(attempt, lambda ramp: (ramp.entry, ramp.serial) == (entry, serial))

    def end_adds_of(self, attempt, name):
        """Stops the adds to everything that leads to or from a neuron."""
        self._end_adds(attempt, lambda ramp: name in (ramp.entry[0], ramp.entry[2]))

    def _end_adds(self, attempt, ends):
        found = [ramp for ramp in self.adds if ends(ramp)]
        if found:
            former = list(self.adds)
            self.adds[:] = [ramp for ramp in self.adds if not ends(ramp)]
            attempt.on_return(lambda: self.adds.__setitem__(slice(None), former))
        return sum(ramp.amount for ramp in found)

    def advance(self, attempt, gains):
        """One tick of every ramp; returns {entry: serial} of what adds have moved."""
        for entry, ramp in list(self.sets.items()):
            if attempt.state(entry) is not None:
                self._advance_set(attempt, ramp, gain_of(gains, ramp.author))
            else:
                ramp.done = ramp.ticks  # a neuron has taken the entry away
            if ramp.done >= ramp.ticks:
                del self.sets[entry]
        moved = {}
        for ramp in self.adds:
            moved[ramp.entry] = ramp.serial
            try:
                self._advance_add(attempt, ramp, gain_of(gains, ramp.author))
            except EditError as error:
                attempt.sentences.append(str(error))
        self.adds[:] = [ramp for ramp in self.adds if ramp.done < ramp.ticks]
        return moved

    @staticmethod
    def _advance_set(attempt, ramp, gain):
        now = attempt.state(ramp.entry)
        weight, goal = now[0] if now else 0.0, ramp.target or 0.0
        left = ramp.ticks - ramp.done
        if left <= 1 and gain == 1.0:
            attempt.write(ramp.entry, None if ramp.target is None else (goal, ramp.key))
        else:
            # (w - v) / (ticks left) at full gain; at a constant smaller one the whole ramp covers that fraction
            share = gain / (left + (1.0 - gain) * ramp.done)
            attempt.write(ramp.entry, (towards(weight, goal, share), ramp.key))
        ramp.done += 1

    @staticmethod
    def _advance_add(attempt, ramp, gain):
        share = ramp.amount / (ramp.ticks - ramp.done)
        ramp.amount -= share
        ramp.done += 1
        attempt.increase(ramp.entry, gain * share)


def towards(weight, goal, share):
    """The point between two weights at a share of the way; never overflows."""
    way = goal - weight
    return weight + share * way if abs(way) < float("inf") else (1.0 - share) * weight + share * goal


def gain_of(gains, author):
    """The weight of `self.delta` from an author, clipped to [0, 1]; 1 where it is not said."""
    return min(1.0, max(0.0, gains.get(author, 1.0)))

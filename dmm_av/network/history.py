"""Undo and redo, author by author and entry by entry. What is written, and how, is in `attempt` and `self_neuron`.

An entry that is untouched since a step returns exactly. One that a later set or cut replaced stays, and that edit
inherits the former value. Otherwise others have added to it, and only this step's own share is taken away again.
Redo is the inverse of undo; what was touched in between is done again, as the newest edit.
"""

from dmm_av.errors import EditError
from dmm_av.network import edits as verb
from dmm_av.network.attempt import value_at
from dmm_av.network.matrix import RESIDUE, Key

LONGEST = 1_000  # steps of one author
COALESCE_S = 0.5  # sets of one entry by one author closer than this are one step


class History:
    """The steps of every author.

    done, undone   {author: [`Step`]}, the newest last
    writers        {place: serial} of what changed a place last; 0 before the oldest step that is remembered
    """

    def __init__(self):
        self.done = {}
        self.undone = {}
        self.writers = {}
        self._strangers = 0

    def remember(self, step, edits, tick_rate):
        """Keeps a step that took effect. Only here do edits that no undo made enter the history."""
        if not (step.entries or step.others):
            return
        done = self.done.setdefault(step.author, [])
        self.undone.pop(step.author, None)
        if len(edits) == 1 and isinstance(edits[0], verb.Set | verb.SetNorm):
            step.single = (edits[0].to, edits[0].source)
            if done and self._continues(step, done[-1], tick_rate):
                done[-1].tick = step.tick
                for entry, changed in step.entries.items():
                    done[-1].entries[entry].after = changed.after
                return
        for place, changed in _all_places(step):
            changed.former_writer = self.writers.get(place, 0)
            self.writers[place] = changed.serial
        done.append(step)
        if len(done) > LONGEST:
            for place, changed in _all_places(done.pop(0)):
                if self.writers.get(place) == changed.serial:
                    del self.writers[place]

    def _continues(self, step, last, tick_rate):
        """Whether a set goes on with the one before it, as the movement of a fader does."""
        return (
            last.single == step.single
            and step.tick - last.tick < COALESCE_S * tick_rate
            and all(
                entry in last.entries and self.writers.get(entry) == last.entries[entry].serial
                for entry in step.entries
            )
        )

    def touch(self, moved):
        """Notes that neurons or running adds moved entries: {entry: serial of the add, 0 for a neuron}."""
        for entry, serial in moved.items():
            if self.writers.get(entry, serial) != serial:
                self.writers[entry] = self._stranger()

    def _stranger(self):
        """A serial that no step has."""
        self._strangers -= 1
        return self._strangers

    def undo(self, attempt, land, ramps, of_any_author=False):
        """Takes back the newest step of the attempt's author or of all, and returns it.

        land   function of (place, value) that puts a former value back exactly
        """
        author = _author(self.done, max) if of_any_author else attempt.step.author
        step = self._move(attempt, author, self.done, self.undone, "undo: there is nothing left to take back.")
        touched = {place for place, changed in _all_places(step) if self.writers.get(place, 0) != changed.serial}
        later = self._assignments(touched)
        for place, changed in _all_places(step):
            newer = [found for found in later.get(place, ()) if found.serial > changed.serial]
            is_entry = place in step.entries
            is_under_way = is_entry and place in ramps.sets
            rest = ramps.end_adds(attempt, place, changed.serial) if is_entry else 0.0
            if newer:
                heir = min(newer, key=lambda found: found.serial)
                _bequeath(attempt, heir, changed.before, changed.former_writer)
                _set(attempt, changed, "undone_by", heir)
            elif place not in touched or (changed.assigns and (is_under_way or not is_entry)):
                if is_entry and not is_under_way and not rest:
                    _set(attempt, changed, "after", attempt.state(place))  # sums of many parts end a rounding off
                land(place, changed.before)
                self._mark(attempt, place, changed.former_writer)
            else:
                amount = _weight(changed.before) - _weight(changed.after) + rest
                _set(attempt, changed, "undone_by", self._shift(attempt, place, amount, changed.before))
        return step

    def redo(self, attempt, land, of_any_author=False):
        """Does the step that was taken back last again, of the attempt's author or of all, and returns it."""
        author = _author(self.undone, min) if of_any_author else attempt.step.author
        step = self._move(attempt, author, self.undone, self.done, "redo: there is nothing to do again.")
        touched = {place for place, changed in _all_places(step) if self.writers.get(place, 0) != changed.former_writer}
        standing = {id(found) for places in self._assignments(touched).values() for found in places}
        for place, changed in _all_places(step):
            if id(changed.undone_by) in standing:
                _bequeath(attempt, changed.undone_by, changed.after, changed.serial)
            elif place in touched and (not changed.assigns or changed.undone_by == self.writers.get(place)):
                self._shift(attempt, place, _weight(changed.after) - _weight(changed.before), changed.after)
            else:
                if place in touched:
                    self._begin_here(attempt, place, changed)
                land(place, changed.after)
                self._mark(attempt, place, changed.serial)
            _set(attempt, changed, "undone_by", None)
        return step

    def _begin_here(self, attempt, place, changed):
        """Makes a change the newest of its place, going out from what is there now."""
        is_entry = not place[0].startswith(":")
        _set(attempt, changed, "before", attempt.state(place) if is_entry else value_at(attempt.network, place))
        _set(attempt, changed, "former_writer", self.writers.get(place, 0))
        _set(attempt, changed, "serial", attempt.step.serial)

    @staticmethod
    def _move(attempt, author, start, end, sentence):
        steps = start.get(author)
        if not steps:
            raise EditError(sentence)
        step = steps.pop()
        to = end.setdefault(author, [])
        to.append(step)
        attempt.on_return(lambda: (to.pop(), steps.append(step)))
        return step

    def _assignments(self, places):
        """{place: [`Changed`]} of what steps that stand have set or cut at some places."""
        found = {}
        for step in (step for steps in self.done.values() for step in steps) if places else ():
            for place in places:
                changed = step.entries.get(place) or step.others.get(place)
                if changed is not None and changed.assigns:
                    found.setdefault(place, []).append(changed)
        return found

    def _mark(self, attempt, place, serial):
        former = self.writers.get(place, 0)
        self.writers[place] = serial
        attempt.on_return(lambda: self.writers.__setitem__(place, former))

    def _shift(self, attempt, entry, amount, kept):
        """Moves an entry by an amount; it keeps the key that it had on the side of the step where it goes."""
        now = attempt.state(entry)
        weight = (now[0] if now else 0.0) + amount
        key = kept[1] if kept else Key.MADE
        if now or abs(weight) >= RESIDUE:
            attempt.write(entry, None if key == Key.MADE and abs(weight) < RESIDUE else (weight, key), assigns=False)
        stranger = self._stranger()
        self._mark(attempt, entry, stranger)
        return stranger


def _author(kept, choose):
    """Whose step is the newest (max) or the oldest (min) of those on top; None where there is none."""
    tops = {author: (steps[-1].tick, steps[-1].serial) for author, steps in kept.items() if steps}
    return choose(tops, key=tops.get, default=None)


def _all_places(step):
    yield from step.entries.items()
    yield from step.others.items()


def _bequeath(attempt, heir, before, former_writer):
    """Lets a later change of a place begin where an earlier one, now undone or done again, leaves it."""
    _set(attempt, heir, "before", before)
    _set(attempt, heir, "former_writer", former_writer)


def _weight(state):
    return state[0] if state else 0.0


def _set(attempt, changed, name, value):
    """Changes a `Changed`, with a way back."""
    former = getattr(changed, name)
    setattr(changed, name, value)
    attempt.on_return(lambda: setattr(changed, name, former))

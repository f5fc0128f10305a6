"""A machine with the file it came from: save, revert, reload, eval, panic, and questions about the live network.

Every method may be called from any thread; what touches the network is run by the machine between two ticks.
"""

import contextlib
import os
import shutil
import threading
from dataclasses import dataclass, replace

from dmm_av.errors import DmmError, EditError, unknown
from dmm_av.network.edits import Group, Redo, Undo
from dmm_av.network.matrix import Key
from dmm_av.network.network import BUILT_IN
from dmm_av.network.notation import Command, parse_line
from dmm_av.network.patch import difference, parse_fragment, parse_patch, read_text, saved_text
from dmm_av.network.reference import entry_text, glob, parse_reference

COMMANDS = ("at", "eval", "get", "panic", "redo", "revert", "save", "undo")
AT_THE_NEXT_START = ("name", "rates", "size", "seed", "limit")  # keys of a patch that do not act live
MOST_SHOWN = 20  # of what `get` finds
MOST_FORGOTTEN = 512  # at once: a tick waits until they are gone


@dataclass(frozen=True)
class LiveNetwork:
    """A picture of the running network for saving.

    neurons   {name: ({activation: coefficient}, {setting: value})}
    rows      {(to, input): {(from, output, *branches): weight}}
    written   entries whose key a hand or a patch wrote
    """

    neurons: dict
    rows: dict
    written: frozenset
    no_default: frozenset


class Performance:
    """A machine, its patch file, and the commands that concern both.

    patch      as the file says it, as far as the network has taken it over
    on_panic   called with whether it is on; who draws sets it, as panic takes the pictures too

    Where a `reply` is asked for, it is called once: `reply(sentence)` when it is refused, else
    `reply(None, sample, remark)`: the sample from which it is heard, and a sentence worth knowing or None.
    """

    def __init__(self, machine, patch, path=None):
        self.machine = machine
        self.patch = patch
        self.path = path
        self.panicking = False
        self.on_panic = lambda on: None
        self._lock = threading.Lock()  # of the patch file: what is read, written, and taken over
        self._coming = None  # the patch that is on its way into the network
        self._turn = threading.Lock()  # of `_coming`; nobody waits for anything while he holds it

    # --- commands --------------------------------------------------------------------------------------

    def request(self, group=None, commands=(), data=(), reply=None, author="osc"):
        """Takes edits, commands and data of one message; `reply` is for the commands."""
        if group is not None:
            self._submit(group)
        for piece in data:
            self.machine.hold(piece.labels, piece.value, getattr(piece, "pulse", False))
        answers = [] if reply is None else [reply] * bool(commands)
        for command in commands:
            try:
                self.command(command.name, command.args, author, answers.pop() if answers else None)
            except DmmError as error:
                self.machine.notice(command.name, str(error))
                if reply is not None:
                    reply(str(error))

    def command(self, name, args=(), author="panel", reply=None):
        """Carries out one of `COMMANDS`, and replies once it is known how it went.

        `undo` and `redo` are about the newest step of all authors: who asks for them here looks at the whole.

        Errors: a sentence for what cannot be done.
        """
        if name == "eval":
            return self.evaluate(" ".join(map(str, args)), author, reply)
        if name in ("undo", "redo"):
            verb = _of_any_author(Undo() if name == "undo" else Redo())
            return self._submit(Group((verb,), author, None, reply))
        if name == "at":
            grid, text = args
            return self.evaluate(text, author, reply, at=grid)
        if name == "revert":
            return self.revert(reply)
        remark = None
        if name == "save":
            self.save(args[0] if args else None)
        elif name == "panic":
            self.panic(bool(args[0]) if args else None)
        elif name == "get":
            remark = self._told(args[0])
        else:
            raise unknown("command", "command", name, COMMANDS, EditError)
        if reply is not None:
            reply(None, self._sample(), remark)
        return None

    def panic(self, on=None):
        """Silence and black, or back; None turns it round."""
        self.panicking = (not self.panicking) if on is None else on
        self.machine.panic(self.panicking)
        self.on_panic(self.panicking)

    def _submit(self, group, at_full_gain=False):
        """Queues a group; its reply learns from which sample on it is heard, and which cycles it has closed."""
        reply = group.reply
        if reply is not None:
            former = self.machine.plan.sentences

            def answer(sentence):
                if sentence is not None:
                    return reply(sentence)
                news = [one for one in self.machine.plan.sentences if one not in former]
                return reply(None, self._sample(), " ".join(news) or None)

            group = replace(group, reply=answer)
        self.machine.submit(group, at_full_gain)

    def _sample(self):
        """The first sample of the present state: asked right after the tick that took an edit over, its own."""
        rates = self.machine.patch.rates
        return self.machine.k * (rates.sample // rates.tick)

    def evaluate(self, text, author="panel", reply=None, at=None):
        """Applies a fragment of the patch language, or a line of notation, as one edit.

        at   a grid to wait for: "bar", "beat", or a number of beats

        Errors: the sentence of the first mistake; nothing changes then.
        """
        command = self._as_command(text) if at is None else None
        if command is not None:
            return self.command(command.name, command.args, author, reply)
        known = self.machine.between_ticks(self._known)
        group = parse_fragment(text, self.machine.library, known, rows=self.live().rows)
        edits = (_of_any_author(edit) if isinstance(edit, Undo | Redo) else edit for edit in group.edits)
        return self._submit(Group(tuple(edits), author, at, reply))

    @staticmethod
    def _as_command(text):
        """The `Command` that a single line of notation is, or None where it is something else."""
        if "\n" in text.strip() or text.split(maxsplit=1)[:1] not in [[name] for name in COMMANDS]:
            return None
        found = parse_line(text.strip())
        return found if isinstance(found, Command) else None

    def _known(self):
        network = self.machine.network
        return {name: network.mixture(name) for name in network.names()}

    # --- the patch file --------------------------------------------------------------------------------

    def live(self):
        """The `LiveNetwork` of this moment."""
        return self.machine.between_ticks(self._live)

    def _live(self):
        network = self.machine.network
        matrix, ramps = network.matrix, self.machine.self_neuron.ramps.sets  # saved is where a ramp goes
        names = [name for name in network.names() if name not in BUILT_IN or network.settings.get(name)]
        rows = {}
        for (to, port), row in matrix.rows.items():
            if port != "activation":
                rows[(to, port)] = {
                    entry[2:]: ramps[entry].target if entry in ramps else matrix.weights[entry]
                    for entry in row
                    if entry not in ramps or ramps[entry].target is not None
                }
        return LiveNetwork(
            {name: (network.mixture(name), dict(network.settings.get(name, {}))) for name in names},
            rows,
            frozenset(entry for entry, key in matrix.keys.items() if key == Key.WRITTEN),
            frozenset(network.no_default),
        )

    def save(self, path=None):
        """Writes the live network into the patch file, comments and order kept; the old file becomes `.bak`.

        path   of a copy to write instead; the patch's own file stays the one that is watched and saved

        Errors: a sentence when there is no file or it cannot be written; the file is then as it was.
        """
        if path is None and self.path is None:
            raise EditError("save: this network came from no file. Write `save NAME.yaml`.")
        is_copy = path is not None and not self._is_own_file(path)
        path = path if is_copy else self.path
        with self._lock:
            if self._coming is not None:
                raise EditError(f"save: `{self.path}` was saved by an editor and is being taken over. Save again.")
            text = saved_text(self.patch.text, self.live(), self.machine.library)
            _write(path, text)
            if not is_copy:
                self.patch = parse_patch(text, self.patch.where, self.machine.library)
        goes_on = f"; a copy, `{self.path}` goes on" if is_copy and self.path is not None else ""
        self.machine.notice("save", f"saved {path}{goes_on}", is_error=False)

    def _is_own_file(self, path):
        return self.path is not None and os.path.realpath(path) == os.path.realpath(self.path)

    def revert(self, reply=None):
        """Sets everything to the file, at once and whatever is muted."""
        library, patch = self.machine.library, self.patch
        live = parse_patch(saved_text(patch.text, self.live(), library), patch.where, library)
        group = difference(live, patch, library)
        if group.edits:
            self._submit(Group(group.edits, "file", None, reply), at_full_gain=True)
        elif reply is not None:
            reply(None, self._sample(), None)

    def reload(self, text=None):
        """Takes over a patch file that was saved by an editor; a broken one changes nothing.

        Errors: the sentence of the first mistake.
        """
        with self._lock:
            text = read_text(self.path) if text is None else text
            with self._turn:
                newest = self._coming or self.patch
            if text == newest.text:
                return
            patch = parse_patch(text, newest.where, self.machine.library)
            group = difference(newest, patch, self.machine.library, self.live())
            late = [key for key in AT_THE_NEXT_START if getattr(newest, key) != getattr(patch, key)]
            if not group.edits and newest is self.patch:
                self.patch = patch
            else:
                with self._turn:
                    self._coming = patch
                self.machine.submit(replace(group, reply=self._taking_over(newest, patch)))
        if late:
            keys = f"`{late[0]}` takes" if len(late) == 1 else f"{', '.join(f'`{key}`' for key in late)} take"
            self.machine.notice("reload", f"{keys} effect at the next start; everything else is live.", is_error=False)

    def _taking_over(self, former, patch):
        """The reply to the edit that leads from one version of the file to the next; waits for nothing."""

        def reply(sentence):
            with self._turn:
                went_out_from_here = self.patch is former
                if sentence is None and went_out_from_here:
                    self.patch = patch
                if self._coming is patch:
                    self._coming = None
            if sentence is None and not went_out_from_here:  # the version before was refused
                self.machine.notice("reload", f"`{self.path}` was taken over in part. Save it once more.")

        return reply

    # --- questions -------------------------------------------------------------------------------------

    def _told(self, reference):
        """What a reference stands for now, in one sentence: weights into it, and what flows out of it."""
        place = parse_reference(reference, "get", globs=True)
        labels = (place.name, *([place.port] if place.port else ()), *place.branches)

        def found():
            for entry, weight in self.machine.network.matrix.weights.items():
                if entry[1] != "activation" and _leads_to(labels, entry):
                    yield f"{entry_text(entry)} {weight:g}"
            for address, (number,) in self._streams(labels):
                yield f"{address[1]}.{'/'.join(address[2:])} = {number:g}"

        lines = self.machine.between_ticks(lambda: list(found()))
        if not lines:
            raise EditError(f"get: nothing is called `{reference}`.")
        more = f" … and {len(lines) - MOST_SHOWN} more" if len(lines) > MOST_SHOWN else ""
        told = "; ".join(lines[:MOST_SHOWN]) + more
        self.machine.notice("get", told, is_error=False)
        return told

    def forget(self, paths):
        """Lets go of numbers that are held on `osc`, unless something is wired to them.

        paths     [(label, …)]
        returns   those that are gone
        """
        return self.machine.between_ticks(lambda: self._forget(paths))

    def _forget(self, paths):
        machine = self.machine
        wired = {entry[3:] for entry in machine.network.matrix.columns.get("osc", ())}
        above = {one[:n] for one in wired for n in range(1, len(one))}
        free = [
            path
            for path in map(tuple, paths)
            if path not in above and not any(path[:n] in wired for n in range(len(path) + 1))
        ]
        for path in free[:MOST_FORGOTTEN]:
            machine.outputs["osc"] = _without(machine.outputs["osc"], path)
        return free[:MOST_FORGOTTEN]

    def answers(self, what, labels=()):
        """[(address labels, values)] for a question: `w`, `y` or `neurons`; labels may be patterns.

        Errors: a sentence when nothing matches.
        """
        found = self.machine.between_ticks(lambda: list(self._answers(what, labels)))
        if not found:
            raise EditError(f"get: nothing matches `/{'/'.join((what, *labels))}`.")
        return found

    def _answers(self, what, labels):
        network = self.machine.network
        if what == "neurons":
            for name in network.names():
                if not labels or _covers(labels[0], name):
                    yield ("neuron", name), tuple(network.mixture(name))
        elif what == "w":
            for entry, weight in network.matrix.weights.items():
                flat = (entry[0], *entry[1].split("/"), *entry[2:])
                if all(_covers(pattern, label) for pattern, label in zip(labels, flat, strict=False)) and len(
                    labels
                ) <= len(flat):
                    yield ("w", *flat), (weight,)
        elif what == "y":
            yield from self._streams(labels)
        elif what == "status":
            yield ("status",), (self.machine.k, float(self.machine.tempo))
        else:
            raise unknown("get", "question", what, ("w", "y", "neurons", "status"), EditError)

    def _streams(self, labels):
        machine = self.machine
        for name in machine.network.names():
            if labels and not _covers(labels[0], name):
                continue
            for port, value in machine.streams_of(name):
                if len(labels) < 2 or _covers("/".join(labels[1:]), port):
                    yield ("y", name, *port.split("/")), (value,)


def _of_any_author(edit):
    return replace(edit, of_any_author=True)


def _covers(pattern, name):
    return bool(glob(pattern)(name))


def _leads_to(labels, entry):
    """Whether an entry is one into the input, or the inputs of the neuron, that the labels say."""
    name, *port = labels
    return _covers(name, entry[0]) and (not port or _covers("/".join(port), entry[1]))


def _without(tree, path):
    """A tree without the number at a path; what grows from there stays."""
    name, *rest = path
    kept, below = dict(tree), tree.get(name)
    if isinstance(below, dict):
        kept[name] = _without(below, rest or [":number"])
        if kept[name]:
            return kept
    if not rest or isinstance(below, dict):
        kept.pop(name, None)
    return kept


def _write(path, text):
    """Writes a file so that at every moment the old one or the new one is there whole; the old one becomes `.bak`.

    Errors: a sentence; the file is then as it was.
    """
    path = os.path.realpath(path)  # of a link, what it leads to
    part, backup = f"{path}.part", f"{path}.bak"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            with contextlib.suppress(OSError):  # where files have no permissions of their own
                shutil.copymode(path, part)
            _keep(path, backup)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(part)
        raise EditError(f"save: `{path}` cannot be written: {error.strerror}.") from error


def _keep(path, backup):
    """Gives the file a second name, or copies it where a file can have only one."""
    beside = f"{backup}.part"
    with contextlib.suppress(FileNotFoundError):
        os.remove(beside)
    try:
        try:
            os.link(path, beside)
        except OSError:
            shutil.copy2(path, beside)
        os.replace(beside, backup)
    finally:
        with contextlib.suppress(OSError):
            os.remove(beside)

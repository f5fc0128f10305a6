"""A machine with the file it came from: save, revert, reload, eval, panic, and questions about the live network.

Every method may be called from any thread; what touches the network is run by the machine between two ticks.
"""

import os
import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dmm_av.errors import DmmError, EditError, unknown
from dmm_av.network.edits import Group, Redo, Undo
from dmm_av.network.matrix import Key
from dmm_av.network.network import BUILT_IN
from dmm_av.network.notation import Command, parse_line
from dmm_av.network.patch import difference, parse_fragment, parse_patch, saved_text
from dmm_av.network.reference import alternatives

COMMANDS = ("eval", "panic", "redo", "revert", "save", "undo")


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
    """A machine, its patch file, and the commands that concern both."""

    def __init__(self, machine, patch, path=None):
        self.machine = machine
        self.patch = patch
        self.path = path
        self.panicking = False
        self._lock = threading.Lock()

    # --- commands --------------------------------------------------------------------------------------

    def request(self, group=None, commands=(), data=(), reply=None, author="osc"):
        """Takes edits, commands and data of one message; `reply(sentence or None)` is for the commands."""
        if group is not None:
            self.machine.submit(group)
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
        """Carries out `save revert eval panic undo redo`; `reply(sentence or None)` once it is known how it went.

        Errors: a sentence for what cannot be done.
        """
        if name == "eval":
            return self.evaluate(" ".join(map(str, args)), author, reply)
        if name in ("undo", "redo"):
            verb = Undo() if name == "undo" else Redo()
            return self.machine.submit(Group((verb,), author, None, reply))
        if name == "save":
            self.save(args[0] if args else None)
        elif name == "revert":
            self.revert()
        elif name == "panic":
            self.panic(bool(args[0]) if args else None)
        else:
            raise unknown("command", "command", name, COMMANDS, EditError)
        if reply is not None:
            reply(None)
        return None

    def panic(self, on=None):
        """Silence, or back; None turns it round."""
        self.panicking = (not self.panicking) if on is None else on
        self.machine.panic(self.panicking)

    def evaluate(self, text, author="panel", reply=None):
        """Applies a fragment of the patch language as one edit.

        Errors: the sentence of the first mistake; nothing changes then.
        """
        command = self._as_command(text)
        if command is not None:
            return self.command(command.name, command.args, author, reply)
        known = self.machine.between_ticks(self._known)
        group = parse_fragment(text, self.machine.library, known, rows=self.live().rows)
        return self.machine.submit(Group(group.edits, author, group.at, reply))

    @staticmethod
    def _as_command(text):
        """The `Command` that a single line of notation is, or None where it is something else."""
        if "\n" in text.strip() or text.split(" ", 1)[0] not in COMMANDS:
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

        Errors: a sentence when there is no file or it cannot be written.
        """
        path = path or self.path
        if path is None:
            raise EditError("save: this network came from no file. Write `save NAME.yaml`.")
        text = saved_text(self.patch.text, self.live(), self.machine.library)
        try:
            if os.path.exists(path):
                os.replace(path, f"{path}.bak")
            with open(f"{path}.part", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(f"{path}.part", path)
        except OSError as error:
            raise EditError(f"save: `{path}` cannot be written: {error.strerror}.") from error
        with self._lock:
            self.patch = parse_patch(text, str(path), self.machine.library)
        self.machine.notice("save", f"saved {path}", is_error=False)

    def revert(self):
        """Sets everything to the file, at once and whatever is muted."""
        library = self.machine.library
        live = parse_patch(saved_text(self.patch.text, self.live(), library), self.patch.where, library)
        group = difference(live, self.patch, library)
        if group.edits:
            self.machine.submit(Group(group.edits, "file"), at_full_gain=True)

    def reload(self, text=None):
        """Takes over a patch file that was saved by an editor; a broken one changes nothing.

        Errors: the sentence of the first mistake.
        """
        if text is None:
            try:
                with open(self.path, encoding="utf-8") as file:
                    text = file.read()
            except OSError as error:
                raise EditError(f"reload: `{self.path}` cannot be read: {error.strerror}.") from error
        with self._lock:
            if text == self.patch.text:
                return
            patch = parse_patch(text, self.patch.where, self.machine.library)
            group = difference(self.patch, patch, self.machine.library, self.live())
            former, self.patch = self.patch, patch
        if (former.rates, former.size) != (patch.rates, patch.size):
            self.machine.notice(
                "reload", "`rates` and `size` take effect at the next start; everything else is live.", is_error=False
            )
        if group.edits:
            self.machine.submit(group)

    # --- questions -------------------------------------------------------------------------------------

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


def _covers(pattern, name):
    return any(fnmatchcase(name, one) for one in alternatives(pattern))

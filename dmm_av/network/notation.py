"""One edit on one line, as it is typed, journaled and shown: `fold.wedges ear.low 0.3 2`. Both ways, and completion.

References stay text; whether they name anything is for the living network to say. Several lines, and the patch
language, are read by `patch.parse_fragment`.
"""

import json
import math
import re
from dataclasses import dataclass

from dmm_av.errors import DmmError, PatchError, unknown
from dmm_av.network import edits
from dmm_av.network.network import BUILT_IN
from dmm_av.network.patch_text import number_text, number_with_unit, shown, weight_in
from dmm_av.network.ports import built_in_ports, ports_of, ports_of_known
from dmm_av.network.reference import parse_reference


@dataclass(frozen=True)
class Command:
    """A line that is no edit of the network.

    args   texts; the rest of the line is one of them where a command takes a text
    """

    name: str
    args: tuple = ()


# What each verb takes; completion and the sentences read it here. `[…]` may be left out, `…` is the rest of the line.
USAGE = {
    "set": "to.input [source] weight [ramp]",
    "norm": "to.input [source] position [ramp]",
    "add": "to.input [source] amount [ramp]",
    "scale": "to.input [source] factor [ramp]",
    "cut": "to.input [source] [ramp]",
    "new": "name activation [without input …]",
    "remove": "name",
    "setting": "name key [value…]",
    "insert": "name activation [on] to.input source [ramp]",
    "crossfade": "to.input a b position [ramp]",
    "mute": "name [1|0]",
    "undo": "[any]",
    "redo": "[any]",
    "save": "[file…]",
    "revert": "",
    "panic": "",
    "at": "grid edit…",
    "eval": "text…",
    "get": "reference",
}
_COMMANDS = ("save", "revert", "panic", "at", "eval", "get")
_WEIGHTED = {"set": edits.Set, "norm": edits.SetNorm, "add": edits.Add, "scale": edits.Scale}
_LENGTH = re.compile(r"[\d.]+(?:[eE][-+]?\d+)?(s|b|ms)?\Z")
_PLAIN_TEXT = re.compile(r"[^\s\"\[\]{}#][^\s]*(?: [^\s]+)*\Z")


def parse_line(line, where="edit"):
    """The edit or the `Command` that a line says.

    Errors: a sentence with the form that the verb takes.
    """
    words = line.split()
    if not words:
        raise PatchError(f"{where}: there is nothing in it. Write an edit such as `fold.wedges 7`.")
    verb = words[0]
    if verb in USAGE:
        words = words[1:]
    elif "." in verb.replace("..", ""):
        verb = "set"
    else:
        raise unknown(where, "verb", shown(verb), USAGE)
    return _Line(verb, words, line, where).read()


class _Line:
    """One line being read: the words after its verb."""

    def __init__(self, verb, words, line, where):
        self.verb = verb
        self.words = words
        self.line = line
        self.where = where

    def read(self):
        if self.verb in _COMMANDS:
            return self._command()
        if self.verb in _WEIGHTED:
            return self._weighted()
        return getattr(self, f"_{self.verb}")()

    def _wrong(self, why=""):
        return PatchError(f"{self.where}: {why}Write `{self.verb} {USAGE[self.verb]}`.".replace(" `.", "`."))

    def _exactly(self, fewest, most):
        if not fewest <= len(self.words) <= most:
            missing = "something is missing. " if len(self.words) < fewest else "there is more than belongs here. "
            raise self._wrong(missing)

    def _rest(self, after):
        """What follows the verb and `after` more words, as it is typed."""
        return self.line.split(maxsplit=after + 1)[after + 1 :]

    def _reference(self, text, what="reference"):
        try:
            parse_reference(text, self.where, globs=True)
        except PatchError as error:
            raise PatchError(f"{error} Form: `{self.verb} {USAGE[self.verb]}`.") from None
        except DmmError as error:
            raise PatchError(f"{self.where}: {error}") from None
        return text

    def _number(self, text, what):
        found = number_with_unit(text)
        weight = weight_in(*found) if found else None
        if weight is None or not math.isfinite(weight):
            raise self._wrong(f"the {what} `{shown(text)}` is no finite number. ")
        return weight

    def _ramp(self, words):
        """A length in seconds (0.5, `0.5s`, `50ms`) or beats (`2b`); None for no words."""
        if not words:
            return None
        text = words[0]
        found = _LENGTH.match(text)
        try:
            number = float(text[: found.start(1)] if found and found[1] else text) if found else -1.0
        except ValueError:
            number = -1.0
        if not 0.0 <= number < 86_400.0:
            raise self._wrong(f"`{shown(text)}` is no length of time: seconds (0.5) or beats (2b). ")
        if found[1] == "b":
            return text
        return number / 1000.0 if found[1] == "ms" else number

    def _weighted(self):
        self._exactly(2, 4)
        to, second, *rest = self.words
        source = "one"
        if number_with_unit(second) is None:
            source, rest = self._reference(second), rest
            if not rest:
                raise self._wrong("a number is missing. ")
            second, *rest = rest
        if len(rest) > 1:
            raise self._wrong("there is more than belongs here. ")
        what = USAGE[self.verb].split()[2]
        return _WEIGHTED[self.verb](self._reference(to), source, self._number(second, what), self._ramp(rest))

    def _cut(self):
        self._exactly(1, 3)
        to, *rest = self.words
        source = "one"
        if rest and not _LENGTH.match(rest[0]):
            source, *rest = rest
        if len(rest) > 1:
            raise self._wrong("there is more than belongs here. ")
        return edits.Cut(self._reference(to), self._reference(source), self._ramp(rest))

    def _new(self):
        self._exactly(2, math.inf)
        name, text = self.words[0], self._rest(1)[0]
        text, _, ports = text.partition(" without ")
        ports = tuple(ports.split())
        text = text.strip()
        if not text.startswith("{"):
            if len(text.split()) != 1:
                raise self._wrong("there is more than belongs here. ")
            return edits.New(name, text, ports)
        mixture = {}
        for part in text.removeprefix("{").removesuffix("}").split(","):
            activation, colon, coefficient = part.rpartition(":")
            if not colon or not activation.strip() or not text.endswith("}"):
                raise self._wrong("a mixture is `{sine~: 0.7, saw~: 0.3}`. ")
            mixture[activation.strip()] = self._number(coefficient.strip(), "coefficient")
        return edits.New(name, mixture, ports)

    def _remove(self):
        self._exactly(1, 1)
        return edits.Remove(self._reference(self.words[0]))

    def _setting(self):
        self._exactly(2, math.inf)
        name, key = self.words[:2]
        rest = self._rest(2)
        return edits.Setting(self._reference(name), key, _setting_value(rest[0].strip()) if rest else None)

    def _insert(self):
        words = self.words
        if len(words) > 2 and words[2] == "on":
            words = self.words = [*words[:2], *words[3:]]
        self._exactly(4, 5)
        name, activation, to, source, *rest = words
        return edits.Insert(name, activation, self._reference(to), self._reference(source), self._ramp(rest))

    def _crossfade(self):
        self._exactly(4, 5)
        to, a, b, position, *rest = self.words
        return edits.Crossfade(
            self._reference(to),
            self._reference(a),
            self._reference(b),
            self._number(position, "position"),
            self._ramp(rest),
        )

    def _mute(self):
        self._exactly(1, 2)
        name, *rest = self.words
        if rest and rest[0] not in ("0", "1"):
            raise self._wrong(f"`{shown(rest[0])}` is neither 1 nor 0. ")
        return edits.Mute(self._reference(name), rest != ["0"])

    def _undo(self):
        return edits.Undo(self._is_of_any_author())

    def _redo(self):
        return edits.Redo(self._is_of_any_author())

    def _is_of_any_author(self):
        self._exactly(0, 1)
        if self.words not in ([], ["any"]):
            raise self._wrong("there is more than belongs here. ")
        return bool(self.words)

    def _command(self):
        rest = tuple(part.strip() for part in self._rest(1 if self.verb == "at" else 0))
        if self.verb == "at":
            rest = (self.words[0], *rest) if self.words else ()
        fewest, most = {"save": (0, 1), "revert": (0, 0), "panic": (0, 0), "at": (2, 2)}.get(self.verb, (1, 1))
        if not fewest <= len(rest) <= most:
            raise self._wrong()
        return Command(self.verb, rest)


def _setting_value(text):
    """JSON where the text is JSON, else the text itself."""
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except ValueError:
        return text


def _setting_text(value):
    if isinstance(value, str) and _PLAIN_TEXT.match(value) and value.isprintable() and _setting_value(value) == value:
        return value
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if text.isprintable() else json.dumps(value, allow_nan=False)


# --- The other way --------------------------------------------------------------------------------------


def edit_text(edit):
    """An edit as a line that `parse_line` reads back as the same edit; a group's edits are joined by `; `."""
    if isinstance(edit, edits.Group):
        return "; ".join(edit_text(one) for one in edit.edits)
    return " ".join(part for part in _WORDS[type(edit)](edit) if part)


def _ramp_text(ramp):
    return "" if ramp is None else ramp if isinstance(ramp, str) else number_text(ramp)


def _weighted_words(verb, number):
    def words(edit):
        head = "" if verb == "set" and "." in edit.to and edit.to not in USAGE else verb
        source = "" if edit.source == "one" else edit.source
        return head, edit.to, source, number_text(getattr(edit, number)), _ramp_text(edit.ramp)

    return words


def _new_words(edit):
    activation = edit.activation
    if isinstance(activation, dict):
        parts = (f"{name}: {number_text(coefficient)}" for name, coefficient in activation.items())
        activation = "{" + ", ".join(parts) + "}"
    return "new", edit.name, activation, "without " + " ".join(edit.no_default) if edit.no_default else ""


_WORDS = {
    edits.Set: _weighted_words("set", "weight"),
    edits.SetNorm: _weighted_words("norm", "position"),
    edits.Add: _weighted_words("add", "amount"),
    edits.Scale: _weighted_words("scale", "factor"),
    edits.Cut: lambda edit: ("cut", edit.to, edit.source, _ramp_text(edit.ramp)),
    edits.New: _new_words,
    edits.Remove: lambda edit: ("remove", edit.name),
    edits.Setting: lambda edit: (
        "setting",
        edit.name,
        edit.key,
        "" if edit.value is None else _setting_text(edit.value),
    ),
    edits.Insert: lambda edit: (
        "insert",
        edit.name,
        edit.activation,
        edit.to,
        edit.source,
        _ramp_text(edit.ramp),
    ),
    edits.Crossfade: lambda edit: (
        "crossfade",
        edit.to,
        edit.a,
        edit.b,
        number_text(edit.position),
        _ramp_text(edit.ramp),
    ),
    edits.Mute: lambda edit: ("mute", edit.name, "1" if edit.on else "0"),
    edits.Undo: lambda edit: ("undo", "any" if edit.of_any_author else ""),
    edits.Redo: lambda edit: ("redo", "any" if edit.of_any_author else ""),
}


# --- Completion -----------------------------------------------------------------------------------------

_INPUTS = ("to.input",)
_OUTPUTS = ("source", "[source]", "a", "b", "reference")
_NAMES = ("name",)


def complete(prefix, library, known):
    """What the last word of a line being typed may become, sorted.

    known   {name: activation name, several, or {activation name: coefficient}} of the living network
    """
    words = prefix.split()
    last = "" if not words or prefix[-1].isspace() else words.pop()
    names = {name: ports_of_known(name, what, library) for name, what in known.items()}
    names.update(built_in_ports(library))
    if not words:
        found = [verb for verb in USAGE if "." not in last] + _port_names(last, names, "inputs")
        return sorted(word for word in found if word.startswith(last))
    verb, *given = words
    if verb not in USAGE:
        verb, given = "set", words
    form = USAGE[verb].split()
    what = form[len(given)] if len(given) < len(form) else ""
    if what in _INPUTS:
        found = _port_names(last, names, "inputs")
    elif what in _OUTPUTS:
        found = _port_names(last, names, "outputs")
    elif what == "name" and verb in ("remove", "mute", "setting"):
        found = [name for name in names if verb == "setting" or name not in BUILT_IN]
    elif what == "activation":
        found = [name for name in library.names() if library[name].side != "engine"]
    elif what == "key":
        found = list(names[given[0]].settings) if given[0] in names else []
    elif what == "[value…]":
        setting = names[given[0]].setting(given[1]) if given[0] in names else None
        found = [str(choice) for choice in setting.choices] if setting else []
    elif what == "grid":
        found = ["bar", "beat"]
    elif what in ("[without", "input") or (verb == "new" and len(given) > 2):
        ports = ports_of({given[1]: 1.0}, library)
        found = ["without"] if what == "[without" else list(ports.inputs)
    elif what == "[1|0]":
        found = ["0", "1"]
    elif what == "[any]":
        found = ["any"]
    elif what == "[on]":
        found = ["on", *_port_names(last, names, "inputs")]
    else:
        found = []
    return sorted(word for word in dict.fromkeys(found) if word.startswith(last))


def _port_names(last, names, side):
    """Names, and once a name is complete its ports too."""
    head, dot, _ = last.rpartition(".")
    if dot and head in names:
        return [f"{head}.{port}" for port in getattr(names[head], side)]
    found = [f"{name}." if side == "inputs" else name for name, ports in names.items() if getattr(ports, side)]
    if side == "outputs" and last in names:
        found += [f"{last}.{port}" for port in names[last].outputs]
    return found

"""The OSC address space: what an address with its arguments means, and under which address a change is told.

Pure: labels and numbers in, edits, commands and data out. References are composed here, not looked up: whether a
neuron, a port or a kind fits is for the network to say. Bytes are in `osc_packets`, the socket is in `osc`.
"""

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache

from dmm_av.errors import EditError, unknown
from dmm_av.network import edits as verb
from dmm_av.network.notation import Command
from dmm_av.network.reference import GLOB, alternatives, glob
from dmm_av.streams.units import ramp_ticks
from dmm_av.streams.vvalue import LARGEST, decode_label, encode_label

LONGEST_ADDRESS = 1_024
MOST_LABELS = 40
LONGEST_LABEL = 128
MOST_ALTERNATIVES = 32  # of one label with `{a,b}`
LONGEST_NAME = 400  # of a text that names something
FASTEST_RATE = 1_000.0  # messages a second and address
DEFAULT_RATE = 30.0

_LEGAL = re.compile(r"/[!\"$-~]*\Z")  # visible ASCII without `#`
_FAMILY_INDEX = re.compile(r"(?:[0-9]|\[!?[0-9-]+\]|\{[0-9,]+\})[0-9\[\]{},!*?-]*\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_.:~+-]+\Z")
_NO_PORT = re.compile(r"[^a-z0-9_]")
_TIME = re.compile(r"\s*[0-9.]+(e-?[0-9]+)?\s*[bs]?\s*\Z")


@dataclass(frozen=True, slots=True)
class Data:
    """A number held on the neuron `osc` until the next one comes.

    labels    the output of `osc`, then the branches below it
    pulse     the message had no argument: 1 for one tick, then 0
    """

    labels: tuple
    value: float
    pulse: bool = False


@dataclass(frozen=True, slots=True)
class At:
    """A grid that the edits of its bundle wait for: "bar", "beat", or a number of beats."""

    grid: object


@dataclass(frozen=True, slots=True)
class Query:
    """A question: `what` is `w`, `y`, `neurons` or `status`; `labels` is what was written below it, patterns too."""

    what: str
    labels: tuple = ()

    @property
    def pattern(self):
        """The address pattern that covers the answers: `/dmm/w/…`, `/dmm/y/…`, `/dmm/neuron/…`."""
        return "/".join(("/dmm", {"neurons": "neuron"}.get(self.what, self.what), *self.labels))


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Changes under addresses that the pattern covers are to be told, at most `rate` times a second each."""

    pattern: str
    rate: float = DEFAULT_RATE


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """No more of that; `pattern` None: of nothing."""

    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Whether the sender wants `/dmm/done` for what it sends."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class Ping:
    """Is anybody there? The values come back."""

    values: tuple = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What one packet asks of the machine: the edits together or not at all, then the commands, then the data.

    sender      where an answer goes, as the socket knows it
    addresses   of the messages, in order
    due         the host's monotonic time in its time tag; None: at once
    reply       called once with (sentence or None) when the commands are done; the edits answer by `group.reply`
    """

    group: verb.Group | None = None
    commands: tuple = ()
    data: tuple = ()
    sender: object = None
    addresses: tuple = ()
    due: float | None = None
    reply: object = field(default=None, compare=False)


_TO_SERVER = (Query, Subscribe, Unsubscribe, Acknowledge, Ping)


def gather(items, author="osc", **details):
    """(Request, items that the server itself answers) of what the messages of one packet were translated into.

    Errors: a sentence for an `at` that has nothing to delay, or two of them.
    """
    edits, commands, data, grids, own = [], [], [], [], []
    for item in items:
        kind = type(item)
        if kind is Data:
            data.append(item)
        elif kind is Command:
            commands.append(item)
        elif kind is At:
            grids.append(item.grid)
        elif kind in _TO_SERVER:
            own.append(item)
        else:
            edits.append(item)
    if grids and not edits:
        raise EditError("`/dmm/at` has no edit to delay. Send both in one bundle, or write `/dmm/at/bar/w/…`.")
    if len(grids) > 1:
        raise EditError("A bundle has two `/dmm/at`. It takes effect as a whole: leave one.")
    group = verb.Group(tuple(edits), author, *grids) if edits else None
    return Request(group, tuple(commands), tuple(data), **details), own


# --- addresses in ---------------------------------------------------------------------------------


def translate(address, args=()):
    """What a message means: a list of edits, `Command`, `Data`, `At`, `Query` and requests to the server.

    The list is empty for a button that is released and for answers that have lost their way.

    Errors: a sentence for unknown addresses, and for arguments that are missing, too many, or not what they
    should be.
    """
    labels = _labels(address)
    if not isinstance(args, list | tuple):
        raise EditError(f"{address:.80}: the arguments are a list, not `{args!s:.40}`.")
    arguments = _Arguments(address if len(address) <= 80 else f"{address[:79]}…", args)
    if labels[0] != "dmm":
        return _data(labels, arguments)
    if len(labels) == 1:
        raise EditError(
            f"{arguments.where}: what of it? Write `/dmm/w/fold/wedges 7`, `/dmm/undo`, `/dmm/get/neurons` …"
        )
    return _translated(labels[1:], arguments)


def _translated(labels, arguments):
    name, *labels = labels
    meaning = _VERBS.get(name)
    if meaning is None:
        raise unknown(arguments.where, "address below `/dmm`", name, _VERBS.keys() - _ANSWERS, EditError)
    if labels and not labels[-1] and name not in _WITH_SOURCE and name != "at":
        raise EditError(f"{arguments.where}: the address ends with `/`. Leave it out.")
    found = meaning(labels, arguments)
    arguments.no_more()
    return found


def _labels(address):
    """The labels of an address; the last one may be empty (`…/reader/`, the whole neuron)."""
    if not isinstance(address, str) or len(address) > LONGEST_ADDRESS:
        raise EditError(f"An address is a text of at most {LONGEST_ADDRESS} characters. Use a shorter one.")
    if not _LEGAL.match(address):
        raise EditError(
            f"{address[:40]!a}: an address begins with `/` and has visible ASCII characters, no space and no `#`. "
            "Write others as %XX."
        )
    labels = address[1:].split("/")
    if not labels[0] or "" in labels[:-1]:
        raise EditError(f"{address[:80]}: a label between two `/` is empty. Leave out one `/`.")
    if len(labels) > MOST_LABELS or max(map(len, labels)) > LONGEST_LABEL:
        raise EditError(
            f"{address[:80]}: an address has at most {MOST_LABELS} labels of {LONGEST_LABEL} characters. Use fewer."
        )
    return labels


class _Arguments:
    """The arguments of one message, taken from the left; `where` begins every sentence."""

    def __init__(self, where, args):
        self.where = where
        self.left = list(args)
        self.count = len(self.left)

    def text(self, what):
        """The next argument, a text."""
        if not self.is_text():
            raise EditError(f"{self.where}: {what} is needed here as a text{self._instead()}.")
        text = self.left.pop(0)
        if len(text) > LONGEST_NAME:
            raise EditError(f"{self.where}: {what} has more than {LONGEST_NAME} characters. Use a shorter one.")
        return text

    def number(self, what):
        """The next argument, a finite number (true is 1)."""
        if not self.left or not isinstance(self.left[0], int | float):
            raise EditError(f"{self.where}: {what} is needed here as a number{self._instead()}.")
        return self.finite(self.left.pop(0))

    def _instead(self):
        return f", not `{self.left[0]!s:.40}`" if self.left else "; there is no argument left"

    def finite(self, value):
        """The number itself, as a float."""
        if not -LARGEST <= value <= LARGEST:
            raise EditError(f"{self.where}: a number must be finite. Send another one.")
        return float(value)

    def ramp(self):
        """The next argument, a length of time, or None where there is none."""
        if not self.left or self.left[0] is None:
            self.left = self.left[1:]
            return None
        ramp = self.left.pop(0)
        ramp_ticks(ramp if isinstance(ramp, int | float) else f"{ramp!s:.40}", 1.0, 120.0, self.where)
        return ramp

    def setting(self):
        """The next argument, whatever a setting may hold."""
        value = self.left.pop(0)
        if isinstance(value, float):
            return self.finite(value)
        if value is None or isinstance(value, str | int):
            return value
        raise EditError(f"{self.where}: a setting is a number or a text. Send one of these.")

    def is_text(self):
        """Whether a text comes next."""
        return bool(self.left) and isinstance(self.left[0], str)

    def is_reference(self):
        """Whether a text comes next that is no length of time."""
        return self.is_text() and not _TIME.match(self.left[0][:40])

    def fires(self):
        """Whether a button was pressed: no argument or one that is not 0; 0 is its release."""
        if not self.left or self.left[0] is None:
            self.left = self.left[1:]
            return True
        return self.number("1, or no argument,") != 0

    def no_more(self):
        """Errors: a sentence if arguments are left."""
        if self.left:
            raise EditError(
                f"{self.where}: {len(self.left)} of {self.count} arguments have no meaning here, "
                f"from `{self.left[0]!s:.40}` on. Leave them out."
            )


def _undotted(labels):
    """Labels with `name.port` in the first one taken apart; the dot of `accum.image:trail` stays."""
    if not labels:
        return []
    prefix, colon, name = labels[0].rpartition(":")
    name, dot, port = name.partition(".")
    return [prefix + colon + name, *([port] if dot else []), *labels[1:]]


def _input(labels, arguments):
    """(reference to an input, labels after it)."""
    if not labels:
        return arguments.text("an input such as `fold.wedges`"), []
    name, *rest = _undotted(labels)
    if not rest or not rest[0]:
        raise EditError(f"{arguments.where}: `{name}` is a neuron; the input is missing. Write `…/{name}/<input>`.")
    port, *rest = rest
    if rest and _FAMILY_INDEX.match(rest[0]):
        port += f"/{rest.pop(0)}"
    return f"{name}.{port}", rest


def _source(labels, arguments):
    """A reference to a source from labels, else from the next argument, else `one`."""
    if not labels:
        return arguments.text("a source") if arguments.is_reference() else "one"
    name, *rest = _undotted(labels)
    if rest == [""]:
        return f"{name}/"
    if not name or (rest and not rest[-1]):
        raise EditError(f"{arguments.where}: the address ends with `/`. Leave it out.")
    port, *branches = rest or [""]
    return "/".join((f"{name}.{port}" if port else name, *branches))


def _weight_verb(edit, what):
    def meaning(labels, arguments):
        to, labels = _input(labels, arguments)
        source = _source(labels, arguments)
        return [edit(to, source, arguments.number(what), arguments.ramp())]

    return meaning


def _cut(labels, arguments):
    to, labels = _input(labels, arguments)
    return [verb.Cut(to, _source(labels, arguments), arguments.ramp())]


def _name(labels, arguments, what="the name of a neuron"):
    if len(labels) > 1:
        raise EditError(f"{arguments.where}: the address goes on after the name `{labels[0]}`. Leave out the rest.")
    return labels[0] if labels else arguments.text(what)


def _neuron(labels, arguments):
    name = _name(labels, arguments)
    activation = arguments.text("an activation such as `sine~`")
    if not arguments.left:
        return [verb.New(name, activation)]
    mixture = {activation: arguments.number("a coefficient")}
    while arguments.left:
        activation = arguments.text("an activation")
        mixture[activation] = arguments.number("a coefficient")
    return [verb.New(name, mixture)]


def _remove(labels, arguments):
    if labels:
        name = _name(labels, arguments)
        return [verb.Remove(name)] if arguments.fires() else []
    names = [arguments.text("the name of a neuron")]
    while arguments.left:
        names.append(arguments.text("the name of a neuron"))
    return [verb.Remove(name) for name in names]


def _insert(labels, arguments):
    name = _name(labels, arguments)
    activation = arguments.text("an activation such as `rotate`")
    to = arguments.text("an input such as `screen.image`")
    return [verb.Insert(name, activation, to, _source([], arguments), arguments.ramp())]


def _setting(labels, arguments):
    if len(labels) > 2:
        raise EditError(f"{arguments.where}: a setting is `/dmm/setting/<name>/<key>`. Leave out the rest.")
    name = labels[0] if labels else arguments.text("the name of a neuron")
    key = labels[1] if len(labels) == 2 else arguments.text("the name of a setting")
    values = [arguments.setting() for _ in range(len(arguments.left))]
    return [verb.Setting(name, key, values[0] if len(values) == 1 else values or None)]


def _crossfade(labels, arguments):
    to, labels = _input(labels, arguments)
    if labels and (len(labels) != 2 or not labels[1]):
        raise EditError(f"{arguments.where}: a crossfade is between two sources. Write `…/<a>/<b> x`, as `ear.low`.")
    a, b = labels or (arguments.text("the first source"), arguments.text("the second source"))
    return [verb.Crossfade(to, a, b, arguments.number("a position from 0 to 1"), arguments.ramp())]


def _mute(labels, arguments):
    return [verb.Mute(_name(labels, arguments), arguments.fires())]


def _trigger(found):
    def meaning(labels, arguments):
        _end(labels, arguments)
        return [found] if arguments.fires() else []

    return meaning


def _panic(labels, arguments):
    """The button turns panic on and off again; `/on` and `/off` say which."""
    if labels and labels[0] not in ("on", "off"):
        raise EditError(f"{arguments.where}: write `/dmm/panic`, `/dmm/panic/on` or `/dmm/panic/off`.")
    _end(labels[1:], arguments)
    return [Command("panic", tuple(label == "on" for label in labels))] if arguments.fires() else []


def _save(labels, arguments):
    _end(labels, arguments)
    if arguments.is_text():
        return [Command("save", (arguments.text("the name of a file"),))]
    return [Command("save", ())] if arguments.fires() else []


def _eval(labels, arguments):
    _end(labels, arguments)
    if not arguments.is_text():
        raise EditError(f"{arguments.where}: lines of the patch language are needed here, as a text.")
    return [Command("eval", (arguments.left.pop(0),))]


def _at(labels, arguments):
    grid, *labels = labels or (arguments.left.pop(0) if arguments.left else "nothing",)
    if isinstance(grid, str) and grid not in ("bar", "beat"):
        try:
            grid = float(grid[:40])
        except ValueError:
            grid = math.nan
    if not isinstance(grid, str) and not (isinstance(grid, int | float) and 0 < grid <= 1_000_000):
        raise EditError(f'{arguments.where}: an edit waits for "bar", "beat", or a number of beats over 0.')
    if not labels:
        return [At(grid)]
    if labels[0] == "at":
        raise EditError(f"{arguments.where}: an edit waits for one grid. Leave out one `at`.")
    return [At(grid), *_translated(labels, arguments)]


def _morph(labels, arguments):
    raise EditError(f"{arguments.where}: morphing between patches is not there yet. Use ramps, or `/dmm/crossfade/…`.")


def _get(labels, arguments):
    if not labels or labels[0] not in _QUESTIONS:
        raise unknown(arguments.where, "question", labels[0] if labels else "", _QUESTIONS, EditError)
    what, *labels = labels
    if not labels and arguments.is_text():
        head, _, tail = arguments.text("a reference").partition("/")
        labels = _undotted([head]) + (tail.split("/") if tail else [])
    return [Query(what, tuple(labels))]


def _status(labels, arguments):
    _end(labels, arguments)
    return [Query("status")] if arguments.fires() else []


def _subscribe(labels, arguments):
    pattern = _pattern(labels, arguments) or "/dmm"
    rate = arguments.number("messages a second") if arguments.left else DEFAULT_RATE
    if not 0.01 <= rate <= FASTEST_RATE:
        raise EditError(f"{arguments.where}: a rate is from 0.01 to {FASTEST_RATE:g} messages a second.")
    return [Subscribe(pattern, rate)]


def _unsubscribe(labels, arguments):
    return [Unsubscribe(_pattern(labels, arguments))]


def _pattern(labels, arguments):
    if labels:
        return "/".join(("/dmm", *labels))
    if not arguments.is_text():
        return None
    pattern = arguments.left.pop(0)
    return "/" + "/".join(_labels(pattern)).rstrip("/")


def _acknowledge(labels, arguments):
    _end(labels, arguments)
    return [Acknowledge(arguments.fires())]


def _ping(labels, arguments):
    _end(labels, arguments)
    values, arguments.left = tuple(arguments.left), []
    return [Ping(values)]


def _nothing(labels, arguments):
    arguments.left = []  # answering an answer would go on for ever
    return []


def _end(labels, arguments):
    if labels:
        raise EditError(f"{arguments.where}: the address goes on with `{labels[0]}`. Leave out the rest.")


_VERBS = {
    "w": _weight_verb(verb.Set, "a weight"),
    "norm": _weight_verb(verb.SetNorm, "a position from 0 to 1"),
    "add": _weight_verb(verb.Add, "an amount"),
    "scale": _weight_verb(verb.Scale, "a factor"),
    "cut": _cut,
    "neuron": _neuron,
    "remove": _remove,
    "insert": _insert,
    "setting": _setting,
    "crossfade": _crossfade,
    "mute": _mute,
    "undo": _trigger(verb.Undo()),
    "redo": _trigger(verb.Redo()),
    "save": _save,
    "revert": _trigger(Command("revert", ())),
    "eval": _eval,
    "panic": _panic,
    "at": _at,
    "morph": _morph,
    "get": _get,
    "status": _status,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "ack": _acknowledge,
    "ping": _ping,
    "reply": _nothing,
    "error": _nothing,
    "done": _nothing,
}
_ANSWERS = {"reply", "error", "done"}
_WITH_SOURCE = {"w", "norm", "add", "scale", "cut"}
_QUESTIONS = ("w", "y", "neurons")


def _data(labels, arguments):
    """Numbers for the neuron `osc`. The first label becomes an output, so it is written as ports are."""
    where = arguments.where
    if any(GLOB.search(label) or "," in label for label in labels):
        raise EditError(f"{where}: a pattern names no place to hold a number. Write the address itself.")
    if not labels[-1]:
        raise EditError(f"{where}: the address ends with `/`. Leave it out.")
    output, *branches = (decode_label(label) for label in labels)
    for label in branches:
        if not label or label.startswith(":"):
            raise EditError(f"{where}: a label that is empty or begins with `:` cannot be held. Use another.")
    path = (_NO_PORT.sub("_", output.lower()), *branches)
    if not arguments.left:
        return [Data(path, 1.0, pulse=True)]
    for value in arguments.left:
        if isinstance(value, str):
            raise EditError(
                f"{where}: a text cannot be held as a number. "
                f"Send numbers, or put the word into the address: `{where}/<word> 1`."
            )
    values = [arguments.number("a value") for _ in range(arguments.count)]
    if len(values) == 1:
        return [Data(path, values[0])]
    return [Data((*path, str(place)), value) for place, value in enumerate(values, start=1)]


# --- addresses out --------------------------------------------------------------------------------


def address_of(entry):
    """The address that sets an entry (to, input, from, output, *branches) of the network matrix."""
    to, port, source, *rest = entry
    return address_from(("w", to, *port.split("/"), source, *rest)) + ("" if rest else "/")


def address_from(labels):
    """The address below `/dmm` with these labels; what no address can hold is written as %XX."""
    return "/".join(("/dmm", *(label if _PLAIN.match(label) else encode_label(label) for label in labels)))


def covers(pattern, address):
    """Whether an address pattern covers an address or something above it, label by label."""
    wanted, given = _pattern_labels(pattern), address.split("/")
    return len(wanted) <= len(given) and all(
        label(other) if callable(label) else label == other
        for label, other in zip(wanted, given, strict=False)
    )


@lru_cache(maxsize=4_096)
def _pattern_labels(pattern):
    return [_glob(label) if GLOB.search(label) else label for label in pattern.rstrip("/").split("/")]


def _glob(label):
    if len(alternatives(label)) > MOST_ALTERNATIVES:
        raise EditError(f"`{label}` stands for more than {MOST_ALTERNATIVES} patterns. Use fewer `{{a,b}}`.")
    try:
        return glob(label)
    except re.error as error:
        raise EditError(f"`{label}` is no pattern: {error.msg}. Use `*`, `?`, `[a-z]`, `{{a,b}}`.") from None


def shown_address(pattern, address):
    """The address under which a subscriber is told of a change.

    Its own pattern where that names this very entry (so that a fader hears itself); else the address, without
    the source where that is `one`.
    """
    if not GLOB.search(pattern) and address in (pattern, f"{pattern}/out", f"{pattern}/one/out"):
        return pattern
    return address.removesuffix("/one/out") if address.startswith("/dmm/w/") else address

"""Patch files: a network as people write it, and what it takes to get a living network there.

`parse_patch` reads, `patch_group` starts, `difference` reloads, `parse_fragment` evaluates a piece; all of them end
in edits. The language of the lines is in `language`, saving in `patch_saving`, one-line edits in `notation`.
"""

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from dmm_av.errors import PatchError, unknown
from dmm_av.network import edits
from dmm_av.network.activation import LIBRARY
from dmm_av.network.language import Reading
from dmm_av.network.network import BUILT_IN
from dmm_av.network.notation import Command, parse_line
from dmm_av.network.patch_saving import written_into
from dmm_av.network.patch_sections import (
    FORMAT,
    awake_ports,
    full_rows,
    is_implied,
    migrated,
    read_sections,
    source_text,
    target_text,
)
from dmm_av.network.patch_text import LARGEST, Mapping, Scalar, compose, decoded, number_in, place, shown
from dmm_av.network.ports import ports_of_known
from dmm_av.network.reference import activation_prefix
from dmm_av.network.setting_values import size


@dataclass(frozen=True)
class Rates:
    """The rates of a patch, in Hz: `tick` divides `sample`, `frame` divides `tick`.

    hops   `settled`, or `strict` for one step per hop everywhere
    """

    sample: int = 48_000
    tick: int = 240
    frame: int = 60
    hops: str = "settled"

    def check(self, where="rates"):
        """Errors: a sentence with the nearest rates that are possible."""
        for name, low, high in (("sample", 8_000, 192_000), ("tick", 1, 8_000), ("frame", 1, 1_000)):
            rate = getattr(self, name)
            if not low <= rate <= high:
                raise PatchError(f"{where}: `{name}` is {rate}; it lies between {low} and {high}.")
        if self.sample % self.tick:
            near = _nearest_divisors(self.sample, self.tick)
            raise PatchError(
                f"{where}: `tick` {self.tick} does not divide `sample` {self.sample}. Nearest that do: {near}."
            )
        if self.tick % self.frame:
            near = _nearest_divisors(self.tick, self.frame)
            ticks = [rate for rate in _divisors(self.sample) if rate % self.frame == 0 and rate <= 8_000]
            tick = min(ticks, key=lambda rate: abs(rate - self.tick), default=None)
            other = f", or set `tick` to {tick}" if tick else ""
            raise PatchError(
                f"{where}: `frame` {self.frame} does not divide `tick` {self.tick}. Nearest that do: {near}{other}."
            )
        if self.hops not in ("settled", "strict"):
            raise unknown(where, "rule for `hops`", self.hops, ("settled", "strict"))


def _divisors(number):
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


def _nearest_divisors(number, wish):
    divisors = _divisors(number)
    below = [divisor for divisor in divisors if divisor <= wish][-1:]
    above = [divisor for divisor in divisors if divisor > wish][:1]
    return " and ".join(str(divisor) for divisor in below + above)


@dataclass(frozen=True)
class Patch:
    """A patch file, read and resolved.

    neurons     {name: `Declared`}; built-in ones only where the patch writes settings or rows under `neurons`
    rows        {(to, input): {(source, output, *branches): weight}}, as written; `(source,)` is a whole neuron
    no_default  {(to, input)} written `{}`
    unknown     {name: activation name}: placeholders
    places      {(to, input): (line, column)}
    warnings    sentences
    """

    format: int
    name: str
    about: str
    rates: Rates
    size: tuple
    seed: int
    limit: float
    neurons: dict
    rows: dict
    no_default: frozenset
    unknown: dict
    places: dict
    where: str
    text: str
    warnings: tuple = ()


def read_patch(path, library):
    """The `Patch` in a file.

    Errors: a sentence with file, line and column; also when the file cannot be read.
    """
    return parse_patch(read_text(path), str(path), library)


def read_text(path):
    """The text of a patch file.

    Errors: a sentence for what is no file, cannot be read, is too large for a patch, or is not UTF-8.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe might never end, nor even begin
            raise PatchError(f"{path}: the patch cannot be read (it is no regular file). Check the path.")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise PatchError(f"{path}: the patch cannot be read ({error.strerror}). Check the path.") from None
    return decoded(content, str(path))


def parse_patch(text, where, library):
    """The `Patch` that a text says.

    where    the file's name, for sentences
    errors   a sentence with line and column
    """
    text, root = migrated(text, where)
    if root is None:
        raise PatchError(f"{where}: there is nothing in it. Begin with `neurons:`.")
    reading = read_sections(root, where, library)
    header = _Header(root, where)
    return Patch(
        format=FORMAT,
        name=header.text("name"),
        about=header.text("about"),
        rates=header.rates(),
        size=header.size(),
        seed=header.number("seed", 0, whole=True),
        limit=header.number("limit", 4.0),
        neurons=reading.neurons,
        rows=reading.rows,
        no_default=frozenset(reading.no_default),
        unknown=reading.unknown,
        places=reading.places,
        where=where,
        text=text,
        warnings=tuple(reading.warnings),
    )


class _Header:
    """The keys of a patch beside its sections."""

    def __init__(self, root, where):
        self.root = root
        self.where = where

    def text(self, key):
        node = self.root.get(key)
        if node is None:
            return ""
        if not isinstance(node, Scalar):
            raise PatchError(f"{place(self.where, node)}: `{key}` is a text. Put it in quotes.")
        return "" if node.is_empty else node.text

    def number(self, key, default, whole=False):
        node = self.root.get(key)
        if node is None:
            return default
        value = number_in(node.text) if isinstance(node, Scalar) else None
        if value is None or value != value or (whole and not value.is_integer()) or value < 0 or value >= 2**53:
            kind = "whole number" if whole else "number"
            raise PatchError(f"{place(self.where, node)}: `{key}` is a {kind} from 0 up. Write one.")
        if key == "limit" and value == 0:
            raise PatchError(f"{place(self.where, node)}: with `limit` 0 every picture is black. Write 4.")
        return int(value) if whole else value

    def size(self):
        node = self.root.get("size")
        return (1280, 720) if node is None else size(node, place(self.where, node))

    def rates(self):
        node = self.root.get("rates")
        if node is None:
            return Rates()
        if not isinstance(node, Mapping):
            raise PatchError(f"{place(self.where, node)}: `rates` is a map. Write `rates: {{tick: 240, frame: 60}}`.")
        known = {}
        for key, value in node.pairs:
            if key.text not in ("sample", "tick", "frame", "hops"):
                raise unknown(place(self.where, key), "rate", shown(key.text), ("sample", "tick", "frame", "hops"))
            if not isinstance(value, Scalar):
                raise PatchError(f"{place(self.where, value)}: `{key.text}` is one value.")
            if key.text == "hops":
                known["hops"] = shown(value.text)
                continue
            number = number_in(value.text)
            if number is None or number != number or not number.is_integer():
                raise PatchError(
                    f"{place(self.where, value)}: `{key.text}` is a whole number of Hz, not `{shown(value.text)}`."
                )
            known[key.text] = int(number)
        rates = Rates(**known)
        rates.check(f"{place(self.where, node)}, rates")
        return rates


# --- Patches as edits ---------------------------------------------------------------------------------


def patch_group(patch):
    """The whole patch as one edit, for an empty network whose default rows are added after it."""
    found = _news(patch, [*BUILT_IN, *patch.neurons, *_undeclared(patch)])
    found += [_set(spot, source, weight) for spot, row in patch.rows.items() for source, weight in row.items()]
    found += [
        edits.Setting(name, key, value)
        for name, declared in patch.neurons.items()
        for key, value in declared.settings.items()
    ]
    return edits.Group(tuple(found), author="file")


def _set(spot, source, weight):
    return edits.Set(target_text(*spot), source_text(source), weight)


def _undeclared(patch):
    """Neurons that rows wake without a declaration."""
    return dict.fromkeys(name for name, _ in patch.rows if activation_prefix(name))


def _news(patch, names):
    """Declarations of the named neurons; of those that need none only where a default row is left out."""
    left_out = {}
    for name, port in sorted(patch.no_default):
        left_out.setdefault(name, []).append(port)
    found = []
    for name in dict.fromkeys(names):
        ports = tuple(left_out.get(name, ()))
        if not is_implied(name):
            found.append(edits.New(name, _shortest(patch.neurons[name].activation), ports))
        elif ports:
            found.append(edits.New(name, activation_prefix(name) or BUILT_IN[name], ports))
    return found


def _shortest(mixture):
    """A mixture as `New` takes it: a single activation at 1 is its name."""
    if len(mixture) == 1:
        ((name, coefficient),) = mixture.items()
        if coefficient == 1.0:
            return name
    return dict(mixture)


def difference(old, new, library, live=None):
    """What leads from one version of a patch to the next, default rows filled in, as one edit.

    Keys gone are cut, new or different ones set, equal ones left as they are, whatever was changed live.

    live   where given (`neurons`, `rows`), what it no longer has is not cut again, and a removed neuron whose
           lines were touched is declared again
    """
    reload = _Reload(old, new, library, live)
    found = [*reload.cuts(), *reload.removals(), *reload.declarations(), *reload.weights(), *reload.settings()]
    return edits.Group(tuple(found), author="file")


class _Reload:
    """Two versions of a patch side by side.

    gone, fresh, changed   declared neurons that the new version lacks, that it brings, whose activation it changes
    """

    def __init__(self, old, new, library, live):
        self.old, self.new, self.live = old, new, live
        self.was, self.now = full_rows(old, library), full_rows(new, library)
        self.before, self.after = awake_ports(old, library), awake_ports(new, library)
        declared = {name for name in new.neurons if not is_implied(name)}
        self.gone = {name for name in old.neurons if name not in new.neurons and not is_implied(name)}
        self.fresh = {name for name in declared if name not in old.neurons} | self._lost_but_needed(declared)
        self.changed = {
            name for name in declared - self.fresh if new.neurons[name].activation != old.neurons[name].activation
        }

    def _lost_but_needed(self, declared):
        """Neurons of both versions that the living network lacks, and that changed lines of the new one need."""
        if self.live is None:
            return set()
        lost = {name for name in declared if name in self.old.neurons and name not in self.live.neurons}
        waiting = {name for name in lost if _differ(self.old.neurons[name], self.new.neurons[name])}
        for spot in {**self.was, **self.now}:
            if self.was.get(spot) != self.now.get(spot):
                waiting |= {spot[0], *(source[0] for source in self.now.get(spot, ()))}
        found, waiting = set(), waiting & lost
        while waiting:
            found |= waiting
            rows = (row for spot, row in self.now.items() if spot[0] in waiting)
            waiting = {source[0] for row in rows for source in row} & lost - found
        return found

    def _is_alive(self, name):
        return self.live is None or name in BUILT_IN or name in self.live.neurons

    def cuts(self):
        """Entries that the new version lacks, unless they go with their neuron."""
        for spot, row in self.was.items():
            name, port = spot
            if name in self.gone | self.fresh or (name in self.changed and not _has_input(self.after[name], port)):
                continue
            kept = self.now.get(spot, {})
            there = row if self.live is None else self.live.rows.get(spot, {})
            for source in row:
                if source not in kept and source in there and source[0] not in self.gone:
                    yield edits.Cut(target_text(*spot), source_text(source))

    def removals(self):
        """Neurons that go, and settings that return to their defaults."""
        for name, declared in self.old.neurons.items():
            if not self._is_alive(name) or name in self.fresh:
                continue
            if name in self.gone:
                yield edits.Remove(name)
                continue
            kept = self.new.neurons[name].settings if name in self.new.neurons else {}
            for key in declared.settings:
                if key not in kept:
                    yield edits.Setting(name, key, None)

    def declarations(self):
        """Neurons that come or become something else."""
        new = self.new
        names = [name for name in new.neurons if name in self.fresh | self.changed]
        left_out = {
            name for name, port in new.no_default if name not in self.before or (name, port) not in self.old.no_default
        }
        return _news(new, [*names, *(name for name in _undeclared(new) if name in left_out)])

    def weights(self):
        """Entries that are new or different; default rows that Self adds by itself are left to it."""
        for spot, row in self.now.items():
            name, port = spot
            wakes = name in self.fresh or name not in self.before or not _has_input(self.before[name], port)
            if wakes and spot not in self.new.rows:
                continue
            former = {} if name in self.fresh else self.was.get(spot, {})
            for source, weight in row.items():
                if source not in former or former[source] != weight or source[0] in self.fresh:
                    yield _set(spot, source, weight)

    def settings(self):
        """Settings that are new or different."""
        for name, declared in self.new.neurons.items():
            is_known = name in self.old.neurons and name not in self.fresh
            former = self.old.neurons[name].settings if is_known else {}
            for key, value in declared.settings.items():
                if key not in former or former[key] != value:
                    yield edits.Setting(name, key, value)


def _has_input(ports, port):
    return ports.is_placeholder or ports.input(port) is not None


def _differ(declared, other):
    return (declared.activation, declared.settings) != (other.activation, other.settings)


# --- Saving -------------------------------------------------------------------------------------------


def saved_text(text, live, library=LIBRARY, where="patch"):
    """The text of a patch, changed so that it says the living network; comments and order stay.

    live       an object with `neurons` {name: ({activation: coefficient}, {setting: value})} and
               `rows` {(to, input): {(source, output, *branches): weight}}
    returns    the same text where nothing changed
    errors     a sentence when the text itself cannot be read
    """
    return written_into(text, live, library, where)


# --- Pieces of patches --------------------------------------------------------------------------------


def parse_fragment(text, library, known, where="eval", rows=None, author="panel"):
    """A piece of patch language, or one-line edits, as one edit.

    A piece has the sections `neurons` and `matrix`, or their lines alone.

    known    {name: activation name, several, or {activation name: coefficient}} of the living network
    rows     its {(to, input): {(source, output, *branches): weight}}: with it a row of the piece takes the place of
             the living row; without it, it is added to it
    errors   a sentence with line and column
    """
    try:
        root = compose(text, where)
    except PatchError:
        if re.search(r":(\s|$)", text):
            raise
        root = None
    if not isinstance(root, Mapping):
        return edits.Group(tuple(_line_edits(text, where)), author=author)
    ports = {name: ports_of_known(name, what, library) for name, what in known.items() if name not in BUILT_IN}
    if root.get("neurons") is not None or root.get("matrix") is not None:
        for key, _ in root.pairs:
            if key.text in ("rates", "size", "seed", "limit"):
                raise PatchError(f"{place(where, key)}: a piece cannot change `{key.text}`. Write it in the patch.")
        reading = read_sections(root, where, library, ports)
    else:
        reading = Reading(where, library, ports)
        lines = [pair for pair in root.pairs if not _is_row_key(pair[0].text)]
        reading.learn_neurons(root, lines)
        reading.learn_matrix(root, [pair for pair in root.pairs if pair not in lines])
        reading.resolve()
    return edits.Group(tuple(_reading_edits(reading, ports, rows)), author=author)


def _line_edits(text, where):
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        at = f"{where}, line {number}"
        edit = parse_line(line, at)
        if isinstance(edit, Command):
            raise PatchError(f"{at}: `{edit.name}` is a command, not an edit. Give it alone.")
        found.append(edit)
    if not found:
        raise PatchError(f"{where}: there is nothing in it. Write an edit such as `fold.wedges 7`.")
    return found


def _is_row_key(text):
    return "." in re.sub(r"\([^()]*\)", "", text).rpartition(":")[2]


def _reading_edits(reading, known, rows):
    made = {name for name in reading.neurons if name not in known and not is_implied(name)}
    found = []
    for spot in reading.places:
        kept = reading.rows.get(spot, {})
        there = (rows or {}).get(spot, {})
        if rows is None and not kept and spot[0] not in made:
            found.append(edits.Cut(target_text(*spot), "*"))
        found += [edits.Cut(target_text(*spot), source_text(source)) for source in there if source not in kept]
    for name, declared in reading.neurons.items():
        if name in made or (not is_implied(name) and declared.activation != known[name].mixture):
            ports = tuple(port for other, port in sorted(reading.no_default) if other == name)
            found.append(edits.New(name, _shortest(declared.activation), ports))
    found += [_set(spot, source, weight) for spot, row in reading.rows.items() for source, weight in row.items()]
    for name, declared in reading.neurons.items():
        found += [edits.Setting(name, key, value) for key, value in declared.settings.items()]
    return found

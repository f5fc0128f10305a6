"""Saving: the living network written back into the text of its patch, comments and order kept.

Only what changed is rewritten, in place. Lines that stand for several (`voice(1..8)`, patterns) are written out once
one of them differs. The result is read again; where it would not give the living network exactly, the sections are
written anew instead.
"""

from itertools import takewhile

from dmm_av.errors import PatchError
from dmm_av.network.language import ONE, Declared
from dmm_av.network.network import BUILT_IN
from dmm_av.network.patch_sections import (
    FORMAT,
    full_rows,
    is_implied,
    migrated,
    read_sections,
    source_text,
    target_text,
)
from dmm_av.network.patch_text import (
    Mapping,
    Scalar,
    Sequence,
    TextEdits,
    number_text,
    quoted,
    value_text,
)
from dmm_av.network.ports import built_in_ports, ports_of, undeclared_ports
from dmm_av.network.reference import activation_prefix, is_name
from dmm_av.streams.kinds import Kind, is_legal


def written_into(text, live, library, where):
    """What `patch.saved_text` promises."""
    text, root = migrated(text, where)
    if root is None:
        text = f"format: {FORMAT}\n"
        _, root = migrated(text, where)
    wanted = _Wanted(live, library, read_sections(root, where, library))
    for attempt in (_in_place, _anew):
        result = attempt(text, root, wanted)
        if wanted.is_said_by(result, where):
            return result
    raise PatchError(f"{where}: the network cannot be saved into this text. Save it under another name.")


class _Wanted:
    """What the saved text must say, seen beside what the text says now.

    neurons   {name: `Declared`} that need a line under `neurons`
    rows      {(to, input): row} that must be written; {} where a default row is left out
    """

    def __init__(self, live, library, reading):
        self.live = live
        self.library = library
        self.reading = reading
        self.names = built_in_ports(library)
        for name, (mixture, _) in live.neurons.items():
            if name not in BUILT_IN:
                self.names[name] = undeclared_ports(name, library) or ports_of(dict(mixture), library)
        for name, _ in live.rows:
            if name not in self.names and is_name(name) and activation_prefix(name):
                self.names[name] = undeclared_ports(name, library)
        with_rows = {name for name, _ in live.rows}
        self.covered = set(self.names) - ({"self"} - with_rows)  # a view may leave self out
        self.full = self._full_rows()
        self.rows = self._rows()
        self.neurons = self._neurons()

    def _full_rows(self):
        """The living rows, without entries that the language cannot say and that therefore give nothing."""
        found = {}
        for (name, port), row in self.live.rows.items():
            ports = self.names.get(name)
            if ports is None or name not in self.covered or port == "activation":
                continue
            declared = ports.input(port)
            if declared is None and not ports.is_placeholder:
                continue
            kept = {source: float(weight) for source, weight in row.items() if self._is_sayable(source, declared)}
            if kept:
                found[(name, port)] = kept
        return found

    def _is_sayable(self, source, declared):
        ports = self.names.get(source[0])
        if ports is None:
            ports = undeclared_ports(source[0], self.library) if is_name(source[0]) else None
        if ports is None:
            return False
        if len(source) == 1:
            kind = Kind.VVALUE
        else:
            output = ports.output(source[1])
            if output is None:
                return ports.is_placeholder
            if len(source) > 2 and output.kind != Kind.VVALUE:
                return False
            kind = Kind.NUMBER if len(source) > 2 else output.kind
        return declared is None or is_legal(kind, declared.kind)

    def _rows(self):
        places = self.reading.places
        found = {}
        for name in self.covered:
            for port, default in self.names[name].default_rows().items():
                row = self.full.get((name, port), {})
                if row != default or (name, port) in places:
                    found[(name, port)] = row
        for spot, row in self.full.items():
            if spot[1] not in self.names[spot[0]].default_rows():
                found[spot] = row
        # what only its default rows keep awake, and nothing declares, would sleep
        awake = {name for (name, _), row in found.items() if row}
        for spot, row in self.full.items():
            if spot[0] not in awake and activation_prefix(spot[0]):
                found[spot] = row
        for spot in self.reading.no_default:
            if spot[0] in self.covered and spot not in self.full and self._has_input(*spot):
                found.setdefault(spot, {})
        for spot in places:
            if spot[0] == "self" and "self" not in self.covered:
                found[spot] = self.reading.rows.get(spot, {})
        return found

    def _has_input(self, name, port):
        return self.names[name].is_placeholder or self.names[name].input(port) is not None

    def _neurons(self):
        texts = self.reading.neuron_texts
        found = {}
        for name, (mixture, settings) in self.live.neurons.items():
            ports = self.names.get(name)
            if ports is None:
                continue
            written = self.reading.neurons[name].settings if name in self.reading.neurons else {}
            settings = {
                key: value
                for key, value in settings.items()
                if key != "is"
                and (key in written or (found_one := ports.setting(key)) is None or found_one.default != value)
            }
            if is_implied(name) and not settings and name not in texts:
                continue
            found[name] = Declared(dict(mixture), settings)
        for name in texts:
            if name in BUILT_IN and name not in found:
                found[name] = self.reading.neurons[name]
        return found

    def is_said_by(self, text, where):
        """Whether a text, read again, gives the living network."""
        try:
            _, root = migrated(text, where)
            reading = read_sections(root, where, self.library)
        except PatchError:
            return False
        rows = {spot: row for spot, row in full_rows(reading, self.library).items() if spot[0] in self.covered}
        said = {name: declared for name, declared in reading.neurons.items() if not _is_bare(name, declared)}
        wanted = {name: declared for name, declared in self.neurons.items() if not _is_bare(name, declared)}
        return (
            rows == self.full
            and said.keys() == wanted.keys()
            and all(
                said[name].settings == wanted[name].settings
                and (is_implied(name) or said[name].activation == wanted[name].activation)
                for name in wanted
            )
        )

    # --- pieces of text ----------------------------------------------------------------------------

    def source(self, source):
        """A source as it is written: without its output where that is the only one."""
        if len(source) == 2 and source != ONE:
            ports = self.names.get(source[0]) or undeclared_ports(source[0], self.library)
            if ports is not None and ports.only_output == source[1]:
                return source[0]
        return source_text(source)

    def row(self, row):
        """A row as the shortest text that says it."""
        if len(row) == 1:
            ((source, weight),) = row.items()
            if source == ONE:
                return number_text(weight)
            if weight == 1.0:
                return self.source(source)
        return "{" + ", ".join(self.entry(source, weight) for source, weight in row.items()) + "}"

    def entry(self, source, weight):
        """`source: weight`."""
        return f"{self.source(source)}: {number_text(weight)}"

    def mixture(self, mixture):
        """Activations as they are written after `is:`."""
        if list(mixture.values()) == [1.0]:
            return next(iter(mixture))
        return "{" + ", ".join(f"{name}: {number_text(value)}" for name, value in mixture.items()) + "}"

    def fields(self, name, spots):
        """`key: value` for rows of one neuron, in the order of its inputs, families as lists."""
        ports = self.names[name]
        order = {port: index for index, port in enumerate(ports.inputs)}
        spots = sorted(spots, key=lambda spot: (order.get(_head(spot[1]), len(order)), _rank(spot[1])))
        found, listed = [], set()
        for spot in spots:
            family = _head(spot[1])
            if spot in listed:
                continue
            if ports.is_family(family):
                run = _run(name, family, spots)
                if run and spot == run[0]:
                    listed.update(run)
                    found.append(f"{family}: {self.items(run)}")
                    continue
            found.append(f"{spot[1]}: {self.row(self.rows[spot])}")
        return found

    def items(self, spots):
        """The rows of a family as a list."""
        return "[" + ", ".join(self.row(self.rows[spot]) for spot in spots) + "]"

    def settings(self, settings):
        """`key: value` for settings."""
        return [f"{key}: {value_text(value)}" for key, value in settings.items()]

    def declaration(self, name, spots):
        """A neuron's whole line."""
        declared = self.neurons[name]
        fields = [*self.settings(declared.settings), *self.fields(name, spots)]
        if is_implied(name):
            return f"{name}: {{{', '.join(fields)}}}"
        return f"{name}: {self.body(declared.activation, fields)}"

    def body(self, mixture, fields=()):
        """What stands after a neuron's name."""
        text = self.mixture(mixture)
        return f"{{is: {', '.join([text, *fields])}}}" if fields or text.startswith("{") else text

    def matrix_line(self, spot):
        """A row's whole line under `matrix`."""
        return f"{target_text(*spot)}: {self.row(self.rows[spot])}"


def _is_bare(name, declared):
    """Whether a declaration says nothing that goes without it."""
    return is_implied(name) and not declared.settings


def _head(port):
    return port.partition("/")[0]


def _rank(port):
    tail = port.partition("/")[2]
    return (0, int(tail), "") if tail.isdecimal() else (1, 0, tail)


def _run(name, family, spots):
    """Places 1, 2, 3 … of a family, as far as none is missing."""
    there, run = set(spots), []
    while (name, f"{family}/{len(run) + 1}") in there:
        run.append((name, f"{family}/{len(run) + 1}"))
    return run


# --- In place -------------------------------------------------------------------------------------------


def _in_place(text, root, wanted):
    """The text with only what differs rewritten."""
    return _Rewriting(text, root, wanted).result()


class _Rewriting:
    def __init__(self, text, root, wanted):
        self.edits = TextEdits(text)
        self.root = root
        self.wanted = wanted
        self.reading = wanted.reading
        self.handled = set()
        self.added = {}
        self.new_rows = []

    def result(self):
        wanted, texts = self.wanted, self.reading.neuron_texts
        unwritten = [spot for spot in wanted.rows if spot not in self.reading.places]
        for spot in sorted(unwritten):
            self.added.setdefault(spot[0], []).append(spot)
        self._repeated_lines()
        self._families()
        for name, text in texts.items():
            if not text.repeated:
                self._neuron(name, text)
        self._rows()
        made = [name for name in wanted.neurons if name not in texts]
        self._append(
            "neurons",
            [wanted.declaration(name, () if is_implied(name) else self.added.pop(name, ())) for name in made],
        )
        rest = [spot for spots in self.added.values() for spot in spots]
        self._append("matrix", [wanted.matrix_line(spot) for spot in rest])
        return self.edits.text if self.edits.is_empty else self.edits.result()

    def _differs(self, spot):
        return spot not in self.handled and self.wanted.rows.get(spot) != self.reading.rows.get(
            spot, {} if spot in self.reading.places else None
        )

    # --- lines that stand for several ----------------------------------------------------------------

    def _repeated_lines(self):
        lines = {}
        for name, text in self.reading.neuron_texts.items():
            if text.repeated:
                lines.setdefault(id(text.pair[0]), (text, []))[1].append(name)
        for text, names in lines.values():
            inside = {
                spot
                for spot, row in self.reading.row_texts.items()
                if spot[0] in names and text.body is not None and row.mapping is text.body
            }
            if any(self._is_touched(name, inside) for name in names):
                self._write_out(text, [name for name in names if name in self.wanted.neurons], inside)
            else:
                self.handled |= inside
        rows = {}
        for spot, row in self.reading.row_texts.items():
            if row.repeated and spot not in self.handled:
                rows.setdefault(id(row.pair[0]), (row, []))[1].append(spot)
        for row, spots in rows.values():
            if any(self._differs(spot) for spot in spots):
                left = [spot for spot in spots if spot in self.wanted.rows]
                self._replace_line(row, [self.wanted.matrix_line(spot) for spot in left])
            self.handled |= set(spots)

    def _is_touched(self, name, inside):
        declared = self.wanted.neurons.get(name)
        before = self.reading.neurons[name]
        return (
            declared is None
            or (not is_implied(name) and declared.activation != before.activation)
            or declared.settings != before.settings
            or name in self.added
            or any(spot[0] == name and self._differs(spot) for spot in inside)
        )

    def _write_out(self, text, names, inside):
        lines = []
        for name in names:
            if text.in_matrix:
                lines.append(f"{name}.activation: {self.wanted.mixture(self.wanted.neurons[name].activation)}")
                continue
            spots = [spot for spot in inside if spot[0] == name and spot in self.wanted.rows]
            lines.append(self.wanted.declaration(name, [*spots, *self.added.pop(name, ())]))
        self._replace_line(text, lines)
        self.handled |= inside

    def _replace_line(self, text, lines):
        if lines:
            self.edits.replace_pair(text.mapping, text.pair, lines)
        else:
            self.edits.delete(text.mapping, text.pair)

    # --- single lines --------------------------------------------------------------------------------

    def _neuron(self, name, text):
        declared, before = self.wanted.neurons.get(name), self.reading.neurons[name]
        if declared is None:
            self.edits.delete(text.mapping, text.pair)
            if text.body is not None:
                self.handled |= {spot for spot, row in self.reading.row_texts.items() if row.mapping is text.body}
            return
        more = []
        for key, value in declared.settings.items():
            if key not in before.settings:
                more += self.wanted.settings({key: value})
            elif before.settings[key] != value:
                self.edits.replace(self.reading.setting_texts[(name, key)][1][1], value_text(value))
        for key in before.settings:
            if key not in declared.settings:
                self.edits.delete(*self.reading.setting_texts[(name, key)])
        if not text.in_matrix:
            more += self.wanted.fields(name, self.added.pop(name, ()))
        is_same = is_implied(name) or declared.activation == before.activation
        if text.body is not None:
            for line in more:
                self.edits.append(text.body, line)
            if not is_same:
                self.edits.replace(text.activation, self.wanted.mixture(declared.activation))
        elif more and text.in_matrix:
            self._append("neurons", [f"{name}: {{{', '.join(more)}}}"])
        elif text.in_matrix and not is_same:
            self.edits.replace(text.activation, self.wanted.mixture(declared.activation))
        elif more and is_implied(name):
            self.edits.replace(text.pair[1], "{" + ", ".join(more) + "}")
        elif more or not is_same:
            self.edits.replace(text.pair[1], self.wanted.body(declared.activation, more))

    def _rows(self):
        for spot, text in self.reading.row_texts.items():
            if self._differs(spot):
                self._row(text, self.wanted.rows.get(spot), self.reading.rows.get(spot, {}))

    def _row(self, text, row, before):
        value = text.value
        if row is None:
            self.edits.delete(text.mapping, text.pair)
        elif not row or not isinstance(value, Mapping) or not text.single or not before:
            self.edits.replace(value, self.wanted.row(row))
        else:
            for key, node in value.pairs:
                source = next(source for source, weight in text.weights.items() if weight is node)
                if source not in row:
                    self.edits.delete(value, (key, node))
                elif row[source] != before[source]:
                    self.edits.replace(node, number_text(row[source]))
            for source, weight in row.items():
                if source not in before:
                    self.edits.append(value, self.wanted.entry(source, weight))

    def _families(self):
        """Rows that stand in lists: item by item, or the whole list where its length changes."""
        lists = {}
        for spot, text in self.reading.row_texts.items():
            if text.item is not None and spot not in self.handled:
                lists.setdefault(id(text.pair[0]), (text, []))[1].append(spot)
        for text, spots in lists.values():
            name, family = spots[0][0], _head(spots[0][1])
            if name in self.reading.neuron_texts and name not in self.wanted.neurons:
                continue
            self.handled |= set(spots)
            free = {*spots, *self.added.get(name, ())}  # a row that has a line of its own keeps it
            run = takewhile(lambda spot, free=free: spot in free, _run(name, family, self.wanted.rows))
            self._family(text, spots, list(run))

    def _family(self, text, spots, run):
        for spot in set(run) - set(spots):
            if spot in self.added.get(spot[0], ()):
                self.added[spot[0]].remove(spot)
        rows = self.wanted.rows
        if run == spots:
            for spot in spots:
                if rows[spot] != self.reading.rows.get(spot, {}):
                    self.edits.replace(self.reading.row_texts[spot].value, self.wanted.row(rows[spot]))
            return
        if run:
            self.edits.replace(text.pair[1], self.wanted.items(run))
        else:
            self.edits.delete(text.mapping, text.pair)
        for spot in spots:
            if spot in rows and spot not in run:
                head = target_text(*spot) if text.mapping is self.root.get("matrix") else spot[1]
                self.edits.append(text.mapping, f"{head}: {self.wanted.row(rows[spot])}")

    # --- new lines -----------------------------------------------------------------------------------

    def _append(self, section, lines):
        if not lines:
            return
        key = next((key for key, _ in self.root.pairs if key.text == section), None)
        value = self.root.get(section)
        if isinstance(value, Mapping):
            for line in lines:
                self.edits.append(value, line)
        elif key is not None and not self.root.flow:
            self.edits.fill(key, lines)
        elif key is not None:
            self.edits.replace(value, "{" + ", ".join(lines) + "}")
        elif self.root.flow:
            self.edits.append(self.root, f"{section}: {{{', '.join(lines)}}}")
        else:
            indent = self.edits.line_break + " " * (self.root.pairs[0][0].column + 1)
            self.edits.append(self.root, f"{section}:{''.join(indent + line for line in lines)}")


# --- Anew -----------------------------------------------------------------------------------------------


def _anew(text, root, wanted):
    """The text with both sections written from nothing; comments before the first key stay."""
    lines = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines.append(line)
    for key, value in root.pairs:
        if key.text not in ("neurons", "matrix"):
            lines.append(f"{key.text}: {_plain_text(value)}")
    inside = {name: [] for name in wanted.neurons if not is_implied(name)}
    rest = []
    for spot in sorted(wanted.rows):
        inside.get(spot[0], rest).append(spot)
    if wanted.neurons:
        lines.append("neurons:")
        lines += [f"  {wanted.declaration(name, inside.get(name, ()))}" for name in wanted.neurons]
    if rest:
        lines.append("matrix:")
        lines += [f"  {wanted.matrix_line(spot)}" for spot in rest]
    return "\n".join(lines) + "\n"


def _plain_text(node):
    """A node of the header as text on one line."""
    if isinstance(node, Scalar):
        return node.text if node.plain and "\n" not in node.text else quoted(node.text)
    if isinstance(node, Sequence):
        return "[" + ", ".join(_plain_text(item) for item in node.items) + "]"
    return "{" + ", ".join(f"{key.text}: {_plain_text(value)}" for key, value in node.pairs) + "}"

"""Patch files as text: YAML read within bounds, with the place of every piece, and edits that leave the rest alone.

Reads events, not objects, so nothing in a file is ever executed or expanded, and depth costs no stack. All
scalars stay text; what they mean is `patch`'s business. Knows no neuron, no row and no activation.
"""

import re

import yaml

from dmm_av.errors import PatchError

LARGEST = 1_000_000  # bytes
DEEPEST = 32
MOST_NODES = 50_000  # aliases counted as often as they are used
LONGEST_NAME = 200

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PLAIN_NUMBER = re.compile(_NUMBER + r"\Z")
_NUMBER_WITH_UNIT = re.compile(rf"({_NUMBER}) ?(dB|%|kHz|Hz|ms|s)\Z")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|nan)\Z", re.IGNORECASE)
_SAFE_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_./~-]*\Z")
_SYMBOLS = {"kHz": ("Hz", "cycles/s"), "Hz": ("Hz", "cycles/s"), "ms": ("s",), "s": ("s",)}
_COUNTED = ("Hz", "cycles/s", "s", "dB", "cycles", "octaves", "beats", "beats/min", "MIDI note", "pixels")

# What the YAML reader says, and what a player should do about it.
_REMEDIES = (
    ("mapping values are not allowed", "A `:` too many, or the lines above are indented otherwise."),
    ("could not find expected ':'", "A key needs a `:` and a space after it."),
    ("expected ',' or '}'", "A `{` has no `}`, or a comma is missing between two entries."),
    ("expected ',' or ']'", "A `[` has no `]`, or a comma is missing between two items."),
    ("expected <block end>", "Lines of one list of keys begin in the same column."),
    ("did not find expected key", "Lines of one list of keys begin in the same column."),
    ("expected alphabetic or numeric", 'A name that begins with `*` or `&` needs quotes: "*.left".'),
    ("found unexpected end of stream", "A quote is opened and never closed."),
    ("block sequence entries are not allowed", "A `-` stands where a value belongs. Write the number or the name."),
    ("control characters are not allowed", "Remove the invisible characters."),
)


class Node:
    """A piece of the text: where it stands.

    line, column   counted from 1
    start, end     offsets into the text; of a block mapping only `start` is exact, see `last_offset`
    size           nodes below it and itself, aliases counted as often as they are used
    """

    __slots__ = ("line", "column", "start", "end", "size")

    def __init__(self, event):
        start, end = event.start_mark, event.end_mark
        self.line, self.column = start.line + 1, start.column + 1
        self.start, self.end, self.size = start.index, end.index, 1


class Scalar(Node):
    """A word, number or quoted text; `plain` says that it stands without quotes."""

    __slots__ = ("text", "plain")

    def __init__(self, event):
        super().__init__(event)
        self.text, self.plain = event.value, not event.style

    @property
    def is_empty(self):
        """Whether nothing, `~` or `null` is written."""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


class Mapping(Node):
    """Keys with values, in order: `pairs` of (`Scalar`, node); `flow` when written with braces."""

    __slots__ = ("pairs", "flow")

    def __init__(self, event):
        super().__init__(event)
        self.pairs, self.flow = [], bool(event.flow_style)

    def get(self, key):
        """The value under a key, or None."""
        return next((value for name, value in self.pairs if name.text == key), None)


class Sequence(Node):
    """Items in order; `flow` when written with brackets."""

    __slots__ = ("items", "flow")

    def __init__(self, event):
        super().__init__(event)
        self.items, self.flow = [], bool(event.flow_style)


def place(where, node):
    """The place of a node, as sentences begin with it."""
    return f"{where}, line {node.line}, column {node.column}"


def shown(text, most=60):
    """A text as it may stand in a sentence: on one line, and not too long."""
    text = str(text).replace("\n", " ")
    return text if len(text) <= most else text[: most - 1] + "…"


def decoded(content, where):
    """The text of a file's bytes.

    Errors: too large, or not UTF-8.
    """
    if len(content) > LARGEST:
        raise PatchError(f"{where}: larger than {LARGEST // 1000} kB, which no patch is. Is this the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PatchError(f"{where}, line {line}: this is not UTF-8 text. Save the file as UTF-8.") from None


def compose(text, where):
    """The `Node` at the root of a YAML text, or None where the text is empty.

    Errors: bad YAML, tags, merge keys, keys that are no words, the same key twice, and anything over the bounds.
    """
    if len(text) > LARGEST:
        raise PatchError(f"{where}: larger than {LARGEST // 1000} kB, which no patch is. Send it in parts.")
    try:
        return _built(yaml.parse(text, Loader=_LOADER), where)
    except yaml.YAMLError as error:
        raise _explained(error, text, where) from None


def _built(events, where):
    root, anchors, open_nodes, documents = None, {}, [], 0
    for event in events:
        kind = type(event)
        if kind is yaml.DocumentStartEvent:
            documents += 1
            if documents > 1:
                raise PatchError(
                    f"{where}, line {event.start_mark.line + 1}: a second document begins. One patch, one file: "
                    "remove the `---`."
                )
        if kind in (yaml.SequenceEndEvent, yaml.MappingEndEvent):
            node, _, key = open_nodes.pop()
            node.end = event.end_mark.index
            if key is not None:
                raise PatchError(f"{place(where, key)}: `{shown(key.text)}` lacks a value.")
        elif kind is yaml.AliasEvent:
            node = anchors.get(event.anchor)
            if node is None or any(node is other for other, _, _ in open_nodes):
                raise PatchError(
                    f"{place(where, Node(event))}: `*{shown(event.anchor)}` is YAML's way to repeat something named "
                    f'before. If you mean a pattern, put it in quotes: "*{shown(event.anchor)}".'
                )
        elif kind in (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent):
            if event.tag is not None:
                raise PatchError(
                    f"{place(where, Node(event))}: `{shown(event.tag)}` is a tag, and patches have none. "
                    "Leave it out, or put the text in quotes."
                )
            node = _NODES[kind](event)
            if event.anchor is not None:
                anchors[event.anchor] = node
        else:
            continue
        if kind in (yaml.SequenceEndEvent, yaml.MappingEndEvent):
            size = node.size
        else:
            size = node.size if kind is yaml.AliasEvent else 1
            if kind in (yaml.SequenceStartEvent, yaml.MappingStartEvent):
                if len(open_nodes) >= DEEPEST:
                    raise PatchError(f"{place(where, node)}: nested deeper than {DEEPEST} levels. Close some brackets.")
                open_nodes.append([node, set(), None])
                continue
        if not open_nodes:
            root = node
            continue
        parent, keys, key = open_nodes[-1]
        parent.size += size
        if parent.size > MOST_NODES:
            raise PatchError(
                f"{place(where, parent)}: more than {MOST_NODES} pieces, counting what `*` repeats. "
                "No patch is that large."
            )
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif key is None:
            open_nodes[-1][2] = _checked_key(node, keys, parent, where)
        else:
            parent.pairs.append((key, node))
            open_nodes[-1][2] = None
    return root


_NODES = {
    yaml.ScalarEvent: Scalar,
    yaml.SequenceStartEvent: Sequence,
    yaml.MappingStartEvent: Mapping,
}


def _checked_key(node, keys, parent, where):
    if not isinstance(node, Scalar):
        raise PatchError(f"{place(where, node)}: a list or map stands where a name belongs. Is a quote missing?")
    if len(node.text) > LONGEST_NAME:
        raise PatchError(f"{place(where, node)}: `{shown(node.text)}` is too long for a name.")
    if node.plain and node.text == "<<":
        raise PatchError(f"{place(where, node)}: `<<` is not part of the language. Repeat a line with `name(1..8)`.")
    if node.text in keys:
        first = next(key for key, _ in parent.pairs if key.text == node.text)
        raise PatchError(
            f"{place(where, node)}: `{shown(node.text)}` is written twice, first in line {first.line}. "
            "Remove one of the two."
        )
    keys.add(node.text)
    return node


def _explained(error, text, where):
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it is no YAML")
    at = where
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in problem), "")
    if mark is not None:
        at = f"{where}, line {mark.line + 1}, column {mark.column + 1}"
        lines = text.splitlines()
        line = lines[mark.line] if mark.line < len(lines) else ""
        if "cannot start any token" in problem:
            character = line[mark.column : mark.column + 1]
            remedy = (
                "Indent with spaces, not with tabs."
                if character == "\t"
                else f"A text that begins with `{character}` needs quotes."
            )
    elif isinstance(getattr(error, "position", None), int):
        at = f"{where}, line {text.count(chr(10), 0, error.position) + 1}"
    return PatchError(f"{at}: this cannot be read ({shown(problem)}). {remedy}".rstrip())


# --- Numbers and texts ------------------------------------------------------------------------------


def number_in(text):
    """The float that a text says without a unit, nan for `.inf` and the like, None for any other text."""
    if _PLAIN_NUMBER.match(text):
        value = float(text)
        return value if abs(value) != float("inf") else float("nan")
    return float("nan") if _NO_NUMBER.match(text) else None


def number_with_unit(text):
    """A number that may carry a unit: (number, unit as written or None), or None for any other text."""
    value = number_in(text)
    if value is not None:
        return value, None
    found = _NUMBER_WITH_UNIT.match(text)
    return (number_in(found[1]), found[2]) if found else None


def weight_in(number, unit, symbol=""):
    """The weight that a number with a unit means where numbers are counted in `symbol`; None where it cannot.

    `-6dB` is the gain 0.501…, or -6 where decibels are counted; `50%` is 0.5; times are in s, frequencies in Hz.
    """
    if unit is None:
        return number
    if unit == "%":
        return number / 100.0
    if unit == "dB":
        if symbol == "dB":
            return number
        return 10.0 ** (number / 20.0) if number < 6000.0 else float("nan")
    if symbol in _COUNTED and symbol not in _SYMBOLS[unit]:
        return None
    value = number / 1000.0 if unit == "ms" else number * 1000.0 if unit == "kHz" else number
    return value if abs(value) != float("inf") else float("nan")


def number_text(value):
    """The shortest text that reads back as exactly this number."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value)) if value or str(value)[0] != "-" else "-0.0"
    return repr(value)


def quoted(text):
    """A text as a YAML scalar, quoted where it must be."""
    if _SAFE_TEXT.match(text) and text.lower() not in ("null", "nan", "inf"):
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character):
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def value_text(value):
    """A setting's value (text, number, boolean, list, tree) as YAML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(value_text(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)}: {value_text(item)}" for key, item in value.items()) + "}"
    return quoted(str(value))


# --- Changing a text in place -------------------------------------------------------------------------


def last_offset(node):
    """Where the last character of a node's own text ends, comments and empty lines after it not counted."""
    if isinstance(node, Mapping) and not node.flow:
        return last_offset(node.pairs[-1][1]) if node.pairs else node.start
    if isinstance(node, Sequence) and not node.flow:
        return last_offset(node.items[-1]) if node.items else node.start
    return node.end


class TextEdits:
    """Changes to a composed text: values replaced, entries taken out, entries put at the end of a mapping.

    What is not named stays as it was, character by character. The result is not checked here.
    """

    def __init__(self, text):
        self.text = text
        self.line_break = "\r\n" if "\r\n" in text else "\n"
        self._replaced = []
        self._deleted = {}
        self._appended = {}

    def replace(self, node, text):
        """Puts other text in a node's place."""
        if isinstance(node, Scalar) and node.start == node.end:
            text = " " + text  # an empty value starts right after its colon
        self._replaced.append((node.start, last_offset(node), text))

    def replace_pair(self, mapping, pair, lines):
        """Puts other entries in the place of one entry of a mapping."""
        between = ", " if mapping.flow else self.line_break + " " * (pair[0].column - 1)
        self._replaced.append((pair[0].start, self._end_of(pair), between.join(lines)))

    def delete(self, mapping, pair):
        """Takes an entry out of a mapping."""
        self._deleted.setdefault(id(mapping), (mapping, []))[1].append(pair)

    def append(self, mapping, line):
        """Puts an entry `key: value` at the end of a mapping."""
        self._appended.setdefault(id(mapping), (mapping, []))[1].append(line)

    def fill(self, key, lines):
        """Gives a key without value (`neurons:`) the entries of a block mapping."""
        indent = " " * (key.column + 1)
        at = self._line_end(key.end)
        self._replaced.append((at, at, "".join(self.line_break + indent + line for line in lines)))

    @property
    def is_empty(self):
        """Whether nothing was asked for."""
        return not (self._replaced or self._deleted or self._appended)

    def result(self):
        """The changed text."""
        changes = list(self._replaced)
        mappings = {**self._deleted, **self._appended}
        # inner flow mappings are written before the outer ones, which may rewrite their text
        for mapping, _ in sorted(mappings.values(), key=lambda found: -found[0].start):
            deleted = self._deleted.get(id(mapping), (None, ()))[1]
            appended = self._appended.get(id(mapping), (None, ()))[1]
            if mapping.flow:
                changes = self._flow(mapping, deleted, appended, changes)
            else:
                changes += self._block(mapping, deleted, appended)
        return self._applied(changes, 0, len(self.text))

    def _flow(self, mapping, deleted, appended, changes):
        if not deleted and mapping.pairs:
            at = self._end_of(mapping.pairs[-1])
            return [*changes, (at, at, "".join(f", {line}" for line in appended))]
        gone = {id(key) for key, _ in deleted}
        inside = [change for change in changes if mapping.start <= change[0] and change[1] <= mapping.end]
        kept = [
            self._applied(inside, key.start, self._end_of((key, value)))
            for key, value in mapping.pairs
            if id(key) not in gone
        ]
        outside = [change for change in changes if change not in inside]
        return [*outside, (mapping.start, mapping.end, "{" + ", ".join([*kept, *appended]) + "}")]

    def _block(self, mapping, deleted, appended):
        changes = []
        for pair in deleted:
            start, end = self._line_start(pair[0].start), self._line_end(self._end_of(pair))
            # the break before the line goes, so that what is put at its end still begins a line
            start = self._line_end(max(0, start - 2)) if start else 0
            changes.append((start, end, ""))
        if appended:
            indent = self.line_break + " " * (mapping.pairs[0][0].column - 1)
            at = self._line_end(self._end_of(mapping.pairs[-1]))
            changes.append((at, at, "".join(indent + line for line in appended)))
        return changes

    def _applied(self, changes, start, end):
        pieces, at = [], start
        for first, last, text in sorted(changes, key=lambda change: change[:2]):
            if first < start or last > end:
                continue
            pieces += [self.text[at:first], text]
            at = max(at, last)
        return "".join([*pieces, self.text[at:end]])

    @staticmethod
    def _end_of(pair):
        return max(last_offset(pair[1]), pair[0].end)

    def _line_start(self, offset):
        return self.text.rfind("\n", 0, offset) + 1

    def _line_end(self, offset):
        """The offset of the line break at or after an offset."""
        end = self.text.find("\n", offset)
        end = len(self.text) if end < 0 else end
        return end - 1 if end > offset and self.text[end - 1] == "\r" else end

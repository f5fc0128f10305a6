"""The patch language: the lines of `neurons` and `matrix`, read into declarations and rows whose names are resolved.

Two passes: the first learns which neurons there are, the second reads their rows, so that order never matters.
Headers, whole files and what a reading is for (start, reload, eval, save) are in `patch` and `patch_saving`.
"""

import re
from dataclasses import dataclass
from functools import partial

from dmm_av.errors import DmmError, PatchError, nearest, unknown
from dmm_av.network.network import AUTHORS, BUILT_IN, LIBRARY_NAME, UNSEEN
from dmm_av.network.patch_text import (
    LONGEST_NAME,
    Mapping,
    Node,
    Scalar,
    Sequence,
    number_with_unit,
    place,
    shown,
)
from dmm_av.network.ports import built_in_ports, ports_of, undeclared_ports
from dmm_av.network.reference import ACTIVATION, activation_prefix, alternatives, glob, is_name, parse_reference
from dmm_av.network.setting_values import finite_number, setting_value
from dmm_av.streams.kinds import Kind, converter, is_legal

ONE = ("one", "out")  # the source of a bare number
MOST_NEURONS = 10_000
MOST_ENTRIES = 50_000
MOST_MEMBERS = 1_000  # of `voice(1..1000)`
MOST_REPEATED = 100_000  # pieces below such lines, counted for each member
MOST_COMPARED = 500_000  # names with patterns
PATTERN_COST = 400  # making a pattern ready takes as long as so many comparisons
MOST_ITEMS = 1_024  # of a family such as `steps`
MOST_SUGGESTIONS = 20

_GROUP = re.compile(r"\(([^()]*)\)")
_RANGE = re.compile(r"(\d{1,6})\.\.(\d{1,6})\Z")
_ITEM = re.compile(r"[1-9]\d{0,5}\Z")


@dataclass(frozen=True)
class Declared:
    """A neuron as a patch declares it.

    activation   {activation name: coefficient}
    settings     {key: value}, those that are written
    line         where
    """

    activation: dict
    settings: dict
    line: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """Which of the lines that `voice(1..8)` stands for is being read."""

    index: int
    count: int


@dataclass(frozen=True, slots=True)
class Members:
    """The texts that one text with parentheses stands for, made when they are asked for."""

    before: str
    items: range | list
    after: str

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return f"{self.before}{self.items[index]}{self.after}"


@dataclass(frozen=True, slots=True)
class NeuronText:
    """Where a neuron is declared: `body` is None where only its activation is written."""

    mapping: Mapping
    pair: tuple
    activation: Node | None
    body: Mapping | None
    repeated: bool
    in_matrix: bool = False


@dataclass(frozen=True, slots=True)
class RowText:
    """Where a row is written.

    item      its place in a list on a family, or None
    weights   {(source, output, *branches): node of its weight, or None where it is not written}
    single    whether each entry has a text of its own (no pattern, no repetition)
    """

    mapping: Mapping
    pair: tuple
    value: Node
    item: int | None
    repeated: bool
    weights: dict
    single: bool


class Reading:
    """Reads the two sections of a patch.

    known       {name: `Ports`} of neurons that exist already (a fragment is read into a living network)
    neurons     {name: `Declared`}
    rows        {(to, input): {(source, output, *branches): weight}}
    no_default  {(to, input)} written `{}`
    unknown     {name: activation name}: placeholders
    """

    def __init__(self, where, library, known=None):
        self.where = where
        self.library = library
        self.names = {**built_in_ports(library), **(known or {})}
        self.neurons = {}
        self.rows = {}
        self.no_default = set()
        self.unknown = {}
        self.places = {}
        self.warnings = []
        self.neuron_texts = {}
        self.setting_texts = {}
        self.row_texts = {}
        self._known = known or {}
        self._lines = {}
        self._bodies = []
        self._targets = []
        self._listeners = {}
        self._entries = 0
        self._repeated = 0
        self._compared = 0
        self._patterns = {}
        self._suggested = set()

    # --- first pass: names -------------------------------------------------------------------------

    def learn_neurons(self, mapping, pairs=None):
        """Declares what stands under `neurons`: all of a mapping, or some of its pairs."""
        for pair in mapping.pairs if pairs is None else pairs:
            for name, member in self._spread(*pair):
                self._declare(mapping, pair, name, member)

    def learn_matrix(self, mapping, pairs=None):
        """Notes the rows under `matrix`, and the neurons that their names alone declare."""
        for pair in mapping.pairs if pairs is None else pairs:
            for text, member in self._spread(*pair):
                self._learn_row(mapping, pair, text, member)

    def _learn_row(self, mapping, pair, text, member):
        key, value = pair
        at = place(self.where, key)
        target = _reference(text, at)
        if target.is_glob:
            raise PatchError(
                f"{at}: `{text}` is a pattern. Patterns stand for sources; repeat a row with `name(1..8).input`."
            )
        if target.port is None:
            raise PatchError(f"{at}: `{text}` names no input. Write `{text}.input: …`, or move it under `neurons`.")
        port = "/".join((target.port, *target.branches))
        if port == "activation" and target.name not in BUILT_IN:
            self._enter(target.name, key, NeuronText(mapping, pair, value, None, member is not None, True), member)
            return
        if target.name not in self.names and (ports := undeclared_ports(target.name, self.library)):
            self._enter_undeclared(target.name, ports, key)
        self._targets.append((target.name, port, mapping, pair, member))

    def _enter_undeclared(self, name, ports, node):
        prefix = activation_prefix(name)
        self._refuse_built_in(prefix, place(self.where, node))
        self.names[name] = ports
        if ports.is_placeholder:
            self._warn_unknown(name, prefix, node)

    def _declare(self, mapping, pair, name, member):
        key, value = pair
        if isinstance(value, Sequence):
            raise PatchError(
                f"{place(self.where, value)}: `{name}` cannot be a list. Write `{name}: activation` or "
                f"`{name}: {{is: activation, …}}`."
            )
        body = value if isinstance(value, Mapping) else None
        activation = body.get("is") if body is not None else value
        self._enter(name, key, NeuronText(mapping, pair, activation, body, member is not None), member)
        if body is not None:
            self._bodies.append((name, body, member))

    def _enter(self, name, key, text, member):
        at = place(self.where, key)
        if not is_name(name):
            raise PatchError(
                f"{at}: `{shown(name)}` cannot be the name of a neuron. "
                "Names are lower case letters, digits and `_`, and begin with a letter."
            )
        if name == LIBRARY_NAME:
            raise PatchError(f"{at}: `{name}` is where activations come from. Choose another name.")
        if name in self._lines:
            raise PatchError(
                f"{at}: `{name}` is declared twice, first in line {self._lines[name]}. Rename or remove one."
            )
        if len(self.neurons) >= MOST_NEURONS:
            raise PatchError(f"{at}: more than {MOST_NEURONS} neurons. Leave some out.")
        self._lines[name] = key.line
        self.neuron_texts[name] = text
        node = text.activation
        if name in BUILT_IN or activation_prefix(name):
            mixture = self._given_mixture(name, node, member, at)
            if name not in BUILT_IN:
                self._enter_undeclared(name, undeclared_ports(name, self.library), key)
        elif node is None and name in self._known:
            mixture = self._known[name].mixture
        elif node is None or (isinstance(node, Scalar) and node.is_empty):
            raise PatchError(
                f"{at}: `{name}` does not say what it is. Write `{name}: activation` or "
                f"`{name}: {{is: activation, …}}`."
            )
        else:
            mixture = self._mixture(name, node, member)
            self.names[name] = ports_of(mixture, self.library)
            self._check_mixture(name, node)
        self.neurons[name] = Declared(mixture, {}, key.line)

    def _given_mixture(self, name, node, member, at):
        """What a built-in or an undeclared neuron is; `is` may only repeat it."""
        given = BUILT_IN.get(name) or activation_prefix(name)
        written = self._text(node, member) if isinstance(node, Scalar) else None
        usual = "accum" if name == "self" else given
        is_given = node is not None and not (isinstance(node, Scalar) and node.is_empty)
        if is_given and written not in (usual, given, name):
            raise PatchError(f"{at}: `{name}` is always `{usual}`. Leave out what it is, or choose another name.")
        found = self.library.get(given) if name not in BUILT_IN else None
        return {found.name if found else given: 1.0}

    def _mixture(self, name, node, member):
        if isinstance(node, Scalar):
            return {self._activation(name, self._text(node, member), node): 1.0}
        if not isinstance(node, Mapping) or not node.pairs:
            raise PatchError(
                f"{place(self.where, node)}: `{name}` is one activation, or a mixture `{{sine~: 0.7, saw~: 0.3}}`."
            )
        mixture = {}
        for key, value in node.pairs:
            found = self._activation(name, self._text(key, member), key)
            if found in mixture:
                raise PatchError(f"{place(self.where, key)}: `{found}` is in the mixture twice. Remove one of them.")
            at, text = place(self.where, value), self._text(value, member)
            mixture[found] = finite_number(text, at)
            if mixture[found] is None:
                raise PatchError(f"{at}: the coefficient `{shown(text)}` is no number. Write one.")
        return mixture

    def _activation(self, name, text, node):
        """The first name of an activation; an unknown one is noted as a placeholder."""
        at = place(self.where, node)
        text = text.removeprefix(f"{LIBRARY_NAME}.")
        self._refuse_built_in(text, at)
        found = self.library.get(text)
        if found is not None:
            return found.name
        if len(text) > LONGEST_NAME or not ACTIVATION.match(text):
            raise PatchError(
                f"{at}: `{shown(text)}` cannot be the name of an activation. "
                "Write one such as `sine~`, or a mixture `{sine~: 0.7, saw~: 0.3}`."
            )
        self._warn_unknown(name, text, node)
        return text

    def _refuse_built_in(self, activation, at):
        found = self.library.get(activation)
        name = found.name if found is not None else activation
        if name in BUILT_IN.values() or (found is not None and found.side == "engine"):
            raise PatchError(
                f"{at}: `{activation}` is built in; there is exactly one of it. Use it by its name, undeclared."
            )

    def _warn_unknown(self, name, activation, node):
        self.unknown.setdefault(name, activation)
        if activation in self._suggested:
            return
        self._suggested.add(activation)
        if len(self._suggested) <= MOST_SUGGESTIONS:
            sentence = unknown(place(self.where, node), "activation", activation, self.library.names())
            self.warnings.append(f"{sentence} `{name}` keeps its weights and gives nothing until then.")
        elif len(self._suggested) == MOST_SUGGESTIONS + 1:
            self.warnings.append(f"{self.where}: more activations are unknown.")

    def _check_mixture(self, name, node):
        kinds = {}
        for activation in self.names[name].found:
            for port in (*activation.inputs.values(), *activation.outputs.values()):
                side = "input" if port.name in activation.inputs else "output"
                first, other = kinds.setdefault((side, port.name), (port.kind, activation.name))
                if first != port.kind:
                    raise PatchError(
                        f"{place(self.where, node)}: `{other}` and `{activation.name}` do not mix: {side} "
                        f"`{port.name}` is {first} in one and {port.kind} in the other. Mix activations of one kind."
                    )

    # --- repeated lines -----------------------------------------------------------------------------

    def _spread(self, key, value):
        """(text, `Member` or None) for every line that a key stands for."""
        members = self._members(key.text, key)
        if members is None:
            return [(key.text, None)]
        self._repeated += len(members) * value.size
        if self._repeated > MOST_REPEATED:
            raise PatchError(
                f"{place(self.where, key)}: lines that stand for several come to more than {MOST_REPEATED} pieces by "
                "here. Repeat fewer."
            )
        return [(members[index], Member(index, len(members))) for index in range(len(members))]

    def _members(self, text, node):
        """The `Members` that `voice(1..8)` or `voice(1,3,5)` stands for; None for a text without parentheses."""
        if "(" not in text and ")" not in text:
            return None
        at = place(self.where, node)
        found = _GROUP.search(text)
        if not found or text.count("(") != 1 or text.count(")") != 1:
            raise PatchError(
                f"{at}: `{shown(text)}` needs one pair of parentheses. Between braces and brackets, put a name with "
                'a comma in quotes: "note(1,3)".'
            )
        numbers = _RANGE.match(found[1].replace(" ", ""))
        if numbers:
            first, last = int(numbers[1]), int(numbers[2])
            step = 1 if last >= first else -1
            items = range(first, last + step, step)
        else:
            items = [item.strip() for item in found[1].split(",")]
            if not all(items):
                raise PatchError(f"{at}: `{shown(text)}` repeats nothing. Write `name(1..8)` or `name(1,3,5)`.")
        if len(items) > MOST_MEMBERS:
            raise PatchError(f"{at}: `{shown(text)}` stands for more than {MOST_MEMBERS} lines. Write fewer.")
        return Members(text[: found.start()], items, text[found.end() :])

    def _text(self, node, member):
        """A scalar's text, as it is for this member of a repeated line."""
        if not isinstance(node, Scalar):
            raise PatchError(f"{place(self.where, node)}: one word or number belongs here, not a list or a map.")
        if len(node.text) > LONGEST_NAME:
            raise PatchError(f"{place(self.where, node)}: `{shown(node.text)}` is too long for a name.")
        members = self._members(node.text, node)
        if members is None:
            return node.text
        if member is None:
            raise PatchError(
                f"{place(self.where, node)}: `{shown(node.text)}` stands for {len(members)} things, but its line is "
                "not repeated. Repeat the line: `name(1..8): …`."
            )
        if len(members) != member.count:
            raise PatchError(
                f"{place(self.where, node)}: `{shown(node.text)}` stands for {len(members)} things, its line for "
                f"{member.count}. Make them equal."
            )
        return members[member.index]

    # --- second pass: rows and settings -------------------------------------------------------------

    def resolve(self):
        """Reads the rows and settings of everything that was learned."""
        for name, body, member in self._bodies:
            for pair in body.pairs:
                if pair[0].text != "is":
                    self._read_field(name, body, pair, member)
        for name, port, mapping, pair, member in self._targets:
            ports = self.names.get(name)
            if ports is None:
                raise self._no_neuron(place(self.where, pair[0]), name)
            self._read_row(name, port, mapping, pair, member)
        self._look_for_slips()

    def _read_field(self, name, body, pair, member):
        ports, key, value = self.names[name], pair[0], pair[1]
        text = self._text(key, member)
        if ports.input(text) is None:
            setting = ports.setting(text)
            if setting is not None or (ports.is_placeholder and not self._is_row(value)):
                if text in self.neurons[name].settings:
                    raise PatchError(f"{place(self.where, key)}: `{name}.{text}` is written twice. Remove one.")
                at = f"{place(self.where, value)}, setting `{name}.{text}`"
                words = partial(self._setting_text, member=member)
                self.neurons[name].settings[text] = setting_value(setting, value, at, words)
                self.setting_texts[(name, text)] = (body, pair)
                return
            if not ports.is_placeholder:
                known = {*ports.inputs, *ports.settings}
                what = f"input or setting of `{name}` ({ports.about})"
                raise unknown(place(self.where, key), what, shown(text), known)
        self._read_row(name, text, body, pair, member)

    def _is_row(self, value):
        """Whether the value under a placeholder's key is a row rather than a setting."""
        if isinstance(value, Scalar):
            if number_with_unit(value.text) is not None:
                return True
            try:
                return parse_reference(value.text).name in self.names
            except DmmError:
                return False
        if not isinstance(value, Mapping):
            return False
        for key, weight in value.pairs:
            try:
                is_source = parse_reference(key.text).name in self.names
            except DmmError:
                return False
            if not is_source or not isinstance(weight, Scalar) or number_with_unit(weight.text) is None:
                return False
        return True

    def _read_row(self, name, port, mapping, pair, member):
        ports, (key, value) = self.names[name], pair
        at = f"{place(self.where, key)}, row `{name}.{port}`"
        declared = ports.input(port)
        if declared is None and not ports.is_placeholder:
            raise unknown(at, f"input of `{name}` ({ports.about})", shown(port), ports.inputs)
        if declared is not None:
            head, slash, tail = port.partition("/")
            port = declared.name + slash + tail
            if ports.is_family(declared.name) and not slash:
                self._read_family(name, declared, mapping, pair, member)
                return
            if slash and (not _ITEM.match(tail) or int(tail) > MOST_ITEMS):
                raise PatchError(f"{at}: inputs of this family are numbered from 1 to {MOST_ITEMS}.")
        if isinstance(value, Sequence):
            raise PatchError(f"{at}: this input takes one row, not a list. Write a number, a name or {{name: weight}}.")
        self._enter_row(name, port, declared, mapping, pair, value, None, member)

    def _read_family(self, name, declared, mapping, pair, member):
        key, value = pair
        at = f"{place(self.where, key)}, row `{name}.{declared.name}`"
        if not isinstance(value, Sequence) or not value.items:
            raise PatchError(
                f"{at}: this stands for many inputs. Write a list, `{declared.name}: [1, 0, 0.5]`, or one of them, "
                f"`{declared.name}/1: 1`."
            )
        for index, item in enumerate(value.items):
            if isinstance(item, Sequence):
                raise PatchError(f"{at}: a list within the list. Write a number, a name or {{name: weight}}.")
            if index >= MOST_ITEMS:
                raise PatchError(f"{at}: inputs of this family are numbered from 1 to {MOST_ITEMS}. Write fewer.")
            self._enter_row(name, f"{declared.name}/{index + 1}", declared, mapping, pair, item, index, member)

    def _enter_row(self, name, port, declared, mapping, pair, value, item, member):
        key = pair[0]
        at = f"{place(self.where, value)}, row `{name}.{port}`"
        before = self.places.get((name, port))
        if before is not None:
            raise PatchError(
                f"{place(self.where, key)}: the row `{name}.{port}` is written twice, first in line {before[0]}. "
                "Put both into one row, `{a: 1, b: 0.5}`."
            )
        self.places[(name, port)] = (key.line, key.column)
        row, weights, single = self._row(name, port, declared, value, member, at)
        if row:
            self.rows[(name, port)] = row
        else:
            self.no_default.add((name, port))
        self.row_texts[(name, port)] = RowText(mapping, pair, value, item, member is not None, weights, single)

    def _row(self, name, port, declared, value, member, at):
        """(row, nodes of the weights, whether each entry is written by itself)."""
        if isinstance(value, Mapping):
            return self._sum(name, port, declared, value, member)
        if value.is_empty:
            raise PatchError(f"{at}: nothing is written. Write a number, a name, or `{{}}` for no connection at all.")
        text = self._text(value, member)
        weight = self._weight(text, declared, at)
        if weight is not None:
            self._check_kinds(ONE, Kind.NUMBER, name, port, declared, at)
            self._count(1, at)
            return {ONE: weight}, {ONE: value}, True
        sources, pattern = self._sources(text, name, port, declared, at)
        return dict.fromkeys(sources, 1.0), dict.fromkeys(sources), not pattern

    def _sum(self, name, port, declared, value, member):
        written, patterned, nodes, single = {}, {}, {}, True
        for key, node in value.pairs:
            repeats = [(None, member)] if member is not None else self._spread(key, node)
            single = single and len(repeats) == 1
            for text, inner in repeats:
                text = self._text(key, member) if text is None else text
                at = f"{place(self.where, key)}, row `{name}.{port}`"
                if number_with_unit(text) is not None:
                    raise PatchError(f"{at}: `{text}` stands where a source belongs. Write `{{name: weight}}`.")
                sources, pattern = self._sources(text, name, port, declared, at)
                at = f"{place(self.where, node)}, row `{name}.{port}`"
                weight = self._weight(self._text(node, inner), declared, at)
                if weight is None:
                    raise PatchError(
                        f"{at}: `{shown(node.text)}` is no number. Weights are numbers; to multiply two streams, "
                        "put `product` between them."
                    )
                into = patterned if pattern else written
                for source in sources:
                    if source in into:
                        label = _source_label(source)
                        raise PatchError(
                            f"{place(self.where, key)}: `{label}` is in the row `{name}.{port}` twice. Remove one."
                        )
                    into[source] = weight
                    nodes.setdefault(source, node)
                single = single and not pattern
        return {**patterned, **written}, nodes, single

    def _count(self, more, at):
        self._entries += more
        if self._entries > MOST_ENTRIES:
            raise PatchError(f"{at}: more than {MOST_ENTRIES} weights by here. Connect fewer neurons.")

    # --- sources ------------------------------------------------------------------------------------

    def _sources(self, text, name, port, declared, at):
        """([(source, output, *branches), …], whether the text is a pattern)."""
        reference = _reference(text, at)
        if not reference.is_glob:
            source = self._source(reference.name, reference, at)
            self._check_kinds(source, self._kind(source), name, port, declared, at)
            self._count(1, at)
            return [source], False
        found = []
        for other in self._glob_names(reference.name, at):
            if reference.port is None or reference.whole:
                found.append(self._source(other, reference, at))
            else:
                outputs = self._matching(reference.port, list(self.names[other].outputs), at)
                found += [(other, output, *reference.branches) for output in outputs]
        for source in found:
            self._check_kinds(source, self._kind(source), name, port, declared, at)
        if not found:
            raise PatchError(f"{at}: no neuron of this patch matches `{text}`. {nearest(reference.name, self._own())}")
        self._count(len(found), at)
        return found, True

    def _own(self):
        """Names that patterns reach: declared and woken neurons, never the built-in ones."""
        return [name for name in self.names if name not in BUILT_IN]

    def _glob_names(self, pattern, at):
        if pattern in self.names and pattern not in UNSEEN:
            return [pattern]
        return self._matching(pattern, self._own(), at)

    def _matching(self, pattern, names, at):
        """The names that a pattern covers; together they may not take for ever."""
        count = self._patterns.get(pattern)
        if count is None:
            count = self._patterns[pattern] = len(alternatives(pattern))
            self._compare(count * PATTERN_COST, at)
        self._compare(count * len(names), at)
        return list(filter(glob(pattern), names))

    def _compare(self, more, at):
        self._compared += more
        if self._compared > MOST_COMPARED:
            raise PatchError(f"{at}: the patterns up to here compare too many names. Name some sources instead.")

    def _source(self, name, reference, at):
        ports = self.names.get(name)
        if ports is None:
            ports = undeclared_ports(name, self.library)
            if ports is None:
                raise self._no_neuron(at, name)
            self._refuse_built_in(activation_prefix(name), at)
            if name not in self._listeners and len(self._listeners) < MOST_NEURONS:
                self._listeners[name] = at
        if reference.whole:
            return (name,)
        port = reference.port
        if port is None:
            port = ports.only_output
            if port is None and not ports.outputs:
                raise PatchError(f"{at}: `{name}` has no outputs. Choose another source.")
            if port is None:
                names = list(ports.outputs)
                raise PatchError(
                    f"{at}: `{name}` has several outputs. Write `{name}.{names[0]}` or another of: {', '.join(names)}."
                )
        elif ports.output(port) is None and not ports.is_placeholder:
            raise unknown(at, f"output of `{name}` ({ports.about})", port, ports.outputs)
        if reference.branches and (found := ports.output(port)) and found.kind != Kind.VVALUE:
            raise PatchError(
                f"{at}: `{name}.{port}` is {found.kind}, not a tree, so it has no branches. Write `{name}.{port}`."
            )
        return (name, port, *reference.branches)

    def _kind(self, source):
        """The kind that flows from a source; None where that is not known."""
        if len(source) == 1:
            return Kind.VVALUE
        ports = self.names.get(source[0]) or undeclared_ports(source[0], self.library)
        found = ports.output(source[1])
        if found is None:
            return None
        return Kind.NUMBER if len(source) > 2 and found.kind == Kind.VVALUE else found.kind

    def _check_kinds(self, source, kind, name, port, declared, at):
        if kind is None or declared is None or is_legal(kind, declared.kind):
            return
        remedy = converter(kind, declared.kind)
        takes = "numbers or pictures" if declared.kind == Kind.FIELD else str(declared.kind)
        remedy = f"Put `{remedy}` between them." if remedy else f"`{name}.{port}` needs another source."
        raise PatchError(f"{at}: `{_source_label(source)}` gives {kind}, but this input takes {takes}. {remedy}")

    def _no_neuron(self, at, name):
        if name in self.library:
            remedy = f"That is an activation: declare one, `my_{name.partition('.')[0].strip('~')}: {name}`."
        else:
            remedy = nearest(name, self.names)
        return PatchError(f"{at}: no neuron is called `{name}`. {remedy}")

    def _look_for_slips(self):
        for name, at in self._listeners.items():
            if name not in self.names:
                self.warnings.append(
                    f"{at}: `{name}` sleeps, for no row of its own wakes it. Write one, or declare a neuron."
                )
        delta = self.rows.get(("self", "delta"))
        left_out = [f"edits.{hand}" for hand in AUTHORS if delta and ("edits", hand) not in delta]
        if left_out:
            line, column = self.places[("self", "delta")]
            self.warnings.append(
                f"{self.where}, line {line}, column {column}, row `self.delta`: leaves out {', '.join(left_out)}, so "
                "these hands are mute. Add them with weight 1 to hear them."
            )

    # --- numbers and settings -----------------------------------------------------------------------

    def _weight(self, text, declared, at):
        """The weight that a text says; None where it is no number."""
        return finite_number(text, at, declared.unit.symbol if declared is not None else "")

    def _setting_text(self, node, member):
        """A setting's text; parentheses in it may be meant as they are (a file's name)."""
        if member is not None and len(node.text) <= LONGEST_NAME and _GROUP.search(node.text):
            try:
                members = self._members(node.text, node)
            except PatchError:
                return node.text
            if len(members) == member.count:
                return members[member.index]
        return node.text


def _reference(text, at):
    """A parsed reference or pattern; labels that cannot be decoded are the patch's error too."""
    try:
        return parse_reference(text, at, globs=True)
    except PatchError:
        raise
    except DmmError as error:
        raise PatchError(f"{at}: {error}") from None


def _source_label(source):
    name, *rest = source
    return f"{name}.{'/'.join(rest)}" if rest else f"{name}/"

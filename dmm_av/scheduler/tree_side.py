"""The tree neurons of a network, tick by tick. What nothing new has reached is not computed again.

A neuron whose activations have no state and read no clock gives the same outputs, the same objects, while its rows and
everything they name are the same objects. Trees are never changed in place, so identity is all that has to be compared.
Results are exactly those of computing everything anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress
from operator import is_not

from dmm_av.engine.plan import seed_of
from dmm_av.streams.kinds import Kind
from dmm_av.streams.linear import matrix_combination
from dmm_av.streams.vvalue import LARGEST, NUMBER, REAL, linear_combination, number_at, scaled, total

_UNREAD = object()


@dataclass(frozen=True)
class TreeClock:
    """What a tree activation may know of time: the tick, the tick rate, and the neuron's seed.

    tell   leaves a sentence for the player
    """

    tick: int
    rate: float
    seed: int
    tell: Callable = print


class _Part:
    """One activation in a neuron, with what its body is called with."""

    def __init__(self, name, activation, coefficient):
        parameters = activation.notes["parameters"]
        self.key = (name, activation.name)
        self.activation, self.coefficient = activation, coefficient
        self.nothing = {n: 0.0 if port.kind == Kind.NUMBER else {} for n, port in activation.inputs.items()}
        self.only = activation.only_output
        self.is_stateful = activation.notes["stateful"]
        self.has_clock = "clock" in parameters
        self.settings = activation.settings if "settings" in parameters else None
        self.ports = "ports" in parameters
        self.is_plain = self.only is not None and parameters == tuple(activation.inputs)


class _Neuron:
    """A tree neuron of the plan: its rows as they were last read, and their terms."""

    __slots__ = ("name", "inputs", "parts", "is_pure", "rows", "terms")

    def __init__(self, node):
        self.name, self.inputs = node.name, node.inputs
        self.parts = [_Part(node.name, activation, coefficient) for activation, coefficient in node.components]
        self.is_pure = not any(part.is_stateful or part.has_clock for part in self.parts)
        self.rows, self.terms = _UNREAD, ()


class TreeSide:
    """Runs the tree neurons of a network.

    network   the `Network`, for weights and settings
    tell      function of (name, sentence, is_error)
    states    {(neuron, activation): state}
    failed    {(neuron, activation): error}: what is muted until it is edited
    """

    def __init__(self, network, patch, tell):
        self.network, self.patch, self.tell = network, patch, tell
        self.states, self.failed = {}, {}
        self._neurons, self._numbers, self._readers, self._restless = [], {}, {}, []
        self._read, self._rows, self._outputs, self._matrix, self._due = [], [], {}, _UNREAD, set()

    def adopt(self, plan):
        """From now on the neurons of this plan run; all of them are computed once."""
        self._neurons = [_Neuron(node) for node in plan.trees]
        self._numbers = {neuron.name: number for number, neuron in enumerate(self._neurons)}
        self._restless = [number for number, neuron in enumerate(self._neurons) if not neuron.is_pure]
        self._readers = {}
        for number, neuron in enumerate(self._neurons):
            for entry in self.network.matrix.entries_of(neuron.name):
                self._readers.setdefault(entry[2], set()).add(number)
        self.forget()

    def forget(self):
        """Has everything computed anew in the next tick."""
        self._read, self._rows = [_UNREAD] * len(self._readers), [_UNREAD] * len(self._neurons)
        self._outputs, self._matrix = {}, _UNREAD
        self._due = set(range(len(self._neurons)))

    def revive(self, names):
        """Lets neurons that failed, or whose settings are others, try again."""
        if self.failed:
            self.failed = {key: error for key, error in self.failed.items() if key[0] not in names}
        self._due.update(self._numbers[name] for name in names if name in self._numbers)

    def take_states(self, name):
        """{(neuron, activation): state} of a neuron that went; they are forgotten here."""
        return {key: self.states.pop(key) for key in [key for key in self.states if key[0] == name]}

    def run(self, streams, tick):
        """{neuron: {output: stream}} of the next state.

        streams   {neuron: {output: stream}} of the present one
        """
        due, self._due = self._due, set()
        due.update(self._restless)
        found = list(map(streams.get, self._readers))
        if any(map(is_not, found, self._read)):
            for readers in compress(self._readers.values(), map(is_not, found, self._read)):
                due |= readers
        self._read = found
        tree = self.network.matrix.tree
        if tree is not self._matrix:
            rows = list(map(tree.get, self._numbers))
            due.update(compress(self._numbers.values(), map(is_not, rows, self._rows)))
            self._matrix, self._rows = tree, rows
        for number in sorted(due):
            neuron = self._neurons[number]
            if neuron.rows is not self._rows[number]:
                self._wire(neuron, self._rows[number])
            outputs = self._up(neuron, self._down(neuron, streams), tick)
            former = self._outputs.get(neuron.name)
            if former is None or not _are_same(former, outputs):  # what comes to rest stays the same object
                self._outputs[neuron.name] = outputs
        return self._outputs.copy()

    def _wire(self, neuron, rows):
        """Reads the terms of a neuron's rows, which are others than they were."""
        neuron.rows = rows
        named = [(port, (rows or {}).get(port.name)) for port in neuron.inputs]
        neuron.terms = [(port.name, port.kind, row, flat_terms(row)) for port, row in named]

    def _down(self, neuron, streams):
        inputs = {}
        for name, kind, row, terms in neuron.terms:
            if kind == Kind.MATRIX:
                inputs[name] = matrix_combination(row or {}, streams)
                continue
            stream = linear_combination(row, streams) if terms is None else sum_of(terms, streams)
            inputs[name] = number_at(stream) if kind == Kind.NUMBER else stream
        return inputs

    def _up(self, neuron, inputs, tick):
        """The outputs of one neuron; a part that fails is muted and named."""
        results = {}
        for part in neuron.parts:
            if part.key in self.failed:
                continue
            try:
                outputs = self._call(part, inputs, tick)
                if len(neuron.parts) == 1 and part.coefficient is None:
                    return outputs
                weight = 1.0 if part.coefficient is None else self.network.matrix.weight(part.coefficient)
                for port, value in outputs.items():
                    share = value if weight == 1.0 else _times(weight, value)
                    results[port] = share if port not in results else total(results[port], share)
            except Exception as error:  # whatever a user's function raises, the show goes on
                self.failed[part.key] = error
                self.tell(
                    neuron.name,
                    f"`{neuron.name}` ({part.activation.name}) is muted: {type(error).__name__}: {error}. "
                    "Edit it to try again.",
                    True,
                )
        return results

    def _call(self, part, inputs, tick):
        activation, name = part.activation, part.key[0]
        if part.is_plain and inputs.keys() == part.nothing.keys():
            outputs = activation.body(**inputs)
            if type(outputs) is not dict or len(outputs) != 1 or part.only not in outputs:
                outputs = {part.only: outputs}
            return outputs
        if part.ports:
            arguments = {port: inputs.get(port, nothing) for port, nothing in part.nothing.items()}
            arguments["ports"] = {port: x for port, x in inputs.items() if port not in activation.inputs}
        else:
            arguments = {port: inputs.get(port, nothing) for port, nothing in part.nothing.items()}
        more = {}
        if part.settings is not None:
            own = self.network.settings.get(name, {})
            more["settings"] = {key: own.get(key, setting.default) for key, setting in part.settings.items()}
        if part.has_clock:
            seed = seed_of(self.patch.seed, name)
            tell = self.tell
            more["clock"] = TreeClock(
                tick, self.patch.rates.tick, seed, lambda sentence: tell(name, sentence, is_error=False)
            )
        if part.is_stateful:
            outputs, self.states[part.key] = activation.body(**arguments, **more, state=self.states.get(part.key))
        else:
            outputs = activation.body(**arguments, **more)
        only = part.only
        if only is not None and not (isinstance(outputs, dict) and len(outputs) == 1 and only in outputs):
            return {only: outputs}
        if not isinstance(outputs, dict):
            raise TypeError("it gives no outputs by name")
        return outputs


def _are_same(former, outputs):
    """Whether outputs hold the same objects, or equal trees and numbers, as the former ones."""
    if len(former) != len(outputs):
        return False
    for port, value in outputs.items():
        old = former.get(port)
        if value is not old and not (type(value) is type(old) in (float, dict) and value == old):
            return False
    return True


def flat_terms(row):
    """[(source, output, weight)] in the order in which terms are added; None for a row that reaches into trees."""
    terms = []
    for source in sorted(row or {}, key=str):
        ports = row[source]
        if not isinstance(ports, dict):
            return None
        for output in sorted(ports, key=str):
            if not isinstance(ports[output], REAL):
                return None
            terms.append((source, output, ports[output]))
    return terms


def sum_of(terms, streams):
    """What `linear_combination` gives for the row of these terms; adds in a dict of its own instead of copying."""
    plain = _plain_sum(terms, streams)
    if plain is not None:
        return plain
    result, is_own = {}, False
    for source, output, weight in terms:
        ports = streams.get(source)
        x = ports.get(output) if isinstance(ports, dict) else None
        if not isinstance(x, dict):
            x = x if isinstance(x, REAL) and -LARGEST <= x <= LARGEST else 0
            x = weight * x
            if not x or not -LARGEST <= x <= LARGEST:
                continue
            x, weight = {NUMBER: x}, 1
        if not result:
            result, is_own = scaled(weight, x), weight != 1
            continue
        if not is_own:
            result, is_own = result.copy(), True
        for label, more in x.items():
            old, new = result.get(label, 0), None
            if isinstance(more, float) and isinstance(old, REAL):
                new = old + weight * more
                new = new if -LARGEST <= new <= LARGEST else None
            if new is None:
                term = scaled(weight, more)
                if weight != 1 and not term:
                    continue  # scaling leaves out what is no number, and then nothing is met
                new = total(old, term)
            if new:
                result[label] = new
            elif label in result:
                del result[label]
    return result


def _plain_sum(terms, streams):
    """The same where nothing but numbers arrives; None for all else, and for what is not finite."""
    if len(terms) == 1:
        return None  # one tree passes as it is
    result, get = 0.0, streams.get
    for source, output, weight in terms:
        ports = get(source)
        x = ports.get(output) if ports else None
        if type(x) is dict:
            if not x:
                continue
            x = x.get(NUMBER) if len(x) == 1 else None
            if type(x) is not float:
                return None
        elif type(x) is not float:
            if x is None:
                continue
            return None
        result += weight * x
    if -LARGEST <= result <= LARGEST:
        return {NUMBER: result} if result else {}
    return None


def _times(weight, value):
    return weight * value if isinstance(value, int | float) else scaled(weight, value)

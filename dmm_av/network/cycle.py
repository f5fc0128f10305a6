"""The two-stroke cycle: the machine itself, slow and plain. State goes in and comes out; nothing is kept here.

Down movement: every input is the linear combination of outputs that its row of the network matrix says. Up movement:
every neuron applies its activation to its inputs. The matrix is itself an output, that of the neuron `self`.

What activations compute is handed in as `Component`s. One call is one step of the neurons that have some: a tick of
trees and numbers, a sample of sound, a frame of pictures; streams from elsewhere are `held` meanwhile. No verbs,
keys, default rows or ramps: see `self_neuron`. The fast engines are compared with this file and share none of it.

Source: arXiv:1712.07447 and arXiv:1706.00648; `core.clj` of jsa-aerial/DMM (MIT) for the strict rule.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dmm_av.network.activation import Input
from dmm_av.streams.kinds import Kind
from dmm_av.streams.vvalue import NUMBER, leaves, linear_combination, number_at, scaled, total

REC_601 = np.array([0.299, 0.587, 0.114, 0.0])  # grey of a picture, alpha left out


@dataclass(frozen=True)
class Component:
    """One activation at work in a neuron.

    step     function of ({input: stream}, state, clock) that gives ({output: stream}, state); first state: None
    inputs   {input: `Input`}, for their kinds and which of them are delayed; others are V-values
    side     `tree`, `signal` or `picture`; hops can settle inside the last two
    """

    step: Any
    inputs: dict
    side: str = "tree"


@dataclass(frozen=True)
class State:
    """The machine between two steps.

    outputs   {neuron: {output: stream}} of the neurons that step
    kept      {(neuron, activation): state of the component}
    """

    outputs: dict
    kept: dict = field(default_factory=dict)


def two_stroke_cycle(components, state, clock=None, held=None, hops="settled", matrix=None):
    """The state one step later.

    components   function of (neuron, activation) that gives a `Component`, or None for what does not step here
    clock        handed on to every component as it is
    held         {neuron: {output: stream}} of neurons that do not step here
    hops         `strict`: every hop costs one step; `settled`: see `immediate_hops`
    matrix       in place of `self.matrix` of the state, where zeros matter: the key of a zero weight keeps a
                 neuron awake and is a hop
    """
    before = {**state.outputs, **(held or {})}
    matrix = rows_of(before.get("self", {}).get("matrix", {}) if matrix is None else matrix)
    neurons = awake_neurons(components, matrix)
    immediate = immediate_hops(neurons, matrix) if hops == "settled" else set()
    now, kept = {}, {}
    for layer in layers(neurons, immediate):
        inputs = down_movement(layer, matrix, before, now, immediate)
        for name, neuron in layer.items():
            now[name], new = up_movement(name, neuron, inputs[name], state.kept, clock)
            kept.update(new)
    return State(now, kept)


def rows_of(matrix):
    """{to: {input: row}} of a tree; what is no row counts as zero, for a machine may write anything into itself."""
    return {
        to: {port: row for port, row in rows.items() if isinstance(row, dict)}
        for to, rows in matrix.items()
        if isinstance(rows, dict)
    }


def awake_neurons(components, matrix):
    """{neuron: {activation: (coefficient, `Component`)}} of every neuron that has a row and steps here.

    What a neuron is, is a row too: `activation: {library: {NAME: coefficient}}`. A name with a colon carries its
    activation (`sine:a`), a built-in neuron is its own.
    """
    neurons = {}
    for name, rows in matrix.items():
        mixture = rows.get("activation", {}).get("library")
        mixture = mixture if isinstance(mixture, dict) else {name.partition(":")[0]: 1.0}
        neuron = {one: (number_at(mixture[one]), components(name, one)) for one in sorted(mixture)}
        neuron = {one: found for one, found in neuron.items() if found[1] is not None}
        if neuron:
            neurons[name] = neuron
    return neurons


def immediate_hops(neurons, matrix):
    """{(from, to, input)} of the hops that are read in the same step; all others read the step before.

    A hop settles when both ends are on the same side, signal or picture, when its input is not delayed, and when no
    way leads back from its target to its source: in a cycle that no delayed input opens, every hop costs one step.
    """
    hops = {
        (source, name, port)
        for name in neurons
        for port, row in matrix[name].items()
        for source in row
        if source in neurons
        and side_of(neurons[name]) == side_of(neurons[source]) != "tree"
        and not input_of(neurons[name], port).delayed
    }
    following = {name: {to for source, to, _ in hops if source == name} for name in neurons}
    return {(source, to, port) for source, to, port in hops if source not in reachable(to, following)}


def reachable(start, following):
    """Every neuron that ways lead to from `start`, itself included."""
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(following[name])
    return found


def layers(neurons, immediate):
    """Neurons in the order in which they can be stepped: each layer reads present outputs of earlier ones only."""
    waiting = dict(neurons)
    while waiting:
        blocked = {to for source, to, _ in immediate if source in waiting}
        layer = {name: neuron for name, neuron in waiting.items() if name not in blocked}
        yield layer
        waiting = {name: neuron for name, neuron in waiting.items() if name in blocked}


def down_movement(neurons, matrix, before, now, immediate):
    """Neuron inputs as linear combinations of neuron outputs.

    matrix        {to: {input: {from: {output: weight}}}}
    before, now   {neuron: {output: stream}} of the previous step, and what is known of this one
    returns       {neuron: {input: stream}}; an input without a row is not there
    """
    inputs = {name: {} for name in neurons}
    for name, neuron in neurons.items():
        for port, row in matrix[name].items():
            streams = {source: (now if (source, name, port) in immediate else before).get(source, {}) for source in row}
            if port != "activation":
                inputs[name][port] = sum_of_terms(input_of(neuron, port).kind, row, streams)
    return inputs


def up_movement(name, neuron, inputs, kept, clock):
    """({output: stream}, {(neuron, activation): state}) of one neuron.

    A mixture's output is the sum of its components, each with its own state, times their coefficients.
    """
    outputs, new = {}, {}
    for activation, (coefficient, component) in neuron.items():
        place = (name, activation)
        results, new[place] = component.step(inputs, kept.get(place), clock)
        for output, stream in results.items():
            part = times(coefficient, stream)
            outputs[output] = plus(outputs[output], part) if output in outputs else part
    return outputs, new


def self_step(inputs, state, clock):
    """The neuron `self`: it emits the matrix, and adds what reaches `delta` to what reaches `accum`."""
    return {"matrix": total(inputs.get("accum", {}), inputs.get("delta", {}))}, None


def self_component(name, activation):
    """The `Component` of the neuron `self`; None for all others."""
    inputs = {port: Input(port, Kind.VVALUE) for port in ("accum", "delta")}
    return Component(self_step, inputs) if name == "self" else None


# --- streams ---------------------------------------------------------------------------------------------


def sum_of_terms(kind, row, streams):
    """The stream that a row lets into an input of some kind: weights times streams, sources in code point order.

    Sounds and numbers are floats, matrices arrays (rows, columns), pictures arrays (rows, columns, 4); a uniform one
    may be a float. An array of another shape than the first counts as zero.
    """
    if kind == Kind.VVALUE:
        return linear_combination(row, streams)
    result = 0.0
    for path, weight in sorted(leaves(row)):
        if weight == 0.0:
            continue
        term = weight * embedded(kind, stream_at(streams, path[:-1] if path[-1] == NUMBER else path))
        if np.ndim(term) == 0 or np.ndim(result) == 0 or np.shape(term) == np.shape(result):
            result = result + term
    return result


def stream_at(streams, path):
    """What flows at (neuron, output, *branches); 0.0 where there is nothing."""
    for label in path:
        streams = streams.get(label, 0.0) if isinstance(streams, dict) else 0.0
    return number_at(streams) if isinstance(streams, dict) else streams


def embedded(kind, stream):
    """A stream as the kind that an input takes; what is not finite is 0."""
    if np.ndim(stream) == 0:
        return float(stream) if math.isfinite(stream) else 0.0
    stream = np.where(np.isfinite(stream), stream, 0.0)
    if kind == Kind.FIELD and stream.ndim == 3:
        return stream @ REC_601
    if kind == Kind.IMAGE and stream.ndim == 2:
        return np.repeat(stream[:, :, None], 4, axis=2)
    return stream


def plus(a, b):
    """The sum of two streams of one kind."""
    return total(a, b) if isinstance(a, dict) or isinstance(b, dict) else a + b


def times(coefficient, stream):
    """A stream multiplied by a number; the same object for 1."""
    if coefficient == 1:
        return stream
    return scaled(coefficient, stream) if isinstance(stream, dict) else coefficient * stream


def side_of(neuron):
    """The side a neuron is on; the components of a mixture share it."""
    return next(component.side for _, component in neuron.values())


def input_of(neuron, port):
    """The declared `Input` of a neuron (families: that of `steps` for `steps/3`)."""
    head = port.partition("/")[0]
    found = (component.inputs.get(head) for _, component in neuron.values())
    return next((declared for declared in found if declared is not None), Input(port, Kind.VVALUE))

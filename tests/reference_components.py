"""Components for the reference cycle, made from declared activations: trees as they are called, signals uncompiled.

Pictures are drawn one neuron at a time in float32, by its own shader. Not a test; tests use it.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

from signal_reference import PlainNeuron

from dmm_av.engine.alone import draw_alone
from dmm_av.network.cycle import Component, self_component
from dmm_av.streams.kinds import Kind
from dmm_av.streams.linear import array_of_tree


@dataclass(frozen=True)
class Tick:
    """The clock of tree activations."""

    tick: int
    rate: float = 240.0
    seed: int = 0
    tell: Callable = lambda sentence: None  # noqa: E731 - the player hears nothing of the reference


def components_of(
    library, settings=None, families=None, seed_of=None, rate=240.0, sides=("tree", "signal"), audio=None
):
    """A function of (neuron, activation) for `two_stroke_cycle`.

    settings   {neuron: {key: value}}
    families   {neuron: {family: how many inputs}}
    seed_of    function of a label (`voice`, or `voice|sine~` in a mixture) that gives a seed
    audio      None for both, else only activations of audio rate (True) or control rate (False)
    """

    def component(neuron, name):
        if neuron == "self":
            return self_component(neuron, name)
        activation = library.get(name)
        if activation is None or activation.side not in sides:
            return None
        own = (settings or {}).get(neuron, {})
        if activation.side == "tree":
            return tree_component(activation, own)
        if audio is not None and audio != is_audio(activation):
            return None
        seed = seed_of(neuron) if seed_of else 0
        return signal_component(activation, rate, seed, own, (families or {}).get(neuron))

    return component


def is_audio(activation):
    """Whether an activation makes one step per sample."""
    return activation.name.endswith("~")


def tree_component(activation, settings=None):
    """A tree activation, called as `tree` in network/activation.py promises."""

    def step(inputs, state, clock):
        arguments = {
            name: inputs.get(name, 0.0 if port.kind == Kind.NUMBER else {}) for name, port in activation.inputs.items()
        }
        parameters = activation.notes["parameters"]
        if "ports" in parameters:
            arguments["ports"] = {name: stream for name, stream in inputs.items() if name not in activation.inputs}
        if "settings" in parameters:
            arguments["settings"] = {
                name: (settings or {}).get(name, setting.default) for name, setting in activation.settings.items()
            }
        if "clock" in parameters:
            arguments["clock"] = clock
        if activation.notes["stateful"]:
            outputs, state = activation.body(**arguments, state=state)
        else:
            outputs = activation.body(**arguments)
        only = activation.only_output
        if only is not None and not (isinstance(outputs, dict) and set(outputs) == {only}):
            outputs = {only: outputs}
        return outputs, state

    return Component(step, activation.inputs, "tree")


def signal_component(activation, rate, seed=0, settings=None, families=None, shares_state=False):
    """A signal activation stepped uncompiled, one number a call.

    shares_state   the state that comes out is the one that went in, changed: copying delay lines takes long
    """

    def step(inputs, state, clock):
        neuron = state if shares_state else deepcopy(state)
        neuron = neuron or PlainNeuron(activation, rate, is_audio(activation), seed, settings, families)
        given = {**dict.fromkeys(activation.inputs, 0.0), **inputs}
        names = activation.notes.get("flat_outputs") or tuple(activation.outputs)
        outputs = {}
        for name, value in zip(names, neuron.step(given), strict=True):
            port, slash, branch = name.partition("/")
            if slash:
                outputs.setdefault(port, {})[branch] = value
            else:
                outputs[port] = value
        return outputs, neuron

    return Component(step, activation.inputs, "signal")


def picture_component(activation, library, context, size, seed=0, settings=None, limit=4.0):
    """A picture or matrix activation, drawn alone from inputs that NumPy has summed; speeds are integrated here.

    The clock is the machine's `FrameValues`.
    """
    filled = {name: (settings or {}).get(name, setting.default) for name, setting in activation.settings.items()}

    def step(inputs, state, clock):
        given, integrals = {}, dict(state or {})
        for name, port in activation.inputs.items():
            given[name] = inputs.get(name, {} if port.kind == Kind.VVALUE else 0.0)
            if port.kind == Kind.VVALUE:
                given[name] = array_of_tree(given[name])
            elif port.rate:
                speed, given[name] = given[name], integrals.get(name, 0.0)
                integrals[name] = given[name] + speed / clock.frame_rate
        drawn = draw_alone(
            activation,
            given,
            filled,
            size,
            context=context,
            library=library,
            time=clock.time,
            beat=clock.beat,
            phase=clock.phase,
            frame=clock.number,
            frame_rate=clock.frame_rate,
            seed=seed,
            limit=limit,
        )
        return drawn if isinstance(drawn, dict) else {"out": drawn}, integrals

    return Component(step, activation.inputs, "picture")

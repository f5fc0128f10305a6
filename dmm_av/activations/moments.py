"""When things happen: the time since a trigger, and edits of the network on a schedule.

Patterns in beats are elsewhere, and so are scripts that give out whole trees tick by tick.
"""

import re
from functools import lru_cache

from dmm_av.network.activation import Output, Setting, State, signal, tree
from dmm_av.network.reference import parse_reference
from dmm_av.streams.kinds import Kind
from dmm_av.streams.units import UNITS, Number, Trigger
from dmm_av.streams.vvalue import total

_LINE = re.compile(r"(\d+)(?:-(\d+))? +(add|copy|new) +(.+)\Z")


@signal(out=UNITS["count"], rates="control")
def since(clock, trigger: Trigger = 0.0, rate: Number = 60.0, last: State = 0.0, elapsed: State = -1.0):
    """Counts steps since the last trigger: 0 before the first one, then 1, and on.

    trigger   a rise above 0 begins again
    rate      steps per second; may change on the way
    out       a fraction between two steps
    """
    begins = trigger > 0.0 and last <= 0.0
    if begins:
        elapsed = 1.0
    elif elapsed > 0.0:
        elapsed = elapsed + rate * clock.step
    return max(elapsed, 0.0), trigger, elapsed


@tree(
    inputs=("matrix",),
    outputs=(Output("out", Kind.VVALUE, about="what is added to the matrix; wire it to `self.delta`"),),
    settings=(
        Setting("plan", "list", [], about='lines: "50 copy template name", "150 add b.picture a 1", "9-18 add …"'),
        Setting("per_second", "number", 60.0, about="steps of the plan in a second"),
        Setting("first", "integer", 0, about="the number of the step in which the neuron wakes"),
    ),
    stateful=True,
    rows={"matrix": {"self.matrix": 1.0}},
)
def schedule(matrix, settings, clock, state):
    """Rewrites the network on a schedule: a program that changes itself.

    A line is a step or the steps from one to another, and what is added to the matrix in each of them:
    `add to.input source weight` adds to one weight, `new name activation` wakes a neuron, `copy template name`
    gives a neuron the rows that another one has then, links from the template to itself included.

    matrix   what is copied from; usually the network's own

    Source: the program that rewrites itself on a schedule (Processing, June 2015); rows as masks, arXiv:1606.09470.
    """
    begun, former = state or (clock.tick, -1)
    step = int((clock.tick - begun) * settings["per_second"] / clock.rate + 1e-9) + settings["first"]
    found = {}
    for first, last, verb, words in _read(tuple(map(str, settings["plan"]))):
        for _ in range(max(min(step, last) - max(former + 1, first) + 1, 0)):
            found = total(found, _delta(verb, words, matrix))
    return found, (begun, step)


@lru_cache(64)
def _read(lines):
    """[(first step, last step, verb, words)] of the lines that can be read.

    Errors: ValueError with a sentence; the neuron is muted and says it.
    """
    found = []
    for line in lines:
        form = _LINE.match(line.strip())
        words = tuple(form[4].split()) if form else ()
        if not form or len(words) != (3 if form[3] == "add" else 2):
            raise ValueError(f"`{line}` is no line of a plan. Write `50 copy template name` or `9-18 add to.input a 1`")
        found.append((int(form[1]), int(form[2] or form[1]), form[3], words))
    return tuple(found)


def _delta(verb, words, matrix):
    if verb == "new":
        return {words[0]: {"activation": {"library": {words[1]: 1.0}}}}
    if verb == "copy":
        template, name = words
        rows = matrix.get(template, {})
        return {name: {port: _renamed(row, template, name) for port, row in rows.items()}} if rows else {}
    to, source = parse_reference(words[0]), parse_reference(words[1])
    delta = float(words[2])
    for label in reversed((source.name, source.port or "out", *source.branches)):
        delta = {label: delta}
    return {to.name: {"/".join((to.port, *to.branches)): delta}}


def _renamed(row, template, name):
    return {name if source == template else source: outputs for source, outputs in row.items()}

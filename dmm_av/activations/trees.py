"""Trees at work: constants, lists, readers of text, scripted events, gates and comparisons of V-values.

Sums and masks of trees are in `core`; what becomes a matrix or a picture is in `matrices`.
"""

from dmm_av.network.activation import Input, Output, Setting, tree
from dmm_av.streams.kinds import Kind
from dmm_av.streams.vvalue import NUMBER, clean, encode_label, leaves, number_at, scaled, total

MOST_TEXT = 60  # letters of a tree that a notice shows


def number(name, default=0.0, about=""):
    """An input that takes a number."""
    return Input(name, Kind.NUMBER, default, about=about)


# --- Constants and memories ------------------------------------------------------------------------


@tree(settings=(Setting("tree", "tree", {}, about="what is given out"),))
def constant(settings):
    """Gives out one tree, always.

    out   the tree of the setting
    """
    return settings["tree"]


@tree(
    inputs=("input",),
    settings=(Setting("first", "tree", {}, about="what is given out at first, besides what arrives"),),
    stateful=True,
)
def memory(input, settings, state):
    """Passes a tree on, and begins with one of its own; wired to itself with 1 it keeps it until the network edits it.

    input   any tree, usually its own output
    out     what arrived
    """
    return (input, True) if state else (total(input, settings["first"]), True)


# --- Lists -----------------------------------------------------------------------------------------


@tree(
    inputs=("self", "signal"),
    settings=(
        Setting("first", "tree", {"end-list": 1.0}, about="the list at first"),
        Setting("most", "integer", 100, about="how many items are kept; the oldest go"),
    ),
    stateful=True,
)
def cons(self, signal, settings, state):
    """Puts what arrives in front of a list: `this` is the newest item, `rest` the list before it.

    self     the list, wired from its own output with weight 1
    signal   an item; it counts while its `flag` is not 0
    out      {this: signal, rest: list}, or the list as it was

    Source: the list of mouse clicks of arXiv:1712.07447, section 6.3.
    """
    listed = self if state is not None else total(self, settings["first"])
    count = state or 0
    if not number_at(signal, ("flag",)):
        return listed, count
    listed, count = {"this": signal, "rest": listed}, count + 1
    return (_shortened(listed, settings["most"]) if count > settings["most"] else listed), count


def _shortened(listed, most):
    """The first items of a list."""
    items = []
    while isinstance(listed, dict) and "this" in listed and len(items) < most:
        items.append(listed["this"])
        listed = listed.get("rest", {})
    rest = {}
    for item in reversed(items):
        rest = {"this": item, "rest": rest}
    return rest


# --- What comes in from a text, a script, a hand -----------------------------------------------------


@tree(
    inputs=(),
    outputs=(Output("out", Kind.VVALUE), Output("end", Kind.NUMBER, about="1 when the text is over")),
    settings=(
        Setting("text", "text", "", about="what is read"),
        Setting("by", "choice", "characters", ("characters", "words"), about="what one step is"),
        Setting("every", "integer", 1, about="ticks from one step to the next"),
        Setting("loop", "boolean", False, about="begins again at the end"),
    ),
    stateful=True,
)
def reader(settings, state):
    """Reads a text, one character or word every few ticks; each is a tree with one leaf, {word: 1}.

    out   {character: 1} for one tick, else nothing; a label that would begin with `:` is written %3A
    end   1 when the text is over

    Source: the character reader of the duplicate detector, arXiv:1606.09470, section 3.
    """
    tick, every = state or 0, max(1, settings["every"])
    pieces = settings["text"] if settings["by"] == "characters" else settings["text"].split()
    place, between = divmod(tick, every)
    is_over = place >= len(pieces)
    if settings["loop"] and pieces:
        place, is_over = place % len(pieces), False
    if is_over:
        return {"out": {}, "end": 1.0}, tick
    if between:
        return {"out": {}, "end": 0.0}, tick + 1
    label = pieces[place]
    return {"out": {encode_label(label) if label.startswith(":") else label: 1.0}, "end": 0.0}, tick + 1


@tree(
    outputs=(),
    settings=(
        Setting("script", "tree", {}, about="{tick: {output: tree}}, ticks counted from when the neuron wakes"),
        Setting("quiet", "tree", {}, about="{output: tree} given out while there is nothing in the script"),
        Setting("every", "integer", 0, about="the script begins again after that many ticks; 0: never"),
    ),
    stateful=True,
    variadic_outputs=Kind.VVALUE,
)
def events(settings, state):
    """Gives out trees at certain ticks, each for one tick: a scripted hand.

    Its outputs are those that the script names. Wired to `self.delta` it edits the network.

    Source: the update neuron on a channel, dmm-notes-2018, section 1.1; here the channel is a script.
    """
    tick, every = state or 0, settings["every"]
    at = tick % every if every > 0 else tick
    found = settings["script"].get(str(at))
    return (found if isinstance(found, dict) else settings["quiet"]), tick + 1


@tree(inputs=("input",), stateful=True)
def changes(input, state):
    """Gives a tree out, with `flag: 1` beside, for the one tick in which it has become another.

    input   a tree that is held: `osc.mouse`
    out     the tree and {flag: 1}, else nothing
    """
    if state is None or input == state:
        return {}, input
    return {**input, "flag": 1.0}, input


@tree(
    inputs=("input",),
    settings=(Setting("every", "integer", 240, about="at least so many ticks from one notice to the next"),),
    stateful=True,
)
def printer(input, settings, clock, state):
    """Passes a tree on and tells it to the player when it has become another.

    input   any tree
    out     the same tree
    """
    told, at = state or ({}, None)
    if input == told or (at is not None and clock.tick - at < settings["every"]):
        return input, (told, at)
    clock.tell(written(input))
    return input, (input, clock.tick)


def written(v):
    """A tree as one short line."""
    listed = ", ".join("/".join(path or (NUMBER,)) + f" {leaf:g}" for path, leaf in leaves(v))
    return (listed if len(listed) <= MOST_TEXT else listed[: MOST_TEXT - 1] + "…") or "nothing"


# --- Time and decisions --------------------------------------------------------------------------------


@tree(inputs=(number("input", about="usually its own output"),), outputs=(Output("out", Kind.NUMBER),))
def timer(input):
    """One more than what arrives: wired to itself with weight 1 it counts ticks.

    input   usually its own output
    """
    return {"out": input + 1.0}


@tree(inputs=("input", number("trigger", about="takes the tree when it rises above 0")), stateful=True)
def latch(input, trigger, state):
    """Keeps the tree that arrived when the trigger last rose above 0.

    input   any tree
    out     the tree that is kept, at first nothing
    """
    kept, was_high = state or ({}, False)
    kept = input if trigger > 0.0 and not was_high else kept
    return kept, (kept, trigger > 0.0)


@tree(inputs=("input", number("amount", 1.0, "what the tree is multiplied by")))
def gate(input, amount):
    """A tree times a number: the fuzzy if.

    input   any tree
    out     amount · input
    """
    return scaled(amount, input)


@tree(inputs=("input", number("amount", about="what is added")))
def offset(input, amount):
    """Adds a number to every number that a tree has.

    input   any tree
    out     leaves that become 0 go
    """
    return _raised(input, amount) if amount else input


def _raised(v, amount):
    """`amount` added to every leaf, as the scalar sum of the reference has it."""
    if not isinstance(v, dict):
        return clean(v + amount) if isinstance(v, int | float) else {}
    raised = {label: _raised(x, amount) for label, x in v.items()}
    return {label: x for label, x in raised.items() if x}


@tree(
    inputs=("a", "b"),
    outputs=(Output("out", Kind.NUMBER, about="the dot product"),),
    settings=(Setting("limit", "number", 0.0, about="the product stays within ± that; 0: no limit"),),
)
def dot(a, b, settings):
    """The dot product of two trees: products of the numbers at equal paths, added.

    a   one tree
    b   the other

    Source: the neuron `dot` of DMM-Lite (2022), which limits itself to ±4.
    """
    numbers = {_place(path): leaf for path, leaf in leaves(b)}
    found = sum(leaf * numbers.get(_place(path), 0.0) for path, leaf in leaves(a))
    limit = settings["limit"]
    return {"out": max(-limit, min(limit, found)) if limit > 0.0 else float(found)}


def _place(path):
    return path[:-1] if path and path[-1] == NUMBER else path


# --- Intervals -----------------------------------------------------------------------------------------


@tree(inputs=(number("low"), number("high")))
def interval(low, high):
    """An interval as a tree; `high` below `low` is allowed.

    low    where it begins
    high   where it ends
    out    {low, high}
    """
    return {label: end for label, end in (("low", low), ("high", high)) if end}


@tree(inputs=("a", "b"), outputs=("meet", "join"))
def intervals(a, b):
    """The largest interval inside two and the smallest around two, branch by branch; ends may be crossed.

    Where two intervals are apart their meet is crossed, `high` below `low`. Their sum is the sum of trees.

    a      {low, high}, or a tree of such
    b      another
    meet   {low: the larger, high: the smaller}
    join   {low: the smaller, high: the larger}

    Source: M. Warmus, Calculus of Approximations, 1956.
    """
    return {"meet": _between(a, b, max, min), "join": _between(a, b, min, max)}


def _between(a, b, low, high):
    """The tree whose `low` and `high` are chosen from those of two trees; other numbers are no interval and go."""
    a, b = (v if isinstance(v, dict) else {} for v in (a, b))
    found = {}
    for label in {**a, **b}:
        x, y = a.get(label, {}), b.get(label, {})
        if label in ("low", "high"):
            x = (low if label == "low" else high)(number_at(x), number_at(y))
        else:
            x = _between(x, y, low, high)
        if x:
            found[label] = x
    return found

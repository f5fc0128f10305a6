"""From one scalar step to the loops that run it fast. Here, and only here, text becomes code.

Every step gets one compiled function with up to five loops:

  lanes      many neurons side by side, one or many steps: number side, sample path, stateful steps in blocks
  held       the same for one step, with cycles per step that `prepare` worked out for the whole block
  block      one neuron over a block of time (steps without state only; phases are prefix sums)
  constant   the same where every input is constant over the block

All of them do the same operations in the same order per sample, so all give the same bits. The text of a loop is
a file in the cache folder whose name holds a hash of all that it depends on; so compiled code outlasts the process.
What a neuron's state is made of, in which order, is said here too (`StepLayout`); where it lies is the signal VM's
business.
"""

import hashlib
import inspect
import os
import platform
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

import numba
from numba import cfunc, njit, types

from dmm_av.engine import step_code
from dmm_av.engine.plain_step import plain_arguments
from dmm_av.errors import DmmError, PatchError
from dmm_av.network.activation import LIBRARY

LANES, BLOCK, CONSTANT, PREPARE, HELD = range(5)  # which loop a call wants

# Words of the record that a call of the loops gets.
STATE = 0  # address of the state words
LANE_STRIDE = 1  # lanes: distance from one state word of a neuron to its next, in words
FLAGS = 2  # lanes: address of one word per lane, not 0 once an output was not finite
SLOT_STRIDE = 3  # lanes: distance from one input to the next, in numbers
OUTPUT_STRIDE = 4  # distance from one output to the next, in numbers
RATE, AUDIO, STEP = 5, 6, 7  # the clock, as floats
CONSTANTS = 8  # block: bit k is set where input k is constant over the block
SCRATCH = 9  # block: address of room for one block of words; held: a word and a number per lane
FAMILIES = 10  # from here: how many inputs each family has
SLOT_STEPS = 16  # lanes, from here, per single input: distance from step to step; 0: the same in all steps
RECORD_WORDS = 16  # and a word per single input
REMEMBERED = 10  # constant: cycles per step, then the inputs that they were worked out from
MOST_REMEMBERED = 5

_SIGNATURE = types.void(*[types.int64] * 6)
_compiled = {}  # digest -> CompiledStep
_layouts = {}  # what `_own` says of an activation -> StepLayout
_known = {}  # what `_own` says of an activation -> CompiledStep
_lock = threading.RLock()


@dataclass(frozen=True)
class StepLayout:
    """What a step takes, gives and keeps, in the order in which the loops see it.

    inputs     names of the single inputs: slots 0, 1, …
    families   names of the families: their slots follow, family after family
    outputs    names, in the order of results
    phase      whether state word 0 is a phase
    randoms    how many random sequences: two words each (key, counter)
    states     initial values, one word each
    banks      sizes: that many words each, zero at first
    memories   lengths in seconds: three words each (address, position, mask)
    integrand  slots of the inputs that the phase is the integral of
    """

    inputs: tuple
    families: tuple
    outputs: tuple
    phase: bool
    randoms: int
    states: tuple
    banks: tuple
    memories: tuple
    integrand: tuple

    @property
    def is_pure(self):
        """Whether every sample of a block can be computed apart from the others."""
        return not (self.states or self.banks or self.memories or self.families)

    @property
    def first_state(self):
        """The word where states begin; before it are phase and random sequences."""
        return int(self.phase) + 2 * self.randoms

    @property
    def first_memory(self):
        """The word where the delay lines' words begin."""
        return self.first_state + len(self.states) + sum(self.banks)

    @property
    def words(self):
        """State words of a neuron."""
        return self.first_memory + 3 * len(self.memories)


@dataclass(frozen=True)
class CompiledStep:
    """A step's loops: `address` is a C function (which, record, x, y, steps, lanes), all int64."""

    name: str
    layout: StepLayout
    address: int
    function: object


def step_layout(activation):
    """The `StepLayout` of a signal activation."""
    own = _own(activation)
    found = _layouts.get(own)
    if found is None:
        found = _layouts[own] = _read_layout(activation)
    return found


def _read_layout(activation):
    parameters = activation.notes["parameters"]

    def named(role):
        return tuple((name, default) for name, own, default in parameters if own == role)

    inputs = tuple(name for name, _ in named("input"))
    integrand = activation.notes["integrand"]
    return StepLayout(
        inputs=inputs,
        families=tuple(name for name, _ in named("family")),
        outputs=activation.notes["flat_outputs"],
        phase=integrand is not None,
        randoms=len(named("random")),
        states=tuple(float(default) for _, default in named("state")),
        banks=tuple(int(default) for _, default in named("bank")),
        memories=tuple(float(default) for _, default in named("memory")),
        integrand=tuple(inputs.index(name) for name in inspect.signature(integrand).parameters) if integrand else (),
    )


# --- Writing the loops ----------------------------------------------------------------------------


class _Writer:
    """The text of a step's loops."""

    def __init__(self, activation):
        self.activation = activation
        self.layout = layout = step_layout(activation)
        self.parameters = activation.notes["parameters"]
        self.names = set()
        self.lines = []
        self.word_of_random = [int(layout.phase) + 2 * k for k in range(layout.randoms)]
        first = layout.first_state
        self.word_of_state = [first + k for k in range(len(layout.states))]
        bank = first + len(layout.states)
        self.word_of_bank = []
        for size in layout.banks:
            self.word_of_bank.append(bank)
            bank += size
        self.word_of_memory = [layout.first_memory + 3 * k for k in range(len(layout.memories))]

    def line(self, depth, text):
        self.lines.append("    " * depth + text)

    def need(self, *names):
        self.names.update(names)
        return names[0]

    def text(self):
        """The whole file."""
        self.line(1, "words = int64_pointer(record)")
        self.line(1, "numbers = float64_pointer(record)")
        self.line(1, f"clock = Clock(numbers[{RATE}], numbers[{AUDIO}], numbers[{STEP}])")
        self.line(1, f"s = words[{STATE}]")
        self.line(1, f"output_stride = words[{OUTPUT_STRIDE}]")
        self.line(1, f"if which == {LANES}:")
        self.lanes()
        if self.layout.phase:
            self.line(1, f"elif which == {PREPARE}:")
            self.prepare()
            self.line(1, f"elif which == {HELD}:")
            self.held()
        if self.layout.is_pure:
            self.line(1, f"elif which == {BLOCK}:")
            self.block()
            self.line(1, "else:")
            self.constant()
        head = [
            f'"""Loops of the step `{self.activation.body.__name__}`, written by the step compiler."""',
            "",
            "from dmm_av.engine.native import float64_pointer, int64_pointer",
            "from dmm_av.engine.step_code import Clock, LOAD_STATE, LOAD_WORD, STORE_STATE, STORE_WORD, STORE_Y",
            "from dmm_av.engine.step_code import chance, fixed_of, load_flag, load_scratch, load_x, store_flag",
            "from dmm_av.engine.step_code import store_scratch, turns_of, usual_turn, store_float",
            "from dmm_av.streams.dsp import bits_of, float_of",
            "",
        ]
        for name in sorted(self.names):
            table, index = name.rsplit("_", 1)
            head.append(f"{name} = {table.upper()}[{index}]")
        return "\n".join([*head, "", "", "def loops(which, record, x, y, steps, lanes):", *self.lines, ""])

    def indexed(self, table, index):
        """The name of one access function of a table of step_code."""
        return self.need(f"{table}_{index}")

    def call_step(self, depth):
        """The call of the body: outputs o0 …, new states n0 …, pushed p0 …"""
        arguments, counters = [], dict.fromkeys(("input", "state", "memory", "random", "bank", "family"), 0)
        for name, role, _ in self.parameters:
            if role in counters:
                k = counters[role]
                counters[role] += 1
                prefix = {
                    "input": "a",
                    "state": "s",
                    "memory": "m",
                    "random": "r",
                    "bank": "b",
                    "family": "f",
                }[role]
                arguments.append(f"{prefix}{k}")
            else:
                arguments.append(name)
        outputs = [f"o{k}" for k in range(len(self.layout.outputs))]
        kept, state, memory = [], 0, 0
        for _, role, _ in self.parameters:
            if role == "state":
                kept.append(f"n{state}")
                state += 1
            elif role == "memory":
                kept.append(f"p{memory}")
                memory += 1
        results = ", ".join([*outputs, *kept])
        self.line(depth, f"{results} = step({', '.join(arguments)})")
        for output in outputs:
            self.line(depth, f"{output} = float({output})")

    def integrand(self, values):
        """The expression for cycles per step."""
        arguments = ", ".join(values[slot] for slot in self.layout.integrand)
        return f"usual_turn(float(integrand({arguments})), clock.step)"

    def open_lanes(self):
        layout = self.layout
        self.line(2, f"stride = words[{LANE_STRIDE}]")
        self.line(2, f"flags = words[{FLAGS}]")
        self.line(2, f"slot_stride = words[{SLOT_STRIDE}]")
        for k in range(len(layout.families)):
            self.line(2, f"count{k} = words[{FAMILIES + k}]")

    def lanes(self):
        layout = self.layout
        self.open_lanes()
        for k in range(len(layout.inputs)):
            self.line(2, f"x{k} = {k} * slot_stride")
            self.line(2, f"e{k} = words[{SLOT_STEPS + k}]")
        self.line(2, "for t in range(steps):")
        self.line(3, "xt = x + 8 * t * stride")
        self.line(3, "yt = y + 8 * t * stride")
        self.line(3, "for i in range(lanes):")
        for k in range(len(layout.inputs)):
            self.line(4, f"a{k} = load_x(x, x{k} + t * e{k} + i)")
        if layout.phase:
            inputs = [f"a{k}" for k in range(len(layout.inputs))]
            self.line(4, f"turn = {self.integrand(inputs)}")
            self.line(4, "increment = fixed_of(turn)")
        self.lane(4)

    def prepare(self):
        layout = self.layout
        self.open_lanes()
        self.line(2, f"scratch = words[{SCRATCH}]")
        self.line(2, "for i in range(lanes):")
        for k in set(layout.integrand):
            self.line(3, f"a{k} = load_x(x, {k} * slot_stride + i)")
        inputs = [f"a{k}" for k in range(len(layout.inputs))]
        self.line(3, f"turn = {self.integrand(inputs)}")
        self.line(3, "store_scratch(scratch, i, fixed_of(turn))")
        self.line(3, "store_scratch(scratch, stride + i, bits_of(turn))")

    def held(self):
        layout = self.layout
        self.open_lanes()
        self.line(2, f"scratch = words[{SCRATCH}]")
        self.line(2, "xt = x")
        self.line(2, "yt = y")
        self.line(2, "for i in range(lanes):")
        for k in range(len(layout.inputs)):
            self.line(3, f"a{k} = load_x(x, {k} * slot_stride + i)")
        self.line(3, "increment = load_scratch(scratch, i)")
        self.line(3, "turn = float_of(load_scratch(scratch, stride + i))")
        self.lane(3)

    def lane(self, depth):
        """One step of one lane, after inputs, increment and turn are known."""
        layout = self.layout
        first = str(len(layout.inputs))
        for k in range(len(layout.families)):
            self.line(depth, f"f{k} = (xt + 8 * (({first}) * slot_stride + i), 8 * slot_stride, count{k})")
            first += f" + count{k}"
        if layout.phase:
            self.line(depth, f"word = {self.indexed('load_word', 0)}(s, i)")
            self.line(depth, f"{self.indexed('store_word', 0)}(s, i, word + increment)")
            self.line(depth, "phase = turns_of(word)")
        for k, word in enumerate(self.word_of_random):
            key = self.indexed("load_word", word)
            counter = self.indexed("load_word", word + 1)
            store = self.indexed("store_word", word + 1)
            self.line(depth, f"c{k} = {counter}(s, {word + 1} * stride + i)")
            self.line(depth, f"r{k} = chance({key}(s, {word} * stride + i), c{k})")
            self.line(depth, f"{store}(s, {word + 1} * stride + i, c{k} + 1)")
        for k, word in enumerate(self.word_of_state):
            self.line(depth, f"s{k} = {self.indexed('load_state', word)}(s, {word} * stride + i)")
        for k, word in enumerate(self.word_of_bank):
            self.line(depth, f"b{k} = (s + 8 * ({word} * stride + i), 8 * stride, {layout.banks[k]})")
        for k, word in enumerate(self.word_of_memory):
            for part, offset in (("address", 0), ("position", 1), ("mask", 2)):
                load = self.indexed("load_word", word + offset)
                self.line(depth, f"{part}{k} = {load}(s, {word + offset} * stride + i)")
            self.line(depth, f"m{k} = (address{k}, position{k}, mask{k})")
        self.call_step(depth)
        for k, word in enumerate(self.word_of_state):
            self.line(depth, f"{self.indexed('store_state', word)}(s, {word} * stride + i, float(n{k}))")
        for k, word in enumerate(self.word_of_memory):
            self.line(depth, f"store_float(address{k} + 8 * (position{k} & mask{k}), float(p{k}))")
            store = self.indexed("store_word", word + 1)
            self.line(depth, f"{store}(s, {word + 1} * stride + i, position{k} + 1)")
        outputs = [f"o{k}" for k in range(len(layout.outputs))]
        finite = " and ".join(f"abs({output}) <= 1.7976931348623157e308" for output in outputs)
        self.line(depth, "flag = load_flag(flags, i)")
        self.line(depth, f"flag = flag if {finite} else 1")
        self.line(depth, "store_flag(flags, i, flag)")
        for k, output in enumerate(outputs):
            store = self.indexed("store_y", k)
            self.line(depth, f"{store}(yt, {k} * output_stride + i, {output} if flag == 0 else 0.0)")

    def block(self):
        layout = self.layout
        self.line(2, "slots = int64_pointer(x)")
        for k in range(len(layout.inputs)):
            self.line(2, f"x{k} = slots[{k}]")
        loaded = [f"load_x(x{k}, i)" for k in range(len(layout.inputs))]
        firsts = [f"load_x(x{k}, 0)" for k in range(len(layout.inputs))]
        if layout.phase:
            mask = sum(1 << slot for slot in layout.integrand)
            self.line(2, f"scratch = words[{SCRATCH}]")
            self.line(2, f"word = {self.indexed('load_word', 0)}(s, 0)")
            self.line(2, f"if words[{CONSTANTS}] & {mask} == {mask}:")
            self.line(3, f"increment = fixed_of({self.integrand(firsts)})")
            self.line(3, f"{self.indexed('store_word', 0)}(s, 0, word + increment * steps)")
            self.line(3, "for i in range(lanes):")
            self.line(4, "store_scratch(scratch, i, word)")
            self.line(4, "word += increment")
            self.line(2, "else:")
            self.line(3, "for i in range(lanes):")
            self.line(4, f"store_scratch(scratch, i, fixed_of({self.integrand(loaded)}))")
            self.line(3, "for i in range(steps):")
            self.line(4, "increment = load_scratch(scratch, i)")
            self.line(4, "store_scratch(scratch, i, word)")
            self.line(4, "word += increment")
            self.line(3, f"{self.indexed('store_word', 0)}(s, 0, word)")
        self.open_randoms()
        self.line(2, "for i in range(lanes):")
        for k in range(len(layout.inputs)):
            self.line(3, f"a{k} = {loaded[k]}")
        if layout.phase:
            inputs = [f"a{k}" for k in range(len(layout.inputs))]
            self.line(3, f"turn = {self.integrand(inputs)}")
            self.line(3, "phase = turns_of(load_scratch(scratch, i))")
        self.body()
        self.close_randoms()

    def constant(self):
        layout = self.layout
        for k in range(len(layout.inputs)):
            self.line(2, f"a{k} = load_x(x, {k})")
        if layout.phase:
            inputs = [f"a{k}" for k in range(len(layout.inputs))]
            slots = list(enumerate(sorted(set(layout.integrand))))
            known = " and ".join(f"numbers[{REMEMBERED + 1 + n}] == a{k}" for n, k in slots)
            if not 0 < len(slots) <= MOST_REMEMBERED:
                known, slots = "False", []
            self.line(2, f"if not ({known}):")
            self.line(3, f"numbers[{REMEMBERED}] = {self.integrand(inputs)}")
            for n, k in slots:
                self.line(3, f"numbers[{REMEMBERED + 1 + n}] = a{k}")
            self.line(2, f"turn = numbers[{REMEMBERED}]")
            self.line(2, "increment = fixed_of(turn)")
            self.line(2, f"word = {self.indexed('load_word', 0)}(s, 0)")
            self.line(2, f"{self.indexed('store_word', 0)}(s, 0, word + increment * steps)")
        self.open_randoms()
        self.line(2, "for i in range(lanes):")
        if layout.phase:
            self.line(3, "phase = turns_of(word)")
            self.line(3, "word += increment")
        self.body()
        self.close_randoms()

    def open_randoms(self):
        for k, word in enumerate(self.word_of_random):
            self.line(2, f"key{k} = {self.indexed('load_word', word)}(s, {word})")
            self.line(2, f"counter{k} = {self.indexed('load_word', word + 1)}(s, {word + 1})")

    def close_randoms(self):
        for k, word in enumerate(self.word_of_random):
            self.line(2, f"{self.indexed('store_word', word + 1)}(s, {word + 1}, counter{k} + steps)")

    def body(self):
        for k in range(self.layout.randoms):
            self.line(3, f"r{k} = chance(key{k}, counter{k} + i)")
        self.call_step(3)
        for k in range(len(self.layout.outputs)):
            self.line(3, f"{self.indexed('store_y', k)}(y, {k} * output_stride + i, o{k})")


# --- Hashes and files -----------------------------------------------------------------------------


def cache_folder():
    """Where generated loops and their machine code are kept; created when missing."""
    if os.environ.get("DMM_AV_CACHE"):
        folder = Path(os.environ["DMM_AV_CACHE"])
    elif platform.system() == "Windows":
        folder = Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir())) / "dmm-av"
    elif platform.system() == "Darwin":
        folder = Path.home() / "Library" / "Caches" / "dmm-av"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dmm-av"
    folder = folder / "steps"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    folder = Path(tempfile.gettempdir()) / "dmm-av-steps"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _fingerprint(thing, seen, put):
    """Feeds all that a function's meaning depends on to `put`: its code and what its globals stand for."""
    if isinstance(thing, FunctionType):
        if id(thing) in seen:
            return
        seen.add(id(thing))
        _fingerprint(thing.__code__, seen, put)
        cells = [cell.cell_contents for cell in thing.__closure__ or ()]
        names = {name for code in _codes(thing.__code__) for name in code.co_names}
        for value in [*cells, *(thing.__globals__[name] for name in sorted(names) if name in thing.__globals__)]:
            _fingerprint(value, seen, put)
    elif isinstance(thing, CodeType):
        put(thing.co_code)
        put(repr((thing.co_names, thing.co_varnames)).encode())
        for constant in thing.co_consts:
            if isinstance(constant, CodeType):
                _fingerprint(constant, seen, put)
            elif not isinstance(constant, str):
                put(repr(constant).encode())
    elif isinstance(thing, int | float | str | tuple | bool | type(None)):
        put(repr(thing).encode())
    elif isinstance(thing, ModuleType | BuiltinFunctionType | type):
        put(thing.__name__.encode())


def _codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


_CODE_TEXT = Path(step_code.__file__).read_bytes()


def _digest(activation, text):
    known = hashlib.blake2b(digest_size=10)
    known.update(text.encode())
    known.update(_CODE_TEXT)
    known.update(f"{numba.__version__} {sys.version_info[:2]}".encode())
    seen = set()
    _fingerprint(activation.body, seen, known.update)
    if activation.notes["integrand"]:
        _fingerprint(activation.notes["integrand"], seen, known.update)
    return known.hexdigest()


def _write_once(path, text):
    """Writes a file that is not there yet, whole or not at all; others may do the same at the same time."""
    if path.exists():
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, path)


# --- Compiling ------------------------------------------------------------------------------------


def _make_jitable(function, done):
    """Lets compiled code call the plain functions that a step calls, of whatever module they are."""
    if function in done or function.__module__ == step_code.dsp.__name__:
        return
    done.add(function)
    for value in _called(function):
        _make_jitable(value, done)
        if value not in _jitable:
            _jitable.add(value)
            step_code.register_jitable(**step_code.OPTIONS)(value)


_jitable = set()


def _called(function):
    """The plain functions that a function may call: its globals and what it encloses, `dsp` apart."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    reached = [function.__globals__.get(name) for name in sorted(names)]
    reached += [cell.cell_contents for cell in function.__closure__ or ()]
    return [
        value for value in reached if isinstance(value, FunctionType) and value.__module__ != step_code.dsp.__name__
    ]


def compile_activation(activation):
    """The `CompiledStep` of a signal activation, from memory, from the cache folder, or compiled now.

    Errors: one sentence with file, line and reason for a step that cannot be run or compiled.
    """
    known = _known.get(_own(activation))
    if known is not None:
        return known
    with _lock:
        _check(activation)
        text = _Writer(activation).text()
        digest = _digest(activation, text)
        found = _compiled.get(digest)
        if found is None:
            found = _compiled[digest] = _compile(activation, text, digest)
        _known[_own(activation)] = found
        return found


def is_compiled(activation):
    """Whether `compile_activation` would answer at once; a placeholder needs no compiling."""
    return "parameters" not in activation.notes or _own(activation) in _known


def _own(activation):
    """What the loops of an activation depend on, as long as this process lives."""
    notes = activation.notes
    return (activation.body, notes["integrand"], notes["parameters"], notes["flat_outputs"])


def _compile(activation, text, digest):
    body, integrand = activation.body, activation.notes["integrand"]
    done = set()
    _make_jitable(body, done)
    given = {"step": njit(**step_code.OPTIONS)(body)}
    if integrand:
        _make_jitable(integrand, done)
        given["integrand"] = njit(**step_code.OPTIONS)(integrand)
    loops = load_text(f"{body.__name__}_{digest}", text, **given)["loops"]
    try:
        function = cfunc(_SIGNATURE, cache=True, error_model="numpy")(loops)
    except Exception as error:  # the compiler has many ways to say no; each becomes a sentence
        raise _sentence(activation, error) from None
    return CompiledStep(activation.name, step_layout(activation), function.address, function)


def load_text(stem, text, **given):
    """Runs a text as a module whose file is kept in the cache folder, so that its machine code can be kept too.

    stem    name of the file; it must hold a digest of all that the code depends on
    given   names that the text may use
    """
    path = cache_folder() / f"{stem}.py"
    _write_once(path, text)
    # machine code from the cache folder looks for its module by name
    module = sys.modules[f"dmm_av_step_{stem}"] = ModuleType(f"dmm_av_step_{stem}")
    module.__dict__.update(given)
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module.__dict__


def digest_of_modules(*modules):
    """A digest of the text of some modules and of the compiler."""
    known = hashlib.blake2b(digest_size=10)
    known.update(f"{numba.__version__} {sys.version_info[:2]}".encode())
    for module in modules:
        known.update(Path(module.__file__).read_bytes())
    return known.hexdigest()


def _place(function):
    code = function.__code__
    return f"{Path(code.co_filename).name}, line {code.co_firstlineno}"


def _sentence(activation, error):
    """A compiler's complaint as one sentence that a player can act on."""
    body = activation.body
    line = body.__code__.co_firstlineno
    place = getattr(error, "loc", None)
    if place is not None and getattr(place, "filename", None) == body.__code__.co_filename:
        line = place.line
    lines = [text.strip() for text in str(error).splitlines() if text.strip()]
    skipped = ("Failed in", "During:", "File ", "^", "-", "There are", "Overload", "This error", "Known")
    reasons = [text for text in lines if not text.startswith(skipped)]
    reason = next(
        (text for text in reasons if any(word in text for word in ("Undecided", "Untyped", "No impl", "NameError"))),
        reasons[0] if reasons else "unknown",
    )
    for text in reversed(lines):  # numba ends with the offending place of the innermost function
        if text.startswith("File ") and body.__code__.co_filename in text and "line " in text:
            line = int("".join(c for c in text.rsplit("line ", 1)[1] if c.isdigit()) or line)
            break
    return PatchError(
        f"{Path(body.__code__.co_filename).name}, line {line}: the step `{body.__name__}` cannot be compiled: "
        f"{reason.rstrip('.')[:200]}. Use numbers, `math` and the functions of `dmm_av.streams.dsp` only."
    )


def _check(activation):
    """Runs the step once with plain numbers: most mistakes show here, with Python's own words for them."""
    body = activation.body
    layout = step_layout(activation)
    expected = len(layout.outputs) + len(layout.states) + len(layout.memories)
    try:
        results = body(**plain_arguments(activation))
    except DmmError:
        raise
    except ArithmeticError:
        return  # compiled, a division by zero is infinite and no error
    except Exception as error:  # whatever a user's step does wrong becomes a sentence
        trace, line = error.__traceback__, body.__code__.co_firstlineno
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == body.__code__.co_filename:
                line = trace.tb_lineno
            trace = trace.tb_next
        raise PatchError(
            f"{Path(body.__code__.co_filename).name}, line {line}: the step `{body.__name__}` fails on its "
            f"defaults: {type(error).__name__}: {error}. Mend it and save."
        ) from None
    given = len(results) if isinstance(results, tuple) else 1
    if given != expected or (expected == 1 and isinstance(results, tuple)):
        raise PatchError(
            f"{_place(body)}: the step `{body.__name__}` returns {given} numbers"
            f"{' in a tuple' if isinstance(results, tuple) else ''}; {expected} are declared: "
            f"{len(layout.outputs)} outputs, {len(layout.states)} states, {len(layout.memories)} memories. "
            "Return them in this order."
        )


def warm(progress=None, library=LIBRARY):
    """Compiles every signal activation of a library into the cache folder.

    progress   called with (done, total, name) before each and once at the end
    """
    bodies = {}
    for activation in library:
        if activation.side == "signal" and activation.body is not None:
            bodies.setdefault(activation.body, activation)
    for done, activation in enumerate(bodies.values()):
        if progress:
            progress(done, len(bodies), activation.name)
        compile_activation(activation)
    if progress:
        progress(len(bodies), len(bodies), "")

"""What generated loops are made of: loads and stores that may be vectorised, and `dsp` as compiled code.

The functions of `streams/dsp.py` are plain Python; here they get a meaning inside compiled code: the primitives
as single instructions, the rest by compiling their own source. Steps therefore stay ordinary functions.
"""

import platform
from collections import namedtuple

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload, register_jitable

from dmm_av.streams import dsp

# Vector loops of one vector a turn: rows are padded to whole vectors, so no slow scalar remainder is left over.
binding.set_option("", "-force-vector-interleave=1")

Clock = namedtuple("Clock", "rate audio step")

OPTIONS = {"error_model": "numpy", "forceinline": True}

_FLOAT = ir.DoubleType()
_INT64 = ir.IntType(64)


# --- Loads and stores -----------------------------------------------------------------------------
# Arrays that a loop reads and writes never overlap. The compiler cannot know that of bare addresses, and would not
# vectorise; alias scopes say it.

MOST_OUTPUTS = 32
MOST_WORDS = 96
_SCOPES = [
    "x",
    "sum",
    "flag",
    "scratch",
    *[f"y{i}" for i in range(MOST_OUTPUTS)],
    *[f"s{i}" for i in range(MOST_WORDS)],
]


def _mark(builder, instruction, scope):
    module = builder.module
    domain = module.add_metadata([ir.MetaDataString(module, "dmm loops")])
    nodes = {name: module.add_metadata([ir.MetaDataString(module, name), domain]) for name in _SCOPES}
    instruction.set_metadata("alias.scope", module.add_metadata([nodes[scope]]))
    instruction.set_metadata("noalias", module.add_metadata([node for name, node in nodes.items() if name != scope]))


def _access(scope, element, llvm_type):
    def load(typing_context, address, index):
        def code(context, builder, signature, arguments):
            pointer = builder.inttoptr(arguments[0], llvm_type.as_pointer())
            value = builder.load(builder.gep(pointer, [arguments[1]]))
            _mark(builder, value, scope)
            return value

        return element(types.int64, types.int64), code

    def store(typing_context, address, index, value):
        def code(context, builder, signature, arguments):
            pointer = builder.inttoptr(arguments[0], llvm_type.as_pointer())
            stored = builder.store(arguments[2], builder.gep(pointer, [arguments[1]]))
            _mark(builder, stored, scope)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, element), code

    load.__name__ = load.__qualname__ = f"load_{scope}_{element}"
    store.__name__ = store.__qualname__ = f"store_{scope}_{element}"
    return intrinsic(load), intrinsic(store)


load_x, _ = _access("x", types.float64, _FLOAT)
load_flag, store_flag = _access("flag", types.int64, _INT64)
load_sum, store_sum = _access("sum", types.float64, _FLOAT)
load_scratch, store_scratch = _access("scratch", types.int64, _INT64)
STORE_Y = [_access(f"y{i}", types.float64, _FLOAT)[1] for i in range(MOST_OUTPUTS)]
_STATES = [_access(f"s{i}", types.float64, _FLOAT) for i in range(MOST_WORDS)]
_WORDS = [_access(f"s{i}", types.int64, _INT64) for i in range(MOST_WORDS)]
LOAD_STATE, STORE_STATE = zip(*_STATES, strict=True)
LOAD_WORD, STORE_WORD = zip(*_WORDS, strict=True)


@intrinsic
def load_float(typing_context, address):
    """The float64 at an address; may overlap with anything."""

    def code(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], _FLOAT.as_pointer()))

    return types.float64(types.int64), code


@intrinsic
def store_float(typing_context, address, value):
    """Writes a float64 at an address."""

    def code(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], _FLOAT.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.float64), code


_VECTOR = ir.VectorType(_FLOAT, 8)
_LANES = ir.VectorType(ir.IntType(32), 8)


def _transposed(builder, rows):
    """Eight vectors of eight, rows made columns in three rounds of exchanges."""

    def exchange(pairs, places):
        mask = ir.Constant(_LANES, places)
        return [builder.shuffle_vector(rows[a], rows[b], mask) for a, b in pairs]

    ones = [(0, 1), (2, 3), (4, 5), (6, 7)]
    even, odd = exchange(ones, [0, 8, 2, 10, 4, 12, 6, 14]), exchange(ones, [1, 9, 3, 11, 5, 13, 7, 15])
    rows = [vector for pair in zip(even, odd, strict=True) for vector in pair]
    twos = [(0, 2), (1, 3), (4, 6), (5, 7)]
    first, last = exchange(twos, [0, 1, 8, 9, 4, 5, 12, 13]), exchange(twos, [2, 3, 10, 11, 6, 7, 14, 15])
    rows = [*first[:2], *last[:2], *first[2:], *last[2:]]
    fours = [(0, 4), (1, 5), (2, 6), (3, 7)]
    return [
        *exchange(fours, [0, 1, 2, 3, 8, 9, 10, 11]),
        *exchange(fours, [4, 5, 6, 7, 12, 13, 14, 15]),
    ]


def _row_addresses(builder, table, offset):
    pointer = builder.inttoptr(table, _INT64.as_pointer())
    distance = builder.mul(offset, _INT64(8))
    return [builder.add(builder.load(builder.gep(pointer, [_INT64(k)])), distance) for k in range(8)]


def _lane_addresses(builder, base, stride):
    return [builder.add(base, builder.mul(_INT64(8 * k), stride)) for k in range(8)]


def _move_block(builder, sources, targets):
    """Eight times eight numbers, transposed."""
    vectors = []
    for address in sources:
        vector = builder.load(builder.inttoptr(address, _VECTOR.as_pointer()))
        vector.align = 8
        vectors.append(vector)
    for vector, address in zip(_transposed(builder, vectors), targets, strict=True):
        builder.store(vector, builder.inttoptr(address, _VECTOR.as_pointer())).align = 8


@intrinsic
def rows_to_lanes(typing_context, table, offset, target, stride):
    """Eight samples of eight rows, side by side.

    table    address of eight addresses of rows
    offset   first sample
    target   address of the first sample's first lane; samples are `stride` numbers apart
    """

    def code(context, builder, signature, arguments):
        table, offset, target, stride = arguments
        _move_block(builder, _row_addresses(builder, table, offset), _lane_addresses(builder, target, stride))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), code


@intrinsic
def lanes_to_rows(typing_context, table, offset, source, stride):
    """The way back: eight samples of eight lanes into eight rows."""

    def code(context, builder, signature, arguments):
        table, offset, source, stride = arguments
        _move_block(builder, _lane_addresses(builder, source, stride), _row_addresses(builder, table, offset))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), code


@intrinsic
def call_loops(typing_context, function, which, record, x, y, steps, lanes):
    """Calls generated loops by their address."""

    def code(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [_INT64] * 6)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7), code


@intrinsic
def call_tick(typing_context, function, vm, upto):
    """Calls a compiled tick by its address: two loops use it, and it is compiled once."""

    def code(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [_INT64] * 2)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), code


# --- The processor's mode ---------------------------------------------------------------------------
# Numbers near 1e-308 cost some processors a hundred times as much as others, and are not heard. While sound is
# rendered they count as zero.

_IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
_FLUSH = 0x8040  # flush results to zero, take operands for zero


@intrinsic
def flush_tiny_numbers(typing_context):
    """From now on this thread's tiny numbers are zero; returns the mode it was in."""

    def code(context, builder, signature, arguments):
        if not _IS_X86:
            return _INT64(0)
        place = cgutils.alloca_once(builder, ir.IntType(32))
        _control_word(builder, "stmxcsr", place)
        before = builder.load(place)
        builder.store(builder.or_(before, ir.IntType(32)(_FLUSH)), place)
        _control_word(builder, "ldmxcsr", place)
        return builder.zext(before, _INT64)

    return types.int64(), code


@intrinsic
def restore_mode(typing_context, mode):
    """Puts the thread back into a mode."""

    def code(context, builder, signature, arguments):
        if _IS_X86:
            place = cgutils.alloca_once(builder, ir.IntType(32))
            builder.store(builder.trunc(arguments[0], ir.IntType(32)), place)
            _control_word(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.void(types.int64), code


def _control_word(builder, what, place):
    pointer = ir.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [pointer]), f"llvm.x86.sse.{what}"
    )
    builder.call(function, [builder.bitcast(place, pointer)])


# --- The primitives of dsp ------------------------------------------------------------------------


def _llvm_function(name, arity):
    kind = ir.FunctionType(_FLOAT, [_FLOAT] * arity)

    def one(typing_context, a):
        def code(context, builder, signature, arguments):
            return builder.call(builder.module.declare_intrinsic(name, [_FLOAT], kind), arguments)

        return types.float64(types.float64), code

    def three(typing_context, a, b, c):
        def code(context, builder, signature, arguments):
            return builder.call(builder.module.declare_intrinsic(name, [_FLOAT], kind), arguments)

        return types.float64(types.float64, types.float64, types.float64), code

    return intrinsic(one if arity == 1 else three)


@intrinsic
def _bits_of(typing_context, x):
    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], _INT64)

    return types.int64(types.float64), code


@intrinsic
def _float_of(typing_context, bits):
    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], _FLOAT)

    return types.float64(types.int64), code


_floor = _llvm_function("llvm.floor", 1)
_nearest = _llvm_function("llvm.rint", 1)
_fused = _llvm_function("llvm.fma", 3)
_numeric = (types.Float, types.Integer, types.Boolean)


@overload(dsp.floor, jit_options=OPTIONS)
def _(x):
    return lambda x: _floor(float(x))


@overload(dsp.nearest, jit_options=OPTIONS)
def _(x):
    return lambda x: _nearest(float(x))


@overload(dsp.fused, jit_options=OPTIONS)
def _(a, b, c):
    return lambda a, b, c: _fused(float(a), float(b), float(c))


@overload(dsp.bits_of, jit_options=OPTIONS)
def _(x):
    return lambda x: _bits_of(float(x))


@overload(dsp.float_of, jit_options=OPTIONS)
def _(bits):
    return lambda bits: _float_of(bits)


# A line is (address, position, mask), a family or a bank (address, stride in bytes, count).


@overload(dsp.tap, jit_options=OPTIONS)
def _(line, distance):
    return lambda line, distance: load_float(line[0] + 8 * ((line[1] - int(distance)) & line[2]))


@overload(dsp.reach, jit_options=OPTIONS)
def _(line):
    return lambda line: float(line[2]) - 3.0


@register_jitable(**OPTIONS)
def _within(index, size):
    """An index that cannot leave its array, whatever a step computes."""
    index = index if index < size else size - 1
    return index if index > 0 else 0


@overload(dsp.at, jit_options=OPTIONS)
def _(numbers, index):
    def at(numbers, index):
        if numbers[2] <= 0:
            return 0.0
        return load_float(numbers[0] + numbers[1] * _within(int(index), numbers[2]))

    return at


@overload(dsp.put, jit_options=OPTIONS)
def _(numbers, index, value):
    def put(numbers, index, value):
        store_float(numbers[0] + numbers[1] * _within(int(index), numbers[2]), float(value))

    return put


@overload(dsp.count, jit_options=OPTIONS)
def _(numbers):
    return lambda numbers: numbers[2]


for _name in (
    "fraction",
    "clamp",
    "sine_of_turns",
    "cosine_of_turns",
    "tangent_of_half_turns",
    "exp2",
    "exp",
    "log2",
    "tanh",
    "power_of",
    "pole_for",
    "between_taps",
):
    register_jitable(**OPTIONS)(getattr(dsp, _name))


# --- Phases and chance ----------------------------------------------------------------------------

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def _signed(word):
    return word - (1 << 64) if word >> 63 else word


_G, _M1, _M2 = _signed(_GOLDEN), _signed(_MIX_1), _signed(_MIX_2)


@intrinsic
def _shift_right(typing_context, word, places):
    """Logical shift of an int64."""

    def code(context, builder, signature, arguments):
        return builder.lshr(arguments[0], arguments[1])

    return types.int64(types.int64, types.int64), code


@register_jitable(**OPTIONS)
def turns_of(word):
    """A fixed-point phase as a float in [0, 1): the upper 52 bits become the fraction of a number in [1, 2)."""
    return _float_of(_shift_right(word, 12) | 0x3FF0000000000000) - 1.0


@register_jitable(**OPTIONS)
def fixed_of(turn):
    """Cycles per step as a fixed-point increment, modulo one cycle."""
    r = turn - _floor(turn + 0.5)
    return int(r * 18446744073709551616.0)


@register_jitable(**OPTIONS)
def usual_turn(frequency, step):
    """Cycles per step; 0 for what is no sensible frequency."""
    turn = frequency * step
    return turn if abs(turn) < 1e9 else 0.0


@register_jitable(**OPTIONS)
def chance(key, counter):
    """The random number in [-1, 1) at a place of a neuron's sequence.

    Source: G. Steele, D. Lea, C. Flood, Fast Splittable Pseudorandom Number Generators, 2014 (the mixing function).
    """
    z = key + counter * _G
    z = (z ^ _shift_right(z, 30)) * _M1
    z = (z ^ _shift_right(z, 27)) * _M2
    z = z ^ _shift_right(z, 31)
    return 2.0 * turns_of(z) - 1.0

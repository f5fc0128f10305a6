"""Bare memory and time for compiled loops: atomic words, pointers from addresses, sleep, clock and priority.

Everything here works in `@njit(nogil=True)` code and in `@cfunc`s, may be cached, and never takes the
interpreter lock. What is done with it (rings, render loops) lives elsewhere.

Host time is what `time.perf_counter_ns()` counts; on Linux and macOS that is `time.monotonic_ns()` too.
"""

import ctypes
import sys

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_INT64 = ir.IntType(64)
_WINDOWS = sys.platform == "win32"
_LINUX = sys.platform == "linux"
_SLEEP = "dmm_native_sleep"
_CLOCK = "dmm_native_clock"
_SCHEDULER = "dmm_native_scheduler"
_PRIORITY = "dmm_native_priority"
_CLOCK_MONOTONIC = 8 if sys.platform == "darwin" else 1  # macOS: CLOCK_UPTIME_RAW, the clock Python reads there


def _address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


def _register_system_calls():
    """Names the two system calls for the linker: a name, unlike an address, survives in the compilation
    cache."""
    if _WINDOWS:
        kernel = ctypes.WinDLL("kernel32")
        ctypes.WinDLL("winmm").timeBeginPeriod(1)  # without it a sleep of 1 ms may take 15 ms
        frequency = ctypes.c_int64()
        kernel.QueryPerformanceFrequency(ctypes.byref(frequency))
        sleep, clock, ticks_per_second = kernel.Sleep, kernel.QueryPerformanceCounter, frequency.value
    else:
        library = ctypes.CDLL(None)
        sleep, clock, ticks_per_second = library.usleep, library.clock_gettime, 1_000_000_000
    binding.add_symbol(_SLEEP, _address(sleep))
    binding.add_symbol(_CLOCK, _address(clock))
    if _LINUX:
        binding.add_symbol(_SCHEDULER, _address(library.sched_setscheduler))
        binding.add_symbol(_PRIORITY, _address(library.setpriority))
    return ticks_per_second


_TICKS_PER_SECOND = _register_system_calls()


def _word(builder, address):
    return builder.inttoptr(address, _INT64.as_pointer())


@intrinsic
def load_acquire(typing_context, address):
    """The int64 at `address`; what its writer wrote before `store_release` is visible after this."""

    def code(context, builder, signature, arguments):
        return builder.load_atomic(_word(builder, arguments[0]), "acquire", 8)

    return types.int64(types.int64), code


@intrinsic
def store_release(typing_context, address, value):
    """Writes an int64 at `address`, after everything written before."""

    def code(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _word(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


def _pointer_cast(name, numba_type, llvm_type):
    def pointer(typing_context, address):
        def code(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], llvm_type.as_pointer())

        return types.CPointer(numba_type)(types.int64), code

    pointer.__name__ = pointer.__qualname__ = name
    pointer.__doc__ = f"The address (int64) as a pointer to {numba_type}, to be indexed like an array."
    return intrinsic(pointer)


float64_pointer = _pointer_cast("float64_pointer", types.float64, ir.DoubleType())
float32_pointer = _pointer_cast("float32_pointer", types.float32, ir.FloatType())
int64_pointer = _pointer_cast("int64_pointer", types.int64, _INT64)


@intrinsic
def address_of(typing_context, pointer):
    """The address (int64) of a pointer that C handed over."""

    def code(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], _INT64)

    return types.int64(pointer), code


@intrinsic
def sleep_microseconds(typing_context, microseconds):
    """Sleeps without the interpreter lock; at least this long, on Windows in whole milliseconds."""

    def code(context, builder, signature, arguments):
        duration = arguments[0]
        if _WINDOWS:
            duration = builder.sdiv(builder.add(duration, _INT64(999)), _INT64(1000))
        returned = ir.VoidType() if _WINDOWS else ir.IntType(32)
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(returned, [ir.IntType(32)]), _SLEEP)
        builder.call(function, [builder.trunc(duration, ir.IntType(32))])
        return context.get_dummy_value()

    return types.void(types.int64), code


@intrinsic
def host_nanoseconds(typing_context):
    """The host time in nanoseconds (int64)."""

    def code(context, builder, signature, arguments):
        reading = cgutils.alloca_once(builder, _INT64, size=2)
        if _WINDOWS:
            kind = ir.FunctionType(ir.IntType(32), [_INT64.as_pointer()])
            function = cgutils.get_or_insert_function(builder.module, kind, _CLOCK)
            builder.call(function, [reading])
            ticks, per_second = builder.load(reading), _INT64(_TICKS_PER_SECOND)
            whole = builder.mul(builder.sdiv(ticks, per_second), _INT64(1_000_000_000))
            rest = builder.mul(builder.srem(ticks, per_second), _INT64(1_000_000_000))
            return builder.add(whole, builder.sdiv(rest, per_second))
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32), _INT64.as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, kind, _CLOCK)
        builder.call(function, [ir.IntType(32)(_CLOCK_MONOTONIC), reading])
        seconds = builder.load(reading)
        nanoseconds = builder.load(builder.gep(reading, [ir.IntType(32)(1)]))
        return builder.add(builder.mul(seconds, _INT64(1_000_000_000)), nanoseconds)

    return types.int64(), code


_ROUND_ROBIN = 0x40000002  # SCHED_RR, not inherited by what the thread starts
_ROUND_ROBIN_PRIORITY = 6  # of sound servers; what plays into them comes after them
_NICENESS = -11  # what sound servers give themselves


@intrinsic
def prefer_this_thread(typing_context, realtime):
    """Asks for the calling thread to be woken before others; returns 1 where that was granted, else 0.

    realtime   1: before all ordinary threads, for one that only copies sound; 2: after such, for one that makes it;
               0: before most of the same session, for one that computes

    Linux only: elsewhere the system itself prefers the threads that play sound. There a niceness (0) counts within
    one session only, so it is no promise.
    """

    def code(context, builder, signature, arguments):
        if not _LINUX:
            return _INT64(0)
        int32 = ir.IntType(32)
        answer = cgutils.alloca_once_value(builder, int32(-1))
        with builder.if_then(builder.icmp_signed("!=", arguments[0], _INT64(0))):
            priority = builder.sub(int32(_ROUND_ROBIN_PRIORITY), builder.trunc(arguments[0], int32))
            parameter = cgutils.alloca_once(builder, int32)
            builder.store(priority, parameter)
            kind = ir.FunctionType(int32, [int32, int32, int32.as_pointer()])
            function = cgutils.get_or_insert_function(builder.module, kind, _SCHEDULER)
            builder.store(builder.call(function, [int32(0), int32(_ROUND_ROBIN), parameter]), answer)
        with builder.if_then(builder.icmp_signed("!=", builder.load(answer), int32(0))):
            kind = ir.FunctionType(int32, [int32, int32, int32])
            function = cgutils.get_or_insert_function(builder.module, kind, _PRIORITY)
            builder.store(builder.call(function, [int32(0), int32(0), int32(_NICENESS)]), answer)
        return builder.zext(builder.icmp_signed("==", builder.load(answer), int32(0)), _INT64)

    return types.int64(types.int64), code

"""OSC packets: bytes to messages and back. Knows no address and no socket.

Packets are built with python-osc. They are read here, because a reader that stands in front of a show must end: in
python-osc 1.10 a bundle with a negative element size never returns, deep nesting exhausts the stack, a number that
was cut off reads as 0, and arguments of unknown types vanish, so that the rest means something else. Here every
packet takes time in proportion to its bytes, and what is not understood is named.

Source: OSC 1.0 specification, with the types `T F N I h d` that are in common use.
"""

import math
import struct
from dataclasses import dataclass

from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from dmm_av.errors import EditError

LARGEST_DATAGRAM = 65_535
MOST_MESSAGES = 1_000  # in a bundle, bundles inside it counted too
MOST_NESTED = 8
MOST_ARGUMENTS = 256
LONGEST_ADDRESS = 1_024

_BUNDLE = b"#bundle\0"
_BUNDLE_HEAD = 16
_UNIX_EPOCH_S = 2_208_988_800  # seconds from 1900, where OSC counts from, to 1970
_NUMBERS = {"i": struct.Struct(">i"), "f": struct.Struct(">f"), "h": struct.Struct(">q"), "d": struct.Struct(">d")}
_CONSTANTS = {"T": True, "F": False, "N": None, "I": True}
_LARGEST_FLOAT32 = 3.402823e38


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `args` are int, float, str, bool or None; `time` is seconds since 1970, 0.0 means at once."""

    address: str
    args: tuple = ()
    time: float = 0.0


def messages_of(datagram):
    """The messages of a datagram, in order.

    A message inside a bundle has the later one of the times of the bundles around it; an impulse (`I`) is True.

    Errors: a sentence for anything that is not OSC, that has blobs or other types without a meaning here, or that
    is longer or deeper than a packet from a controller can be.
    """
    if not datagram.startswith(_BUNDLE):
        return [Message(*_message(datagram))]
    elements = []
    _walk(datagram, 0, len(datagram), 0.0, 0, elements)
    return [Message(*_message(datagram[start:end]), time) for start, end, time in elements if end]


def _walk(datagram, start, end, time, depth, elements):
    """Appends (start, end, time) of each element; a bundle counts as an empty one."""
    if end - start < _BUNDLE_HEAD:
        raise EditError("A bundle is cut short. Send it whole, in one datagram.")
    if depth == MOST_NESTED:
        raise EditError(f"Bundles are nested more than {MOST_NESTED} deep. Send fewer inside one another.")
    time = max(time, _seconds(datagram[start + 8 : start + _BUNDLE_HEAD]))
    position = start + _BUNDLE_HEAD
    while position < end:
        size = int.from_bytes(datagram[position : position + 4], "big", signed=True)
        position += 4
        if not 0 < size <= end - position:
            raise EditError("A bundle holds an element that is longer than the bundle. Send it whole.")
        is_bundle = datagram.startswith(_BUNDLE, position)
        elements.append((position, 0 if is_bundle else position + size, time))
        if len(elements) > MOST_MESSAGES:
            raise EditError(f"A bundle holds more than {MOST_MESSAGES} messages. Split it.")
        if is_bundle:
            _walk(datagram, position, position + size, time, depth + 1, elements)
        position += size


def _seconds(timetag):
    ticks = int.from_bytes(timetag, "big")
    return max(0.0, ticks / 2**32 - _UNIX_EPOCH_S) if ticks > 1 else 0.0


def _message(data):
    if data[:1] != b"/":
        raise EditError("This is no OSC message: it does not begin with `/` or `#bundle`.")
    end = data.find(0, 0, LONGEST_ADDRESS + 1)
    if end < 0:
        raise EditError(f"An address has more than {LONGEST_ADDRESS} characters, or no end. Use a shorter one.")
    address = data[:end].decode("latin-1")
    position = (end + 4) & ~3
    if position >= len(data):
        return address, ()
    end = data.find(0, position, position + MOST_ARGUMENTS + 2)
    if data[position : position + 1] != b"," or end < 0:
        raise EditError(
            f"The argument types are not written as `,` and at most {MOST_ARGUMENTS} letters. "
            "Send an OSC 1.0 type tag string."
        )
    types = data[position + 1 : end].decode("latin-1")
    position = (end + 4) & ~3
    args = []
    try:
        for letter in types:
            if letter in _NUMBERS:
                (number,) = _NUMBERS[letter].unpack_from(data, position)
                args.append(number)
                position += _NUMBERS[letter].size
            elif letter == "s":
                end = data.index(0, position)
                args.append(data[position:end].decode("utf-8"))
                position = (end + 4) & ~3
            elif letter in _CONSTANTS:
                args.append(_CONSTANTS[letter])
            else:
                what = "a blob" if letter == "b" else f"of the type {letter!a}"
                raise EditError(f"An argument is {what}. Send numbers (`i f h d T F I`) or texts (`s`).")
    except UnicodeDecodeError:
        raise EditError("A text among the arguments is not UTF-8. Send it as UTF-8.") from None
    except (struct.error, ValueError):
        raise EditError("The message ends before its last argument. Send it whole.") from None
    return address, tuple(args)


def datagram_of(address, values=(), exact=False):
    """The datagram of one message.

    exact    sends a number as a double where a float32 cannot hold it; otherwise only where it would overflow,
             because many controllers read no doubles
    """
    return _built(address, values, exact).dgram


def bundle_of(messages, time=None, exact=False):
    """The datagram of a bundle of (address, values); `time` is seconds since 1970, None means at once."""
    builder = OscBundleBuilder(IMMEDIATELY if time is None else time)
    for address, values in messages:
        builder.add_content(_built(address, values, exact))
    return builder.build().dgram


def _built(address, values, exact):
    builder = OscMessageBuilder(_text(address))
    for value in values:
        if isinstance(value, bool) or value is None:
            builder.add_arg(value)
        elif isinstance(value, int) and -(2**63) <= value < 2**63:
            builder.add_arg(value, "i" if -(2**31) <= value < 2**31 else "h")
        elif isinstance(value, int | float):
            builder.add_arg(*_float(value, exact))
        else:
            builder.add_arg(_text(str(value)))
    return builder.build()


def _float(value, exact):
    try:
        value = float(value)
    except OverflowError:
        raise EditError("A number is larger than OSC can carry. Send a smaller one.") from None
    if abs(value) > _LARGEST_FLOAT32 and math.isfinite(value):
        return value, "d"
    if exact and _NUMBERS["f"].unpack(_NUMBERS["f"].pack(value))[0] != value:
        return value, "d"
    return value, "f"


def _text(text):
    """A text that OSC can carry: it ends at the first NUL, and must be UTF-8."""
    return text.partition("\0")[0].encode("utf-8", "replace").decode("utf-8")

"""Numbers with units and settings, from the text of a patch or from an edit to values of the kind that is declared."""

import math
import re

from dmm_av.errors import DmmError, EditError, PatchError, unknown
from dmm_av.network.patch_text import Mapping, Scalar, Sequence, number_in, number_with_unit, shown, weight_in
from dmm_av.streams.units import LARGEST_SIDE
from dmm_av.streams.vvalue import check_labels, clean

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
_SIZE = re.compile(r"(\d{1,5})(?: ?[x×] ?(\d{1,5}))?\Z")


def finite_number(text, at, symbol=""):
    """The number that a text says, counted in `symbol`; None where it is no number.

    Errors: not finite, or in a unit that does not fit.
    """
    found = number_with_unit(text)
    if found is None:
        return None
    number = weight_in(*found, symbol)
    if number is None:
        raise PatchError(f"{at}: `{text}` does not fit, for this input counts in {symbol}. Write the plain number.")
    if number != number:
        raise PatchError(f"{at}: `{shown(text)}` is no finite number. Write an ordinary one.")
    return number


def setting_value(setting, node, at, words=lambda node: node.text):
    """The value of a setting as its declared kind; without a declaration as it is written.

    at      its place, for sentences
    words   the text of a scalar node
    errors  a sentence for a value of another kind
    """
    kind = setting.kind if setting is not None else None
    if kind == "size":
        return list(size(node, at, words))
    if kind == "tree":
        return _tree(node, at, words)
    if kind == "list" and not isinstance(node, Sequence):
        raise PatchError(f"{at}: this is a list. Write `[a, b, …]`.")
    if kind is None or kind == "list":
        return _as_written(node, at, words)
    if not isinstance(node, Scalar) or (node.is_empty and kind != "text"):
        raise PatchError(f"{at}: one {kind} belongs here. Write it after the colon.")
    text = words(node)
    if kind == "choice":
        return _choice(setting, text, at)
    if kind == "boolean":
        if text.lower() not in _TRUE + _FALSE:
            raise PatchError(f"{at}: `{shown(text)}` is neither true nor false. Write one of them.")
        return text.lower() in _TRUE
    if kind in ("number", "integer"):
        number = finite_number(text, at)
        if number is None or (kind == "integer" and not number.is_integer()):
            article = "a number" if kind == "number" else "a whole number"
            raise PatchError(f"{at}: `{shown(text)}` is not {article}. Write one.")
        return int(number) if kind == "integer" else number
    return text


def _choice(setting, value, at, error=PatchError):
    found = next((choice for choice in setting.choices if str(choice) == str(value)), None)
    if found is None:
        raise unknown(at, "choice", shown(str(value)), [str(choice) for choice in setting.choices], error)
    return found


def _is_size(sides):
    return len(sides) == 2 and all(1 <= side <= LARGEST_SIDE for side in sides)


def size(node, at, words=lambda node: node.text):
    """(width, height) from `[640, 360]`, `640x360` or, for a square, `64`."""
    items = node.items if isinstance(node, Sequence) else [node]
    texts = [words(item) for item in items if isinstance(item, Scalar)]
    if len(texts) == 1 and len(items) == 1 and (found := _SIZE.match(texts[0])):
        texts = [found[1], found[2] or found[1]]
    sides = [int(text) for text in texts if text.isdecimal() and len(text) < 6]
    if len(texts) != 2 or not _is_size(sides):
        raise PatchError(f"{at}: this is no size. Write `[width, height]` in pixels, such as `[640, 360]`.")
    return tuple(sides)


def _tree(node, at, words):
    if not isinstance(node, Mapping):
        raise PatchError(f"{at}: this is a tree of numbers. Write `{{a: 1, b: {{c: 2}}}}`.")
    found = _branch(node, at, words)
    try:
        check_labels(found, at)
    except DmmError as error:
        raise PatchError(str(error)) from None
    return found


def _branch(node, at, words):
    if isinstance(node, Mapping):
        return {key.text: _branch(value, at, words) for key, value in node.pairs}
    if isinstance(node, Sequence):
        raise PatchError(f"{at}: a list has no place in a tree. Write `{{a: 1, b: 2}}`.")
    number = finite_number(words(node), at)
    if number is None:
        raise PatchError(f"{at}: the leaf `{shown(node.text)}` is no number. Write one.")
    return number


def _as_written(node, at, words):
    """Lists, maps, numbers, true, false and texts as they are written."""
    if isinstance(node, Sequence):
        return [_as_written(item, at, words) for item in node.items]
    if isinstance(node, Mapping):
        return {key.text: _as_written(value, at, words) for key, value in node.pairs}
    text = words(node)
    number = number_in(text) if node.plain else None
    if number is not None:
        if number != number:
            raise PatchError(f"{at}: `{shown(text)}` is no finite number. Write an ordinary one.")
        return int(number) if re.fullmatch(r"[-+]?\d+", text) else number
    if node.plain and text in ("true", "false"):
        return text == "true"
    return text


def checked_setting(declared, value, where="edit"):
    """A setting's value as its declared kind; None, back to the default, always is. Without a declaration: as it is.

    Errors: a sentence for a value of another kind.
    """
    if declared is None or value is None:
        return value
    kind = declared.kind
    is_number = isinstance(value, int | float) and math.isfinite(value) and not isinstance(value, bool)
    if kind == "choice" or declared.choices:
        return _choice(declared, value, where, EditError)
    if kind == "boolean" and value in (0, 1, "true", "false"):
        return value in (1, "true")
    if kind == "number" and is_number:
        return float(value)
    if kind == "integer" and is_number and float(value).is_integer():
        return int(value)
    if kind == "text" and (is_number or isinstance(value, str)):
        return str(value)
    if kind == "file" and isinstance(value, str):
        return value
    if kind == "list":
        return list(value) if isinstance(value, list | tuple) else [value]
    if kind == "tree" and isinstance(value, dict):
        check_labels(value, where)
        return clean(value)
    if kind == "size":
        sides = (
            value.split("x") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value] * 2
        )
        found = [int(float(side)) for side in sides if re.fullmatch(r"[1-9]\d{0,4}(\.0)?", str(side))]
        if len(found) == len(sides) and _is_size(found):
            return found
    remedies = {
        "boolean": "Write true or false.",
        "number": "Write a number.",
        "integer": "Write a whole number.",
        "text": "Write a text.",
        "file": "Write the path of a file.",
        "tree": "Write `{a: 1, b: {c: 2}}`.",
        "size": "Write width and height in pixels.",
    }
    raise EditError(f"{where}: `{value}` is no {kind}. {remedies.get(kind, '')}".rstrip())

"""How a place in the network is written: `name.port/branch/…`, and the entry that joins two places.

An entry of the network matrix is a tuple (to, input, from, output, *branches); three labels name the whole
neuron `from` as a tree. Globs (`voice*.out`) are kept as text and expanded over the live matrix.
"""

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from dmm_av.errors import PatchError
from dmm_av.streams.vvalue import decode_label, encode_label

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
ACTIVATION = re.compile(r"[a-z][a-z0-9_]*~?(\.[a-z][a-z0-9_]*)?\Z")
GLOB = re.compile(r"[*?\[\]{}]")  # what makes a text a pattern
NOTHING = r"(?!)"


@dataclass(frozen=True)
class Reference:
    """A parsed reference; `port` is None when it was left out, `whole` says that `name/` was written."""

    name: str
    port: str | None = None
    branches: tuple = ()
    whole: bool = False

    def __str__(self):
        text = self.name + (f".{self.port}" if self.port else "")
        tail = "/".join(encode_label(branch) for branch in self.branches)
        return f"{text}/{tail}" if tail or self.whole else text

    @property
    def is_glob(self):
        """Whether any part is a pattern."""
        return bool(GLOB.search(self.name) or (self.port and GLOB.search(self.port)))


def activation_prefix(name):
    """The activation in an undeclared name such as `sine~:a`, or None."""
    head, colon, _ = name.partition(":")
    return head if colon else None


def is_name(name):
    """Whether a neuron may be called that (`voice`, or `sine~:voice`)."""
    head, colon, tail = name.partition(":")
    return bool(NAME.match(tail) and ACTIVATION.match(head)) if colon else bool(NAME.match(name))


def parse_reference(text, where="reference", globs=False):
    """The `Reference` written as text.

    Errors: a sentence for anything that is no reference, or for a glob where none may stand.
    """
    if not isinstance(text, str) or not text.strip():
        raise PatchError(f"{where}: `{text}` is no reference. Write `name`, `name.output` or `name.output/branch`.")
    text = text.strip()
    head, slash, tail = text.partition("/")
    prefix, colon, rest = head.rpartition(":")
    name, dot, port = rest.partition(".")
    name = prefix + colon + name
    branches = tuple(decode_label(part) for part in tail.split("/")) if tail else ()
    found = Reference(name, port or None, branches, bool(slash) and not tail and not dot)
    if found.is_glob:
        if not globs:
            raise PatchError(f"{where}: `{text}` is a pattern; a single name is needed here.")
        return found
    if not is_name(name):
        raise PatchError(
            f"{where}: `{name}` cannot be the name of a neuron. "
            "Names are lower case letters, digits and `_`, and begin with a letter."
        )
    if dot and name == "library":
        return found
    if dot and not re.match(r"[a-z0-9][a-z0-9_]*\Z", port):
        raise PatchError(
            f"{where}: `{port}` cannot be the name of a port. Ports are lower case letters, digits and `_`."
        )
    return found


@lru_cache(4_096)
def glob(pattern):
    """A function that gives something true where a glob (`*`, `?`, `[…]`, `{a,b}`) covers a whole name.

    One that stands for too many alternatives covers nothing.
    """
    return re.compile("|".join(map(translate, alternatives(pattern))) or NOTHING).match


def alternatives(pattern, most=256):
    """The patterns that `{a,b}` stands for, at most `most` of them."""
    found, waiting = [], [pattern]
    while waiting and len(found) + len(waiting) <= most:
        text = waiting.pop()
        opening = re.search(r"\{([^{}]*)\}", text)
        if not opening:
            found.append(text)
            continue
        for choice in opening.group(1).split(","):
            waiting.append(text[: opening.start()] + choice + text[opening.end() :])
    return found


def entry_text(entry):
    """An entry as `to.input from.output/branch`."""
    to, port, source, *rest = entry
    tail = f".{rest[0]}" + "".join(f"/{encode_label(branch)}" for branch in rest[1:]) if rest else "/"
    return f"{to}.{port} {source}{tail}"

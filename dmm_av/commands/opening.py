"""What several commands open: the library, a patch, a file of events, lengths of time and sizes as text."""

import hashlib
import json
import re
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from dmm_av.errors import PatchError, nearest

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "1440p": (2560, 1440), "4k": (3840, 2160)}
PATCHES = Path(__file__).resolve().parents[2] / "patches"


def open_library(user_files=()):
    """The register of all activations, users' files layered over the built-in ones.

    Says which picture activations are missing because something is wrong in their files.
    """
    from dmm_av.activations import library, pictures

    for _, sentence in pictures.MISTAKES:
        print(f"shaders: {sentence}", file=sys.stderr)
    return library.open_library(user_files)


def open_patch(path, library):
    """The patch at a path; a bare name is looked up among the patches that come with the instrument."""
    from dmm_av.network.patch import read_patch

    text, path = str(path), Path(path)
    if not path.exists() and text and not path.suffix and not path.is_absolute():
        known = bundled_patches()
        if text not in known:
            raise PatchError(f"{text}: there is no such file, and no patch is called so. {nearest(text, known)}")
        path = known[text]
    return read_patch(path, library), path


def bundled_patches():
    """{name: path} of the patches that come with the instrument."""
    return {path.relative_to(PATCHES).with_suffix("").as_posix(): path for path in sorted(PATCHES.rglob("*.yaml"))}


def tempo_of(patch):
    """Beats a minute that a patch starts with: what `one` gives to `transport.tempo`."""
    spot = ("transport", "tempo")
    default = {} if spot in patch.no_default else {("one", "out"): 120.0}
    return patch.rows.get(spot, default).get(("one", "out"), 0.0)


def measures_pictures(machine, events=None):
    """Whether numbers measured in pictures may flow in a network, now or after the events of a file."""
    if machine.drawing.readbacks:
        return True
    text = Path(events).read_text(encoding="utf-8") if events else ""
    measuring = (
        name
        for activation in machine.library
        if activation.side == "picture" and any(str(port.kind) == "number" for port in activation.outputs.values())
        for name in (activation.name, *activation.also)
    )
    return any(name in text for name in measuring)


def read_events(path, tick_rate):
    """[(tick, Request)] of a file of JSON lines {"tick": 3, "address": "/dmm/…", "args": […]}, sorted by tick.

    A line may say "time" (seconds) instead of "tick", and "messages": [[address, …args], …] for a bundle.

    Errors: a sentence with file and line for anything else.
    """
    if path is None:
        return []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PatchError(f"{path}: the events cannot be read ({error.strerror}). Check the path.") from None
    except UnicodeDecodeError:
        raise PatchError(f"{path}: this is not UTF-8 text. Check the path.") from None
    events = [
        _event(line, f"{path}, line {number}", tick_rate)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return sorted(events, key=lambda event: event[0])


def _event(line, where, tick_rate):
    """(tick, Request) of one line."""
    from dmm_av.errors import DmmError
    from dmm_av.io.osc_addresses import gather, translate

    try:
        event = json.loads(line)
        if "messages" in event:
            messages = [(message[0], message[1:]) for message in event["messages"]]
        else:
            messages = [(event["address"], event.get("args", []))]
        tick = int(event["tick"]) if "tick" in event else round(float(event["time"]) * tick_rate)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError):
        raise PatchError(f'{where}: this is no event. Write {{"tick": 3, "address": "/dmm/…", "args": […]}}.') from None
    try:
        items = [item for address, args in messages for item in translate(address, args)]
        request, others = gather(items)
    except DmmError as error:
        raise PatchError(f"{where}: {error}") from None
    if others:
        raise PatchError(f"{where}: nobody hears the answer to `{messages[0][0]}`. Leave it out.")
    return tick, request


def parse_duration(text, tempo=120.0):
    """Seconds in `20`, `1:30`, `00:01:30` or `8beats`.

    tempo   beats a minute
    """
    if text is None:
        return None
    seconds = 0.0
    if match := re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(s|b|beats?)?\s*", str(text)):
        seconds = float(match[1])
        if (match[2] or "s") != "s":
            if not tempo > 0.0:
                raise PatchError(f"--duration: at tempo {tempo:g} there are no beats. Write seconds.")
            seconds *= 60.0 / tempo
    elif re.fullmatch(r"(\d+:){1,2}\d+(\.\d*)?", str(text)):
        for part in str(text).split(":"):
            seconds = seconds * 60.0 + float(part)
    if not 0.0 < seconds <= 86_400.0:
        raise PatchError(f"--duration: `{text}` is no length of time. Write 20, 1:30 or 8beats, a day at most.")
    return seconds


def parse_size(text):
    """(width, height) in `1280x720`, `1080p` or `4k`."""
    if text is None:
        return None
    if text.lower() in SIZES:
        return SIZES[text.lower()]
    match = re.fullmatch(r"(\d+)[x×](\d+)", text.strip().lower())
    if not match or not all(1 <= int(side) <= 16_384 for side in match.groups()):
        raise PatchError(f"--size: `{text}` is no size. Write 1280x720, 1080p or 4k.")
    return int(match.group(1)), int(match.group(2))


def parse_fps(text):
    """A `Fraction` in `60`, `29.97` or `30000/1001`."""
    from fractions import Fraction

    if text is None:
        return None
    try:
        rate = Fraction(str(text))
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1_000:
        raise PatchError(f"--fps: `{text}` is no frame rate. Write 60 or 30000/1001.")
    return rate


def content_hash(path):
    """SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def own_version():
    """The version of the instrument, from where it is declared."""
    import tomllib

    try:
        project = tomllib.loads((PATCHES.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return "unknown"
    return project["version"]


@contextmanager
def ending_like_interrupt():
    """Within it the system's polite request to end leaves as Ctrl-C does: nothing unfinished stays behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def print_notices(machine, stream, seen=None):
    """Prints the sentences that wait for the player, each once."""
    while machine.notices:
        notice = machine.notices.popleft()
        if seen is not None:
            if notice in seen:
                continue
            seen.add(notice)
        print(notice.text, file=stream)

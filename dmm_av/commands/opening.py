"""What several commands open: the library, a patch, a file of events, lengths of time and sizes as text."""

import hashlib
import json
import re
from pathlib import Path

from dmm_av.errors import PatchError

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "1440p": (2560, 1440), "4k": (3840, 2160)}
PATCHES = Path(__file__).resolve().parents[2] / "patches"


def open_library(user_files=()):
    """The register of all activations, users' files layered over the built-in ones."""
    from dmm_av.activations import library

    return library.open_library(user_files)


def open_patch(path, library):
    """The patch at a path; a bare name is looked up among the patches that come with the instrument."""
    from dmm_av.network.patch import read_patch

    path = Path(path)
    if not path.exists() and not path.suffix and (PATCHES / f"{path}.yaml").exists():
        path = PATCHES / f"{path}.yaml"
    return read_patch(path, library), path


def read_events(path, tick_rate):
    """[(tick, Request)] of a file of JSON lines {"tick": 3, "address": "/dmm/…", "args": […]}, sorted by tick.

    A line may say "time" (seconds) instead of "tick", and "messages": [[address, …args], …] for a bundle.

    Errors: a sentence with file and line for anything else.
    """
    from dmm_av.errors import DmmError
    from dmm_av.io.osc_addresses import gather, translate

    if path is None:
        return []
    events = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PatchError(f"{path}: the events cannot be read: {error}.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{path}, line {number}"
        try:
            event = json.loads(line)
            if "messages" in event:
                messages = [(message[0], message[1:]) for message in event["messages"]]
            else:
                messages = [(event["address"], event.get("args", []))]
            tick = int(event["tick"]) if "tick" in event else round(float(event["time"]) * tick_rate)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise PatchError(
                f'{where}: this is no event. Write {{"tick": 3, "address": "/dmm/…", "args": […]}}.'
            ) from None
        try:
            items = [item for address, args in messages for item in translate(address, args)]
            request, _ = gather(items)
        except DmmError as error:
            raise PatchError(f"{where}: {error}") from None
        events.append((tick, request))
    return sorted(events, key=lambda event: event[0])


def parse_duration(text, tempo=120.0):
    """Seconds in `20`, `1:30`, `00:01:30` or `8beats`."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*([0-9.]+)\s*(s|b|beats?)?\s*", str(text))
    try:
        if match:
            value = float(match.group(1))
            seconds = value * 60.0 / tempo if (match.group(2) or "s").startswith("b") else value
        else:
            seconds = 0.0
            for part in str(text).split(":"):
                seconds = seconds * 60.0 + float(part)
    except ValueError:
        seconds = -1.0
    if not 0.0 < seconds <= 86_400.0:
        raise PatchError(f"--duration: `{text}` is no length of time. Write 20, 1:30 or 8beats.")
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


def print_notices(machine, stream, seen=None):
    """Prints the sentences that wait for the player, each once."""
    while machine.notices:
        notice = machine.notices.popleft()
        if seen is not None:
            if notice in seen:
                continue
            seen.add(notice)
        print(f"{notice.where}: {notice.sentence}", file=stream)

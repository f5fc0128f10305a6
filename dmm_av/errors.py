"""Sentences for people on stage: where, what, remedy. Every error that leaves this package is one of these."""

import difflib


class DmmError(Exception):
    """Something a player can mend; its text is one or two sentences and is shown as it is."""


class PatchError(DmmError):
    """A patch, or a piece of patch language, that cannot be understood."""


class EditError(DmmError):
    """An edit that is refused; the network is as it was."""


class DeviceError(DmmError):
    """A device (sound, window, GPU, socket, file) that cannot be had; the rest goes on."""


class MediaError(DmmError):
    """A media or shader file that is missing or cannot be read."""


def nearest(name, known):
    """The remedy for a mistyped name: the nearest known one, or all of them when none is near."""
    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    if close:
        return f"Did you mean `{close[0]}`?"
    if not known:
        return "There is none yet."
    listed = ", ".join(known[:20])
    return f"Known: {listed}{', …' if len(known) > 20 else ''}."


def unknown(where, what, name, known, error=PatchError):
    """The error for a name that nothing answers to."""
    return error(f"{where}: no {what} is called `{name}`. {nearest(name, known)}")

"""One row of the lineage's catalogue: a program of history, what a correct run of it shows, and how that is seen."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A historical program that runs here.

    name       as in the catalogue: `A2`
    title      what it is, in a few words
    patch      its file under `patches/lineage/`, without suffix
    expected   what a correct run shows, as one line
    obtain     runs it headless: () → (what was obtained, as one line; whether it is as expected)
    """

    name: str
    title: str
    patch: str
    expected: str
    obtain: Callable

"""All figures by name, and the run that `bench` starts. Measures nothing itself."""

import importlib
import os
import sys

from bench.rows import print_rows, processor
from dmm_av.errors import DmmError, unknown

# Where each figure is measured: modules with `FIGURES = {name: function(peers) -> [Row, ...]}`.
# Imported when asked for: one figure must not pay for, or stumble over, what another needs.
MODULES = {
    "sines": ("bench.signal",),
    "feedback-fm": ("bench.signal",),
    "voices": ("bench.signal",),
    "edit": ("bench.signal", "bench.live"),
    "product": ("bench.pictures",),
    "sketches": ("bench.pictures",),
    "pure": ("bench.pure",),
    "wave": ("bench.trees",),
    "ring": ("bench.trees",),
    "trees": ("bench.trees",),
    "latency": ("bench.live",),
    "save": ("bench.live",),
    "new": ("bench.live",),
    "start": ("bench.live",),
    "start-after-setup": ("bench.live",),
    "packets": ("bench.live",),
    "dropouts": ("bench.live",),
    "soak": ("bench.live",),
}
LONG = ("start-after-setup", "packets", "dropouts", "soak")  # measured when asked for by name
TIMED = ("dropouts", "soak")  # functions of (peers, seconds)


def run(names=(), machine_readable=False, peers=True, seconds=None):
    """Measures figures and prints their rows on stdout; sentences go to stderr.

    names     of figures; none: all that do not take long
    peers     measure the peers too, where they are installed
    seconds   how long `dropouts` and `soak` play; None: as long as their targets say
    returns   0, or 1 where a figure could not be had
    """
    for name in names:
        if name not in MODULES:
            raise unknown("bench", "figure", name, MODULES)
    print(f"{processor()}, {os.cpu_count()} cores{_load()}", file=sys.stderr)
    rows, missed = [], 0
    for name in names or [name for name in MODULES if name not in LONG]:
        print(f"Measuring {name} …", file=sys.stderr, flush=True)
        for module in MODULES[name]:
            try:
                measure = importlib.import_module(module).FIGURES[name]
                rows += measure(peers, seconds) if name in TIMED else measure(peers)
            except (DmmError, OSError) as error:  # a program that a figure needs may be missing
                print(f"bench: {name} could not be measured: {error}", file=sys.stderr)
                missed += 1
    print_rows(rows, machine_readable)
    return 1 if missed else 0


def _load():
    """How busy the machine is, where the system tells."""
    return f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""

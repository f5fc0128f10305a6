"""All figures by name, and the run that `bench` starts. Measures nothing itself."""

import importlib
import os
import sys

from bench.rows import print_rows, processor
from dmm_av.errors import DmmError, unknown

# Where each figure is measured: a module with `FIGURES = {name: function(peers) -> [Row, ...]}`.
# Imported when asked for: one figure must not pay for, or stumble over, what another needs.
MODULES = {
    "sines": "bench.signal",
    "feedback-fm": "bench.signal",
    "voices": "bench.signal",
    "edit": "bench.signal",
    "product": "bench.pictures",
    "sketches": "bench.pictures",
}


def run(names=(), machine_readable=False, peers=True):
    """Measures figures and prints their rows on stdout; sentences go to stderr.

    names     of figures; none: all of them
    peers     measure the peers too, where they are installed
    returns   0, or 1 where a figure could not be had
    """
    for name in names:
        if name not in MODULES:
            raise unknown("bench", "figure", name, MODULES)
    print(f"{processor()}, {os.cpu_count()} cores", file=sys.stderr)
    rows, missed = [], 0
    for name in names or MODULES:
        print(f"Measuring {name} …", file=sys.stderr, flush=True)
        try:
            rows += importlib.import_module(MODULES[name]).FIGURES[name](peers)
        except DmmError as error:
            print(error, file=sys.stderr)
            missed += 1
    print_rows(rows, machine_readable)
    return 1 if missed else 0

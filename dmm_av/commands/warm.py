"""`warm`: fills the compilation cache, so that the first performance starts at once."""

import sys


def warm():
    """Compile every activation into the cache."""
    from dmm_av.commands.opening import open_library
    from dmm_av.engine.signal_vm import warm as warm_library

    shown = sys.stderr.isatty()

    def progress(done, total, name):
        if shown:
            print(f"\rcompiling {done}/{total} {name:24}", end="", file=sys.stderr, flush=True)
        elif done == total:
            print(f"compiled {total} activations", file=sys.stderr)

    warm_library(progress, open_library())
    if shown:
        print(file=sys.stderr)

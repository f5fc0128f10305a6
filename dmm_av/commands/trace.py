"""`trace`: the exact values of a network, one JSON line a tick."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def trace(
    patch: Annotated[str, typer.Argument(help="Patch file, or the name of one that comes with the instrument.")],
    ticks: Annotated[int, typer.Option(help="How many ticks.")] = 10,
    watch: Annotated[list[str], typer.Option(help="Reference to print: name, name.output, name.output/branch.")] = (),
    events: Annotated[Path | None, typer.Option(help="JSON lines of timed OSC messages.")] = None,
    library: Annotated[list[Path], typer.Option(help="A file of your own activations.")] = (),
):
    """Print exact values, one JSON line a tick."""
    from dmm_av.commands.opening import open_library, open_patch, print_notices, read_events
    from dmm_av.engine.signal_vm import SignalVM
    from dmm_av.scheduler.lockstep import LockStep

    activations = open_library(library)
    opened, path = open_patch(patch, activations)
    vm = SignalVM(opened.rates.sample, opened.rates.tick)
    run = LockStep(opened, activations, vm, None, read_events(events, opened.rates.tick), path)
    for reference in watch:
        run.machine.check_reference(reference)
    for _ in range(ticks):
        line = {"tick": run.machine.k}
        run.machine.refresh()
        line.update({reference: run.machine.value(reference) for reference in watch})
        print(json.dumps(line, separators=(", ", ": ")))
        run.step()
        print_notices(run.machine, sys.stderr)

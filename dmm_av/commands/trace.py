"""`trace`: the exact values of a network, one JSON line a tick."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer


def trace(
    patch: Annotated[
        str,
        typer.Argument(metavar="PATCH", help="Patch file, or the name of one that comes with the instrument."),
    ],
    more: Annotated[list[str], typer.Argument(metavar="[REFERENCE]...", help="More to watch.")] = (),
    ticks: Annotated[int, typer.Option(metavar="N", min=1, help="How many ticks.")] = 10,
    watch: Annotated[
        list[str],
        typer.Option(metavar="REFERENCE", help="What to print: name, name.output, name.output/branch, name/ (all)."),
    ] = (),
    events: Annotated[Path | None, typer.Option(metavar="FILE", help="JSON lines of timed OSC messages.")] = None,
    library: Annotated[list[Path], typer.Option(metavar="FILE", help="A file of your own activations.")] = (),
    seed: Annotated[int | None, typer.Option(metavar="NUMBER", help="Instead of the patch's seed.")] = None,
):
    """Print exact values, one JSON line a tick.

    A line shows the state that its tick starts from; of a sound, the last sample before it.
    """
    from dataclasses import replace

    from dmm_av.commands.opening import open_library, open_patch, print_notices, read_events
    from dmm_av.engine.signal_vm import SignalVM
    from dmm_av.scheduler.lockstep import LockStep

    activations = open_library(library)
    opened, path = open_patch(patch, activations)
    if seed is not None:
        opened = replace(opened, seed=seed)
    for warning in opened.warnings:
        print(warning, file=sys.stderr)
    watched = [*watch, *more]
    if not watched:
        print("trace: nothing is watched. Name something, such as `--watch transport.beat`.", file=sys.stderr)
    vm = SignalVM(opened.rates.sample, opened.rates.tick)
    run = LockStep(opened, activations, vm, None, read_events(events, opened.rates.tick), path)
    machine = run.machine
    _check(watched, machine, events)
    machine.tells_edits = any(re.split("[./]", reference)[0] == "edits" for reference in watched)
    run.stage = _stage(opened, path, machine, events)
    try:
        for _ in range(ticks):
            machine.refresh()
            line = {"tick": machine.k, **{reference: machine.value(reference) for reference in watched}}
            print(json.dumps(line, separators=(", ", ": "), ensure_ascii=False))
            run.step()
            print_notices(machine, sys.stderr)
    finally:
        if run.stage is not None:
            run.stage.close()


def _check(watched, machine, events):
    """Refuses references that nothing answers to, unless the events may bring them about."""
    from dmm_av.errors import DmmError

    text = events.read_text(encoding="utf-8") if events else ""
    for reference in watched:
        try:
            machine.check_reference(reference)
        except DmmError:
            if not text or re.split("[./]", reference)[0] not in text:
                raise


def _stage(patch, path, machine, events):
    """What draws the pictures, where numbers measured in them matter."""
    from dmm_av.commands.opening import measures_pictures
    from dmm_av.errors import DeviceError
    from dmm_av.io.offline_stage import OfflineStage

    if not measures_pictures(machine, events):
        return None
    try:
        return OfflineStage(patch.size, str(path.parent))
    except DeviceError as error:
        print(f"pictures: {error} What is measured in pictures counts as 0.", file=sys.stderr)
        return None

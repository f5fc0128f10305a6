"""`check`: reads a patch as `play` would, and says what is wrong or worth knowing."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def check(
    patch: Annotated[list[str], typer.Argument(help="Patch files.")],
    library: Annotated[list[Path], typer.Option(help="A file of your own activations.")] = (),
):
    """Say what is wrong with a patch."""
    from dmm_av.commands.opening import open_library, open_patch, print_notices
    from dmm_av.engine.signal_vm import SignalVM
    from dmm_av.errors import DmmError
    from dmm_av.scheduler.machine import Machine

    activations = open_library(library)
    failed = 0
    for one in patch:
        try:
            opened, path = open_patch(one, activations)
            machine = Machine(opened, activations, SignalVM(opened.rates.sample, opened.rates.tick))
        except DmmError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        for warning in opened.warnings:
            print(warning, file=sys.stderr)
        print_notices(machine, sys.stderr)
        network = machine.network
        print(f"{path}: {len(network.matrix.inputs)} neurons, {len(network.matrix.weights)} weights, no mistakes.")
    return 1 if failed else 0

"""`check`: reads a patch as `play` would, and says what is wrong or worth knowing."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def check(
    patches: Annotated[list[str], typer.Argument(metavar="PATCH...", help="Patch files.")],
    library: Annotated[list[Path], typer.Option(metavar="FILE", help="A file of your own activations.")] = (),
):
    """Say what is wrong with patches, or worth knowing.

    A mistake makes the exit status 1; a remark does not.
    """
    from dmm_av.commands.opening import open_library
    from dmm_av.errors import DmmError

    activations = open_library(library)
    failed = 0
    for one in patches:
        try:
            failed += _examine(one, activations)
        except DmmError as error:
            print(error, file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _examine(one, activations):
    """Prints what there is to say; returns how many mistakes there are beside those that are raised."""
    from dmm_av.commands.opening import open_patch
    from dmm_av.engine.signal_vm import SignalVM
    from dmm_av.scheduler.machine import Machine

    patch, path = open_patch(one, activations)
    machine = Machine(patch, activations, SignalVM(patch.rates.sample, patch.rates.tick))
    mistakes = [f"{notice.where}: {notice.sentence}" for notice in machine.notices if notice.is_error]
    mistakes += _unreadable_files(patch, path, activations)
    remarks = [*patch.warnings, *(f"{path}: {notice.sentence}" for notice in machine.notices if not notice.is_error)]
    for sentence in (*mistakes, *remarks):
        print(sentence, file=sys.stderr)
    network = machine.network
    verdict = f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)}" if mistakes else "no mistakes"
    if remarks:
        verdict += f", {len(remarks)} remark{'s' * (len(remarks) > 1)}"
    print(f"{path}: {len(network.matrix.inputs)} neurons, {len(network.matrix.weights)} weights, {verdict}.")
    return len(mistakes)


def _unreadable_files(patch, path, library):
    """A sentence for every picture file that a setting names and that cannot be read."""
    from dmm_av.engine.picture_file import read_matrix, read_picture
    from dmm_av.errors import MediaError

    for name, declared in patch.neurons.items():
        for activation in filter(None, map(library.get, declared.activation)):
            for setting in activation.settings.values():
                named = declared.settings.get(setting.name)
                is_camera = activation.notes.get("moving") == "camera"  # may be plugged in later
                if setting.kind == "file" and activation.side == "picture" and named and not is_camera:
                    try:
                        read = read_matrix if str(named).endswith(".npy") else read_picture
                        read(path.parent / str(named))
                    except MediaError as error:
                        yield f"{path}, line {declared.line}, `{name}.{setting.name}`: {error} Check its name."

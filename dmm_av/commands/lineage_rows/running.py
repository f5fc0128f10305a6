"""How rows run their patches: in lock-step, headless, from the files under `patches/lineage/`."""

from dmm_av.activations.library import open_library
from dmm_av.commands.opening import PATCHES
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.network.patch import read_patch
from dmm_av.scheduler.lockstep import LockStep


def open_row(patch, stage=None, events=()):
    """A `LockStep` of `patches/lineage/PATCH.yaml`."""
    library = open_library()
    path = PATCHES / "lineage" / f"{patch}.yaml"
    opened = read_patch(path, library)
    vm = SignalVM(opened.rates.sample, opened.rates.tick)
    return LockStep(opened, library, vm, stage, events, path)


def watched(run, references, ticks):
    """{reference: [its stream at tick 0, 1, …]} while that many ticks pass."""
    seen = {reference: [] for reference in references}
    for _ in range(ticks):
        run.machine.refresh()
        for reference in references:
            seen[reference].append(run.machine.value(reference))
        run.step()
    return seen

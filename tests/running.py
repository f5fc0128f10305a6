"""How tests run a patch in lock-step: from text to sounds and streams in one line each."""

import numpy as np

from dmm_av.activations.library import open_library
from dmm_av.engine.signal_vm import SignalVM
from dmm_av.network.edits import Group
from dmm_av.network.patch import parse_patch
from dmm_av.scheduler.lockstep import LockStep


def lockstep(text, library=None, stage=None, events=()):
    """A `LockStep` of a patch given as text."""
    library = library or open_library()
    patch = parse_patch(text, "test.yaml", library)
    return LockStep(patch, library, SignalVM(patch.rates.sample, patch.rates.tick), stage, events)


def sound(run, seconds):
    """float32 (frames, 2) of that many seconds."""
    ticks = round(seconds * run.machine.patch.rates.tick)
    return np.concatenate([run.step()[0] for _ in range(ticks)])


def steps(run, ticks):
    """Lets that many ticks pass."""
    for _ in range(ticks):
        run.step()


def submit(run, *edits, author="panel", at=None):
    """Queues edits as one group; returns the list that its answer will be put into."""
    answers = []
    run.machine.submit(Group(edits, author, at, answers.append))
    return answers

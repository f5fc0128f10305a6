"""Figures of machines that live in one neuron: frames a second of one core."""

import statistics
import time

import numpy as np

from bench.rows import Row
from dmm_av.activations.pure import Streams, next_frame, random_outputs

FRAMES, ROUNDS = 300, 7


def frames_a_second(_peers=True):
    """Rows: the swinging machine of 24 inputs and 23 outputs, and the sleeping one of 12 and 11."""
    rows = []
    for name, sizes, seed, activations in (
        ("pure 24 x 23, five pseudoconway", (24, 23), 300032, ("pseudoconway",) * 5),
        ("pure 12 x 11, sums, products, maxima", (12, 11), 746484, ("plus", "times", "times", "max", "max")),
    ):
        streams = Streams(random_outputs(*sizes, seed), np.zeros((sizes[0], *sizes), np.float32))
        measured = []
        for _ in range(ROUNDS):
            begun = time.thread_time()
            for _ in range(FRAMES):
                streams, _ = next_frame(streams, activations)
            measured.append(FRAMES / (time.thread_time() - begun))
        rows.append(Row(name, statistics.median(measured), "frames/s"))
    return rows


FIGURES = {"pure": frames_a_second}

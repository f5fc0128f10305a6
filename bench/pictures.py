"""Our pictures, measured: the five sketches beside hydra-synth, a product of matrices beside plain BLAS."""

import statistics
import sys
import time
from contextlib import ExitStack

import numpy as np

from bench.peers import hydra_chromium
from bench.rows import Row, frame_times, interleaved, print_rows
from bench.sketches import SIZE, SKETCHES, drawn_by, frame
from dmm_av.activations.matrices import LIBRARY
from dmm_av.engine.matrices import MatrixEngine, MatrixStream
from dmm_av.engine.stage import PictureEngine
from dmm_av.io.window import headless_context

ROUNDS = 3
FRAMES, WARM_UP = 60, 30


class Sketch:
    """One sketch on the stage; `measure` draws frames and returns what one takes, ms."""

    def __init__(self, context, name, size=SIZE):
        self.engine = PictureEngine(context, size)
        self._context = context
        neurons, shown = SKETCHES[name]()
        drawing, self._values = drawn_by(neurons, shown, size)
        self._number = 0
        problems = self.engine.adopt(drawing)
        if problems:
            raise RuntimeError(f"bench: the sketch `{name}` cannot be drawn. {problems}")

    def draw(self):
        """One frame, finished: all of it drawn and in its texture."""
        self.engine.draw(frame(self._number, self._values))
        self._context.finish()
        self._number += 1

    def measure(self, frames=FRAMES, warm_up=WARM_UP):
        """Median wall time of a finished frame, ms."""
        return statistics.median(frame_times(self.draw, frames, warm_up))


def sketches(renderers=("system", "swiftshader"), rounds=ROUNDS, names=tuple(SKETCHES)):
    """A row for each sketch and each way in which Chromium draws; every figure in turns with its peers."""
    context = headless_context()
    ours = {name: Sketch(context, name) for name in names}
    kinds = {}
    with ExitStack() as stack:
        peers = {}
        if hydra_chromium.is_installed():
            peers = {renderer: stack.enter_context(hydra_chromium.Hydra(renderer)) for renderer in renderers}

        def theirs(renderer, name):
            measured = peers[renderer].measure(name, FRAMES, WARM_UP)
            kinds[renderer] = hydra_chromium.rasteriser(measured.renderer)
            return measured.median

        medians = {}
        for name in names:
            turns = {"ours": ours[name].measure}
            turns |= {renderer: lambda renderer=renderer, name=name: theirs(renderer, name) for renderer in peers}
            medians[name] = interleaved(turns, rounds, warm_up=0)
    for sketch in ours.values():
        sketch.engine.release()
    rows = []
    for name in names:
        for renderer in peers or (None,):
            peer = f"{hydra_chromium.PEER}, {kinds[renderer]}" if renderer else hydra_chromium.PEER
            rows.append(Row(f"sketch: {name}", medians[name]["ours"], "ms/frame", peer, medians[name].get(renderer)))
    return rows


def product(side=512, rounds=40):
    """The product of two matrices as the stage computes it, beside one bare call of BLAS."""
    context = headless_context()
    engine = MatrixEngine(context)
    generator = np.random.default_rng(1)
    a, b = (generator.random((side, side), np.float32) for _ in range(2))
    terms = {"a": [(1.0, MatrixStream(context, a))], "b": [(1.0, MatrixStream(context, b))]}

    def timed(compute):
        began = time.perf_counter()
        compute()
        return (time.perf_counter() - began) * 1000.0

    def ours():
        stream, _ = engine.compute(LIBRARY["matmul"], terms, {})
        return stream.as_array()

    measures = {"ours": lambda: timed(ours), "blas": lambda: timed(lambda: np.matmul(a, b))}
    medians = interleaved(measures, rounds, warm_up=5)
    return [Row(f"product {side} x {side}", medians["ours"], "ms", "numpy.matmul, float32", medians["blas"])]


def rows():
    return [*sketches(), *product()]


if __name__ == "__main__":
    print_rows(rows(), "--json" in sys.argv)

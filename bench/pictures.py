"""Our pictures, measured: the five sketches beside hydra-synth, a product of matrices beside plain BLAS."""

import statistics
import time
from contextlib import ExitStack

import numpy as np

from bench.peers import hydra_chromium
from bench.rows import Row, frame_times, interleaved
from bench.sketches import SIZE, SKETCHES, drawn_by, frame
from dmm_av.activations.matrices import LIBRARY
from dmm_av.engine.matrices import MatrixEngine, MatrixStream, MatrixTextures
from dmm_av.engine.stage import PictureEngine
from dmm_av.errors import DmmError
from dmm_av.io.window import headless_context

ROUNDS = 3
FRAMES, WARM_UP = 60, 30
UNITS = ("ms/frame", "CPU ms/frame")


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
            raise DmmError(f"bench: the sketch `{name}` cannot be drawn. {problems[0][1]}")

    def draw(self):
        """One frame, finished: all of it drawn and in its texture."""
        self.engine.draw(frame(self._number, self._values))
        self._context.finish()
        self._number += 1

    def measure(self, frames=FRAMES, warm_up=WARM_UP):
        """Median wall time of a finished frame and processor time of a frame on all cores, both ms."""
        for _ in range(warm_up):
            self.draw()
        began = time.process_time()
        taken = frame_times(self.draw, frames, warm_up=0)
        return statistics.median(taken), (time.process_time() - began) * 1000.0 / frames


def sketches(peers=True, rounds=ROUNDS, names=tuple(SKETCHES)):
    """Two rows for each sketch and each way in which Chromium draws; every figure in turns with its peers."""
    context = headless_context()
    rows, kinds = [], {}
    with ExitStack() as stack:
        browsers = {}
        if peers and hydra_chromium.is_installed():
            browsers = {
                renderer: stack.enter_context(hydra_chromium.Hydra(renderer)) for renderer in hydra_chromium.RENDERERS
            }

        def theirs(renderer, name):
            measured = browsers[renderer].measure(name, FRAMES, WARM_UP)
            kinds[renderer] = f"{hydra_chromium.PEER}, {hydra_chromium.rasteriser(measured.renderer)}"
            return measured.median, measured.worked

        for name in names:
            ours = Sketch(context, name)
            turns = {"ours": ours.measure}
            turns |= {renderer: lambda renderer=renderer, name=name: theirs(renderer, name) for renderer in browsers}
            medians = interleaved(turns, rounds, warm_up=0)
            ours.engine.release()
            for renderer in browsers or (None,):
                peer, peer_values = kinds.get(renderer), medians.get(renderer, (None, None))
                for unit, value, peer_value in zip(UNITS, medians["ours"], peer_values, strict=True):
                    rows.append(Row(f"sketch: {name}", value, unit, peer, peer_value))
    return rows


def product(peers=True, side=512, rounds=40):
    """The product of two matrices as the stage computes it, beside one bare call of BLAS."""
    context = headless_context()
    textures = MatrixTextures(context)
    engine = MatrixEngine(context, textures)
    generator = np.random.default_rng(1)
    a, b = (generator.random((side, side), np.float32) for _ in range(2))
    terms = {"a": [(1.0, MatrixStream(textures, a))], "b": [(1.0, MatrixStream(textures, b))]}

    def timed(compute):
        began = time.perf_counter()
        compute()
        return (time.perf_counter() - began) * 1000.0

    def ours():
        stream, _ = engine.compute(LIBRARY["matmul"], terms, {})
        return stream.as_array()

    measures = {"ours": lambda: timed(ours)}
    if peers:
        measures["blas"] = lambda: timed(lambda: np.matmul(a, b))
    medians = interleaved(measures, rounds, warm_up=5)
    return [Row(f"product {side} x {side}", medians["ours"], "ms", "numpy.matmul, float32", medians.get("blas"))]


FIGURES = {"sketches": sketches, "product": product}

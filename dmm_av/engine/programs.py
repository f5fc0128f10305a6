"""Compiled programs by their text: compiled once, tried out at once, dropped when nobody has used them for long."""

import moderngl
import numpy as np

from dmm_av.engine.canvas import Canvas, Program
from dmm_av.errors import DmmError

SPARE = 12  # programs kept after their last use: an undo or a mistyped save brings them back
_GIVEN = {
    "time": 0.0,
    "beat": 0.0,
    "phase": 0.0,
    "frame": 0.0,
    "dt": 0.0,
    "seed": 0.0,
    "limit_": 4.0,
    "aspect": 1.0,
    "resolution": (3.0, 3.0),
}


class Samplers:
    """How textures are read: by the edge that an input declares, with interpolation or without."""

    def __init__(self, context):
        self._samplers = {}
        for edge in ("clamp", "repeat", "none"):
            for smooth in (False, True):
                mode = moderngl.LINEAR if smooth else moderngl.NEAREST
                repeats = edge == "repeat"
                sampler = context.sampler(repeat_x=repeats, repeat_y=repeats, filter=(mode, mode))
                if edge == "none":
                    sampler.border_color = (0.0, 0.0, 0.0, 0.0)
                self._samplers[edge, smooth] = sampler
        # the shader mirrors by itself
        self._samplers["mirror", False] = self._samplers["clamp", False]
        self._samplers["mirror", True] = self._samplers["clamp", True]
        self._file = context.sampler(
            repeat_x=False, repeat_y=False, filter=(moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        )

    def use(self, read, smooth, unit):
        """Sets how the texture at a unit is read."""
        sampler = self._file if read.kind == "file" else self._samplers[read.edge, smooth]
        sampler.use(unit)


class Programs:
    """Programs of `ShaderText`s.

    compilations   how many there have been
    """

    def __init__(self, context, samplers):
        self.compilations = 0
        self._context, self._samplers = context, samplers
        self._programs, self._refused, self._trials = {}, {}, {}

    def is_known(self, recipe):
        """Whether a recipe has been compiled, or refused, already."""
        return recipe.text in self._programs or recipe.text in self._refused

    def get(self, recipe):
        """The program of a recipe, or None where it was refused."""
        return self._programs.get(recipe.text)

    def refusal(self, recipe):
        """What the driver said against a recipe, as a sentence, or None."""
        return self._refused.get(recipe.text)

    def compile(self, recipe, dtypes):
        """Compiles a recipe and draws nine texels with it: drivers leave half of the work to the first draw.

        dtypes   {neuron: dtype of its picture}; drivers compile anew for another format
        """
        self.compilations += 1
        try:
            program = Program(self._context, recipe.text, len(recipe.reads))
        except DmmError as error:
            self._refused[recipe.text] = str(error)
            return
        for unit, read in enumerate(recipe.reads):
            target = {"image": (dtypes.get(read.source, "f2"), 4), "file": ("f1", 4)}.get(read.kind, ("f4", 1))
            self._trial(target).now.use(unit)
            self._samplers.use(read, not read.here, unit)
        self._context.enable_only(moderngl.NOTHING)
        self._trial(recipe.target).begin()
        program.run(_GIVEN, np.zeros(1024, np.float32))
        self._context.clear_samplers(0, len(recipe.reads))
        self._programs[recipe.text] = program

    def _trial(self, target):
        if target not in self._trials:
            # three by three: textures of the stage are rarely a power of two, and drivers tell these apart
            self._trials[target] = Canvas(self._context, (3, 3), *target)
            self._trials[target].keep_before()
        return self._trials[target]

    def forget_refusals(self):
        """What was refused is compiled again when it is wanted next."""
        self._refused.clear()

    def drop_unused(self, recipes):
        """A new drawing uses these recipes; of the others the latest few are kept."""
        used = {recipe.text for recipe in recipes}
        for text, program in self._programs.items():
            program.idle = 0 if text in used else program.idle + 1
        idle = sorted((text for text in self._programs if text not in used), key=lambda text: self._programs[text].idle)
        for text in idle[SPARE:]:
            self._programs.pop(text).release()
        for text in list(self._refused)[:-SPARE]:
            del self._refused[text]

    def release(self):
        """Gives everything back to the driver."""
        for held in (*self._programs.values(), *self._trials.values()):
            held.release()
        self._programs, self._trials = {}, {}

"""How each pass of a drawing will be drawn: all that follows from structure, nothing that needs a GPU."""

from dataclasses import dataclass, replace
from pathlib import Path

from dmm_av.engine.moving_pictures import Moving
from dmm_av.engine.shader import (
    Read,
    ShaderText,
    Wiring,
    integral_shader,
    pass_shader,
    read_body,
    wire,
)
from dmm_av.errors import DeviceError, MediaError
from dmm_av.streams.kinds import Kind

TAPS = 4  # a texel of a measured picture is the mean of 4 x 4 taps, each between four pixels
MOST_TEXTS = 512  # texts kept, so that an edit writes only what it changes
LONGEST_MATRIX = (256, 256)  # where neither the neuron nor its activation says


@dataclass(frozen=True)
class Recipe:
    """One shader with the textures that it reads and the format (dtype, components) that it writes."""

    text: ShaderText
    reads: tuple
    target: tuple


@dataclass(frozen=True)
class Part:
    """What is computed in one go: all components of a picture, or one of a matrix.

    recipe   None where the activation is a function of arrays, or fed from outside
    """

    activations: tuple
    wiring: Wiring
    recipe: Recipe | None


@dataclass(frozen=True)
class Integral:
    """A rate with pictures wired in: a hidden texture, drawn after the pass that reads it.

    slots   of the weights of its terms
    """

    input: str
    recipe: Recipe
    slots: tuple


@dataclass(frozen=True)
class Blueprint:
    """One pass.

    kind      `image`, `numbers` (measured, read back) or `matrix`
    size      of its texture
    is_sized  the neuron has a `size` of its own
    problem   a sentence: it is drawn, but not as it should be
    files     {setting: path or None}
    moving    the `Moving` that it plays, or None
    smooth    matrices are sampled with interpolation
    """

    name: str
    kind: str
    size: tuple
    dtype: str
    seed: int
    parts: tuple
    files: dict
    integrals: tuple = ()
    smooth: bool = False
    is_sized: bool = False
    problem: str | None = None
    moving: Moving | None = None

    @property
    def recipes(self):
        """Every shader of the pass."""
        drawn = [part.recipe for part in self.parts if part.recipe is not None]
        return drawn + [integral.recipe for integral in self.integrals]

    @property
    def shape(self):
        """Two blueprints of one shape differ in numbers and names only."""
        return self.kind, tuple(part.wiring.shape for part in self.parts)


class Blueprints:
    """Makes blueprints; keeps the bodies of activations as they were read last.

    max_size    the longest side of a texture
    max_reads   how many textures one pass may read
    precision   dtype of pictures without memory
    folder      where relative picture files are looked for
    """

    def __init__(self, library, max_size, max_reads, precision, folder):
        self.library, self.max_size, self.max_reads = library, max_size, max_reads
        self.precision, self.folder = precision, folder
        self._bodies, self._texts = {}, {}

    def body(self, activation):
        """The body of a shader activation; its file is read once, until it is forgotten."""
        if activation.name not in self._bodies:
            self._bodies[activation.name] = read_body(activation)
        return self._bodies[activation.name]

    def users_of(self, path):
        """Names of activations whose body was read from a file, directly or by an include."""
        return {name for name, body in self._bodies.items() if path in body.paths}

    def forget(self, names):
        """Bodies are read anew when they are needed next; returns what `restore` takes."""
        kept = dict(self._bodies), self._texts
        for name in names:
            self._bodies.pop(name, None)
        self._texts = {}
        return kept

    def restore(self, kept):
        """Back to the bodies before `forget`."""
        self._bodies, self._texts = kept

    def check_size(self, size):
        """A DeviceError where a texture of that size cannot be had."""
        if max(size) > self.max_size:
            raise DeviceError(
                f"{size[0]} × {size[1]} pixels are too large here: this GPU draws up to {self.max_size} a side."
                " Choose a smaller `size`."
            )

    def of(self, pass_, stage_size, last_size=None):
        """The blueprint of a pass.

        last_size   what it was drawn at before; kept where the size it asks for cannot be had
        errors      DmmError: unknown activation, unreadable body, too many pictures
        """
        settings = {key: value for key, value in pass_.settings if value is not None}
        activations = tuple(self.library[component.activation] for component in pass_.components)
        files = {
            setting.name: self._file(settings.get(setting.name))
            for activation in activations
            for setting in activation.settings.values()
            if setting.kind == "file" and "moving" not in activation.notes
        }
        smooth = next(
            (
                settings.get("soft", activation.settings["soft"].default)
                for activation in activations
                if "soft" in activation.settings
            ),
            False,
        )
        size, problem = self._size(
            settings, activations, LONGEST_MATRIX if pass_.kind == "matrix" else stage_size, last_size
        )
        common = {
            "name": pass_.name,
            "seed": pass_.seed,
            "files": files,
            "smooth": bool(smooth),
            "is_sized": "size" in settings,
            "problem": problem,
            "moving": self._moving(activations, settings),
        }
        if pass_.kind == "matrix":
            parts = tuple(
                self._part(replace(pass_, components=(component,)), (activation,), settings, ("f4", 1))
                for component, activation in zip(pass_.components, activations, strict=True)
            )
            return Blueprint(kind="matrix", size=size, dtype="f4", parts=parts, **common)
        measured = [bool(activation.notes.get("means")) for activation in activations]
        if len(set(measured)) > 1 or not all(is_drawn(activation) for activation in activations):
            raise MediaError("Its activations give different kinds of streams; only those of one kind can be mixed.")
        if measured[0]:
            part = self._part(pass_, activations, settings, ("f4", 4), TAPS)
            size = tuple(-(-side // (2 * TAPS)) for side in size)
            return Blueprint(kind="numbers", size=size, dtype="f4", parts=(part,), **common)
        memory = any(activation.notes.get("memory") for activation in activations)
        dtype = "f4" if memory else self.precision
        part = self._part(pass_, activations, settings, (dtype, 4))
        integrals = tuple(self._integrals(part.wiring))
        return Blueprint(kind="image", size=size, dtype=dtype, parts=(part,), integrals=integrals, **common)

    def _moving(self, activations, settings):
        for activation in activations:
            for setting in activation.settings.values():
                if setting.kind == "file" and "moving" in activation.notes:
                    value = settings.get(setting.name)
                    return Moving(activation.notes["moving"], setting.name, self._file(value), value and str(value))
        return None

    def _file(self, value):
        return (self.folder / str(value)).resolve() if value else None

    def _size(self, settings, activations, otherwise, last):
        """(size of a pass, None), or with a sentence where the one it asks for cannot be had."""
        declared = (activation.settings.get("size") for activation in activations)
        size = settings.get("size") or next((item.default for item in declared if item and item.default), otherwise)
        if (
            not isinstance(size, list | tuple)
            or len(size) != 2
            or not all(isinstance(side, int | float) and side >= 1 for side in size)
        ):
            return last or otherwise, f"`size: {size}` is no size. Write [width, height] in pixels."
        size = tuple(int(side) for side in size)
        try:
            self.check_size(size)
        except DeviceError as error:
            return last or otherwise, str(error)
        return size, None

    def _part(self, pass_, activations, settings, target, taps=1):
        if not is_drawn(activations[0]):
            return Part(activations, wire(pass_, activations, frozenset()), None)
        bodies = [self.body(activation) for activation in activations]
        images = {
            name for activation in activations for name, port in activation.inputs.items() if port.kind is Kind.IMAGE
        }
        elsewhere = {
            name
            for activation, body in zip(activations, bodies, strict=True)
            for name in images & set(activation.inputs)
            if name not in body.reads_here
        }
        here = frozenset(images - elsewhere) if taps == 1 and target[1] == 4 else frozenset()
        wiring = wire(pass_, activations, here)
        if len(wiring.reads) > self.max_reads:
            raise MediaError(
                f"{len(wiring.reads)} pictures are wired into it and one pass reads {self.max_reads} here."
                " Sum some of them in a `product.image` before."
            )
        shown = tuple(sorted((key, repr(value)) for key, value in settings.items()))
        key = (tuple(activation.name for activation in activations), wiring.shape, shown, target[1])
        if key not in self._texts:
            if len(self._texts) > MOST_TEXTS:
                self._texts = {}
            self._texts[key] = pass_shader(wiring, activations, bodies, settings, taps, rows_from_top=target[1] == 1)
        return Part(activations, wiring, Recipe(self._texts[key], wiring.reads, target))

    def _integrals(self, wiring):
        for name, _, wrap in wiring.rates:
            wired = next(wired for wired in wiring.inputs if wired.name == name)
            if wired.integral < 0:
                continue
            text = integral_shader(wired, wiring, wrap)
            reads = (*(wiring.reads[index] for index in wired.terms), Read("integral", name, here=True))
            slots = wiring.slots[wired.weight + 1 : wired.weight + 1 + len(wired.terms)]
            yield Integral(name, Recipe(text, reads, ("f4", 1)), slots)


def is_drawn(activation):
    """Whether the body of an activation is a shader file."""
    return isinstance(activation.body, Path)

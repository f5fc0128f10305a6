"""Draws the picture side of a network: one pass per neuron, in settled order, with moderngl.

What a pass computes is written by `shader`, from which structure it follows by `blueprint`, what a matrix is
by `matrices`. Knows no window, no patch and no clock: a `Drawing` and the numbers of a frame go in, pictures
come out. Arrays of pixels have row 0 on top; uv (0, 0) is the bottom left.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import moderngl
import numpy as np

from dmm_av.activations.matrices import LIBRARY
from dmm_av.activations.pictures import PARTS, SHADERS, read_shader
from dmm_av.engine.blueprint import Blueprint, Blueprints, Recipe, is_drawn
from dmm_av.engine.canvas import Canvas, Program
from dmm_av.engine.drawing import Drawing, Row
from dmm_av.engine.matrices import MatrixEngine, MatrixStream, MatrixTextures, linear_combination
from dmm_av.engine.picture_file import grey_of, premultiplied, read_picture, resized
from dmm_av.engine.shader import FULL_SCREEN, Read, screen_shader
from dmm_av.errors import DmmError

SHOWS = ("clamp", "bipolar", "abs", "tonemap")
SCREEN = "screen"
MOST_READS = 16  # what every GL 3.3 can sample in one pass
SPARE_PROGRAMS = 12  # kept after their last use: an undo or a mistyped save brings them back
GREY = np.array([0.299, 0.587, 0.114])
_GIVEN_ONCE = {"time": 0.0, "beat": 0.0, "phase": 0.0, "frame": 0.0, "dt": 0.0, "seed": 0.0, "limit_": 4.0}


@dataclass
class Ready:
    """A pass with everything that it needs to be drawn.

    parts       [(part, program or None, slots)]; the last slot is the coefficient
    integrals   [(name of its canvas, integral, program, slots)]
    given       what every frame sets anew is missing
    """

    blueprint: Blueprint
    parts: list
    integrals: list
    files: dict
    given: dict


@dataclass
class MatrixPlace:
    """What a matrix pass computed last, the frame before, and from what."""

    now: MatrixStream | None = None
    before: MatrixStream | None = None
    made_from: tuple = ()
    is_drawn: bool = False

    def put(self, stream, made_from=()):
        """The stream of this frame."""
        self.before, self.now = self.now, stream
        self.made_from, self.is_drawn = made_from, True

    def seen(self, previous):
        """The stream that a term reads, or None."""
        return self.before if previous and self.is_drawn else self.now


class PictureEngine:
    """Draws the frames of a `Drawing`.

    context      moderngl context, current in this thread
    size         (width, height) of the stage until a drawing says otherwise
    library      register of activations
    folder       where relative picture files are looked for
    precision    dtype of pictures without memory: `f2` or `f4`
    matrix_path  `numpy` or `gpu` forces the path of matrices; None measures
    """

    def __init__(self, context, size, library=LIBRARY, folder="", precision="f2", matrix_path=None):
        self.context, self.size, self.library = context, tuple(size), library
        self._matrix_textures = MatrixTextures(context)
        self.matrices = MatrixEngine(context, self._matrix_textures, matrix_path)
        self.compilations = 0
        self.readback_frame = -1
        reads = min(MOST_READS, context.info["GL_MAX_TEXTURE_IMAGE_UNITS"])
        self._blueprints = Blueprints(library, self.max_size, reads, precision, Path(folder))
        self._drawing = Drawing(0, self.size, 4.0, (), Row("image", -2))
        self._programs, self._refused = {}, {}
        self._ready, self._screen = [], None
        self._canvases, self._places, self._trees = {}, {}, {}
        self._speeds, self._files, self._file_problems = {}, {}, {}
        self._screens, self._measured, self._spare_buffers = {}, [], {}
        self._named, self._news = set(), []
        self._fed = {}
        self._samplers = self._all_samplers()
        self._window = context.program(
            vertex_shader="#version 330 core\nout vec2 uv_;\n" + FULL_SCREEN.replace("ONCE_", ""),
            fragment_shader="#version 330 core\n" + (SHADERS / "screen" / "window.glsl").read_text("utf-8"),
        )
        self._window_array = context.vertex_array(self._window, [])
        # what stands for a source that has drawn nothing yet, by what reads it
        self._blank = {
            "image": Canvas(context, (3, 3), "f2"),
            "file": Canvas(context, (3, 3), "f1"),
            "matrix": Canvas(context, (3, 3), "f4", 1),
            "integral": Canvas(context, (3, 3), "f4", 1),
        }
        self._trial = {}

    @property
    def renderer(self):
        """What draws, in the driver's words."""
        return self.context.info["GL_RENDERER"]

    @property
    def max_size(self):
        """The longest side of a texture, in pixels."""
        return self.context.info["GL_MAX_TEXTURE_SIZE"]

    def _all_samplers(self):
        samplers = {}
        for edge in ("clamp", "repeat", "none"):
            for smooth in (False, True):
                mode = moderngl.LINEAR if smooth else moderngl.NEAREST
                repeats = edge == "repeat"
                sampler = self.context.sampler(repeat_x=repeats, repeat_y=repeats, filter=(mode, mode))
                if edge == "none":
                    sampler.border_color = (0.0, 0.0, 0.0, 0.0)
                samplers[edge, smooth] = sampler
        samplers["file"] = self.context.sampler(
            repeat_x=False, repeat_y=False, filter=(moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        )
        return samplers

    # --- taking over a drawing ------------------------------------------------------------------------

    def prepare(self, drawing):
        """Compiles and loads what a drawing needs and is not there yet, one shader or file a step.

        A generator: run a step between two frames, then `adopt` is quick. Nothing changes that is seen.
        """
        blueprints, _ = self._plan(drawing)
        dtypes = {blueprint.name: blueprint.dtype for blueprint in blueprints}
        for blueprint in blueprints:
            for recipe in blueprint.recipes:
                if self._is_new(recipe):
                    self._compile(recipe, dtypes)
                    yield
            for path in blueprint.files.values():
                if path is not None and (path, blueprint.kind) not in self._file_problems:
                    self._load(path, blueprint.kind)
                    yield
        recipe = self._screen_recipe(drawing)
        if self._is_new(recipe):
            self._compile(recipe, dtypes)
            yield

    def adopt(self, drawing):
        """Draws this drawing from now on; neurons that keep name and size keep their pictures.

        returns   [(neuron, sentence), ...]: what cannot be drawn; its last good state stays
        """
        try:
            self._blueprints.check_size(drawing.size)
        except DmmError as error:
            return [(SCREEN, str(error))]
        for _ in self.prepare(drawing):
            pass
        blueprints, problems = self._plan(drawing)
        old = {ready.blueprint.name: ready for ready in self._ready}
        order = {pass_.name: index for index, pass_ in enumerate(drawing.passes)}
        self.size, self._drawing, self._ready = tuple(drawing.size), drawing, []
        for blueprint in blueprints:
            refused = [self._refused.get(recipe.text) for recipe in blueprint.recipes]
            sentence = next((sentence for sentence in refused if sentence), None)
            if sentence:
                problems.append((blueprint.name, sentence))
                blueprint = self._last_good(old.get(blueprint.name), blueprint)
            if blueprint is not None:
                self._ready.append(self._make_ready(blueprint, old.get(blueprint.name)))
        unplanned = {pass_.name for pass_ in drawing.passes} - {blueprint.name for blueprint in blueprints}
        self._ready += [old[name] for name in unplanned if name in old]
        self._ready.sort(key=lambda ready: order[ready.blueprint.name])
        problems += [
            (blueprint.name, self._file_problems[path, blueprint.kind])
            for blueprint in blueprints
            for path in blueprint.files.values()
            if self._file_problems.get((path, blueprint.kind))
        ]
        self._place_canvases()
        recipe = self._screen_recipe(drawing)
        self._screen = self._programs.get(recipe.text, self._screen)
        if recipe.text in self._refused:
            problems.append((SCREEN, self._refused[recipe.text]))
        self._drop_unused(recipe)
        return problems

    def reload(self, path):
        """A shader or picture file was saved: draws with its new content, or keeps the last good one.

        returns   [(neuron or file, sentence), ...]
        """
        path = Path(path).resolve()
        if path.suffix != ".glsl":
            kinds = [kind for known, kind in self._file_problems if known == path]
            for kind in kinds:
                self._load(path, kind)
            return self.adopt(self._drawing) if kinds else []
        if path.parent == SHADERS / "screen":
            self._refused.clear()
            return self.adopt(self._drawing)
        touched = self._blueprints.users_of(path)
        before = None
        if any(is_drawn(activation) and activation.body.resolve() == path for activation in self.library):
            try:
                declared = read_shader(path)
            except DmmError as error:
                return [(path.name, str(error))]
            before = self.library[declared.name]
            self.library.add(declared, replace=True)
            touched.add(declared.name)
        kept = self._blueprints.forget(touched)
        users = {
            pass_.name
            for pass_ in self._drawing.passes
            if touched & {component.activation for component in pass_.components}
        }
        problems = [(name, sentence) for name, sentence in self.adopt(self._drawing) if name in users]
        if problems:
            if before is not None:
                self.library.add(before, replace=True)
            self._blueprints.restore(kept)
            self.adopt(self._drawing)
        return problems

    def _plan(self, drawing):
        """Blueprints of all passes, and [(neuron, sentence)] of those that cannot have one."""
        blueprints, problems = [], []
        for pass_ in drawing.passes:
            try:
                blueprints.append(self._blueprints.of(pass_, drawing.size))
            except DmmError as error:
                problems.append((pass_.name, str(error)))
        return blueprints, problems

    def _screen_recipe(self, drawing):
        terms = drawing.screen.terms
        body = (SHADERS / "screen" / "show.glsl").read_text("utf-8")
        text = screen_shader([term.kind for term in terms], SHOWS.index(drawing.show), body)
        reads = tuple(Read(term.kind, term.source, term.output, term.previous) for term in terms)
        return Recipe(text, reads, ("f1", 4))

    def _is_new(self, recipe):
        return recipe.text not in self._programs and recipe.text not in self._refused

    def _compile(self, recipe, dtypes):
        """Compiles a shader and draws nine texels with it: drivers leave half of the work to the first draw."""
        self.compilations += 1
        try:
            program = Program(self.context, recipe.text, len(recipe.reads))
        except DmmError as error:
            self._refused[recipe.text] = str(error)
            return
        for unit, read in enumerate(recipe.reads):
            texture = self._blank[read.kind].now
            if read.kind == "image" and dtypes.get(read.source, "f2") != "f2":
                texture = self._trial_canvas((dtypes[read.source], 4)).now
            texture.use(unit)
            self._sampler(read, smooth=not read.here).use(unit)
        self.context.enable_only(moderngl.NOTHING)
        self._trial_canvas(recipe.target).begin()
        shape = {"aspect": 1.0, "resolution": (3.0, 3.0)}
        program.run(_GIVEN_ONCE | shape, np.zeros(4096, np.float32))
        self.context.clear_samplers(0, len(recipe.reads))
        self._programs[recipe.text] = program

    def _trial_canvas(self, target):
        if target not in self._trial:
            # three by three: textures of the stage are rarely a power of two, and drivers tell these apart
            self._trial[target] = Canvas(self.context, (3, 3), *target)
            self._trial[target].keep_before()
        return self._trial[target]

    def _last_good(self, old, blueprint):
        """The blueprint a pass had before, on its wires of now; None where it does not fit them."""
        if old is None or old.blueprint.shape != blueprint.shape:
            return None
        parts = tuple(
            replace(good, wiring=now.wiring, recipe=good.recipe and replace(good.recipe, reads=now.wiring.reads))
            for good, now in zip(old.blueprint.parts, blueprint.parts, strict=True)
        )
        return replace(old.blueprint, parts=parts)

    def _make_ready(self, blueprint, old):
        parts = [
            (part, part.recipe and self._programs[part.recipe.text], np.array(part.wiring.slots, int))
            for part in blueprint.parts
        ]
        integrals = [
            (
                f"{blueprint.name} {integral.input}",
                integral,
                self._programs[integral.recipe.text],
                np.array(integral.slots, int),
            )
            for integral in blueprint.integrals
        ]
        files = {}
        for setting, path in blueprint.files.items():
            if (path, blueprint.kind) not in self._files and old is not None:
                path = old.files.get(setting)  # the last good picture stays
            files[setting] = path
        width, height = blueprint.size
        given = {
            "seed": float(blueprint.seed % 65_521),
            "resolution": (float(width), float(height)),
            "aspect": width / height,
        }
        if blueprint.kind != "image":
            given["aspect"] = self.size[0] / self.size[1]  # of the picture that is read
        return Ready(blueprint, parts, integrals, files, given)

    def _place_canvases(self):
        """A canvas for every pass; one of the same size and format stays, with what is on it."""
        kept, places = {}, {}
        order = {ready.blueprint.name: index for index, ready in enumerate(self._ready)}
        for ready in self._ready:
            blueprint = ready.blueprint
            if blueprint.kind == "matrix":
                places[blueprint.name] = self._places.get(blueprint.name) or MatrixPlace()
            if blueprint.kind != "matrix" or any(part.recipe for part in blueprint.parts):
                components = 1 if blueprint.kind == "matrix" else 4
                kept[blueprint.name] = self._kept_canvas(blueprint.name, blueprint.size, blueprint.dtype, components)
            for name, *_ in ready.integrals:
                kept[name] = self._kept_canvas(name, blueprint.size, "f4", 1)
                kept[name].keep_before()
        for index, ready in enumerate(self._ready):
            for part, *_ in ready.parts:
                for read in part.wiring.reads:
                    # who draws before its source still finds the last frame there
                    late = read.source in kept and order[read.source] <= index
                    if late and (read.previous or read.source == ready.blueprint.name):
                        kept[read.source].keep_before()
                    if read.kind == "matrix" and read.source in kept:
                        kept[read.source].keep_before()
        for name, canvas in self._canvases.items():
            if kept.get(name) is not canvas:
                canvas.release()
        self._canvases, self._places = kept, places
        rates = {
            (ready.blueprint.name, name)
            for ready in self._ready
            for part, *_ in ready.parts
            for name, *_ in part.wiring.rates
        }
        self._speeds = {key: value for key, value in self._speeds.items() if key in rates}

    def _kept_canvas(self, name, size, dtype, components):
        canvas = self._canvases.get(name)
        if canvas is None or (canvas.size, canvas.dtype, canvas.components) != (tuple(size), dtype, components):
            canvas = Canvas(self.context, size, dtype, components)
        return canvas

    def _drop_unused(self, screen):
        used = {recipe.text for ready in self._ready for recipe in ready.blueprint.recipes}
        used.add(screen.text)
        idle = []
        for text, program in self._programs.items():
            program.idle = 0 if text in used or program is self._screen else program.idle + 1
            if program.idle:
                idle.append((program.idle, text))
        for _, text in sorted(idle)[SPARE_PROGRAMS:]:
            self._programs.pop(text).release()
        while len(self._refused) > SPARE_PROGRAMS:
            self._refused.pop(next(iter(self._refused)))
        names = {ready.blueprint.name for ready in self._ready}
        self._named = {(name, what) for name, what in self._named if name in names}
        self._trees = {name: tree for name, tree in self._trees.items() if name in names}
        paths = {(path, ready.blueprint.kind) for ready in self._ready for path in ready.files.values()}
        wanted = paths | {
            (path, ready.blueprint.kind) for ready in self._ready for path in ready.blueprint.files.values()
        }
        for key in [key for key in self._files if key not in wanted]:
            held = self._files.pop(key)
            if not isinstance(held, np.ndarray):
                held.release()
        self._file_problems = {key: told for key, told in self._file_problems.items() if key in wanted}

    def feed(self, name, array):
        """Gives a picture or matrix from outside the network to whatever is wired to `name`.

        array   float32 (height, width, 4) or (rows, columns), row 0 on top; None takes it away
        """
        old = self._fed.pop(name, None)
        if array is not None and np.ndim(array) == 2:
            self._fed[name] = MatrixPlace(MatrixStream(self._matrix_textures, np.array(array, np.float32)))
        elif array is not None:
            array = np.ascontiguousarray(array[::-1], np.float32)
            size = array.shape[1::-1]
            if not isinstance(old, Canvas) or old.size != size:
                self._fed[name] = Canvas(self.context, size, "f4")
            else:
                self._fed[name], old = old, None
            self._fed[name].now.write(array, alignment=1)
        if isinstance(old, Canvas):
            old.release()

    def integral(self, name, input):
        """The integral of a rate as the next frame will get it, pictures wired there left aside."""
        return self._speeds.get((name, input), 0.0)

    def set_integral(self, name, input, value):
        """Puts the integral of a rate where it shall be: a number, or for pictures greys, row 0 on top."""
        if np.ndim(value) == 0:
            self._speeds[name, input] = float(value)
            return
        value = np.asarray(value, np.float32)
        greys = value[..., :3] @ GREY if value.ndim == 3 else value
        self._canvases[f"{name} {input}"].now.write(np.ascontiguousarray(greys[::-1], np.float32), alignment=1)

    # --- picture files ------------------------------------------------------------------------------------

    def _load(self, path, kind):
        """Reads a picture file, as a texture or, for matrices, as an array of greys."""
        self._file_problems[path, kind] = None
        try:
            rgba = read_picture(path)
            self._blueprints.check_size(rgba.shape[1::-1])
        except DmmError as error:
            self._file_problems[path, kind] = str(error)
            return
        if kind == "matrix":
            self._files[path, kind] = grey_of(rgba)
            return
        old = self._files.get((path, kind))
        if old is not None:
            old.release()
        texture = self.context.texture(
            rgba.shape[1::-1], 4, np.ascontiguousarray(premultiplied(rgba)[::-1]), alignment=1
        )
        texture.build_mipmaps()
        self._files[path, kind] = texture

    # --- a frame ----------------------------------------------------------------------------------------------

    def draw(self, frame_values, slot=0):
        """Draws one frame, and the screen into the display picture number `slot`.

        frame_values   `FrameValues`
        returns        [(neuron, sentence), ...], each told once: contributions that count as zero
        """
        given = self._begin(frame_values)
        values = self._values(frame_values)
        for ready in self._ready:
            if ready.blueprint.kind == "matrix":
                self._draw_matrix(ready, values, given)
            else:
                self._draw_picture(ready, values, given)
        self._draw_screen(values, given, slot)
        self.context.clear_samplers(0, MOST_READS)
        self._measure(frame_values.number)
        news, self._news = self._news, []
        return news

    def _begin(self, frame_values):
        self.context.enable_only(moderngl.NOTHING)
        for canvas in self._canvases.values():
            canvas.is_drawn = False
        for place in self._places.values():
            place.is_drawn = False
        for name, array in frame_values.matrices.items():
            clean = np.asarray(array, np.float32)
            clean = np.where(np.isfinite(clean), clean, np.float32(0.0))
            self._trees[name] = clean, None, MatrixStream(self._matrix_textures, clean)
        return {
            "time": frame_values.time,
            "beat": frame_values.beat,
            "phase": frame_values.phase,
            "frame": float(frame_values.number),
            "dt": 1.0 / frame_values.frame_rate,
            "limit_": self._drawing.limit,
        }

    @staticmethod
    def _values(frame_values):
        """The numbers of the frame, non-finite ones as 0, with 0 and 1 behind their end."""
        values = np.append(np.asarray(frame_values.values, np.float64), (0.0, 1.0))
        values[~np.isfinite(values)] = 0.0
        return values

    def _draw_picture(self, ready, values, given):
        blueprint = ready.blueprint
        part, program, slots = ready.parts[0]
        self._run(ready, part, program, self._weights(ready, part, values[slots], given), given)
        for name, integral, integrate, term_slots in ready.integrals:
            canvas = self._canvases[name]
            before = canvas.now
            canvas.begin()
            self._bind(integral.recipe.reads, integrate, blueprint, ready.files, before)
            integrate.run(given | ready.given, values[term_slots].astype(np.float32))

    def _weights(self, ready, part, numbers, given):
        """The weights of one draw, rates integrated: float32."""
        for name, index, wrap in part.wiring.rates:
            key = ready.blueprint.name, name
            speed = numbers[index]
            numbers[index] = self._speeds.get(key, 0.0)
            self._speeds[key] = (numbers[index] + speed * given["dt"]) % wrap
        return numbers.astype(np.float32)

    def _run(self, ready, part, program, weights, given):
        blueprint = ready.blueprint
        canvas = self._canvases[blueprint.name]
        self._bind(part.recipe.reads, program, blueprint, ready.files, None)
        canvas.begin()
        sizes = {}
        for setting, path in ready.files.items():
            texture = self._files.get((path, blueprint.kind))
            sizes[f"{setting}_size"] = texture.size if texture is not None else (0.0, 0.0)
        program.run(given | ready.given, weights, sizes)

    def _bind(self, reads, program, blueprint, files, integral):
        for unit, read in enumerate(reads):
            if not program.reads[unit]:
                continue
            texture = integral if read.kind == "integral" and integral is not None else None
            texture = texture or self._texture(read, blueprint, files)
            texture.use(unit)
            smooth = blueprint.smooth if read.kind == "matrix" else not read.here
            self._sampler(read, smooth or (read.kind == "image" and texture.size != blueprint.size)).use(unit)

    def _texture(self, read, blueprint, files):
        texture = None
        if read.kind == "image":
            canvas = self._canvases.get(read.source) or self._fed.get(read.source)
            if canvas is not None:
                texture = canvas.before if read.previous else canvas.now
        elif read.kind == "matrix":
            stream = self._stream(read)
            texture = stream.as_texture() if stream is not None else None
        elif read.kind == "file":
            texture = self._files.get((files.get(read.source), blueprint.kind))
        else:
            canvas = self._canvases.get(f"{blueprint.name} {read.source}")
            texture = canvas.now if canvas is not None else None
        return texture or self._blank[read.kind].now

    def _sampler(self, read, smooth):
        if read.kind == "file":
            return self._samplers["file"]
        return self._samplers["clamp" if read.edge == "mirror" else read.edge, smooth]

    def _draw_screen(self, values, given, slot):
        row = self._drawing.screen
        if slot not in self._screens or self._screens[slot].size != self.size:
            if slot in self._screens:
                self._screens[slot].release()
            self._screens[slot] = Canvas(self.context, self.size, "f1")
        if self._screen is None:
            return
        slots = [row.constant if row.constant >= 0 else -2, *(term.slot for term in row.terms)]
        for unit, term in enumerate(row.terms):
            read = Read(term.kind, term.source, term.output, term.previous)
            texture = self._texture(read, None, {})
            texture.use(unit)
            self._sampler(read, term.kind == "image" and texture.size != self.size).use(unit)
        self._screens[slot].begin()
        width, height = self.size
        shape = {
            "aspect": width / height,
            "resolution": (float(width), float(height)),
            "seed": 0.0,
        }
        self._screen.run(given | shape, values[slots].astype(np.float32))

    # --- matrices -----------------------------------------------------------------------------------------

    def _draw_matrix(self, ready, values, given):
        """Computes a matrix pass, unless everything that it is made from is as it was."""
        name, place = ready.blueprint.name, self._places[ready.blueprint.name]
        arrived = [self._matrix_inputs(ready, part, values[slots]) for part, _, slots in ready.parts]
        drawn = any(program is not None for _, program, _ in ready.parts)
        if place.now is not None and place.made_from == arrived and not drawn:
            place.put(place.now, arrived)
            return
        results = []
        for (part, program, slots), (activation, coefficient, terms, constants) in zip(
            ready.parts, arrived, strict=True
        ):
            complaints = []
            if program is not None:
                self._run(ready, part, program, self._weights(ready, part, values[slots], given), given)
                result = MatrixStream(self._matrix_textures, texture=self._canvases[name].now)
                coefficient = 1.0  # it is in the shader
            elif "fed" in activation.notes:
                result = terms["fed"][0][1]
            else:
                result, complaints = self.matrices.compute(activation, terms, constants)
            results.append((coefficient, result))
            self._tell(name, complaints)
        if len(results) == 1 and results[0][0] == 1.0:
            stream = results[0][1]
        else:
            first = results[0][1].shape
            if any(result.shape != first for _, result in results):
                self._tell(name, ["its activations give matrices of different shapes; only the first shape counts."])
            agreeing = [(weight, result) for weight, result in results if result.shape == first]
            stream = MatrixStream(self._matrix_textures, linear_combination(agreeing, 0.0, first))
        place.put(stream, arrived)

    def _matrix_inputs(self, ready, part, numbers):
        """(activation, coefficient, {input: [(weight, stream or None), ...]}, {input: number}) of one component."""
        activation, terms, constants = part.activations[0], {}, {}
        if "fed" in activation.notes:
            terms["fed"] = [(1.0, self._brought(ready, activation.notes["fed"]))]
        for wired in () if part.recipe is not None else part.wiring.inputs:
            constants[wired.name] = float(numbers[wired.weight])
            terms[wired.name] = wires = []
            for offset, index in enumerate(wired.terms, 1):
                wires.append((float(numbers[wired.weight + offset]), self._stream(part.wiring.reads[index])))
        return activation, float(numbers[-1]), terms, constants

    def _stream(self, read):
        """The matrix that a term reads, or None where nothing has been computed yet."""
        place = self._places.get(read.source) or self._fed.get(read.source)
        return place.seen(read.previous) if place is not None else None

    def _brought(self, ready, by):
        """The stream of a pass whose matrix comes from outside: a tree from the machine, or a picture file."""
        name = ready.blueprint.name
        if by == "file":
            array = self._files.get((ready.files.get("file"), "matrix"))
            size = ready.blueprint.size if ready.blueprint.is_sized else None
            known = self._trees.get(name)
            if array is not None and (known is None or known[0] is not array or known[1] != size):
                sized = resized(array, size) if size else array
                self._trees[name] = array, size, MatrixStream(self._matrix_textures, sized)
        if name not in self._trees:
            self._trees[name] = None, None, MatrixStream(self._matrix_textures, np.zeros((1, 1), np.float32))
        return self._trees[name][2]

    def _tell(self, name, sentences):
        """Keeps sentences for whoever calls `draw`, each once as long as the neuron lives."""
        for sentence in sentences:
            if (name, sentence) not in self._named:
                self._named.add((name, sentence))
                self._news.append((name, sentence))

    # --- what is read back -------------------------------------------------------------------------------------

    def _measure(self, number):
        """Starts the transfer of what is measured in this frame; one older frame is kept."""
        buffers = {}
        for ready in self._ready:
            name = ready.blueprint.name
            if ready.blueprint.kind == "numbers" and name in self._drawing.readbacks:
                width, height = ready.blueprint.size
                spare = self._spare_buffers.setdefault((width, height), [])
                buffer = spare.pop() if spare else self.context.buffer(reserve=16 * width * height)
                self._canvases[name].framebuffer.read_into(buffer, components=4, alignment=1, dtype="f4")
                buffers[name] = buffer, (height, width), ready.blueprint.parts[0].activations
        self._measured.append((number, buffers))
        while len(self._measured) > 2:
            _, old = self._measured.pop(0)
            for buffer, (height, width), _ in old.values():
                self._spare_buffers[width, height].append(buffer)

    def readback(self, wait=True):
        """The numbers of measured pictures: {neuron: {output: number}}; `readback_frame` says of which frame.

        wait   of the frame just drawn, finished or not; else of the frame before it, which costs no waiting
        """
        which = len(self._measured) - (1 if wait else 2)
        if which < 0:
            return {}
        self.readback_frame, buffers = self._measured[which]
        return {
            name: means(np.frombuffer(buffer.read(), np.float32).reshape(*shape, 4), activations)
            for name, (buffer, shape, activations) in buffers.items()
        }

    def screen_pixels(self, slot=0):
        """The display picture: uint8 (height, width, 4), row 0 on top, opaque."""
        canvas = self._screens[slot]
        width, height = canvas.size
        pixels = canvas.framebuffer.read(components=4, alignment=1)
        return np.frombuffer(pixels, np.uint8).reshape(height, width, 4)

    def picture(self, name):
        """What a picture neuron drew last: float32 (height, width, 4), row 0 on top."""
        canvas = self._canvases[name]
        width, height = canvas.size
        pixels = canvas.framebuffer.read(components=4, alignment=1, dtype="f4")
        return np.frombuffer(pixels, np.float32).reshape(height, width, 4)[::-1]

    def matrix(self, name):
        """What a matrix neuron computed last: float32 (rows, columns), row 0 on top."""
        stream = self.stream(name)
        return stream.as_array() if stream is not None else np.zeros((1, 1), np.float32)

    def stream(self, name):
        """The `MatrixStream` of a matrix neuron, or None before its first frame."""
        return self._places[name].now

    def blit(self, framebuffer, size, slot=0):
        """Shows the display picture in a window, as large as fits, the rest black.

        size   of the window in pixels
        """
        framebuffer.use()
        framebuffer.viewport = (0, 0, *size)
        self.context.enable_only(moderngl.NOTHING)
        scale = min(size[0] / self.size[0], size[1] / self.size[1])
        width, height = self.size[0] * scale, self.size[1] * scale
        self._window["place"].value = ((size[0] - width) / 2, (size[1] - height) / 2, width, height)
        canvas = self._screens.get(slot)
        (canvas.now if canvas is not None else self._blank["file"].now).use(0)
        self._samplers["clamp", True].use(0)
        self._window_array.render(moderngl.TRIANGLES, vertices=3)
        self.context.clear_samplers(0, 1)

    def clear_memory(self):
        """Every picture black, every integral 0, as before the first frame."""
        for canvas in self._canvases.values():
            canvas.clear()
        for name in self._places:
            self._places[name] = MatrixPlace()
        self._speeds.clear()

    def release(self):
        """Gives textures and programs back; the engine is of no use afterwards."""
        canvases = (self._canvases, self._screens, self._blank, self._trial)
        for canvas in (canvas for group in canvases for canvas in group.values()):
            canvas.release()
        for program in self._programs.values():
            program.release()
        for held in self._files.values():
            if not isinstance(held, np.ndarray):
                held.release()
        self._canvases, self._screens, self._programs, self._ready = {}, {}, {}, []
        self._places, self._trees, self._fed, self._files = {}, {}, {}, {}
        self._matrix_textures.release()


def means(texels, activations):
    """The numbers that measuring activations declare: means over the picture or half of it.

    texels   float32 (height, width, 4), row 0 at the bottom
    """
    height, width = texels.shape[:2]
    halves = {
        "whole": texels,
        "left": texels[:, : (width + 1) // 2],
        "right": texels[:, width // 2 :],
        "bottom": texels[: (height + 1) // 2],
        "top": texels[height // 2 :],
    }
    colours = {part: halves[part].reshape(-1, 4).mean(axis=0, dtype=np.float64) for part in PARTS}
    channel = {"red": 0, "green": 1, "blue": 2, "alpha": 3}
    measured = {}
    for activation in activations:
        for output, (which, part) in activation.notes["means"].items():
            colour = colours[part]
            measured[output] = float(colour[:3] @ GREY if which == "grey" else colour[channel[which]])
    return measured

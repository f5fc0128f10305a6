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
from dmm_av.engine.canvas import Canvas
from dmm_av.engine.drawing import Drawing, Row
from dmm_av.engine.file_pictures import FilePictures
from dmm_av.engine.matrices import (
    MatrixEngine,
    MatrixPlace,
    MatrixStream,
    MatrixTextures,
    follows,
    linear_combination,
)
from dmm_av.engine.moving_pictures import MovingPictures
from dmm_av.engine.programs import Programs, Samplers
from dmm_av.engine.shader import FULL_SCREEN, Read, screen_shader
from dmm_av.errors import DmmError
from dmm_av.streams.linear import resized, tree_of_array

SHOWS = ("clamp", "bipolar", "abs", "tonemap")
SCREEN = "screen"
MOST_READS = 16  # what every GL 3.3 can sample in one pass
GREY = np.array([0.299, 0.587, 0.114])


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


class PictureEngine:
    """Draws the frames of a `Drawing`.

    context      moderngl context, current in this thread
    size         (width, height) of the stage until a drawing says otherwise
    library      register of activations
    folder       where relative picture files are looked for
    precision    dtype of pictures without memory: `f2` or `f4`
    matrix_path  `numpy` or `gpu` forces the path of matrices; None measures
    cameras      opens a camera by its name; None: there are none
    """

    def __init__(
        self, context, size, library=LIBRARY, folder="", precision="f2", matrix_path=None, cameras=None
    ):
        self.context, self.size, self.library = context, tuple(size), library
        self._matrix_textures = MatrixTextures(context)
        self.matrices = MatrixEngine(context, self._matrix_textures, matrix_path)
        self.readback_frame = -1
        reads = min(MOST_READS, context.info["GL_MAX_TEXTURE_IMAGE_UNITS"])
        self._blueprints = Blueprints(library, self.max_size, reads, precision, Path(folder))
        self._drawing = Drawing(0, self.size, 4.0, (), Row("image", -2))
        self._samplers = Samplers(context)
        self._programs = Programs(context, self._samplers)
        self._files = FilePictures(context, self.max_size)
        self._moving = MovingPictures(context, self.max_size, cameras)
        self._ready, self._screen = [], None
        self._canvases, self._places, self._trees = {}, {}, {}
        self._speeds, self._drawn_s = {}, 0.0
        self._screens, self._measured, self._spare_buffers = {}, [], {}
        self._named, self._news = set(), []
        self._fed = {}
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

    @property
    def renderer(self):
        """What draws, in the driver's words."""
        return self.context.info["GL_RENDERER"]

    @property
    def max_size(self):
        """The longest side of a texture, in pixels."""
        return self.context.info["GL_MAX_TEXTURE_SIZE"]

    @property
    def compilations(self):
        """How many shaders have been compiled so far."""
        return self._programs.compilations

    # --- taking over a drawing ------------------------------------------------------------------------

    def prepare(self, drawing):
        """Compiles and loads what a drawing needs and is not there yet, one shader or file a step.

        A generator: run a step between two frames, then `adopt` is quick. Nothing changes that is seen.
        """
        blueprints, _, _ = self._plan(drawing)
        dtypes = {blueprint.name: blueprint.dtype for blueprint in blueprints}
        recipes = [recipe for blueprint in blueprints for recipe in blueprint.recipes]
        for recipe in [*recipes, self._screen_recipe(drawing)]:
            if not self._programs.is_known(recipe):
                self._programs.compile(recipe, dtypes)
                yield
        for blueprint in blueprints:
            for path in blueprint.files.values():
                if path is not None and not self._files.is_known(path, blueprint.kind):
                    self._files.load(path, blueprint.kind)
                    yield
            if blueprint.moving is not None and not self._moving.is_known(blueprint.moving):
                self._moving.prepare(blueprint.moving)
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
        blueprints, problems, frozen = self._plan(drawing)
        old = {ready.blueprint.name: ready for ready in self._ready}
        self.size, self._drawing, self._ready = tuple(drawing.size), drawing, []
        for blueprint in blueprints:
            name = blueprint.name
            sentences = [self._programs.refusal(recipe) for recipe in blueprint.recipes]
            sentences = [blueprint.problem, *sentences]
            sentences += [self._files.problem(path, blueprint.kind) for path in blueprint.files.values()]
            if blueprint.moving is not None:
                sentences.append(self._moving.play(name, blueprint.moving))
            problems += [(name, sentence) for sentence in sentences if sentence]
            if any(self._programs.get(recipe) is None for recipe in blueprint.recipes):
                blueprint = self._last_good(old.get(name), blueprint)
            if blueprint is not None:
                self._ready.append(self._make_ready(blueprint, old.get(name)))
            else:
                frozen.add(name)
        self._place_canvases(frozen)
        recipe = self._screen_recipe(drawing)
        self._screen = self._programs.get(recipe) or self._screen
        if self._programs.refusal(recipe):
            problems.append((SCREEN, self._programs.refusal(recipe)))
        self._drop_unused(recipe)
        return problems

    def reload(self, path):
        """A shader or picture file was saved: draws with its new content, or keeps the last good one.

        A shader file that nobody knows yet is entered in the register.

        returns   [(neuron or file, sentence), ...]
        """
        path = Path(path).resolve()
        if path.suffix != ".glsl":
            touched = [self._files.reload(path), self._moving.reload(path)]
            return self.adopt(self._drawing) if any(touched) else []
        if path.parent in (SHADERS / "screen", SHADERS / "matrices"):
            self._programs.forget_refusals()
            self.matrices.forget_programs()
            return self.adopt(self._drawing)
        touched = self._blueprints.users_of(path)
        before = declared = None
        if not touched or any(self._is_body(name, path) for name in touched):
            try:
                declared = read_shader(path)
            except DmmError as error:
                return [(path.name, str(error))] if path.parent != SHADERS / "lib" else []
            before = self.library.get(declared.name)
            self.library.add(declared, replace=True)
            touched.add(declared.name)
        kept = self._blueprints.forget(touched)
        users = {pass_.name for pass_ in self._drawing.passes if touched & self._activations_of(pass_)}
        problems = [(name, sentence) for name, sentence in self.adopt(self._drawing) if name in users]
        if problems and before is not None:
            self.library.add(before, replace=True)
        if problems:
            self._blueprints.restore(kept)
            self.adopt(self._drawing)
        return problems

    def _is_body(self, name, path):
        activation = self.library.get(name)
        return activation is not None and is_drawn(activation) and activation.body.resolve() == path

    def _activations_of(self, pass_):
        """First names of the activations of a pass."""
        known = [self.library.get(component.activation) for component in pass_.components]
        return {activation.name for activation in known if activation is not None}

    def _plan(self, drawing):
        """Blueprints, [(neuron, sentence)] and names of passes that have none and whose picture freezes."""
        blueprints, problems, frozen = [], [], set()
        sizes = {ready.blueprint.name: ready.blueprint.size for ready in self._ready}
        for pass_ in drawing.passes:
            try:
                blueprints.append(self._blueprints.of(pass_, drawing.size, sizes.get(pass_.name)))
            except DmmError as error:
                problems.append((pass_.name, str(error)))
                if all(component.activation in self.library for component in pass_.components):
                    frozen.add(pass_.name)
        return blueprints, problems, frozen

    def _screen_recipe(self, drawing):
        terms = drawing.screen.terms
        body = (SHADERS / "screen" / "show.glsl").read_text("utf-8")
        text = screen_shader([term.kind for term in terms], SHOWS.index(drawing.show), body)
        reads = tuple(Read(term.kind, term.source, term.output, term.previous) for term in terms)
        return Recipe(text, reads, ("f1", 4))

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
            (part, part.recipe and self._programs.get(part.recipe), np.array(part.wiring.slots, int))
            for part in blueprint.parts
        ]
        integrals = [
            (
                f"{blueprint.name} {integral.input}",
                integral,
                self._programs.get(integral.recipe),
                np.array(integral.slots, int),
            )
            for integral in blueprint.integrals
        ]
        files = {}
        for setting, path in blueprint.files.items():
            if self._files.get(path, blueprint.kind) is None and old is not None:
                path = old.files.get(setting)  # the last good picture stays
            files[setting] = path
        width, height = blueprint.size
        given = {
            "seed": float(blueprint.seed % 65_521),
            "resolution": (float(width), float(height)),
            # uv spans the stage whatever the size in pixels, so circles stay round where pictures meet
            "aspect": self.size[0] / self.size[1],
        }
        return Ready(blueprint, parts, integrals, files, given)

    def _place_canvases(self, frozen):
        """A canvas for every pass; one of the same size and format stays, with what is on it.

        frozen   names of passes that cannot be drawn, whose last picture stays
        """
        kept = {name: self._canvases[name] for name in frozen if name in self._canvases}
        places = {name: self._places[name] for name in frozen if name in self._places}
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
                    late = read.source in kept and order.get(read.source, index + 1) <= index
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
        """Forgets programs, files and names that the drawing has no use for."""
        self._programs.drop_unused([screen, *(recipe for ready in self._ready for recipe in ready.blueprint.recipes)])
        names = {ready.blueprint.name for ready in self._ready}
        self._named = {(name, what) for name, what in self._named if name in names}
        self._trees = {name: tree for name, tree in self._trees.items() if name in names}
        self._moving.keep_only({ready.blueprint.name for ready in self._ready if ready.blueprint.moving})
        self._files.keep_only(
            {
                (path, ready.blueprint.kind)
                for ready in self._ready
                for path in (*ready.files.values(), *ready.blueprint.files.values())
            }
        )

    # --- from outside the network -----------------------------------------------------------------------

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
        self._drawn_s = frame_values.time
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
        numbers = self._integrated(ready, part, values[slots], given)
        if blueprint.moving is not None:
            self._play(blueprint.name, part, numbers)
        self._run(ready, part, program, numbers.astype(np.float32), given)
        for name, integral, integrate, term_slots in ready.integrals:
            canvas = self._canvases[name]
            before = canvas.now
            canvas.begin()
            self._bind(integral.recipe.reads, integrate, blueprint, ready.files, before)
            integrate.run(given | ready.given, values[term_slots].astype(np.float32))

    def _play(self, name, part, numbers):
        """Turns a movie to the time that its numbers say."""
        plain = {wired.name: float(numbers[wired.weight]) for wired in part.wiring.inputs}
        seconds = plain.get("position", 0.0) + plain.get("rate", self._drawn_s)
        sentence = self._moving.show(name, seconds, plain.get("loop", 1.0) > 0.0)
        self._tell(name, [sentence] if sentence else [])

    def _integrated(self, ready, part, numbers, given):
        """The weights of one draw, rates integrated."""
        for name, index, wrap in part.wiring.rates:
            key = ready.blueprint.name, name
            speed = numbers[index]
            numbers[index] = self._speeds.get(key, 0.0)
            self._speeds[key] = (numbers[index] + speed * given["dt"]) % wrap
        return numbers

    def _run(self, ready, part, program, weights, given):
        blueprint = ready.blueprint
        canvas = self._canvases[blueprint.name]
        self._bind(part.recipe.reads, program, blueprint, ready.files, None)
        canvas.begin()
        sizes = {}
        for setting, path in ready.files.items():
            texture = self._files.get(path, blueprint.kind)
            sizes[f"{setting}_size"] = texture.size if texture is not None else (0.0, 0.0)
        if blueprint.moving is not None:
            texture = self._moving.texture(blueprint.name)
            sizes[f"{blueprint.moving.setting}_size"] = texture.size if texture is not None else (0.0, 0.0)
        program.run(given | ready.given, weights, sizes)

    def _bind(self, reads, program, blueprint, files, integral):
        for unit, read in enumerate(reads):
            if not program.reads[unit]:
                continue
            texture = integral if read.kind == "integral" and integral is not None else None
            texture = texture or self._texture(read, blueprint, files)
            texture.use(unit)
            smooth = blueprint.smooth if read.kind == "matrix" else not read.here
            resampled = read.kind == "image" and texture.size not in (blueprint.size, (1, 1))
            self._samplers.use(read, smooth or resampled, unit)

    def _texture(self, read, blueprint, files):
        texture = None
        if read.kind == "image":
            canvas = self._canvases.get(read.source) or self._fed.get(read.source)
            if canvas is not None:
                texture = canvas.before if read.previous else canvas.now
        elif read.kind == "matrix":
            stream = self._stream(read)
            texture = stream.as_texture() if stream is not None else None
        elif read.kind == "file" and blueprint.moving is not None and blueprint.moving.setting == read.source:
            texture = self._moving.texture(blueprint.name)
        elif read.kind == "file":
            texture = self._files.get(files.get(read.source), blueprint.kind)
        else:
            canvas = self._canvases.get(f"{blueprint.name} {read.source}")
            texture = canvas.now if canvas is not None else None
        return texture or self._blank[read.kind].now

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
            self._samplers.use(read, term.kind == "image" and texture.size != self.size, unit)
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
        moves = any(follows(activation, constants) for activation, _, _, constants in arrived)
        if place.now is not None and place.made_from == arrived and not drawn and not moves:
            place.put(place.now, arrived)
            return
        results = []
        for (part, program, slots), (activation, coefficient, terms, constants) in zip(
            ready.parts, arrived, strict=True
        ):
            complaints = []
            if program is not None:
                numbers = self._integrated(ready, part, values[slots], given)
                self._run(ready, part, program, numbers.astype(np.float32), given)
                result = MatrixStream(self._matrix_textures, texture=self._canvases[name].now)
                coefficient = 1.0  # it is in the shader
            elif "fed" in activation.notes:
                result = terms["fed"][0][1]
            else:
                result, complaints = self.matrices.compute(
                    activation, terms, constants, place.remembered, given["dt"]
                )
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
            array = self._files.get(ready.files.get("file"), "matrix")
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
        self._samplers.use(Read("image", SCREEN), True, 0)
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
        canvases = (self._canvases, self._screens, self._blank)
        for canvas in (canvas for group in canvases for canvas in group.values()):
            canvas.release()
        for owner in (self._programs, self._files, self._moving):
            owner.release()
        self._canvases, self._screens, self._ready = {}, {}, []
        self._places, self._trees, self._fed = {}, {}, {}
        self._matrix_textures.release()


def means(texels, activations):
    """The numbers that measuring activations declare: means over the picture or half of it, or every texel of it.

    texels   float32 (height, width, 4), row 0 at the bottom
    returns  {output: number}, or where it is of `cells` {output: {row: {column: number}}}, row 0 on top
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
            if part == "cells":
                cells = texels[::-1, :, :3] @ GREY if which == "grey" else texels[::-1, :, channel[which]]
                measured[output] = tree_of_array(cells)
                continue
            colour = colours[part]
            measured[output] = float(colour[:3] @ GREY if which == "grey" else colour[channel[which]])
    return measured

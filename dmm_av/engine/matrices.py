"""Computes matrix activations, by BLAS and NumPy or by shaders, whichever is quicker here for the size.

A `MatrixStream` lives in an array, in a texture, or in both; it crosses over only when somebody reads it on
the other side. Knows nothing of pictures.
"""

import re
import time
import weakref
from collections import deque
from dataclasses import dataclass, field

import moderngl
import numpy as np

from dmm_av.activations.matrices import LIBRARY
from dmm_av.engine.shader import FULL_SCREEN, complaint
from dmm_av.errors import MediaError
from dmm_av.streams.kinds import Kind

# Rasterisers that run on the processor: there BLAS wins at every size (512²: 1.2 ms against 122 ms).
_SOFTWARE = re.compile(r"llvmpipe|softpipe|swiftshader|software|swrast", re.IGNORECASE)
_NEVER = 1 << 62


class MatrixStream:
    """A matrix on its way: float32, row 0 on top; as a texture one texel per element, row 0 at v = 0."""

    def __init__(self, textures, array=None, texture=None):
        self._textures = textures
        self._array = array
        self.texture = texture
        self.shape = array.shape if array is not None else (texture.height, texture.width)

    @property
    def is_array(self):
        """Whether it can be read by NumPy without a transfer."""
        return self._array is not None

    def as_array(self):
        """float32 (rows, columns); nobody may write into it."""
        if self._array is None:
            bytes_read = self.texture.read(alignment=1)
            self._array = np.frombuffer(bytes_read, np.float32).reshape(self.shape)
        return self._array

    def as_texture(self):
        """The matrix as an R32F texture."""
        if self.texture is None:
            array = np.ascontiguousarray(self._array, np.float32)
            self.texture = self._textures.take(self.shape)
            self.texture.write(array, alignment=1)
            self._textures.return_with(self, self.texture)
        return self.texture


class MatrixTextures:
    """float32 textures of one texel per element; those of forgotten streams are used again."""

    SPARE = 16

    def __init__(self, context):
        self._context = context
        self._returned, self._spare = deque(), []

    def take(self, shape, components=1):
        """A texture with anything on it."""
        while self._returned:
            self._spare.append(self._returned.popleft())
        while len(self._spare) > self.SPARE:
            self._spare.pop(0).release()
        for index, texture in enumerate(self._spare):
            if (texture.height, texture.width, texture.components) == (*shape, components):
                return self._spare.pop(index)
        texture = self._context.texture((shape[1], shape[0]), components, alignment=1, dtype="f4")
        texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        texture.repeat_x = texture.repeat_y = False
        return texture

    def give_back(self, texture):
        """A texture nobody reads any more."""
        self._returned.append(texture)

    def return_with(self, stream, texture):
        """Gives a texture back when Python forgets the stream that it belongs to."""
        weakref.finalize(stream, self._returned.append, texture).atexit = False

    def release(self):
        """Gives what is spare back to the driver."""
        while self._returned or self._spare:
            (self._returned.popleft() if self._returned else self._spare.pop()).release()


@dataclass
class MatrixPlace:
    """What a matrix pass computed last, the frame before, and from what."""

    now: MatrixStream | None = None
    before: MatrixStream | None = None
    made_from: tuple = ()
    is_drawn: bool = False
    remembered: dict = field(default_factory=dict)  # {activation: what it follows over time}

    def put(self, stream, made_from=()):
        """The stream of this frame."""
        self.before, self.now = self.now, stream
        self.made_from, self.is_drawn = made_from, True

    def seen(self, previous):
        """The stream that a term reads, or None."""
        return self.before if previous and self.is_drawn else self.now


class MatrixEngine:
    """Runs matrix activations on the quicker of two paths.

    path   `numpy` or `gpu` forces one; None chooses by what was measured
    """

    def __init__(self, context, textures, path=None):
        self.path = path
        self._textures = textures
        self._context = context
        self._programs = {}
        self._smallest_product_for_gpu = None

    # --- which path -------------------------------------------------------------------------------

    def smallest_product_for_gpu(self):
        """From how many multiplications on a product is quicker as a shader; measured once, about 20 ms."""
        key = self._context.info["GL_RENDERER"]
        if key not in _MEASURED:
            _MEASURED[key] = _NEVER if _SOFTWARE.search(key) else self._measured_crossing()
        return _MEASURED[key]

    def _measured_crossing(self):
        generator = np.random.default_rng(1)
        for size in (64, 128, 256, 512):
            one = generator.random((size, size), np.float32)
            begun = time.perf_counter()
            np.matmul(one, one)
            blas_s = time.perf_counter() - begun
            stream = MatrixStream(self._textures, one)
            stream.as_texture()
            operands = {"a": [(1.0, stream)], "b": [(1.0, stream)]}
            constants, shapes = {"a": 0.0, "b": 0.0}, {"a": one.shape, "b": one.shape}
            product = LIBRARY["matmul"]
            self._by_shader(product, operands, constants, shapes, one.shape).as_array()  # compiles
            begun = time.perf_counter()
            self._by_shader(product, operands, constants, shapes, one.shape).as_array()
            if time.perf_counter() - begun < blas_s:
                return size**3
        return _NEVER

    def report(self):
        """A sentence for a person: which path runs."""
        if self.path:
            return f"Matrices: the {self.path} path, as asked."
        crossing = self.smallest_product_for_gpu()
        if crossing == _NEVER:
            return "Matrices: BLAS and NumPy at every size."
        return f"Matrices: products from {round(crossing ** (1 / 3))}² on as shaders, smaller ones by BLAS."

    def _runs_on_gpu(self, activation, shapes, streams):
        if self.path:
            return self.path == "gpu"
        crossing = self.smallest_product_for_gpu()
        if crossing == _NEVER:
            return False
        if activation.notes["shape"] == "product":
            (rows, inner), (_, columns) = shapes.values()
            return rows * inner * columns >= crossing
        return bool(streams) and not any(stream.is_array for stream in streams)

    def forget_programs(self):
        """Shader files are read again when they are wanted next."""
        self._programs = {}

    # --- one activation -----------------------------------------------------------------------------

    def compute(self, activation, terms, constants, remembered=None, dt=0.0):
        """One matrix activation on the sums of what is wired to its inputs.

        terms       {input: [(weight, stream or None), ...]}; None: nothing was computed there yet
        constants   {input: number}
        remembered  {activation: what it follows over time}, brought up to date here
        dt          seconds since the frame before
        returns    (stream, complaints): sentences about contributions that count as zero
        """
        complaints = []
        operands, shapes = {}, {}
        for name, port in activation.inputs.items():
            if port.kind is not Kind.MATRIX:
                continue
            arrived = [(weight, stream) for weight, stream in terms.get(name, ()) if stream is not None]
            shape = arrived[0][1].shape if arrived else None
            for _, stream in arrived:
                if stream.shape != shape:
                    complaints.append(
                        f"`{name}` takes {_size(shape)} from the first matrix wired there; one of {_size(stream.shape)}"
                        " counts as zero. Give both the same size."
                    )
            operands[name] = [(weight, stream) for weight, stream in arrived if stream.shape == shape]
            shapes[name] = shape
        constants = {name: constants.get(name, 0.0) for name in activation.inputs}
        streams = [stream for wired in operands.values() for _, stream in wired]
        shape, agreed = self._agree(activation, operands, shapes, constants, complaints)
        if not agreed:
            return MatrixStream(self._textures, np.zeros(shape, np.float32)), complaints
        if follows(activation, constants) and remembered is not None:
            return self._by_numpy(activation, operands, constants, shapes, remembered, dt), complaints
        if self._runs_on_gpu(activation, shapes, streams):
            try:
                return self._by_shader(activation, operands, constants, shapes, shape), complaints
            except MediaError as error:
                complaints.append(str(error))
        return self._by_numpy(activation, operands, constants, shapes), complaints

    def _agree(self, activation, operands, shapes, constants, complaints):
        """The shape of the result, and whether the inputs agree; plain numbers get their shapes filled in."""
        rule = activation.notes["shape"]
        if rule == "product":
            a, b = shapes["a"], shapes["b"]
            a = a or ((b[0], b[0]) if b else (1, 1))
            b = b or (a[1], a[1])
            shapes.update(a=a, b=b)
            if a[1] != b[0]:
                complaints.append(
                    f"`a` has {a[1]} columns and `b` has {b[0]} rows; the product is zero until they agree."
                )
            return (a[0], b[1]), a[1] == b[0]
        known = [shape for shape in shapes.values() if shape]
        shape = known[0] if known else (1, 1)
        for name, own in shapes.items():
            if own and own != shape:
                complaints.append(
                    f"`{name}` is {_size(own)} where the first input is {_size(shape)}; it counts as zero."
                    " Give both the same size."
                )
                operands[name], constants[name] = [], 0.0
            shapes[name] = shape
        return (shape[::-1] if rule == "transposed" else shape), True

    def _by_numpy(self, activation, operands, constants, shapes, remembered=None, dt=0.0):
        arguments = {
            name: linear_combination(operands[name], constants[name], shapes[name])
            if name in operands
            else np.float32(constants[name])
            for name in activation.inputs
        }
        with np.errstate(all="ignore"):
            if remembered is not None:
                arguments["remembered"] = _followed(activation, arguments, remembered, dt)
            result = activation.body(**arguments)
            if not np.isfinite(result.sum()):
                result = np.where(np.isfinite(result), result, np.float32(0.0))
        return MatrixStream(self._textures, np.asarray(result, np.float32))

    def _by_shader(self, activation, operands, constants, shapes, shape):
        stages = self._stages(activation, {name: len(wired) for name, wired in operands.items()})
        weights, textures = [], []
        for name in activation.inputs:
            weights.append(constants[name])
            for weight, stream in operands.get(name, ()):
                weights.append(weight)
                textures.append(stream.as_texture())
        weights = np.array(weights, np.float32)
        results, texture = {}, None
        for stage, program, array in stages:
            rows, columns = next(iter(shapes.values()))
            extent = {"row": (rows, 1), "column": (1, columns), "all": (1, 1), "element": shape}[stage]
            texture = self._textures.take(extent, 1 if stage == "element" else 2)
            for location, source in enumerate([*textures, *results.values()]):
                source.use(location)
            if "w_" in program:
                program["w_"].write(weights[: program["w_"].array_length].tobytes())
            for name, (input_rows, input_columns) in shapes.items():
                for suffix, value in (("rows", input_rows), ("columns", input_columns)):
                    if f"{name}_{suffix}" in program:
                        program[f"{name}_{suffix}"].value = value
            for name in results:
                sampler = f"{name}_result_"
                if sampler in program:
                    program[sampler].value = len(textures) + list(results).index(name)
            self._context.clear_samplers(0, len(textures) + len(results))
            framebuffer = self._context.framebuffer([texture])
            framebuffer.use()
            array.render(moderngl.TRIANGLES, vertices=3)
            framebuffer.release()
            if stage != "element":
                results[stage] = texture
        for partial in results.values():
            self._textures.give_back(partial)
        stream = MatrixStream(self._textures, texture=texture)
        self._textures.return_with(stream, texture)
        return stream

    def _stages(self, activation, fan_in):
        """Programs of an activation in order: reductions first, then the elements."""
        key = (activation.name, tuple(fan_in.items()))
        if key not in self._programs:
            try:
                body = activation.notes["shader"].read_text("utf-8").encode("ascii", "replace").decode()
            except OSError as error:
                raise MediaError(f"{activation.notes['shader'].name}: it cannot be read ({error}).") from error
            stages = []
            for stage in ("row", "column", "all", "element"):
                if stage == "element" or re.search(rf"^vec2 over_{stage}\b", body, re.MULTILINE):
                    text = matrix_shader(activation, fan_in, body, stage)
                    try:
                        vertex = "#version 330 core\nout vec2 uv_;\n" + FULL_SCREEN.replace("ONCE_", "")
                        program = self._context.program(vertex_shader=vertex, fragment_shader=text)
                    except moderngl.Error as error:
                        name = activation.notes["shader"].name
                        raise MediaError(complaint(str(error), ("the engine's own text", name))) from error
                    for index in range(sum(fan_in.values())):
                        if f"s{index}_" in program:
                            program[f"s{index}_"].value = index
                    stages.append((stage, program, self._context.vertex_array(program, [])))
            self._programs[key] = stages
        return self._programs[key]


_MEASURED = {}  # {renderer: smallest product for the GPU}, once per process


def follows(activation, constants):
    """Whether an activation follows something over time, so that equal inputs do not make equal results."""
    return "remembers" in activation.notes and constants.get("follow", 0.0) > 0.0


def _followed(activation, arguments, remembered, dt):
    """What an activation remembers, one step of `dt` seconds nearer to what it is now."""
    now = activation.notes["remembers"](arguments["matrix"])
    before = remembered.get(activation.name)
    if before is not None and np.isfinite(before).all():
        now = before + (now - before) * -np.expm1(-dt / float(arguments["follow"]))
    remembered[activation.name] = now
    return now


def _size(shape):
    return f"{shape[0]} × {shape[1]}"


def linear_combination(terms, constant, shape):
    """Σ weight · matrix + constant, in order, as float32 (rows, columns).

    terms   [(weight, stream), ...] of one shape; zero weights are skipped
    """
    total = None
    for weight, stream in terms:
        if weight == 0.0:
            continue
        array = stream.as_array()
        if total is None:
            total = array if weight == 1.0 else np.float32(weight) * array
        else:
            total = total + (array if weight == 1.0 else np.float32(weight) * array)
    if total is None:
        return np.full(shape, constant, np.float32)
    return total + np.float32(constant) if constant else total


def matrix_shader(activation, fan_in, body, stage):
    """The fragment shader of one stage of a matrix activation.

    stage   `row`, `column`, `all` (reductions to a pair of numbers) or `element`
    """
    lines = ["#version 330 core\n", "out vec4 out_;\n"]
    count = sum(fan_in.values()) + len(activation.inputs)
    lines.append(f"uniform float w_[{count}];\n")
    weight = sampler = 0
    for name, port in activation.inputs.items():
        if port.kind is not Kind.MATRIX:
            lines.append(f"#define {name} w_[{weight}]\n")
            weight += 1
            continue
        lines.append(f"uniform int {name}_rows;\nuniform int {name}_columns;\n")
        total = [f"w_[{weight}]"]
        for _ in range(fan_in.get(name, 0)):
            weight += 1
            lines.append(f"uniform sampler2D s{sampler}_;\n")
            total.append(f"w_[{weight}] * texelFetch(s{sampler}_, ivec2(column, row), 0).r")
            sampler += 1
        weight += 1
        lines.append(f"float {name}(int row, int column) {{ return {' + '.join(total)}; }}\n")
    for name, parameter, texel in (
        ("row", "int row", "ivec2(0, row)"),
        ("column", "int column", "ivec2(column, 0)"),
        ("all", "", "ivec2(0, 0)"),
    ):
        lines.append(f"uniform sampler2D {name}_result_;\n")
        lines.append(f"vec2 {name}_result({parameter}) {{ return texelFetch({name}_result_, {texel}, 0).rg; }}\n")
    lines.append("#line 10001\n")
    lines.append(body)
    call = {"row": "over_row(at.y)", "column": "over_column(at.x)", "all": "over_all()"}.get(stage)
    lines.append("\nvoid main() {\n    ivec2 at = ivec2(gl_FragCoord.xy);\n")
    if call:
        lines.append(f"    out_ = vec4({call}, 0.0, 0.0);\n}}\n")
    else:
        lines.append("    float y = element(at.y, at.x);\n    out_ = vec4(abs(y) <= 3.0e38 ? y : 0.0);\n}\n")
    return "".join(lines)

"""What the stage draws on and with: textures with their frame before, compiled programs. Knows no network."""

import moderngl

from dmm_av.engine.shader import complaint
from dmm_av.errors import MediaError


class Canvas:
    """The texture of a pass, and the one of the frame before where somebody reads it."""

    def __init__(self, context, size, dtype, components=4):
        self._context = context
        self.size, self.dtype, self.components = tuple(size), dtype, components
        self._textures, self._framebuffers = [], []
        self._current = 0
        self.is_drawn = False  # in this frame
        self._add()

    def _add(self):
        texture = self._context.texture(self.size, self.components, alignment=1, dtype=self.dtype)
        texture.repeat_x = texture.repeat_y = False
        texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._textures.append(texture)
        self._framebuffers.append(self._context.framebuffer([texture]))
        self._framebuffers[-1].clear(0.0, 0.0, 0.0, 0.0)

    def keep_before(self):
        """From now on the frame before stays readable while this frame is drawn and after."""
        if len(self._textures) == 1:
            self._add()

    @property
    def now(self):
        """The texture drawn last."""
        return self._textures[self._current]

    @property
    def before(self):
        """The texture as it was at the end of the frame before."""
        return self._textures[self._current - 1] if self.is_drawn else self.now

    @property
    def framebuffer(self):
        """Of the texture drawn last."""
        return self._framebuffers[self._current]

    def begin(self):
        """Turns to the texture of this frame and makes it the target."""
        self._current = (self._current + 1) % len(self._textures)
        self.is_drawn = True
        self._framebuffers[self._current].use()

    def clear(self):
        """Transparent black, now and before."""
        for framebuffer in self._framebuffers:
            framebuffer.clear(0.0, 0.0, 0.0, 0.0)

    def release(self):
        """Gives the memory back."""
        for held in (*self._framebuffers, *self._textures):
            held.release()


class Program:
    """A compiled fragment shader.

    text      `ShaderText`; its samplers are `s0_`, `s1_` … at the texture units 0, 1 …
    reads     how many samplers it declares
    errors    MediaError with the file's own line
    """

    GIVEN = frozenset(("time", "beat", "phase", "frame", "dt", "seed", "aspect", "resolution", "limit_"))

    def __init__(self, context, text, reads):
        try:
            self._program = context.program(vertex_shader=text.vertex, fragment_shader=text.fragment)
        except moderngl.Error as error:
            raise MediaError(complaint(str(error), text.files)) from error
        self._array = context.vertex_array(self._program, [])
        uniforms = {name: self._program[name] for name in self._program}
        for unit in range(reads):
            if f"s{unit}_" in uniforms:
                uniforms[f"s{unit}_"].value = unit
        self.reads = [f"s{unit}_" in uniforms for unit in range(reads)]  # what the compiler left in
        self._weights = uniforms.get("w_")
        self._weight_bytes = 4 * self._weights.array_length if self._weights else 0
        self._given = [(name, uniform) for name, uniform in uniforms.items() if name in self.GIVEN]
        self._sizes = {name: uniform for name, uniform in uniforms.items() if name.endswith("_size")}
        self.idle = 0  # drawings adopted since its last use

    def run(self, given, weights, sizes=None):
        """Draws over the whole target with the textures that are bound.

        given     {name: value} of what every body may read
        weights   float32 array, at least as long as the `w_` of the text
        sizes     {setting_size: (width, height)} of picture files
        """
        for name, uniform in self._given:
            uniform.value = given[name]
        if self._weights is not None:
            self._weights.write(weights.tobytes()[: self._weight_bytes])
        for name, uniform in self._sizes.items():
            uniform.value = (sizes or {}).get(name, (1.0, 1.0))
        self._array.render(moderngl.TRIANGLES, vertices=3)

    def release(self):
        """Gives it back to the driver."""
        self._array.release()
        self._program.release()

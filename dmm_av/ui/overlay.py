"""Text over the picture: what the keys do, and notices. It is on the window only, never in the picture itself."""

import sys
import textwrap
import time
from dataclasses import dataclass

import moderngl

from dmm_av.activations.pictures import SHADERS
from dmm_av.ui.font import LINE, WIDTH, written

NOTICE_S = 6.0
_LINES = 40  # of text that a window is high
_MARGIN = 6  # points to the border of the window

_COMMAND = "Cmd" if sys.platform == "darwin" else "Ctrl"
KEYS = (
    ("F11", "full screen on and off"),
    ("Esc", "leaves full screen"),
    (f"{_COMMAND}-.", "panic: silence and black"),
    (f"{_COMMAND}-Z", "undo"),
    (f"{_COMMAND}-Shift-Z", "redo"),
    (f"{_COMMAND}-S", "saves the patch"),
    (f"{_COMMAND}-Shift-S", "screenshot"),
    ("?", "shows and hides this"),
)


@dataclass(frozen=True)
class _Block:
    """Text as a texture, and where it stands: fractions of the free room to its left and below it."""

    texture: moderngl.Texture
    across: float
    up: float


class Overlay:
    """Text over the picture of a window.

    help    whether the keys are shown
    """

    def __init__(self, context):
        self._context = context
        program = context.program(
            (SHADERS / "screen" / "rectangle.vert").read_text("utf-8"),
            (SHADERS / "screen" / "text.frag").read_text("utf-8"),
        )
        self._array = context.vertex_array(program, [])
        self.help = False
        self._notice, self._until = "", 0.0
        self._drawn, self._blocks = None, []

    def notice(self, text, seconds=NOTICE_S):
        """Shows a sentence for a while, in place of the one before."""
        self._notice, self._until = text, time.monotonic() + seconds

    def _wanted(self, size):
        """Everything that what is seen depends on."""
        notice = self._notice if time.monotonic() < self._until else ""
        return self.help, notice, size

    @property
    def changed(self):
        """Whether the window no longer shows what it should."""
        return self._drawn is not None and self._wanted(self._drawn[2]) != self._drawn

    def draw(self, framebuffer, size):
        """Draws the text, if there is any, over what is in the framebuffer of this size in pixels."""
        wanted = self._wanted(size)
        point = max(1, round(size[1] / (_LINES * LINE)))  # pixels to a point of a letter
        if wanted != self._drawn:
            self._drawn = wanted
            self._write(max(10, (size[0] // point - 2 * _MARGIN) // (WIDTH + 1) - 2))
        if not self._blocks:
            return
        framebuffer.use()
        self._context.enable(moderngl.BLEND)
        self._context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        for block in self._blocks:
            width, height = (side * point for side in block.texture.size)
            left, bottom = (
                _MARGIN * point + round(share * (room - length - 2 * _MARGIN * point))
                for share, room, length in zip((block.across, block.up), size, (width, height), strict=True)
            )
            framebuffer.viewport = (left, bottom, width, height)
            block.texture.use(0)
            self._array.render(moderngl.TRIANGLES, vertices=3)
        self._context.disable(moderngl.BLEND)

    def _write(self, columns):
        for block in self._blocks:
            block.texture.release()
        shown_help, notice, _ = self._drawn
        self._blocks = []
        if shown_help:
            self._put([f"{key:<13} {meaning}" for key, meaning in KEYS], 0.5, 0.5)
        if notice:
            lines = [line for part in notice.splitlines() for line in textwrap.wrap(part, columns) or [""]]
            self._put(lines, 0.0, 0.0)

    def _put(self, lines, across, up):
        points = written(lines)
        texture = self._context.texture(points.shape[::-1], 1, points.tobytes(), alignment=1)
        texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        texture.repeat_x = texture.repeat_y = False
        self._blocks.append(_Block(texture, across, up))

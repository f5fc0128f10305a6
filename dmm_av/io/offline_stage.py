"""The stage without a window and without a process of its own: lock-step with the machine, for files."""

from pathlib import Path

from dmm_av.activations.pictures import read_folder
from dmm_av.engine.stage import PictureEngine
from dmm_av.io.camera import Camera
from dmm_av.io.window import headless_context
from dmm_av.network.activation import LIBRARY


class OfflineStage:
    """Draws every frame when it is told to.

    size             of the picture until a drawing says otherwise
    folder           where relative picture files are looked for
    shader_folders   with picture activations of the player's own

    Raises `DeviceError` with a sentence where there is no OpenGL. Only one is used at a time in a process.
    """

    def __init__(self, size, folder="", shader_folders=()):
        self._context = headless_context()
        self.mistakes = [mistake for path in shader_folders for mistake in read_folder(Path(path), LIBRARY)]
        self._engine = PictureEngine(self._context, tuple(size), LIBRARY, folder, cameras=Camera)
        self.renderer, self.max_size = self._engine.renderer, self._engine.max_size

    def adopt(self, drawing):
        """Draws this from now on; [(neuron, sentence), ...] of what cannot be drawn."""
        return self._engine.adopt(drawing)

    def reload(self, path):
        """A shader file was saved; [(neuron or file, sentence), ...]."""
        return self._engine.reload(path)

    def clear_memory(self):
        """Memories of pictures begin anew."""
        self._engine.clear_memory()

    def draw(self, values):
        """One frame, as the screen shows it: uint8 (height, width, 4), top row first."""
        self._engine.draw(values)
        return self._engine.screen_pixels()

    def picture(self, name):
        """What a picture neuron drew last: float32 (height, width, 4), row 0 on top."""
        return self._engine.picture(name)

    def matrix(self, name):
        """What a matrix neuron computed last: float32 (rows, columns)."""
        return self._engine.matrix(name)

    def readback(self):
        """{neuron: numbers} measured in the frame drawn last."""
        return self._engine.readback()

    def close(self):
        """Gives the GPU back."""
        self._context.release()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

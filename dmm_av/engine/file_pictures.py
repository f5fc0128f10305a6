"""Picture files as the stage holds them: a texture for pictures, greys for matrices; the last good one stays."""

import numpy as np

from dmm_av.engine.picture_file import grey_of, premultiplied, read_matrix, read_picture
from dmm_av.errors import DeviceError, DmmError


class FilePictures:
    """Picture files by (path, kind of pass): textures where the kind is `image`, greys where it is `matrix`."""

    def __init__(self, context, max_size):
        self._context, self._max_size = context, max_size
        self._held, self._problems = {}, {}

    def is_known(self, path, kind):
        """Whether reading it has been tried."""
        return (path, kind) in self._problems

    def get(self, path, kind):
        """A texture or greys, or None."""
        return self._held.get((path, kind))

    def problem(self, path, kind):
        """Why it could not be read, as a sentence, or None."""
        return self._problems.get((path, kind))

    def load(self, path, kind):
        """Reads a file, again if need be."""
        self._problems[path, kind] = None
        try:
            if kind == "matrix" and path.suffix == ".npy":
                self._held[path, kind] = read_matrix(path)
                return
            rgba = read_picture(path)
            if max(rgba.shape) > self._max_size:
                raise DeviceError(
                    f"`{path.name}` has {rgba.shape[1]} × {rgba.shape[0]} pixels; this GPU takes up to"
                    f" {self._max_size} a side. Make it smaller."
                )
        except DmmError as error:
            self._problems[path, kind] = str(error)
            return
        self._drop(path, kind)
        self._held[path, kind] = grey_of(rgba) if kind == "matrix" else self._texture(premultiplied(rgba))

    def reload(self, path):
        """Reads a file again that is in use; whether there is one."""
        kinds = [kind for known, kind in self._problems if known == path]
        for kind in kinds:
            self.load(path, kind)
        return bool(kinds)

    def keep_only(self, wanted):
        """Forgets what is not among these (path, kind)."""
        for key in [key for key in self._held if key not in wanted]:
            self._drop(*key)
        self._problems = {key: problem for key, problem in self._problems.items() if key in wanted}

    def _texture(self, rgba):
        height, width = rgba.shape[:2]
        texture = self._context.texture((width, height), 4, np.ascontiguousarray(rgba[::-1]), alignment=1)
        texture.build_mipmaps()
        return texture

    def _drop(self, path, kind):
        held = self._held.pop((path, kind), None)
        if held is not None and kind != "matrix":
            held.release()

    def release(self):
        """Gives the textures back."""
        self.keep_only(())

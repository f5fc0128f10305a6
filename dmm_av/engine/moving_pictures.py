"""Movies and cameras as the stage holds them: a texture for each neuron, the last good picture stays.

Which picture of a movie is seen follows from the patch's clock alone. A camera is whatever `cameras` opens;
what it sees is the only thing here that does not follow from the clock.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dmm_av.engine.movie_file import MovieFile, rgba_of
from dmm_av.engine.picture_file import premultiplied
from dmm_av.errors import DmmError


@dataclass(frozen=True)
class Moving:
    """What a neuron plays.

    kind      `movie` or `camera`
    setting   the setting that names it
    path      of a file, relative ones resolved; None where nothing is named
    device    the name as it is written
    """

    kind: str
    setting: str
    path: Path | None
    device: str | None


@dataclass
class _Playing:
    moving: Moving
    source: Any
    problem: str | None
    texture: Any = None
    shown: Any = None


class MovingPictures:
    """Movies and cameras by neuron.

    cameras   function from a device name (or None) to an open camera: `newest()` → (number, RGBA) or None,
              `problem` → sentence or None, `close()`; None: there are no cameras here
    """

    def __init__(self, context, max_size, cameras=None):
        self._context, self._max_size, self._open_camera = context, max_size, cameras
        self._playing, self._spare, self._cameras = {}, {}, {}

    def is_known(self, moving):
        """Whether opening it has been tried."""
        return moving in self._spare or any(one.moving == moving for one in self._playing.values())

    def prepare(self, moving):
        """Opens a source for the next neuron that plays it."""
        self._spare[moving] = self._opened(moving)

    def play(self, name, moving):
        """A neuron plays this from now on; a sentence where it cannot."""
        old = self._playing.get(name)
        if old is None or old.moving != moving:
            source, problem = self._spare.pop(moving, None) or self._opened(moving)
            if old is not None:
                self._close(old.source)
                old.moving, old.source, old.problem, old.shown = moving, source, problem, None
                if problem is None:
                    old.problem = None
            else:
                self._playing[name] = _Playing(moving, source, problem)
        return self._playing[name].problem

    def _opened(self, moving):
        """(source or None, sentence or None)."""
        if moving.path is None and (moving.kind == "movie" or self._open_camera is None):
            return None, None
        try:
            if moving.kind == "movie" or (moving.path is not None and moving.path.is_file()):
                source = MovieFile(moving.path)
                if max(source.size) > self._max_size:
                    source.close()
                    return None, (
                        f"`{moving.path.name}` has {source.size[0]} × {source.size[1]} pixels; this GPU takes up to"
                        f" {self._max_size} a side. Make it smaller."
                    )
                return source, None
            return self._camera(moving.device), None
        except DmmError as error:
            return None, str(error)

    def _camera(self, device):
        if self._open_camera is None:
            raise DmmError("There are no cameras here. Name a movie file as its `device`.")
        if device not in self._cameras:
            self._cameras[device] = self._open_camera(device)
        return self._cameras[device]

    def show(self, name, seconds, loop):
        """Puts the picture of a time on a neuron's texture; a sentence where there is none.

        seconds   into the movie
        """
        one = self._playing.get(name)
        if one is None or one.source is None:
            return None
        if not isinstance(one.source, MovieFile):
            newest = one.source.newest()
            if newest is not None and newest[0] != one.shown:
                one.shown = newest[0]
                self._put(one, newest[1])
            return one.source.problem
        try:
            time, frame = one.source.frame_at(seconds, loop or one.moving.kind == "camera")
        except DmmError as error:
            return str(error)
        if time != one.shown:
            one.shown = time
            self._put(one, rgba_of(frame))
        return None

    def _put(self, one, rgba):
        height, width = rgba.shape[:2]
        if one.texture is None or one.texture.size != (width, height):
            if one.texture is not None:
                one.texture.release()
            one.texture = self._context.texture((width, height), 4, alignment=1)
        one.texture.write(np.ascontiguousarray(premultiplied(rgba)[::-1]), alignment=1)
        one.texture.build_mipmaps()

    def texture(self, name):
        """What a neuron shows, or None."""
        one = self._playing.get(name)
        return one.texture if one is not None else None

    def reload(self, path):
        """Opens a movie file again that is in use; whether there is one."""
        touched = [one for one in self._playing.values() if one.moving.path == path]
        for one in touched:
            source, problem = self._opened(one.moving)
            one.problem = problem
            if problem is None:
                self._close(one.source)
                one.source, one.shown = source, None
        return bool(touched)

    def keep_only(self, names):
        """Forgets what no neuron of these plays."""
        for name in [name for name in self._playing if name not in names]:
            gone = self._playing.pop(name)
            self._close(gone.source)
            if gone.texture is not None:
                gone.texture.release()
        for source, _ in self._spare.values():
            self._close(source)
        self._spare = {}
        used = [one.source for one in self._playing.values()]
        for device in [device for device, camera in self._cameras.items() if camera not in used]:
            self._cameras.pop(device).close()

    @staticmethod
    def _close(source):
        if isinstance(source, MovieFile):
            source.close()

    def release(self):
        """Gives textures, files and cameras back."""
        self.keep_only(())

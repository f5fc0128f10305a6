"""Reads a picture file into an array. Knows no GPU; moving pictures are elsewhere."""

from pathlib import Path

import av
import numpy as np

from dmm_av.errors import MediaError

MOST_PIXELS = 16_384 * 16_384


def read_picture(path):
    """Straight RGBA of a picture file: uint8 (height, width, 4), row 0 on top.

    errors   MediaError: missing, broken, no picture
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(f"There is no picture file `{path.name}` in `{path.parent}`.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"`{path.name}` holds no picture.")
            frame = next(container.decode(video=0))
            if frame.width * frame.height > MOST_PIXELS:
                raise MediaError(f"`{path.name}` has {frame.width} × {frame.height} pixels. Make it smaller.")
            return _rgba(frame)
    except (av.FFmpegError, StopIteration, ValueError, MemoryError) as error:
        raise MediaError(f"`{path.name}` is no picture that can be read ({_reason(error)}).") from error


def read_matrix(path):
    """The numbers of a NumPy file, as they are: float32 (rows, columns), not finite ones as 0.

    errors   MediaError: missing, broken, no matrix
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(f"There is no matrix file `{path.name}` in `{path.parent}`.")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MediaError(f"`{path.name}` is no matrix that can be read ({error}).") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "biuf" or not array.size:
        raise MediaError(f"`{path.name}` holds no matrix of numbers. Save a 2-D array of them.")
    if array.size > MOST_PIXELS:
        raise MediaError(f"`{path.name}` has {array.shape[1]} × {array.shape[0]} elements. Make it smaller.")
    with np.errstate(over="ignore"):
        numbers = np.array(array, np.float32)
    return np.where(np.isfinite(numbers), numbers, np.float32(0.0))


def _rgba(frame):
    # greys are taken as they are: a colour conversion would round them
    if frame.format.name == "gray":
        grey = frame.to_ndarray()
        return np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    return frame.to_ndarray(format="rgba")


def _reason(error):
    if isinstance(error, StopIteration):
        return "it ends before the first picture"
    return getattr(error, "strerror", None) or "unknown format"


def premultiplied(rgba):
    """Colours multiplied by their own alpha, rounded to bytes."""
    alpha = rgba[..., 3:].astype(np.uint16)
    if (alpha == 255).all():
        return rgba
    colours = (rgba[..., :3].astype(np.uint16) * alpha + 127) // 255
    return np.concatenate([colours.astype(np.uint8), rgba[..., 3:]], axis=-1)


def grey_of(rgba):
    """Rec.601 grey in [0, 1] of premultiplied bytes: float32 (height, width)."""
    return (premultiplied(rgba)[..., :3] @ np.array([0.299, 0.587, 0.114])).astype(np.float32) / np.float32(255)

"""Reads a movie file frame by frame, by time and in any direction. Knows no GPU, no clock and no device."""

from bisect import bisect_right
from pathlib import Path

import av
import numpy as np

from dmm_av.errors import MediaError

SOON = 0.6e-3  # a frame is due this many seconds before its time: many files count in whole milliseconds
SKIP_S = 2.0  # a jump further ahead is a seek
MOST_HELD = 160 << 20  # bytes of decoded frames kept, so that backwards is no seek per frame


class MovieFile:
    """A movie.

    size       (width, height) in pixels
    length_s   seconds until it begins again
    Raises MediaError: missing, broken, no picture in it.
    """

    def __init__(self, path):
        path = Path(path)
        if not path.is_file():
            raise MediaError(f"There is no movie file `{path.name}` in `{path.parent}`.")
        self._name = path.name
        try:
            self._container = av.open(str(path))
        except (av.FFmpegError, ValueError, OSError) as error:
            raise self._broken(error) from error
        try:
            if not self._container.streams.video:
                raise MediaError(f"`{path.name}` holds no pictures.")
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
            self.size = self._stream.width, self._stream.height
            self._first = float((self._stream.start_time or 0) * self._stream.time_base)
            rate = self._stream.average_rate or self._stream.guessed_rate or 25
            self._usual_s = 1.0 / float(rate)
            self._held, self._times, self._bytes = [], [], 0
            self._restart(0.0)
            self._decode()
            if not self._held:
                raise MediaError(f"`{path.name}` ends before its first picture.")
            self.length_s = self._length()
        except (av.FFmpegError, ValueError, MemoryError) as error:
            self.close()
            raise self._broken(error) from error
        except MediaError:
            self.close()
            raise

    def _broken(self, error):
        reason = getattr(error, "strerror", None) or "unknown format"
        return MediaError(f"`{self._name}` is no movie that can be read ({reason}).")

    def _length(self):
        if self._stream.duration:
            return max(float(self._stream.duration * self._stream.time_base), self._usual_s)
        if self._container.duration:
            return max(self._container.duration / av.time_base, self._usual_s)
        while self._decode():  # nothing in the file says so: count
            pass
        return self._times[-1] + self._usual_s

    def frame_at(self, seconds, loop=True):
        """(time of the frame, VideoFrame) that is seen at a time; before and after its ends the first and last.

        errors   MediaError: the file breaks off or is damaged there
        """
        seconds += SOON
        seconds = seconds % self.length_s if loop else min(max(seconds, 0.0), self.length_s)
        try:
            is_gone = seconds < self._times[0] and self._times[0] > 0.0
            if is_gone or seconds > self._times[-1] + SKIP_S:
                self._restart(seconds)
            while not self._ended and (not self._times or self._times[-1] <= seconds):
                self._decode()
            if not self._times:  # a seek beyond the last picture
                self._restart(0.0)
                while self._decode() and self._times[-1] <= seconds:
                    pass
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise self._broken(error) from error
        if not self._times:
            raise MediaError(f"`{self._name}` breaks off at {seconds:.1f} s.")
        at = max(bisect_right(self._times, seconds) - 1, 0)
        return self._times[at], self._held[at]

    def _restart(self, seconds):
        """Goes to the key frame at or before a time."""
        offset = round((seconds + self._first) / float(self._stream.time_base))
        self._container.seek(max(offset, 0), stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)
        self._held, self._times, self._bytes, self._ended = [], [], 0, False

    def _decode(self):
        """Whether there was one more frame."""
        frame = next(self._frames, None)
        if frame is None:
            self._ended = True
            return False
        time = frame.time - self._first if frame.time is not None else None
        if time is None or (self._times and time <= self._times[-1]):
            time = self._times[-1] + self._usual_s if self._times else 0.0
        self._held.append(frame)
        self._times.append(time)
        self._bytes += _bytes(frame)
        while self._bytes > MOST_HELD and len(self._held) > 3:
            self._bytes -= _bytes(self._held.pop(0))
            self._times.pop(0)
        return True

    def close(self):
        """Gives the file back."""
        self._container.close()


def _bytes(frame):
    return sum(plane.buffer_size for plane in frame.planes)


def rgba_of(frame):
    """Straight RGBA of a decoded frame: uint8 (height, width, 4), row 0 on top."""
    if frame.format.name == "gray":
        grey = frame.to_ndarray()
        return np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    return frame.to_ndarray(format="rgba")

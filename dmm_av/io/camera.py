"""Cameras, by what the system calls them. A thread reads; whoever draws takes the newest picture and never waits."""

import sys
import threading
from pathlib import Path

import av

from dmm_av.errors import DeviceError

_SYSTEMS = {"linux": ("v4l2", "/dev/video0"), "darwin": ("avfoundation", "0"), "win32": ("dshow", None)}


class Camera:
    """A camera that is being read.

    device    its name; None: the first one of this computer
    problem   a sentence once it cannot be opened or has stopped, else None

    Raises `DeviceError` where it can be said at once that there is none.
    """

    def __init__(self, device=None):
        api, first = _SYSTEMS.get(sys.platform, _SYSTEMS["linux"])
        self._api, self._device = api, device or first
        if self._device is None:
            raise DeviceError("No camera is named. Write its name: `device: video=NAME`.")
        if api == "v4l2" and not Path(self._device).exists():
            raise DeviceError(
                f"There is no camera `{self._device}`. Plug one in, or name a movie file as `device` in its place."
            )
        self.problem = None
        self._newest, self._count = None, 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"camera {self._device}", daemon=True)
        self._thread.start()

    def newest(self):
        """(count, straight RGBA uint8 (height, width, 4), row 0 on top) of the latest picture, or None."""
        return self._newest

    def _read(self):
        try:
            with av.open(self._device, format=self._api) as container:
                for frame in container.decode(video=0):
                    if self._stopped.is_set():
                        return
                    self._count += 1
                    self._newest = self._count, frame.to_ndarray(format="rgba")
            self._end("it gives no more pictures")
        except (av.FFmpegError, ValueError, IndexError, OSError, MemoryError) as error:
            self._end(getattr(error, "strerror", None) or str(error) or type(error).__name__)

    def _end(self, reason):
        if not self._stopped.is_set():
            self.problem = f"The camera `{self._device}` cannot be read ({reason}). Another program may hold it."

    def close(self):
        """Stops reading; the device is given back with its next picture."""
        self._stopped.set()

"""Files that are saved while the instrument plays. What a saved file means is not known here."""

import contextlib
import os
import stat
import threading
from pathlib import Path

import watchfiles

from dmm_av.errors import DeviceError

_STEP_MS = 5  # a save is over when nothing more happens for this long
_DEBOUNCE_MS = 20  # and is delivered after this long in any case
_LOOK_MS = 200  # how often to look without being told: network drives tell nothing


class Watcher:
    """Calls `deliver(path)` in a thread of its own each time a file is saved.

    paths     files, and folders whose direct files are meant; a file need not exist yet, its folder must
    deliver   gets the path as it was given (for a folder: the folder's path and the file's name)

    Editors save by renaming, so folders are watched and files are compared. Not delivered: a file that was
    deleted, one that is empty (so some editors begin to write) and, in a folder, an editor's own `.x`, `#x`,
    `x~`.
    """

    def __init__(self, paths, deliver):
        self._paths = [Path(path) for path in paths]
        self._deliver = deliver
        watched = set()
        for path in self._paths:
            folders = [path] if path.is_dir() else [path.parent, path.resolve().parent]
            for folder in folders:
                if not folder.is_dir():
                    raise DeviceError(f"{path}: the folder `{folder}` does not exist, so nothing can be saved there.")
                watched.add(str(folder.resolve()))
        self._seen = self._signatures()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(watched,), name="watcher", daemon=True)
        self._thread.start()

    def stop(self):
        """Ends the thread; nothing is delivered afterwards."""
        self._over.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _run(self, watched):
        for _ in self._occasions(watched):
            for path in self._saved():
                if self._over.is_set():
                    return
                self._tell(path)

    def _occasions(self, watched):
        """Yields when something may have been saved."""
        # Without the system's help (no inotify watch is left, a folder just went) looking from time to time
        # stays.
        with contextlib.suppress(OSError, RuntimeError):
            yield from watchfiles.watch(
                *watched,
                watch_filter=None,
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                rust_timeout=_LOOK_MS,
                yield_on_timeout=True,
                stop_event=self._over,
                raise_interrupt=False,
                recursive=False,
                ignore_permission_denied=True,
            )
        while not self._over.wait(_LOOK_MS / 1000):
            yield

    def _tell(self, path):
        try:
            self._deliver(path)
        except Exception as error:  # one bad file must not end the watch
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, self._thread)))

    def _saved(self):
        before, self._seen = self._seen, self._seen | self._signatures()
        return sorted(path for path, signature in self._seen.items() if before.get(path) != signature)

    def _signatures(self):
        """{path: what changes when the file is written}, of the files that have something in them."""
        signatures = {}
        for path in self._paths:
            for file in _files(path):
                with contextlib.suppress(OSError):
                    status = os.stat(file)
                    if status.st_size and stat.S_ISREG(status.st_mode):
                        signatures[file] = status.st_mtime_ns, status.st_size, status.st_ino
        return signatures


def _files(path):
    """The file itself, or the files directly in a folder."""
    try:
        names = os.listdir(path)
    except OSError:
        return [path]
    return [path / name for name in names if not name.startswith((".", "#")) and not name.endswith("~")]

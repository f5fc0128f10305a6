"""hydra-synth in headless Chromium as a peer: serves the page, starts the browser, asks for one sketch after the other.

Uses neither a driver protocol nor a browser library: the page asks this server what to measure next.
"""

import base64
import contextlib
import http.server
import json
import os
import queue
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from dmm_av.errors import DeviceError

PEER = "hydra-synth"
PAGE = Path(__file__).parent / "hydra"
INSTALLED = Path(__file__).parents[2] / ".cache" / "hydra"
LIBRARY = INSTALLED / "node_modules" / "hydra-synth" / "dist" / "hydra-synth.js"
SIZE = (1280, 720)
PATIENCE_S = 180.0

# How Chromium draws. `llvmpipe` is the rasteriser that EGL gives us too where there is no graphics card.
RENDERERS = {
    "system": ["--use-gl=angle", "--use-angle=gl-egl", "--ignore-gpu-blocklist", "--disable-gpu-sandbox"],
    "swiftshader": ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
}
QUIET = [
    "--headless=new", "--no-sandbox", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--disable-gpu-watchdog", "--disable-renderer-backgrounding", "--mute-audio", "--password-store=basic",
]  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One sketch, measured once.

    times      wall time of each frame until a pixel of it could be read, ms
    unbroken   wall time a frame, ms, when pixels were only awaited after the last one
    worked     processor time a frame of all of Chromium's processes, ms
    picture    a PNG of the last frame, or None
    """

    sketch: str
    times: list
    unbroken: float
    worked: float
    renderer: str
    picture: bytes | None = None

    @property
    def median(self):
        return statistics.median(self.times)


def install():
    """Installs the pinned hydra-synth below `.cache`, once."""
    if LIBRARY.exists():
        return
    if not shutil.which("npm"):
        raise DeviceError("bench: there is no `npm` to install hydra-synth with. On Debian: apt install npm.")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PAGE / name, INSTALLED / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=INSTALLED, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise DeviceError(f"bench: npm could not install hydra-synth. It says: {done.stderr.strip()[-300:]}")


def is_installed():
    return browser() is not None and (LIBRARY.exists() or shutil.which("npm") is not None)


def browser():
    """The path of Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Hydra:
    """A Chromium that waits for sketches to measure; use it in a `with` statement."""

    def __init__(self, renderer="system", size=SIZE):
        install()
        if browser() is None:
            raise DeviceError("bench: there is no Chromium for hydra-synth. On Debian: apt install chromium.")
        self._flags = RENDERERS[renderer]
        self._size = size
        self._wanted = queue.Queue()
        self._results = queue.Queue()
        self._marks = []

    def __enter__(self):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._requests())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        width, height = self._size
        self._browser = subprocess.Popen(
            [browser(), *QUIET, *self._flags, f"--user-data-dir={self._profile.name}",
             f"--window-size={width},{height}", f"http://127.0.0.1:{self._server.server_port}/page.html"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_):
        self._wanted.put(None)  # the page that waits for work is sent home
        os.killpg(self._browser.pid, signal.SIGKILL)
        self._browser.wait()
        self._server.shutdown()
        self._server.server_close()
        self._profile.cleanup()

    def measure(self, sketch, frames=60, warm_up=30, picture=False):
        """Draws a sketch in a fresh page and returns what was `Measured`."""
        width, height = self._size
        self._wanted.put(
            {"sketch": sketch, "width": width, "height": height, "frames": frames, "warm_up": warm_up,
             "picture": picture}
        )  # fmt: skip
        self._marks.clear()
        try:
            result = self._results.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise DeviceError(
                f"bench: Chromium did not finish the sketch `{sketch}` in {PATIENCE_S:.0f} s. "
                f"Its WebGL may not work here: try `{browser()} {' '.join(self._flags)}` by hand."
            ) from None
        if "error" in result:
            raise DeviceError(f"bench: hydra-synth could not draw `{sketch}`. It says: {result['error']}")
        drawn = base64.b64decode(result["picture"].split(",", 1)[1]) if result["picture"] else None
        began, ended = self._marks
        worked = (ended - began) * 1000.0 / frames
        return Measured(result["sketch"], result["times"], result["unbroken"], worked, result["renderer"], drawn)

    def _mark(self):
        self._marks.append(processor_time(self._browser.pid))

    def _requests(self):
        wanted, results, mark = self._wanted, self._results, self._mark
        files = {"/page.html": PAGE / "page.html", "/sketches.js": PAGE / "sketches.js", "/hydra-synth.js": LIBRARY}

        class Requests(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/next":
                    self.answer(json.dumps(wanted.get()).encode(), "application/json")
                elif self.path in files:
                    kind = "text/html" if self.path.endswith("html") else "text/javascript"
                    self.answer(files[self.path].read_bytes(), kind)
                else:
                    self.send_error(404)

            def do_POST(self):
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/mark":
                    mark()
                else:
                    results.put(json.loads(sent))
                self.answer(b"", "text/plain")

            def answer(self, body, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                # An isolated page gets a clock of 5 us instead of 100 us.
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
                self.end_headers()
                self.wfile.write(body)

            def handle(self):
                with contextlib.suppress(ConnectionError):  # the browser is ended while it waits
                    super().handle()

            def log_message(self, *_):
                pass

        return Requests


def rasteriser(renderer):
    """The short name of what draws, from the long one that WebGL reports."""
    return next((name for name in ("llvmpipe", "SwiftShader") if name in renderer), renderer)


def processor_time(group):
    """Processor time that the processes of a group have used so far, s. Reads /proc, so Linux only."""
    used = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # a process may end while it is looked at
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")

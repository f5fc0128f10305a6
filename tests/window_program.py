"""A program with a window, for tests: the lower half red, the upper half green. Tells what happens as JSON lines.

$ python window_program.py '{"size": [320, 180]}'
"""

import json
import sys

from dmm_av.errors import DeviceError
from dmm_av.io.window import Window


def tell(*words):
    """One JSON line."""
    print(json.dumps(words), flush=True)


def run(options):
    """Until the window is closed."""
    with Window(**options) as window:
        tell("open", window.context.version_code, window.refresh_s)
        size = None
        while True:
            if window.size != size:
                size = window.size
                tell("size", *size, window.full_screen)
            screen = window.context.screen
            screen.use()
            screen.clear(1.0, 0.0, 0.0)
            screen.clear(0.0, 1.0, 0.0, viewport=(0, size[1] // 2, size[0], size[1] - size[1] // 2))
            window.show()
            window.wait(0.02)
            for event in window.events():
                if event != ("redraw",):
                    tell(*event)
                if event == ("closed",):
                    return


if __name__ == "__main__":
    try:
        run(json.loads(sys.argv[1]))
    except DeviceError as error:
        tell("error", str(error))

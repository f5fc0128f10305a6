"""`doctor`: what this computer has for the instrument, what is missing, and what to do about it."""

import os
import platform


def doctor():
    """Say what this computer can do, and what is missing."""
    failed = 0
    for name, examine in (
        ("python", _python),
        ("libraries", _libraries),
        ("activations", _activations),
        ("sound", _sound),
        ("display", _display),
        ("pictures", _pictures),
        ("matrices", _matrices),
        ("video", _video),
    ):
        try:
            print(f"{name:12} {examine()}")
        except Exception as error:  # each part is examined whatever happens to the others
            failed += 1
            print(f"{name:12} missing: {error}")
    return 1 if failed else 0


def _python():
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _libraries():
    from importlib.metadata import version

    names = ("numpy", "numba", "moderngl", "glfw", "sounddevice", "python-osc", "av")
    return ", ".join(f"{name} {version(name)}" for name in names)


def _activations():
    from dmm_av.commands.opening import open_library
    from dmm_av.engine.step_compiler import cache_folder

    return f"{len(open_library().names())} activations, compiled ones kept in {cache_folder()}"


def _sound():
    from dmm_av.io.audio_device import AudioDevice

    devices = AudioDevice.devices()
    if not devices:
        raise RuntimeError("no sound device. `play` runs silently on a virtual clock; `render` writes sound anyway.")
    return f"{len(devices)} devices: " + ", ".join(str(device) for device in devices[:4])


def _display():
    from dmm_av.io.window import monitors

    found = monitors()
    return f"{len(found)} monitors: {', '.join(map(str, found))}"


def _pictures():
    from dmm_av.engine.stage import PictureEngine
    from dmm_av.io.window import headless_context

    context = headless_context()
    engine = PictureEngine(context, (64, 64))
    largest = engine.max_size
    return f"{engine.renderer}, pictures up to {largest}×{largest}"


def _matrices():
    from dmm_av.engine.matrices import chosen_paths
    from dmm_av.io.window import headless_context

    return chosen_paths(headless_context())


def _video():
    import av.codec

    wanted = ("libx264", "libx265", "libsvtav1", "prores_ks", "ffv1", "aac", "libopus")
    found = [name for name in wanted if name in av.codec.codecs_available]
    return f"writes {', '.join(found)}"

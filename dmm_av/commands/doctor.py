"""`doctor`: what this computer has for the instrument, what is missing, and what to do about it."""

import os
import platform


def doctor():
    """Say what this computer can do, and what is missing.

    Something missing makes the exit status 1; the instrument may play all the same.
    """
    missing = 0
    for name, examine in (
        ("python", _python),
        ("libraries", _libraries),
        ("activations", _activations),
        ("sound", _sound),
        ("display", _display),
        ("pictures", _pictures),
        ("video", _video),
        ("osc", _osc),
    ):
        try:
            for line in examine():
                print(f"{name:12} {line}", flush=True)
                name = ""
        except Exception as error:  # each part is examined whatever happens to the others
            missing += 1
            print(f"{name:12} MISSING {_sentence(error)}", flush=True)
    return 1 if missing else 0


def _sentence(error):
    from dmm_av.errors import DmmError

    if isinstance(error, DmmError):
        return str(error)
    return f"{type(error).__name__}: {error}. Run `make setup` again."


def _python():
    yield f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _libraries():
    from importlib.metadata import PackageNotFoundError, version

    from dmm_av.errors import DeviceError

    names = ("numpy", "numba", "moderngl", "glfw", "sounddevice", "python-osc", "av", "PyYAML", "watchfiles")
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield ", ".join(found)
    if missing:
        raise DeviceError(f"{', '.join(missing)}. Run `make setup`.")


def _activations():
    from dmm_av.commands.opening import open_library
    from dmm_av.engine.step_compiler import cache_folder

    folder = cache_folder()
    kept = len(list(folder.glob("*.py")))
    yield f"{len(open_library().names())} activations; {kept} compiled steps kept in {folder}"
    if not kept:
        yield "the first sound has to wait for the compiler; `app.py warm` compiles everything now"


def _sound():
    from dmm_av.errors import DeviceError
    from dmm_av.io import audio_device

    meanwhile = "`play` runs silently on a virtual clock meanwhile; `render` writes sound anyway."
    if audio_device.sounddevice is None:
        raise DeviceError(f"PortAudio. Install it (Debian and Ubuntu: `apt install libportaudio2`). {meanwhile}")
    devices = audio_device.AudioDevice.devices()
    if not devices:
        raise DeviceError(f"a sound device. Plug one in, or start a sound server (`pulseaudio --start`). {meanwhile}")
    yield from map(str, devices)


def _display():
    from dmm_av.io.window import monitors

    yield from (f"monitor {monitor}" for monitor in monitors())


def _pictures():
    from dmm_av.engine.stage import PictureEngine
    from dmm_av.io.window import headless_context

    engine = PictureEngine(headless_context(), (64, 64))
    software = " (a software renderer: pictures are slow)" if "llvmpipe" in engine.renderer.lower() else ""
    yield f"{engine.renderer}{software}, pictures up to {engine.max_size}x{engine.max_size}"
    yield engine.matrices.report()


def _video():
    import av.codec

    from dmm_av.errors import DeviceError
    from dmm_av.io.video import PICTURE_CODECS

    wanted = sorted({coding.high.encoder for coding in PICTURE_CODECS.values()} | {"aac", "libopus", "flac", "png"})
    missing = [name for name in wanted if name not in av.codec.codecs_available]
    yield f"writes {', '.join(name for name in wanted if name not in missing)}"
    if missing:
        raise DeviceError(f"encoders {', '.join(missing)}. Install PyAV from its wheel: `make setup`.")


def _osc():
    from dmm_av.io.osc import PORT, OscServer

    server = OscServer(port=PORT)
    server.close()
    yield f"UDP port {PORT} is free"

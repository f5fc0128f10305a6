"""Makes `.venv` from requirements.lock, adds missing system libraries where it may, fills the kernel cache.

Runs before anything is installed, so it uses the standard library only, and it parses on Pythons too old for
the instrument: they are to get a sentence, not a syntax error. What is locked is decided in pyproject.toml
and written by tools/lock.py; what is compiled is decided by `app.py warm`.
"""

import ctypes
import glob
import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOCK = os.path.join(ROOT, "requirements.lock")
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, *(["Scripts", "python.exe"] if os.name == "nt" else ["bin", "python"]))
OLDEST_PYTHON = (3, 11)
TESTED_PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def main():
    os.chdir(ROOT)
    continue_on_a_new_enough_python()
    install_system_packages()
    make_venv()
    install_requirements()
    fill_kernel_cache()
    say("Ready. `make demo` renders and plays the first piece; `make help` lists the rest.")


def say(sentence):
    print(sentence, flush=True)


def stop(sentence):
    sys.exit("setup: " + sentence)


# Python itself


def continue_on_a_new_enough_python():
    if sys.version_info >= OLDEST_PYTHON:  # noqa: UP036 - this file is run by whatever `python3` is
        return
    for version in reversed(TESTED_PYTHONS):
        found = shutil.which("python" + version)
        if found:
            sys.exit(subprocess.call([found] + sys.argv))
    stop(
        f"{sys.executable} is Python {python_version()}, and the instrument needs 3.11 or newer. Install one "
        "(Debian 12, Ubuntu 24.04 and newer have it as `python3`; for macOS and Windows take python.org's), "
        "then run this again, or name it: `make setup PYTHON=python3.12`."
    )


def python_version():
    return "{}.{}".format(*sys.version_info)


def make_venv():
    if venv_runs():
        return
    if subprocess.call([sys.executable, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL):
        package = f"python{python_version()}-venv"
        remedy = "This Python lacks the modules `venv` and `ensurepip`; "
        if sys.platform != "linux" or not shutil.which("apt-get"):
            stop(remedy + "reinstall it whole, or name another one: `make setup PYTHON=python3.12`.")
        apt_install([package])
        if subprocess.call([sys.executable, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL):
            stop(remedy + f"install them with `sudo apt-get install {package}`, then run this again.")
    say(f"Making .venv with Python {python_version()}.")
    if subprocess.call([sys.executable, "-m", "venv", "--clear", VENV]):
        stop(f"`{sys.executable} -m venv .venv` failed; its own message stands above.")


def venv_runs():
    """Whether `.venv` has a working, new enough Python with pip; a Python upgraded underneath breaks it."""
    if not os.path.exists(VENV_PYTHON):
        return False
    question = f"import sys, pip; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    return subprocess.call([VENV_PYTHON, "-c", question], stderr=subprocess.DEVNULL) == 0


# What the system has to bring (Debian's package names; every other name is the capability that is looked for)


def loads(library):
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_file(*patterns):
    folders = ["/usr/lib", "/usr/lib64", "/usr/lib/*-linux-gnu*", "/usr/local/lib"]
    return any(glob.glob(os.path.join(folder, pattern)) for folder in folders for pattern in patterns)


def has_program(*names):
    return any(shutil.which(name) for name in names)


def missing_system_packages():
    """Debian packages, each with what stays silent, dark or untested without it. Empty outside Linux."""
    if sys.platform != "linux":
        return {}
    have = {
        "libegl1": (loads("libEGL.so.1"), "pictures without a display"),
        "libgl1": (loads("libGL.so.1"), "pictures in a window"),
        "libgl1-mesa-dri": (
            has_file("dri/swrast_dri.so", "libgallium-*.so", "libEGL_nvidia.so.0"),
            "pictures without a graphics card",
        ),
        "libportaudio2": (loads("libportaudio.so.2"), "live sound"),
        "libasound2-plugins": (
            has_file("alsa-lib/libasound_module_pcm_pulse.so", "alsa-lib/libasound_module_pcm_pipewire.so"),
            "live sound through a desktop's sound server",
        ),
        # a desktop with PipeWire must keep it: Debian's pulseaudio would replace it
        "pulseaudio": (has_program("pulseaudio", "pipewire-pulse"), "live sound where there is no device"),
        "pulseaudio-utils": (has_program("parec"), "the tests that listen"),
        "xvfb": (has_program("Xvfb"), "the tests that look at a window"),
    }
    return {package: purpose for package, (present, purpose) in have.items() if not present}


def install_system_packages():
    missing = missing_system_packages()
    if missing and shutil.which("apt-get"):
        apt_install(list(missing))
        missing = missing_system_packages()
    if not missing:
        return
    say("These are missing; everything else works without them:")
    for package, purpose in missing.items():
        say(f"  {package:20} {purpose}")
    if shutil.which("apt-get"):
        say("Install them with: sudo apt-get install " + " ".join(missing))
    else:
        say("The names are Debian's; your system's package manager has the same libraries and programs.")


def apt_install(packages):
    """Installs what it can of `packages`, without asking anything; without the right to, it only says so."""
    prefix = root_prefix()
    if prefix is None:
        return
    say("Installing system packages: " + " ".join(packages))
    apt = prefix + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    install = apt + ["install", "-y", "--no-install-recommends"]
    if runs_quietly(install + packages):
        return
    runs_quietly(apt + ["update"])
    if runs_quietly(install + packages):
        return
    for package in packages:  # one name unknown to this release must not cost the others
        if not runs_quietly(install + [package]):
            say(f"apt-get could not install {package}.")


def root_prefix():
    if not hasattr(os, "geteuid"):
        return None
    if os.geteuid() == 0:
        return []
    allowed = shutil.which("sudo") and runs_quietly(["sudo", "-n", "true"])
    return ["sudo", "-n"] if allowed else None


def runs_quietly(command):
    nothing = subprocess.DEVNULL
    return subprocess.call(command, stdin=nothing, stdout=nothing, stderr=nothing) == 0


# What `.venv` has to hold


def install_requirements():
    with open(LOCK, "rb") as lock:
        text = lock.read()
    stamp = Stamp("requirements", [text])
    if stamp.is_current():
        return
    packages = sum(1 for line in text.decode().splitlines() if line[:1].isalnum())
    say("Installing the locked requirements into .venv (500 MB on disk; pip caches what it downloads).")
    pip = [VENV_PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    output = []
    with subprocess.Popen(
        pip + ["--require-hashes", "--progress-bar", "off", "-r", LOCK],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    ) as process:
        collected = 0
        for line in process.stdout:
            output.append(line)
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                collected += 1
                name = line.split(" from ")[0].split(" in ")[0].split(" (")[0].split()[-1]
                progress(f"  {collected} of at most {packages}: {name}")
            elif line.startswith("Installing collected"):
                progress("  unpacking")
    progress("")
    if process.returncode:
        sys.stderr.write("".join(output[-30:]))
        stop(
            "pip could not install requirements.lock; its message stands above. "
            + (
                "Without a network, point pip at a folder of wheels (PIP_FIND_LINKS)."
                if python_version() in TESTED_PYTHONS
                else f"Python {python_version()} is not one of those that the lock is for "
                f"({', '.join(TESTED_PYTHONS)}): name one of them, `make setup PYTHON=python3.12`."
            )
        )
    stamp.write()


def progress(text):
    """One line that rewrites itself on a terminal; nothing in a log."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write("\r" + text[:width].ljust(width) + ("" if text else "\r"))
        sys.stdout.flush()


def fill_kernel_cache():
    sources = sorted(glob.glob(os.path.join(ROOT, "dmm_av", "**", "*.py"), recursive=True))
    contents = []
    for path in sources:
        with open(path, "rb") as source:
            contents.append(source.read())
    stamp = Stamp("kernels", contents)
    if stamp.is_current():
        return
    app = os.path.join(ROOT, "app.py")
    if not os.path.exists(app):
        stop("app.py is missing: this copy of the instrument is not whole. Get it again, then run this.")
    say("Compiling the activations (once; later starts take them from the cache).")
    if subprocess.call([VENV_PYTHON, app, "warm"], stdin=subprocess.DEVNULL):
        stop("`app.py warm` failed; its own message stands above. `make setup` tries it again.")
    stamp.write()


class Stamp:
    """A file in `.venv` that says from what a step was last completed, so that it is done once."""

    def __init__(self, step, contents):
        self.path = os.path.join(VENV, f"dmm-av-{step}.stamp")
        digest = hashlib.sha256()
        for content in contents:
            digest.update(hashlib.sha256(content).digest())
        self.text = digest.hexdigest()

    def is_current(self):
        if not os.path.exists(self.path):
            return False
        with open(self.path) as file:
            return file.read() == self.text

    def write(self):
        with open(self.path, "w") as file:
            file.write(self.text)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("interrupted; run it again and it goes on where it was.")

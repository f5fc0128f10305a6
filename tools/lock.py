"""Writes requirements.lock from pyproject.toml: exact versions with hashes, for every platform and Python.

The resolver (uv) lives in a throw-away environment: neither a player nor a developer needs it.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        resolve = [python, "-m", "uv", "pip", "compile", "-q", "pyproject.toml", "-o", "requirements.lock"]
        resolve += ["--universal", "--generate-hashes", "--python-version", "3.11", "--extra", "dev"]
        resolve += ["--custom-compile-command", "make lock"]
        resolve += sys.argv[1:]  # for example --upgrade, or --upgrade-package NAME
        subprocess.run(resolve, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()

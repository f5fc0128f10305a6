"""Opens the register: imports every family, and layers users' own files of activations over it."""

import importlib.machinery
import importlib.util
import linecache
import sys
import traceback
from pathlib import Path

from dmm_av.activations import (
    accumulators,
    analysis,
    conversions,
    core,
    delays,
    envelopes,
    filters,
    matrices,
    patterns,
    pictures,
    shapers,
    sources,
    speakers,
    transport,
)
from dmm_av.errors import PatchError
from dmm_av.network import activation as declaring
from dmm_av.network.activation import LIBRARY, Library

FAMILIES = (
    sources,
    shapers,
    filters,
    envelopes,
    accumulators,
    patterns,
    delays,
    conversions,
    analysis,
    pictures,
    matrices,
    transport,
    speakers,
    core,
)


class _FreshLoader(importlib.machinery.SourceFileLoader):
    """Reads a module from its text every time: two saves within a second must not meet an old cache."""

    def path_stats(self, path):
        raise OSError(f"{path} is never cached")


def open_library(user_files=()):
    """A register with every built-in activation and those of the files.

    Errors: a sentence with file and line for a file that cannot be read or run.
    """
    library = Library(LIBRARY)
    for path in user_files:
        load_user_file(path, library)
    return library


def load_user_file(path, library):
    """Runs a user's file; what it declares with `@signal` and `@tree` goes into `library`, replacing its own.

    returns   the names that the file declared
    Errors: a sentence with file and line; the register is then as it was.
    """
    path = Path(path)
    fresh = Library(library)
    loader = _FreshLoader(f"user_units_{path.stem}", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[module.__name__] = module
    linecache.checkcache(str(path))
    with declaring.declaring_into(fresh):
        try:
            loader.exec_module(module)
        except PatchError:
            raise
        except SyntaxError as error:
            raise PatchError(f"{path}, line {error.lineno}: {error.msg}. The former units play on.") from None
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise PatchError(f"{path}: the library cannot be read: {error}.") from None
        except Exception as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
            line = frames[-1].lineno if frames else 1
            raise PatchError(
                f"{path}, line {line}: {type(error).__name__}: {error}. The former units play on."
            ) from None
    names = fresh.own_names()
    for name in names:
        library.add(fresh[name], replace=True)
    return names

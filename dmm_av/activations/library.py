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
    cellular,
    conversions,
    core,
    delays,
    envelopes,
    fields,
    filters,
    graphs,
    matrices,
    moments,
    patterns,
    pictures,
    pure,
    shapers,
    sources,
    speakers,
    transport,
    trees,
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
    trees,
    moments,
    graphs,
    pure,
    cellular,
    fields,
    transport,
    speakers,
    core,
)


MODULE = "dmm_av_user_units"  # compiled code that is kept asks for its module by name, whatever the file is called


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
    """Runs a user's file; what it declares with `@signal` and `@tree` goes into `library`.

    It replaces built-in activations of the same names, and what the same file declared before.

    returns   the names that the file declared
    Errors: a sentence with file and line; the register is then as it was.
    """
    path = Path(path)
    fresh = Library(library)
    _run(path, fresh)
    names = fresh.own_names()
    for name in names:
        for taken in (name, *fresh[name].also):
            other = library.get(taken)
            if other is not None and other is not LIBRARY.get(taken) and not _same_file(_file_of(other), path):
                raise PatchError(
                    f"{path}, line {_line_of(fresh[name])}: `{taken}` is declared in {_file_of(other)}, "
                    f"line {_line_of(other)}, too. Rename one of them."
                )
    for name in names:
        library.add(fresh[name], replace=True)
    return names


def names_declared_in(path, library):
    """First names of the activations that a register holds from a user's file."""
    return [name for name in library.own_names() if _same_file(_file_of(library[name]), path)]


def _run(path, register):
    """Runs a file whose declarations go into `register`."""
    try:
        compile(path.read_bytes(), str(path), "exec")
    except SyntaxError as error:
        place = f"{path}, line {error.lineno}" if error.lineno else str(path)
        raise PatchError(f"{place}: this is no Python: {error.msg}. Mend it and save.") from None
    except OSError as error:
        raise PatchError(f"{path}: the library cannot be read ({error.strerror}). Check the path.") from None
    except ValueError:
        raise PatchError(f"{path}: this is no text. Check the path.") from None
    loader = _FreshLoader(MODULE, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(MODULE, loader))
    sys.modules[MODULE] = module
    linecache.checkcache(str(path))
    try:
        with declaring.declaring_into(register):
            loader.exec_module(module)
    except PatchError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's file does wrong becomes a sentence
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = frames[-1].lineno if frames else 1
        said = f"{type(error).__name__}: {error}".rstrip(": .")
        raise PatchError(f"{path}, line {line}: {said}. Mend it and save.") from None


def _file_of(activation):
    code = getattr(activation.body, "__code__", None)
    return code.co_filename if code is not None else str(activation.body)


def _line_of(activation):
    return activation.body.__code__.co_firstlineno


def _same_file(first, second):
    return Path(first).resolve() == Path(second).resolve()

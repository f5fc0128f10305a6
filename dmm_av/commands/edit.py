"""`edit`: sends edits to a running instrument, in patch notation or as OSC, or asks for them line by line."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def edit(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[EDIT]...", help="`fold.wedges 7 2`, `get fold.wedges`, `/dmm/undo`; `-` reads stdin."),
    ] = None,
    osc_port: Annotated[int, typer.Option(metavar="PORT", help="Port of the instrument.")] = 9129,
    osc_host: Annotated[str, typer.Option(metavar="HOST", help="Host of the instrument.")] = "127.0.0.1",
    library: Annotated[
        list[Path], typer.Option(metavar="FILE", help="A file of your own activations, for completion.")
    ] = (),
):
    """Edit a running instrument: fold.wedges 7 2

    Without an EDIT it asks for one after the other; Tab completes.
    """
    from dmm_av.io.osc import OscClient

    with OscClient(osc_host, osc_port) as client:
        if words == ["-"]:
            return _tell(client.ask(("/dmm/eval", (sys.stdin.read(),))))
        if words:
            return _do(client, words)
        if sys.stdin.isatty():
            return _prompt(client, library)
        failed = [_do(client, _words(line)) for line in sys.stdin if line.strip()]
        return 1 if any(failed) else 0


def _words(line):
    """A line's words; an OSC message may hold texts in quotes."""
    if line.lstrip().startswith("/"):
        try:
            return shlex.split(line)
        except ValueError:
            return line.split()
    return line.split()


def _do(client, words):
    """Sends one edit; returns 1 where it was refused."""
    if words[0].startswith("/"):
        return _tell(client.ask((words[0], tuple(_value(word) for word in words[1:]))))
    if words[0] == "get" and len(words) == 2:
        return _get(client, words[1])
    return _tell(client.ask(("/dmm/eval", (" ".join(words),))))


def _get(client, reference):
    """Prints the weights and the streams that a reference may mean."""
    labels = reference.replace(".", "/", 1).rstrip("/")
    told = [client.ask((f"/dmm/get/{what}/{labels}", ())) for what in ("w", "y")]
    found = [one for one in told if one.replies]
    return max(map(_tell, found)) if found else _tell(told[0])


def _value(word):
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _tell(told):
    for about, values in told.replies:
        print(about, *values)
    for sentence in told.sentences:
        print(sentence, file=sys.stderr)
    return 0 if told.done else 1


def _prompt(client, library):
    """One line after the other until Ctrl-D, with completion over the live network."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    from dmm_av.errors import DmmError

    client.ask(("/dmm/get/neurons", ()))  # where nobody answers, it is said before the first line is typed
    session = PromptSession("dmm> ", completer=_completer(client, library), complete_while_typing=False)
    with patch_stdout():
        while True:
            try:
                words = _words(session.prompt())
                if words:
                    _do(client, words)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return 0
            except DmmError as error:
                print(error, file=sys.stderr)


def _completer(client, library):
    """Completes names from the running network and the library, and addresses from the running matrix."""
    from prompt_toolkit.completion import Completer, Completion

    from dmm_av.commands.opening import open_library
    from dmm_av.errors import DmmError
    from dmm_av.network.notation import complete

    activations = open_library(library)

    def candidates(typed):
        if typed.startswith("/"):
            known = {about for about, _ in client.ask(("/dmm/get/w", ())).replies}
            return sorted(address for address in known if address.startswith(typed))
        replies = client.ask(("/dmm/get/neurons", ())).replies
        return complete(typed, activations, {about.rpartition("/")[2]: values for about, values in replies})

    class LiveCompleter(Completer):
        """What `Tab` offers."""

        def get_completions(self, document, _):
            typed = document.text_before_cursor
            try:
                found = candidates(typed)
            except DmmError:  # while the instrument is away there is nothing to offer
                found = []
            for word in found:
                yield Completion(word, start_position=typed.rfind(" ") + 1 - len(typed))

    return LiveCompleter()

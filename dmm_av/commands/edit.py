"""`edit`: sends edits to a running instrument, in patch notation or as OSC, or asks for them line by line."""

import sys
from typing import Annotated

import typer


def edit(
    words: Annotated[list[str], typer.Argument(help="`fold.wedges 7 2`, `/dmm/undo`, or `-` for stdin.")] = None,
    osc_port: Annotated[int, typer.Option(help="Port of the instrument.")] = 9129,
    osc_host: Annotated[str, typer.Option(help="Host of the instrument.")] = "127.0.0.1",
):
    """Edit a running instrument: fold.wedges 7 2"""
    from dmm_av.io.osc import OscClient

    with OscClient(osc_host, osc_port) as client:
        if not words:
            return _prompt(client)
        if words == ["-"]:
            return _tell(client.ask(("/dmm/eval", (sys.stdin.read(),))))
        if words[0].startswith("/"):
            return _tell(client.ask((words[0], tuple(_value(word) for word in words[1:]))))
        return _tell(client.ask(("/dmm/eval", (" ".join(words),))))


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


def _prompt(client):
    """Lines of patch notation until Ctrl-D, with completion over the live network."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.patch_stdout import patch_stdout

    from dmm_av.commands.opening import open_library
    from dmm_av.network.notation import complete

    library = open_library()

    class LiveCompleter(Completer):
        """Completes names from the running network and the library."""

        def get_completions(self, document, _):
            known = {about.rpartition("/")[2]: values for about, values in client.ask(("/dmm/get/neurons", ())).replies}
            typed = document.text_before_cursor
            for word in complete(typed, library, known):
                start = len(typed) - (typed.rfind(" ") + 1)
                yield Completion(word, start_position=-start)

    session = PromptSession("dmm> ", completer=LiveCompleter(), complete_while_typing=False)
    failed = 0
    with patch_stdout():
        while True:
            try:
                line = session.prompt().strip()
            except (EOFError, KeyboardInterrupt):
                return 1 if failed else 0
            if line.startswith("/"):
                address, *values = line.split()
                failed += _tell(client.ask((address, tuple(map(_value, values)))))
            elif line:
                failed += _tell(client.ask(("/dmm/eval", (line,))))

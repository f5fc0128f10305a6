"""`bench`: measures, beside a peer in the same run where there is one."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def bench(
    names: Annotated[
        list[str], typer.Argument(help="sines feedback-fm voices edit product sketches dropouts …")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Rows as JSON.")] = False,
    peers: Annotated[bool, typer.Option(help="Measure the peers too, where they are installed.")] = True,
):
    """Measure speed, beside a peer in the same run."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from bench import everything

    return everything.run(names or [], as_json, peers)

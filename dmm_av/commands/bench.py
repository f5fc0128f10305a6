"""`bench`: measures, beside a peer in the same run where there is one."""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[2]


def bench(
    names: Annotated[
        list[str],
        typer.Argument(
            help="sines feedback-fm voices edit product sketches · latency save new start packets dropouts soak; "
            "default: all that take less than half a minute"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Rows as JSON.")] = False,
    peers: Annotated[bool, typer.Option(help="Measure the peers too, where they are installed.")] = True,
    seconds: Annotated[float | None, typer.Option(help="How long `dropouts` and `soak` play.")] = None,
):
    """Measure speed, beside a peer in the same run."""
    sys.path.insert(0, str(ROOT))  # the measurements lie beside the package, not in it
    found = importlib.util.spec_from_file_location("measurements", ROOT / "bench" / "everything.py")
    measurements = importlib.util.module_from_spec(found)
    found.loader.exec_module(measurements)
    return measurements.run(names or [], as_json, peers, seconds)

"""`list`: the activations, the sound devices, the patches that come with the instrument."""

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Listed(StrEnum):
    """What can be listed."""

    activations = "activations"
    devices = "devices"
    patches = "patches"


def list_(
    what: Annotated[Listed, typer.Argument(metavar="activations|devices|patches", help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Activations as the page of the manual.")] = False,
    library: Annotated[list[Path], typer.Option(metavar="FILE", help="A file of your own activations.")] = (),
):
    """List activations, devices or patches."""
    from dmm_av.errors import PatchError

    if markdown:
        if what != Listed.activations or as_json:
            raise PatchError("list: only activations have a page. Write `list activations --markdown`.")
        print(manual(library), end="")
        return
    lines, rows = {Listed.activations: _activations, Listed.devices: _devices, Listed.patches: _patches}[what](library)
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for line in lines:
        print(line.rstrip())
    if not rows:
        print(f"list: there are no {what}.", file=sys.stderr)


def _activations(library):
    from dmm_av.commands.opening import open_library

    lines, rows = [], []
    for activation in open_library(library):
        inputs = {
            port.name: {
                "kind": str(port.kind),
                "default": port.default,
                "delayed": port.delayed,
                "unit": port.unit.symbol,
                "range": [port.unit.low, port.unit.high],
                "about": port.about,
            }
            for port in activation.inputs.values()
        }
        ports = ", ".join(activation.inputs) or "-"
        outputs = {port.name: {"kind": str(port.kind), "about": port.about} for port in activation.outputs.values()}
        rows.append(
            {
                "name": activation.name,
                "also": list(activation.also),
                "family": activation.family,
                "side": activation.side,
                "about": activation.about,
                "inputs": inputs,
                "outputs": outputs,
                "settings": {
                    setting.name: {
                        "kind": setting.kind,
                        "default": setting.default,
                        "choices": list(setting.choices),
                        "about": setting.about,
                    }
                    for setting in activation.settings.values()
                },
                "source": activation.source,
            }
        )
        lines.append(f"{activation.name:20} {ports:44} {activation.about}")
    return lines, rows


def _devices(_):
    from dmm_av.io.audio_device import AudioDevice

    devices = AudioDevice.devices()
    return [str(device) for device in devices], [asdict(device) for device in devices]


def _patches(_):
    from dmm_av.commands.opening import bundled_patches

    lines, rows = [], []
    for name, path in bundled_patches().items():
        first = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        rows.append({"name": name, "file": str(path), "about": first})
        lines.append(f"{name:28} {first}")
    return lines, rows


MANUAL_HEAD = """# Activations

Every unit generator, from its own declaration (`app.py list activations --markdown` prints this page).
`NAME` runs at control rate, `NAME~` at audio rate. An input takes a weighted sum of outputs; the default is its
weight from `one`. Ranges are where sliders and `/dmm/norm` move; values outside stay legal.
"""

SIDES = {"signal": "Numbers and sound", "picture": "Pictures and matrices", "tree": "Trees", "engine": "Always there"}


def manual(library=()):
    """The manual page of all activations, as Markdown."""
    from dmm_av.commands.opening import open_library

    pages = [MANUAL_HEAD]
    everything = list(open_library(library))
    for side, title in SIDES.items():
        pages.append(f"\n## {title}\n")
        shown = set()
        for activation in everything:
            first = activation.name.removesuffix("~")
            if activation.side != side or first in shown:
                continue
            shown.add(first)
            rates = [one for one in everything if one.side == side and one.name in (first, f"{first}~")]
            pages.append(_entry(activation, rates))
    return "\n".join(pages)


def _entry(activation, rates):
    names = " ".join(f"`{one.name}`" for one in rates)
    also = [f"`{name}`" for one in rates for name in one.also]
    lines = [f"### {names}\n", activation.about + (f" Also: {', '.join(also)}." if also else "") + "\n"]
    if activation.inputs:
        lines += ["| input | default | range | |", "|---|---|---|---|"]
        for port in activation.inputs.values():
            default = port.default if isinstance(port.default, int | float) else ", ".join(map(str, port.default))
            span = f"{port.unit.low:g} … {port.unit.high:g} {port.unit.symbol}".strip()
            about = port.about + (" (reads the previous step)" if port.delayed else "")
            shown = "" if str(port.kind) in ("image", "matrix", "vvalue") else f"{default}"
            kind = str(port.kind) if not shown else span
            lines.append(f"| `{port.name}` | {shown} | {kind} | {about} |")
        lines.append("")
    if activation.settings:
        lines += ["| setting | default | |", "|---|---|---|"]
        for setting in activation.settings.values():
            choices = f" ({', '.join(map(str, setting.choices))})" if setting.choices else ""
            default = "" if setting.default is None else setting.default
            lines.append(f"| `{setting.name}` | {default} | {setting.about}{choices} |")
        lines.append("")
    outputs = activation.outputs.values()
    if outputs:
        told = [f"`{port.name}` {port.kind}{': ' + port.about if port.about else ''}" for port in outputs]
        lines.append("Gives " + "; ".join(told) + ".\n")
    if activation.source:
        lines.append(f"Source: {activation.source}\n")
    return "\n".join(lines)

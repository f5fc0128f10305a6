"""`lineage`: runs what dataflow matrix machines are known to do, and compares with what is known of it."""

import json
from typing import Annotated

import typer


def lineage(
    rows: Annotated[list[str], typer.Argument(help="Rows of the catalogue, such as A2 B9; none: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Rows as JSON.")] = False,
):
    """Run the programs of the lineage and compare them with what is known."""
    failed = 0
    for row in chosen(rows or ()):
        try:
            obtained, passed = row.obtain()
        except Exception as error:  # one broken row must not hide the others
            obtained, passed = f"{type(error).__name__}: {error}", False
        failed += not passed
        if as_json:
            told = {"row": row.name, "title": row.title, "patch": row.patch, "expected": row.expected}
            print(json.dumps({**told, "obtained": obtained, "pass": bool(passed)}), flush=True)
        else:
            print(f"{row.name:5} {'pass' if passed else 'FAIL'}  {row.title}", flush=True)
            print(f"      expected: {row.expected}\n      obtained: {obtained}", flush=True)
    return 1 if failed else 0


def all_rows():
    """Every row, in the order of the catalogue."""
    import pkgutil
    from importlib import import_module

    from dmm_av.commands import lineage_rows

    found = []
    for module in sorted(one.name for one in pkgutil.iter_modules(lineage_rows.__path__)):
        found += getattr(import_module(f"{lineage_rows.__name__}.{module}"), "ROWS", [])
    return sorted(found, key=lambda row: (row.name[0], int("".join(c for c in row.name[1:] if c.isdigit())), row.name))


def chosen(names):
    """The rows of these names, or all.

    Errors: a sentence for a name that no row has.
    """
    from dmm_av.errors import EditError, unknown

    known = all_rows()
    for name in names:
        if name.upper() not in {row.name.upper() for row in known}:
            raise unknown("lineage", "row", name, [row.name for row in known], EditError)
    wanted = {name.upper() for name in names}
    return [row for row in known if not wanted or row.name.upper() in wanted]

"""The command line: one sub-command a file. Nothing heavy is imported before a command is chosen."""

import sys

import typer

from dmm_av.commands import bench, check, doctor, edit, listing, play, render, trace, warm
from dmm_av.errors import DmmError

commands = typer.Typer(
    name="app.py",
    help="Plays, renders and edits networks of pictures, matrices and sound.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, command in (
    ("play", play.play),
    ("render", render.render),
    ("trace", trace.trace),
    ("edit", edit.edit),
    ("check", check.check),
    ("list", listing.list_),
    ("doctor", doctor.doctor),
    ("bench", bench.bench),
    ("warm", warm.warm),
):
    context = {"ignore_unknown_options": True} if name in ("edit", "bench") else {}
    commands.command(name, context_settings=context)(command)


def main(arguments=None):
    """Runs the command line; returns the exit status. A mistake of the player is one sentence on stderr."""
    try:
        return commands(args=arguments, standalone_mode=False) or 0
    except DmmError as error:
        print(error, file=sys.stderr)
        return 1
    except typer.Exit as leaving:
        return leaving.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        return 130
    except Exception as error:
        if hasattr(error, "format_message"):
            print(f"{error.format_message()} `app.py --help` lists what there is.", file=sys.stderr)
            return 2
        raise

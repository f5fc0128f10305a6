"""The command line: one sub-command a file. Nothing heavy is imported before a command is chosen."""

import re
import sys

import typer
from typer.core import TyperOption

from dmm_av.commands import bench, check, doctor, edit, lineage, listing, play, render, trace, warm
from dmm_av.errors import DmmError, nearest

PROGRAM = "app.py"
INTERRUPTED = 130

commands = typer.Typer(
    name=PROGRAM,
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
    ("lineage", lineage.lineage),
    ("warm", warm.warm),
):
    context = {"ignore_unknown_options": True} if name in ("edit", "bench") else {}
    commands.command(name, context_settings=context)(command)


def main(arguments=None):
    """Runs the command line; returns the exit status. A mistake of the player is one sentence on stderr."""
    try:
        status = commands(args=arguments, standalone_mode=False, prog_name=PROGRAM) or 0
    except DmmError as error:
        print(error, file=sys.stderr)
        return 1
    except typer.Exit as leaving:
        status = leaving.exit_code
    except (typer.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except OSError as error:
        print(_system_sentence(error), file=sys.stderr)
        return 1
    except Exception as error:
        if hasattr(error, "format_message"):
            print(_usage_sentence(error), file=sys.stderr)
            return 2
        raise
    if status == INTERRUPTED:
        print("stopped", file=sys.stderr)
    return status


def _system_sentence(error):
    """What the system said, without a traceback."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}. Check the path, its permissions and the space on the disk."


def _usage_sentence(error):
    """A mistyped command line: where, what, remedy."""
    context = getattr(error, "ctx", None)
    kind = type(error).__name__
    if context is None or kind == "NoArgsIsHelpError":
        return error.format_message()
    where = PROGRAM if context.parent is None else context.info_name
    remedy = f"`{context.command_path} -h` shows what there is."
    if kind == "NoSuchOption":
        options = [name for one in context.command.params if isinstance(one, TyperOption) for name in one.opts]
        remedy = nearest(error.option_name, options) if options else remedy
        return f"{where}: no option is called `{error.option_name}`. {remedy}"
    if unknown := re.match("No such command '(.*?)'", error.format_message()):
        return f"{where}: no command is called `{unknown[1]}`. {nearest(unknown[1], context.command.commands)}"
    parameter = getattr(error, "param", None)
    if parameter is not None:
        what = parameter.opts[0] if isinstance(parameter, TyperOption) else parameter.metavar or parameter.name
        if kind == "MissingParameter":
            return f"{where}: {what} is missing. {remedy}"
        said = error.message.removeprefix("Value error, ").removesuffix(".")
        return f"{where}: {what} cannot be this: {said}. {remedy}"
    return f"{where}: {error.format_message().rstrip('.')}. {remedy}"

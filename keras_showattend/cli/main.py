"""Entry point of `keras-showattend`: finds the command, runs it, tells errors in one line."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import keras_showattend
from keras_showattend.cli.console import PROGRAM, say

# Name, line of help. The module `keras_showattend.cli.NAME` has `add_arguments(parser)` and
# `run(args) -> int`, and may have `interrupted(args) -> str`, which tells how to go on.
COMMANDS = {
    "caption": "describe pictures in words",
    "train": "train a captioner on pictures with captions",
    "evaluate": "score a captioner, with intervals and warnings",
    "average": "melt captioners that were trained on from one into one",
    "explain": "show where each word of a caption looked",
    "presets": "list the captioners that can be loaded by name",
    "push": "publish a captioner on the Hugging Face Hub",
}

# As a shell reports a command that Ctrl-C or a closed pipe ended: 128 + the signal's number.
INTERRUPTED = 130
PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after the program's name. Defaults to those it was started with.

    Returns:
        int: 0 if all went well; 1 if some of the input could not be used; 2 for wrong
        arguments or an error that ended the command; 130 after Ctrl-C.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    # The first word without a dash, because the options before it take no values.
    name = next((word for word in argv if not word.startswith("-")), None)
    try:
        args = _parser(name).parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    args.argv = argv
    with warnings.catch_warnings():
        if not args.debug:
            warnings.showwarning = _show_warning
        return _run(_module(args.command), args)


def _run(command, args: argparse.Namespace) -> int:
    try:
        code = command.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        how_to_go_on = command.interrupted(args) if hasattr(command, "interrupted") else ""
        say(f"stopped. {how_to_go_on}".strip())
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more on its way out, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except (ValueError, OverflowError, OSError, ModuleNotFoundError) as error:
        if args.debug:
            traceback.print_exc()
        say(f"error: {error}")
        return 2


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    say(f"warning: {message}")


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """The parser; only the chosen command's module is imported to add its arguments."""
    debug = argparse.ArgumentParser(add_help=False)
    debug.add_argument(
        "--debug", action="store_true", help="show where in the program an error arose"
    )
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Image captioning for Keras 3: Show, Attend and Tell.",
        epilog=f"`{PROGRAM} COMMAND --help` tells the options of a command.",
    )
    version = f"{PROGRAM} {keras_showattend.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        description = summary[0].upper() + summary[1:] + "."
        command = commands.add_parser(
            name, help=summary, description=description, parents=[debug], allow_abbrev=False
        )
        if name == chosen:
            _module(name).add_arguments(command)
    return parser


def _module(name: str):
    return importlib.import_module(f"keras_showattend.cli.{name}")


if __name__ == "__main__":
    sys.exit(main())

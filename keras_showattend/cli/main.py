"""Entry point of `keras-showattend`: finds the command, runs it, reports errors in one line."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn, TextIO

import keras_showattend
from keras_showattend._text import printable
from keras_showattend.cli.console import PROGRAM, as_message, say
from keras_showattend.cli.image_options import size_limit
from keras_showattend.cli.interrupts import INTERRUPTED, prompt_interrupts
from keras_showattend.cli.quiet import quiet_tensorflow

# Name, line of help. The module `keras_showattend.cli.NAME` has `add_arguments(parser)` and
# `run(args) -> int`, and may have `interrupted(args) -> str`, which tells how to resume.
COMMANDS = {
    "caption": "describe images in words",
    "alt": "write alt texts for the images of web pages",
    "train": "train a captioner on images with captions",
    "evaluate": "score a captioner, with confidence intervals and warnings",
    "average": "average the weights of captioners fine-tuned from the same one",
    "explain": "show where each word of a caption looked",
    "demo": "caption images of visitors on a page of this machine",
    "web": "write a page that captions images in the visitor's browser",
    "export": "write a captioner as one file for other runtimes",
    "presets": "list the captioners that can be loaded by name",
    "push": "publish a captioner on the Hugging Face Hub",
}

# As a shell reports a command that a closed pipe ended: 128 + the signal's number.
PIPE_CLOSED = 141
# What the operating system says when a disk, a quota or a file is full.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def program() -> NoReturn:
    """Runs the command that the process was started with, and ends the process."""
    code = main()
    if code == INTERRUPTED:
        # Threads that still compute or read files would be waited for otherwise.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after the program's name. Defaults to those it was started with.

    Returns:
        int: 0 on success; 1 if some of the input could not be used; 2 for wrong arguments or
        an error that ended the command; 130 after Ctrl-C; 141 if the reader of stdout went
        away.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    # The first word without a dash, because the options before it take no values.
    name = next((word for word in argv if not word.startswith("-")), None)
    try:
        args = _parser(name).parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    args.argv = argv
    command = _module(args.command)
    with warnings.catch_warnings(), prompt_interrupts(lambda: as_message(_stopped(command, args))):
        if not args.debug:
            warnings.showwarning = _show_warning
        with quiet_tensorflow(), size_limit(args):
            return _run(command, args)


def _run(command: ModuleType, args: argparse.Namespace) -> int:
    try:
        code: int = command.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        say(_stopped(command, args))
        return INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return PIPE_CLOSED
    except (ValueError, OverflowError, OSError, ImportError, RuntimeError) as error:
        if args.debug:
            say(traceback.format_exc())
        say(f"error: {_naming_stdout(error)}{_remedy(error, command, args)}")
        try:
            sys.stdout.flush()
        except OSError:
            _discard_stdout()
        return 2


def _naming_stdout(error: Exception) -> Exception:
    """The error of a write to a full disk names its file, unless it was stdout."""
    if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
        return type(error)(error.errno, error.strerror, "stdout")
    return error


def _remedy(error: Exception, command: ModuleType, args: argparse.Namespace) -> str:
    """What to do about a full disk, where a command can be resumed."""
    is_full = isinstance(error, OSError) and error.errno in _FULL
    if not is_full or not hasattr(command, "interrupted"):
        return ""
    return f". Make room on the disk. {command.interrupted(args)}"


def _stopped(command: ModuleType, args: argparse.Namespace) -> str:
    how_to_resume = command.interrupted(args) if hasattr(command, "interrupted") else ""
    return f"stopped. {how_to_resume}".strip()


def _discard_stdout() -> None:
    # Python flushes stdout once more on its way out, which must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    say(f"warning: {message}")


class _Parser(argparse.ArgumentParser):
    """A parser whose messages are safe to show, whatever the arguments hold."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message, keep="\n"))


def _parser(chosen: str | None) -> _Parser:
    """The parser; only the chosen command's module is imported to add its arguments."""
    debug = _Parser(add_help=False)
    debug.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = _Parser(
        prog=PROGRAM,
        description="Image captioning for Keras 3: Show, Attend and Tell.",
        epilog=f"`{PROGRAM} COMMAND --help` lists the options of a command.",
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


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"keras_showattend.cli.{name}")


if __name__ == "__main__":
    program()

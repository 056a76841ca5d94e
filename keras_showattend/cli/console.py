"""What commands share: messages on stderr, kinds of numbers for options, preset folders."""

from __future__ import annotations

import argparse
import pathlib
import sys

PROGRAM = "keras-showattend"


def say(message: str) -> None:
    """Tells the user something that is not data: on stderr, under the program's name."""
    print(f"{PROGRAM}: {message}", file=sys.stderr, flush=True)


def positive_int(text: str) -> int:
    """Reads an option's value that is a whole number of at least 1."""
    return _int_from(1, text)


def natural_int(text: str) -> int:
    """Reads an option's value that is a whole number of at least 0."""
    return _int_from(0, text)


def _int_from(least: int, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least {least}. Received: {text}"
        )
    return value


def fraction(text: str) -> float:
    """Reads an option's value that lies between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be a number between 0 and 1. Received: {text}")
    return value


def check_preset_output(output: pathlib.Path, overwrite: bool) -> None:
    """Refuses an `--output` where no preset can be saved, or only over another one.

    Args:
        output: the folder.
        overwrite: whether a preset that is there may be replaced.

    Raises:
        ValueError: for a file, or for a finished preset.
    """
    if output.exists() and not output.is_dir():
        raise ValueError(f"`--output` is a folder: name another one. Received: '{output}'")
    if (output / "config.json").exists() and not overwrite:
        raise ValueError(
            "`--output` holds a finished preset already: name another folder, or replace it "
            f"with `--overwrite`. Received: '{output}'"
        )

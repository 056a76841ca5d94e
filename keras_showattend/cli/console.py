"""What commands share: messages on stderr, JSON on stdout, option values, preset folders."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import Any

from keras_showattend._files import write_text
from keras_showattend._text import printable
from keras_showattend._typing import PathLike

PROGRAM = "keras-showattend"


def say(message: str) -> None:
    """Tells the user something that is not data: on stderr, under the program's name."""
    print(as_message(message), end="", file=sys.stderr, flush=True)


def as_message(message: str) -> str:
    """What `say` writes: control characters are escaped, but for the ends of lines."""
    text = printable(message.rstrip("\n"), keep="\n")
    return f"{PROGRAM}: {text}\n"


def json_line(value: Any) -> str:
    """A value as one line of JSON, readable in every language."""
    return _json_text(value)


def write_json(value: Any, path: PathLike | None = None) -> None:
    """Writes a value as indented JSON.

    Args:
        value: what `json.dumps` takes.
        path: the file, which is replaced as a whole. stdout if None.
    """
    text = _json_text(value, indent=2)
    if path is None:
        sys.stdout.write(text)
    else:
        write_text(path, text)


def _json_text(value: Any, **options: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, **options)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # A file name that is no UTF-8 holds lone surrogates, which only escapes can carry.
        text = json.dumps(value, **options)
    return text + "\n"


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


def positive_float(text: str) -> float:
    """Reads an option's value that is a number above 0."""
    return _float_below(float("inf"), "above 0", text)


def fraction(text: str) -> float:
    """Reads an option's value that lies between 0 and 1."""
    return _float_below(1.0, "between 0 and 1", text)


def _float_below(limit: float, rule: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < limit:
        raise argparse.ArgumentTypeError(f"must be a number {rule}. Received: {text}")
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
        raise ValueError(f"`--output` must be a folder: name another one. Received: '{output}'")
    if (output / "config.json").exists() and not overwrite:
        raise ValueError(
            "`--output` holds a finished preset already: name another folder, or replace it "
            f"with `--overwrite`. Received: '{output}'"
        )

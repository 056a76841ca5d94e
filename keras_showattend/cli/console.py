"""What commands share: messages on stderr, and kinds of numbers for options."""

from __future__ import annotations

import argparse
import sys

PROGRAM = "keras-showattend"


def say(message: str) -> None:
    """Tells the user something that is not data: on stderr, under the program's name."""
    print(f"{PROGRAM}: {message}", file=sys.stderr, flush=True)


def positive_int(text: str) -> int:
    """Reads an option's value that is a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text}")
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

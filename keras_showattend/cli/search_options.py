"""Options of the search, which every command that captions pictures has."""

from __future__ import annotations

import argparse
from typing import Any

from keras_showattend.cli.console import natural_int, positive_int

NAMES = ("num_beams", "length_penalty", "no_repeat_ngram_size", "max_length")


def add_search_options(parser) -> None:
    """Adds them to an `argparse` parser or group."""
    parser.add_argument(
        "--num-beams", type=positive_int, help="beams of the search, 1 for greedy (default: 5)"
    )
    parser.add_argument(
        "--length-penalty",
        type=float,
        help="rank beams by log-probability / length ** this (default: 0.9)",
    )
    parser.add_argument(
        "--no-repeat-ngram-size",
        type=natural_int,
        metavar="N",
        help="no caption holds the same N words in a row twice, 0 for any (default: 2)",
    )
    parser.add_argument("--max-length", type=positive_int, help="most words of a caption")


def search_options(args: argparse.Namespace) -> dict[str, Any]:
    """Those that were given, as arguments of `ImageCaptioner.generate`."""
    return {name: value for name in NAMES if (value := getattr(args, name)) is not None}

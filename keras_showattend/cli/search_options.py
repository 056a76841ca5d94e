"""Options of the search, which every command that captions images has."""

from __future__ import annotations

import argparse
from typing import Any

from keras_showattend.cli.console import fraction, natural_int, positive_int

# What `ImageCaptioner.generate` does by default. Said here once more, because a command
# shows its help and compares its settings with those of a file without importing Keras.
DEFAULTS: dict[str, Any] = {
    "num_beams": 5,
    "length_penalty": 0.9,
    "no_repeat_ngram_size": 2,
    "max_length": None,
    "cautious": None,
}


def add_search_options(parser: argparse._ActionsContainer) -> None:
    """Adds them to an `argparse` parser or group."""
    parser.add_argument(
        "--num-beams",
        type=positive_int,
        metavar="N",
        help="beams of the beam search, 1 for greedy search (default: %(default)s)",
    )
    parser.add_argument(
        "--length-penalty",
        type=float,
        metavar="P",
        help="rank beams by log-probability / length ** P (default: %(default)s)",
    )
    parser.add_argument(
        "--no-repeat-ngram-size",
        type=natural_int,
        metavar="N",
        help="let no caption repeat a sequence of N words, 0 to allow all (default: %(default)s)",
    )
    parser.add_argument(
        "--max-length",
        type=positive_int,
        metavar="N",
        help="cut captions after N words (default: as the captioner was trained)",
    )
    parser.add_argument(
        "--cautious",
        type=fraction,
        metavar="P",
        help="reword captions so that each word has a confidence of P, between 0 and 1, where "
        "that can be done (default: words as they come)",
    )
    parser.set_defaults(**DEFAULTS)


def search_options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `ImageCaptioner.generate`."""
    return {name: value for name in DEFAULTS if (value := getattr(args, name)) is not None}

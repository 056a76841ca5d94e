"""Options of how a caption becomes an alt text, for every command that writes alt texts."""

from __future__ import annotations

import argparse

from keras_showattend.alt_text.style import AltTextStyle
from keras_showattend.cli.console import positive_int


def add_style_options(parser: argparse._ActionsContainer) -> None:
    """Adds them to an `argparse` parser or group."""
    parser.add_argument(
        "--max-characters",
        type=positive_int,
        metavar="N",
        default=AltTextStyle.max_characters,
        help="cut alt texts after a whole word, at N characters (default: %(default)s)",
    )
    parser.add_argument(
        "--no-full-stop", action="store_true", help="end alt texts without a full stop"
    )
    parser.add_argument(
        "--no-sentence-case", action="store_true", help="leave the first letter as it is"
    )
    parser.add_argument("--keep-opening", action="store_true", help='leave "An image of" in front')


def alt_text_style(args: argparse.Namespace) -> AltTextStyle:
    """The style that was asked for."""
    return AltTextStyle(
        max_characters=args.max_characters,
        full_stop=not args.no_full_stop,
        sentence_case=not args.no_sentence_case,
        drop_opening=not args.keep_opening,
    )

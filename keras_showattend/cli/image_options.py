"""Options of how images are read, for every command that reads images."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

from keras_showattend.cli.console import positive_float


def add_size_limit(parser: argparse._ActionsContainer) -> None:
    """Adds `--max-megapixels` to an `argparse` parser or group."""
    parser.add_argument(
        "--max-megapixels",
        type=positive_float,
        metavar="N",
        help="read images of up to N million pixels, if you trust them (default: 89; JPEG more)",
    )


@contextlib.contextmanager
def size_limit(args: argparse.Namespace) -> Iterator[None]:
    """Reads images of that size inside the block; commands without the option as always."""
    megapixels = getattr(args, "max_megapixels", None)
    if megapixels is None:
        yield
        return
    from PIL import Image

    default = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = round(megapixels * 1_000_000)
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = default

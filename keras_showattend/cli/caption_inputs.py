"""Which images `keras-showattend caption` was asked for. Nothing here imports Keras."""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence
from typing import NamedTuple

from keras_showattend._text import is_url, printable

# How many files a message names.
_MOST_NAMES = 5


class Inputs(NamedTuple):
    """The images that the arguments lead to.

    Attributes:
        images: paths in the order of the arguments, each once.
        left_out: paths of images in formats that are not read here.
    """

    images: list[str]
    left_out: list[str]


def check_inputs(inputs: Sequence[str]) -> None:
    """Refuses what can be seen to be wrong from the arguments alone.

    Args:
        inputs: paths of images and folders.

    Raises:
        ValueError: for a URL, something that does not exist, or an argument given twice.
    """
    seen: dict[str, str] = {}
    for path in inputs:
        if is_url(path):
            raise ValueError(
                "An image must be a file on this machine: download it, then pass the file. "
                f"Received: {path}"
            )
        if not os.path.exists(path):
            raise ValueError(
                "Each argument must be an existing image or folder: check the spelling and the "
                f"working folder. Received: {path!r}"
            )
        key = os.path.abspath(path)
        if key in seen:
            raise ValueError(
                "Each image or folder is given once: leave one out. "
                f"Received: {seen[key]!r} and {path!r}"
            )
        seen[key] = path


def list_inputs(inputs: Sequence[str], recursive: bool) -> Inputs:
    """Lists the images: files as given, folders by the images in them.

    Args:
        inputs: what `check_inputs` has let pass.
        recursive: whether to look into the sub-folders of folders.

    Raises:
        ValueError: for a folder without images that can be read.
    """
    # Importing Pillow takes a moment, which wrong arguments need not wait for.
    from keras_showattend.preprocessing.image_folders import list_images

    images: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for path in inputs:
        if not os.path.isdir(path):
            images.setdefault(os.path.abspath(path), path)
            continue
        listing = list_images(path, recursive)
        if not listing.images:
            raise _nothing_in(path, recursive, [os.fspath(path) for path in listing.unreadable])
        for found, listed in zip((images, left_out), listing, strict=True):
            for name in map(os.fspath, listed):
                found.setdefault(os.path.abspath(name), name)
    return Inputs(list(images.values()), list(left_out.values()))


def describe_left_out(paths: Sequence[str]) -> str:
    """Says how many images of which formats were left out, names some, and what helps."""
    # Importing Pillow takes a moment, which wrong arguments need not wait for.
    from keras_showattend.preprocessing.image_formats import HEIF_HINT

    endings = [os.path.splitext(path)[1].lower() for path in paths]
    counts = ", ".join(f"{n} {ending}" for ending, n in collections.Counter(endings).items())
    names = ", ".join(map(printable, paths[:_MOST_NAMES]))
    more = f" and {len(paths) - _MOST_NAMES} more" if len(paths) > _MOST_NAMES else ""
    hint = f" {HEIF_HINT}" if any(e.startswith((".hei", ".hif")) for e in endings) else ""
    return f"images in formats that are not read ({counts}): {names}{more}.{hint}"


def _nothing_in(folder: str, recursive: bool, left_out: list[str]) -> ValueError:
    where = "or its sub-folders" if recursive else "itself; leave `--no-recursive` out"
    rule = f"A folder must hold images that can be read (.jpg, .png and the like) {where}. "
    found = "none"
    if left_out:
        found = f"only {describe_left_out(left_out)}"
    return ValueError(f"{rule}Received: {folder!r}, which has {found}")

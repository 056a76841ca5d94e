"""Which pictures `keras-showattend caption` was asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)


def check_inputs(inputs: Sequence[str]) -> None:
    """Refuses what can be seen to be wrong from the arguments, without importing Keras.

    Args:
        inputs: paths of pictures and folders.

    Raises:
        ValueError: for a URL, something that does not exist, or an argument given twice.
    """
    seen: dict[str, str] = {}
    for path in inputs:
        if _URL.match(path):
            raise ValueError(
                "Pictures are files on this machine: download it, then pass the file. "
                f"Received: {path}"
            )
        if not os.path.exists(path):
            raise ValueError(
                "Each argument is an existing picture or folder: check the spelling and the "
                f"working folder. Received: {path!r}"
            )
        key = os.path.abspath(path)
        if key in seen:
            raise ValueError(
                "Each picture or folder is given once: leave one out. "
                f"Received: {seen[key]!r} and {path!r}"
            )
        seen[key] = path


def list_inputs(inputs: Sequence[str], recursive: bool) -> list[str]:
    """Lists the pictures: files as given, folders by the pictures in them.

    Args:
        inputs: what `check_inputs` has let pass.
        recursive: whether to look into the folders' sub-folders.

    Returns:
        Paths in the order of the arguments; one that two arguments lead to is listed once.

    Raises:
        ValueError: for a folder without pictures.
    """
    found: dict[str, str] = {}
    for path in inputs:
        pictures = _pictures_of(path, recursive) if os.path.isdir(path) else [path]
        for picture in pictures:
            found.setdefault(os.path.abspath(picture), picture)
    return list(found.values())


def _pictures_of(folder: str, recursive: bool) -> list[str]:
    # Importing this imports Keras.
    from keras_showattend.preprocessing.images import find_images

    pictures = [os.fspath(path) for path in find_images(folder, recursive)]
    if not pictures:
        where = "or its sub-folders" if recursive else "itself; leave `--no-recursive` out"
        raise ValueError(
            f"A folder must hold pictures (.jpg, .png and the like) {where}. "
            f"Received: {folder!r}, which has none"
        )
    return pictures

"""The image files of a folder. Nothing here imports Keras or a backend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from keras_showattend._typing import PathLike
from keras_showattend.preprocessing.image_formats import (
    image_extensions,
    unreadable_image_extensions,
)
from keras_showattend.preprocessing.image_sources import refuse


class ImageListing(NamedTuple):
    """The image files of a folder, both lists sorted by path.

    `unreadable` holds those whose ending is that of an image in a format that is not read here,
    such as HEIC without `pillow-heif`, camera raw or SVG.
    """

    images: list[Path]
    unreadable: list[Path]


def list_images(folder: PathLike, recursive: bool = True) -> ImageListing:
    """Lists the image files of a folder by their endings; hidden files are left out.

    Args:
        folder: an existing folder.
        recursive: whether to look into its sub-folders. Links to folders are not followed.

    Returns:
        `ImageListing`.

    Raises:
        ImageError: if `folder` is missing, is a file, or cannot be listed.
    """
    if not os.path.isdir(folder):
        remedy = "pass a file to `load_image`" if os.path.isfile(folder) else "check the spelling"
        raise refuse(f"An existing folder is needed: {remedy}.", folder)
    readable, unreadable = image_extensions(), unreadable_image_extensions()
    listing = ImageListing([], [])
    try:
        for parent, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if recursive and not name.startswith(".")]
            for name in names:
                ending = os.path.splitext(name)[1].lower()
                if name.startswith("."):
                    continue
                if ending in readable:
                    listing.images.append(Path(parent, name))
                elif ending in unreadable:
                    listing.unreadable.append(Path(parent, name))
    except OSError as error:
        raise refuse(f"A folder must be readable: {error.strerror}.", folder) from error
    return ImageListing(*(sorted(paths, key=os.fspath) for paths in listing))


def find_images(folder: PathLike, recursive: bool = True) -> list[Path]:
    """Lists the image files of a folder that can be read; see `list_images`."""
    return list_images(folder, recursive).images


def _raise(error: OSError) -> None:
    raise error

"""The image files of a folder. Nothing here imports Keras or a backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

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


class FoundImage(NamedTuple):
    """An image file that `walk_images` came upon.

    `is_readable` is False where the ending is that of an image in a format that is not read here.
    """

    path: str
    is_readable: bool


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

    def stop(error: OSError) -> NoReturn:
        raise refuse(f"A folder must be readable: {error.strerror}.", folder) from error

    listing = ImageListing([], [])
    for path, is_readable in walk_images(folder, recursive, on_error=stop):
        (listing.images if is_readable else listing.unreadable).append(Path(path))
    return listing


def find_images(folder: PathLike, recursive: bool = True) -> list[Path]:
    """Lists the image files of a folder that can be read; see `list_images`."""
    return list_images(folder, recursive).images


def walk_images(
    folder: PathLike,
    recursive: bool = True,
    *,
    keeps: Callable[[str, bool], bool] = lambda path, is_folder: True,
    on_error: Callable[[OSError], object],
) -> Iterator[FoundImage]:
    """Finds the image files of a tree one after the other, sorted by path.

    At any time the names of one folder and of those above it are in memory, not those of the
    whole tree.

    Args:
        folder: an existing folder.
        recursive: whether to look into its sub-folders. Links to folders are not followed.
        keeps: function of a path and whether it is a folder: False leaves it out.
        on_error: function of the error of a folder that cannot be listed; the walk goes on.

    Yields:
        `FoundImage`.
    """
    readable, unreadable = image_extensions(), unreadable_image_extensions()
    root = "" if os.fspath(Path(folder)) == "." else os.fspath(Path(folder))
    waiting: list[Iterator[tuple[str, bool]]] = [iter([(root, True)])]
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            continue
        path, is_folder = entry
        if is_folder:
            try:
                entries = _entries(path, recursive)
            except OSError as error:
                on_error(error)
            else:
                waiting.append(filter(lambda entry: keeps(*entry), entries))
        else:
            ending = os.path.splitext(path)[1].lower()
            if ending in readable:
                yield FoundImage(path, True)
            elif ending in unreadable:
                yield FoundImage(path, False)


def _entries(folder: str, recursive: bool) -> list[tuple[str, bool]]:
    """The files and sub-folders of a folder, in the order in which their paths sort."""
    found = []
    with os.scandir(folder or ".") as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
            except OSError:
                # A link to itself. Whoever reads it reports why it cannot be read.
                is_folder = False
            if is_folder and (not recursive or entry.is_symlink()):
                continue
            # The separator counts: "a-b.jpg" comes before "a/b.jpg".
            found.append((entry.name + os.sep * is_folder, is_folder))
    found.sort()
    return [(os.path.join(folder, name.removesuffix(os.sep)), is_dir) for name, is_dir in found]

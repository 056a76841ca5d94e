"""Where the image files of a dataset are."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from keras_showattend._typing import PathLike
from keras_showattend.data.report import DatasetError

# Names of sub-folders that hold the images in the usual copies of Flickr8k and its kin.
IMAGE_FOLDERS = (
    *("", "images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset"),
    *("flickr30k_images", "flickr30k-images"),
)


def image_folders(path: PathLike, images: PathLike | None) -> list[str]:
    """Lists where the images of the captions file `path` may be, the first guess first.

    Raises:
        DatasetError: `images` is given and is no folder.
    """
    if images is None:
        beside = os.fspath(path) if os.path.isdir(path) else os.path.dirname(path)
        # Names may also count from the working folder, as those that `caption` writes do.
        folders = [os.path.join(beside, folder) for folder in IMAGE_FOLDERS]
        return list(dict.fromkeys([*folders, ""]))
    if not os.path.isdir(images):
        raise DatasetError(
            "`images` is an existing folder of image files: check the path. "
            f"Received: images={os.fspath(images)!r}"
        )
    return [os.fspath(images)]


@dataclass
class FoundFiles:
    """Where the files of a dataset are.

    Attributes:
        paths: name -> full path of each file that was found.
        guessed: those of `paths` that are spelled otherwise than asked for.
        ambiguous: name -> full paths, where several files may be meant and none is taken.
    """

    paths: dict[str, str] = field(default_factory=dict)
    guessed: set[str] = field(default_factory=set)
    ambiguous: dict[str, list[str]] = field(default_factory=dict)


def find_files(paths: Mapping[str, str], folders: Sequence[str]) -> FoundFiles:
    """Looks for each file where it may be.

    In this order: as it is written, under the folder that holds most of the files, then under
    the others; with another form of Unicode, or with slashes for backslashes; in a sub-folder
    of a folder; with upper and lower case disregarded; and by its name without its folders.
    The last two are guesses. From the second step on, a file must be the only candidate.

    Args:
        paths: name -> path of a file, relative to one of the folders or absolute.
        folders: where to look.

    Returns:
        `FoundFiles`.
    """
    disk, found = _Disk(), FoundFiles()
    exact = {f: {n for n, p in paths.items() if disk.has(os.path.join(f, p))} for f in folders}
    # Sorting is stable: of two folders that hold as many files, the first guess counts.
    ranked = sorted(folders, key=lambda folder: -len(exact[folder]))
    for folder in ranked:
        for name in exact[folder]:
            found.paths.setdefault(name, os.path.join(folder, paths[name]))
    below: list[str] = []
    for searched, key, whole_path, is_guess in (
        (ranked, _composed, True, False),
        (below, _composed, True, False),
        (ranked, _caseless, True, True),
        (below, _caseless, True, True),
        (ranked, _caseless, False, True),
    ):
        missing = paths.keys() - found.paths.keys() - found.ambiguous.keys()
        if missing and searched is below and not below:
            below += _subfolders(folders)
        for name in missing:
            path = paths[name].replace("\\", "/")
            path = path if whole_path else path.rpartition("/")[2]
            candidates = disk.candidates(searched, path, key)
            if len(candidates) == 1:
                found.paths[name] = candidates[0]
                if is_guess:
                    found.guessed.add(name)
            elif candidates:
                found.ambiguous[name] = candidates
    return found


class _Disk:
    """Listings of folders, each read once.

    A stat for each of 40,000 files takes minutes on a network disk.
    """

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}
        self._by_key: dict[tuple[str, Callable[[str], str]], dict[str, list[str]]] = {}

    def names(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder or os.curdir))
            except (OSError, ValueError):
                self._names[folder] = frozenset()
        return self._names[folder]

    def has(self, path: str) -> bool:
        folder, base = os.path.split(path)
        return base in self.names(folder)

    def candidates(self, folders: Sequence[str], path: str, key: Callable[[str], str]) -> list[str]:
        """The files that have the name of `path` by a key, without duplicates."""
        parent, base = os.path.split(path)
        matches: dict[str, None] = {}
        for folder in folders:
            full = os.path.join(folder, parent)
            if (full, key) not in self._by_key:
                grouped: dict[str, list[str]] = {}
                for name in sorted(self.names(full)):
                    grouped.setdefault(key(name), []).append(name)
                self._by_key[full, key] = grouped
            for name in self._by_key[full, key].get(key(base), []):
                matches[os.path.join(full, name)] = None
        return list(matches)


def _subfolders(folders: Sequence[str]) -> list[str]:
    below = []
    for folder in folders:
        # The working folder is searched for paths from there, not for what lies around it.
        if folder and os.path.isdir(folder):
            with os.scandir(folder) as entries:
                below += sorted(e.path for e in entries if e.is_dir() and e.name[0] != ".")
    known = {os.path.abspath(folder) for folder in folders}
    return [folder for folder in below if os.path.abspath(folder) not in known]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _caseless(name: str) -> str:
    return _composed(_composed(name).casefold())

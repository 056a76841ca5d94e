"""What readers find, gathered into a `CaptionDataset` with a report of the problems."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

from keras_showattend.data.caption_dataset import CaptionDataset, CaptionedImage
from keras_showattend.data.image_files import FoundFiles, find_files
from keras_showattend.data.report import (
    AMBIGUOUS_IMAGE,
    CAPTION_NOT_TEXT,
    DUPLICATE_CAPTION,
    EMPTY_CAPTION,
    GUESSED_IMAGE,
    IN_TWO_SPLITS,
    LINE_BREAK,
    MISSING_IMAGE,
    NO_CAPTIONS,
    UNKNOWN_IMAGE,
    UNKNOWN_IN_SPLIT,
    USED,
    DatasetError,
    DatasetReport,
)
from keras_showattend.data.text_files import ENCODING_HINT
from keras_showattend.preprocessing.image_sources import ImageSource, describe_source


class CaptionCollector:
    """Gathers what a reader finds, sorts out the problems, and makes the `CaptionDataset`.

    A reader sets `empty` to the reason where it found nothing to read, and `undecoded` where
    a line was not in the encoding it was read in.
    """

    def __init__(self) -> None:
        self._images: dict[str, ImageSource] = {}
        self._captions: dict[str, dict[str, None]] = {}
        self._splits: dict[str, dict[str, None]] = {}
        self._found: dict[str, list[str]] = {}
        self.empty = ""
        self.undecoded = False

    def note(self, kind: str, name: str) -> None:
        """Remembers one problem."""
        self._found.setdefault(kind, []).append(name)

    def add_image(self, name: str, image: ImageSource) -> None:
        """Adds an image, unless its name is known; a str is a path, looked for at the end."""
        self._images.setdefault(name, image)
        self._captions.setdefault(name, {})

    def add_captions(self, name: str, captions: Any) -> None:
        """Adds one caption or a list of them to a known image, those that are good."""
        for caption in captions if isinstance(captions, list | tuple) else [captions]:
            if not isinstance(caption, str):
                self.note(CAPTION_NOT_TEXT, f"{name} ({describe_source(caption)})")
            elif not caption.strip():
                self.note(EMPTY_CAPTION, name)
            elif name not in self._captions:
                self.note(UNKNOWN_IMAGE, name)
            elif caption.strip() in self._captions[name]:
                self.note(DUPLICATE_CAPTION, name)
            else:
                if "\n" in caption.strip() or "\r" in caption.strip():
                    self.note(LINE_BREAK, name)
                self._captions[name][caption.strip()] = None

    def add_to_split(self, split: str, name: str) -> None:
        """Lists an image in a split, whether or not the image is known yet."""
        self._splits.setdefault(split, {})[name] = None

    def collect(self, folders: Sequence[str]) -> tuple[dict[str, CaptionedImage], FoundFiles]:
        """Looks for the image files.

        Args:
            folders: where the images may be.

        Returns:
            The captioned images by name, and where their files are. What is left out is noted.
        """
        paths = {key: image for key, image in self._images.items() if isinstance(image, str)}
        files = find_files(paths, folders)
        items = {}
        for name, image in self._images.items():
            if name in files.ambiguous:
                self.note(AMBIGUOUS_IMAGE, f"{image} ({' or '.join(files.ambiguous[name][:3])})")
            elif name in paths and name not in files.paths:
                self.note(MISSING_IMAGE, image)
            elif not self._captions[name]:
                self.note(NO_CAPTIONS, name)
            else:
                if name in files.guessed:
                    self.note(GUESSED_IMAGE, f"{image} ({files.paths[name]})")
                captions = tuple(self._captions[name])
                items[name] = CaptionedImage(files.paths.get(name, image), captions, name)
        return items, files

    @property
    def report(self) -> DatasetReport:
        """What was noted."""
        return DatasetReport({kind: tuple(names) for kind, names in self._found.items()})

    def finish(self, source: str, folders: Sequence[str], strict: bool) -> CaptionDataset:
        """Looks for the image files, and reports to whoever called the reader.

        Args:
            source: what was read, for messages.
            folders: where the images may be.
            strict: whether any problem is an error.

        Raises:
            DatasetError: for a problem while `strict`, or if no captioned image is left; says
                why.
        """
        items, files = self.collect(folders)
        splits = self._split(items)
        report = self.report
        if not items:
            existing = [folder or os.curdir for folder in folders if os.path.isdir(folder or ".")]
            looked = " or ".join(map(repr, existing))
            raise DatasetError(
                f"{source} gave no captioned image: {self._reason(files.paths)}. "
                f"Received: images in {looked}\n{report}"
            )
        if strict and report:
            raise DatasetError(f"{source} has problems, and `strict=True` allows none:\n{report}")
        if report:
            rule = "Used, but to be checked, from" if self._found.keys() <= USED else "Left out of"
            # 3 is the line that called the reader.
            warnings.warn(f"{rule} {source}:\n{report}", UserWarning, stacklevel=3)
        return CaptionDataset(items.values(), splits, report)

    def _split(self, items: dict[str, CaptionedImage]) -> dict[str, list[str]]:
        splits: dict[str, list[str]] = {}
        taken: set[str] = set()
        for split, names in self._splits.items():
            for name in names:
                if name not in self._images:
                    self.note(UNKNOWN_IN_SPLIT, f"{name} ({split})")
                elif name in taken:
                    self.note(IN_TWO_SPLITS, f"{name} ({split})")
            fresh = [name for name in names if name in items and name not in taken]
            splits[split] = fresh
            taken.update(fresh)
        return splits

    def _reason(self, present: dict[str, str]) -> str:
        """Why nothing is left, and what to do."""
        paths = [image for image in self._images.values() if isinstance(image, str)]
        if self.empty and not self._found:
            return self.empty
        if not self._images:
            none = "none of its lines can be read"
            return f"{none}, and some are not UTF-8: {ENCODING_HINT}" if self.undecoded else none
        if paths and not present:
            return f"none of its {len(paths)} image files is there: name their folder with `images`"
        return f"none of its {len(self._images)} images has both a file and a caption"

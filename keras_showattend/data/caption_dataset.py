"""Images with their captions: `CaptionDataset`."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from keras_showattend.data.report import DatasetError, DatasetReport
from keras_showattend.preprocessing.images import ImageSource, describe_source


@dataclass(frozen=True, eq=False)
class CaptionedImage:
    """One image, anything `load_image` reads, with its captions and its name in the dataset.

    Compared by identity, because an array has no single truth value.
    """

    image: ImageSource
    captions: tuple[str, ...]
    id: str


class CaptionDataset(Sequence[CaptionedImage]):
    """An immutable sequence of `CaptionedImage`, with named splits and a report of problems.

    Args:
        items: the captioned images; their ids differ.
        splits: split name -> ids, each id in one split at most; an image may be in none.
        problems: what the reader left out. Slices and splits carry the same report.

    Raises:
        DatasetError: nothing in it, an id twice, a split with an unknown id or a shared one.
    """

    def __init__(
        self,
        items: Iterable[CaptionedImage],
        splits: Mapping[str, Iterable[str]] | None = None,
        problems: DatasetReport | None = None,
    ):
        self._items = tuple(items)
        self._by_id = {item.id: item for item in self._items}
        self._splits = {name: tuple(ids) for name, ids in (splits or {}).items()}
        self.problems = problems or DatasetReport()
        if not self._items:
            raise DatasetError("A dataset holds at least one captioned image. Received: none")
        if len(self._by_id) < len(self._items):
            raise DatasetError(
                "The ids of a dataset differ: put all captions of an image in one item. "
                f"Received: {len(self._items)} items with {len(self._by_id)} ids"
            )
        listed = [key for ids in self._splits.values() for key in ids]
        if len(set(listed)) < len(listed) or not self._by_id.keys() >= set(listed):
            raise DatasetError(
                "Splits name images of the dataset, each in one split only. "
                f"Received: splits={ {name: len(ids) for name, ids in self._splits.items()} }"
            )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], strict: bool = False) -> CaptionDataset:
        """Makes a dataset of {"images": [...], "captions": [...]}, and optionally "ids": [...].

        Args:
            data: the images are what `load_image` reads; the captions of each are a string or a
                list of strings. Without ids, a path is its own id and image 3 of the list is "3".
                Several entries with one id are one image, with the captions of all.
            strict: raise for any problem, instead of leaving it out with one `UserWarning`.

        Raises:
            DatasetError: wrong keys or lengths, nothing left, or a problem while `strict`.
        """
        keys = set(data) if isinstance(data, Mapping) else set()
        if not {"images", "captions"} <= keys <= {"images", "captions", "ids"}:
            raise DatasetError(
                'A dict of captioned images has the keys "images" and "captions", and may have '
                f'"ids". Received: {sorted(map(str, keys)) or describe_source(data)}'
            )
        images, captions = list(data["images"]), list(data["captions"])
        ids = list(data.get("ids", [None] * len(images)))
        if isinstance(data["captions"], str) or not len(images) == len(captions) == len(ids):
            raise DatasetError(
                "There is one entry of captions (a string or a list) for each image. Received: "
                f"{len(images)} images, {len(captions)} captions, {len(ids)} ids"
            )
        # Imported here, because the collector makes datasets.
        from keras_showattend.data.collector import CaptionCollector

        gathered = CaptionCollector()
        for position, (image, texts, key) in enumerate(zip(images, captions, ids, strict=True)):
            is_path = isinstance(image, str | os.PathLike)
            name = str(image if is_path else position) if key is None else str(key)
            gathered.add_image(name, os.fspath(image) if is_path else image)
            gathered.add_captions(name, texts)
        return gathered.finish("the dict", [""], strict)

    @property
    def ids(self) -> list[str]:
        """The names of the images, in order."""
        return [item.id for item in self._items]

    @property
    def images(self) -> list[ImageSource]:
        """The images (not loaded), in order: pass them to `load_image`."""
        return [item.image for item in self._items]

    @property
    def captions(self) -> list[tuple[str, ...]]:
        """The captions of each image, in order."""
        return [item.captions for item in self._items]

    @property
    def split_names(self) -> list[str]:
        """The names of the splits."""
        return list(self._splits)

    @property
    def splits(self) -> dict[str, CaptionDataset]:
        """Every split by its name."""
        return {name: self.split(name) for name in self._splits}

    def references(self) -> dict[str, list[str]]:
        """Returns id -> captions, the form the metrics take."""
        return {item.id: list(item.captions) for item in self._items}

    def split(self, name: str) -> CaptionDataset:
        """Returns one split, in the order of its list.

        Raises:
            DatasetError: there is no split of that name, or none of its images is here.
        """
        if not self._splits.get(name):
            raise DatasetError(
                "A split is one the dataset names and has images of: see `split_names`, or make "
                f"some with `random_split`. Received: {name!r}, of {self.split_names}"
            )
        return CaptionDataset((self._by_id[key] for key in self._splits[name]), None, self.problems)

    def random_split(self, fractions: Mapping[str, float], seed: int = 0) -> CaptionDataset:
        """Returns the same images with new splits, drawn by image, so that no caption leaks.

        The draw depends on the set of ids and on the seed, never on the order of the images.

        Args:
            fractions: {"train": 0.9, "dev": 0.1}; positive and adding up to 1.
            seed: the same seed gives the same splits.

        Raises:
            DatasetError: fractions that break the rule, or a split that would have no image.
        """
        parts = list(fractions.values())
        if not parts or not all(part > 0 for part in parts) or abs(sum(parts) - 1) > 1e-6:
            raise DatasetError(
                'The fractions of a split are positive and add up to 1: {"train": 0.9, "dev": 0.1}.'
                f" Received: {dict(fractions)}"
            )
        drawn = sorted(self.ids)
        random.Random(seed).shuffle(drawn)
        splits, start, reached = {}, 0, 0.0
        for name, fraction in fractions.items():
            reached += fraction
            stop = round(reached * len(drawn))
            chosen = set(drawn[start:stop])
            splits[name] = [key for key in self.ids if key in chosen]
            start = stop
        if not all(splits.values()):
            raise DatasetError(
                "Every split gets at least one image: add images, or ask for fewer splits. "
                f"Received: {dict(fractions)} of {len(self)} images"
            )
        return CaptionDataset(self._items, splits, self.problems)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[CaptionedImage]:
        return iter(self._items)

    @overload
    def __getitem__(self, index: int) -> CaptionedImage: ...
    @overload
    def __getitem__(self, index: slice) -> CaptionDataset: ...
    def __getitem__(self, index: int | slice) -> CaptionedImage | CaptionDataset:
        if not isinstance(index, slice):
            return self._items[index]
        return self._subset(self._items[index], self.problems)

    def __add__(self, other: CaptionDataset) -> CaptionDataset:
        """Returns the images of both datasets, without splits.

        Raises:
            DatasetError: if both have an image of the same id.
        """
        if not isinstance(other, CaptionDataset):
            return NotImplemented
        return CaptionDataset(
            [*self._items, *other._items], problems=self.problems.merged(other.problems)
        )

    def without(self, ids: Iterable[str], problems: DatasetReport | None = None) -> CaptionDataset:
        """Returns the dataset without some of its images, also in the splits.

        Args:
            ids: names of the images to leave out.
            problems: the new dataset's report. Defaults to this one's.

        Raises:
            DatasetError: if no image is left.
        """
        dropped = set(ids)
        items = (item for item in self._items if item.id not in dropped)
        return self._subset(items, problems or self.problems)

    def _subset(self, items: Iterable[CaptionedImage], problems: DatasetReport) -> CaptionDataset:
        items = tuple(items)
        kept = {item.id for item in items}
        splits = {name: [k for k in ids if k in kept] for name, ids in self._splits.items()}
        return CaptionDataset(items, splits, problems)

    def __repr__(self) -> str:
        captions = sum(len(item.captions) for item in self._items)
        splits = "".join(f", {name}: {len(ids)}" for name, ids in self._splits.items())
        return f"CaptionDataset({len(self)} images, {captions} captions{splits})"

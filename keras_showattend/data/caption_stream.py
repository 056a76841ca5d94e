"""Captioned images that are read anew at each pass, as they do not fit into memory or on a disk."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from keras_showattend.data.caption_dataset import CaptionedImage
from keras_showattend.data.collector import CaptionCollector
from keras_showattend.data.image_files import image_folders
from keras_showattend.data.records import Columns, gather_records
from keras_showattend.data.report import DatasetError, DatasetReport

# Rows that are sorted out together: captions of one image that stand together become one item.
_CHUNK = 256


class CaptionStream(Iterable[CaptionedImage]):
    """Captioned images, one after the other, which `fit` and `evaluate` take.

    `read_webdataset` and `read_hf_dataset` make streams. What cannot be used is left out, with
    one `UserWarning` in a pass, when it first happens.

    Args:
        open_rows: function that begins a pass: returns an iterable of dicts with an image and
            its captions, as `read_records` takes them.
        image_column, caption_column: str. As for `read_records`.
        part: `(index, count)`. Only every `count`-th row is used, from the `index`-th on.

    Iterating gives `CaptionedImage`s.

    Raises:
        DatasetError: while iterating, if a pass has no captioned image.
    """

    def __init__(
        self,
        open_rows: Callable[[], Iterable[Mapping[str, Any]]],
        image_column: str = "image",
        caption_column: str = "caption",
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._open_rows = open_rows
        self._columns = Columns(image_column, caption_column)
        self._part = part

    def __iter__(self) -> Iterator[CaptionedImage]:
        problems = DatasetReport()
        is_empty, count = True, self._part[1]
        for first, rows in self._chunks():
            collector = CaptionCollector()
            named = ((f"row {first + place * count}", row) for place, row in enumerate(rows))
            gather_records(named, self._columns, "the stream", collector)
            items, _ = collector.collect(image_folders("", None))
            if collector.report and not problems:
                problems = collector.report
                warnings.warn(
                    f"Left out of the stream, with more that may follow:\n{problems}",
                    UserWarning,
                    stacklevel=2,
                )
            is_empty = is_empty and not items
            yield from items.values()
        if is_empty:
            raise DatasetError(
                "A stream holds at least one captioned image: check its columns and files. "
                f"Received: none\n{problems}"
            )

    def _chunks(self) -> Iterator[tuple[int, list[Mapping[str, Any]]]]:
        """Yields lists of rows, each with the number of its first one in the whole stream."""
        index, count = self._part
        rows = itertools.islice(self._open_rows(), index, None, count)
        for first in itertools.count(index, count * _CHUNK):
            chunk = list(itertools.islice(rows, _CHUNK))
            if not chunk:
                return
            yield first, chunk

    def captions(self) -> Iterator[str]:
        """Yields all captions of a pass, for `CaptionTokenizer.from_captions`."""
        for item in self:
            yield from item.captions

    def part(self, index: int, count: int) -> CaptionStream:
        """Returns the part of the stream that one of several processes reads.

        Args:
            index: int. Number of the process, from 0 on.
            count: int. Number of processes.

        Raises:
            ValueError: unless `0 <= index < count`.
        """
        if not 0 <= index < count:
            raise ValueError(
                "A part has a number from 0 to the number of parts less 1. "
                f"Received: index={index}, count={count}"
            )
        first, step = self._part
        columns = (self._columns.image, self._columns.caption)
        return CaptionStream(self._open_rows, *columns, (first + index * step, step * count))

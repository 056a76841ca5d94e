"""Captions in records: rows with a column of images and one or more columns of captions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_showattend._typing import PathLike
from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.data.collector import CaptionCollector
from keras_showattend.data.image_files import image_folders
from keras_showattend.data.report import UNREADABLE_LINE, DatasetError
from keras_showattend.preprocessing.image_sources import describe_source, is_array

# What the columns are called in files that people have; "path" by `caption --output`,
# "image_name" and "comment" by Flickr30k, "file_name" and "text" by Hugging Face's image folders.
_IMAGE_ALIASES = (
    *("image_name", "file_name", "filename", "image_path", "file_path", "filepath", "path"),
    *("file", "img"),
)
_CAPTION_ALIASES = ("captions", "text", "comment", "sentence", "sentences", "raw", "description")


def read_records(
    records: Any,
    images: PathLike | None = None,
    image_column: str = "image",
    caption_column: str = "caption",
    split_column: str | None = None,
    strict: bool = False,
) -> CaptionDataset:
    """Reads a table in memory; the rows of one image are grouped in their order.

    Args:
        records: a pandas DataFrame, a pyarrow Table, a `datasets.Dataset`, or any iterable of
            dicts. Images are paths, or anything `load_image` reads; captions are text or lists.
        images: folder of the image files. Defaults to the working folder and its `images`.
        image_column, caption_column, split_column: as for `read_captions_file`.
        strict: raise for any problem, instead of leaving it out with one `UserWarning`.

    Raises:
        DatasetError: unknown columns, nothing left, or a problem while `strict`.
    """
    if hasattr(records, "to_pylist"):
        rows = records.to_pylist()
    elif hasattr(records, "to_dict") and hasattr(records, "columns"):
        rows = records.to_dict("records")
    else:
        rows = records
    if isinstance(rows, Mapping | str | bytes) or not isinstance(rows, Iterable):
        raise DatasetError(
            "Records are rows: a DataFrame, a Table or a list of dicts. Pass columns of lists to "
            f"`CaptionDataset.from_dict`. Received: {describe_source(records)}"
        )
    gathered = CaptionCollector()
    columns = Columns(image_column, caption_column, split_column)
    gather_records(
        ((f"row {number}", row) for number, row in enumerate(rows)), columns, "the rows", gathered
    )
    return gathered.finish("the rows", image_folders("", images), strict)


@dataclass(frozen=True)
class Columns:
    """Which columns to read; the default names stand for their aliases as well."""

    image: str = "image"
    caption: str = "caption"
    split: str | None = None

    def locate(self, names: Sequence[str]) -> tuple[str, list[str], str | None] | None:
        """Finds the columns among those of a table.

        Args:
            names: those of the table.

        Returns:
            The column of images, those of captions, and that of splits; None if one is missing.
        """
        image = _first(names, self.image, _IMAGE_ALIASES if self.image == "image" else ())
        pattern = re.compile(rf"{re.escape(self.caption)}[ _-]?\d+", re.IGNORECASE)
        numbered = [name for name in names if pattern.fullmatch(name)]
        exact = _first(names, self.caption, ())
        if exact is None and not numbered and self.caption == "caption":
            exact = _first(names, self.caption, _CAPTION_ALIASES)
        captions = [exact] if exact is not None else numbered
        split = None if self.split is None else _first(names, self.split, ())
        if image is None or not captions or (split is None) != (self.split is None):
            return None
        return image, captions, split

    def missing(self, names: Sequence[str]) -> list[str]:
        """Names the columns of images and captions that a table lacks."""
        no_split = Columns(self.image, self.caption)
        lacks_image = no_split.locate([*names, self.caption]) is None
        lacks_caption = no_split.locate([*names, self.image]) is None
        return [self.image] * lacks_image + [self.caption] * lacks_caption

    def error(self, source: str, names: Sequence[str]) -> DatasetError:
        """Makes the error for a table that lacks one of the columns."""
        wanted = [name for name in (self.image, self.caption, self.split) if name is not None]
        return DatasetError(
            f"The file needs the columns {wanted}: name them with `image_column`, "
            f"`caption_column` and `split_column`. Received: {source} with the columns "
            f"{list(names)}"
        )


def _first(names: Sequence[str], wanted: str, aliases: Sequence[str]) -> str | None:
    caseless = {name.strip().casefold(): name for name in reversed(names)}
    if wanted in names:
        return wanted
    return next((caseless[n.casefold()] for n in (wanted, *aliases) if n in caseless), None)


def gather_records(
    rows: Iterable[tuple[str, Any]], columns: Columns, source: str, gathered: CaptionCollector
) -> None:
    """Gathers rows, which need not all have the same columns.

    Args:
        rows: pairs of a row's position, for messages, and the row, a mapping.
        columns: which columns to read.
        source: what is read, for errors.
        gathered: where images, captions, splits and problems go.

    Raises:
        DatasetError: if no row has the columns.
    """
    good, other_keys = 0, dict[str, None]()
    position = ""
    for position, row in rows:
        if not isinstance(row, Mapping):
            gathered.note(UNREADABLE_LINE, f"{position} (no columns)")
            continue
        names = [name for name in row if isinstance(name, str)]
        image_column = _first(
            names, columns.image, _IMAGE_ALIASES if columns.image == "image" else ()
        )
        located = columns.locate(names) or Columns(columns.image, columns.caption).locate(names)
        name, image = _image(None if image_column is None else row[image_column], position)
        if located is None or name is None:
            other_keys.update(dict.fromkeys(names))
            missing = columns.missing(names) or ["image"]
            gathered.note(UNREADABLE_LINE, f"{position} (no {' and '.join(missing)})")
            continue
        good += 1
        _, captions, split_column = located
        gathered.add_image(name, image)
        for column in captions:
            texts = caption_texts(row[column])
            # Of numbered columns, some images have fewer captions than others.
            if len(captions) == 1 or not (texts is None or texts == "" or texts != texts):
                gathered.add_captions(name, texts)
        split = row[split_column] if split_column else None
        if isinstance(split, str) and split.strip():
            gathered.add_to_split(split.strip(), name)
    if not position:
        gathered.empty = gathered.empty or "it has no rows"
    elif not good and other_keys:
        raise columns.error(source, list(other_keys))


def _image(value: Any, position: str) -> tuple[str | None, Any]:
    """Name and image of a cell; (None, None) if it holds none."""
    if isinstance(value, str):
        return value.strip() or None, value.strip()
    if hasattr(value, "__fspath__"):
        return str(value), str(value)
    if isinstance(value, Mapping):
        # An image of a `datasets.Dataset`, as it lies in Parquet.
        content, path = value.get("bytes"), value.get("path")
        if isinstance(content, bytes):
            return path if isinstance(path, str) and path else position, content
        return (path, path) if isinstance(path, str) and path else (None, None)
    if isinstance(value, bytes) or hasattr(value, "getexif"):
        return position, value
    if is_array(value) and getattr(value, "ndim", 0) in (2, 3):
        return position, value
    return None, None


def caption_texts(value: Any) -> Any:
    """Returns the captions of a cell: text, or a list of it, of {"raw": ...} or {"tokens": []}."""
    value = value.tolist() if is_array(value) else value
    if isinstance(value, list | tuple):
        return [caption_texts(entry) for entry in value]
    if isinstance(value, Mapping):
        tokens = value.get("tokens")
        words = " ".join(map(str, tokens)) if isinstance(tokens, list) else None
        return next((value[key] for key in ("raw", "caption", "text") if key in value), words)
    return value

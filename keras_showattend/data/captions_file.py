"""Captions in a table: .csv, .tsv, Kaggle's captions.txt, .jsonl; one row an image and caption."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from keras_showattend.data.caption_dataset import CaptionCollector, CaptionDataset
from keras_showattend.data.report import UNREADABLE_LINE, DatasetError
from keras_showattend.preprocessing.image_formats import has_image_extension

PathLike: TypeAlias = "str | os.PathLike[str]"

# Names of sub-folders that hold the pictures in the usual copies of Flickr8k and its kin.
IMAGE_FOLDERS = ("", "images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset")

_UNDECODED = re.compile("[\udc80-\udcff]")
_TOKEN_LINE = re.compile(r"[^\t]+#\d+\t")
_MAX_LINES_IN_A_ROW = 50


def read_captions_file(
    path: PathLike,
    images: PathLike | None = None,
    image_column: str = "image",
    caption_column: str = "caption",
    split_column: str | None = None,
    strict: bool = False,
) -> CaptionDataset:
    """Read a table of captions; the rows of one image are grouped in their order.

    A .csv, .tsv or .txt file has a header row, quoted fields where a caption holds the separator
    or a newline, and its separator is found from the header. Without a header it has two columns,
    image and caption. A .jsonl file has one object a line; its caption may be a list.

    Args:
        path: the file, UTF-8 with or without a byte-order mark.
        images: folder of the image files; by default that of `path`, or its `images` sub-folder.
        image_column: column of image file names, also the ids; may hold sub-folders.
        caption_column: column of captions.
        split_column: column of split names such as "train"; None for no splits.
        strict: raise for any problem, instead of leaving it out with one `UserWarning`.

    Raises:
        DatasetError: no such file, unknown columns, nothing left, or a problem while `strict`.
    """
    text = read_text(path)
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    columns = [image_column, caption_column] + ([split_column] if split_column else [])
    gathered = CaptionCollector()
    if suffix in (".jsonl", ".ndjson"):
        rows = _json_rows(text, columns, path, gathered)
    elif suffix in (".csv", ".tsv", ".txt"):
        rows = _table_rows(text, columns, path, gathered)
    else:
        raise DatasetError(
            "A captions file ends in .csv, .tsv, .txt or .jsonl: rename it, or read a COCO .json "
            f"file with `read_coco`. Received: {os.fspath(path)}"
        )
    for name, captions, split in rows:
        gathered.add_image(name, name)
        gathered.add_captions(name, captions)
        if split:
            gathered.add_to_split(split, name)
    return gathered.finish(os.path.basename(path), image_folders(path, images), strict)


def read_text(path: PathLike) -> str:
    """Read a UTF-8 file, without its byte-order mark.

    Bytes that are not UTF-8 become lone surrogates, which `is_decoded` finds, so that one bad
    line costs one line and not the file.

    Raises:
        DatasetError: no such file, a folder, no permission, UTF-16.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except (OSError, ValueError) as error:
        reason = "it is a folder" if os.path.isdir(path) else str(error)
        raise DatasetError(
            f"The captions come from an existing file: check the path ({reason}). "
            f"Received: {os.fspath(path)}"
        ) from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DatasetError(
            f"A captions file is UTF-8, not UTF-16: save it anew. Received: {os.fspath(path)}"
        )
    return content.decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")


def is_decoded(text: str) -> bool:
    """Tell whether `text` of `read_text` was UTF-8."""
    return not _UNDECODED.search(text)


def image_folders(path: PathLike, images: PathLike | None) -> list[str]:
    """List where the images of the captions file `path` may be: the first guess first.

    Raises:
        DatasetError: `images` is given and is no folder.
    """
    if images is None:
        return [os.path.join(os.path.dirname(path), folder) for folder in IMAGE_FOLDERS]
    if not os.path.isdir(images):
        raise DatasetError(
            "`images` is an existing folder of image files: check the path. "
            f"Received: images={os.fspath(images)!r}"
        )
    return [os.fspath(images)]


def _wrong_columns(wanted: list[str], found: list[str], path: PathLike) -> DatasetError:
    return DatasetError(
        f"The file needs the columns {wanted}: name them with `image_column`, `caption_column` "
        f"and `split_column`. Received: {os.fspath(path)} with the columns {found}"
    )


def _table_rows(
    text: str, columns: list[str], path: PathLike, gathered: CaptionCollector
) -> Iterator[tuple[str, Any, str]]:
    first_line = text.split("\n", 1)[0]
    if _TOKEN_LINE.match(first_line):
        raise DatasetError(
            "Lines of `NAME.jpg#0<TAB>caption` are Flickr8k's own format: read them with "
            f"`read_flickr8k`. Received: {os.fspath(path)}"
        )
    # A semicolon is what spreadsheets write in countries with a decimal comma.
    delimiter = next((mark for mark in "\t,;" if mark in first_line), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    line, places = 1, [0, 1]
    for row in _guarded(reader, path):
        start, line = line, reader.line_num + 1
        if not row:
            continue
        if not header:
            header = [cell.strip() for cell in row]
            if set(columns) <= set(header):
                places = [header.index(column) for column in columns]
                continue
            # No header: a file name where the first column's title would be.
            headless = len(header) == 2 == len(columns)
            if not (headless and has_image_extension(header[0])):
                raise _wrong_columns(columns, header, path)
        if len(row) != len(header):
            gathered.note(
                UNREADABLE_LINE,
                f"line {start} ({len(row)} columns, not {len(header)}; quote a caption that holds "
                "the separator)",
            )
        elif line - start > _MAX_LINES_IN_A_ROW:
            gathered.note(UNREADABLE_LINE, f"lines {start} to {line - 1} (a quote is not closed)")
        elif not all(is_decoded(row[place]) for place in places):
            gathered.note(UNREADABLE_LINE, f"line {start} (not UTF-8)")
        elif not row[places[0]].strip():
            gathered.note(UNREADABLE_LINE, f"line {start} (no image)")
        else:
            split = row[places[2]].strip() if len(places) > 2 else ""
            yield row[places[0]].strip(), row[places[1]], split


def _guarded(reader: Any, path: PathLike) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise DatasetError(
            f"Fields with quotes close them: mend the file near line {reader.line_num} ({error}). "
            f"Received: {os.fspath(path)}"
        ) from error


def _json_rows(
    text: str, columns: list[str], path: PathLike, gathered: CaptionCollector
) -> Iterator[tuple[str, Any, str]]:
    other_keys: dict[str, None] = {}
    good = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line) if is_decoded(line) else None
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            gathered.note(UNREADABLE_LINE, f"line {number} (not a JSON object in UTF-8)")
            continue
        name, missing = row.get(columns[0]), [key for key in columns[:2] if key not in row]
        if missing or not isinstance(name, str) or not name.strip():
            other_keys.update(dict.fromkeys(map(str, row)))
            gathered.note(
                UNREADABLE_LINE, f"line {number} (no {' and '.join(missing or ['image'])})"
            )
            continue
        good += 1
        split = row.get(columns[2]) if len(columns) > 2 else None
        yield name.strip(), row[columns[1]], split.strip() if isinstance(split, str) else ""
    if not good and other_keys:
        raise _wrong_columns(columns, list(other_keys), path)

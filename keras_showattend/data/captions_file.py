"""Captions in a file or folder of any of the forms that people have."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from keras_showattend._install import install_advice
from keras_showattend._typing import PathLike
from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.data.coco import gather_json, json_image_folders
from keras_showattend.data.collector import CaptionCollector
from keras_showattend.data.flickr8k import TOKEN_FILE, TOKEN_LINE, gather_flickr8k
from keras_showattend.data.image_files import image_folders
from keras_showattend.data.records import Columns, gather_records
from keras_showattend.data.report import UNREADABLE_LINE, DatasetError
from keras_showattend.data.table import table_rows
from keras_showattend.data.text_files import is_decoded, read_text
from keras_showattend.preprocessing.images import find_images

_TABLES = (".csv", ".tsv", ".txt", ".token")
_JSON_LINES = (".jsonl", ".ndjson")
CAPTION_ENDINGS = (*_TABLES, *_JSON_LINES, ".json", ".parquet")
# What the captions file of a folder is called.
_FILES_OF_FOLDERS = (
    TOKEN_FILE,
    *(f"{stem}{ending}" for stem in ("captions", "metadata") for ending in CAPTION_ENDINGS),
    "results.csv",
)


def read_captions_file(
    path: PathLike,
    images: PathLike | None = None,
    image_column: str = "image",
    caption_column: str = "caption",
    split_column: str | None = None,
    strict: bool = False,
    encoding: str | None = None,
) -> CaptionDataset:
    """Reads captions of any form that is recognised; see the table in `docs/data.md`.

    A table (.csv, .tsv, .txt) has a header row, and its separator is found from there; without
    a header it has two columns, image file and caption. A field may stand in quotes. A .jsonl
    file has one object a line. A .json file is COCO's, Karpathy's or a list of records. The rows
    of one image are grouped in their order. Captions may be lists, or in numbered columns,
    `caption_0` to `caption_4`. Of a folder, its captions file is read, or else the .txt file
    beside each image, one caption a line.

    Args:
        path: the file or folder.
        images: folder of the image files. By default that of `path`, its sub-folders, and the
            working folder.
        image_column: column of image file names, also the ids; may hold sub-folders.
            Other usual names are found where there is no "image": "file_name", "path", ...
        caption_column: column of captions. Other usual names are found where there is no
            "caption": "text", "comment", ...
        split_column: column of split names such as "train"; None for no splits.
        strict: raise for any problem, instead of leaving it out with one `UserWarning`.
        encoding: name of the file's encoding, such as "cp1252". Defaults to UTF-8, with or
            without a byte-order mark.

    Raises:
        DatasetError: no such file, unknown columns, nothing left, or a problem while `strict`.
    """
    gathered = CaptionCollector()
    columns = Columns(image_column, caption_column, split_column)
    file = captions_file(path)
    ending = os.path.splitext(file)[1].lower()
    folders = image_folders(file, images)
    if os.path.isdir(file):
        gather_records(_text_beside_images(file), Columns(), file, gathered)
    elif ending == ".parquet":
        gather_records(_parquet_rows(file), columns, file, gathered)
    elif ending == ".json":
        text = read_text(file, encoding)
        folders = json_image_folders(file, images)
        if _is_json_lines(text):
            gather_records(_json_lines(text, gathered), columns, file, gathered)
        else:
            gather_json(text, columns, file, gathered)
    elif ending in _JSON_LINES:
        text = read_text(file, encoding)
        gather_records(_json_lines(text, gathered), columns, file, gathered)
    elif ending in _TABLES:
        text = read_text(file, encoding)
        if TOKEN_LINE.match(text):
            gather_flickr8k(file, text, gathered)
        else:
            gather_records(table_rows(text, columns, file, gathered), columns, file, gathered)
    else:
        raise DatasetError(
            f"A captions file ends in {', '.join(CAPTION_ENDINGS)}: rename it, or load it and pass "
            f"its rows to `read_records`. Received: {file}"
        )
    return gathered.finish(os.path.basename(os.path.normpath(file)), folders, strict)


def captions_file(path: PathLike) -> str:
    """Finds the captions file of a folder.

    Args:
        path: a file or folder.

    Returns:
        Path of the file; or of the folder itself, where a .txt file lies beside an image.

    Raises:
        DatasetError: for a folder without captions.
    """
    folder = os.fspath(path)
    if not os.path.isdir(folder):
        return folder
    for name in _FILES_OF_FOLDERS:
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    if next(_text_beside_images(folder), None) is None:
        raise DatasetError(
            "The captions come from an existing file: a folder holds one of the name "
            f"`captions.csv` (or another ending), `{TOKEN_FILE}`, or a .txt file beside each "
            f"image. Received: {folder}"
        )
    return folder


def _text_beside_images(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for image in find_images(folder):
        text_file = image.with_suffix(".txt")
        if text_file.is_file():
            lines = read_text(text_file).splitlines()
            name = os.path.relpath(image, folder)
            yield name, {"image": name, "caption": [line for line in lines if line.strip()]}


def _json_lines(text: str, gathered: CaptionCollector) -> Iterator[tuple[str, Any]]:
    gathered.empty = "" if text.strip() else "the file is empty"
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = _json_object(line)
        if row is None:
            gathered.undecoded |= not is_decoded(line)
            gathered.note(UNREADABLE_LINE, f"line {number} (not a JSON object in UTF-8)")
        else:
            yield f"line {number}", row


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line) if is_decoded(line) else None
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _is_json_lines(text: str) -> bool:
    """Whether a .json file has one object a line, as Hugging Face's often have."""
    lines = text.strip().split("\n", 2)
    return len(lines) > 1 and all(_json_object(line) is not None for line in lines[:2])


def _parquet_rows(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetError(
            f"Parquet files need one more package: {install_advice('parquet')}. Received: {path}"
        ) from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    yield f"row {number}", row
                    number += 1
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetError(
            f"The Parquet file cannot be read ({error}). Received: {path}"
        ) from error

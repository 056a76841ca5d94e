"""Readers of data sets that are streamed: WebDataset tars and Hugging Face `datasets`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from keras_showattend._install import install_advice
from keras_showattend._typing import PathLike
from keras_showattend.data.caption_stream import CaptionStream
from keras_showattend.data.records import Columns
from keras_showattend.data.report import DatasetError
from keras_showattend.data.storage import list_source
from keras_showattend.preprocessing.image_formats import has_image_extension

# Where the captions of a WebDataset sample are looked for, in this order.
_TEXTS = ("txt", "text", "caption")
_JSON_KEYS = ("captions", "caption", "text", "sentences")


def read_webdataset(source: PathLike, caption_key: str | None = None) -> CaptionStream:
    """Streams WebDataset tars: files with one name and several endings are one sample.

    Args:
        source: a tar, a folder of tars or a glob, as a path or a URI such as
            `"s3://bucket/train/*.tar"`; read in the order of their names.
        caption_key: str. Ending of the files that hold captions: text, one caption a line, or
            JSON with a caption or a list of them, alone or under `captions`, `caption`,
            `text` or `sentences`. None for `txt`, `text` or `caption`, else `json`.

    Returns:
        `CaptionStream`. Nothing but the list of tars is read before it is iterated.

    Raises:
        ModuleNotFoundError: without `webdataset` or pyarrow; says how to install them.
        ValueError: if `source` holds no tar.
    """
    try:
        from webdataset.tariterators import group_by_keys, tar_file_iterator
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Tars of a WebDataset need one more package: {install_advice('streams')}. "
            f"Received: {error}"
        ) from error
    listing = list_source(source)
    if listing.kind != "tar":
        raise DatasetError(
            "A WebDataset is one or more tars: name them, their folder or a glob. "
            f"Received: {source!r}, which holds {listing.kind}"
        )

    def files() -> Iterator[dict[str, Any]]:
        for path in listing.paths:
            with listing.location.filesystem.open_input_stream(path, compression=None) as stream:
                for file in tar_file_iterator(stream):
                    yield {**file, "__url__": path}
            # A sample ends with its tar.
            yield {}

    def rows() -> Iterator[dict[str, Any]]:
        for sample in group_by_keys(files()):
            yield _sample_row(sample, caption_key)

    return CaptionStream(rows)


def _sample_row(sample: dict[str, Any], caption_key: str | None) -> dict[str, Any]:
    endings = [name for name in sample if not name.startswith("__")]
    image = next((name for name in endings if has_image_extension(f"image.{name}")), None)
    keys = [caption_key] if caption_key else [*_TEXTS, "json"]
    key = next((name for name in keys if name in sample), None)
    content = {"bytes": sample.get(image or ""), "path": sample["__key__"]}
    return {"image": content, "caption": None if key is None else _captions(sample[key], key)}


def _captions(content: bytes, ending: str) -> Any:
    text = content.decode("utf-8", errors="replace")
    if not ending.endswith("json"):
        return [line for line in text.splitlines() if line.strip()]
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, dict):
        value = next((value[key] for key in _JSON_KEYS if key in value), None)
    return value


def read_hf_dataset(
    dataset: Any, image_column: str = "image", caption_column: str = "caption"
) -> CaptionStream:
    """Streams a data set of the package `datasets`, whether it is on the disk or not.

    Args:
        dataset: a `datasets.Dataset` or `datasets.IterableDataset` (`streaming=True`) with a
            column of images. Images are decoded by `load_image`, within its limits.
        image_column, caption_column: str. Its columns; see `read_records` for other names
            that the defaults stand for. Captions are text or lists of text.

    Returns:
        `CaptionStream`.

    Raises:
        DatasetError: for a `DatasetDict`, or columns that are not there.
    """
    if hasattr(dataset, "keys"):
        raise DatasetError(
            "A stream reads one split: take it out of the dict, `data['train']`. Received: the "
            f"splits {sorted(dataset.keys())}"
        )
    names = list(dataset.column_names or [])
    columns = Columns(image_column, caption_column)
    located = columns.locate(names) if names else (image_column, [caption_column], None)
    if located is None:
        raise columns.error("a data set", names)
    feature: Any = (dataset.features or {}).get(located[0])
    if type(feature).__name__ == "Image" and feature.decode:
        # Encoded images, as Pillow would decode them without limits.
        dataset = dataset.cast_column(located[0], type(feature)(decode=False))
    return CaptionStream(lambda: dataset, image_column, caption_column)

"""Captions in JSON files: COCO's own form, Karpathy's splits, and lists of records."""

from __future__ import annotations

import json
import os
from typing import Any

from keras_showattend._typing import PathLike
from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.data.collector import CaptionCollector
from keras_showattend.data.image_files import image_folders
from keras_showattend.data.records import Columns, caption_texts, gather_records
from keras_showattend.data.report import UNREADABLE_ENTRY, DatasetError
from keras_showattend.data.text_files import is_decoded, read_text
from keras_showattend.preprocessing.image_formats import has_image_extension


def read_coco(
    annotations_json: PathLike, images: PathLike | None = None, strict: bool = False
) -> CaptionDataset:
    """Reads a COCO captions file, such as `captions_val2017.json`.

    Args:
        annotations_json: the file; its images have "id" and "file_name", its annotations have
            "image_id" and "caption".
        images: folder of the image files; by default beside the file, or in the folder of COCO's
            own layout, `captions_val2017.json` -> `../val2017`.
        strict: raise for any problem, instead of leaving it out with one `UserWarning`.

    Returns:
        The captioned images in the order of the file; an id is the image's "id" as a str.

    Raises:
        DatasetError: no such file, not JSON of that form, nothing left, or a problem while
            `strict`.
    """
    content, received = _parse(read_text(annotations_json))
    if not is_coco(content):
        raise DatasetError(
            'COCO captions are a JSON object with the lists "images" and "annotations": read other '
            "files with `read_captions_file`. "
            f"Received: {os.fspath(annotations_json)} with {received}"
        )
    gathered = CaptionCollector()
    gather_coco(content, gathered)
    folders = json_image_folders(annotations_json, images)
    return gathered.finish(os.path.basename(annotations_json), folders, strict)


def is_coco(content: Any) -> bool:
    """Whether the content of a JSON file has COCO's form."""
    return _has(content, "images", list) and _has(content, "annotations", list)


def gather_coco(content: dict[str, Any], gathered: CaptionCollector) -> None:
    """Gathers what a file in COCO's form holds."""
    for position, image in enumerate(content["images"]):
        if _has(image, "id", int | str) and _has(image, "file_name", str):
            gathered.add_image(str(image["id"]), image["file_name"])
        else:
            gathered.note(UNREADABLE_ENTRY, f"images[{position}]")
    for position, annotation in enumerate(content["annotations"]):
        if _has(annotation, "image_id", int | str) and "caption" in annotation:
            gathered.add_captions(str(annotation["image_id"]), annotation["caption"])
        else:
            gathered.note(UNREADABLE_ENTRY, f"annotations[{position}]")
    if not content["images"]:
        gathered.empty = 'its list "images" is empty'


def gather_json(text: str, columns: Columns, source: str, gathered: CaptionCollector) -> None:
    """Gathers the content of a JSON file of any of the forms that are read.

    These are COCO's; Karpathy's `dataset_*.json`, with "filename", "split" and "sentences" of
    each image; a list of records such as `{"image": ..., "caption": ...}`; an object of columns;
    and an object from image file to captions.

    Args:
        text: the file's.
        columns: which columns of records are read.
        source: path of the file, for errors.
        gathered: where images, captions, splits and problems go.

    Raises:
        DatasetError: for another form.
    """
    content, received = _parse(text)
    if is_coco(content):
        gather_coco(content, gathered)
    elif _has(content, "images", list) and any(
        _has(i, "sentences", list) for i in content["images"]
    ):
        _gather_karpathy(content["images"], gathered)
    elif (records := _as_records(content, columns)) is not None:
        rows = ((f"entry {position}", record) for position, record in enumerate(records))
        gather_records(rows, columns, source, gathered)
    else:
        raise DatasetError(
            'A .json file of captions has COCO\'s "images" and "annotations" (see `read_coco`), '
            'Karpathy\'s "images" with "sentences", or is a list of '
            f'{{"{columns.image}": ..., "{columns.caption}": ...}}. Received: {source} with '
            f"{received}"
        )


def json_image_folders(path: PathLike, images: PathLike | None) -> list[str]:
    """Lists where the images of a JSON file may be; see `image_folders`.

    COCO's own layout is one of them: `annotations/captions_val2017.json` and `val2017`.
    """
    folders = image_folders(path, images)
    if images is None:
        stem = os.path.splitext(os.path.basename(path))[0]
        above = os.path.join(os.path.dirname(path), os.pardir)
        year = stem.removeprefix("captions_")
        folders += [os.path.join(above, year), os.path.join(above, "images", year)]
    return folders


def _gather_karpathy(images: list[Any], gathered: CaptionCollector) -> None:
    for position, image in enumerate(images):
        if not (_has(image, "filename", str) and _has(image, "sentences", list)):
            gathered.note(UNREADABLE_ENTRY, f"images[{position}]")
            continue
        # As in `read_coco`, an id is COCO's where there is one.
        name = str(image.get("cocoid", image["filename"]))
        folder = image.get("filepath")
        path = os.path.join(folder if isinstance(folder, str) else "", image["filename"])
        gathered.add_image(name, path)
        for sentence in image["sentences"]:
            gathered.add_captions(name, caption_texts(sentence))
        if _has(image, "split", str):
            gathered.add_to_split(image["split"], name)


def _as_records(content: Any, columns: Columns) -> list[Any] | None:
    if isinstance(content, list):
        return content if any(isinstance(entry, dict) for entry in content) else None
    if not isinstance(content, dict) or not content:
        return None
    located = columns.locate(list(content))
    if located:
        image, captions, split = located
        names = [name for name in (image, *captions, split) if name is not None]
        lists = [content[name] for name in names]
        if not all(isinstance(values, list) for values in lists):
            return None
        if len(set(map(len, lists))) > 1:
            raise DatasetError(
                "Columns have the same number of entries. Received: "
                f"{ {name: len(content[name]) for name in names} }"
            )
        return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]
    if all(map(has_image_extension, content)):
        return [{columns.image: k, columns.caption: v} for k, v in content.items()]
    return None


def _parse(text: str) -> tuple[Any, str]:
    """Content of a JSON file, and what it is, for errors."""
    if not text.strip():
        return None, "nothing in it"
    if not is_decoded(text):
        return None, "text that is not UTF-8"
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        return None, f"broken JSON ({error})"
    if isinstance(content, dict):
        return content, f"the keys {list(content)[:10]}"
    return content, f"a {type(content).__name__} instead of an object"


def _has(entry: Any, key: str, kind: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get(key), kind)

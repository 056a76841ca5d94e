"""Captions in the JSON form of COCO: {"images": [...], "annotations": [...]}."""

from __future__ import annotations

import json
import os
from typing import Any

from keras_showattend.data.caption_dataset import CaptionCollector, CaptionDataset
from keras_showattend.data.captions_file import PathLike, image_folders, is_decoded, read_text
from keras_showattend.data.report import UNREADABLE_ENTRY, DatasetError


def read_coco(
    annotations_json: PathLike, images: PathLike | None = None, strict: bool = False
) -> CaptionDataset:
    """Read a COCO captions file, such as `captions_val2017.json`.

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
    pictures, annotations = _parse(annotations_json)
    gathered = CaptionCollector()
    for place, picture in enumerate(pictures):
        if _has(picture, "id", int | str) and _has(picture, "file_name", str):
            gathered.add_image(str(picture["id"]), picture["file_name"])
        else:
            gathered.note(UNREADABLE_ENTRY, f"images[{place}]")
    for place, annotation in enumerate(annotations):
        if _has(annotation, "image_id", int | str) and "caption" in annotation:
            gathered.add_captions(str(annotation["image_id"]), annotation["caption"])
        else:
            gathered.note(UNREADABLE_ENTRY, f"annotations[{place}]")
    folders = image_folders(annotations_json, images)
    if images is None:
        folders += _coco_folders(os.fspath(annotations_json))
    return gathered.finish(os.path.basename(annotations_json), folders, strict)


def _parse(path: PathLike) -> tuple[list[Any], list[Any]]:
    text = read_text(path)
    received = "text that is not UTF-8"
    if is_decoded(text):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            received = f"broken JSON ({error})"
        else:
            pictures, annotations = _list(content, "images"), _list(content, "annotations")
            if pictures is not None and annotations is not None:
                return pictures, annotations
            received = f"the keys {list(content)}" if isinstance(content, dict) else "no object"
    raise DatasetError(
        'COCO captions are a JSON object with the lists "images" and "annotations": read '
        f"lines of JSON with `read_captions_file`. Received: {os.fspath(path)} with {received}"
    )


def _list(content: Any, key: str) -> list[Any] | None:
    return content[key] if _has(content, key, list) else None


def _has(entry: Any, key: str, kind: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get(key), kind)


def _coco_folders(path: str) -> list[str]:
    stem = os.path.splitext(os.path.basename(path))[0]
    year = stem.removeprefix("captions_")
    above = os.path.join(os.path.dirname(path), os.pardir)
    return [os.path.join(above, year), os.path.join(above, "images", year)]

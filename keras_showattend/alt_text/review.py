"""A page on which a person accepts, edits or rejects captions, and the decisions it saves."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup
from PIL import Image

from keras_showattend._files import write_text
from keras_showattend._templates import render
from keras_showattend._typing import PathLike
from keras_showattend.preprocessing.images import ImageError, load_image

# Longest side of an image on the page, in pixels.
SIDE = 640
# A page of one file with more images than this would be slow to open.
MOST_EMBEDDED = 500
FORMAT = "keras-showattend review 1"
DECISIONS = ("accepted", "edited", "rejected")


class Decision(NamedTuple):
    """What a person decided on a caption.

    Attributes:
        path: of the image.
        content: what tells the content that the image had, or the empty string.
        decision: one of `DECISIONS`.
        caption: str. The text that was accepted or written.
    """

    path: str
    content: str
    decision: str
    caption: str


def write_review(
    rows: Iterable[Mapping[str, Any]], path: PathLike, texts: Mapping[str, str] | None = None
) -> int:
    """Writes the page.

    Up to 500 images are part of the page itself. More lie in a folder beside it, `NAME_files`.

    Args:
        rows: each with `path`, `caption`, `confidence` (float or None), `shaky_words` (words
            with blanks between them), `unfamiliar` (bool or None) and `content`.
        path: the page.
        texts: from a path to the text that is proposed in place of its caption.

    Returns:
        int: how many images are on the page. One that cannot be read is there without its
        picture.
    """
    # The least sure first; what has no confidence is not sure at all.
    ordered = sorted(rows, key=lambda row: row["confidence"] or 0.0)
    path = pathlib.Path(path)
    folder = None
    if len(ordered) > MOST_EMBEDDED:
        folder = path.with_name(f"{path.stem}_files")
        folder.mkdir(exist_ok=True)
    items = [_item(row, number, folder, texts or {}) for number, row in enumerate(ordered)]
    data = json.dumps(items)
    page = render(
        "keras_showattend",
        "alt_text/review.html.j2",
        # No text of a row can end the element that holds it.
        data=Markup(data.replace("<", "\\u003c")),
        count=len(items),
        format=FORMAT,
        name=path.stem,
        key=hashlib.sha256(data.encode()).hexdigest()[:16],
    )
    write_text(path, page)
    return len(items)


def _item(
    row: Mapping[str, Any], number: int, folder: pathlib.Path | None, texts: Mapping[str, str]
) -> dict[str, Any]:
    path = str(row["path"])
    image, width, height = "", 4, 3
    problem = ""
    try:
        pixels = Image.fromarray(load_image(path))
    except ImageError as error:
        problem = str(error).partition(" Received:")[0]
    else:
        pixels.thumbnail((SIDE, SIDE))
        width, height = pixels.size
        content = io.BytesIO()
        pixels.save(content, "JPEG", quality=75, optimize=True)
        if folder is None:
            image = "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
        else:
            (folder / f"{number}.jpg").write_bytes(content.getvalue())
            image = f"{folder.name}/{number}.jpg"
    return {
        "path": path,
        "content": row.get("content") or "",
        "caption": texts.get(path, row["caption"]),
        "confidence": row["confidence"],
        "shaky": (row.get("shaky_words") or "").split(),
        "unfamiliar": bool(row.get("unfamiliar")),
        "image": image,
        "width": width,
        "height": height,
        "problem": problem,
    }


def read_decisions(path: PathLike) -> dict[str, Decision]:
    """Reads what the page saved.

    Args:
        path: the JSON file.

    Returns:
        Dict from the absolute path of each image to its `Decision`.

    Raises:
        ValueError: if it is no such file.
    """
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}")
        found = {}
        for row in content["decisions"]:
            decision = Decision(*(row[name] for name in Decision._fields))
            if not all(isinstance(value, str) for value in decision):
                raise ValueError(f"a value of {row} is no text")
            if decision.decision not in DECISIONS:
                raise ValueError(f"{decision.decision!r} is none of {DECISIONS}")
            caption = re.sub(r"\s+", " ", decision.caption).strip()
            found[os.path.abspath(decision.path)] = decision._replace(caption=caption)
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            "Decisions must be the file that a review page saves: use that file. "
            f"Received: '{path}' ({error})"
        ) from error
    return found

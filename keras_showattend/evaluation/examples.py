"""One image of the report: image, caption, references, attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_showattend.data import CaptionDataset
from keras_showattend.explain.explainer import explain
from keras_showattend.explain.html import image_uri, word_parts
from keras_showattend.preprocessing.images import load_image

# Longest side of an image, in pixels, as stored and as shown; small files before sharpness.
IMAGE_SIDE = 320
SHOWN_SIDE = 280


def example_parts(
    row: Mapping[str, Any],
    key: str,
    score: str,
    dataset: CaptionDataset | None,
    captioner: Any,
) -> dict[str, Any]:
    """Returns what `report.html` shows of one image.

    Args:
        row: one of the `images` of an evaluation.
        key: str. HTML id, which the page does not have yet.
        score: str. Name and value of the score that is shown.
        dataset: a `CaptionDataset`, or None for no image.
        captioner: an `ImageCaptioner`, or None for no attention.
    """
    parts = {
        "id": row["id"],
        "key": key,
        "score": score,
        "caption": row["caption"],
        "log_probability": row["log_probability"],
        # Flickr8k's captions come with a space before the full stop, which would wrap alone.
        "references": [text.replace(" .", ".").replace(" ,", ",") for text in row["references"]],
        "image": None,
        "words": [],
    }
    item = None if dataset is None else _find(dataset, row["id"])
    if item is None:
        return parts
    if captioner is None:
        image = load_image(item.image)
    else:
        # The caption of the evaluation is replayed: a batch of another size may round
        # otherwise, and a search from anew find another one.
        explanation = explain(captioner, item.image, caption=row["caption"])
        image = explanation.image
        parts["words"] = word_parts(explanation)
    height, width = image.shape[:2]
    parts |= {
        "image": image_uri(image, IMAGE_SIDE, 72),
        "width": width,
        "height": height,
        "shown_width": round(SHOWN_SIDE * min(1, width / height)),
    }
    return parts


def _find(dataset: CaptionDataset, name: str) -> Any:
    return next((item for item in dataset if item.id == name), None)

"""One image of the report: picture, caption, references, attention."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from keras_showattend.data import CaptionDataset
from keras_showattend.explain.explainer import explain
from keras_showattend.explain.html import picture_uri, tiles
from keras_showattend.preprocessing.images import load_image

# Longest side of a picture, in pixels, as stored and as shown; small files before sharpness.
PICTURE_SIDE = 320
SHOWN_SIDE = 280


def example_card(
    row: Mapping[str, Any],
    key: str,
    score: str,
    dataset: CaptionDataset | None,
    captioner: Any,
    rules: list[str],
) -> str:
    """HTML of one image.

    Args:
        row: one of the `images` of an evaluation.
        key: str. HTML id, which the page does not have yet.
        score: str. Name and value of the score that is shown.
        dataset: a `CaptionDataset`, or None for no picture.
        captioner: an `ImageCaptioner`, or None for no attention.
        rules: list to which the CSS rule is added that gives all pictures of the card their
            background, so that the file holds it once.

    Returns:
        str: an `<article>` element.
    """
    item = None if dataset is None else _find(dataset, row["id"])
    picture = attention = ""
    if item is not None:
        explanation = None
        if captioner is not None:
            # The caption of the evaluation is replayed: a batch of another size may round
            # otherwise, and a search from anew find another one.
            explanation = explain(captioner, item.image, caption=row["caption"])
        image = load_image(item.image) if explanation is None else explanation.image
        height, width = image.shape[:2]
        rules.append(
            f"#{key} .pic{{background-image:url({picture_uri(image, PICTURE_SIDE, 72)});"
            f"aspect-ratio:{width}/{height}}}"
            f"#{key}>.pic{{width:{SHOWN_SIDE * min(1, width / height):.0f}px;max-width:100%}}"
        )
        label = escape(f"The picture captioned: {row['caption']}", quote=True)
        picture = f'<div class="pic" role="img" aria-label="{label}"></div>'
        if explanation is not None:
            attention = tiles(explanation)
    # Flickr8k's captions come with a space before the full stop, which would wrap alone.
    texts = [text.replace(" .", ".").replace(" ,", ",") for text in row["references"]]
    references = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return (
        f'<article class="card example" id="{key}">{picture}'
        f'<div class="said">{escape(row["caption"]) or "(no words)"}</div>'
        f'<div class="soft">{escape(score)}, '
        f"log-probability {row['log_probability']:.1f} nats</div>"
        f"<ul>{references}</ul>{attention}"
        f'<div class="id">{escape(str(row["id"]))}</div></article>'
    )


def _find(dataset: CaptionDataset, name: str) -> Any:
    return next((item for item in dataset if item.id == name), None)

"""An explanation as HTML: no other file, no network, no JavaScript."""

from __future__ import annotations

import base64
import io
import itertools
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from keras_showattend._templates import render
from keras_showattend.explain.overlay import (
    GREYNESS,
    NUM_LEVELS,
    UNSEEN_OPACITY,
    colour_scale,
    describe_place,
    heat_map,
)
from keras_showattend.explain.words import content_positions
from keras_showattend.search.assessment import SHAKY

if TYPE_CHECKING:
    from keras_showattend.explain.explanation import Explanation

# Longest sides, in pixels: of the image as stored and as shown, and of the shades, which
# browsers enlarge smoothly.
IMAGE_SIDE = 480
STAGE_SIDE = 400
SHADE_SIDE = 48

_counter = itertools.count()


def page(explanation: Explanation, content_words: bool = False) -> str:
    """Returns a complete HTML page; see `Explanation.to_html`."""
    body = Markup(fragment(explanation, content_words))
    return render(
        "keras_showattend",
        "explain/page.html.j2",
        title=explanation.caption or "No words",
        body=body,
    )


def fragment(explanation: Explanation, content_words: bool = False) -> str:
    """Returns the part of a page that shows one explanation, with its style; for notebooks too."""
    height, width = explanation.image.shape[:2]
    words = word_parts(explanation)
    shown = content_positions(explanation.words) if content_words else range(len(words))
    return render(
        "keras_showattend",
        "explain/fragment.html.j2",
        # Several may stand on one page, also of several processes: a notebook reopened.
        name=f"ksa-{os.getpid():x}-{next(_counter)}",
        image=image_uri(explanation.image),
        width=width,
        height=height,
        stage_width=round(STAGE_SIDE * min(1, width / height)),
        caption=explanation.caption,
        words=words,
        tiles=[words[index] for index in shown],
        alternatives=explanation.alternatives,
        summary=_summary(explanation),
        has_confidence=explanation.confidence is not None,
        judges_words=any(sure is not None for sure in explanation.word_confidences),
        greyness=GREYNESS,
        colours=css_colours(),
    )


def word_parts(explanation: Explanation) -> list[dict[str, Any]]:
    """Returns what the templates show of each word: text, numbers, place and shade."""
    confidences = explanation.word_confidences or (None,) * len(explanation.words)
    return [
        {
            "text": word,
            "right": None if sure is None else f"{sure:.0%}",
            "shaky": sure is not None and sure < SHAKY,
            "probability": float(explanation.probabilities[index]),
            "percent": f"{explanation.probabilities[index]:.0%}",
            "entropy": float(explanation.entropies[index]),
            "place": describe_place(explanation.attention_weights[index]),
            "shade": shade_uri(explanation, index),
        }
        for index, (word, sure) in enumerate(zip(explanation.words, confidences, strict=True))
    ]


def css_colours() -> str:
    """Returns the colour scale as the stops of a CSS gradient."""
    stops = colour_scale()[:: NUM_LEVELS // 7]
    return ",".join(f"rgba({r},{g},{b},{a / 255:.2f})" for r, g, b, a in stops.tolist())


def image_uri(image: np.ndarray, side: int = IMAGE_SIDE, quality: int = 80) -> str:
    """Returns a small JPEG of uint8[H, W, 3] as a data URI; `side` is its longest, in pixels."""
    small = Image.fromarray(image)
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _data_uri(small, "JPEG", quality=quality, optimize=True)


def shade_uri(explanation: Explanation, index: int) -> str:
    """Returns the colours of one word's attention: a tiny transparent PNG as a data URI."""
    height, width = explanation.image.shape[:2]
    scale = SHADE_SIDE / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    left, right = (round(n * shape[1] / width) for n in explanation.window[::2])
    top, bottom = (round(n * shape[0] / height) for n in explanation.window[1::2])
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    # The last entry of the palette is the black over what the encoder did not see.
    levels = np.full(shape, NUM_LEVELS, "uint8")
    heat = heat_map(explanation.attention_weights[index], (bottom - top, right - left))
    levels[top:bottom, left:right] = np.rint(heat * (NUM_LEVELS - 1))
    unseen = [0, 0, 0, round(255 * UNSEEN_OPACITY)]
    palette = np.array([*colour_scale().tolist(), unseen], "uint8")
    shade = Image.fromarray(levels)
    shade.putpalette(palette[:, :3].tobytes())
    return _data_uri(shade, "PNG", optimize=True, transparency=palette[:, 3].tobytes())


def _data_uri(image: Image.Image, image_format: str, **options: Any) -> str:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    encoded = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/{image_format.lower()};base64,{encoded}"


def _summary(explanation: Explanation) -> str:
    parts = [f"Log-probability {explanation.log_probability:.2f} nats"]
    if explanation.confidence is not None:
        parts.insert(0, f"Confidence {explanation.confidence:.0%}")
    if explanation.unfamiliar:
        parts.append("The image is unlike those on which the confidence was measured")
    if explanation.end_log_probability is None:
        parts.append("Cut at the greatest length, without an end")
    rows, columns = explanation.grid_shape
    return ". ".join([*parts, f"Attention over {rows} x {columns} locations."])

"""An explanation as a matplotlib figure and as an animated GIF."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_showattend.explain.overlay import check_style

if TYPE_CHECKING:
    from keras_showattend.explain.explanation import Explanation

# Longest side of a GIF's picture, in pixels.
GIF_SIDE = 480


def plot(explanation: Explanation, style: str = "smooth", columns: int = 4) -> Any:
    """Draws an explanation; see `Explanation.plot`."""
    check_style(style)
    if columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: columns={columns!r}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Plots are drawn with matplotlib. Install it with "
            "`pip install 'keras-showattend[plots]'`, or use `save_gif` or `to_html`, which do "
            f"without. Received: {error}"
        ) from error
    count = len(explanation.words) + 1
    columns = min(columns, count)
    rows = -(-count // columns)
    height, width = explanation.image.shape[:2]
    panel_height = min(2.2 * height / width, 3.3)
    # Not pyplot's figure: that would be kept in memory until someone closes it.
    figure = Figure(figsize=(2.3 * columns, (panel_height + 0.3) * rows + 0.45), dpi=110)
    figure.set_layout_engine("constrained")
    figure.suptitle(_title(explanation), fontsize=11, wrap=True)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    panels[0].imshow(explanation.image)
    panels[0].set_title("picture", fontsize=9, color="0.35")
    for index, (panel, word) in enumerate(zip(panels[1:], explanation.words, strict=False)):
        panel.imshow(explanation.overlay(index, style))
        probability = explanation.probabilities[index]
        panel.set_title(f"{word}  {probability:.0%}", fontsize=10, parse_math=False)
    return figure


def _title(explanation: Explanation) -> str:
    # A dollar sign would begin a formula.
    caption = (explanation.caption or "(no words)").replace("$", r"\$")
    if explanation.confidence is None:
        return caption
    return f"{caption}\nconfidence {explanation.confidence:.0%}"


def save_gif(
    explanation: Explanation,
    path: str | os.PathLike[str],
    style: str = "smooth",
    seconds_per_word: float = 0.8,
) -> None:
    """Writes an animation; see `Explanation.save_gif`."""
    check_style(style)
    if not seconds_per_word > 0:
        raise ValueError(
            f"`seconds_per_word` must be above 0. Received: seconds_per_word={seconds_per_word!r}"
        )
    frames = [_frame(explanation, explanation.image, None)]
    for index in range(len(explanation.words)):
        frames.append(_frame(explanation, explanation.overlay(index, style), index))
    milliseconds = round(seconds_per_word * 1000)
    # The last word is shown longer, so that the whole caption can be read.
    durations = [milliseconds] * (len(frames) - 1) + [3 * milliseconds]
    frames[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        disposal=1,
    )


def _frame(explanation: Explanation, pixels: np.ndarray, index: int | None) -> Image.Image:
    """One picture with the caption below it, the words so far in full colour."""
    picture = Image.fromarray(pixels)
    scale = GIF_SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    font = ImageFont.load_default(size=18)
    lines = _lines(explanation.words, font, size[0] - 16)
    frame = Image.new("RGB", (size[0], size[1] + 12 + 24 * max(len(lines), 1)), (16, 18, 22))
    frame.paste(picture)
    draw = ImageDraw.Draw(frame)
    for number, line in enumerate(lines):
        left, top = 8.0, size[1] + 4 + 24 * number
        for position in line:
            word = explanation.words[position]
            colour = (110, 116, 126) if index is None or position > index else (215, 218, 224)
            if position == index:
                # A field, since few pixels of a colour get no place in a GIF's palette.
                field = (left - 3, top, left + font.getlength(word) + 2, top + 23)
                draw.rounded_rectangle(field, radius=3, fill=(255, 200, 87))
                colour = (16, 18, 22)
            draw.text((left, top), word, fill=colour, font=font)
            left += font.getlength(word + " ")
    return frame.quantize(colors=255, dither=Image.Dither.FLOYDSTEINBERG)


def _lines(words: list[str], font: Any, width: float) -> list[list[int]]:
    """Positions of the words, broken into lines that fit."""
    lines: list[list[int]] = []
    used = width + 1.0
    for position, word in enumerate(words):
        length = font.getlength(word + " ")
        if used + length > width:
            lines.append([])
            used = 0.0
        lines[-1].append(position)
        used += length
    return lines

"""An explanation as an animated GIF."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_showattend._files import replacing
from keras_showattend._typing import PathLike
from keras_showattend.explain.overlay import check_style
from keras_showattend.explain.words import content_positions

if TYPE_CHECKING:
    from keras_showattend.explain.explanation import Explanation

# Longest side of the animation's image, in pixels.
GIF_SIDE = 480
_BACKGROUND = (16, 18, 22)
_LATER = (110, 116, 126)
_EARLIER = (215, 218, 224)
_HIGHLIGHT = (255, 200, 87)
# With the steps between them at the edges of letters.
_CAPTION_COLOURS = 16


def save_gif(
    explanation: Explanation,
    path: PathLike,
    style: str = "smooth",
    seconds_per_word: float = 0.8,
    content_words: bool = False,
) -> None:
    """Writes an animation; see `Explanation.save_gif`."""
    check_style(style)
    target = pathlib.Path(path)
    if target.suffix.lower() != ".gif":
        raise ValueError(
            "`save_gif` writes GIF files: end the path in `.gif`. For a PNG use "
            f"`plot().savefig(path)`. Received: path='{target}'"
        )
    if not seconds_per_word > 0:
        raise ValueError(
            f"`seconds_per_word` must be above 0. Received: seconds_per_word={seconds_per_word!r}"
        )
    words = explanation.words
    shown = content_positions(words) if content_words else range(len(words))
    frames = [_frame(explanation, explanation.image, None)]
    frames += [_frame(explanation, explanation.overlay(i, style), i) for i in shown]
    milliseconds = round(seconds_per_word * 1000)
    # The last word is shown longer, so that the whole caption can be read.
    durations = [milliseconds] * (len(frames) - 1) + [3 * milliseconds]
    with replacing(target) as partial:
        frames[0].save(
            partial,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=durations,
            loop=0,
            disposal=1,
            # Pillow's optimisation would map each frame to the palette of the first.
            optimize=False,
        )


def _frame(explanation: Explanation, pixels: np.ndarray, index: int | None) -> Image.Image:
    """Returns one image with the caption below it, the words so far in full colour."""
    image = Image.fromarray(pixels)
    scale = GIF_SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.BILINEAR)
    font = ImageFont.load_default(size=18)
    lines = _lines(explanation.words, font, size[0] - 16)
    caption = Image.new("RGB", (size[0], 12 + 24 * max(len(lines), 1)), _BACKGROUND)
    draw = ImageDraw.Draw(caption)
    for number, line in enumerate(lines):
        left, top = 8.0, 4 + 24 * number
        for position in line:
            word = explanation.words[position]
            colour = _LATER if index is None or position > index else _EARLIER
            if position == index:
                field = (left - 3, top, left + font.getlength(word) + 2, top + 23)
                draw.rounded_rectangle(field, radius=3, fill=_HIGHLIGHT)
                colour = _BACKGROUND
            draw.text((left, top), word, fill=colour, font=font)
            left += font.getlength(word + " ")
    return _with_own_palette(image, caption)


def _with_own_palette(image: Image.Image, caption: Image.Image) -> Image.Image:
    """Joins an image and the caption below it in one palette of 256 colours.

    The image's colours are chosen from the image alone. Chosen from both, the strong yellow of
    the highlight would take the place of the colours of faces, which are few.
    """
    reserved = _palette(caption.quantize(_CAPTION_COLOURS, dither=Image.Dither.NONE))
    few = 255 - len(reserved) // 3
    chosen = _palette(image.quantize(few, method=Image.Quantize.MEDIANCUT, kmeans=2))
    palette = Image.new("P", (1, 1))
    palette.putpalette(chosen + reserved)
    frame = Image.new("P", (image.width, image.height + caption.height))
    frame.putpalette(chosen + reserved)
    frame.paste(image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG), (0, 0))
    written = caption.quantize(palette=palette, dither=Image.Dither.NONE)
    frame.paste(written, (0, image.height))
    return frame


def _palette(image: Image.Image) -> list[int]:
    """Returns the colours of an image of mode P up to the last that it uses, as 3 numbers each."""
    return (image.getpalette() or [])[: 3 * (int(np.asarray(image).max()) + 1)]


def _lines(
    words: list[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float
) -> list[list[int]]:
    """Returns the positions of the words, broken into lines that fit."""
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

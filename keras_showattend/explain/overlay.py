"""Attention weights laid over an image, with NumPy and Pillow alone."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

STYLES = ("smooth", "grid", "spotlight")
# How much of an image's light a spotlight leaves where there is no attention at all.
SHADE = 0.3
# Steps of the colour scale: finer ones the eye does not see, and they make files larger.
NUM_LEVELS = 64
# The scale "plasma" (CC0), even to the eye: each step is as visible as any other. Colours
# fade with the attention, so that the image stays in sight where there is none; and they lie on
# an image that has lost most of its own colours, or a red shirt would look like attention.
_SCALE = (
    (76, 2, 161), (126, 3, 168), (170, 35, 149), (204, 71, 120),
    (230, 108, 92), (248, 149, 64), (253, 197, 39), (240, 249, 33),
)  # fmt: skip
_OPACITY = (0.0, 0.75)
GREYNESS = 0.8
# Above what the encoder did not see lies black of this opacity.
UNSEEN_OPACITY = 0.6


def check_style(style: str) -> None:
    """Raises `ValueError` unless `style` is one of `STYLES`."""
    if style not in STYLES:
        raise ValueError(f"`style` must be one of {STYLES}. Received: style={style!r}")


@cache
def colour_scale() -> np.ndarray:
    """Returns the colours of attention from none to the most, uint8[64, 4], as RGBA."""
    at = np.linspace(0, 1, NUM_LEVELS)
    anchors = np.linspace(0, 1, len(_SCALE))
    channels = [np.interp(at, anchors, channel) for channel in zip(*_SCALE, strict=True)]
    opacity = 255 * np.interp(at, (0, 1), _OPACITY)
    return np.rint(np.stack([*channels, opacity], axis=-1)).astype("uint8")


def heat_map(weights: np.ndarray, size: tuple[int, int], style: str = "smooth") -> np.ndarray:
    """Enlarges attention weights, each staying over its own location.

    Args:
        weights: float[rows, columns], 0 or more.
        size: `(height, width)` in pixels.
        style: `"grid"` gives the true cells; every other style is bicubic between their centres.

    Returns:
        float32[height, width] in 0..1; 1 is the greatest weight and 0 is no attention,
        so that even attention is bright everywhere and does not look like a choice.

    Raises:
        ValueError: for an unknown style.
    """
    check_style(style)
    weights = np.asarray(weights, "float32")
    weights = weights / max(float(weights.max()), 1e-12)
    method = Image.Resampling.NEAREST if style == "grid" else Image.Resampling.BICUBIC
    height, width = size
    enlarged = Image.fromarray(weights).resize((width, height), method)
    # Bicubic curves swing a little beyond their ends.
    return np.clip(np.asarray(enlarged), 0, 1)


def overlay(
    image: np.ndarray,
    weights: np.ndarray,
    window: tuple[int, int, int, int],
    style: str = "smooth",
) -> np.ndarray:
    """Shows attention on an image.

    Args:
        image: uint8[H, W, 3].
        weights: float[rows, columns].
        window: `(left, top, right, bottom)`: the pixels over which the grid lies; what is
            outside was not seen by the encoder, and is dark and grey.
        style: `"smooth"` or `"grid"` for colours, `"spotlight"` for light and dark.

    Returns:
        uint8[H, W, 3].

    Raises:
        ValueError: for an unknown style.
    """
    check_style(style)
    if style == "spotlight":
        return spotlight(image, weights, window)
    left, top, right, bottom = window
    grey = image @ np.array([0.299, 0.587, 0.114])
    faded = GREYNESS * grey[..., None] + (1 - GREYNESS) * image
    result = np.repeat(grey[..., None] * (1 - UNSEEN_OPACITY), 3, axis=-1)
    heat = heat_map(weights, (bottom - top, right - left), style)
    colours = colour_scale()[np.rint(heat * (NUM_LEVELS - 1)).astype(int)].astype("float32")
    opacity = colours[..., 3:] / 255
    seen = faded[top:bottom, left:right]
    result[top:bottom, left:right] = seen * (1 - opacity) + colours[..., :3] * opacity
    return np.rint(result).astype("uint8")


def spotlight(
    image: np.ndarray,
    weights: np.ndarray,
    window: tuple[int, int, int, int],
    style: str = "smooth",
) -> np.ndarray:
    """Darkens an image where there is little attention.

    Args:
        image: uint8[H, W, 3].
        weights: float[rows, columns].
        window: see `overlay`.
        style: see `heat_map`.

    Returns:
        uint8[H, W, 3].
    """
    left, top, right, bottom = window
    light = np.full(image.shape[:2], SHADE / 2, "float32")
    heat = heat_map(weights, (bottom - top, right - left), style)
    light[top:bottom, left:right] = SHADE + (1 - SHADE) * heat
    seen = np.zeros(image.shape[:2], bool)
    seen[top:bottom, left:right] = True
    grey = image.mean(axis=-1, keepdims=True)
    result = np.where(seen[..., None], image, grey) * light[..., None]
    return np.rint(result).astype("uint8")


def describe_place(weights: np.ndarray) -> str:
    """Describes in words where the attention is, for readers who do not see the map.

    Args:
        weights: float[rows, columns] that sum to 1.

    Returns:
        str such as `"upper left"`, or `"the whole image"` where no ninth of it gets
        much more than its part.
    """
    rows, columns = weights.shape
    down = np.minimum((np.arange(rows) + 0.5) / rows * 3, 2.999).astype(int)
    across = np.minimum((np.arange(columns) + 0.5) / columns * 3, 2.999).astype(int)
    ninths, sizes = np.zeros((3, 3)), np.zeros((3, 3))
    np.add.at(ninths, (down[:, None], across[None]), weights)
    np.add.at(sizes, (down[:, None], across[None]), 1)
    density = ninths / np.maximum(sizes, 1)
    row, column = np.unravel_index(np.argmax(density), (3, 3))
    if density[row, column] < 1.5 * weights.sum() / weights.size:
        return "the whole image"
    vertical = ("upper", "", "lower")[row]
    horizontal = ("left", "", "right")[column]
    return f"{vertical} {horizontal}".strip() or "the middle"

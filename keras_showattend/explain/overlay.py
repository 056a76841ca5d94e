"""Attention weights laid over a picture, with NumPy and Pillow alone."""

from __future__ import annotations

import numpy as np
from PIL import Image

STYLES = ("smooth", "grid")
# How much of a picture's light is left where there is no attention at all.
SHADE = 0.3


def check_style(style: str) -> None:
    """Raise ValueError unless `style` is one of `STYLES`."""
    if style not in STYLES:
        raise ValueError(f"`style` must be one of {STYLES}. Received: style={style!r}")


def heat_map(weights: np.ndarray, size: tuple[int, int], style: str = "smooth") -> np.ndarray:
    """Enlarges attention weights, each staying over its own place.

    Args:
        weights: float[rows, columns], 0 or more.
        size: `(height, width)` in pixels.
        style: `"smooth"` (bicubic between the centres of the cells) or `"grid"`.

    Returns:
        float32[height, width] in 0..1; 1 is the greatest weight and 0 is no attention,
        so that even attention is bright everywhere and does not look like a choice.

    Raises:
        ValueError: for an unknown style.
    """
    check_style(style)
    weights = np.asarray(weights, "float32")
    weights = weights / max(float(weights.max()), 1e-12)
    filters = {"smooth": Image.Resampling.BICUBIC, "grid": Image.Resampling.NEAREST}
    height, width = size
    enlarged = Image.fromarray(weights).resize((width, height), filters[style])
    # Bicubic curves swing a little beyond their ends.
    return np.clip(np.asarray(enlarged), 0, 1)


def spotlight(
    image: np.ndarray,
    weights: np.ndarray,
    window: tuple[int, int, int, int],
    style: str = "smooth",
) -> np.ndarray:
    """Darkens a picture where there is little attention.

    Args:
        image: uint8[H, W, 3].
        weights: float[rows, columns].
        window: `(left, top, right, bottom)`: the pixels over which the grid lies; what is
            outside was not seen, and is dark and grey.
        style: `"smooth"` or `"grid"`.

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
    """Where the attention is, in words, for readers who do not see the map.

    Args:
        weights: float[rows, columns] that sum to 1.

    Returns:
        str such as `"upper left"`, or `"the whole picture"` where no ninth of it gets
        much more than its share.
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
        return "the whole picture"
    vertical = ("upper", "", "lower")[row]
    horizontal = ("left", "", "right")[column]
    return f"{vertical} {horizontal}".strip() or "the middle"

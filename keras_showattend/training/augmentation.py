"""Random crops, colors and layers that vary the images of each batch."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image

from keras_showattend._typing import Array
from keras_showattend.preprocessing import CaptionImageConverter
from keras_showattend.preprocessing.image_sources import ImageSource

# Part of each channel in the brightness of a pixel (ITU-R BT.601).
LUMINANCE = np.array([0.299, 0.587, 0.114], "float32")
# Ratio of a window's width to its height, relative to the image's own.
ASPECT_RATIOS = (3 / 4, 4 / 3)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How training images are varied; they are then decoded anew for each batch.

    Attributes:
        random_crop: float in (0, 1]. Smallest fraction of its area that is left of an
            image. The window is drawn as in Szegedy et al. 2015 (arXiv 1409.4842, section
            6), with a width up to a third above or below that of the image's own shape,
            and is resized to the encoder's input. Captions name what is in the whole
            image, so this should stay above one half. Defaults to 1.
        color_jitter: float in [0, 1). Brightness, contrast and saturation are each
            multiplied by a factor between `1 - color_jitter` and `1 + color_jitter`.
            Defaults to 0.
        layer: function of float32[B, H, W, 3], pixels 0..255, to the same, such as
            `keras.layers.RandAugment((0, 255), num_ops=2, factor=0.3)`. It is called last,
            in training mode if it is a Keras layer. Its randomness is its own: a resumed
            run draws other values than an uninterrupted one. Defaults to None.

    Raises:
        ValueError: for a `random_crop` or `color_jitter` out of range.
    """

    random_crop: float = 1.0
    color_jitter: float = 0.0
    layer: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.random_crop <= 1:
            raise ValueError(
                "`random_crop` must be in (0, 1], a fraction of the area. "
                f"Received: random_crop={self.random_crop!r}"
            )
        if not 0 <= self.color_jitter < 1:
            raise ValueError(
                f"`color_jitter` must be in [0, 1). Received: color_jitter={self.color_jitter!r}"
            )

    def __call__(
        self,
        images: Sequence[ImageSource],
        image_converter: CaptionImageConverter,
        flips: Array,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Loads and varies images.

        Args:
            images: list of B of anything `load_image` takes.
            image_converter: a `CaptionImageConverter`, for the size.
            flips: bool[B]. Whether an image is mirrored.
            rng: random generator.

        Returns:
            float32[B, H, W, 3], pixels 0..255, not yet normalized.
        """
        # A generator for each image, so that the threads' order does not matter.
        load = functools.partial(self._load, image_converter=image_converter)
        pixels = np.stack(list(_pool().map(load, images, flips, rng.spawn(len(images)))))
        if self.layer is None:
            return pixels
        options = {"training": True} if isinstance(self.layer, keras.layers.Layer) else {}
        return np.asarray(keras.ops.convert_to_numpy(self.layer(pixels, **options)), "float32")

    def _load(
        self,
        image: ImageSource,
        flip: bool,
        rng: np.random.Generator,
        image_converter: CaptionImageConverter,
    ) -> np.ndarray:
        height, width = image_converter.image_size
        # As large as the smallest window needs, so that no window is enlarged.
        zoom = math.sqrt(1 / self.random_crop)
        size = (math.ceil(height * zoom), math.ceil(width * zoom))
        pixels = image_converter.load(image, size)
        if self.random_crop < 1:
            box = random_window(size, self.random_crop, rng)
            resized = Image.fromarray(pixels).resize(
                (width, height), Image.Resampling.BILINEAR, box=box
            )
            pixels = np.asarray(resized)
        pixels = pixels[:, ::-1] if flip else pixels
        return jitter_colors(pixels.astype("float32"), self.color_jitter, rng)


def random_window(
    size: tuple[int, int], smallest_area: float, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Draws a window of an image.

    Args:
        size: `(height, width)`.
        smallest_area: smallest fraction of the area.
        rng: random generator.

    Returns:
        Left, upper, right and lower edge in pixels.
    """
    height, width = size
    area = rng.uniform(smallest_area, 1)
    # No side can be longer than the image's.
    low, high = (math.log(ratio) for ratio in ASPECT_RATIOS)
    ratio = math.exp(rng.uniform(max(low, math.log(area)), min(high, -math.log(area))))
    rows, columns = height * math.sqrt(area / ratio), width * math.sqrt(area * ratio)
    top, left = rng.uniform(0, height - rows), rng.uniform(0, width - columns)
    return left, top, min(left + columns, width), min(top + rows, height)


def jitter_colors(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Multiplies brightness, contrast and saturation of an image by random factors.

    Args:
        pixels: float32[H, W, 3] in 0..255.
        strength: factors are drawn between 1 - strength and 1 + strength.
        rng: random generator.

    Returns:
        float32[H, W, 3] in 0..255.
    """
    if not strength:
        return pixels
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3).astype("float32")
    pixels = pixels * brightness
    gray = pixels @ LUMINANCE
    pixels = gray.mean() + contrast * (pixels - gray.mean())
    gray = (pixels @ LUMINANCE)[..., None]
    return np.clip(gray + saturation * (pixels - gray), 0, 255)


@functools.cache
def _pool() -> concurrent.futures.ThreadPoolExecutor:
    # Pillow decodes and resizes outside Python's lock.
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), "decode")

"""Arrays of pixels, checked and brought to 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_showattend.preprocessing.image_sources import ImageError, describe_source, refuse


def array_to_uint8(array: np.ndarray, source: Any) -> np.ndarray:
    """Checks shape and range of one image.

    Args:
        array: numbers in 0..255, of shape [H, W], [H, W, 1], [H, W, 3] or [H, W, 4].
        source: what the array came from, for errors.

    Returns:
        uint8[H, W], or uint8[H, W, 3 or 4].

    Raises:
        ImageError: for another shape, no pixels, or values that are not 0..255.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        remedy = "pass one image, with the channels last"
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            remedy = "move the channels last, `np.moveaxis(array, 0, -1)`"
        elif array.ndim == 4:
            remedy = "pass the images of a batch one by one, `array[0]`"
        raise refuse(
            f"An image in an array is H x W, H x W x 1, H x W x 3 or H x W x 4: {remedy}.", source
        )
    if array.size == 0:
        raise refuse("An image has at least one pixel: the array is empty.", source)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint8:
        return array
    # NumPy does not count bfloat16 of JAX and TensorFlow among the floats (its kind is "V").
    floating = array.dtype.kind == "f" or array.dtype.name.startswith(("bfloat16", "float8"))
    if not floating and array.dtype.kind not in "iu":
        raise refuse(
            "Pixels are whole or floating-point numbers 0..255: convert the array, a mask with "
            "`mask.astype('uint8') * 255`.",
            source,
        )
    if floating:
        array = array.astype(np.float64 if array.dtype == np.float64 else np.float32)
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise refuse("Pixels are finite numbers 0..255: remove the NaN or infinity.", source)
    rounded = np.rint(array) if floating else array
    span = f"{describe_source(source)} with values {low:g}..{high:g}"
    if floating and low >= 0 and high <= 1 and np.any(rounded != array):
        raise ImageError(
            "Pixel values are expected in 0..255 and these look like 0..1: multiply the array by "
            f"255. Received: {span}"
        )
    if rounded.min() < 0 or rounded.max() > 255:
        raise ImageError(
            "Pixel values are expected in 0..255: undo a normalisation (-1..1, mean subtracted), "
            f"divide 16-bit values by 257. Received: {span}"
        )
    return rounded.astype(np.uint8)

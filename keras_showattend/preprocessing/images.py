"""One image from anywhere, as uint8[H, W, 3] RGB; nothing here imports Keras or a backend."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
from PIL import Image

from keras_showattend.preprocessing.image_arrays import array_to_uint8
from keras_showattend.preprocessing.image_decoding import (
    binary_stream,
    central_window,
    decode,
    file_error,
    read_image,
    to_rgb,
)
from keras_showattend.preprocessing.image_folders import ImageListing, find_images, list_images
from keras_showattend.preprocessing.image_sources import (
    ImageError,
    ImageSource,
    as_image_list,
    describe_source,
    is_array,
    to_numpy,
)

__all__ = [
    "ImageError",
    "ImageListing",
    "ImageSource",
    "as_image_list",
    "describe_source",
    "find_images",
    "image_digest",
    "list_images",
    "load_image",
]


def load_image(
    source: ImageSource,
    size: tuple[int, int] | None = None,
    *,
    crop: bool = False,
    accept_truncated: bool = False,
) -> np.ndarray:
    """Reads one image, upright by its EXIF orientation.

    Transparency is laid on white; grey is repeated over the channels; 16-bit grey is scaled to
    8 bits; an animation gives its first frame.

    Args:
        source: path, bytes of an image file, binary file object (its position is kept), PIL
            image, or array or tensor of H x W, H x W x 1, x 3 or x 4 with values 0..255. Floats
            are rounded; floats that all lie in 0..1 are refused as a wrong range, unless all are
            whole (an all-black image is an image).
        size: (height, width) of the result, antialiased bilinear; None keeps the image's own.
            A JPEG is decoded at a fraction of its size where twice `size` is left, and may then
            have up to 12 times as many pixels as `PIL.Image.MAX_IMAGE_PIXELS`.
        crop: False squashes the image to `size`; True first takes its largest central window
            of that aspect ratio. Without `size` it does nothing.
        accept_truncated: whether a JPEG that ends early is read, with a `UserWarning`. What is
            missing is grey; where only the end marker is missing, nothing is.

    Returns:
        uint8[H, W, 3], RGB, C-contiguous, never sharing memory with `source`.

    Raises:
        ImageError: `source` is missing, a folder, a URL, empty, damaged, not an image, of a wrong
            type, shape or value range, has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`, or
            a side of more than 65,535.
        ValueError: `size` is not two positive whole numbers.
    """
    _check_size(size)
    if isinstance(source, Image.Image):
        image = decode(source, source)
    elif is_array(source):
        array = array_to_uint8(to_numpy(source), source)
        image = to_rgb(Image.fromarray(array), source)
    else:
        image = read_image(source, size, crop, accept_truncated)
    if size is not None:
        height, width = size
        if crop:
            image = image.crop(central_window(image.size, (width, height)))
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.array(image)


def image_digest(source: ImageSource) -> str:
    """Returns the SHA-256 (64 hex digits) of an image's content, a key for feature caches.

    Of a file, bytes or a file object: their bytes, read in pieces. Of an array or tensor: dtype,
    shape and values. Of a PIL image: its pixels as `load_image` gives them.

    Raises:
        ImageError: the source cannot be read, or is of a type `load_image` refuses.
    """
    if isinstance(source, Image.Image):
        source = load_image(source)
    if is_array(source):
        array = to_numpy(source)
        digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
    stream = binary_stream(source)
    try:
        if not isinstance(stream, io.BytesIO):
            with open(stream, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise file_error(source, error) from error


def _check_size(size: Any) -> None:
    whole = (int, np.integer)
    good = isinstance(size, tuple | list) and len(size) == 2
    if size is not None and not (good and all(isinstance(n, whole) and n > 0 for n in size)):
        raise ValueError(
            "`size` is (height, width), two positive whole numbers such as (224, 224), or None "
            f"to keep the image's own. Received: size={size!r}"
        )

"""The preview that cameras put into their raw files, by `rawpy`."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from keras_showattend.preprocessing.image_formats import RAW_HINT
from keras_showattend.preprocessing.image_sources import refuse

_EXIF_ORIENTATION = 0x0112
# From LibRaw's turn of the sensor to what makes its preview upright.
_TURNS = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.ROTATE_90,
    6: Image.Transpose.ROTATE_270,
}


class RawPreview(NamedTuple):
    """The preview of a raw file.

    Attributes:
        content: the bytes of a JPEG, or uint8[H, W, 3].
        turn: what makes it upright, or None; the JPEG's own orientation is not part of it.
    """

    content: bytes | np.ndarray
    turn: Image.Transpose | None


def read_preview(path: str) -> RawPreview:
    """Reads the preview of a camera's raw file.

    Args:
        path: a file.

    Raises:
        ImageError: if `rawpy` is not installed, or the file is no raw data or has no preview.
    """
    try:
        import rawpy
    except ImportError:
        raise refuse(RAW_HINT, path) from None
    try:
        with open(path, "rb") as file, rawpy.imread(file) as raw:
            preview = raw.extract_thumb()
            flip = raw.sizes.flip
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError) as error:
        raise refuse(
            "Camera raw is read by its embedded preview, and this file has none: export it as "
            "JPEG.",
            path,
        ) from error
    except rawpy.LibRawError as error:
        raise refuse(
            f"The content is no camera raw that can be read ({_reason(error)}): export it as JPEG.",
            path,
        ) from error
    if preview.format != rawpy.ThumbFormat.JPEG:
        return RawPreview(np.ascontiguousarray(preview.data), _TURNS.get(flip))
    content = bytes(preview.data)
    with Image.open(io.BytesIO(content)) as image:
        # Some cameras turn the preview, or say in it how to, and some do neither.
        is_turned = _EXIF_ORIENTATION in image.getexif()
        is_turned |= flip in (5, 6) and image.height > image.width
    return RawPreview(content, None if is_turned else _TURNS.get(flip))


def _reason(error: Exception) -> str:
    text = error.args[0] if error.args else error
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)

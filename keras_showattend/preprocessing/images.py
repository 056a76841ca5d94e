"""One photograph from anywhere, as uint8[H, W, 3] RGB; nothing here imports Keras or a backend."""

from __future__ import annotations

import hashlib
import io
import math
import os
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from keras_showattend._text import is_url
from keras_showattend.preprocessing.image_folders import ImageListing, find_images, list_images
from keras_showattend.preprocessing.image_sources import (
    ImageError,
    ImageSource,
    as_image_list,
    describe_source,
    is_array,
    refuse,
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

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(
    source: ImageSource, size: tuple[int, int] | None = None, *, crop: bool = False
) -> np.ndarray:
    """Read one picture as uint8[H, W, 3], RGB, upright by its EXIF orientation.

    Transparency is laid on white; grey is repeated over the channels; 16-bit grey is scaled to
    8 bits; an animation gives its first frame.

    Args:
        source: path, bytes of an image file, binary file object (its position is kept), PIL
            image, or array or tensor of H x W, H x W x 1, x 3 or x 4 with values 0..255. Floats
            are rounded; floats that all lie in 0..1 are refused as a wrong range, unless all are
            whole (an all-black picture is a picture).
        size: (height, width) of the result, antialiased bilinear; None keeps the picture's own.
        crop: False squashes the picture to `size`; True first takes its largest central window
            of that aspect ratio. Without `size` it does nothing.

    Returns:
        uint8[H, W, 3], C-contiguous, never sharing memory with `source`.

    Raises:
        ImageError: `source` is missing, a folder, a URL, empty, damaged, not an image, of a wrong
            type, shape or value range, or has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
        ValueError: `size` is not two positive whole numbers.
    """
    _check_size(size)
    if isinstance(source, Image.Image):
        picture = _decode(source, source)
    elif is_array(source):
        array = _array_to_uint8(to_numpy(source), source)
        picture = _to_rgb(Image.fromarray(array), source)
    else:
        opened = _open(source)
        try:
            if size is not None:
                _reduce_while_decoding(opened, size, crop)
            picture = _decode(opened, source)
        finally:
            opened.close()
    if size is not None:
        height, width = size
        if crop:
            picture = picture.crop(_central_window(picture.size, (width, height)))
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.array(picture)


def image_digest(source: ImageSource) -> str:
    """Return the SHA-256 (64 hex digits) of a picture's content, a key for feature caches.

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
    stream = _binary(source)
    try:
        if not isinstance(stream, io.BytesIO):
            with open(stream, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise _file_error(source, error) from error


def _check_size(size: Any) -> None:
    whole = (int, np.integer)
    good = isinstance(size, tuple | list) and len(size) == 2
    if size is not None and not (good and all(isinstance(n, whole) and n > 0 for n in size)):
        raise ValueError(
            "`size` is (height, width), two positive whole numbers such as (224, 224), or None "
            f"to keep the picture's own. Received: size={size!r}"
        )


def _array_to_uint8(array: np.ndarray, source: Any) -> np.ndarray:
    """Check shape and range -> uint8[H, W], or uint8[H, W, 3 or 4]."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        remedy = "pass one picture, with the channels last"
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            remedy = "move the channels last, `np.moveaxis(array, 0, -1)`"
        elif array.ndim == 4:
            remedy = "pass the pictures of a batch one by one, `array[0]`"
        raise refuse(
            f"An array picture is H x W, H x W x 1, H x W x 3 or H x W x 4: {remedy}.", source
        )
    if array.size == 0:
        raise refuse("A picture has at least one pixel: the array is empty.", source)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint8:
        return array
    # bfloat16 of JAX and TensorFlow is no float to NumPy (its kind is "V").
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


def _binary(source: Any) -> io.BytesIO | str:
    """Turn a path, bytes or file object into what both Pillow and `open` can read."""
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        if is_url(path):
            raise refuse("Nothing is downloaded: save the picture, pass the file.", path)
        return path
    if hasattr(source, "read"):
        # The position is put back, so that one file object can be hashed and then read.
        start = source.tell() if hasattr(source, "seek") and source.seekable() else None
        content = source.read()
        if start is not None:
            source.seek(start)
        if not isinstance(content, bytes):
            raise refuse("A file object has to be binary: open it with mode 'rb'.", source)
        return io.BytesIO(content)
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    raise refuse(
        "A picture is a path, bytes, a binary file object, a PIL image, an array or a tensor.",
        source,
    )


def _open(source: Any) -> Image.Image:
    stream = _binary(source)
    limit = Image.MAX_IMAGE_PIXELS
    bomb = f"More than {limit} pixels, maybe a decompression bomb: if you trust it, "
    bomb += "shrink it or raise `PIL.Image.MAX_IMAGE_PIXELS`."
    try:
        image = Image.open(stream)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise refuse(bomb, source) from error
    except Exception as error:
        raise _file_error(source, error) from error
    # Up to twice its limit Pillow only warns. Silencing that warning would need
    # `warnings.catch_warnings`, which changes global state under other threads.
    if limit is not None and image.width * image.height > limit:
        image.close()
        raise refuse(bomb, source)
    # Pillow decodes PostScript by running Ghostscript on it, which executes the file.
    if image.format == "EPS":
        image.close()
        raise refuse("EPS is a program, not a photo: convert it to PNG or JPEG.", source)
    return image


def _file_error(source: Any, error: Exception) -> ImageError:
    """Find out why a source could not be opened; only on failure, so that success costs no stat."""
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    text = f"The file cannot be opened ({error})."
    if path is not None and isinstance(error, FileNotFoundError):
        text = "There is no such file: check the path and the working folder."
    elif path is not None and os.path.isdir(path):
        text = "A folder is no picture: pass its files, `find_images(folder)`."
    elif isinstance(error, UnidentifiedImageError):
        stream = _binary(source)
        empty = not (stream.read() if isinstance(stream, io.BytesIO) else os.path.getsize(stream))
        text = "The content is no image Pillow can read: pass JPEG, PNG, GIF, BMP, WebP or TIFF."
        if empty:
            text = "The source holds zero bytes: copy or download it again."
    return refuse(text, source)


def _reduce_while_decoding(image: Image.Image, size: tuple[int, int], crop: bool) -> None:
    """Let JPEG decode at 1/2, 1/4 or 1/8, as long as twice the wanted size is left."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return
    height, width = size
    if _orientation(image) >= 5:
        height, width = width, height
    whole = (0, 0, image.width, image.height)
    left, top, right, bottom = _central_window(image.size, (width, height)) if crop else whole
    across, down = image.width / (right - left), image.height / (bottom - top)
    image.draft(None, (math.ceil(2 * width * across), math.ceil(2 * height * down)))


def _orientation(image: Image.Image) -> int:
    # A damaged EXIF block raises anything; the picture under it is still good.
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:
        return 1


def _decode(image: Image.Image, source: Any) -> Image.Image:
    # Decoders raise anything on a damaged file: OSError, SyntaxError, struct.error, EOFError...
    try:
        image.load()
        transpose = _UPRIGHT.get(_orientation(image))
        return _to_rgb(image if transpose is None else image.transpose(transpose), source)
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise refuse(
            f"The picture is truncated or damaged ({error}): copy or download it again.", source
        ) from error


def _to_rgb(image: Image.Image, source: Any) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        array = np.asarray(image)
        # Mode "I" holds 16-bit grey from some file formats, and 8-bit grey made from arrays.
        if image.mode.startswith("I") and array.max() > 255:
            array = np.rint(array / 257.0)
        image = Image.fromarray(_array_to_uint8(array, source))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _central_window(whole: tuple[int, int], aspect: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the largest window of an aspect (width, height)."""
    width, height = whole
    window_width = max(1, round(min(width, height * aspect[0] / aspect[1])))
    window_height = max(1, round(min(height, width * aspect[1] / aspect[0])))
    left, top = (width - window_width) // 2, (height - window_height) // 2
    return left, top, left + window_width, top + window_height

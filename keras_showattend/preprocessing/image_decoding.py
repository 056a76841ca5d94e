"""Image files to pixels, with limits on what a stranger's file may cost.

At Pillow's limit of 89 million pixels, decoding takes up to 1.2 GB: no step holds more than
13 bytes a pixel.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from typing import IO

import numpy as np
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from keras_showattend._text import is_url
from keras_showattend.preprocessing.camera_raw import read_preview
from keras_showattend.preprocessing.image_arrays import array_to_uint8
from keras_showattend.preprocessing.image_formats import (
    is_camera_raw,
    readable_formats,
    unreadable_content,
)
from keras_showattend.preprocessing.image_sources import (
    ImageError,
    ImageSource,
    describe_source,
    refuse,
)

# What JPEG can declare. A file of 69 bytes can declare 1 x 89,000,000 pixels, for whose rows
# alone Pillow takes gigabytes.
MAX_SIDE = 65_535
# How many times more pixels than Pillow's limit a JPEG may have that is decoded at a fraction
# of its size. Decoding a progressive one holds the coefficients of all pixels.
_LARGER_WHEN_REDUCED = {"baseline": 12, "progressive": 2}
_END_OF_JPEG = b"\xff\xd9"
_BAND_PIXELS = 1 << 20
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
_SIDEWAYS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)


def binary_stream(source: ImageSource) -> io.BytesIO | str:
    """Turns a path, bytes or a file object into what both Pillow and `open` can read.

    Raises:
        ImageError: for a URL, a text file object or another type.
    """
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        if is_url(path):
            raise refuse("Nothing is downloaded: save the image, pass the file.", path)
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
        "An image is a path, bytes, a binary file object, a PIL image, an array or a tensor.",
        source,
    )


def read_image(
    source: ImageSource, size: tuple[int, int] | None, crop: bool, accept_truncated: bool
) -> Image.Image:
    """Decodes an image file; see `load_image` for the arguments.

    Returns:
        PIL image in mode RGB, upright, at least twice as large as `size` where the file is.

    Raises:
        ImageError: for a file that cannot be read, is too large or is damaged.
    """
    stream = binary_stream(source)
    if isinstance(stream, str) and is_camera_raw(stream):
        return _read_camera_raw(stream, source, size, crop)
    try:
        with _open_binary(stream, source) as file:
            try:
                return _read(file, source, size, crop)
            except _TruncatedJpegError as error:
                if not accept_truncated:
                    raise refuse(
                        "The JPEG is truncated: copy or download it again, or use what is there "
                        "with `accept_truncated=True` (command line: `--accept-truncated`).",
                        source,
                    ) from error
            file.seek(0)
            # With its end marker the decoder takes what comes before for all there is.
            content = io.BytesIO(file.read() + _END_OF_JPEG)
        image = _read(content, source, size, crop)
    except OSError as error:
        raise file_error(source, error) from error
    warnings.warn(
        "A JPEG ends early, and what is missing is grey: copy or download it again. "
        f"Received: {describe_source(source)}",
        UserWarning,
        stacklevel=3,
    )
    return image


def _read_camera_raw(
    path: str, source: ImageSource, size: tuple[int, int] | None, crop: bool
) -> Image.Image:
    try:
        preview = read_preview(path)
    except OSError as error:
        raise file_error(source, error) from error
    if size is not None and preview.turn in _SIDEWAYS:
        size = size[::-1]
    if isinstance(preview.content, np.ndarray):
        image = to_rgb(Image.fromarray(array_to_uint8(preview.content, source)), source)
    else:
        try:
            image = _read(io.BytesIO(preview.content), source, size, crop)
        except _TruncatedJpegError as error:
            raise refuse("The preview in the file is truncated: copy it again.", source) from error
    return image if preview.turn is None else image.transpose(preview.turn)


class _TruncatedJpegError(Exception):
    pass


def _open_binary(stream: io.BytesIO | str, source: ImageSource) -> IO[bytes]:
    # Pillow closes no file that it did not open, and a closed image loses its pixels.
    try:
        return open(stream, "rb") if isinstance(stream, str) else stream
    except (OSError, ValueError) as error:
        raise file_error(source, error) from error


def _read(
    file: IO[bytes], source: ImageSource, size: tuple[int, int] | None, crop: bool
) -> Image.Image:
    image = _open(file, source)
    declared = image.width * image.height
    if size is not None:
        _reduce_while_decoding(image, size, crop)
    _check_limits(image, declared, source)
    return decode(image, source)


def _open(file: IO[bytes], source: ImageSource) -> Image.Image:
    try:
        try:
            return Image.open(file, formats=readable_formats())
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            # Pillow judges by the size in the header, and a JPEG may be decoded at less.
            file.seek(0)
            image = _open_jpeg(file)
            if image is None:
                raise refuse(_too_large(), source) from None
            return image
    except ImageError:
        raise
    except Exception as error:
        raise file_error(source, error) from error


def _open_jpeg(file: IO[bytes]) -> Image.Image | None:
    try:
        return JpegImagePlugin.JpegImageFile(file)
    except SyntaxError:
        return None


def _check_limits(image: Image.Image, declared: int, source: ImageSource) -> None:
    if max(image.size) > MAX_SIDE:
        raise refuse(
            f"An image has at most {MAX_SIDE} pixels a side: crop or shrink it. Its sides are "
            f"{image.width} x {image.height}.",
            source,
        )
    # Up to twice its limit Pillow only warns.
    limit = Image.MAX_IMAGE_PIXELS
    kind = "progressive" if image.info.get("progressive") else "baseline"
    if limit is not None and (
        image.width * image.height > limit or declared > limit * _LARGER_WHEN_REDUCED[kind]
    ):
        raise refuse(_too_large(), source)


def _too_large() -> str:
    return (
        f"More than {Image.MAX_IMAGE_PIXELS} pixels, maybe a decompression bomb: if you trust the "
        "image, shrink it, or raise the limit `PIL.Image.MAX_IMAGE_PIXELS` (command line: "
        "`--max-megapixels`)."
    )


def file_error(source: ImageSource, error: Exception) -> ImageError:
    """Finds out why a source could not be opened; only on failure, so that success costs no stat.

    Args:
        source: as given by the user.
        error: what opening it raised.

    Returns:
        The error to raise.
    """
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    text = f"The file cannot be opened ({error})."
    if path is not None and isinstance(error, FileNotFoundError):
        text = "There is no such file: check the path and the working folder."
    elif path is not None and os.path.isdir(path):
        text = "A folder is no image: pass its files, `find_images(folder)`."
    elif isinstance(error, UnidentifiedImageError):
        start = _first_bytes(source)
        text = "The source holds zero bytes: copy or download it again."
        if start:
            text = unreadable_content(start)
    return refuse(text, source)


def _first_bytes(source: ImageSource) -> bytes:
    stream = binary_stream(source)
    if isinstance(stream, io.BytesIO):
        return stream.read(256)
    with open(stream, "rb") as file:
        return file.read(256)


def _reduce_while_decoding(image: Image.Image, size: tuple[int, int], crop: bool) -> None:
    """Lets JPEG decode at 1/2, 1/4 or 1/8, as long as twice the wanted size is left."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return
    height, width = size
    if _orientation(image) >= 5:
        height, width = width, height
    whole = (0, 0, image.width, image.height)
    left, top, right, bottom = central_window(image.size, (width, height)) if crop else whole
    across, down = image.width / (right - left), image.height / (bottom - top)
    image.draft(None, (math.ceil(2 * width * across), math.ceil(2 * height * down)))


def _orientation(image: Image.Image) -> int:
    # A damaged EXIF block raises anything; the image under it is still good.
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:
        return 1


def decode(image: Image.Image, source: ImageSource) -> Image.Image:
    """Decodes an opened image, upright and in RGB.

    Args:
        image: PIL image; of a user, or just opened.
        source: what it came from, for errors.

    Raises:
        ImageError: for damaged content.
    """
    # Decoders raise anything on a damaged file: OSError, SyntaxError, struct.error, EOFError...
    try:
        image.load()
        transpose = _UPRIGHT.get(_orientation(image))
        return to_rgb(image if transpose is None else image.transpose(transpose), source)
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile) and image is not source
        if is_jpeg and "truncated" in str(error):
            raise _TruncatedJpegError from error
        raise refuse(
            f"The image is truncated or damaged ({error}): copy or download it again.", source
        ) from error


def to_rgb(image: Image.Image, source: ImageSource) -> Image.Image:
    """Brings a PIL image of any mode to RGB: transparency on white, 16-bit grey as 8 bits."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        array = np.asarray(image)
        # Mode "I" holds 16-bit grey of some formats, and 8-bit grey made from arrays.
        if image.mode.startswith("I") and array.max() > 255:
            # Rounds v / 257, in whole numbers, which take half the memory.
            array = (array.astype(np.int32) + 128) // 257
        image = Image.fromarray(array_to_uint8(array, source))
    # Pillow loses the palette's Python side of an image inside an ICNS file, and then fails here.
    has_palette = image.mode != "P" or image.palette is not None
    if has_palette and image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    # Band by band: laying all of it on white at once would hold four copies.
    result = Image.new("RGB", image.size)
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        window = (0, top, image.width, min(top + rows, image.height))
        band = image.crop(window).convert("RGBA")
        white = Image.new("RGBA", band.size, (255, 255, 255, 255))
        result.paste(Image.alpha_composite(white, band).convert("RGB"), window)
    return result


def central_window(whole: tuple[int, int], aspect: tuple[int, int]) -> tuple[int, int, int, int]:
    """Returns left, top, right, bottom of the largest window of an aspect (width, height)."""
    width, height = whole
    window_width = max(1, round(min(width, height * aspect[0] / aspect[1])))
    window_height = max(1, round(min(height, width * aspect[1] / aspect[0])))
    left, top = (width - window_width) // 2, (height - window_height) // 2
    return left, top, left + window_width, top + window_height

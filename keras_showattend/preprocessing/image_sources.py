"""What an image can come from: one source or many, and the error for everything else."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from keras_showattend._text import printable

ImageSource: TypeAlias = Any
"""str or `Path`, bytes, binary file object, PIL image, NumPy array or backend tensor."""


class ImageError(ValueError):
    """An image that cannot be read, with the rule, the remedy and what was received."""


def describe_source(source: ImageSource) -> str:
    """Returns a short name for messages: "photo.jpg" or "uint8 array (224, 224, 3)"."""
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        text = text if isinstance(text, str) else os.fsdecode(text)
        text = printable(text)
        return (text if len(text) <= 120 else f"...{text[-117:]}") or "an empty string"
    if isinstance(source, Image.Image):
        return f"{source.mode} PIL image of {source.height} x {source.width}"
    if isinstance(source, bytes | bytearray | memoryview):
        return f"{len(source)} bytes"
    if hasattr(source, "shape") and hasattr(source, "dtype"):
        kind = "array" if isinstance(source, np.ndarray) else "tensor"
        dtype = str(getattr(source.dtype, "name", source.dtype)).removeprefix("torch.")
        return f"{dtype} {kind} {_shape_text(source.shape)}"
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return f"file object {printable(name)}" if isinstance(name, str) else "file object"
    text = repr(source)
    return f"{type(source).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def as_image_list(images: Any) -> tuple[list[ImageSource], bool]:
    """Tells one image from many.

    Args:
        images: one source of `load_image`; or a list or tuple of them, of any types and sizes
            together; or a batch array [B, H, W, C]; or a 1-D array of paths.

    Returns:
        The sources as a list, and True when `images` was one image.

    Raises:
        ImageError: nothing in it, a folder, a dict or another type, or an array of other rank.
    """
    if isinstance(images, list | tuple):
        return _not_empty(list(images), images), False
    if isinstance(images, str | os.PathLike) and os.path.isdir(images):
        raise refuse("A folder is no image: pass its files, `find_images(folder)`.", images)
    if _is_single_type(images):
        return [images], True
    if not is_array(images):
        raise refuse(
            "Images come as one path, array or PIL image, or as a list of them: take the images "
            "out of a dict, put `list(...)` around a generator.",
            images,
        )
    array = to_numpy(images)
    if array.ndim in (2, 3):
        return [array], True
    if array.ndim == 4 or (array.ndim == 1 and array.dtype.kind in "OU"):
        return _not_empty(list(array), images), False
    raise refuse("An array holds one image [H, W, C] or a batch [B, H, W, C].", images)


def refuse(rule_and_remedy: str, source: ImageSource) -> ImageError:
    """Makes the error for a source: the rule, the remedy and what was received."""
    return ImageError(f"{rule_and_remedy} Received: {describe_source(source)}")


def _shape_text(shape: Any) -> str:
    # TensorFlow's shapes of unknown rank refuse to be iterated.
    try:
        return str(tuple(shape))
    except (TypeError, ValueError):
        return str(shape)


def _not_empty(sources: list[ImageSource], images: Any) -> list[ImageSource]:
    if not sources:
        raise refuse("At least one image is needed: pass a list with something in it.", images)
    return sources


def _is_single_type(source: Any) -> bool:
    single = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image)
    return isinstance(source, single) or hasattr(source, "read")


def is_array(source: Any) -> bool:
    """Tells an array or a tensor of any framework from other sources."""
    if _is_single_type(source) or isinstance(source, type):
        return False
    return hasattr(source, "__array__") or hasattr(source, "numpy")


def to_numpy(source: Any) -> np.ndarray:
    """Reads an array or a tensor of any framework into NumPy."""
    if isinstance(source, np.ndarray):
        return source
    try:
        # torch refuses `numpy()` on tensors that are on a GPU or that want a gradient.
        source_on_cpu = source.detach().cpu() if hasattr(source, "detach") else source
        if hasattr(source_on_cpu, "numpy"):
            return np.asarray(source_on_cpu.numpy())
        return np.asarray(source_on_cpu)
    except Exception as error:
        raise refuse(
            "A tensor has to hold values NumPy can read: call outside a compiled function, and "
            f"cast to float32 or uint8 ({type(error).__name__}).",
            source,
        ) from error

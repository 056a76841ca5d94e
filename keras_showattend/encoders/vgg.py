"""VGG16 and VGG19, with the ImageNet weights of `keras.applications` reading RGB."""

from typing import Any

import keras
import keras_hub

from keras_showattend._typing import PathLike
from keras_showattend.encoders.channels import flip_input_channels
from keras_showattend.encoders.create import create_encoder
from keras_showattend.encoders.registry import encoder_entry
from keras_showattend.layers import ImageEncoder

# Convolutions in each block; 64 to 512 filters (Simonyan and Zisserman 2015, table 1).
CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)
PIXEL_OFFSET = encoder_entry("vgg16").offset


def vgg_encoder(
    name: str = "vgg16",
    grid: int = 7,
    weights: PathLike | None = "imagenet",
    image_shape: tuple[int, int, int] = (224, 224, 3),
    dtype: Any = None,
) -> ImageEncoder:
    """Builds a VGG `ImageEncoder`: `create_encoder` for VGGs alone.

    Args:
        name: `"vgg16"` or `"vgg19"`.
        grid, weights, image_shape, dtype: see `create_encoder`.

    Returns:
        An `ImageEncoder`, not trainable if it has weights.

    Raises:
        ValueError: for an unknown `name` or `grid`, or `weights` that are no file.
    """
    if name not in CONVOLUTIONS:
        raise ValueError(f"`encoder` must be one of {sorted(CONVOLUTIONS)}. Received: {name!r}")
    return create_encoder(name, weights, grid=grid, image_shape=image_shape, dtype=dtype)


def vgg_network(image_shape: tuple[int, int, int], name: str) -> keras.Model:
    """Builds KerasHub's VGG, which reads RGB pixels with `PIXEL_OFFSET` added."""
    return keras_hub.models.VGGBackbone(CONVOLUTIONS[name], FILTERS, image_shape=tuple(image_shape))


def load_weights(model: keras.Model, weights: PathLike, name: str) -> None:
    """Loads weights of `keras.applications`, which read BGR, into a `vgg_network`.

    Args:
        model: from `vgg_network`.
        weights: `"imagenet"`, downloaded by `keras.applications` and cached, or the path
            of a weights file without top.
        name: `"vgg16"` or `"vgg19"`.
    """
    reference_class = getattr(keras.applications, name.upper())
    reference = reference_class(weights=weights, include_top=False, input_shape=(32, 32, 3))
    copy_bgr_weights(reference, model)


def copy_bgr_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies a network that reads BGR into the same network reading RGB.

    Args:
        source: `keras.Model` whose first convolution reads BGR.
        target: `keras.Model` with the same convolutions in the same order.
    """
    convolutions = [layer for layer in target.layers if isinstance(layer, keras.layers.Conv2D)]
    originals = [layer for layer in source.layers if isinstance(layer, keras.layers.Conv2D)]
    for original, copy in zip(originals, convolutions, strict=True):
        copy.set_weights(original.get_weights())
    flip_input_channels(target)

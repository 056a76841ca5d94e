"""VGG16 and VGG19 encoders by name, with ImageNet weights."""

import os

import keras
import keras_hub
import numpy as np

from keras_showattend.layers import ImageEncoder

# Convolutions in each block; 64 to 512 filters (Simonyan and Zisserman 2015, table 1).
CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)
# ImageNet means of Caffe's VGG, RGB, subtracted from pixels in 0..255.
PIXEL_OFFSET = (-123.68, -116.779, -103.939)
GRIDS = (7, 14)


def vgg_encoder(name="vgg16", grid=7, weights="imagenet", image_shape=(224, 224, 3), dtype=None):
    """Builds a VGG `ImageEncoder` that reads RGB pixels with `PIXEL_OFFSET` added.

    The ImageNet weights are those of `keras.applications` (Visual Geometry Group,
    Oxford, CC BY 4.0), which read BGR; the channels of the first kernel are reversed
    here, once.

    Args:
        name: `"vgg16"` or `"vgg19"`.
        grid: 7 or 14. Places a side at 224 x 224: the output of the last pooling, or the
            paper's choice, the last convolution before it.
        weights: `"imagenet"` (downloaded by `keras.applications` and cached), the path of
            a `keras.applications` weights file without top, or None for random ones.
        image_shape: `(height, width, 3)`.
        dtype: dtype or policy.

    Returns:
        An `ImageEncoder`, not trainable where it has weights.

    Raises:
        ValueError: for an unknown `name` or `grid`, or a `weights` that is no file.
    """
    if name not in CONVOLUTIONS:
        raise ValueError(
            f"`encoder` must be one of {sorted(CONVOLUTIONS)}, or a model with a spatial output. "
            f"Received: {name!r}"
        )
    if grid not in GRIDS:
        raise ValueError(f"`grid` must be one of {GRIDS}. Received: grid={grid!r}")
    is_file = weights is not None and weights != "imagenet"
    if is_file and not os.path.isfile(weights):
        raise ValueError(
            "`weights` must be 'imagenet', None or the path of a `keras.applications` weights "
            f"file without top. Received: weights={weights!r}, which is no file"
        )
    repeats = CONVOLUTIONS[name]
    vgg = keras_hub.models.VGGBackbone(repeats, FILTERS, image_shape=tuple(image_shape))
    if weights is not None:
        reference_class = getattr(keras.applications, name.upper())
        reference = reference_class(weights=weights, include_top=False, input_shape=(32, 32, 3))
        copy_bgr_weights(reference, vgg)
    layer = "block5_pool" if grid == 7 else f"block5_conv{repeats[-1]}"
    return ImageEncoder(
        vgg, output_layer=layer, dtype=dtype, name="image_encoder", trainable=weights is None
    )


def copy_bgr_weights(source, target):
    """Copies a network that reads BGR into the same network reading RGB.

    Args:
        source: `keras.Model` whose first convolution reads BGR.
        target: `keras.Model` with the same convolutions in the same order.
    """
    first = True
    convolutions = [layer for layer in target.layers if isinstance(layer, keras.layers.Conv2D)]
    originals = [layer for layer in source.layers if isinstance(layer, keras.layers.Conv2D)]
    for original, copy in zip(originals, convolutions, strict=True):
        kernel, bias = original.get_weights()
        copy.set_weights([np.flip(kernel, axis=2) if first else kernel, bias])
        first = False

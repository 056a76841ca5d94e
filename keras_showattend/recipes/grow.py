"""Grows a VGG16 encoder into a VGG19."""

from __future__ import annotations

import keras
import numpy as np

from keras_showattend._typing import PathLike
from keras_showattend.encoders.vgg import CONVOLUTIONS, vgg_encoder
from keras_showattend.layers import ImageEncoder
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.presets.provenance import origin_of


def grow_vgg19(vgg16: ImageEncoder) -> ImageEncoder:
    """Adds VGG19's three extra convolutions to a VGG16 encoder, as identities.

    Source: Net2DeeperNet of Chen et al. 2016 (arXiv 1511.05641), section 2.3. Each new
    convolution follows a ReLU and copies its input, which a second ReLU leaves unchanged:
    the annotations are the same numbers, and a deeper network trains from there. These are
    not VGG19's own ImageNet weights; for those use `vgg_encoder("vgg19",
    weights="imagenet")`.

    Args:
        vgg16: the `ImageEncoder` of a VGG16, from `vgg_encoder` or a preset.

    Returns:
        An `ImageEncoder` with VGG19's architecture and the same grid.

    Raises:
        ValueError: if the layers of `vgg16` are not those of VGG16.
    """
    source = {layer.name: layer for layer in vgg16.features.layers if layer.weights}
    names = _convolutions("vgg16")
    if sorted(source) != sorted(names):
        raise ValueError(
            "Only a VGG16 encoder grows into a VGG19. Build one with `vgg_encoder('vgg16')`. "
            f"Received: an encoder with the layers {sorted(source)}"
        )
    grid = 14 if vgg16.output_layer == "block5_conv3" else 7
    shape = vgg16.features.input_shape[1:]
    vgg19 = vgg_encoder("vgg19", grid, weights=None, image_shape=shape, dtype=vgg16.dtype_policy)
    for name in _convolutions("vgg19"):
        layer = vgg19.features.get_layer(name)
        layer.set_weights(source[name].get_weights() if name in source else _identity(layer))
    vgg19.trainable = vgg16.trainable
    return vgg19


def _convolutions(name: str) -> list[str]:
    return [
        f"block{block}_conv{index}"
        for block, count in enumerate(CONVOLUTIONS[name], start=1)
        for index in range(1, count + 1)
    ]


def _identity(convolution: keras.layers.Conv2D) -> list[np.ndarray]:
    kernel = np.zeros(convolution.kernel.shape, "float32")
    channels = np.arange(kernel.shape[2])
    kernel[1, 1, channels, channels] = 1.0
    return [kernel, np.zeros(len(channels), "float32")]


def grow_preset(folder: PathLike, destination: PathLike) -> None:
    """Saves a copy of a preset whose VGG16 has been grown into a VGG19.

    Args:
        folder: path of a preset with a VGG16 encoder.
        destination: path of the new preset's folder.
    """
    captioner = ImageCaptioner.from_preset(folder)
    backbone = captioner.backbone.with_encoder(grow_vgg19(captioner.backbone.image_encoder))
    grown = ImageCaptioner(backbone, captioner.preprocessor)
    grown.provenance = origin_of(captioner).changed(digest=None, relation=None)
    grown.save_to_preset(destination, weights_dtype="float16")

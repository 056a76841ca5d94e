"""A VGG19 encoder grown out of a VGG16 one."""

import keras
import numpy as np

from keras_showattend.encoders.vgg import CONVOLUTIONS, vgg_encoder
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.presets.provenance import origin_of


def grow_vgg19(vgg16):
    """Adds VGG19's three extra convolutions to a VGG16 encoder, as identities.

    Source: Net2DeeperNet of Chen et al. 2016 (arXiv 1511.05641), section 2.3. Each new
    convolution follows a ReLU and copies its input, which a ReLU leaves as it is: the
    annotations are the same numbers, and training can go on from there with a deeper
    network. These are not VGG19's own ImageNet weights; for those use
    `vgg_encoder("vgg19", weights="imagenet")`.

    Args:
        vgg16: the `ImageEncoder` of a VGG16, from `vgg_encoder` or a preset.

    Returns:
        An `ImageEncoder` with VGG19's architecture and the same grid.

    Raises:
        ValueError: if `vgg16` has not VGG16's layers.
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


def _convolutions(name):
    return [
        f"block{block}_conv{index}"
        for block, count in enumerate(CONVOLUTIONS[name], start=1)
        for index in range(1, count + 1)
    ]


def _identity(convolution: keras.layers.Conv2D):
    kernel = np.zeros(convolution.kernel.shape, "float32")
    channels = np.arange(kernel.shape[2])
    kernel[1, 1, channels, channels] = 1.0
    return [kernel, np.zeros(len(channels), "float32")]


def grow_preset(folder, destination):
    """Writes the preset of a captioner whose VGG16 has been grown into a VGG19.

    Args:
        folder: path of a preset with a VGG16 encoder.
        destination: path of the new preset's folder.
    """
    captioner = ImageCaptioner.from_preset(folder)
    backbone = captioner.backbone.with_encoder(grow_vgg19(captioner.backbone.image_encoder))
    grown = ImageCaptioner(backbone, captioner.preprocessor)
    grown.provenance = origin_of(captioner).changed(digest=None, relation=None)
    grown.save_to_preset(destination, weights_dtype="float16")

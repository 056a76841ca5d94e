"""The models of `keras.applications` as encoders."""

import inspect
from typing import Any

import keras

from keras_showattend._typing import PathLike
from keras_showattend.encoders.channels import flip_input_channels
from keras_showattend.encoders.registry import EncoderEntry

# Pixels in 0..255 as each family was trained on them; ImageNet's means and deviations.
_CAFFE = {"offset": (-123.68, -116.779, -103.939)}
_SYMMETRIC = {"scale": 1 / 127.5, "offset": -1.0}
_TORCH = {
    "scale": (1 / 58.395, 1 / 57.12, 1 / 57.375),
    "offset": (-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375),
}
# The longest beginning of a model's name decides; what is not here scales pixels itself.
_PIXELS: dict[str, dict[str, Any]] = {
    "ResNet": _CAFFE,
    "ResNet50V2": _SYMMETRIC,
    "ResNet101V2": _SYMMETRIC,
    "ResNet152V2": _SYMMETRIC,
    "VGG": _CAFFE,
    "DenseNet": _TORCH,
    "Inception": _SYMMETRIC,
    "Xception": _SYMMETRIC,
    "MobileNet": _SYMMETRIC,
    "MobileNetV3": {},
    "NASNet": _SYMMETRIC,
}


def application_entry(name: str) -> EncoderEntry | None:
    """Describes a model of `keras.applications` as an encoder.

    Args:
        name: its name there, such as `"ResNet50"` or `"MobileNetV2"`, or that in lower
            case.

    Returns:
        An `EncoderEntry`, or None if there is no such model.
    """
    models = {
        key.lower(): key
        for key, value in vars(keras.applications).items()
        if inspect.isfunction(value) and "include_top" in inspect.signature(value).parameters
    }
    model = models.get(name.lower())
    if model is None:
        return None
    return EncoderEntry(
        builder=application_network,
        arguments={"name": model},
        loader=load_weights,
        weights="ImageNet, downloaded by keras.applications",
        license="see https://keras.io/api/applications",
        **_pixels(model),
    )


def _pixels(model: str) -> dict[str, Any]:
    return _PIXELS.get(max(filter(model.startswith, _PIXELS), key=len, default=""), {})


def application_network(image_shape: tuple[int, int, int], name: str) -> keras.Model:
    """Builds a model of `keras.applications` without its top, with random weights."""
    builder = getattr(keras.applications, name)
    return builder(weights=None, include_top=False, input_shape=tuple(image_shape))


def load_weights(model: keras.Model, weights: PathLike, name: str) -> None:
    """Loads weights as `keras.applications` does; the network reads RGB afterwards.

    Args:
        model: from `application_network`.
        weights: `"imagenet"`, downloaded and cached, or the path of a weights file
            without top.
        name: as there, e.g. `"ResNet50"`.
    """
    builder = getattr(keras.applications, name)
    source = builder(weights=weights, include_top=False, input_shape=model.input_shape[1:])
    model.set_weights(source.get_weights())
    if _pixels(name) is _CAFFE:
        flip_input_channels(model)

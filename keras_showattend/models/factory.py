"""An untrained captioner from the names of its parts."""

from typing import Any

import keras

from keras_showattend._typing import PathLike
from keras_showattend.encoders import create_encoder, create_image_converter
from keras_showattend.encoders.create import encoder_credit
from keras_showattend.layers import ImageEncoder
from keras_showattend.layers.decoder_cell import CELLS
from keras_showattend.models.backbone import ShowAttendBackbone
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.preprocessing import (
    CaptionImageConverter,
    CaptionTokenizer,
    ImageCaptionerPreprocessor,
)
from keras_showattend.presets.provenance import Credit, Provenance


def create_captioner(
    encoder: str | ImageEncoder | keras.Model = "vgg16",
    decoder: str = "gru",
    *,
    tokenizer: CaptionTokenizer,
    grid: int = 7,
    encoder_weights: PathLike | None = "imagenet",
    image_converter: CaptionImageConverter | None = None,
    image_shape: tuple[int, int, int] | None = None,
    sequence_length: int = 32,
    dtype: Any = None,
    **decoder_options: Any,
) -> ImageCaptioner:
    """Builds an untrained captioner.

    Args:
        encoder: the name of an encoder: one of `keras_showattend.encoders.list_encoders()`,
            such as `"efficientnet_lite2"` or `"vgg16"`; a model of `keras.applications`;
            or the name, handle or folder of a KerasHub preset of an image backbone. Or an
            `ImageEncoder`, or any functional `keras.Model` with a spatial output.
        decoder: `"gru"` or `"lstm"`.
        tokenizer: a `CaptionTokenizer` with its vocabulary.
        grid: 7 or 14. Rows and columns of locations at 224 x 224, of an encoder by name
            that has a choice.
        encoder_weights: for an encoder by name: `"imagenet"` for its pretrained weights,
            the path of a weights file, or None. With weights the encoder starts frozen;
            `captioner.backbone.image_encoder.unfreeze("auto")` lets a part of it learn.
        image_converter: a `CaptionImageConverter`. For an encoder by name the right one is
            the default; for another model it must be given.
        image_shape: `(height, width, 3)` of the encoder's input. Defaults to that of the
            named encoder, or of the `image_converter`.
        sequence_length: int. Longest caption in training, and default of generation.
        dtype: dtype or policy, e.g. `"mixed_bfloat16"`.
        **decoder_options: `embedding_dim`, `hidden_dim`, `attention_dim`,
            `context_gate`, `deep_output`, `initial_state`, `normalize_annotations`,
            `tie_embeddings`, `dropout` of `keras_showattend.layers.CaptionDecoder`.

    Returns:
        An `ImageCaptioner`, compiled with its defaults.

    Raises:
        ModuleNotFoundError: if the encoder's weights come in a package that is not
            installed; says how to install it.
        ValueError: for an unknown encoder, decoder, grid or weights, a tokenizer without
            a vocabulary, or an encoder of your own without `image_converter`.
    """
    if decoder not in CELLS:
        raise ValueError(f"`decoder` must be one of {CELLS}. Received: decoder={decoder!r}")
    vocabulary_size = tokenizer.vocabulary_size()
    credits: tuple[Credit, ...] = ()
    if isinstance(encoder, str):
        name = encoder
        if encoder_weights is not None:
            credits = (encoder_credit(name),)
        encoder = create_encoder(
            name, encoder_weights, grid=grid, image_shape=image_shape, dtype=dtype
        )
        if image_converter is None:
            image_converter = create_image_converter(name, image_shape)
    elif image_converter is None:
        raise ValueError(
            "An encoder of your own needs `image_converter=CaptionImageConverter(image_size, "
            "scale=..., offset=...)`, which scales pixels of 0..255 as it expects. "
            f"Received: encoder={encoder!r}, image_converter=None"
        )
    if not isinstance(encoder, ImageEncoder | keras.Model):
        raise ValueError(
            "`encoder` must be the name of an encoder, an `ImageEncoder` or a functional "
            f"`keras.Model`. Received: encoder={encoder!r}"
        )
    backbone = ShowAttendBackbone(
        encoder,
        vocabulary_size,
        image_shape=image_shape or (*image_converter.image_size, 3),
        cell=decoder,
        dtype=dtype,
        **decoder_options,
    )
    preprocessor = ImageCaptionerPreprocessor(image_converter, tokenizer, sequence_length)
    captioner = ImageCaptioner(backbone, preprocessor)
    captioner.provenance = Provenance(credits=credits)
    return captioner

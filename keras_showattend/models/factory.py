"""An untrained captioner from the names of its parts."""

import keras

from keras_showattend.encoders.vgg import PIXEL_OFFSET, vgg_encoder
from keras_showattend.layers import ImageEncoder
from keras_showattend.layers.decoder_cell import CELLS
from keras_showattend.layers.image_encoder import dtype_policy_scope
from keras_showattend.models.backbone import ShowAttendBackbone
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.preprocessing import CaptionImageConverter, ImageCaptionerPreprocessor


def create_captioner(
    encoder="vgg16",
    decoder="gru",
    *,
    tokenizer,
    grid=7,
    encoder_weights="imagenet",
    image_converter=None,
    image_shape=(224, 224, 3),
    sequence_length=32,
    dtype=None,
    **decoder_options,
):
    """Builds an untrained captioner.

    Args:
        encoder: `"vgg16"`, `"vgg19"`, an `ImageEncoder`, or any functional `keras.Model`
            with a spatial output, such as a KerasHub image backbone.
        decoder: `"gru"` or `"lstm"`.
        tokenizer: a `CaptionTokenizer` with its vocabulary.
        grid: 7 or 14. Places a side that a VGG gives at 224 x 224.
        encoder_weights: for a VGG by name: `"imagenet"` (downloaded once by
            `keras.applications`), the path of a weights file, or None. With weights the
            encoder starts frozen; `captioner.backbone.image_encoder.trainable = True`
            lets it learn.
        image_converter: a `CaptionImageConverter`. For a VGG by name the right one is
            the default; for another model it must be given.
        image_shape: `(height, width, 3)` of the encoder's input.
        sequence_length: int. Longest caption in training, and default of generation.
        dtype: dtype or policy, e.g. `"mixed_bfloat16"`.
        **decoder_options: `embedding_dim`, `hidden_dim`, `attention_dim`,
            `context_gate`, `deep_output`, `initial_state`, `normalize_annotations`,
            `tie_embeddings`, `dropout` of `keras_showattend.layers.CaptionDecoder`.

    Returns:
        An `ImageCaptioner`, compiled with its defaults.

    Raises:
        ValueError: for an unknown encoder, decoder, grid or weights, a tokenizer without
            a vocabulary, or an encoder of your own without `image_converter`.
    """
    if decoder not in CELLS:
        raise ValueError(f"`decoder` must be one of {CELLS}. Received: decoder={decoder!r}")
    vocabulary_size = tokenizer.vocabulary_size()
    if isinstance(encoder, str):
        with dtype_policy_scope(dtype):
            encoder = vgg_encoder(encoder, grid, encoder_weights, image_shape, dtype)
        if image_converter is None:
            image_converter = CaptionImageConverter(image_shape[:2], offset=PIXEL_OFFSET)
    elif image_converter is None:
        raise ValueError(
            "An encoder of your own needs `image_converter=CaptionImageConverter(image_size, "
            "scale=..., offset=...)`, which scales pixels of 0..255 as it expects. "
            f"Received: encoder={encoder!r}, image_converter=None"
        )
    if not isinstance(encoder, ImageEncoder | keras.Model):
        raise ValueError(
            "`encoder` must be 'vgg16', 'vgg19', an `ImageEncoder` or a functional "
            f"`keras.Model`. Received: encoder={encoder!r}"
        )
    backbone = ShowAttendBackbone(
        encoder,
        vocabulary_size,
        image_shape=image_shape,
        cell=decoder,
        dtype=dtype,
        **decoder_options,
    )
    preprocessor = ImageCaptionerPreprocessor(image_converter, tokenizer, sequence_length)
    return ImageCaptioner(backbone, preprocessor)

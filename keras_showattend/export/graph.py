"""A captioner as functions of TensorFlow, from pixels to captions: what every format holds."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_showattend._typing import Tensor
from keras_showattend.search import CaptionSearch, SearchOptions


def caption_function(
    captioner: Any, options: SearchOptions
) -> Callable[[Tensor], dict[str, Tensor]]:
    """Returns the function that an exported captioner computes.

    Args:
        captioner: an `ImageCaptioner` with its preprocessor.
        options: `SearchOptions` with a number of beams.

    Returns:
        Function of the pixels of images, uint8[B, height, width, 3], RGB, of the encoder's
        size. It returns a dict, best beam first: `token_ids` int32[B, K, T],
        `log_probabilities` float32[B, K], `scores` float32[B, K], `word_probabilities`
        float32[B, K, T] and `attention_maps` float32[B, K, T, rows, columns]. The last two
        are 0 after the end token.

    Raises:
        ValueError: on another backend than TensorFlow.
    """
    tf = require_tensorflow()
    converter = captioner.preprocessor.image_converter
    scale, offset = (
        None if value is None else np.asarray(value, "float32")
        for value in (converter.scale, converter.offset)
    )
    rows, columns = captioner.backbone.grid_shape
    search = _search(captioner.backbone, captioner.preprocessor.tokenizer, options, True)

    def caption(pixels: Tensor) -> dict[str, Tensor]:
        images = tf.cast(pixels, "float32")
        images = images if scale is None else images * scale
        images = images if offset is None else images + offset
        found = search({"images": images}, training=False)
        logarithms = found["word_log_probabilities"]
        is_word = found["token_ids"] != search.pad_id
        shape = tf.concat([tf.shape(logarithms), [rows, columns]], axis=0)
        return {
            "token_ids": found["token_ids"],
            "log_probabilities": found["log_probabilities"],
            "scores": found["scores"],
            "word_probabilities": tf.where(is_word, tf.exp(logarithms), 0.0),
            "attention_maps": tf.reshape(found["attention_weights"], shape),
        }

    return caption


def encode_function(encoder: Any) -> Callable[[Tensor], dict[str, Tensor]]:
    """Returns the function of an `ImageEncoder`, from normalized images to `annotations`."""
    require_tensorflow()
    return lambda images: {"annotations": encoder(images, training=False)}


def search_function(
    backbone: Any, tokenizer: Any, options: SearchOptions
) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """Returns the function of a `CaptionSearch`, of annotations and the length penalty."""
    require_tensorflow()
    search = _search(backbone, tokenizer, options, False)
    return lambda annotations, length_penalty: search(
        {"annotations": annotations, "length_penalty": length_penalty}, training=False
    )


def require_tensorflow() -> Any:
    """Returns the module `tensorflow`.

    Raises:
        ValueError: on another backend of Keras.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            "Captioners are exported from TensorFlow: set KERAS_BACKEND=tensorflow and load the "
            f"same preset. Received: the backend {backend!r}"
        )
    import tensorflow as tf

    return tf


def _search(
    backbone: Any, tokenizer: Any, options: SearchOptions, with_attention: bool
) -> CaptionSearch:
    return CaptionSearch(
        backbone,
        tokenizer,
        max_length=options.max_length,
        num_beams=options.num_beams or 1,
        length_penalty=options.length_penalty,
        no_repeat_ngram_size=options.no_repeat_ngram_size,
        with_attention=with_attention,
    )

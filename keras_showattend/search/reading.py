"""Captions read once more by the decoder: how sure it was of each word, and where it looked."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_showattend._typing import Tensor


class CaptionReader(keras.Model):
    """Reads captions with teacher forcing.

    It shares the weights of a captioner's backbone.

    Args:
        backbone: a `ShowAttendBackbone`.
        start_id: int. Token that the decoder reads before the first word.

    Call arguments:
        inputs: dict; see `ShowAttendBackbone.annotate`. With `token_ids` int32[B, T]: words,
            end token and padding, whose outputs mean nothing.

    Returns:
        Dict of `log_probabilities` float32[B, T] of each token given those before it and
        `entropies` float32[B, T] of each choice, in nats; `attention_weights`
        float32[B, T, L], which sum to 1; and `mean_annotations` float32[B, D].
    """

    def __init__(self, backbone: Any, start_id: int) -> None:
        super().__init__(name="caption_reader", dtype="float32")
        self.backbone = backbone
        self.start_id = start_id
        # The backbone has its weights already.
        self.built = True

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Reads; see the class docstring."""
        annotations = self.backbone.annotate(inputs, training=False)
        token_ids = ops.cast(inputs["token_ids"], "int32")
        start = ops.full_like(token_ids[:, :1], self.start_id)
        read = ops.concatenate([start, token_ids[:, :-1]], axis=1)
        outputs = self.backbone.decoder(read, annotations, training=False)
        log_softmax = ops.log_softmax(outputs["logits"], axis=-1)
        chosen = ops.take_along_axis(log_softmax, ops.expand_dims(token_ids, -1), axis=-1)
        weights = ops.cast(outputs["attention_weights"], "float32")
        return {
            "log_probabilities": ops.squeeze(chosen, -1),
            "entropies": -ops.sum(ops.exp(log_softmax) * log_softmax, axis=-1),
            # In bfloat16 the weights sum to 1 only within half a percent.
            "attention_weights": weights / ops.sum(weights, axis=-1, keepdims=True),
            "mean_annotations": ops.mean(ops.cast(annotations, "float32"), axis=1),
        }

"""Losses of training: cross-entropy, attention penalty, distillation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_showattend._typing import Tensor
from keras_showattend.search.penalties import penalize


@keras.saving.register_keras_serializable(package="keras_showattend")
class CaptionCrossentropy(keras.losses.Loss):
    """Cross-entropy of the next token, averaged over real tokens only.

    Padding counts neither in the sum nor in the count: pass the preprocessor's
    `sample_weight`, 0 on padding. Label smoothing (Szegedy et al. 2016, arXiv
    1512.00567, section 7) spreads a share of the target evenly over all V tokens.

    Args:
        label_smoothing: float in [0, 1). Defaults to 0.
        forbidden_ids: tokens left out of the softmax. Self-critical training needs this for
            tokens that are never sampled: probability taken from bad captions would move to
            them, and no sample would ever take it back. Defaults to none.
        name: str.
        **kwargs: `reduction`, `dtype` of `keras.losses.Loss`. The default reduction is
            `"mean_with_sample_weight"`.

    Call arguments:
        y_true: int32[B, T]. The tokens.
        y_pred: float[B, T, V]. Logits.
        sample_weight: float[B, T].

    Raises:
        ValueError: on construction, if `label_smoothing` is outside [0, 1), or not 0 together
            with `forbidden_ids`.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        forbidden_ids: Sequence[int] = (),
        name: str = "caption_crossentropy",
        reduction: str = "mean_with_sample_weight",
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be in [0, 1). "
                f"Received: label_smoothing={label_smoothing!r}"
            )
        if label_smoothing and forbidden_ids:
            raise ValueError(
                "`label_smoothing` gives every token a share and cannot go with `forbidden_ids`. "
                f"Received: label_smoothing={label_smoothing!r}, forbidden_ids={forbidden_ids!r}"
            )
        self.label_smoothing = label_smoothing
        self.forbidden_ids = tuple(forbidden_ids)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the loss of each token, float32[B, T]."""
        logits = ops.cast(y_pred, "float32")
        if self.forbidden_ids:
            logits = logits + penalize(self.forbidden_ids, logits.shape[-1])
        tokens = ops.cast(y_true, "int32")
        if not self.label_smoothing:
            return ops.sparse_categorical_crossentropy(tokens, logits, from_logits=True)
        # Dense targets: gathering the tokens' logits is faster, but its gradient is not.
        vocabulary_size = logits.shape[-1]
        even = self.label_smoothing / vocabulary_size
        is_target = ops.equal(ops.expand_dims(tokens, -1), ops.arange(vocabulary_size))
        targets = ops.where(is_target, 1 - self.label_smoothing + even, even)
        return ops.categorical_crossentropy(targets, logits, from_logits=True)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild the loss."""
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "forbidden_ids": self.forbidden_ids,
        }


def doubly_stochastic_penalty(attention_weights: Tensor, padding_mask: Tensor) -> Tensor:
    """Returns a penalty that makes a caption attend to every part of its image.

    Source: Xu et al. 2015 (arXiv 1502.03044), equation 14: for each location the squared
    distance from 1 of its attention over the whole caption, summed over locations.

    Args:
        attention_weights: float[B, T, L].
        padding_mask: bool[B, T], False at steps that do not count.

    Returns:
        float32 scalar, the mean over images that have a step that counts.
    """
    weights = ops.cast(attention_weights, "float32")
    real = ops.expand_dims(ops.cast(padding_mask, "float32"), axis=-1)
    received = ops.sum(weights * real, axis=1)
    distance = ops.sum(ops.square(1.0 - received), axis=-1)
    counts = ops.max(real[..., 0], axis=1)
    return ops.sum(distance * counts) / ops.maximum(ops.sum(counts), 1.0)


def distillation_loss(
    logits: Tensor,
    teacher_ids: Tensor,
    teacher_probabilities: Tensor,
    sample_weight: Tensor,
    temperature: float = 1.0,
) -> Tensor:
    """Returns the cross-entropy of a student's next token under its teacher's probabilities.

    Source: Hinton et al. 2015 (arXiv 1503.02531), section 2, for each token as in Kim and
    Rush 2016 (arXiv 1606.07947), section 3.1. It is multiplied by the square of the
    temperature, so that its gradients keep their size when the temperature changes.

    Args:
        logits: float[B, T, V] of the student.
        teacher_ids: int32[B, T, K]. The teacher's most probable tokens.
        teacher_probabilities: float32[B, T, K]. Their probabilities at that temperature,
            which add up to 1.
        sample_weight: float[B, T], 0 on padding.
        temperature: float. Divides the student's logits. Defaults to 1.

    Returns:
        float32 scalar, the mean over tokens.
    """
    logits = ops.cast(logits, "float32") / temperature
    chosen = ops.take_along_axis(logits, ops.cast(teacher_ids, "int32"), axis=-1)
    surprise = ops.logsumexp(logits, axis=-1, keepdims=True) - chosen
    losses = ops.sum(ops.cast(teacher_probabilities, "float32") * surprise, axis=-1)
    weight = ops.cast(sample_weight, "float32")
    total = ops.maximum(ops.sum(weight), keras.config.epsilon())
    return temperature**2 * ops.sum(losses * weight) / total

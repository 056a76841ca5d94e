"""Training on the model's own tokens in place of some of the caption's."""

from __future__ import annotations

import keras
from keras import ops

from keras_showattend._typing import Tensor
from keras_showattend.preprocessing.caption_tokenizer import SPECIAL_TOKENS
from keras_showattend.search.penalties import penalize

# Every vocabulary begins with the special tokens.
_SPECIAL_IDS = range(len(SPECIAL_TOKENS))


class ScheduledSampling(keras.layers.Layer):
    """Replaces previous tokens by tokens that are sampled from the model.

    Under teacher forcing a captioner never sees its own mistakes, as it does in generation.
    Source: Bengio et al. 2015 (arXiv 1506.03099), with the two passes over the whole
    caption of Mihaylova and Martins 2019 (arXiv 1906.07651): tokens are sampled from a
    first pass under teacher forcing, in which all previous tokens are the caption's. No
    gradient flows through the sampling.

    Special tokens are never sampled, because generation reads none after the start token.

    Call arguments:
        token_ids: int32[B, T]. The tokens that the decoder reads; the first, the start
            token, is never replaced.
        logits: float[B, T, V] of the first pass.
        padding_mask: bool[B, T], False where nothing is replaced.

    Returns:
        int32[B, T].
    """

    def __init__(self) -> None:
        # Under a lower-precision policy Keras would cast the logits.
        super().__init__(dtype="float32", name="scheduled_sampling")
        self.seed_generator = keras.random.SeedGenerator()
        self.rate = 0.0
        self.built = True

    @property
    def rate(self) -> float:
        """Probability with which a token is replaced, 0 at first.

        Raises:
            ValueError: when it is set to anything outside [0, 1].
        """
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(
                "`scheduled_sampling` must be in [0, 1], a probability. "
                f"Received: scheduled_sampling={rate!r}"
            )
        self._rate = rate

    def call(self, token_ids: Tensor, logits: Tensor, padding_mask: Tensor) -> Tensor:
        """Samples and replaces; see the class docstring."""
        vocabulary_size = logits.shape[-1]
        logits = ops.stop_gradient(logits) + penalize(_SPECIAL_IDS, vocabulary_size)
        sampled = keras.random.categorical(
            ops.reshape(logits, (-1, vocabulary_size)), 1, seed=self.seed_generator
        )
        sampled = ops.reshape(ops.cast(sampled, token_ids.dtype), ops.shape(token_ids))
        # The token sampled at a step is read at the next.
        sampled = ops.concatenate([token_ids[:, :1], sampled[:, :-1]], axis=1)
        chance = keras.random.uniform(ops.shape(token_ids), seed=self.seed_generator)
        return ops.where(ops.logical_and(chance < self.rate, padding_mask), sampled, token_ids)

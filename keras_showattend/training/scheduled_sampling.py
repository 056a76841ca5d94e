"""Training on the model's own words in place of some of the caption's."""

import keras
from keras import ops

from keras_showattend.preprocessing.caption_tokenizer import SPECIAL_TOKENS
from keras_showattend.search.beam_search import penalize

# Every vocabulary begins with them.
_SPECIAL_IDS = range(len(SPECIAL_TOKENS))


class ScheduledSampling(keras.layers.Layer):
    """Replaces previous words by words that the model draws itself.

    Teacher forcing never shows a captioner its own mistakes, which generation then does.
    Source: Bengio et al. 2015 (arXiv 1506.03099), with the two passes over the whole
    caption of Mihaylova and Martins 2019 (arXiv 1906.07651): what is drawn comes from a
    first pass under teacher forcing, and the words before it are the caption's, not drawn
    ones. No gradient flows through the drawing.

    Special tokens are never drawn, because generation reads none after the start.

    Call arguments:
        token_ids: int32[B, T]. The words that the decoder reads; the first, the start
            token, is never replaced.
        logits: float[B, T, V] of the first pass.
        padding_mask: bool[B, T], False where nothing is replaced.

    Returns:
        int32[B, T].
    """

    def __init__(self):
        # Logits stay as they are whatever the policy.
        super().__init__(dtype="float32", name="scheduled_sampling")
        self.seed_generator = keras.random.SeedGenerator()
        self.rate = 0.0
        self.built = True

    @property
    def rate(self):
        """Probability with which a word is replaced, 0 at first.

        Raises:
            ValueError: when it is set to anything outside [0, 1].
        """
        return self._rate

    @rate.setter
    def rate(self, rate):
        if not 0 <= rate <= 1:
            raise ValueError(
                "`scheduled_sampling` must be in [0, 1], a probability. "
                f"Received: scheduled_sampling={rate!r}"
            )
        self._rate = rate

    def call(self, token_ids, logits, padding_mask):
        """Draws and replaces; see the class docstring."""
        vocabulary_size = logits.shape[-1]
        logits = ops.stop_gradient(logits) + penalize(_SPECIAL_IDS, vocabulary_size)
        drawn = keras.random.categorical(
            ops.reshape(logits, (-1, vocabulary_size)), 1, seed=self.seed_generator
        )
        drawn = ops.reshape(ops.cast(drawn, token_ids.dtype), ops.shape(token_ids))
        # The word drawn at a step is read at the next.
        drawn = ops.concatenate([token_ids[:, :1], drawn[:, :-1]], axis=1)
        chance = keras.random.uniform(ops.shape(token_ids), seed=self.seed_generator)
        return ops.where(ops.logical_and(chance < self.rate, padding_mask), drawn, token_ids)

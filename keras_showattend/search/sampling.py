"""Captions drawn word by word with a sampler of KerasHub."""

from collections.abc import Iterable
from typing import Any

from keras import ops

from keras_showattend._typing import Tensor
from keras_showattend.search.penalties import Step, penalize, penalized
from keras_showattend.search.rows import Rows, unfinished


def sample_captions(
    step: Step,
    states: list[Tensor],
    num_rows: int | Tensor,
    sampler: Any,
    *,
    vocabulary_size: int,
    max_length: int,
    start_id: int,
    end_id: int,
    pad_id: int,
    forbidden_ids: Iterable[int] = (),
    no_repeat_ngram_size: int = 0,
    model: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draws one caption for each row.

    The sampler chooses each word. Its own loop is not used, because it neither returns
    log-probabilities nor pads captions after their end.

    Args:
        step: function `(token_ids int32[R], states) -> (logits float[R, V], states)`.
        states: list of float[R, N] before the first word.
        num_rows: int or int32 scalar tensor. Number R of captions.
        sampler: a `keras_hub.samplers.Sampler` that defines `get_next_token`.
        vocabulary_size, max_length, start_id, end_id, pad_id, forbidden_ids,
            no_repeat_ngram_size: see `beam_search`.
        model: the `keras.Model` whose weights `step` uses; the loop on JAX needs it.

    Returns:
        Tuple of `token_ids` int32[R, T], `log_probabilities` float32[R] under the decoder's
        full softmax, end token included, and `lengths` int32[R] with the end token.
    """
    forbidden = penalize({*forbidden_ids, pad_id, start_id}, vocabulary_size)

    def advance(rows: Rows, states: list[Tensor]) -> tuple[Rows, list[Tensor]]:
        logits, states = step(rows.last, states)
        logits = ops.cast(logits, "float32")
        allowed = penalized(logits, forbidden, rows.tokens, rows.time, no_repeat_ngram_size)
        choice = sampler.get_next_token(sampler.compute_probabilities(allowed))
        choice = ops.cast(choice, "int32")
        words = ops.take_along_axis(
            ops.log_softmax(logits, axis=-1), ops.expand_dims(choice, -1), axis=-1
        )
        log_probs = rows.log_probs + ops.where(rows.finished, 0.0, ops.squeeze(words, -1))
        return rows.extended(ops.where(rows.finished, pad_id, choice), log_probs, end_id), states

    rows, _ = sampler.run_loop(
        unfinished,
        advance,
        model=model,
        loop_vars=(Rows.begin(num_rows, max_length, start_id, pad_id), states),
        maximum_iterations=max_length,
    )
    return rows.tokens, rows.log_probs, rows.lengths

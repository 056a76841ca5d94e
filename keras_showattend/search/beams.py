"""Beam search over the decoder's steps."""

from collections.abc import Iterable
from typing import Any

from keras import ops

from keras_showattend._typing import Tensor
from keras_showattend.search.penalties import IMPOSSIBLE, Step, penalize, penalized
from keras_showattend.search.rows import Rows, unfinished


def beam_search(
    step: Step,
    states: list[Tensor],
    batch_size: int | Tensor,
    *,
    vocabulary_size: int,
    num_beams: int,
    max_length: int,
    start_id: int,
    end_id: int,
    pad_id: int,
    forbidden_ids: Iterable[int] = (),
    length_penalty: float | Tensor = 0.0,
    no_repeat_ngram_size: int = 0,
) -> dict[str, Tensor]:
    """Finds the most probable captions, several at a time.

    A beam that has ended is frozen: it keeps its log-probability and competes with the
    others unchanged. With `num_beams=1` this is greedy search; with as many beams as
    there are captions it is exhaustive. The log-probability of a caption is the sum over
    its words and its end token, under the decoder's full softmax, as in teacher forcing.
    The result is ranked by `log_probability / length ** length_penalty` (length with the
    end token; after Wu et al. 2016, arXiv 1609.08144).

    Args:
        step: function `(token_ids int32[B * K], states) -> (logits float[B * K, V],
            states)`.
        states: list of float[B * K, N] before the first word, each image's K rows
            together.
        batch_size: int or int32 scalar tensor. Number B of images.
        vocabulary_size: int. V.
        num_beams: int. K.
        max_length: int. Most steps T; a caption cut there has no end token.
        start_id: int. Token read at the first step.
        end_id: int. Token that ends a caption.
        pad_id: int. Token that fills ended captions.
        forbidden_ids: tokens that are never generated.
        length_penalty: float or float32 scalar tensor. 0 ranks by log-probability, which
            favors short captions.
        no_repeat_ngram_size: int. Size of the n-grams that no caption may hold twice; see
            `penalize_repetition`. 0 for none.

    Returns:
        Dict, best beam first: `token_ids` int32[B, K, T], `log_probabilities`
        float32[B, K], `scores` float32[B, K], `word_log_probabilities` float32[B, K, T], 0
        after the end token, and `states`, the list of float[B, K, N] after the last step.
        Where fewer than K captions exist, the surplus beams have a log-probability below
        -1e8.
    """
    ids = ops.arange(vocabulary_size)
    forbidden = penalize({*forbidden_ids, pad_id, start_id}, vocabulary_size)
    frozen = ops.where(ops.equal(ids, pad_id), 0.0, IMPOSSIBLE)

    # One row for each beam, R = B * K.
    row = ops.arange(batch_size * num_beams)
    first_row = row - row % num_beams
    rows = Rows.begin(batch_size * num_beams, max_length, start_id, pad_id)
    # All beams start alike. Only the first may continue, or the K best would be copies.
    only_first = ops.cast(ops.where(ops.equal(row, first_row), 0.0, IMPOSSIBLE), "float32")
    rows = rows._replace(log_probs=only_first)
    # The log-probability of each caption up to each of its tokens.
    sums = ops.zeros((batch_size * num_beams, max_length), "float32")

    def advance(rows: Rows, states: list[Tensor], sums: Tensor) -> tuple[Any, ...]:
        logits, states = step(rows.last, states)
        words = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        words = penalized(words, forbidden, rows.tokens, rows.time, no_repeat_ngram_size)
        words = ops.where(ops.expand_dims(rows.finished, -1), frozen, words)
        total = ops.expand_dims(rows.log_probs, -1) + words
        total = ops.reshape(total, (-1, num_beams * vocabulary_size))
        log_probs, choice = (ops.reshape(best, (-1,)) for best in ops.top_k(total, num_beams))
        choice = ops.cast(choice, "int32")
        parent = ops.cast(first_row, "int32") + choice // vocabulary_size

        tokens, finished, lengths, sums, *states = (
            ops.take(of_rows, parent, axis=0)
            for of_rows in (rows.tokens, rows.finished, rows.lengths, sums, *states)
        )
        rows = rows._replace(tokens=tokens, finished=finished, lengths=lengths)
        sums = ops.where(rows.is_now, ops.expand_dims(log_probs, -1), sums)
        return rows.extended(choice % vocabulary_size, log_probs, end_id), states, sums

    rows, states, sums = ops.while_loop(
        unfinished, advance, (rows, states, sums), maximum_iterations=max_length
    )
    lengths = ops.cast(ops.maximum(rows.lengths, 1), "float32")
    scores = rows.log_probs / ops.power(lengths, length_penalty)
    scores, order = ops.top_k(ops.reshape(scores, (-1, num_beams)), num_beams)
    order = ops.reshape(ops.cast(order, "int32"), (-1,)) + ops.cast(first_row, "int32")

    def ranked(of_rows: Tensor) -> Tensor:
        return ops.reshape(ops.take(of_rows, order, axis=0), (-1, num_beams, *of_rows.shape[1:]))

    words = sums - ops.pad(sums[:, :-1], ((0, 0), (1, 0)))
    is_word = ops.arange(max_length) < ops.expand_dims(rows.lengths, -1)
    return {
        "token_ids": ranked(rows.tokens),
        "log_probabilities": ranked(rows.log_probs),
        "scores": scores,
        "word_log_probabilities": ranked(ops.where(is_word, words, 0.0)),
        "states": [ranked(state) for state in states],
    }

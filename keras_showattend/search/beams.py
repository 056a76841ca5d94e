"""Beam search over the decoder's steps."""

from collections.abc import Iterable
from typing import Any

from keras import ops

from keras_showattend._typing import Tensor
from keras_showattend.search.penalties import IMPOSSIBLE, Step, penalize, penalize_repetition


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
    # All beams start alike. Only the first may continue, or the K best would be copies.
    log_probs = ops.where(ops.equal(row, first_row), 0.0, IMPOSSIBLE)
    log_probs = ops.cast(log_probs, "float32")
    tokens = ops.full((batch_size * num_beams, max_length), pad_id, dtype="int32")
    # The log-probability of each caption up to each of its tokens.
    sums = ops.zeros((batch_size * num_beams, max_length), "float32")
    last = ops.full((batch_size * num_beams,), start_id, dtype="int32")
    finished = ops.zeros((batch_size * num_beams,), dtype="bool")
    lengths = ops.zeros((batch_size * num_beams,), dtype="int32")

    def advance(
        time: Tensor,
        tokens: Tensor,
        last: Tensor,
        log_probs: Tensor,
        finished: Tensor,
        lengths: Tensor,
        states: list[Tensor],
        sums: Tensor,
    ) -> tuple[Any, ...]:
        logits, states = step(last, states)
        words = ops.log_softmax(ops.cast(logits, "float32"), axis=-1) + forbidden
        if no_repeat_ngram_size:
            words = words + penalize_repetition(tokens, time, no_repeat_ngram_size, vocabulary_size)
        words = ops.where(ops.expand_dims(finished, -1), frozen, words)
        total = ops.expand_dims(log_probs, -1) + words
        total = ops.reshape(total, (-1, num_beams * vocabulary_size))
        log_probs, choice = (ops.reshape(best, (-1,)) for best in ops.top_k(total, num_beams))
        choice = ops.cast(choice, "int32")
        parent = ops.cast(first_row, "int32") + choice // vocabulary_size
        last = choice % vocabulary_size

        tokens, sums, finished, lengths, *states = (
            ops.take(rows, parent, axis=0) for rows in (tokens, sums, finished, lengths, *states)
        )
        lengths = lengths + ops.cast(ops.logical_not(finished), "int32")
        # Compared, because `slice_update` is an operation of XLA, which nothing exports.
        is_now = ops.equal(ops.arange(max_length), time)
        tokens = ops.where(is_now, ops.expand_dims(last, -1), tokens)
        sums = ops.where(is_now, ops.expand_dims(log_probs, -1), sums)
        finished = ops.logical_or(finished, ops.equal(last, end_id))
        return time + 1, tokens, last, log_probs, finished, lengths, states, sums

    start = ops.convert_to_tensor(0, "int32")
    _, tokens, _, log_probs, _, lengths, states, sums = ops.while_loop(
        unfinished,
        advance,
        (start, tokens, last, log_probs, finished, lengths, states, sums),
        maximum_iterations=max_length,
    )
    scores = log_probs / ops.power(ops.cast(ops.maximum(lengths, 1), "float32"), length_penalty)
    scores, order = ops.top_k(ops.reshape(scores, (-1, num_beams)), num_beams)
    order = ops.reshape(ops.cast(order, "int32"), (-1,)) + ops.cast(first_row, "int32")

    def ranked(rows: Tensor) -> Tensor:
        return ops.reshape(ops.take(rows, order, axis=0), (-1, num_beams, *rows.shape[1:]))

    words = sums - ops.pad(sums[:, :-1], ((0, 0), (1, 0)))
    is_word = ops.arange(max_length) < ops.expand_dims(lengths, -1)
    return {
        "token_ids": ranked(tokens),
        "log_probabilities": ranked(log_probs),
        "scores": scores,
        "word_log_probabilities": ranked(ops.where(is_word, words, 0.0)),
        "states": [ranked(state) for state in states],
    }


def unfinished(
    time: Tensor,
    tokens: Tensor,
    last: Tensor,
    log_probs: Tensor,
    finished: Tensor,
    lengths: Tensor,
    states: list[Tensor],
    *others: Tensor,
) -> Tensor:
    """Returns whether any caption still goes on, bool scalar: what the loops of a search ask.

    Args:
        time: int32 scalar. Number of tokens that each caption has.
        tokens, last, log_probs, finished, lengths, states, *others: what a step hands to the
            next; `finished` is bool, of any shape.
    """
    return ops.logical_not(ops.all(finished))

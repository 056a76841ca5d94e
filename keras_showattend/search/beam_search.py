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
        float32[B, K] and `scores` float32[B, K]. Where fewer than K captions exist, the
        surplus beams have a log-probability below -1e8.
    """
    ids = ops.arange(vocabulary_size)
    forbidden = penalize({*forbidden_ids, pad_id, start_id}, vocabulary_size)
    frozen = ops.where(ops.equal(ids, pad_id), 0.0, IMPOSSIBLE)

    grid = (batch_size, num_beams)
    # All beams start alike. Only the first may continue, or the K best would be copies.
    log_probs = ops.where(ops.equal(ops.arange(num_beams), 0), 0.0, IMPOSSIBLE)
    log_probs = ops.broadcast_to(ops.cast(log_probs, "float32"), grid)
    tokens = ops.full((batch_size, num_beams, max_length), pad_id, dtype="int32")
    last = ops.full(grid, start_id, dtype="int32")
    finished = ops.zeros(grid, dtype="bool")
    lengths = ops.zeros(grid, dtype="int32")
    first_row = ops.expand_dims(ops.arange(batch_size) * num_beams, axis=1)

    def advance(
        time: Tensor,
        tokens: Tensor,
        last: Tensor,
        log_probs: Tensor,
        finished: Tensor,
        lengths: Tensor,
        states: list[Tensor],
    ) -> tuple[Any, ...]:
        logits, states = step(ops.reshape(last, (-1,)), states)
        words = ops.log_softmax(ops.cast(logits, "float32"), axis=-1) + forbidden
        if no_repeat_ngram_size:
            rows = ops.reshape(tokens, (-1, max_length))
            words = words + penalize_repetition(rows, time, no_repeat_ngram_size, vocabulary_size)
        words = ops.reshape(words, (-1, num_beams, vocabulary_size))
        words = ops.where(ops.expand_dims(finished, -1), frozen, words)
        total = ops.reshape(
            ops.expand_dims(log_probs, -1) + words, (-1, num_beams * vocabulary_size)
        )
        log_probs, choice = ops.top_k(total, num_beams)
        choice = ops.cast(choice, "int32")
        parent, last = choice // vocabulary_size, choice % vocabulary_size

        rows = ops.reshape(ops.cast(first_row, "int32") + parent, (-1,))
        states = [ops.take(state, rows, axis=0) for state in states]
        finished = ops.take_along_axis(finished, parent, axis=1)
        lengths = ops.take_along_axis(lengths, parent, axis=1)
        lengths = lengths + ops.cast(ops.logical_not(finished), "int32")
        tokens = ops.take_along_axis(tokens, ops.expand_dims(parent, -1), axis=1)
        tokens = ops.slice_update(tokens, (0, 0, time), ops.expand_dims(last, -1))
        finished = ops.logical_or(finished, ops.equal(last, end_id))
        return time + 1, tokens, last, log_probs, finished, lengths, states

    _, tokens, _, log_probs, _, lengths, _ = ops.while_loop(
        unfinished,
        advance,
        (ops.convert_to_tensor(0, "int32"), tokens, last, log_probs, finished, lengths, states),
        maximum_iterations=max_length,
    )
    scores = log_probs / ops.power(ops.cast(ops.maximum(lengths, 1), "float32"), length_penalty)
    scores, order = ops.top_k(scores, num_beams)
    order = ops.cast(order, "int32")
    return {
        "token_ids": ops.take_along_axis(tokens, ops.expand_dims(order, -1), axis=1),
        "log_probabilities": ops.take_along_axis(log_probs, order, axis=1),
        "scores": scores,
    }


def unfinished(
    time: Tensor,
    tokens: Tensor,
    last: Tensor,
    log_probs: Tensor,
    finished: Tensor,
    lengths: Tensor,
    states: list[Tensor],
) -> Tensor:
    """Returns whether any caption still goes on, bool scalar: what the loops of a search ask.

    Args:
        time: int32 scalar. Number of tokens that each caption has.
        tokens, last, log_probs, finished, lengths, states: what a step hands to the next;
            `finished` is bool, of any shape.
    """
    return ops.logical_not(ops.all(finished))

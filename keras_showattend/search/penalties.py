"""Penalties that keep words out of captions: numbers added to their log-probabilities."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from keras import ops

from keras_showattend._typing import Tensor

# From tokens int32[R] and states to logits float[R, V] and new states.
Step: TypeAlias = Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]

# Never wins; finite, so that multiplying it by 0 gives 0.
IMPOSSIBLE = -1e9


def penalize(token_ids: Iterable[int], vocabulary_size: int) -> Tensor:
    """Returns what to add to log-probabilities or logits so that some tokens never win.

    Args:
        token_ids: iterable of int.
        vocabulary_size: int. V.

    Returns:
        float32[V], `IMPOSSIBLE` at those tokens and 0 elsewhere.
    """
    ids = ops.arange(vocabulary_size)
    penalties = ops.zeros((vocabulary_size,), "float32")
    for token_id in token_ids:
        penalties = ops.where(ops.equal(ids, token_id), IMPOSSIBLE, penalties)
    return penalties


def penalized(
    scores: Tensor, forbidden: Tensor, tokens: Tensor, time: Tensor, ngram_size: int
) -> Tensor:
    """Returns the scores of words with all penalties.

    Args:
        scores: float32[R, V]. Log-probabilities or logits.
        forbidden: float32[V] from `penalize`.
        tokens, time: see `penalize_repetition`.
        ngram_size: int. The same; 0 for no penalty on repetition.

    Returns:
        float32[R, V].
    """
    scores = scores + forbidden
    if not ngram_size:
        return scores
    return scores + penalize_repetition(tokens, time, ngram_size, forbidden.shape[0])


def penalize_repetition(
    token_ids: Tensor, time: int | Tensor, ngram_size: int, vocabulary_size: int
) -> Tensor:
    """Returns what to add so that no caption holds the same n-gram twice.

    Source: Paulus et al. 2018 (arXiv 1705.04304), section 2.5, with trigrams in summaries.

    Args:
        token_ids: int32[R, T]. Captions so far.
        time: int or int32 scalar tensor. Number of tokens that each has; later ones
            are not read.
        ngram_size: int, 1 or more. Number n of words.
        vocabulary_size: int. V.

    Returns:
        float32[R, V], `IMPOSSIBLE` or less at the tokens that would repeat an n-gram, 0
        elsewhere.
    """
    rows, length = ops.shape(token_ids)
    count = length - ngram_size + 1
    if count < 1:
        return ops.zeros((rows, vocabulary_size), "float32")
    # An n-gram that begins at i is complete if its last token, at i + n - 1, is there.
    repeats = ops.arange(count) + ngram_size - 1 < time
    repeats = ops.broadcast_to(repeats, (rows, count))
    for offset in range(ngram_size - 1):
        latest = ops.maximum(time - ngram_size + 1 + offset, 0)
        latest = ops.take(token_ids, ops.expand_dims(latest, 0), axis=1)
        same = ops.equal(token_ids[:, offset : offset + count], latest)
        repeats = ops.logical_and(repeats, same)
    row = ops.broadcast_to(ops.expand_dims(ops.arange(rows), 1), (rows, count))
    indices = ops.stack([row, ops.cast(token_ids[:, ngram_size - 1 :], row.dtype)], axis=-1)
    return ops.scatter(
        ops.reshape(indices, (-1, 2)),
        ops.reshape(ops.where(repeats, IMPOSSIBLE, 0.0), (-1,)),
        (rows, vocabulary_size),
    )

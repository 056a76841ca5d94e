"""The captions that a search writes, a row each, and how they grow by a token."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_showattend._typing import Tensor


class Rows(NamedTuple):
    """R captions in progress.

    Attributes:
        time: int32 scalar. Number of tokens that each caption has.
        tokens: int32[R, T], with padding after them.
        last: int32[R]. The tokens that are read next.
        log_probs: float32[R]. Log-probability of each caption so far.
        finished: bool[R]. Whether a caption has its end token.
        lengths: int32[R], end tokens included.
    """

    time: Tensor
    tokens: Tensor
    last: Tensor
    log_probs: Tensor
    finished: Tensor
    lengths: Tensor

    @classmethod
    def begin(cls, num_rows: int | Tensor, max_length: int, start_id: int, pad_id: int) -> Rows:
        """Returns captions without a token.

        Args:
            num_rows: int or int32 scalar tensor. R.
            max_length: int. T.
            start_id: int. Token that is read first.
            pad_id: int. Token that fills captions up.
        """
        return cls(
            ops.convert_to_tensor(0, "int32"),
            ops.full((num_rows, max_length), pad_id, dtype="int32"),
            ops.full((num_rows,), start_id, dtype="int32"),
            ops.zeros((num_rows,), "float32"),
            ops.zeros((num_rows,), "bool"),
            ops.zeros((num_rows,), "int32"),
        )

    @property
    def is_now(self) -> Tensor:
        """Where the next token goes: bool[T]."""
        # Compared, because `slice_update` is an operation of XLA, which nothing exports.
        return ops.equal(ops.arange(self.tokens.shape[1]), self.time)

    def extended(self, words: Tensor, log_probs: Tensor, end_id: int) -> Rows:
        """Returns the captions with one more token each.

        Args:
            words: int32[R]; padding for captions that are finished.
            log_probs: float32[R]. Log-probability of each caption with it.
            end_id: int. Token that finishes a caption.
        """
        return Rows(
            self.time + 1,
            ops.where(self.is_now, ops.expand_dims(words, -1), self.tokens),
            words,
            log_probs,
            ops.logical_or(self.finished, ops.equal(words, end_id)),
            self.lengths + ops.cast(ops.logical_not(self.finished), "int32"),
        )


def unfinished(rows: Rows, *others: Any) -> Tensor:
    """Returns whether any caption still goes on, bool scalar: what the loops of a search ask."""
    return ops.logical_not(ops.all(rows.finished))

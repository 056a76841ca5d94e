"""Captions as a search found them; nothing here imports Keras."""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_showattend.search.assessment import shaky_words

# Beams that no caption is left for have a log-probability far below this.
_POSSIBLE = -1e8


class CaptionHypothesis(NamedTuple):
    """A caption and how probable the model finds it.

    Attributes:
        text: str.
        log_probability: float. Natural logarithm, summed over the tokens, end token included.
        score: float. What beams are ranked by: `log_probability / length ** length_penalty`.
        num_tokens: int. The tokens that `log_probability` is summed over.
        complete: bool. Whether the caption has its end token; False if it was cut at
            `max_length`.
        words: tuple of str. The words as the decoder knows them: lower case, `<unk>` included.
        confidence, word_confidences, unfamiliar: see `CaptionAssessment`. Of the best caption of
            an image where the captioner carries a calibration; None and empty otherwise.
    """

    text: str
    log_probability: float
    score: float
    num_tokens: int = 0
    complete: bool = True
    words: tuple[str, ...] = ()
    confidence: float | None = None
    word_confidences: tuple[float | None, ...] = ()
    unfamiliar: bool | None = None

    @property
    def shaky_words(self) -> tuple[str, ...]:
        """The words that are more probably wrong than right, in their order."""
        return shaky_words(self.words, self.word_confidences)


def hypotheses(
    tokenizer: Any, outputs: Mapping[str, np.ndarray], capitalize: bool
) -> list[list[CaptionHypothesis]]:
    """Decodes the token ids of a search into text.

    Args:
        tokenizer: a `CaptionTokenizer`, or anything with its special ids, `id_to_token` and
            `detokenize`.
        outputs: dict of arrays from a `CaptionSearch`.
        capitalize: bool. Whether captions begin with an upper-case letter.

    Returns:
        For each image the list of its beams, without those for which no caption was left.
    """
    token_ids = np.asarray(outputs["token_ids"])
    columns = (
        [tokenizer.detokenize(beams, capitalize) for beams in token_ids],
        outputs["log_probabilities"],
        outputs["scores"],
        np.sum(token_ids != tokenizer.pad_token_id, axis=-1),
        np.any(token_ids == tokenizer.end_token_id, axis=-1),
        token_ids,
    )
    return [
        [
            CaptionHypothesis(
                text,
                float(log_prob),
                float(score),
                int(length),
                bool(complete),
                _words(tokenizer, ids),
            )
            for text, log_prob, score, length, complete, ids in zip(*beams, strict=True)
            if log_prob > _POSSIBLE
        ]
        for beams in zip(*columns, strict=True)
    ]


def _words(tokenizer: Any, token_ids: np.ndarray) -> tuple[str, ...]:
    """Returns the words of a caption, int32[T], without its end."""
    ends = (tokenizer.end_token_id, tokenizer.pad_token_id)
    ids = itertools.takewhile(lambda token_id: token_id not in ends, token_ids.tolist())
    return tuple(tokenizer.id_to_token(token_id) for token_id in ids)

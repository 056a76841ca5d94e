"""Corpus BLEU from per-image counts (Papineni et al. 2002).

NLTK's `corpus_bleu` gives the same corpus number (the parity script prints the difference) but
throws the counts of each image away. They are kept here because a bootstrap over images must add
them up again for every resample.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from keras_showattend.metrics.ngrams import count_ngrams

MAX_ORDER = 4
# Columns of the statistics: clipped matches 1-4, n-grams in the caption 1-4, caption length,
# length of the reference closest to it.
NUM_STATISTICS = 2 * MAX_ORDER + 2


def bleu_statistics(
    captions: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Sequence[Hashable]]]
) -> np.ndarray:
    """Counts what BLEU needs to know of each image.

    Args:
        captions: tokens of one caption an image, length I.
        references: tokens of the reference captions of each image, length I.

    Returns:
        int64[I, 10]: clipped n-gram matches for n = 1..4, number of n-grams in the caption for
        n = 1..4, caption length, length of the closest reference (the shorter one on a tie).
        Rows may be added up: the sum belongs to the corpus of those images.
    """
    statistics = np.zeros((len(captions), NUM_STATISTICS), dtype=np.int64)
    for row, (caption, sentences) in enumerate(zip(captions, references, strict=True)):
        allowed: dict[tuple[str, ...], int] = {}
        for sentence in sentences:
            for ngram, count in count_ngrams(sentence).items():
                if count > allowed.get(ngram, 0):
                    allowed[ngram] = count
        matches = [0] * MAX_ORDER
        for ngram, count in count_ngrams(caption).items():
            matches[len(ngram) - 1] += min(count, allowed.get(ngram, 0))
        length = len(caption)
        totals = [max(0, length - order) for order in range(MAX_ORDER)]
        closest = min((abs(len(sentence) - length), len(sentence)) for sentence in sentences)[1]
        statistics[row] = [*matches, *totals, length, closest]
    return statistics


def bleu_from_statistics(statistics: np.ndarray) -> np.ndarray:
    """Turns summed counts into BLEU-1..4.

    Args:
        statistics: int or float[..., 10], rows of `bleu_statistics` or sums of them.

    Returns:
        float64[..., 4], BLEU-1..4 on a scale of 0 to 1. An order without any match makes it and the
        higher orders exactly 0; there is no smoothing.

    Source: Papineni et al. 2002, section 2.3: geometric mean of clipped precisions times the
    brevity penalty exp(min(0, 1 - r / c)).
    """
    statistics = np.asarray(statistics, dtype=np.float64)
    matches = statistics[..., :MAX_ORDER]
    totals = statistics[..., MAX_ORDER : 2 * MAX_ORDER]
    length = statistics[..., -2]
    reference_length = statistics[..., -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_precisions = np.log(np.where(totals > 0, matches / totals, 0.0))
        log_penalty = np.minimum(0.0, 1.0 - reference_length / length)
        log_penalty = np.where(length > 0, log_penalty, -np.inf)
        orders = np.arange(1, MAX_ORDER + 1)
        return np.exp(np.cumsum(log_precisions, axis=-1) / orders + log_penalty[..., None])

"""ROUGE-L, the longest common subsequence F-score (Lin 2004), as coco-caption weighs it."""

from collections.abc import Sequence

import numpy as np

# coco-caption counts recall 1.2 times as important as precision.
BETA = 1.2


def rouge_l(
    captions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> np.ndarray:
    """Scores each image's caption by its longest common subsequence with a reference.

    Args:
        captions: tokens of one caption an image, length I.
        references: tokens of the reference captions of each image, length I.

    Returns:
        float64[I] on a scale of 0 to 1; the corpus score is the mean. 0 for an empty caption.

    Source: Lin 2004, "ROUGE", equations 2-4 with beta = 1.2. With several references, best
    precision and best recall are taken separately, as coco-caption does.
    """
    scores = np.zeros(len(captions))
    for row, (caption, sentences) in enumerate(zip(captions, references, strict=True)):
        if not caption:
            continue
        places: dict[str, int] = {}
        for place, token in enumerate(caption):
            places[token] = places.get(token, 0) | 1 << place
        precision = recall = 0.0
        for sentence in sentences:
            if sentence:
                common = _common_length(places, len(caption), sentence)
                precision = max(precision, common / len(caption))
                recall = max(recall, common / len(sentence))
        if precision and recall:
            weight = BETA**2
            scores[row] = (1 + weight) * precision * recall / (recall + weight * precision)
    return scores


def _common_length(places: dict[str, int], length: int, sentence: Sequence[str]) -> int:
    """Returns the length of the longest common subsequence.

    A row of the table is the bits of one int.

    Source: Hyyro 2004, "Bit-parallel LCS-length computation revisited". `places` holds a bit for
    each place of a word in the caption; a zero bit of `row` marks a step up in the table's row.
    """
    full = (1 << length) - 1
    row = full
    for token in sentence:
        match = row & places.get(token, 0)
        row = ((row + match) | (row - match)) & full
    return length - row.bit_count()

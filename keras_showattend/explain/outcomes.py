"""What came true: captions and words judged by people's captions, and confidences by both.

The event whose probability a confidence is: of the captions that people wrote for the photo, one
is drawn at random; the model's caption scores at least as high as it. Both are scored by CIDEr-D
against the photo's other human captions, so that neither is compared with itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_showattend.explain.word_model import WordOutcomes
from keras_showattend.explain.words import judged_positions
from keras_showattend.metrics import CiderD, tokenize
from keras_showattend.metrics.tokenizer import Segmenter
from keras_showattend.metrics.word_truth import WordTruth

NUM_BINS = 10


def keeps_up_with_people(
    captions: Mapping[Hashable, str],
    references: Mapping[Hashable, Sequence[str]],
    segment: Segmenter | None = None,
) -> dict[Hashable, float]:
    """For each image, the share of its human captions that the model's scores as high as.

    Args:
        captions: dict of image id to caption.
        references: dict of image id to human captions. Images with fewer than 2 are left out.

    Returns:
        dict of image id to float, 0..1.
    """
    tokens = {
        key: [tokenize(text, segment) for text in references[key]]
        for key in captions
        if len(references[key]) >= 2
    }
    spoken = {key: tokenize(captions[key], segment) for key in tokens}
    wins = dict.fromkeys(tokens, 0)
    most = max(map(len, tokens.values()), default=0)
    for left_out in range(most):
        # Word weights come from all images, also those that have no caption of this number.
        scorer = CiderD(
            {k: [r for n, r in enumerate(refs) if n != left_out] for k, refs in tokens.items()}
        )
        ids = [key for key in tokens if len(tokens[key]) > left_out]
        model = scorer.score(ids, [spoken[key] for key in ids])
        human = scorer.score(ids, [tokens[key][left_out] for key in ids])
        for key, won in zip(ids, model >= human, strict=True):
            wins[key] += int(won)
    return {key: wins[key] / len(tokens[key]) for key in tokens}


def word_outcomes(
    words: Sequence[str],
    references: Sequence[str],
    truth: WordTruth,
    segment: Segmenter | None = None,
) -> WordOutcomes:
    """Judges the words of a caption by the references of its image."""
    each = [frozenset(tokenize(text, segment)) for text in references]
    said = frozenset().union(*each)
    named = frozenset(list(said)[i] for i in judged_positions(list(said)))
    judged = [words[index] for index in judged_positions(words)]
    return WordOutcomes(
        np.array([float(truth.is_right(word, named)) for word in judged]),
        np.array([np.mean([word in one for one in each]) for word in judged]),
        named,
    )


def reliability(confidence: np.ndarray, outcome: np.ndarray) -> list[dict[str, float]]:
    """Confidence and outcome, averaged over 10 groups of images of neighbouring confidence.

    Args:
        confidence: float[N] in 0..1.
        outcome: float[N] in 0..1.

    Returns:
        List of dicts of `confidence`, `outcome` and `num_images`, by rising confidence.
    """
    groups = np.array_split(np.argsort(confidence, kind="stable"), min(NUM_BINS, len(confidence)))
    return [
        {
            "confidence": float(confidence[group].mean()),
            "outcome": float(outcome[group].mean()),
            "num_images": len(group),
        }
        for group in groups
    ]


def expected_calibration_error(confidence: np.ndarray, outcome: np.ndarray) -> float:
    """Mean distance of confidence and outcome over the groups of `reliability`, 0..1."""
    return sum(
        group["num_images"] * abs(group["confidence"] - group["outcome"])
        for group in reliability(confidence, outcome)
    ) / len(confidence)


def word_figures(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Tells how far the confidences of words can be trusted; see `Calibration.word_figures`."""
    return {
        "num_words": len(right),
        "base_rate": float(right.mean()),
        "expected_calibration_error": expected_calibration_error(confidence, right),
        "brier_score": float(np.mean((confidence - right) ** 2)),
        "brier_base_rate": float(np.mean((right.mean() - right) ** 2)),
        "reliability": reliability(confidence, right),
    }

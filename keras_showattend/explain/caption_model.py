"""The confidence of a caption, from how it was found and read and from that of its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_showattend.explain.evidence import CaptionEvidence
from keras_showattend.explain.logistic import LinearModel, fit_logistic_ridge, fit_ridge, sigmoid
from keras_showattend.explain.word_model import WordModel, WordOutcomes, fit_words

CAPTION_FEATURES = (
    "mean log-probability",
    "mean entropy",
    "greatest entropy",
    "number of words",
    "mean confidence of the words",
    "least confidence of a word",
    "share of references expected to have the words, by rarity",
    "the same, more for captions of many rare words",
)
NUM_FOLDS = 5
RIDGE = 30.0


@dataclass(frozen=True)
class CaptionModel:
    """A logistic curve in `CAPTION_FEATURES`.

    Attributes:
        model: `LinearModel` of the log-odds of the event.
        words: `WordModel`.
    """

    model: LinearModel
    words: WordModel

    def __call__(self, evidence: CaptionEvidence) -> float:
        """Confidence of a caption, 0..1."""
        return float(sigmoid(self.model(caption_features(evidence, self.words)[None])[0]))


def caption_features(evidence: CaptionEvidence, words: WordModel) -> np.ndarray:
    """Returns `CAPTION_FEATURES`, float[8]."""
    positions, right, shared = words.judge(evidence)
    rarity = np.array([words.record(evidence.words[index]).rarity for index in positions])
    entropies = evidence.entropies if len(evidence.entropies) else np.zeros(1)
    by_rarity = [0.0, 0.0]
    if positions:
        by_rarity = [
            (shared @ rarity) / (rarity.sum() + 1e-9),
            (shared @ rarity**2) / np.sqrt((rarity**2).sum() + 1e-9),
        ]
    return np.array(
        [
            evidence.mean_log_probability,
            entropies.mean(),
            entropies.max(),
            len(evidence.words),
            right.mean() if positions else 0.0,
            right.min() if positions else 0.0,
            *by_rarity,
        ]
    )


def fit_captions(
    evidence: Sequence[CaptionEvidence],
    word_outcomes: Sequence[WordOutcomes],
    outcomes: np.ndarray,
    scores: np.ndarray,
    seed: int,
) -> CaptionModel:
    """Fits the words and, on what they say of captions that they were not fitted on, captions.

    Args:
        evidence: list of I `CaptionEvidence`.
        word_outcomes: list of I `WordOutcomes`.
        outcomes: float[I], 0..1. Share of people that each caption keeps up with.
        scores: float[I], 0 or more. CIDEr-D of each caption. Its root orders captions better
            than the outcomes do, which take few values.
        seed: int, of the folds.
    """
    folds = np.random.default_rng(seed).permutation(len(evidence)) % NUM_FOLDS
    features = np.empty((len(evidence), len(CAPTION_FEATURES)))
    for fold in range(NUM_FOLDS):
        rest = np.flatnonzero(folds != fold).tolist()
        words = fit_words([evidence[i] for i in rest], [word_outcomes[i] for i in rest])
        for index in np.flatnonzero(folds == fold).tolist():
            features[index] = caption_features(evidence[index], words)
    ranking = fit_ridge(features, np.sqrt(scores), RIDGE)
    curve = fit_logistic_ridge(ranking(features)[:, None], outcomes, 1e-3)
    slope = float(curve.weights[0])
    model = LinearModel(
        [slope * weight for weight in ranking.weights],
        slope * ranking.intercept + curve.intercept,
    )
    return CaptionModel(model, fit_words(evidence, word_outcomes))

"""Fits a `Calibration` on images that people captioned, and measures it by cross-validation."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_showattend.explain.calibration import Calibration
from keras_showattend.explain.caption_model import CaptionModel, fit_captions
from keras_showattend.explain.coverage import risk_coverage
from keras_showattend.explain.evidence import CaptionEvidence
from keras_showattend.explain.familiarity import fit_familiarity
from keras_showattend.explain.logistic import fit_logistic_ridge, sigmoid
from keras_showattend.explain.outcomes import (
    expected_calibration_error,
    keeps_up_with_people,
    reliability,
    word_figures,
    word_outcomes,
)
from keras_showattend.explain.rewording import Thesaurus
from keras_showattend.explain.words import judged_positions
from keras_showattend.metrics import CiderD, tokenize
from keras_showattend.metrics.tokenizer import Segmenter
from keras_showattend.metrics.word_truth import WordTruth

NUM_FOLDS = 5
# Fewer say too little of words.
FEWEST_IMAGES_FOR_WORDS = 100
# Of the words of a vocabulary, in the order of their frequency, that may replace another.
NUM_BROADER_WORDS = 1000
# A broader word is kept if its word was wrong in so many images, and it right in this share.
FEWEST_WRONG = 4
FEWEST_RESCUED = 0.4


def fit_calibration(
    mean_log_probabilities: Mapping[Hashable, float],
    captions: Mapping[Hashable, str],
    references: Mapping[Hashable, Sequence[str]],
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    segment: Segmenter | None = None,
    evidence: Mapping[Hashable, CaptionEvidence] | None = None,
    vocabulary: Sequence[str] = (),
) -> Calibration:
    """Fits the confidence on images with human captions, e.g. a dev split.

    Args:
        mean_log_probabilities: dict of image id to the log-probability of its caption divided by
            the number of tokens, float, nats.
        captions: dict of the same image ids to the model's caption, str.
        references: dict of the same image ids to human captions, list[str]. Images with fewer
            than 2 are left out.
        seed: int, of the folds of the cross-validation. Defaults to 0.
        settings: dict to be stored: how the captions were made.
        segment: see `keras_showattend.metrics.score_captions`.
        evidence: dict of the same image ids to `CaptionEvidence`. With it, and with
            `FEWEST_IMAGES_FOR_WORDS` images or more, words are calibrated, too.
        vocabulary: the words that the captioner can say, the most frequent first.

    Returns:
        `Calibration`.

    Raises:
        ValueError: if fewer than 10 images have 2 captions or more.

    Source: Platt 1999, "Probabilistic outputs for support vector machines", with shares of people
    in place of yes or no; Naeini et al. 2015 for the expected calibration error.
    """
    outcomes = keeps_up_with_people(captions, references, segment)
    ids = list(outcomes)
    if len(ids) < 2 * NUM_FOLDS:
        raise ValueError(
            f"A calibration needs at least {2 * NUM_FOLDS} images with 2 human captions or more. "
            f"Give a larger split. Received: {len(ids)} such images of {len(captions)}"
        )
    x = np.array([mean_log_probabilities[key] for key in ids], "float64")
    y = np.array([outcomes[key] for key in ids])
    words = None
    if evidence is not None and len(ids) >= FEWEST_IMAGES_FOR_WORDS:
        words = _WordData([evidence[key] for key in ids], [references[key] for key in ids], segment)
    scorer = CiderD({key: [tokenize(text, segment) for text in references[key]] for key in ids})
    scores = np.asarray(scorer.score(ids, [tokenize(captions[key], segment) for key in ids]))
    folds = np.random.default_rng(seed).permutation(len(ids)) % NUM_FOLDS
    unseen, base = np.empty(len(ids)), np.empty(len(ids))
    unseen_words: list[tuple[np.ndarray, np.ndarray]] = []
    for fold in range(NUM_FOLDS):
        rest, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        base[held_out] = y[rest].mean()
        if words is None:
            slope, intercept = fit_logistic(x[rest], y[rest])
            unseen[held_out] = sigmoid(slope * x[held_out] + intercept)
            continue
        model = words.fit(rest.tolist(), y[rest], scores[rest], seed)
        unseen[held_out] = [model(words.evidence[index]) for index in held_out.tolist()]
        unseen_words += [
            (model.words.judge(words.evidence[index])[1], words.outcomes[index].right)
            for index in held_out.tolist()
        ]
    slope, intercept = fit_logistic(x, y)
    of_words: dict[str, Any] = {}
    if words is not None:
        everything = range(len(ids))
        annotations = np.stack([found.mean_annotation for found in words.evidence])
        columns = [np.concatenate(column) for column in zip(*unseen_words, strict=True)]
        of_words = {
            "captions": words.fit(everything, y, scores, seed),
            "word_figures": word_figures(*columns),
            "familiarity": fit_familiarity(annotations),
            "thesaurus": words.thesaurus(vocabulary),
        }
    return Calibration(
        slope=slope,
        intercept=intercept,
        expected_calibration_error=expected_calibration_error(unseen, y),
        brier_score=float(np.mean((unseen - y) ** 2)),
        brier_base_rate=float(np.mean((base - y) ** 2)),
        base_rate=float(y.mean()),
        num_images=len(ids),
        reliability=reliability(unseen, y),
        settings=settings,
        coverage={
            name: part for name, part in risk_coverage(unseen, y, scores).items() if name != "curve"
        },
        **of_words,
    )


def fit_logistic(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope (0 or more) and intercept of the likeliest logistic curve, by Newton's method.

    Args:
        x: float[N].
        y: float[N] in 0..1.
    """
    # A small ridge keeps any data from running to infinity.
    curve = fit_logistic_ridge(x[:, None], y, 1e-3)
    if curve.weights[0] < 0:
        rate = float(np.clip(y.mean(), 1e-6, 1 - 1e-6))
        return 0.0, float(np.log(rate / (1 - rate)))
    return curve.weights[0], curve.intercept


class _WordData:
    """What came true of the words of many captions."""

    def __init__(
        self,
        evidence: Sequence[CaptionEvidence],
        references: Sequence[Sequence[str]],
        segment: Segmenter | None,
    ) -> None:
        self.evidence = list(evidence)
        self.truth = WordTruth()
        self.outcomes = [
            word_outcomes(found.words, texts, self.truth, segment)
            for found, texts in zip(evidence, references, strict=True)
        ]

    def fit(
        self, rows: Iterable[int], outcomes: np.ndarray, scores: np.ndarray, seed: int
    ) -> CaptionModel:
        """Fits some of the captions; see `fit_captions`."""
        chosen = list(rows)
        return fit_captions(
            [self.evidence[row] for row in chosen],
            [self.outcomes[row] for row in chosen],
            outcomes,
            scores,
            seed,
        )

    def thesaurus(self, vocabulary: Sequence[str]) -> Thesaurus:
        """Finds words in place of others, and how often they were right where those were wrong."""
        frequent = frozenset(vocabulary[:NUM_BROADER_WORDS])
        wrong: dict[str, list[int]] = {}
        for row, found in enumerate(self.evidence):
            positions = judged_positions(found.words)
            for index, right in zip(positions, self.outcomes[row].right, strict=True):
                wrong.setdefault(found.words[index], []).extend([row] * (not right))

        def rate(broad: str, rows: Sequence[int]) -> float:
            right = sum(self.truth.is_right(broad, self.outcomes[r].references) for r in rows)
            # Drawn towards never: few images tell little.
            return round(right / (len(rows) + 2), 3)

        broader = {}
        for word in sorted(wrong):
            if len(wrong[word]) >= FEWEST_WRONG:
                rates = [
                    (b, rate(b, wrong[word])) for b in self.truth.broader_words(word, frequent)
                ]
                # The nearest of those that are right most often.
                best = max(rates, key=lambda pair: pair[1], default=("", 0.0))
                if best[1] >= FEWEST_RESCUED:
                    broader[word] = [best]
        return Thesaurus(broader, [word for word in sorted(wrong) if self.truth.is_modifier(word)])

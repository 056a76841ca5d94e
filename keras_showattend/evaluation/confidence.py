"""How well confidences did on captions whose references are known."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_showattend.explain.calibration import Calibration
from keras_showattend.explain.coverage import risk_coverage
from keras_showattend.explain.familiarity import UNFAMILIAR_SHARE
from keras_showattend.explain.outcomes import (
    expected_calibration_error,
    keeps_up_with_people,
    reliability,
    word_figures,
    word_outcomes,
)
from keras_showattend.metrics import CiderD, tokenize
from keras_showattend.metrics.tokenizer import Segmenter
from keras_showattend.metrics.word_truth import WordTruth
from keras_showattend.search import CaptionHypothesis

# Confidence is off by more than this: it must not be relied on.
LARGEST_ERROR = 0.05


def confidence_figures(
    captions: Mapping[Hashable, CaptionHypothesis],
    references: Mapping[Hashable, Sequence[str]],
    segment: Segmenter | None = None,
) -> dict[str, Any] | None:
    """Compares confidences with what came true.

    Args:
        captions: dict of image id to `CaptionHypothesis`.
        references: dict of the same image ids to human captions, list[str]. Images with fewer
            than 2 are left out.
        segment: see `keras_showattend.metrics.score_captions`.

    Returns:
        None if a caption has no confidence, or no image has 2 references. Else dict of `mean`
        confidence, `outcome` (the share of people that captions keep up with),
        `expected_calibration_error`, `brier_score`, `brier_base_rate`, `reliability`; `surest`,
        `curve` and `area` of `risk_coverage`; `unfamiliar`, the share of such images, or None; and
        `words`, see `Calibration.word_figures`, or None.
    """
    texts = {key: one.text for key, one in captions.items() if one.confidence is not None}
    outcomes = keeps_up_with_people(texts, references, segment)
    if len(texts) < len(captions) or not outcomes:
        return None
    ids = list(outcomes)
    scorer = CiderD({key: [tokenize(text, segment) for text in references[key]] for key in ids})
    scores = np.asarray(scorer.score(ids, [tokenize(texts[key], segment) for key in ids]))
    confidence = np.array([captions[key].confidence for key in ids], "float64")
    y = np.array([outcomes[key] for key in ids])
    unfamiliar = [captions[key].unfamiliar for key in ids]
    return {
        "mean": float(confidence.mean()),
        "outcome": float(y.mean()),
        "expected_calibration_error": expected_calibration_error(confidence, y),
        "brier_score": float(np.mean((confidence - y) ** 2)),
        "brier_base_rate": float(np.mean((y.mean() - y) ** 2)),
        "reliability": reliability(confidence, y),
        **risk_coverage(confidence, y, scores),
        "unfamiliar": None if None in unfamiliar else unfamiliar.count(True) / len(unfamiliar),
        "words": _words([captions[key] for key in ids], [references[key] for key in ids], segment),
    }


def _words(
    captions: Sequence[CaptionHypothesis],
    references: Sequence[Sequence[str]],
    segment: Segmenter | None,
) -> dict[str, Any] | None:
    truth = WordTruth()
    confidence, right = [], []
    for caption, texts in zip(captions, references, strict=True):
        judged = [sure for sure in caption.word_confidences if sure is not None]
        if judged:
            confidence += judged
            right += word_outcomes(caption.words, texts, truth, segment).right.tolist()
    return word_figures(np.array(confidence), np.array(right)) if right else None


def confidence_lines(figures: Mapping[str, Any] | None) -> list[str]:
    """Returns the figures as lines of text for a terminal."""
    if figures is None:
        return []
    ratios = ", ".join(
        f"{row['cider_ratio']:.2f} at {row['coverage']:.0%}" for row in figures["surest"][1:]
    )
    lines = [
        f"confidence {figures['mean']:.2f} on average, {figures['outcome']:.2f} came true; "
        f"calibration error {figures['expected_calibration_error']:.3f}",
        f"CIDEr of the surest captions over that of all: {ratios}",
    ]
    if figures["words"] is not None:
        words = figures["words"]
        lines.append(
            f"{1 - words['base_rate']:.1%} of {words['num_words']} content words are wrong; "
            f"calibration error of words {words['expected_calibration_error']:.3f}"
        )
    if figures["unfamiliar"] is not None:
        lines.append(f"{figures['unfamiliar']:.1%} of the images are unfamiliar")
    return lines


def warnings_of_confidence(
    evaluation: Mapping[str, Any], calibration: Calibration | None
) -> list[str]:
    """Returns what a reader of confidences has to know, one sentence each."""
    figures, protocol = evaluation["confidence"], evaluation["protocol"]
    if figures is None or calibration is None:
        return []
    found = []
    made = calibration.settings or {}
    if made.get("preset_digest") == protocol["preset_digest"] and (
        made.get("split") == protocol["split"] is not None
    ):
        found.append(
            "The confidence was fitted on a split of this name: its figures here may be those of "
            f"the fit. By cross-validation its error is "
            f"{calibration.expected_calibration_error:.3f}."
        )
    share = figures["unfamiliar"]
    if share is not None and share > 2 * UNFAMILIAR_SHARE:
        found.append(
            f"{share:.0%} of the images are unlike those on which the confidence was measured, "
            f"of which {UNFAMILIAR_SHARE:.0%} were: confidences are likely to be too high."
        )
    error = figures["expected_calibration_error"]
    if error > LARGEST_ERROR:
        found.append(
            f"Confidences are off by {error:.2f} on average ({figures['mean']:.2f} promised, "
            f"{figures['outcome']:.2f} came true): calibrate the captioner on such images."
        )
    if protocol["decoder"].get("cautious") is not None:
        found.append(
            "Captions were reworded; their confidence is that of the captions as they were found."
        )
    return found

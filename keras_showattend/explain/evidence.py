"""What confidence is estimated from: how a caption was found and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keras_showattend.search import CaptionAssessment

WORD_FEATURES = (
    "log-probability",
    "entropy",
    "share of the beams that have the word",
    "mean log-probability of the caption",
    "mean entropy of the caption",
)


@dataclass(frozen=True, eq=False)
class CaptionEvidence:
    """How one caption of T words was found and read.

    Attributes:
        words: tuple of T str.
        log_probabilities: float[T] or, with that of the end token, float[T + 1], nats.
        entropies: float, of the same shape, nats.
        agreement: float[T], 0..1. Share of the beams that have the word.
        mean_annotation: float[D]. The image's annotations, averaged over locations.
    """

    words: tuple[str, ...]
    log_probabilities: np.ndarray
    entropies: np.ndarray
    agreement: np.ndarray
    mean_annotation: np.ndarray

    @classmethod
    def of(
        cls,
        words: Sequence[str],
        beams: Sequence[Sequence[str]],
        reading: Mapping[str, np.ndarray],
    ) -> CaptionEvidence:
        """Puts together what `Assessor.assess` is given."""
        # With the end token, unless the caption was cut before it.
        tokens = slice(0, len(words) + 1)
        return cls(
            tuple(words),
            np.asarray(reading["log_probabilities"][tokens], "float64"),
            np.asarray(reading["entropies"][tokens], "float64"),
            np.array([np.mean([word in beam for beam in beams]) for word in words]),
            np.asarray(reading["mean_annotations"], "float64"),
        )

    @property
    def mean_log_probability(self) -> float:
        """Log-probability a token, nats."""
        return float(self.log_probabilities.mean()) if len(self.log_probabilities) else 0.0

    def word_features(self, positions: Sequence[int]) -> np.ndarray:
        """Returns `WORD_FEATURES` of some words, float[len(positions), 5]."""
        at = np.asarray(positions, int)
        whole = np.ones(len(at))
        return np.stack(
            [
                self.log_probabilities[at],
                self.entropies[at],
                self.agreement[at],
                self.mean_log_probability * whole,
                (self.entropies.mean() if len(self.entropies) else 0.0) * whole,
            ],
            axis=1,
        )


class Recorder:
    """Stands in for a calibration and keeps the evidence of every caption.

    Attributes:
        evidence: list of `CaptionEvidence`, in the order of the images.
    """

    knows_words = False

    def __init__(self) -> None:
        self.evidence: list[CaptionEvidence] = []

    def assess(
        self,
        words: Sequence[str],
        beams: Sequence[Sequence[str]],
        reading: Mapping[str, np.ndarray],
    ) -> CaptionAssessment:
        """Keeps the evidence; see `keras_showattend.search.assessment.Assessor`."""
        self.evidence.append(CaptionEvidence.of(words, beams, reading))
        return CaptionAssessment(0.0, (None,) * len(words))

    def rewordings(
        self, words: Sequence[str], word_confidences: Sequence[float | None], least: float
    ) -> list[tuple[tuple[str, ...], tuple[float | None, ...]]]:
        """Returns the caption itself."""
        return [(tuple(words), tuple(word_confidences))]

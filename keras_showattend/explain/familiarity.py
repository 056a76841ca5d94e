"""Whether an image is like those on which a confidence was measured."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

# Of the images on which it was measured, this share counts as unfamiliar.
UNFAMILIAR_SHARE = 0.05


@dataclass(frozen=True)
class Familiarity:
    """Mean and standard deviation of each feature of the mean annotations.

    Attributes:
        mean, deviation: str. float16[D] in base64, so that they take a few kB of JSON.
        threshold: float. Distance above which an image is unfamiliar.
    """

    mean: str
    deviation: str
    threshold: float

    def distance(self, mean_annotation: np.ndarray) -> float:
        """Mean squared distance of float[D] from the mean, in standard deviations.

        An image like those of the fit has a distance of about 1.
        """
        away = (mean_annotation - _decoded(self.mean)) / _decoded(self.deviation)
        return float(np.mean(away**2))

    def is_unfamiliar(self, mean_annotation: np.ndarray) -> bool:
        """Whether the distance is above the threshold."""
        return self.distance(mean_annotation) > self.threshold


def fit_familiarity(mean_annotations: np.ndarray) -> Familiarity:
    """Fits float[I, D]."""
    deviation = mean_annotations.std(axis=0)
    # A feature that hardly varied must not outweigh all others in another image.
    deviation = np.maximum(deviation, 0.1 * deviation.mean() + 1e-4)
    fitted = Familiarity(_encoded(mean_annotations.mean(axis=0)), _encoded(deviation), 0.0)
    distances = [fitted.distance(annotation) for annotation in mean_annotations]
    threshold = float(np.quantile(distances, 1 - UNFAMILIAR_SHARE))
    return Familiarity(fitted.mean, fitted.deviation, threshold)


def _encoded(array: np.ndarray) -> str:
    return base64.b64encode(array.astype("<f2").tobytes()).decode("ascii")


def _decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f2").astype("float64")

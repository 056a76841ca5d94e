"""Confidence: from a caption's mean log-probability to a share of people it keeps up with.

The event whose probability is estimated: of the captions that people wrote for the photo, one
is drawn at random; the model's caption scores at least as high as it. Both are scored by CIDEr-D
against the photo's other human captions, so that neither is compared with itself.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_showattend._files import write_text
from keras_showattend._typing import PathLike
from keras_showattend.metrics import CiderD, tokenize
from keras_showattend.metrics.tokenizer import Segmenter
from keras_showattend.presets.files import CALIBRATION_FILE
from keras_showattend.search import CaptionAssessment

EVENT = (
    "the caption scores at least as high as one drawn at random among the captions that people "
    "wrote for the photo, both by CIDEr-D against the photo's other human captions"
)
NUM_FOLDS = 5
NUM_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Logistic map from mean log-probability to confidence.

    `calibration(x)` gives `1 / (1 + exp(-(slope * x + intercept)))`, rising with x.

    Attributes:
        slope: float, 0 or more. 0 means that the log-probability tells nothing.
        intercept: float.
        expected_calibration_error: float, 0..1. Mean distance between confidence and what came
            true, over 10 groups of images of about equal size, by 5-fold cross-validation.
        brier_score: float. Mean squared distance between confidence and outcome, by the same
            cross-validation; smaller is better.
        brier_base_rate: float. The same of someone who always says `base_rate`.
        base_rate: float, 0..1. How often the event came true.
        num_images: int.
        reliability: the groups behind the error, from the least sure: each a dict of the mean
            `confidence`, the share `outcome` that came true, and `num_images`.
        event: str. What the confidence is the probability of.
        settings: dict. Decoder settings and data with which it was measured.
    """

    slope: float
    intercept: float
    expected_calibration_error: float
    brier_score: float
    brier_base_rate: float
    base_rate: float
    num_images: int
    reliability: Sequence[Mapping[str, float]] = ()
    event: str = EVENT
    settings: Mapping[str, Any] | None = None

    def __call__(self, mean_log_probability: float) -> float:
        """Confidence, 0..1, of a caption.

        Args:
            mean_log_probability: float, nats. The caption's log-probability divided by its
                number of tokens, the end token included.
        """
        return float(_sigmoid(self.slope * mean_log_probability + self.intercept))

    @property
    def knows_words(self) -> bool:
        """Whether it can tell how probably a word is right."""
        return False

    def assess(
        self,
        words: Sequence[str],
        beams: Sequence[Sequence[str]],
        reading: Mapping[str, np.ndarray],
    ) -> CaptionAssessment:
        """Judges one caption; see `keras_showattend.search.assessment.Assessor`."""
        # With the end token, unless the caption was cut before it.
        tokens = reading["log_probabilities"][: len(words) + 1]
        confidence = self(float(tokens.sum()) / max(len(tokens), 1))
        return CaptionAssessment(confidence, (None,) * len(words))

    def save(self, folder: PathLike) -> pathlib.Path:
        """Writes `calibration.json` into a preset's folder; returns its path."""
        path = pathlib.Path(folder) / CALIBRATION_FILE
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")
        return path


def load_calibration(folder: PathLike) -> Calibration | None:
    """Reads the calibration of a preset.

    Args:
        folder: path of a preset's folder.

    Returns:
        `Calibration`, or None where the folder has no `calibration.json`.

    Raises:
        ValueError: if the file is damaged.
    """
    path = pathlib.Path(folder) / CALIBRATION_FILE
    if not path.is_file():
        return None
    try:
        return Calibration(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"A preset's {CALIBRATION_FILE} must be what `Calibration.save` writes. Delete it to "
            f"go without confidence, or fit it again. Received: '{path}' ({error})"
        ) from error


def fit_calibration(
    mean_log_probabilities: Mapping[Hashable, float],
    captions: Mapping[Hashable, str],
    references: Mapping[Hashable, Sequence[str]],
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    segment: Segmenter | None = None,
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
    folds = np.random.default_rng(seed).permutation(len(ids)) % NUM_FOLDS
    unseen = np.empty(len(ids))
    base = np.empty(len(ids))
    for fold in range(NUM_FOLDS):
        train = folds != fold
        slope, intercept = fit_logistic(x[train], y[train])
        unseen[~train] = _sigmoid(slope * x[~train] + intercept)
        base[~train] = y[train].mean()
    slope, intercept = fit_logistic(x, y)
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
    )


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


def fit_logistic(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope (0 or more) and intercept of the likeliest logistic curve, by Newton's method.

    Args:
        x: float[N].
        y: float[N] in 0..1.
    """
    # Standardised, so that one small ridge keeps any data from running to infinity.
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    design = np.stack([(x - centre) / spread, np.ones_like(x)], axis=1)
    ridge = np.diag([1e-3, 1e-3])
    weights = np.zeros(2)
    for _ in range(50):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - y) + ridge @ weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + ridge
        change = np.linalg.solve(hessian, gradient)
        weights -= np.clip(change, -4, 4)
        if np.abs(change).max() < 1e-10:
            break
    if weights[0] < 0:
        rate = float(np.clip(y.mean(), 1e-6, 1 - 1e-6))
        return 0.0, float(np.log(rate / (1 - rate)))
    return float(weights[0] / spread), float(weights[1] - weights[0] * centre / spread)


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


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x)))

"""Confidence intervals and paired comparison by resampling images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_showattend.metrics.report import ScoreDetails

# Resamples whose weights are held in memory at a time: 250 x 1,000 images is 2 MB.
_BLOCK = 250


@dataclass(frozen=True)
class Interval:
    """A score with its bootstrap interval.

    Attributes:
        score: float. Score of the images as they are.
        mean: float. Mean of the resampled scores.
        low: float. Lower end of the interval.
        high: float. Upper end of the interval.
    """

    score: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """How much system B scores above system A on the same images.

    Attributes:
        difference: float. Score of B minus score of A.
        low: float. Lower end of the interval of the difference.
        high: float. Upper end of the interval of the difference.
        p_value: float. Two-sided: twice the share of resamples in which the difference had the
            other sign or was zero, counting the images as they are as one of them; at most 1.
    """

    difference: float
    low: float
    high: float
    p_value: float


def bootstrap(
    details: ScoreDetails, num_samples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, Interval]:
    """Estimates how far corpus scores would move with other images of the same kind.

    Images are drawn with replacement; BLEU and METEOR 1.5 are recomputed from the summed counts of
    the drawn images, and the other scores are averaged. CIDEr keeps the word weights of all images.

    Args:
        details: result of `score_details`.
        num_samples: int. Number of resamples. Defaults to 1000.
        seed: int. Makes the result repeatable. Defaults to 0.
        confidence: float between 0 and 1. Share of resamples inside the interval. Defaults to 0.95.

    Returns:
        dict of metric name to Interval, on the scales of `score_captions`.

    Raises:
        ValueError: if `num_samples` or `confidence` is out of range.

    Source: Efron and Tibshirani 1993, chapter 13, the percentile interval; for BLEU Koehn 2004,
    "Statistical significance tests for machine translation evaluation".
    """
    tails = _check(num_samples, confidence)
    samples = _resample(num_samples, seed, details)[0]
    observed = details.corpus_scores()
    intervals = {}
    for name in details.metrics:
        low, high = np.quantile(samples[name], tails)
        intervals[name] = Interval(
            float(observed[name]), float(samples[name].mean()), float(low), float(high)
        )
    return intervals


def compare_systems(
    details_a: ScoreDetails,
    details_b: ScoreDetails,
    num_samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Comparison]:
    """Compares two systems on the same images, drawing the same images for both.

    Args:
        details_a: result of `score_details` for system A.
        details_b: result of `score_details` for system B, with the same images in the same order.
        num_samples: int. Number of resamples. Defaults to 1000.
        seed: int. Makes the result repeatable. Defaults to 0.
        confidence: float between 0 and 1. Share of resamples inside the interval. Defaults to 0.95.

    Returns:
        dict of each metric held by both to Comparison.

    Raises:
        ValueError: if the images differ, or `num_samples` or `confidence` is out of range.

    Source: Koehn 2004, section 5, paired bootstrap resampling.
    """
    tails = _check(num_samples, confidence)
    if details_a.image_ids != details_b.image_ids:
        shared = len(set(details_a.image_ids) & set(details_b.image_ids))
        raise ValueError(
            "Both systems must be scored on the same images in the same order. Make both "
            f"`captions` dicts from one list of ids. Received: {len(details_a.image_ids)} and "
            f"{len(details_b.image_ids)} images, {shared} of them shared"
        )
    samples_a, samples_b = _resample(num_samples, seed, details_a, details_b)
    observed_a, observed_b = details_a.corpus_scores(), details_b.corpus_scores()
    comparisons = {}
    for name in details_a.metrics:
        if name not in details_b.metrics:
            continue
        differences = samples_b[name] - samples_a[name]
        low, high = np.quantile(differences, tails)
        crossings = min((differences <= 0).sum(), (differences >= 0).sum())
        comparisons[name] = Comparison(
            float(observed_b[name] - observed_a[name]),
            float(low),
            float(high),
            float(min(1.0, 2 * (crossings + 1) / (num_samples + 1))),
        )
    return comparisons


def _check(num_samples: int, confidence: float) -> tuple[float, float]:
    if num_samples < 1:
        raise ValueError(
            "`num_samples` must be at least 1; 1000 gives stable intervals. "
            f"Received: {num_samples!r}"
        )
    if not 0 < confidence < 1:
        raise ValueError(
            f"`confidence` must be between 0 and 1, such as 0.95 for 95 %. Received: {confidence!r}"
        )
    return (1 - confidence) / 2, (1 + confidence) / 2


def _resample(num_samples: int, seed: int, *systems: ScoreDetails) -> list[dict[str, np.ndarray]]:
    blocks: list[list[dict[str, np.ndarray]]] = [[] for _ in systems]
    for weights in _draw(num_samples, len(systems[0].image_ids), seed):
        for system, block in zip(systems, blocks, strict=True):
            block.append(system.corpus_scores(weights))
    return [
        {name: np.concatenate([part[name] for part in block]) for name in block[0]}
        for block in blocks
    ]


def _draw(num_samples: int, num_images: int, seed: int) -> Iterator[np.ndarray]:
    """Yields blocks float64[S, I]: how often each image is drawn into each resample."""
    generator = np.random.default_rng(seed)
    for start in range(0, num_samples, _BLOCK):
        size = min(_BLOCK, num_samples - start)
        drawn = generator.integers(num_images, size=(size, num_images))
        drawn += np.arange(size)[:, None] * num_images
        counts = np.bincount(drawn.ravel(), minlength=size * num_images)
        yield counts.reshape(size, num_images).astype(np.float64)

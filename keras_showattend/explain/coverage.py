"""What is gained by captioning only the images of which the captioner is sure."""

from __future__ import annotations

from typing import Any

import numpy as np

COVERAGES = (1.0, 0.75, 0.5, 0.25, 0.1)


def risk_coverage(
    confidence: np.ndarray, outcomes: np.ndarray, scores: np.ndarray
) -> dict[str, Any]:
    """Scores the surest captions, and the order of all.

    The risk at a coverage c is that a person does better: 1 minus the mean outcome of the
    surest c of the captions. The area under it is its mean over all coverages.

    Args:
        confidence: float[I].
        outcomes: float[I], 0..1, from `keeps_up_with_people`.
        scores: float[I]. CIDEr-D.

    Returns:
        Dict of `surest`, a list of dicts of `coverage`, `num_images`, `cider`, `cider_ratio`
        (to the mean of all images) and `outcome`; and `area`, a dict of the area under the curve
        by `confidence`, at `random` and by an `oracle` that knows the outcomes.

    Source: El-Yaniv and Wiener 2010; Geifman et al. 2019 for the area.
    """
    order = np.argsort(-confidence, kind="stable")
    mean = float(scores.mean())
    surest = []
    for coverage in COVERAGES:
        part = order[: max(1, round(coverage * len(order)))]
        cider = float(scores[part].mean())
        surest.append(
            {
                "coverage": coverage,
                "num_images": len(part),
                "cider": cider,
                "cider_ratio": cider / mean if mean else 0.0,
                "outcome": float(outcomes[part].mean()),
            }
        )
    area = {
        "confidence": _area(outcomes[order]),
        "random": 1 - float(outcomes.mean()),
        "oracle": _area(np.sort(outcomes)[::-1]),
    }
    return {"surest": surest, "area": area}


def _area(outcomes: np.ndarray) -> float:
    """Mean risk over all coverages of outcomes in the order in which images are captioned."""
    return float(1 - np.mean(np.cumsum(outcomes) / np.arange(1, len(outcomes) + 1)))

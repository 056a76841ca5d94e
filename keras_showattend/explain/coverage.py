"""What is gained by captioning only the images of which the captioner is sure."""

from __future__ import annotations

from typing import Any

import numpy as np

COVERAGES = (1.0, 0.75, 0.5, 0.25, 0.1)
NUM_CURVE_POINTS = 20


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
        (to the mean of all images) and `outcome`; `curve`, a dict of lists of `coverage` and of the
        risk by `confidence` and by an `oracle` that knows the outcomes; and `area`, a dict of the
        area under the curve by both, and at `random`.

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
    risk, least = _risks(outcomes[order]), _risks(np.sort(outcomes)[::-1])
    shown = np.unique(np.linspace(1, len(order), NUM_CURVE_POINTS).round().astype(int))
    return {
        "surest": surest,
        "curve": {
            "coverage": (shown / len(order)).tolist(),
            "confidence": risk[shown - 1].tolist(),
            "oracle": least[shown - 1].tolist(),
        },
        "area": {
            "confidence": float(risk.mean()),
            "random": 1 - float(outcomes.mean()),
            "oracle": float(least.mean()),
        },
    }


def _risks(outcomes: np.ndarray) -> np.ndarray:
    """Risk at every coverage of outcomes in the order in which images are captioned."""
    return 1 - np.cumsum(outcomes) / np.arange(1, len(outcomes) + 1)

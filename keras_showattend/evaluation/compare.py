"""Two evaluations side by side, with a paired bootstrap."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from keras_showattend.metrics import (
    MetricUnavailableError,
    ScoreDetails,
    compare_systems,
    score_details,
)

DIVERSITY = ("distinct_captions", "distinct_1", "distinct_2", "vocabulary_size", "mean_length")


def compare_evaluations(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    num_samples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Tells whether the second of two captioners is better, on the same images.

    Args:
        first, second: dicts from `evaluate_captions`, also read back from JSON, of the same
            images with the same references.
        num_samples: int. Resamples of the bootstrap; each draws the same images for both.
        seed: int.

    Returns:
        Dict for `json.dump`: `scores`: metric name -> `first`, `second`, `difference` (second
        less first), `low` and `high` of its 95 % interval, `p_value` (two-sided); `diversity`:
        name -> `first`, `second`; `num_images`; `presets`: the two names, with "(first)" and
        "(second)" if they are one; `same_captions`: share of images for which both say the same;
        `verdicts`: list of str in words; `warnings`: list of str, settings in which the two differ.

    Raises:
        ValueError: if images or references differ.
    """
    sides = (first, second)
    texts = [{row["id"]: row["caption"] for row in side["images"]} for side in sides]
    known = [{row["id"]: list(row["references"]) for row in side["images"]} for side in sides]
    if known[0] != known[1]:
        shared = sum(known[0][key] == known[1].get(key) for key in known[0])
        raise ValueError(
            "Two evaluations can be compared on the same images with the same references only. "
            "Evaluate both on one split of one data set. Received: "
            f"{len(known[0])} and {len(known[1])} images, {shared} of them alike"
        )
    names = [name for name in first["scores"] if name in second["scores"]]
    ordered = {key: texts[1][key] for key in texts[0]}
    warnings = _differences(first["protocol"], second["protocol"])
    try:
        details = _both(texts[0], ordered, known[0], names)
    except MetricUnavailableError as error:
        # The evaluations may have been made on another machine.
        names = [name for name in names if not name.startswith("meteor")]
        warnings.append(f"METEOR is not compared. {error}")
        details = _both(texts[0], ordered, known[0], names)
    scores = {}
    for name, comparison in compare_systems(*details, num_samples, seed).items():
        scores[name] = {
            "first": float(first["scores"][name]),
            "second": float(second["scores"][name]),
            **asdict(comparison),
        }
    diversity = {
        name: {
            "first": first["checks"]["diversity"][name],
            "second": second["checks"]["diversity"][name],
        }
        for name in DIVERSITY
    }
    presets = [
        side["protocol"]["preset"] or label
        for side, label in zip(sides, ("the first", "the second"), strict=True)
    ]
    if presets[0] == presets[1]:
        # One captioner with two settings of the search: verdicts must say which is better.
        presets = [f"{presets[0]} ({label})" for label in ("first", "second")]
    return {
        "presets": presets,
        "num_images": len(ordered),
        "scores": scores,
        "diversity": diversity,
        "same_captions": sum(texts[0][key] == ordered[key] for key in ordered) / len(ordered),
        "verdicts": [_verdict(name, scores[name], presets) for name in scores],
        "warnings": warnings,
        "bootstrap": {"num_samples": num_samples, "confidence": 0.95, "seed": seed},
    }


def _both(
    first: Mapping[Hashable, str],
    second: Mapping[Hashable, str],
    references: Mapping[Hashable, Sequence[str]],
    names: Sequence[str],
) -> tuple[ScoreDetails, ScoreDetails]:
    return score_details(first, references, names), score_details(second, references, names)


def _verdict(name: str, score: Mapping[str, float], presets: list[str]) -> str:
    if score["low"] <= 0 <= score["high"]:
        return f"{name}: no clear difference ({score['difference']:+.4f})."
    better = presets[1] if score["difference"] > 0 else presets[0]
    return (
        f"{name}: {better} is better ({score['difference']:+.4f}, 95 % interval "
        f"{score['low']:+.4f} to {score['high']:+.4f})."
    )


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    found = []
    if first["preset_digest"] == second["preset_digest"]:
        found.append("Both are the same model.")
    for key in ("split", "decoder", "dtype", "versions"):
        if first[key] != second[key]:
            found.append(f"They differ in {key}: {first[key]} and {second[key]}.")
    return found


def format_comparison(comparison: Mapping[str, Any]) -> str:
    """The comparison as text for a terminal."""
    first, second = comparison["presets"]
    lines = [
        f"A = {first}, B = {second}, {comparison['num_images']} images, "
        f"{comparison['same_captions']:.1%} of the captions alike",
        f"{'metric':<18} {'A':>8} {'B':>8} {'B - A':>9}   {'95 % interval':<20} {'p':>6}",
    ]
    for name, row in comparison["scores"].items():
        lines.append(
            f"{name:<18} {row['first']:8.4f} {row['second']:8.4f} {row['difference']:+9.4f}   "
            f"{row['low']:+.4f} to {row['high']:+.4f}   {row['p_value']:6.3f}"
        )
    for name, row in comparison["diversity"].items():
        lines.append(f"{name:<18} {row['first']:8.4g} {row['second']:8.4g}")
    return "\n".join(
        [*lines, *comparison["verdicts"], *(f"Warning: {w}" for w in comparison["warnings"])]
    )

"""Two evaluations side by side, with a paired bootstrap."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from keras_showattend._text import printable
from keras_showattend.metrics import (
    MetricUnavailableError,
    ScoreDetails,
    compare_systems,
    metric_label,
    printed_score,
    score_details,
)
from keras_showattend.metrics.tokenizer import Segmenter

DIVERSITY = ("distinct_captions", "distinct_1", "distinct_2", "vocabulary_size", "mean_length")


def compare_evaluations(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    num_samples: int = 1000,
    seed: int = 0,
    segment: Segmenter | None = None,
) -> dict[str, Any]:
    """Tells whether the second of two captioners is better, on the same images.

    Args:
        first, second: dicts from `evaluate_captions`, also read back from JSON, of the same
            images with the same references.
        num_samples: int. Resamples of the bootstrap; each draws the same images for both.
        seed: int.
        segment: the segmenter with which both were evaluated, or None.

    Returns:
        Dict for `json.dump`: `scores`: metric name -> `first`, `second`, `difference` (second
        less first), `low` and `high` of its 95 % interval, `p_value` (two-sided); `diversity`:
        name -> `first`, `second`; `num_images`; `presets`: the two names, with "(first)" and
        "(second)" if they are one; `same_captions`: share of images for which both say the same;
        `verdicts`: list of str in words; `warnings`: list of str, settings in which the two differ;
        `num_references`: as in the protocol; `evaluation_warnings`: the warnings of either.

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
            "Evaluate both on one split of one dataset. Received: "
            f"{len(known[0])} and {len(known[1])} images, {shared} of them alike"
        )
    names = [name for name in first["scores"] if name in second["scores"]]
    ordered = {key: texts[1][key] for key in texts[0]}
    warnings = _differences(first["protocol"], second["protocol"])
    try:
        details = _both(texts[0], ordered, known[0], names, segment)
    except MetricUnavailableError as error:
        # The evaluations may have been made on another machine.
        names = [name for name in names if not name.startswith("meteor")]
        warnings.append(f"METEOR is not compared. {error}")
        details = _both(texts[0], ordered, known[0], names, segment)
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
        "num_references": first["protocol"]["num_references"],
        "evaluation_warnings": [list(side["warnings"]) for side in sides],
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
    segment: Segmenter | None,
) -> tuple[ScoreDetails, ScoreDetails]:
    return (
        score_details(first, references, names, segment),
        score_details(second, references, names, segment),
    )


def _verdict(name: str, score: Mapping[str, float], presets: list[str]) -> str:
    label = metric_label(name)
    if score["low"] <= 0 <= score["high"]:
        return f"{label}: no clear difference ({printed_score(score['difference'], signed=True)})."
    better = presets[1] if score["difference"] > 0 else presets[0]
    return (
        f"{label}: {better} is better ({printed_score(score['difference'], signed=True)}, 95 % "
        f"interval {printed_score(score['low'], signed=True)} to "
        f"{printed_score(score['high'], signed=True)})."
    )


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    found = []
    if first["preset_digest"] == second["preset_digest"]:
        found.append("Both are the same model.")
    for key in ("split", "segmenter", "decoder", "dtype", "versions"):
        # Older evaluations have no segmenter.
        if first.get(key) != second.get(key):
            found.append(f"They differ in {key}: {first.get(key)} and {second.get(key)}.")
    return found


def format_comparison(comparison: Mapping[str, Any]) -> str:
    """Returns the comparison as text for a terminal, with scores multiplied by 100."""
    first, second = comparison["presets"]
    lines = [
        f"A = {first}, B = {second}, {comparison['num_images']} images, "
        f"{comparison['same_captions']:.1%} of the captions alike",
        f"{'metric':<18} {'A':>8} {'B':>8} {'B - A':>9}   {'95 % interval':<20} {'p':>6}",
    ]
    for name, row in comparison["scores"].items():
        difference = printed_score(row["difference"], signed=True)
        lines.append(
            f"{metric_label(name):<18} {printed_score(row['first']):>8} "
            f"{printed_score(row['second']):>8} {difference:>9}   "
            f"{_interval(row):<20} {row['p_value']:6.3f}"
        )
    for name, row in comparison["diversity"].items():
        lines.append(f"{name:<18} {row['first']:8.4g} {row['second']:8.4g}")
    lines += comparison["verdicts"]
    lines += [f"Warning: {text}" for text in comparison["warnings"]]
    for preset, warnings in zip(
        comparison["presets"], comparison["evaluation_warnings"], strict=True
    ):
        lines += [f"Warning on {preset}: {text}" for text in warnings]
    return "\n".join(printable(line) for line in lines)


def _interval(row: Mapping[str, float]) -> str:
    return " to ".join(printed_score(row[end], signed=True) for end in ("low", "high"))

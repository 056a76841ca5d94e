"""The calibration of a captioner's confidence, from an evaluation of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_showattend.explain.calibration import Calibration, fit_calibration
from keras_showattend.metrics.tokenizer import Segmenter


def calibrate(
    evaluation: Mapping[str, Any], seed: int = 0, segment: Segmenter | None = None
) -> Calibration:
    """Fits the confidence of `Explanation`; use a split on which nothing was trained.

    Args:
        evaluation: dict from `evaluate_captions`, also read back from JSON.
        seed: int, of the folds of the cross-validation.
        segment: the segmenter of the evaluation, or None.

    Returns:
        `Calibration`. Set it as `captioner.calibration`, and keep it with
        `calibration.save(preset_folder)`.

    Raises:
        ValueError: if fewer than 10 images have 2 references or more.
    """
    protocol = evaluation["protocol"]
    longest = protocol["decoder"]["max_length"]
    rows = {row["id"]: row for row in evaluation["images"]}
    # The digest and not the name, which may be a path on one machine.
    kept = ("preset_digest", "split", "num_references", "decoder")
    return fit_calibration(
        {
            # The end counts as a token, except where a caption was cut before it.
            key: row["log_probability"] / min(len(row["caption"].split()) + 1, longest)
            for key, row in rows.items()
        },
        {key: row["caption"] for key, row in rows.items()},
        {key: row["references"] for key, row in rows.items()},
        seed=seed,
        segment=segment,
        settings={key: protocol[key] for key in kept},
    )

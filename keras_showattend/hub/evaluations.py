"""Measured results, brought into one form: what an evaluation says, and nothing else."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_showattend._scrub import without_folders
from keras_showattend._typing import PathLike
from keras_showattend.metrics.labels import metric_label, printed_score
from keras_showattend.presets.files import EVALUATION_FILE

NO_SPLIT = "No split was named: the images may be among those that the captioner was trained on."
# What is published of an evaluation. The captions of single images stay at home: they come with
# names of files and with other people's references.
PUBLISHED = ("format", "dataset", "scores", "intervals", "protocol", "checks", "warnings")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """An evaluation as a card states it.

    Attributes:
        scores: from metric to score, as stored (1 is a perfect BLEU).
        dataset: name of the dataset, or None if the evaluation names none.
        dataset_id: its id on the Hub, or None.
        split: name of the split, or None.
        num_images: number of images scored, or None if it is not stated.
        references: how many references an image has, in words, or None.
        intervals: from metric to `(low, high)`.
        search: how the captions were found, in words, or None.
        warnings: sentences that belong to the scores.
        weights_digest: `weights_digest` of the captioner that was evaluated, or None if the
            evaluation does not tell.
        published: what of the evaluation may be published, for `evaluation.json`.
    """

    scores: Mapping[str, float]
    dataset: str | None = None
    dataset_id: str | None = None
    split: str | None = None
    num_images: int | None = None
    references: str | None = None
    intervals: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    search: str | None = None
    warnings: Sequence[str] = ()
    weights_digest: str | None = None
    published: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def setting(self) -> str:
        """Returns a sentence on what was scored, and how."""
        where = f"On {self.dataset}" if self.dataset else "On a dataset that was not named"
        split = f", {self.split} split" if self.split else ", no split named"
        search = f"; captions by {self.search}" if self.search else ""
        return f"{where}{split}{search}. Tokenizer and scores as in coco-caption."

    def rows(self) -> list[dict[str, str]]:
        """Returns label, score and interval of each metric, as printed."""
        rows = []
        for name, score in self.scores.items():
            ends = self.intervals.get(name)
            interval = f"{printed_score(ends[0])} to {printed_score(ends[1])}" if ends else ""
            rows.append(
                {"label": metric_label(name), "score": printed_score(score), "interval": interval}
            )
        return rows


def read_evaluation(
    folder: pathlib.Path, evaluation: Mapping[str, Any] | PathLike | None
) -> Evaluation:
    """Reads measured results.

    Args:
        folder: of the preset; its `evaluation.json` is read if `evaluation` is None.
        evaluation: see `keras_showattend.hub.model_card`.

    Returns:
        `Evaluation`; without scores if there are no results.

    Raises:
        ValueError: if there are results that cannot be read.
    """
    value: Any = evaluation
    if value is None:
        path = folder / EVALUATION_FILE
        value = _read(path) if path.is_file() else {}
    elif isinstance(value, str | os.PathLike):
        value = _read(pathlib.Path(value))
    if not isinstance(value, Mapping):
        raise _bad_evaluation(repr(value)[:200])
    scores = value.get("scores", value if evaluation is not None else {})
    if not isinstance(scores, Mapping):
        raise _bad_evaluation(f"scores={scores!r}"[:200])
    numbers = {str(name): float(score) for name, score in scores.items() if _is_number(score)}
    if evaluation is not None and not numbers:
        raise _bad_evaluation(f"no number in {list(scores)}")
    # coco-caption's CIDEr is CIDEr-D: two names of one number.
    if "cider" in numbers and "cider_d" in numbers:
        del numbers["cider"]
    return _evaluation(value, numbers)


def _evaluation(value: Mapping[str, Any], scores: dict[str, float]) -> Evaluation:
    dataset = value.get("dataset") or {}
    if not isinstance(dataset, Mapping):
        dataset = {"name": str(dataset)}
    protocol = value.get("protocol")
    protocol = protocol if isinstance(protocol, Mapping) else {}
    split = _text(dataset.get("split")) or _text(protocol.get("split"))
    warnings = value.get("warnings")
    warnings = [str(text) for text in warnings] if isinstance(warnings, list) else []
    if scores and split is None and not any("No split" in text for text in warnings):
        warnings.append(NO_SPLIT)
    num_images = protocol.get("num_images", value.get("num_images"))
    published = {key: value[key] for key in PUBLISHED if key in value} or {"scores": scores}
    if protocol.get("preset"):
        # It may be the path of a folder.
        preset = without_folders(str(protocol["preset"]))
        published["protocol"] = {**protocol, "preset": preset}
    checks = value.get("checks")
    if isinstance(checks, Mapping):
        # It names files.
        published["checks"] = {k: v for k, v in checks.items() if k != "shared_images"}
    intervals = value.get("intervals")
    return Evaluation(
        scores=scores,
        dataset=_text(dataset.get("name")),
        dataset_id=_text(dataset.get("id")),
        split=split,
        num_images=num_images if isinstance(num_images, int) else None,
        references=_references(protocol.get("num_references")),
        intervals=_intervals(intervals) if isinstance(intervals, Mapping) else {},
        search=_search(protocol.get("decoder")),
        warnings=warnings,
        weights_digest=_text(protocol.get("weights_digest")),
        published=published,
    )


def _read(path: pathlib.Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad_evaluation(f"'{path}': {error}") from error


def _bad_evaluation(received: str) -> ValueError:
    return ValueError(
        "`evaluation` must be a dict, or the path of a JSON file, with `scores` from metric to "
        "number; `keras-showattend evaluate --output FILE.json` writes one. "
        f"Received: {received}"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _references(counts: Any) -> str | None:
    """Puts counts of images by number of references into words: "5", or "2 to 5"."""
    if isinstance(counts, int):
        return str(counts)
    if not isinstance(counts, Mapping) or not all(str(n).isdecimal() for n in counts):
        return None
    numbers = sorted(int(n) for n in counts)
    if not numbers:
        return None
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _intervals(intervals: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    return {
        str(name): (float(ends["low"]), float(ends["high"]))
        for name, ends in intervals.items()
        if isinstance(ends, Mapping) and all(_is_number(ends.get(k)) for k in ("low", "high"))
    }


def _search(decoder: Any) -> str | None:
    if not isinstance(decoder, Mapping) or not _text(decoder.get("search")):
        return None
    beams = decoder.get("num_beams")
    many = f" with {beams} beams" if isinstance(beams, int) and beams > 1 else ""
    return f"{decoder['search']} search{many}"

"""`Calibration`: how a captioner's confidence follows from a caption, and its file."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from keras_showattend._files import write_text
from keras_showattend._typing import PathLike
from keras_showattend.explain.caption_model import CaptionModel
from keras_showattend.explain.evidence import CaptionEvidence
from keras_showattend.explain.familiarity import Familiarity
from keras_showattend.explain.logistic import LinearModel, sigmoid
from keras_showattend.explain.rewording import Thesaurus, Token
from keras_showattend.explain.word_model import WordModel, WordRecord
from keras_showattend.presets.files import CALIBRATION_FILE
from keras_showattend.search import CaptionAssessment

EVENT = (
    "the caption scores at least as high as one drawn at random among the captions that people "
    "wrote for the photo, both by CIDEr-D against the photo's other human captions"
)


@dataclass(frozen=True)
class Calibration:
    """Confidence of captions and of their words.

    A calibration of 100 images or more judges a caption by `CAPTION_FEATURES`, and each word that
    names something by `WORD_FEATURES`. A smaller one, or one of an older preset, maps the
    caption's mean log-probability x to `1 / (1 + exp(-(slope * x + intercept)))`, rising with x,
    and knows nothing of words.

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
        coverage: dict of `surest` and `area` of `risk_coverage`, by the same cross-validation.
        word_figures: dict of the same for words: `num_words`, `base_rate` (how many are right),
            `expected_calibration_error`, `brier_score`, `brier_base_rate` and `reliability`.
        captions: `CaptionModel`, or None.
        familiarity: `Familiarity`, or None.
        thesaurus: `Thesaurus`, or None.
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
    coverage: Mapping[str, Any] | None = None
    word_figures: Mapping[str, Any] | None = None
    captions: CaptionModel | None = None
    familiarity: Familiarity | None = None
    thesaurus: Thesaurus | None = None

    def __call__(self, mean_log_probability: float) -> float:
        """Confidence, 0..1, of a caption of which nothing else is known.

        Args:
            mean_log_probability: float, nats. The caption's log-probability divided by its
                number of tokens, the end token included.
        """
        return float(sigmoid(self.slope * mean_log_probability + self.intercept))

    @property
    def knows_words(self) -> bool:
        """Whether it can tell how probably a word is right."""
        return self.captions is not None

    def assess(
        self,
        words: Sequence[str],
        beams: Sequence[Sequence[str]],
        reading: Mapping[str, np.ndarray],
    ) -> CaptionAssessment:
        """Judges one caption; see `keras_showattend.search.assessment.Assessor`."""
        evidence = CaptionEvidence.of(words, beams, reading)
        confidences: list[float | None] = [None] * len(words)
        if self.captions is None:
            confidence = self(evidence.mean_log_probability)
        else:
            confidence = self.captions(evidence)
            positions, right, _ = self.captions.words.judge(evidence)
            for index, sure in zip(positions, right, strict=True):
                confidences[index] = float(sure)
        unfamiliar = None
        if self.familiarity is not None:
            unfamiliar = self.familiarity.is_unfamiliar(evidence.mean_annotation)
        return CaptionAssessment(confidence, tuple(confidences), unfamiliar)

    def rewordings(
        self, words: Sequence[str], word_confidences: Sequence[float | None], least: float
    ) -> list[tuple[tuple[str, ...], tuple[float | None, ...]]]:
        """Says a caption in other ways; see `keras_showattend.search.assessment.Assessor`."""
        tokens = [Token(*pair) for pair in zip(words, word_confidences, strict=True)]
        thesaurus = self.thesaurus or Thesaurus()
        return [
            (tuple(t.word for t in found), tuple(t.confidence for t in found))
            for found in thesaurus.rewordings(tokens, least)
        ]

    def save(self, folder: PathLike) -> pathlib.Path:
        """Writes `calibration.json` into a preset's folder; returns its path."""
        path = pathlib.Path(folder) / CALIBRATION_FILE
        # A line for each part: indented, the numbers of the words would take thousands.
        parts = {key: value for key, value in _as_json(self).items() if value is not None}
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(part)}" for key, part in parts.items())
        write_text(path, f"{{\n{lines}\n}}\n")
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
        return _from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"A preset's {CALIBRATION_FILE} must be what `Calibration.save` writes. Delete it to "
            f"go without confidence, or fit it again. Received: '{path}' ({error})"
        ) from error


def _as_json(calibration: Calibration) -> dict[str, Any]:
    """Returns what JSON can hold of it, with the numbers rounded to what they are worth."""
    described = {field.name: getattr(calibration, field.name) for field in fields(calibration)}
    for name in ("familiarity", "thesaurus"):
        if described[name] is not None:
            described[name] = asdict(described[name])
    if calibration.captions is not None:
        words = calibration.captions.words
        described["captions"] = {
            "model": _rounded_model(calibration.captions.model),
            "right": _rounded_model(words.right),
            "shared": _rounded_model(words.shared),
            "records": {word: _rounded(record) for word, record in words.records.items()},
            "unknown": _rounded(words.unknown),
        }
    return described


def _from_json(described: Mapping[str, Any]) -> Calibration:
    described = dict(described)
    if captions := described.get("captions"):
        words = WordModel(
            LinearModel(**captions["right"]),
            LinearModel(**captions["shared"]),
            {word: WordRecord(*numbers) for word, numbers in captions["records"].items()},
            WordRecord(*captions["unknown"]),
        )
        described["captions"] = CaptionModel(LinearModel(**captions["model"]), words)
    if familiarity := described.get("familiarity"):
        described["familiarity"] = Familiarity(**familiarity)
    if thesaurus := described.get("thesaurus"):
        described["thesaurus"] = Thesaurus(**thesaurus)
    return Calibration(**described)


def _rounded_model(model: LinearModel) -> dict[str, Any]:
    weights = [float(f"{weight:.6g}") for weight in model.weights]
    return {"weights": weights, "intercept": float(f"{model.intercept:.6g}")}


def _rounded(record: WordRecord) -> list[float]:
    return [round(record.right, 2), round(record.shared, 2), round(record.rarity, 2)]

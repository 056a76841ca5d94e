"""Confidence: from a caption's mean log-probability to a share of people it keeps up with.

The event whose probability is estimated: of the captions that people wrote for the photo, one
is drawn at random; the model's caption scores at least as high as it. Both are scored by CIDEr-D
against the photo's other human captions, so that neither is compared with itself.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from keras_showattend._files import write_text
from keras_showattend._typing import PathLike
from keras_showattend.explain.caption_model import CaptionModel, fit_captions
from keras_showattend.explain.coverage import risk_coverage
from keras_showattend.explain.evidence import CaptionEvidence
from keras_showattend.explain.familiarity import Familiarity, fit_familiarity
from keras_showattend.explain.logistic import LinearModel, fit_logistic_ridge, sigmoid
from keras_showattend.explain.rewording import Thesaurus, Token
from keras_showattend.explain.word_model import WordModel, WordOutcomes, WordRecord
from keras_showattend.explain.words import judged_positions
from keras_showattend.metrics import CiderD, tokenize
from keras_showattend.metrics.tokenizer import Segmenter
from keras_showattend.metrics.word_truth import WordTruth
from keras_showattend.presets.files import CALIBRATION_FILE
from keras_showattend.search import CaptionAssessment

EVENT = (
    "the caption scores at least as high as one drawn at random among the captions that people "
    "wrote for the photo, both by CIDEr-D against the photo's other human captions"
)
NUM_FOLDS = 5
NUM_BINS = 10
# Fewer say too little of words.
FEWEST_IMAGES_FOR_WORDS = 100
# Of the words of a vocabulary, in the order of their frequency, that may replace another.
NUM_BROADER_WORDS = 1000
# A broader word is kept if its word was wrong in so many images, and it right in this share.
FEWEST_WRONG = 4
FEWEST_RESCUED = 0.4


@dataclass(frozen=True)
class Calibration:
    """Confidence of captions and of their words.

    A calibration of `FEWEST_IMAGES_FOR_WORDS` images or more judges a caption by
    `CAPTION_FEATURES`, and each word that names something by `WORD_FEATURES`. A smaller one, or
    one of an older preset, maps the caption's mean log-probability x to
    `1 / (1 + exp(-(slope * x + intercept)))`, rising with x, and knows nothing of words.

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


def fit_calibration(
    mean_log_probabilities: Mapping[Hashable, float],
    captions: Mapping[Hashable, str],
    references: Mapping[Hashable, Sequence[str]],
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    segment: Segmenter | None = None,
    evidence: Mapping[Hashable, CaptionEvidence] | None = None,
    vocabulary: Sequence[str] = (),
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
        evidence: dict of the same image ids to `CaptionEvidence`. With it, and with
            `FEWEST_IMAGES_FOR_WORDS` images or more, words are calibrated, too.
        vocabulary: the words that the captioner can say, the most frequent first.

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
    words = None
    if evidence is not None and len(ids) >= FEWEST_IMAGES_FOR_WORDS:
        words = _WordData([evidence[key] for key in ids], [references[key] for key in ids], segment)
    scorer = CiderD({key: [tokenize(text, segment) for text in references[key]] for key in ids})
    scores = np.asarray(scorer.score(ids, [tokenize(captions[key], segment) for key in ids]))
    folds = np.random.default_rng(seed).permutation(len(ids)) % NUM_FOLDS
    unseen, base = np.empty(len(ids)), np.empty(len(ids))
    unseen_words: list[tuple[np.ndarray, np.ndarray]] = []
    for fold in range(NUM_FOLDS):
        rest, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        base[held_out] = y[rest].mean()
        if words is None:
            slope, intercept = fit_logistic(x[rest], y[rest])
            unseen[held_out] = sigmoid(slope * x[held_out] + intercept)
            continue
        model = words.fit(rest.tolist(), y[rest], scores[rest], seed)
        unseen[held_out] = [model(words.evidence[index]) for index in held_out.tolist()]
        unseen_words += [
            (model.words.judge(words.evidence[index])[1], words.outcomes[index].right)
            for index in held_out.tolist()
        ]
    slope, intercept = fit_logistic(x, y)
    of_words: dict[str, Any] = {}
    if words is not None:
        everything = range(len(ids))
        annotations = np.stack([found.mean_annotation for found in words.evidence])
        columns = [np.concatenate(column) for column in zip(*unseen_words, strict=True)]
        of_words = {
            "captions": words.fit(everything, y, scores, seed),
            "word_figures": word_figures(*columns),
            "familiarity": fit_familiarity(annotations),
            "thesaurus": words.thesaurus(vocabulary),
        }
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
        coverage={
            name: part for name, part in risk_coverage(unseen, y, scores).items() if name != "curve"
        },
        **of_words,
    )


class _WordData:
    """What came true of the words of many captions."""

    def __init__(
        self,
        evidence: Sequence[CaptionEvidence],
        references: Sequence[Sequence[str]],
        segment: Segmenter | None,
    ) -> None:
        self.evidence = list(evidence)
        self.truth = WordTruth()
        self.outcomes = [
            word_outcomes(found.words, texts, self.truth, segment)
            for found, texts in zip(evidence, references, strict=True)
        ]

    def fit(
        self, rows: Iterable[int], outcomes: np.ndarray, scores: np.ndarray, seed: int
    ) -> CaptionModel:
        """Fits some of the captions; see `fit_captions`."""
        chosen = list(rows)
        return fit_captions(
            [self.evidence[row] for row in chosen],
            [self.outcomes[row] for row in chosen],
            outcomes,
            scores,
            seed,
        )

    def thesaurus(self, vocabulary: Sequence[str]) -> Thesaurus:
        """Finds words in place of others, and how often they were right where those were wrong."""
        frequent = frozenset(vocabulary[:NUM_BROADER_WORDS])
        wrong: dict[str, list[int]] = {}
        for row, found in enumerate(self.evidence):
            positions = judged_positions(found.words)
            for index, right in zip(positions, self.outcomes[row].right, strict=True):
                wrong.setdefault(found.words[index], []).extend([row] * (not right))

        def rate(broad: str, rows: Sequence[int]) -> float:
            right = sum(self.truth.is_right(broad, self.outcomes[r].references) for r in rows)
            # Drawn towards never: few images tell little.
            return round(right / (len(rows) + 2), 3)

        broader = {}
        for word in sorted(wrong):
            if len(wrong[word]) >= FEWEST_WRONG:
                rates = [
                    (b, rate(b, wrong[word])) for b in self.truth.broader_words(word, frequent)
                ]
                # The nearest of those that are right most often.
                best = max(rates, key=lambda pair: pair[1], default=("", 0.0))
                if best[1] >= FEWEST_RESCUED:
                    broader[word] = [best]
        return Thesaurus(broader, [word for word in sorted(wrong) if self.truth.is_modifier(word)])


def word_outcomes(
    words: Sequence[str],
    references: Sequence[str],
    truth: WordTruth,
    segment: Segmenter | None = None,
) -> WordOutcomes:
    """Judges the words of a caption by the references of its image."""
    each = [frozenset(tokenize(text, segment)) for text in references]
    said = frozenset().union(*each)
    named = frozenset(list(said)[i] for i in judged_positions(list(said)))
    judged = [words[index] for index in judged_positions(words)]
    return WordOutcomes(
        np.array([float(truth.is_right(word, named)) for word in judged]),
        np.array([np.mean([word in one for one in each]) for word in judged]),
        named,
    )


def word_figures(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Tells how far the confidences of words can be trusted; see `Calibration.word_figures`."""
    return {
        "num_words": len(right),
        "base_rate": float(right.mean()),
        "expected_calibration_error": expected_calibration_error(confidence, right),
        "brier_score": float(np.mean((confidence - right) ** 2)),
        "brier_base_rate": float(np.mean((right.mean() - right) ** 2)),
        "reliability": reliability(confidence, right),
    }


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
    # A small ridge keeps any data from running to infinity.
    curve = fit_logistic_ridge(x[:, None], y, 1e-3)
    if curve.weights[0] < 0:
        rate = float(np.clip(y.mean(), 1e-6, 1 - 1e-6))
        return 0.0, float(np.log(rate / (1 - rate)))
    return curve.weights[0], curve.intercept


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

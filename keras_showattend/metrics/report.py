"""All caption metrics in one call, for a corpus and for each image."""

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from keras_showattend.metrics._inputs import MetricUnavailableError, check_captions
from keras_showattend.metrics.bleu import bleu_from_statistics, bleu_statistics
from keras_showattend.metrics.cider import CiderD
from keras_showattend.metrics.labels import BLEU_NAMES, METRIC_NAMES
from keras_showattend.metrics.meteor_java import (
    check_meteor,
    meteor_from_statistics,
    meteor_statistics,
)
from keras_showattend.metrics.meteor_nltk import check_wordnet, meteor_nltk
from keras_showattend.metrics.rouge import rouge_l
from keras_showattend.metrics.tokenizer import Segmenter, tokenize

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoreDetails:
    """Scores of each image, and what is needed to compute corpus scores of any set of them.

    Attributes:
        image_ids: list of the I image ids, in the order of all arrays.
        metrics: tuple of the metric names held.
        per_image: dict of metric name to float64[I]. `bleu_n` is the sentence-level BLEU, 0 without
            a matching n-gram; `meteor` is METEOR 1.5's segment score.
        statistics: dict of metric name to counts [I, K] that add up over images; held for the
            metrics whose corpus score is not the mean of the images' scores: "bleu" int64[I, 10]
            and "meteor" float64[I, 23].
    """

    image_ids: list[Hashable]
    metrics: tuple[str, ...]
    per_image: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray] = field(default_factory=dict)

    def corpus_scores(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Corpus scores, with each image counted as often as its weight says.

        Args:
            weights: float[..., I] or None for each image once. Rows of a bootstrap, for example.

        Returns:
            dict of metric name to float64[...], in the order of `metrics`.
        """
        num_images = len(self.image_ids)
        weights = np.ones(num_images) if weights is None else np.asarray(weights, np.float64)
        total = weights.sum(axis=-1)
        scores: dict[str, np.ndarray] = {}
        for name in self.metrics:
            if name in BLEU_NAMES:
                bleu = bleu_from_statistics(weights @ self.statistics["bleu"])
                scores[name] = bleu[..., BLEU_NAMES.index(name)]
            elif name == "meteor":
                scores[name] = meteor_from_statistics(weights @ self.statistics["meteor"])
            else:
                scores[name] = weights @ self.per_image[name] / total
        return scores


def check_metrics(metrics: Iterable[str] | None) -> tuple[str, ...] | None:
    """Refuses metrics that cannot be computed here, before slow work starts.

    Args:
        metrics: as for `score_captions`.

    Returns:
        Tuple of the names, each once, or None for all that this machine can compute.

    Raises:
        TypeError, ValueError, MetricUnavailableError: see `score_captions`.
    """
    if metrics is None:
        return None
    names = _check_names(metrics)
    for name, check in (("meteor", check_meteor), ("meteor_nltk", check_wordnet)):
        if name in names:
            check()
    return names


def score_captions(
    captions: Mapping[Hashable, str],
    references: Mapping[Hashable, Sequence[str]],
    metrics: Iterable[str] | None = None,
    segment: Segmenter | None = None,
) -> dict[str, float]:
    """Scores one caption per image against its reference captions.

    Captions and references are raw sentences: both are tokenized here by coco-caption's rules.

    Args:
        captions: dict of image id to a caption, str. An empty caption scores 0.
        references: dict of the same image ids to a list of reference captions, list[str].
        metrics: names out of `METRIC_NAMES`. Defaults to None: all that this machine can compute;
            a METEOR whose data or program is missing is left out, and a log line says so.
        segment: function from a caption to its words, list[str], such as `jieba.lcut`, for
            languages written without spaces. Defaults to None. Scores with and without, or with
            two segmenters, must not be compared.

    Returns:
        dict of metric name to float, as a fraction: multiply by 100 for what papers print. CIDEr
        goes up to 10. `cider` is what coco-caption calls CIDEr, which is the CIDEr-D formula, so
        that both keys hold the same number. `meteor` is METEOR 1.5 (Java), `meteor_nltk` is
        NLTK's; their numbers must not be compared. CIDEr of a single image is undefined: the
        score is 0 and a `UserWarning` says so; see `metric_is_defined`.

    Raises:
        TypeError: if an argument, a caption or a list of references has the wrong type.
        ValueError: if there are no images, the image ids differ, an image has no references, or a
            metric name is unknown.
        MetricUnavailableError: if `metrics` names a METEOR that this machine cannot compute.

    Sources: see `bleu`, `rouge`, `cider`, `meteor_nltk` and `meteor_java` in this package.
    """
    details = score_details(captions, references, metrics, segment)
    return {name: float(value) for name, value in details.corpus_scores().items()}


def score_details(
    captions: Mapping[Hashable, str],
    references: Mapping[Hashable, Sequence[str]],
    metrics: Iterable[str] | None = None,
    segment: Segmenter | None = None,
) -> ScoreDetails:
    """Scores each image, and keeps the counts from which corpus scores are made.

    Args and errors are those of `score_captions`.

    Returns:
        `ScoreDetails`, for per-image reports and for `bootstrap`.
    """
    image_ids = check_captions(captions, references)
    names = _check_names(metrics)
    candidate_tokens = [tokenize(captions[image_id], segment) for image_id in image_ids]
    reference_tokens = [
        [tokenize(sentence, segment) for sentence in references[image_id]] for image_id in image_ids
    ]

    per_image: dict[str, np.ndarray] = {}
    statistics: dict[str, np.ndarray] = {}
    if any(name in BLEU_NAMES for name in names):
        statistics["bleu"] = bleu_statistics(candidate_tokens, reference_tokens)
        per_image.update(zip(BLEU_NAMES, bleu_from_statistics(statistics["bleu"]).T, strict=True))
    if "rouge_l" in names:
        per_image["rouge_l"] = rouge_l(candidate_tokens, reference_tokens)
    if "cider" in names or "cider_d" in names:
        scorer = CiderD(dict(zip(image_ids, reference_tokens, strict=True)))
        cider = scorer.score(image_ids, candidate_tokens).astype(np.float64)
        per_image["cider"] = per_image["cider_d"] = cider
    for name in ("meteor_nltk", "meteor"):
        if name not in names:
            continue
        try:
            if name == "meteor_nltk":
                per_image[name] = meteor_nltk(candidate_tokens, reference_tokens)
            else:
                check_meteor()
                statistics[name] = meteor_statistics(candidate_tokens, reference_tokens)
                per_image[name] = meteor_from_statistics(statistics[name])
        except MetricUnavailableError as error:
            if metrics is not None:
                raise
            _tell_once(f"Scores come without {name!r}. {error}")
    names = tuple(name for name in names if name in per_image)
    return ScoreDetails(image_ids, names, {name: per_image[name] for name in names}, statistics)


@cache
def _tell_once(message: str) -> None:
    logger.warning(message)


def _check_names(metrics: Iterable[str] | None) -> tuple[str, ...]:
    if metrics is None:
        return METRIC_NAMES
    if isinstance(metrics, str):
        raise TypeError(
            "`metrics` must be a list of metric names. Wrap a single one: ['cider']. Received: str "
            f"{metrics!r}"
        )
    names = tuple(dict.fromkeys(metrics))
    unknown = [name for name in names if name not in METRIC_NAMES]
    if unknown or not names:
        raise ValueError(
            f"`metrics` must name at least one of {', '.join(METRIC_NAMES)}. Drop or correct the "
            f"others, or pass None for all. Received: {list(names)!r}"
        )
    return names

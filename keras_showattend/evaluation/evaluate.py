"""Scores of a captioner on a dataset, with their protocol and their caveats."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from keras_showattend._text import printable
from keras_showattend.data import CaptionDataset, image_check
from keras_showattend.evaluation.baseline import constant_baseline
from keras_showattend.evaluation.checks import (
    reference_counts,
    shared_images,
    unreadable_images,
    warnings_in_words,
)
from keras_showattend.evaluation.confidence import (
    confidence_figures,
    confidence_lines,
    warnings_of_confidence,
)
from keras_showattend.evaluation.protocol import (
    TOKENIZER,
    decoder_settings,
    model_digest,
    versions,
)
from keras_showattend.metrics import (
    METRIC_NAMES,
    bootstrap,
    diversity_report,
    metric_label,
    printed_score,
    score_details,
)
from keras_showattend.metrics.report import check_metrics
from keras_showattend.metrics.tokenizer import Segmenter
from keras_showattend.presets.provenance import weights_digest
from keras_showattend.search import caption_dataset

FORMAT = 1
CONFIDENCE_LEVEL = 0.95
SCALE = "fractions: times 100 is what papers print"


def evaluate_captions(
    captioner: Any,
    dataset: CaptionDataset | Mapping[str, Any],
    *,
    split: str | None = None,
    train_captions: Iterable[str] | None = None,
    metrics: Sequence[str] | None = None,
    feature_cache: str | None = "auto",
    batch_size: int = 50,
    num_samples: int = 1000,
    seed: int = 0,
    check_images: bool = True,
    preset: str | None = None,
    segment: Segmenter | None = None,
    **search_options: Any,
) -> dict[str, Any]:
    """Captions the images of a dataset, scores the captions, and looks for self-deception.

    All images are read before the first is captioned. Those that cannot be read are left out,
    named in a `UserWarning`, in `protocol["unreadable_images"]` and in `warnings`.

    Args:
        captioner: an `ImageCaptioner` with its preprocessor.
        dataset: a `CaptionDataset`, or a dict of `images` and `captions`.
        split: str. Split to be evaluated; None takes the whole dataset.
        train_captions: captions of the training images: for the share of copies and for the
            constant-caption baseline. If None, those of the dataset's split "train", if it has
            one and that is not what is evaluated.
        metrics: names for `keras_showattend.metrics.score_captions`; None takes all that this
            machine can compute.
        feature_cache: folder of the feature cache, `"auto"`, or None to encode the images anew.
        batch_size: int. Images captioned together. Defaults to 50.
        num_samples: int. Resamples of the bootstrap over images. Defaults to 1000.
        seed: int, of the bootstrap and of the choice of the baseline.
        check_images: bool. Whether the files of the other splits are read, to find images that
            are in two. Defaults to True.
        preset: str or None. Name under which the captioner is known, for the record.
        segment: function from a caption to its words, list[str], for languages written without
            spaces; see `keras_showattend.metrics.score_captions`. Defaults to None.
        **search_options: `max_length`, `num_beams`, `length_penalty`, `no_repeat_ngram_size`
            and `cautious` of `ImageCaptioner.generate`.

    Returns:
        Dict for `json.dump`:
        `scores`: metric name -> float, a fraction: times 100 is what papers print;
        `intervals`: metric name -> `low`, `high`, a 95 % bootstrap interval over images;
        `protocol`: split, numbers of images and references, tokenizer, decoder settings,
        versions, seed, preset and its digests;
        `checks`: diversity, lengths, copies, cut captions, shared images, constant caption;
        `confidence`: None without a calibration; else how it did, see `confidence_figures`;
        `warnings`: list of str, what to know before quoting a score;
        `images`: for each image `id`, `caption`, `log_probability` (nats), `score` (what the
        search ranked by), `confidence`, `unfamiliar` and `words` (pairs of word and confidence) or
        None, `references`, and `scores` of its own.

    Raises:
        DatasetError: for a split that is not there.
        ImageError: if no image can be read; images that cannot be read are left out otherwise.
        MetricUnavailableError: if `metrics` names one that this machine cannot compute.
        ValueError: for an unknown metric, or a number of beams or words below 1.
    """
    metrics = check_metrics(metrics)
    if not isinstance(dataset, CaptionDataset):
        dataset = CaptionDataset.from_dict(dataset)
    named = dataset if split is None else dataset.split(split)
    evaluated = image_check.check_images(named, load=captioner.preprocessor.image_converter.load)
    references: dict[Hashable, Sequence[str]] = {item.id: list(item.captions) for item in evaluated}
    if train_captions is None and split not in (None, "train") and "train" in dataset.split_names:
        train_captions = chain(*dataset.split("train").captions)
    train_captions = None if train_captions is None else list(train_captions)

    settings = decoder_settings(captioner, captioner.search_options(**search_options))
    beams = caption_dataset(
        captioner,
        evaluated,
        feature_cache=feature_cache,
        batch_size=batch_size,
        return_all_beams=True,
        **search_options,
    )
    captions = {key: found[0].text for key, found in beams.items()}
    details = score_details(captions, references, metrics, segment)
    intervals = bootstrap(details, num_samples, seed, CONFIDENCE_LEVEL)
    diversity = diversity_report(captions, references, train_captions, segment=segment)
    sentences = list(captions.values()) if train_captions is None else train_captions
    evaluation: dict[str, Any] = {
        "format": FORMAT,
        "scores": {name: interval.score for name, interval in intervals.items()},
        "intervals": {
            name: {"low": interval.low, "high": interval.high}
            for name, interval in intervals.items()
        },
        "protocol": {
            "preset": preset,
            "preset_digest": model_digest(captioner),
            "weights_digest": weights_digest(captioner),
            "split": split,
            "num_images": len(evaluated),
            "num_references": reference_counts(references),
            "unreadable_images": sorted(set(named.ids) - set(evaluated.ids)),
            "scale": SCALE,
            "tokenizer": TOKENIZER,
            "segmenter": None if segment is None else _name_of(segment),
            "decoder": settings,
            "dtype": captioner.backbone.dtype_policy.name,
            "seed": seed,
            "bootstrap": {"num_samples": num_samples, "confidence": CONFIDENCE_LEVEL},
            "metrics_left_out": [
                name for name in metrics or METRIC_NAMES if name not in details.metrics
            ],
            "versions": versions(),
        },
        "checks": {
            "diversity": {
                **asdict(diversity),
                # Lists, as JSON has no tuples: what is read back equals what was written.
                "most_common": [list(pair) for pair in diversity.most_common],
            },
            "cut_captions": sum(not found[0].complete for found in beams.values()) / len(beams),
            "shared_images": shared_images(dataset, evaluated)
            if check_images and split is not None
            else None,
            "constant_caption": {
                "from": "the model's captions" if train_captions is None else "training captions",
                **constant_baseline(
                    references, sentences, _with_cider(details.metrics), seed, segment
                ),
            },
        },
    }
    best = {key: found[0] for key, found in beams.items()}
    evaluation["confidence"] = confidence_figures(best, references, segment)
    evaluation["warnings"] = [
        *unreadable_images(named, evaluated),
        *warnings_in_words(evaluation),
        *warnings_of_confidence(evaluation, getattr(captioner, "calibration", None)),
    ]
    evaluation["images"] = [
        {
            "id": key,
            "caption": best[key].text,
            "log_probability": best[key].log_probability,
            "score": best[key].score,
            "confidence": best[key].confidence,
            "unfamiliar": best[key].unfamiliar,
            "words": [
                list(pair)
                for pair in zip(best[key].words, best[key].word_confidences, strict=False)
            ],
            "references": references[key],
            "scores": {name: float(details.per_image[name][row]) for name in details.metrics},
        }
        for row, key in enumerate(details.image_ids)
    ]
    return evaluation


def _name_of(segment: Segmenter) -> str:
    return f"{getattr(segment, '__module__', '')}:{getattr(segment, '__qualname__', segment)}"


def _with_cider(metrics: Sequence[str]) -> list[str]:
    # METEOR takes most of the time, and says of a constant sentence what the others say.
    return [*(name for name in metrics if not name.startswith(("meteor", "cider"))), "cider"]


def format_evaluation(evaluation: Mapping[str, Any]) -> str:
    """Returns a table of the scores and the warnings, as text for a terminal.

    Scores are multiplied by 100, as papers print them.
    """
    protocol = evaluation["protocol"]
    constant = evaluation["checks"]["constant_caption"]["scores"]
    decoder = protocol["decoder"]
    lines = [
        f"{protocol['preset'] or 'captioner'} on {protocol['split'] or 'all images'}: "
        f"{protocol['num_images']} images, {decoder['search']} search"
        + (f" with {decoder['num_beams']} beams" if decoder["num_beams"] else ""),
        f"{'metric':<14} {'score':>6}   {'95 % interval':<15}  constant caption",
    ]
    for name, score in evaluation["scores"].items():
        ends = evaluation["intervals"][name]
        same = printed_score(constant[name]) if name in constant else "-"
        interval = f"{printed_score(ends['low'])} to {printed_score(ends['high'])}"
        lines.append(f"{metric_label(name):<14} {printed_score(score):>6}   {interval:<15}  {same}")
    diversity = evaluation["checks"]["diversity"]
    copied = diversity["copied_captions"]
    lines.append(
        f"{diversity['distinct_captions']:.1%} of the captions differ; "
        f"{diversity['vocabulary_size']} words used; "
        f"{diversity['mean_length']:.1f} words a caption "
        f"(references {diversity['mean_reference_length']:.1f})"
        + ("" if copied is None else f"; {copied:.1%} copied from training")
    )
    lines += confidence_lines(evaluation["confidence"])
    lines += [f"Warning: {text}" for text in evaluation["warnings"]]
    return "\n".join(printable(line) for line in lines)

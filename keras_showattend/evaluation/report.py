"""The HTML report of an evaluation: one file that needs no other."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from keras_showattend._files import write_text
from keras_showattend._templates import render
from keras_showattend._typing import PathLike
from keras_showattend.data import CaptionDataset
from keras_showattend.evaluation.charts import curves, histogram
from keras_showattend.evaluation.confidence import confidence_lines
from keras_showattend.evaluation.examples import example_parts
from keras_showattend.explain.html import css_colours
from keras_showattend.explain.overlay import GREYNESS
from keras_showattend.metrics import metric_label, printed_score, tokenize
from keras_showattend.metrics.labels import PRINTED_SCALE

CHECK_NAMES = {
    "distinct_captions": "Captions that differ from one another",
    "distinct_1": "Distinct-1: different words over words",
    "distinct_2": "Distinct-2: different word pairs over word pairs",
    "vocabulary_size": "Different words used",
    "reference_vocabulary_size": "Different words in the references",
    "mean_length": "Words a caption",
    "mean_reference_length": "Words a reference",
    "copied_captions": "Captions copied from training, word for word",
    "empty_captions": "Captions without a word",
    "unfinished_captions": "Captions that end in a word that wants another behind it",
    "stuttering_captions": "Captions that say a word or a pair twice in a row",
}
SHARES = (
    "distinct_captions",
    "copied_captions",
    "empty_captions",
    "unfinished_captions",
    "stuttering_captions",
)


def write_report(
    evaluation: Mapping[str, Any],
    path: PathLike,
    *,
    dataset: CaptionDataset | None = None,
    captioner: Any = None,
    num_examples: int = 12,
    metric: str = "cider",
) -> pathlib.Path:
    """Writes an evaluation as a page to look at.

    Args:
        evaluation: dict from `evaluate_captions`, also read back from JSON.
        path: path of the HTML file; its folder must exist.
        dataset: the `CaptionDataset` that was evaluated (or all its splits), for the images of
            the best and worst captions. None leaves the images out.
        captioner: the `ImageCaptioner` that was evaluated, for their attention. None leaves the
            attention out.
        num_examples: int. Best and worst images shown, of each. Defaults to 12.
        metric: str. Score by which they are the best. If it was not computed, the first that was.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ImageError: if an image that is to be shown cannot be read.
    """
    protocol, rows = evaluation["protocol"], evaluation["images"]
    metric = metric if metric in evaluation["scores"] else next(iter(evaluation["scores"]))
    label = metric_label(metric)
    decoder = protocol["decoder"]
    beams = f" with {decoder['num_beams']} beams" if (decoder["num_beams"] or 1) > 1 else ""
    diversity = evaluation["checks"]["diversity"]
    names = list(evaluation["scores"])
    page = render(
        "keras_showattend",
        "evaluation/report.html.j2",
        title=f"{protocol['preset'] or 'Captioner'} on {protocol['split'] or 'all images'}",
        subtitle=(
            f"{protocol['num_images']} images, {decoder['search']} search{beams}, model "
            f"{protocol['preset_digest'][:12]}, keras-showattend "
            f"{protocol['versions']['keras-showattend']}"
        ),
        warnings=evaluation["warnings"],
        scores=_scores(evaluation),
        constant=evaluation["checks"]["constant_caption"],
        charts=_charts(rows, metric),
        confidence=_confidence(evaluation.get("confidence")),
        checks=_checks(evaluation["checks"]),
        most_common=diversity["most_common"],
        metric=label,
        examples={
            name: [
                example_parts(
                    row,
                    f"{name}-{place}",
                    f"{label} {printed_score(row['scores'][metric])}",
                    dataset,
                    captioner,
                )
                for place, row in enumerate(part)
            ]
            for name, part in _best_and_worst(rows, metric, num_examples).items()
        },
        labels=[metric_label(name) for name in names],
        rows=[
            {
                "id": row["id"],
                "caption": row["caption"],
                "reference": row["references"][0],
                "scores": [printed_score(row["scores"][name]) for name in names],
            }
            for row in rows
        ],
        protocol=json.dumps(protocol, indent=2),
        greyness=GREYNESS,
        colours=css_colours(),
    )
    write_text(path, page)
    return pathlib.Path(path)


def _best_and_worst(
    rows: Sequence[Mapping[str, Any]], metric: str, count: int
) -> dict[str, Sequence[Mapping[str, Any]]]:
    # Where scores tie, as at 0, the surer mistake is the more telling one.
    ranked = sorted(rows, key=lambda row: (-row["scores"][metric], row["log_probability"]))
    num_best = min(count, (len(ranked) + 1) // 2)
    num_worst = min(count, len(ranked) - num_best)
    return {"best": ranked[:num_best], "worst": ranked[len(ranked) - num_worst :][::-1]}


def _scores(evaluation: Mapping[str, Any]) -> list[dict[str, str]]:
    constant = evaluation["checks"]["constant_caption"]["scores"]
    rows = []
    for name, score in evaluation["scores"].items():
        ends = evaluation["intervals"][name]
        rows.append(
            {
                "label": metric_label(name),
                "score": printed_score(score),
                "low": printed_score(ends["low"]),
                "high": printed_score(ends["high"]),
                "constant": printed_score(constant[name]) if name in constant else "",
            }
        )
    return rows


def _charts(rows: Sequence[Mapping[str, Any]], metric: str) -> list[dict[str, Any]]:
    lengths = [len(tokenize(row["caption"])) for row in rows]
    references = [len(tokenize(text)) for row in rows for text in row["references"]]
    per_word = [row["log_probability"] / (len(row["caption"].split()) + 1) for row in rows]
    label = metric_label(metric)
    scores = {label: [PRINTED_SCALE * row["scores"][metric] for row in rows]}
    words = {"captions": lengths, "references": references}
    return [
        {"svg": Markup(svg), "key": has_key}
        for svg, has_key in (
            (histogram(scores, f"{label} of an image"), False),
            (histogram(words, "number of words", integers=True), True),
            (histogram({"captions": per_word}, "log-probability a word, nats"), False),
        )
    ]


def _confidence(figures: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the page shows of `confidence_figures`."""
    if figures is None:
        return None
    risk, by_group, words = figures["curve"], figures["reliability"], figures["words"]
    risk_chart = curves(
        risk["coverage"],
        {"by confidence": risk["confidence"], "oracle": risk["oracle"]},
        "share of images captioned, the surest first",
        "share of people who do better",
    )
    charts: list[tuple[str, tuple[str, ...]]] = [
        (risk_chart, ("by confidence", "an order that knows the outcomes"))
    ]
    for name, groups in (("captions", by_group), ("words", words and words["reliability"])):
        if groups:
            came_true = {
                "came true": [group["outcome"] for group in groups],
                "as promised": [group["confidence"] for group in groups],
            }
            promised = [group["confidence"] for group in groups]
            label = f"confidence of {name}, in ten groups"
            charts.append((curves(promised, came_true, label, "came true"), tuple(came_true)))
    return {
        "lines": confidence_lines(figures),
        "area": {name: f"{area:.3f}" for name, area in figures["area"].items()},
        "surest": [
            (
                f"{row['coverage']:.0%}",
                row["num_images"],
                printed_score(row["cider"]),
                f"{row['cider_ratio']:.2f}",
                f"{row['outcome']:.0%}",
            )
            for row in figures["surest"]
        ],
        "charts": [{"svg": Markup(svg), "names": names} for svg, names in charts],
    }


def _checks(checks: Mapping[str, Any]) -> list[tuple[str, str]]:
    diversity = checks["diversity"]
    rows = []
    for key, name in CHECK_NAMES.items():
        value = diversity[key]
        if value is not None:
            rows.append((name, f"{value:.1%}" if key in SHARES else f"{value:.4g}"))
    rows.append(("Captions cut at the greatest length", f"{checks['cut_captions']:.1%}"))
    shared = checks["shared_images"]
    if shared is not None:
        compared = sum(shared["other_splits"].values())
        rows.append(
            (f"Images also among the {compared} of other splits", str(len(shared["shared"])))
        )
    return rows

"""The HTML report of an evaluation: one file that needs no other."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from keras_showattend.data import CaptionDataset
from keras_showattend.evaluation.charts import histogram
from keras_showattend.evaluation.examples import example_card
from keras_showattend.metrics import metric_label, tokenize

TEMPLATE = pathlib.Path(__file__).with_name("report.html")
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
    path: str | os.PathLike[str],
    *,
    dataset: CaptionDataset | None = None,
    captioner: Any = None,
    num_examples: int = 12,
    metric: str = "cider",
) -> pathlib.Path:
    """Writes an evaluation as a page to look at.

    Args:
        evaluation: dict from `evaluate_captions`, also read back from JSON.
        path: where the HTML file goes; its folder must exist.
        dataset: the `CaptionDataset` that was evaluated (or all its splits), for the pictures of
            the best and worst images. None leaves the pictures out.
        captioner: the `ImageCaptioner` that was evaluated, for their attention. None leaves the
            attention out.
        num_examples: int. Best and worst images shown, of each. Defaults to 12.
        metric: str. Score by which they are the best. If it was not computed, the first that was.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ImageError: if a picture that is to be shown cannot be read.
    """
    protocol, rows = evaluation["protocol"], evaluation["images"]
    metric = metric if metric in evaluation["scores"] else next(iter(evaluation["scores"]))
    # Where scores tie, as at 0, the surer mistake is the more telling one.
    ranked = sorted(rows, key=lambda row: (-row["scores"][metric], row["log_probability"]))
    num_best = min(num_examples, (len(ranked) + 1) // 2)
    num_worst = min(num_examples, len(ranked) - num_best)
    chosen = {"best": ranked[:num_best], "worst": ranked[len(ranked) - num_worst :][::-1]}
    rules: list[str] = []
    label = metric_label(metric)
    cards = {
        name: "".join(
            example_card(
                row,
                f"{name}-{place}",
                f"{label} {row['scores'][metric]:.3f}",
                dataset,
                captioner,
                rules,
            )
            for place, row in enumerate(part)
        )
        for name, part in chosen.items()
    }
    preset = protocol["preset"] or "Captioner"
    constant = evaluation["checks"]["constant_caption"]
    decoder = protocol["decoder"]
    beams = f" with {decoder['num_beams']} beams" if (decoder["num_beams"] or 1) > 1 else ""
    names = list(evaluation["scores"])
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"{preset} on {protocol['split'] or 'all images'}"),
        subtitle=escape(
            f"{protocol['num_images']} images, {decoder['search']} search{beams}, model "
            f"{protocol['preset_digest'][:12]}, keras-showattend "
            f"{protocol['versions']['keras-showattend']}"
        ),
        warnings=_warnings(evaluation["warnings"]),
        scores=_scores(evaluation),
        constant=escape(
            f"The constant caption, the luckiest of {constant['from']} said of every image, is: "
            f'"{constant["caption"]}".'
        ),
        charts=_charts(rows, metric),
        checks=_checks(evaluation["checks"]),
        metric=label,
        best=cards["best"],
        worst=cards["worst"],
        count=len(rows),
        columns=_header("Image", "Caption", "First reference")
        + _header(*(metric_label(name) for name in names), number=True),
        rows="".join(_row(row, names) for row in rows),
        protocol=escape(json.dumps(protocol, indent=2)),
        picture_rules="\n".join(rules),
    )
    path = pathlib.Path(path)
    path.write_text(page, encoding="utf-8")
    return path


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return '<p class="soft">The checks found nothing to warn of.</p>'
    items = "".join(f"<li>{escape(text)}</li>" for text in warnings)
    return f'<div class="warnings"><b>Before quoting a score</b><ul>{items}</ul></div>'


def _header(*names: str, number: bool = False) -> str:
    attribute = ' class="n"' if number else ""
    return "".join(f'<th scope="col"{attribute}>{escape(name)}</th>' for name in names)


def _number(value: float | None) -> str:
    return f'<td class="n">{"" if value is None else f"{value:.4f}"}</td>'


def _scores(evaluation: Mapping[str, Any]) -> str:
    constant = evaluation["checks"]["constant_caption"]["scores"]
    rows = []
    for name, score in evaluation["scores"].items():
        ends = evaluation["intervals"][name]
        rows.append(
            f'<tr><th scope="row">{metric_label(name)}</th>{_number(score)}'
            f'<td class="n">{ends["low"]:.4f} to {ends["high"]:.4f}</td>'
            f"{_number(constant.get(name))}</tr>"
        )
    head = _header("Metric") + _header("Score", "95 % interval", "Constant caption", number=True)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _charts(rows: Sequence[Mapping[str, Any]], metric: str) -> str:
    lengths = [len(tokenize(row["caption"])) for row in rows]
    references = [len(tokenize(text)) for row in rows for text in row["references"]]
    per_word = [row["log_probability"] / (len(row["caption"].split()) + 1) for row in rows]
    label = metric_label(metric)
    charts = [
        ("", histogram({label: [r["scores"][metric] for r in rows]}, f"{label} of an image")),
        (
            '<span class="key k0"></span>captions<span class="key k1"></span>references',
            histogram(
                {"captions": lengths, "references": references}, "number of words", integers=True
            ),
        ),
        ("", histogram({"captions": per_word}, "log-probability a word, nats")),
    ]
    return "".join(f'<div class="card">{svg}<p class="soft">{key}</p></div>' for key, svg in charts)


def _checks(checks: Mapping[str, Any]) -> str:
    diversity = checks["diversity"]
    rows = []
    for key, name in CHECK_NAMES.items():
        value = diversity[key]
        if value is not None:
            text = f"{value:.1%}" if key in SHARES else f"{value:.4g}"
            rows.append((name, text))
    rows.append(("Captions cut at the greatest length", f"{checks['cut_captions']:.1%}"))
    shared = checks["shared_images"]
    if shared is not None:
        compared = sum(shared["other_splits"].values())
        rows.append(
            (f"Images also among the {compared} of other splits", str(len(shared["shared"])))
        )
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="n">{value}</td></tr>'
        for name, value in rows
    )
    frequent = "".join(
        f'<tr><td>{escape(text) or "(no words)"}</td><td class="n">{count}</td></tr>'
        for text, count in diversity["most_common"]
    )
    head = _header("Most frequent captions") + _header("Images", number=True)
    return (
        f'<div class="row"><div><table><tbody>{body}</tbody></table></div><div><table><thead><tr>'
        f"{head}</tr></thead><tbody>{frequent}</tbody></table></div></div>"
    )


def _row(row: Mapping[str, Any], names: Sequence[str]) -> str:
    scores = "".join(f'<td class="n">{row["scores"][name]:.3f}</td>' for name in names)
    return (
        f'<tr><td class="id">{escape(str(row["id"]))}</td><td>{escape(row["caption"])}</td>'
        f'<td class="soft">{escape(row["references"][0])}</td>{scores}</tr>'
    )

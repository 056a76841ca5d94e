"""The model card: what a preset is, how to use it, how well it does, and where it fails."""

import json
import os
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from keras_showattend.hub.card_text import GENERATED, body
from keras_showattend.presets import files

# `keras-hub` would have the Hub print KerasHub's text example, which knows neither the
# import that registers our classes nor pictures. A name that the Hub does not know shows
# none, so that the snippet on the card is the only one. The tag keeps the card findable.
LIBRARY = "keras-showattend"
PIPELINE = "image-to-text"
TAGS = ("keras", "keras-hub", "image-captioning", "alt-text", "show-attend-and-tell")
WIDGET = (
    ("Football match", "football-match.jpg"),
    ("Savanna", "savanna.jpg"),
    ("Airport", "airport.jpg"),
)
_WIDGET_URL = "https://huggingface.co/datasets/mishig/sample_images/resolve/main/"
METRIC_NAMES = {
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr-D",
    "cider_d": "CIDEr-D",
    "meteor": "METEOR 1.5",
    "meteor_nltk": "METEOR (NLTK)",
}
# The Hub's own names of metrics.
_METRIC_TYPES = {"bleu": "bleu", "rouge": "rouge", "cider": "cider", "meteor": "meteor"}


def model_card(
    preset_folder: str | os.PathLike,
    repo_id: str,
    evaluation: Mapping[str, Any] | str | os.PathLike | None = None,
    *,
    license: str | None = None,
    datasets: Sequence[str] | None = None,
    language: str | None = None,
    training_command: str | None = None,
    limits: str | None = None,
    existing: str | None = None,
) -> str:
    """Writes the text of a preset's `README.md`.

    What is not given is taken from `evaluation.json` and `metadata.json` in the folder
    (`license`, `datasets`, `language`, `training_command`, `description`, `origin`). A
    README.md that somebody wrote keeps its text, and only its metadata is refreshed.

    Args:
        preset_folder: path of the preset.
        repo_id: `"user/name"` on the Hub.
        evaluation: measured results, as a dict or the path of a JSON file: `scores` (from
            metric to number, as `keras_showattend.metrics.score_captions` gives), `dataset`
            (`name`, and optionally `id` and `split`). A plain dict from metric to number
            will do too. None: no results are claimed.
        license: licence identifier of the Hub. Defaults to `"apache-2.0"`.
        datasets: ids of datasets on the Hub, or names.
        language: code of the captions' language. Defaults to `"en"`.
        training_command: command that made the preset. Absolute paths in it are shortened
            to their last part.
        limits: paragraph on what this preset does badly, added to the general one.
        existing: text of a card to be kept. Defaults to the folder's README.md.

    Returns:
        str: YAML front matter and Markdown.

    Raises:
        ValueError: if the evaluation is not such a dict or file.
    """
    folder = pathlib.Path(preset_folder)
    results = read_evaluation(folder, evaluation)
    # coco-caption's CIDEr is CIDEr-D: two names of one number.
    same = ("cider",) if "cider_d" in results["scores"] else ()
    scores = {name: value for name, value in results["scores"].items() if name not in same}
    metadata = _read_optional_json(folder / files.METADATA_FILE)
    data = ModelCardData(
        license=license or metadata.get("license") or "apache-2.0",
        datasets=list(datasets or metadata.get("datasets") or []) or None,
        language=language or metadata.get("language") or "en",
        library_name=LIBRARY,
        pipeline_tag=PIPELINE,
        tags=list(TAGS),
        metrics=sorted({_metric_type(name) for name in scores}) or None,
        model_name=repo_id.split("/")[-1] if scores else None,
        eval_results=_eval_results(scores, results["dataset"]) or None,
        widget=[{"src": _WIDGET_URL + file, "example_title": title} for title, file in WIDGET],
    )
    if existing is None and (folder / files.CARD_FILE).is_file():
        existing = (folder / files.CARD_FILE).read_text(encoding="utf-8")
    if existing is not None and GENERATED not in existing:
        text = ModelCard(existing, ignore_metadata_errors=True).text
    else:
        text = body(
            repo_id,
            config=_read_optional_json(folder / "config.json"),
            metadata=metadata,
            scores=[(METRIC_NAMES.get(name, name), value) for name, value in scores.items()],
            dataset=results["dataset"],
            training_command=_shorten(training_command or metadata.get("training_command")),
            limits=limits,
        )
    return f"---\n{data.to_yaml()}\n---\n{text.lstrip()}"


def read_evaluation(
    folder: pathlib.Path, evaluation: Mapping[str, Any] | str | os.PathLike | None
) -> dict[str, Any]:
    """Brings measured results into one form: `scores`, `dataset` and what else was said.

    Args:
        folder: of the preset; its `evaluation.json` is read if `evaluation` is None.
        evaluation: see `model_card`.

    Returns:
        dict with `scores`, a dict from metric to float, and `dataset`, a dict with `name`,
        `id` and `split`.

    Raises:
        ValueError: if there are results that cannot be read.
    """
    value: Any = evaluation
    if value is None:
        value = _read_optional_json(folder / files.EVALUATION_FILE)
    elif isinstance(value, str | os.PathLike):
        try:
            value = json.loads(pathlib.Path(value).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _bad_evaluation(f"'{value}': {error}") from error
    if not isinstance(value, Mapping):
        raise _bad_evaluation(repr(value)[:200])
    scores = value.get("scores", value if evaluation is not None else {})
    if not isinstance(scores, Mapping):
        raise _bad_evaluation(f"scores={scores!r}"[:200])
    numbers = {
        str(name): float(score)
        for name, score in scores.items()
        if isinstance(score, int | float) and not isinstance(score, bool)
    }
    if evaluation is not None and not numbers:
        raise _bad_evaluation(f"no number in {list(scores)}")
    dataset = value.get("dataset") or {}
    if not isinstance(dataset, Mapping):
        dataset = {"name": str(dataset)}
    defaults = {"name": "captions of the author", "id": None, "split": "test"}
    return {**value, "scores": numbers, "dataset": {**defaults, **dataset}}


def _bad_evaluation(received: str) -> ValueError:
    return ValueError(
        "`evaluation` must be a dict, or the path of a JSON file, with `scores` from metric to "
        "number; `keras-showattend evaluate --json` writes one. "
        f"Received: {received}"
    )


def _metric_type(name: str) -> str:
    return next((kind for key, kind in _METRIC_TYPES.items() if name.startswith(key)), name)


def _eval_results(scores: Mapping[str, float], dataset: Mapping[str, Any]) -> list[EvalResult]:
    return [
        EvalResult(
            task_type=PIPELINE,
            task_name="Image captioning",
            dataset_type=dataset["id"] or str(dataset["name"]).lower().replace(" ", "-"),
            dataset_name=str(dataset["name"]),
            dataset_split=str(dataset["split"]),
            metric_type=_metric_type(name),
            metric_name=METRIC_NAMES.get(name, name),
            metric_value=round(value, 4),
        )
        for name, value in scores.items()
    ]


def _read_optional_json(path: pathlib.Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    value = json.loads(path.read_text(encoding="utf-8"))
    return value if isinstance(value, dict) else {}


def _shorten(command: str | None) -> str | None:
    """A command without the folders of the machine that it ran on."""
    if not command:
        return None
    words = []
    for word in shlex.split(command):
        option, equals, value = word.partition("=")
        path = value if equals else word
        if path.startswith(("/", "~", "\\")) or path[1:3] in (":\\", ":/"):
            path = path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or "."
        words.append(shlex.quote(f"{option}={path}" if equals else path))
    return " ".join(words)

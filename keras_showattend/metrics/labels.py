"""What each metric is called, and on which scale its scores are stored and printed.

Scores are stored, returned and written to JSON files as fractions: 1 is a perfect BLEU. What
people read (terminal, reports, cards, tables) is multiplied by 100, as papers print it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PRINTED_SCALE = 100


@dataclass(frozen=True)
class Metric:
    """A metric that `score_captions` computes.

    Attributes:
        label: its name as printed.
        hub_type: the Hub's own identifier of the metric.
        highest: the highest score, as stored: 1.0, or 10.0 for CIDEr.
        min_images: number of images from which on the metric is defined.
    """

    label: str
    hub_type: str
    highest: float = 1.0
    min_images: int = 1


METRICS: Mapping[str, Metric] = {
    "bleu_1": Metric("BLEU-1", "bleu"),
    "bleu_2": Metric("BLEU-2", "bleu"),
    "bleu_3": Metric("BLEU-3", "bleu"),
    "bleu_4": Metric("BLEU-4", "bleu"),
    "rouge_l": Metric("ROUGE-L", "rouge"),
    # coco-caption prints CIDEr-D as "CIDEr": two names of one number.
    "cider": Metric("CIDEr", "cider", highest=10.0, min_images=2),
    "cider_d": Metric("CIDEr-D", "cider", highest=10.0, min_images=2),
    "meteor_nltk": Metric("METEOR (NLTK)", "meteor"),
    "meteor": Metric("METEOR 1.5", "meteor"),
}
METRIC_NAMES = tuple(METRICS)
BLEU_NAMES = METRIC_NAMES[:4]


def metric_label(name: str) -> str:
    """Returns a metric's name as printed; a name that is not in `METRICS` stays as it is."""
    return METRICS[name].label if name in METRICS else name


def hub_metric_type(name: str) -> str:
    """Returns the Hub's identifier of a metric; a name not in `METRICS` stays as it is."""
    return METRICS[name].hub_type if name in METRICS else name


def printed_score(score: float, digits: int = 1, signed: bool = False) -> str:
    """Formats a score for readers.

    Args:
        score: float, as stored: a fraction.
        digits: int, digits after the point.
        signed: bool, whether to print a plus sign, as for a difference.

    Returns:
        str, on the scale of papers: `printed_score(0.2336)` gives `"23.4"`.
    """
    return f"{PRINTED_SCALE * score:{'+' if signed else ''}.{digits}f}"


def metric_is_defined(name: str, num_images: int) -> bool:
    """Tells whether a metric is defined for a number of images.

    CIDEr weighs each n-gram by how many of the images use it; with one image every weight is
    log(1 / 1) = 0, and so is the score, whatever the caption.

    Args:
        name: a name in `METRICS`.
        num_images: int, images that are scored together.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in METRICS:
        raise ValueError(f"A metric must be one of {', '.join(METRICS)}. Received: name={name!r}")
    return num_images >= METRICS[name].min_images

"""The table of metrics: names, scales, and where a metric is defined."""

import pytest

from keras_showattend.metrics import (
    METRIC_NAMES,
    METRICS,
    hub_metric_type,
    metric_is_defined,
    metric_label,
    printed_score,
)


def test_names_as_printed_and_on_the_hub():
    assert [(name, metric_label(name), hub_metric_type(name)) for name in METRIC_NAMES] == [
        ("bleu_1", "BLEU-1", "bleu"),
        ("bleu_2", "BLEU-2", "bleu"),
        ("bleu_3", "BLEU-3", "bleu"),
        ("bleu_4", "BLEU-4", "bleu"),
        ("rouge_l", "ROUGE-L", "rouge"),
        ("cider", "CIDEr", "cider"),
        ("cider_d", "CIDEr-D", "cider"),
        ("meteor_nltk", "METEOR (NLTK)", "meteor"),
        ("meteor", "METEOR 1.5", "meteor"),
    ]
    assert metric_label("spice") == hub_metric_type("spice") == "spice"
    assert {name for name in METRICS if METRICS[name].highest != 1} == {"cider", "cider_d"}


def test_scores_are_printed_as_papers_do():
    assert printed_score(0.2336) == "23.4"
    assert printed_score(1.105, 2) == "110.50"
    assert printed_score(0.0123, signed=True) == "+1.2"
    assert printed_score(-0.0123, signed=True) == "-1.2"


def test_cider_needs_two_images():
    undefined = {name for name in METRICS if not metric_is_defined(name, 1)}
    assert undefined == {"cider", "cider_d"}
    assert all(metric_is_defined(name, 2) for name in METRICS)
    with pytest.raises(ValueError, match="Received: name='spice'"):
        metric_is_defined("spice", 2)

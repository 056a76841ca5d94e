"""Caption metrics: NumPy and NLTK only, no deep-learning import.

`score_captions` is the one call most need; `score_details` and `bootstrap` add figures per image
and confidence intervals; `CiderD` scores samples during self-critical training;
`diversity_report` tells whether a model says the same of every image.
"""

from keras_showattend.metrics._inputs import MetricUnavailableError
from keras_showattend.metrics.bootstrap import Comparison, Interval, bootstrap, compare_systems
from keras_showattend.metrics.cider import CiderD
from keras_showattend.metrics.diversity import DiversityReport, distinct_n, diversity_report
from keras_showattend.metrics.labels import (
    METRIC_NAMES,
    METRICS,
    Metric,
    hub_metric_type,
    metric_is_defined,
    metric_label,
    printed_score,
)
from keras_showattend.metrics.meteor_java import MeteorProcess, close_meteor
from keras_showattend.metrics.report import ScoreDetails, score_captions, score_details
from keras_showattend.metrics.tokenizer import tokenize

__all__ = [
    "METRICS",
    "METRIC_NAMES",
    "CiderD",
    "Comparison",
    "DiversityReport",
    "Interval",
    "MeteorProcess",
    "Metric",
    "MetricUnavailableError",
    "ScoreDetails",
    "bootstrap",
    "close_meteor",
    "compare_systems",
    "distinct_n",
    "diversity_report",
    "hub_metric_type",
    "metric_is_defined",
    "metric_label",
    "printed_score",
    "score_captions",
    "score_details",
    "tokenize",
]

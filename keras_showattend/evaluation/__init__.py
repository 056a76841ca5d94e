"""Honest evaluation: `evaluate_captions`, comparison of two, a report to look at.

`attention_deletion` asks whether a captioner needs the locations that it looks at.
"""

from keras_showattend.evaluation.calibrate import calibrate, format_calibration
from keras_showattend.evaluation.compare import compare_evaluations, format_comparison
from keras_showattend.evaluation.deletion import attention_deletion
from keras_showattend.evaluation.evaluate import evaluate_captions, format_evaluation
from keras_showattend.evaluation.report import write_report

__all__ = [
    "attention_deletion",
    "calibrate",
    "compare_evaluations",
    "evaluate_captions",
    "format_calibration",
    "format_comparison",
    "format_evaluation",
    "write_report",
]

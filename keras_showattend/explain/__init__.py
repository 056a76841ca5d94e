"""Why this caption: `explain` an image, see where each word looked, and how sure it was."""

from keras_showattend.explain.calibration import (
    CALIBRATION_FILE,
    Calibration,
    load_calibration,
)
from keras_showattend.explain.evidence import CaptionEvidence
from keras_showattend.explain.explainer import explain
from keras_showattend.explain.explanation import Explanation
from keras_showattend.explain.fitting import fit_calibration
from keras_showattend.explain.searches import compare_searches

__all__ = [
    "CALIBRATION_FILE",
    "Calibration",
    "CaptionEvidence",
    "Explanation",
    "compare_searches",
    "explain",
    "fit_calibration",
    "load_calibration",
]

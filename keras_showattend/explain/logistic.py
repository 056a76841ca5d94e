"""Logistic regression with a ridge: small enough to keep as a few numbers in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LinearModel:
    """`x @ weights + intercept`.

    Attributes:
        weights: list of F floats.
        intercept: float.
    """

    weights: Sequence[float]
    intercept: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Returns float[N] for float[N, F]."""
        return np.asarray(x, "float64") @ np.asarray(self.weights, "float64") + self.intercept


def sigmoid(x: Any) -> Any:
    """Returns the logistic function of any array."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x)))


def logit(p: Any) -> Any:
    """Returns the log-odds of probabilities strictly between 0 and 1."""
    p = np.asarray(p, "float64")
    return np.log(p / (1 - p))


def fit_logistic_ridge(x: np.ndarray, y: np.ndarray, ridge: float) -> LinearModel:
    """Fits the log-odds of outcomes by Newton's method.

    Args:
        x: float[N, F].
        y: float[N] in 0..1.
        ridge: float. Penalty on the squares of the standardised weights.
    """
    design, centre, spread = _standardised(x)
    penalty = np.diag([*[ridge] * x.shape[1], 1e-6])
    weights = np.zeros(x.shape[1] + 1)
    for _ in range(50):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - y) + penalty @ weights
        hessian = (design * (p * (1 - p))[:, None]).T @ design + penalty
        change = np.linalg.solve(hessian, gradient)
        weights -= np.clip(change, -4, 4)
        if np.abs(change).max() < 1e-10:
            break
    return _raw(weights, centre, spread)


def fit_ridge(x: np.ndarray, y: np.ndarray, ridge: float) -> LinearModel:
    """Fits outcomes, float[N], by least squares; arguments as for `fit_logistic_ridge`."""
    design, centre, spread = _standardised(x)
    penalty = np.diag([*[ridge] * x.shape[1], 0.0])
    weights = np.linalg.solve(design.T @ design + penalty, design.T @ y)
    return _raw(weights, centre, spread)


def _standardised(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    return np.c_[(x - centre) / spread, np.ones(len(x))], centre, spread


def _raw(weights: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> LinearModel:
    raw = weights[:-1] / spread
    return LinearModel(raw.tolist(), float(weights[-1] - raw @ centre))

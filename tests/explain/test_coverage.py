"""What the surest captions score, worked out by hand."""

import numpy as np
import pytest

from keras_showattend.explain.coverage import risk_coverage
from keras_showattend.explain.familiarity import fit_familiarity
from keras_showattend.explain.logistic import fit_logistic_ridge, fit_ridge


def test_four_captions_by_hand():
    found = risk_coverage(
        confidence=np.array([0.1, 0.9, 0.5, 0.7]),
        outcomes=np.array([0.0, 1.0, 0.8, 0.2]),
        scores=np.array([0.2, 2.0, 1.0, 0.8]),
    )
    half = found["surest"][2]
    assert (half["coverage"], half["num_images"]) == (0.5, 2)
    assert half["cider"] == pytest.approx(1.4)
    assert half["cider_ratio"] == pytest.approx(1.4)
    assert half["outcome"] == pytest.approx(0.6)
    assert found["surest"][0]["cider_ratio"] == pytest.approx(1)
    # Means of the outcomes of the surest 1, 2, 3 and 4: 1, 0.6, 2/3, 0.5.
    assert found["area"]["confidence"] == pytest.approx(1 - (1 + 0.6 + 2 / 3 + 0.5) / 4)
    assert found["area"]["random"] == pytest.approx(0.5)
    # In the best order: 1, 0.9, 2/3, 0.5.
    assert found["area"]["oracle"] == pytest.approx(1 - (1 + 0.9 + 2 / 3 + 0.5) / 4)
    assert found["curve"]["coverage"] == [0.25, 0.5, 0.75, 1]
    assert found["curve"]["oracle"] == pytest.approx([0, 0.1, 1 / 3, 0.5])


def test_the_curves_are_recovered_in_raw_features():
    generator = np.random.default_rng(0)
    x = generator.normal([3.0, -50.0], [0.5, 20.0], (100_000, 2))
    true = x @ [1.5, -0.02] - 5.0
    fitted = fit_logistic_ridge(x, (generator.random(len(x)) < 1 / (1 + np.exp(-true))) * 1.0, 1e-3)
    assert fitted.weights == pytest.approx([1.5, -0.02], rel=0.05)
    assert fitted.intercept == pytest.approx(-5.0, abs=0.2)
    line = fit_ridge(x, true, 1e-6)
    assert line.weights == pytest.approx([1.5, -0.02])
    assert line(x[:3]) == pytest.approx(true[:3])


def test_a_feature_that_never_varies_has_no_weight():
    x = np.stack([np.linspace(-1, 1, 50), np.full(50, 7.0)], axis=1)
    fitted = fit_logistic_ridge(x, (x[:, 0] > 0) * 1.0, 1.0)
    assert fitted.weights[0] > 1
    assert fitted.weights[1] == 0


def test_images_far_from_those_of_the_fit_are_unfamiliar():
    generator = np.random.default_rng(1)
    seen = generator.normal(2.0, 0.5, (400, 64))
    familiarity = fit_familiarity(seen)
    flagged = [familiarity.is_unfamiliar(row) for row in generator.normal(2.0, 0.5, (400, 64))]
    assert 0.01 < np.mean(flagged) < 0.12
    assert familiarity.distance(seen.mean(axis=0)) == pytest.approx(0, abs=1e-4)
    assert all(familiarity.is_unfamiliar(row) for row in generator.normal(2.0, 1.0, (20, 64)))

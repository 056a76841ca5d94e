"""`AdditiveAttention` against NumPy, against numbers worked out by hand, and as a layer."""

import keras
import numpy as np
import pytest
from layer_checks import check_serialization, numpy, train_one_step
from numpy_reference import attend, attention_weights_of, randomize

from keras_showattend.layers import AdditiveAttention

B, L, D, N, A = 2, 5, 7, 6, 8


@pytest.fixture
def arrays():
    rng = np.random.default_rng(1)
    state = rng.normal(size=(B, N)).astype("float32")
    return state, rng.normal(size=(B, L, D)).astype("float32")


def built_layer(dtype="float32"):
    layer = AdditiveAttention(A, dtype=dtype)
    layer.build((B, N), (B, L, D))
    randomize(layer)
    return layer


def test_matches_numpy(arrays):
    layer = built_layer()
    context, weights = layer(*arrays)
    for row in range(B):
        expected = attend(attention_weights_of(layer), *(array[row] for array in arrays))
        np.testing.assert_allclose(numpy(context)[row], expected[0], atol=1e-5)
        np.testing.assert_allclose(numpy(weights)[row], expected[1], atol=1e-5)


def test_by_hand():
    layer = AdditiveAttention(1)
    layer.build((1, 1), (1, 2, 2))
    # W_a, b, W_h, v: the score of a place is twice the tanh of its first component.
    layer.annotation_projection.set_weights([np.array([[1.0], [0.0]]), np.zeros(1)])
    layer.state_projection.set_weights([np.zeros((1, 1))])
    layer.score.set_weights([np.array([[2.0]])])
    # tanh(0.5493061) = 0.5: scores 0 and 1, whose softmax is 1/(1+e) and e/(1+e).
    annotations = np.array([[[0.0, 5.0], [0.5493061, 1.0]]], dtype="float32")
    context, weights = layer(np.array([[9.0]], dtype="float32"), annotations)
    np.testing.assert_allclose(numpy(weights), [[0.2689414, 0.7310586]], atol=1e-6)
    # 0.7310586 * 0.5493061 and 0.2689414 * 5 + 0.7310586.
    np.testing.assert_allclose(numpy(context), [[0.4015749, 2.0757656]], atol=1e-6)


def test_projection_of_scaled_annotations(arrays):
    layer = built_layer()
    _, annotations = arrays
    rng = np.random.default_rng(3)
    scale, offset = (rng.normal(size=D).astype("float32") for _ in range(2))
    projected = layer.project(annotations, (scale, offset))
    expected = layer.project(scale * annotations + offset)
    np.testing.assert_allclose(numpy(projected), numpy(expected), atol=1e-5)


def test_projection_given_or_not_is_the_same(arrays):
    layer = built_layer()
    state, annotations = arrays
    projected = layer.project(annotations)
    assert tuple(projected.shape) == (B, L, A)
    for got, expected in zip(
        layer(state, annotations, projected), layer(state, annotations), strict=True
    ):
        np.testing.assert_allclose(numpy(got), numpy(expected), atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_states_share_the_annotations_of_their_image(arrays, masked):
    layer = built_layer()
    _, annotations = arrays
    mask = np.array([[True, False, True, True, False], [True, True, False, False, True]])
    options = {"annotation_mask": mask} if masked else {}
    states = np.random.default_rng(2).normal(size=(3 * B, N)).astype("float32")
    context, weights = layer(states, annotations, **options)
    assert context.shape == (3 * B, D)
    assert weights.shape == (3 * B, L)
    for row, image in enumerate([0, 0, 0, 1, 1, 1]):
        expected = attend(
            attention_weights_of(layer),
            states[row],
            annotations[image],
            mask=mask[image] if masked else None,
        )
        np.testing.assert_allclose(numpy(context)[row], expected[0], atol=1e-5)
        np.testing.assert_allclose(numpy(weights)[row], expected[1], atol=1e-5)


@pytest.mark.parametrize("mask_dtype", ["bool", "int32"])
def test_masked_places_get_nothing(arrays, mask_dtype):
    layer = built_layer()
    mask = np.array([[True, False, True, True, False], [False, False, False, False, True]])
    context, weights = layer(*arrays, annotation_mask=mask.astype(mask_dtype))
    assert np.all(numpy(weights)[~mask] == 0)
    for row in range(B):
        expected = attend(
            attention_weights_of(layer), arrays[0][row], arrays[1][row], mask=mask[row]
        )
        np.testing.assert_allclose(numpy(context)[row], expected[0], atol=1e-5)
        np.testing.assert_allclose(numpy(weights)[row], expected[1], atol=1e-5)


def test_row_without_a_place_spreads_evenly(arrays):
    _, weights = built_layer()(*arrays, annotation_mask=np.zeros((B, L), dtype="bool"))
    np.testing.assert_allclose(numpy(weights), np.full((B, L), 1 / L), atol=1e-6)


def test_huge_scores_stay_finite(arrays):
    layer = built_layer()
    layer.score.set_weights([np.full((A, 1), 1e6, dtype="float32")])
    context, weights = layer(*arrays)
    assert np.isfinite(numpy(context)).all()
    np.testing.assert_allclose(numpy(weights).sum(axis=1), 1, atol=1e-6)


def test_symbolic_shapes_equal_real_ones(arrays):
    layer = built_layer()
    symbolic = layer(keras.KerasTensor((B, N)), keras.KerasTensor((B, L, D)))
    for spec, real in zip(symbolic, layer(*arrays), strict=True):
        assert tuple(spec.shape) == tuple(real.shape)


def test_serialization():
    layer = AdditiveAttention(A, name="look", dtype="mixed_bfloat16", trainable=False)
    copy = check_serialization(layer, "AdditiveAttention")
    assert copy.attention_dim == A
    assert copy.dtype_policy.name == "mixed_bfloat16"
    assert copy.annotation_projection.compute_dtype == "bfloat16"


def test_mixed_precision_is_near_float32(arrays):
    exact, half = built_layer(), built_layer("mixed_bfloat16")
    context, weights = half(*arrays)
    assert keras.backend.standardize_dtype(weights.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(context.dtype) == "bfloat16"
    expected = exact(*arrays)
    np.testing.assert_allclose(numpy(weights).sum(axis=1), 1, atol=0.02)
    np.testing.assert_allclose(numpy(weights), numpy(expected[1]), atol=0.05)
    np.testing.assert_allclose(numpy(context), numpy(expected[0]), atol=0.1)


def test_gradient_reaches_every_weight(arrays):
    inputs = [keras.Input((N,)), keras.Input((L, D))]
    model = keras.Model(inputs, AdditiveAttention(A)(*inputs)[0])
    assert train_one_step(model, list(arrays), np.ones((B, D))) == []


@pytest.mark.parametrize("attention_dim", [0, -1, 2.0, None])
def test_wrong_size(attention_dim):
    with pytest.raises(ValueError, match="`attention_dim` must be a positive int"):
        AdditiveAttention(attention_dim)

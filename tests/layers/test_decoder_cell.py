"""`CaptionDecoderCell` against NumPy, against numbers worked out by hand, and as a layer."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import check_serialization, numpy, train_one_step
from numpy_reference import cell_step, cell_weights_of, randomize

from keras_showattend.layers import CaptionDecoderCell
from keras_showattend.layers.time_scan import products_of

B, L, D, M, N, A = 2, 5, 7, 4, 6, 8
CELLS = ["gru", "lstm"]


def built_cell(cell, context_gate=True, dtype="float32"):
    layer = CaptionDecoderCell(N, A, cell, context_gate, dtype=dtype)
    layer.build((B, M), [(B, N)] * layer.num_states, (B, L, D))
    randomize(layer)
    return layer


def arrays(cell):
    rng = np.random.default_rng(2)
    count = 1 if cell == "gru" else 2
    embedding = rng.normal(size=(B, M)).astype("float32")
    states = [rng.normal(size=(B, N)).astype("float32") for _ in range(count)]
    return embedding, states, rng.normal(size=(B, L, D)).astype("float32")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("context_gate", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_matches_numpy(cell, context_gate, masked):
    layer = built_cell(cell, context_gate)
    embedding, states, annotations = arrays(cell)
    mask = np.array([[True, True, False, True, False], [False, True, True, True, True]])
    mask = mask if masked else None
    outputs, new_states = layer(embedding, states, annotations, annotation_mask=mask)
    assert len(new_states) == layer.num_states == len(states)
    for row in range(B):
        expected_outputs, expected_states = cell_step(
            cell_weights_of(layer),
            embedding[row],
            [state[row] for state in states],
            annotations[row],
            mask[row] if masked else None,
        )
        got = [*outputs, *new_states]
        for tensor, expected in zip(got, [*expected_outputs, *expected_states], strict=True):
            np.testing.assert_allclose(numpy(tensor)[row], expected, atol=1e-5)


def zero_cell(cell):
    layer = CaptionDecoderCell(1, 1, cell)
    layer.build((1, 1), [(1, 1)] * layer.num_states, (1, 2, 1))
    layer.set_weights([np.zeros(value.shape) for value in layer.get_weights()])
    return layer


def test_gru_by_hand():
    # Without weights every gate is 1/2 and the candidate is 0: the state is halved.
    outputs, (state,) = zero_cell("gru")(
        np.array([[1.0]]), [np.array([[0.8]])], np.array([[[1.0], [3.0]]])
    )
    assert numpy(state) == pytest.approx(0.4)
    # The mean of 1 and 3, by even attention, behind a gate of 1/2.
    assert numpy(outputs[1]) == pytest.approx(1.0)
    assert numpy(outputs[2]) == pytest.approx(0.5)


def test_lstm_by_hand():
    outputs, (hidden_state, cell_state) = zero_cell("lstm")(
        np.array([[1.0]]), [np.array([[0.8]]), np.array([[2.0]])], np.array([[[1.0], [3.0]]])
    )
    assert numpy(cell_state) == pytest.approx(1.0)
    # tanh(1) / 2.
    assert numpy(hidden_state) == pytest.approx(0.3807971)
    assert numpy(outputs[0]) == pytest.approx(0.3807971)


def test_projection_given_or_not_is_the_same():
    layer = built_cell("gru")
    embedding, states, annotations = arrays("gru")
    projected = layer.attention.project(annotations)
    given, _ = layer(embedding, states, annotations, projected_annotations=projected)
    computed, _ = layer(embedding, states, annotations)
    np.testing.assert_allclose(numpy(given[0]), numpy(computed[0]), atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_step_with_what_was_computed_before(cell):
    layer = built_cell(cell)
    embedding, states, annotations = keras.tree.map_structure(ops.convert_to_tensor, arrays(cell))
    rng = np.random.default_rng(3)
    affine = [ops.convert_to_tensor(rng.normal(size=D), "float32") for _ in range(2)]
    outputs, new_states = layer.step(
        layer.project(embedding),
        states,
        annotations,
        layer.attention.project(annotations, affine),
        products=products_of(layer.kernels()),
        affine=affine,
    )
    expected, expected_states = layer(embedding, states, affine[0] * annotations + affine[1])
    for got, want in zip([*outputs, *new_states], [*expected, *expected_states], strict=True):
        np.testing.assert_allclose(numpy(got), numpy(want), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_serialization(cell):
    layer = CaptionDecoderCell(N, A, cell, context_gate=False, name="step", dtype="mixed_bfloat16")
    copy = check_serialization(layer, "CaptionDecoderCell")
    assert (copy.hidden_dim, copy.attention_dim, copy.cell, copy.gate) == (N, A, cell, None)
    assert copy.recurrent.compute_dtype == "bfloat16"


@pytest.mark.parametrize("cell", CELLS)
def test_mixed_precision_is_near_float32(cell):
    outputs, _ = built_cell(cell, dtype="mixed_bfloat16")(*arrays(cell))
    expected, _ = built_cell(cell)(*arrays(cell))
    for got, want in zip(outputs, expected, strict=True):
        assert keras.backend.standardize_dtype(got.dtype) == "bfloat16"
        np.testing.assert_allclose(numpy(got), numpy(want), atol=0.1)
    np.testing.assert_allclose(numpy(outputs[2]).sum(axis=1), 1, atol=0.02)


@pytest.mark.parametrize("cell", CELLS)
def test_half_precision_weights_can_be_made(cell):
    layer = CaptionDecoderCell(N, A, cell, dtype="bfloat16")
    layer.build((B, M), [(B, N)] * layer.num_states, (B, L, D))
    outputs, _ = layer(*arrays(cell))
    assert np.isfinite(numpy(outputs[0])).all()


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_reaches_every_weight(cell):
    embedding, states, annotations = arrays(cell)
    inputs = [keras.Input(array.shape[1:]) for array in (embedding, *states, annotations)]
    outputs, _ = CaptionDecoderCell(N, A, cell)(inputs[0], inputs[1:-1], inputs[-1])
    model = keras.Model(inputs, outputs[0])
    assert train_one_step(model, [embedding, *states, annotations], np.ones((B, N))) == []


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"`cell` must be one of .* Received: cell='rnn'"):
        CaptionDecoderCell(N, A, "rnn")
    with pytest.raises(ValueError, match="`hidden_dim` must be a positive int"):
        CaptionDecoderCell(0, A)
    with pytest.raises(ValueError, match="`attention_dim` must be a positive int"):
        CaptionDecoderCell(N, 0)

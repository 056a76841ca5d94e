"""`CaptionDecoder` against NumPy, against numbers worked out by hand, and as a layer."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import check_serialization, numpy, train_one_step
from numpy_reference import decode, decoder_weights_of, randomize

from keras_showattend.layers import CaptionDecoder

B, T, L, D, M, N, A, V = 2, 3, 5, 7, 4, 6, 8, 11
CELLS = ["gru", "lstm"]
# The paper's decoder, and the well-known tutorial's, its lost state put right.
PAPER = {"normalize_annotations": False}
TUTORIAL = {
    "context_gate": False,
    "deep_output": False,
    "initial_state": "zeros",
    "normalize_annotations": False,
}
FORMS = {
    "default": {},
    "paper": PAPER,
    "tutorial": TUTORIAL,
    "tied": {"tie_embeddings": True},
}


def new_decoder(cell="gru", **options):
    return CaptionDecoder(V, M, N, A, cell, **options)


def built_decoder(cell="gru", **options):
    layer = new_decoder(cell, **options)
    layer.build((B, T), (B, L, D))
    randomize(layer)
    return layer


@pytest.fixture
def arrays():
    rng = np.random.default_rng(4)
    # No token twice, so that a swapped step cannot pass.
    token_ids = np.array([[1, 9, 4], [10, 0, 7]], dtype="int32")
    return token_ids, rng.normal(2, 3, size=(B, L, D)).astype("float32")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("masked", [True, False])
def test_matches_numpy(cell, form, masked, arrays):
    layer = built_decoder(cell, **FORMS[form])
    mask = np.array([[True, False, True, True, False], [False, True, True, False, True]])
    mask = mask if masked else None
    outputs = layer(*arrays, annotation_mask=mask)
    assert tuple(outputs["logits"].shape) == (B, T, V)
    assert tuple(outputs["attention_weights"].shape) == (B, T, L)
    for row in range(B):
        logits, weights = decode(
            decoder_weights_of(layer),
            arrays[0][row],
            arrays[1][row],
            mask[row] if masked else None,
        )
        np.testing.assert_allclose(numpy(outputs["logits"])[row], logits, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(numpy(outputs["attention_weights"])[row], weights, atol=1e-5)


def test_captions_of_an_image_stand_together(arrays):
    layer = built_decoder()
    token_ids, annotations = arrays
    captions = np.concatenate([token_ids, token_ids[::-1], token_ids])
    outputs = layer(captions, annotations)
    by_index = layer(captions, annotations, image_index=np.array([0, 0, 0, 1, 1, 1]))
    for row, image in enumerate([0, 0, 0, 1, 1, 1]):
        logits, weights = decode(decoder_weights_of(layer), captions[row], annotations[image])
        for found in (outputs, by_index):
            np.testing.assert_allclose(numpy(found["logits"])[row], logits, atol=1e-5, rtol=1e-5)
            np.testing.assert_allclose(numpy(found["attention_weights"])[row], weights, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_match_differences_in_numpy(cell, arrays):
    layer = built_decoder(cell, dropout=0.0)
    factors = np.random.default_rng(5).normal(size=(B, T, V))
    token_ids = keras.Input((T,), dtype="int32")
    annotations = keras.Input((L, D))
    model = keras.Model([token_ids, annotations], layer(token_ids, annotations)["logits"])
    model.compile(
        keras.optimizers.SGD(1.0), loss=lambda y, logits: ops.sum(y * logits, axis=[1, 2])
    )
    weights = keras.tree.map_structure(
        lambda value: value.astype("float64") if isinstance(value, np.ndarray) else value,
        decoder_weights_of(layer),
    )
    attention, recurrent = weights["cell"]["attention"], weights["cell"]["recurrent"]

    def loss():
        logits = [decode(weights, arrays[0][row], arrays[1][row])[0] for row in range(B)]
        return np.sum(factors * logits) / B

    def slope(array, place):
        before, numbers = array[place], []
        for change in (1e-3, -1e-3):
            array[place] = before + change
            numbers.append(loss())
        array[place] = before
        return (numbers[0] - numbers[1]) / 2e-3

    # Of the state to the attention, of the state and of the context to the gates.
    places = [(attention["W_h"], (1, 2)), (recurrent[1], (2, 1)), (recurrent[0], (M + 3, 2))]
    expected = [slope(array, place) for array, place in places]
    model.train_on_batch(list(arrays), factors)
    after = decoder_weights_of(layer)["cell"]
    learned = [after["attention"]["W_h"], after["recurrent"][1], after["recurrent"][0]]
    got = [array[place] - new[place] for (array, place), new in zip(places, learned, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-2)


def scalar_decoder(deep_output):
    """All sizes 1 and a cell without weights, whose state stays 0 when it starts there."""
    layer = CaptionDecoder(
        5, 1, 1, 1, deep_output=deep_output, initial_state="zeros", normalize_annotations=False
    )
    layer.build((1, 2), (1, 2, 1))
    layer.set_weights([np.zeros(value.shape) for value in layer.get_weights()])
    layer.token_embedding.set_weights([np.array([[0.0], [0.1], [0.2], [0.3], [0.4]])])
    layer.vocabulary_output.set_weights([np.array([[1.0, 2.0, -1.0, 0.0, 3.0]]), np.zeros(5)])
    return layer


def test_deep_output_by_hand():
    layer = scalar_decoder(deep_output=True)
    layer.hidden_output.set_weights([np.zeros((1, 1)), np.array([0.25])])
    layer.context_output.set_weights([np.array([[2.0]])])
    logits = layer(np.array([[1, 3]]), np.array([[[1.0], [5.0]]]))["logits"]
    # E y = 0.1 then 0.3; L_h h = 0.25; the gate of 1/2 makes z = 1.5 of the mean 3, L_z z = 3.
    expected = np.array([[3.35], [3.55]]) * [1, 2, -1, 0, 3]
    np.testing.assert_allclose(numpy(logits)[0], expected, atol=1e-6)


def test_tutorial_output_by_hand():
    layer = scalar_decoder(deep_output=False)
    layer.hidden_output.set_weights([np.zeros((1, 1)), np.array([0.25])])
    logits = layer(np.array([[1, 3]]), np.array([[[1.0], [5.0]]]))["logits"]
    np.testing.assert_allclose(numpy(logits)[0], [[0.25, 0.5, -0.25, 0, 0.75]] * 2, atol=1e-6)


def test_mean_initial_state_by_hand():
    layer = CaptionDecoder(V, M, 1, A, normalize_annotations=False)
    layer.build((1, T), (1, 2, 1))
    layer.state_initializers[0].set_weights([np.array([[0.5]]), np.array([0.1])])
    annotations = np.array([[[1.0], [3.0]]], dtype="float32")
    _, (state,) = layer.begin(annotations)
    # tanh(0.5 * 2 + 0.1); and 0.5 * 3 + 0.1 where only the second place counts.
    assert numpy(state) == pytest.approx(0.8004990)
    _, (state,) = layer.begin(annotations, np.array([[False, True]]))
    assert numpy(state) == pytest.approx(0.9216686)


def test_normalized_annotations_do_not_know_their_scale(arrays):
    layer = built_decoder()
    token_ids, annotations = arrays
    small = layer(token_ids, 100 * annotations)["logits"]
    large = layer(token_ids, 900 * annotations)["logits"]
    np.testing.assert_allclose(numpy(small), numpy(large), atol=1e-3)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("masked", [True, False])
def test_steps_equal_teacher_forcing(cell, masked, arrays):
    layer = built_decoder(cell)
    token_ids, annotations = arrays
    mask = np.array([[True, False, True, True, False]] * B) if masked else None
    outputs = layer(token_ids, annotations, annotation_mask=mask)
    memory, states = layer.begin(annotations, mask)
    for time in range(T):
        logits, weights, states = layer.step(ops.array(token_ids[:, time]), states, memory)
        np.testing.assert_allclose(
            numpy(logits), numpy(outputs["logits"])[:, time], atol=1e-4, rtol=1e-4
        )
        np.testing.assert_allclose(
            numpy(weights), numpy(outputs["attention_weights"])[:, time], atol=1e-5
        )


def test_a_word_never_sees_later_ones(arrays):
    layer = built_decoder()
    token_ids, annotations = arrays
    changed = token_ids.copy()
    changed[:, -1] = 5
    first, second = (numpy(layer(ids, annotations)["logits"]) for ids in (token_ids, changed))
    np.testing.assert_array_equal(first[:, :-1], second[:, :-1])
    assert not np.allclose(first[:, -1], second[:, -1])


def test_dropout_in_training_only(arrays):
    layer = built_decoder(dropout=0.5)
    still = [numpy(layer(*arrays)["logits"]) for _ in range(2)]
    moving = [numpy(layer(*arrays, training=True)["logits"]) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert not np.allclose(*moving)


def test_symbolic_outputs_equal_real_ones(arrays):
    for dtype in ("float32", "mixed_bfloat16"):
        layer = built_decoder(dtype=dtype)
        specs = layer(keras.KerasTensor((B, T), "int32"), keras.KerasTensor((B, L, D)))
        outputs = layer(*arrays)
        assert set(specs) == set(outputs)
        for name, spec in specs.items():
            assert tuple(spec.shape) == tuple(outputs[name].shape)
            assert spec.dtype == keras.backend.standardize_dtype(outputs[name].dtype)


@pytest.mark.parametrize("cell", CELLS)
def test_serialization(cell):
    layer = new_decoder(cell, dropout=0.25, dtype="mixed_bfloat16", name="words", **TUTORIAL)
    copy = check_serialization(layer, "CaptionDecoder")
    assert copy.cell.cell == cell
    assert copy.token_embedding.compute_dtype == "bfloat16"
    check_serialization(new_decoder(cell), "CaptionDecoder")


@pytest.mark.parametrize("cell", CELLS)
def test_weights_fit_a_copy(cell, arrays):
    layer = built_decoder(cell)
    copy = CaptionDecoder.from_config(layer.get_config())
    copy.build((B, T), (B, L, D))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(numpy(copy(*arrays)["logits"]), numpy(layer(*arrays)["logits"]))


@pytest.mark.parametrize("cell", CELLS)
def test_mixed_precision_is_near_float32(cell, arrays):
    outputs = built_decoder(cell, dtype="mixed_bfloat16")(*arrays)
    expected = built_decoder(cell)(*arrays)
    assert keras.backend.standardize_dtype(outputs["logits"].dtype) == "float32"
    spread = np.std(numpy(expected["logits"]))
    np.testing.assert_allclose(
        numpy(outputs["logits"]), numpy(expected["logits"]), atol=0.1 * spread
    )
    weights = numpy(outputs["attention_weights"])
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=0.02)
    np.testing.assert_allclose(weights, numpy(expected["attention_weights"]), atol=0.05)


def training_model(cell, **options):
    token_ids = keras.Input((None,), dtype="int32")
    annotations = keras.Input((L, D))
    outputs = new_decoder(cell, **options)(token_ids, annotations)
    return keras.Model([token_ids, annotations], outputs["logits"])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("form", FORMS)
def test_gradient_reaches_every_weight(cell, form, arrays):
    model = training_model(cell, dropout=0.0, **FORMS[form])
    assert train_one_step(model, list(arrays), np.ones((B, T, V))) == []


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="torch.compile needs a C++ compiler and a minute"
)
@pytest.mark.slow
def test_compiled_training_step(arrays):
    model = training_model("lstm", dropout=0.4, dtype="mixed_bfloat16")
    assert train_one_step(model, list(arrays), np.ones((B, T, V)), jit_compile=True) == []


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow traces unknown sizes"
)
@pytest.mark.slow
def test_compiled_training_gives_the_uncompiled_losses(arrays):
    # The last batch of an epoch is smaller: the compiled function has to take both sizes.
    batches = [arrays, [np.tile(arrays[0], (2, 3)), np.tile(arrays[1], (2, 1, 1))], arrays]
    losses = []
    for jit_compile in (True, False):
        model = training_model("gru", dropout=0.0)
        randomize(model)
        model.compile(keras.optimizers.SGD(0.01), "mean_squared_error", jit_compile=jit_compile)
        losses.append(
            [
                model.train_on_batch([token_ids, annotations], np.ones((*token_ids.shape, V)))
                for token_ids, annotations in batches
            ]
        )
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert losses[0][2] < losses[0][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary_size": 0}, "`vocabulary_size` must be a positive int"),
        ({"tie_embeddings": True, "deep_output": False}, "`tie_embeddings` needs .*hidden_dim=6"),
        ({"embedding_dim": 1.5}, "`embedding_dim` must be a positive int"),
        ({"hidden_dim": -1}, "`hidden_dim` must be a positive int"),
        ({"attention_dim": 0}, "`attention_dim` must be a positive int"),
        ({"cell": "rnn"}, "`cell` must be one of"),
        ({"initial_state": "random"}, "`initial_state` must be one of"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\)"),
        ({"dropout": -0.1}, r"`dropout` must be in \[0, 1\)"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CaptionDecoder(**{"vocabulary_size": V, "hidden_dim": N, **arguments})

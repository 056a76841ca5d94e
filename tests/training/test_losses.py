"""`CaptionCrossentropy` and `doubly_stochastic_penalty` against numbers worked out by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_showattend.training import CaptionCrossentropy, doubly_stochastic_penalty

B, T, V = 2, 3, 4
# The same four probabilities at every step; -log of them is 2.302585, 1.609438, 1.203973 and
# 0.916291.
LOGITS = np.tile(np.log([0.1, 0.2, 0.3, 0.4]), (B, T, 1)).astype("float32")
WORDS = np.array([[3, 2, 0], [1, 0, 0]], dtype="int32")
WEIGHT = np.array([[1, 1, 0], [1, 0, 0]], dtype="float32")


def test_by_hand():
    # (0.916291 + 1.203973 + 1.609438) / 3 words.
    loss = CaptionCrossentropy()(WORDS, LOGITS, sample_weight=WEIGHT)
    np.testing.assert_allclose(float(loss), 1.243234, atol=1e-6)


def test_every_word():
    losses = CaptionCrossentropy(reduction=None)(WORDS, LOGITS)
    assert tuple(losses.shape) == (B, T)
    expected = [[0.916291, 1.203973, 2.302585], [1.609438, 2.302585, 2.302585]]
    np.testing.assert_allclose(ops.convert_to_numpy(losses), expected, atol=1e-6)


def test_label_smoothing_by_hand():
    # 0.8 * 0.916291 + 0.2 * (2.302585 + 1.609438 + 1.203973 + 0.916291) / 4
    loss = CaptionCrossentropy(label_smoothing=0.2)(WORDS[:1, :1], LOGITS[:1, :1])
    np.testing.assert_allclose(float(loss), 1.034647, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing_is_that_of_one_hot_targets(smoothing):
    rng = np.random.default_rng(3)
    logits = rng.normal(scale=3, size=(B, T, V)).astype("float32")
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    targets = (1 - smoothing) * np.eye(V)[WORDS] + smoothing / V
    each = -(targets * log_probabilities).sum(-1)
    loss = CaptionCrossentropy(smoothing)(WORDS, logits, sample_weight=WEIGHT)
    np.testing.assert_allclose(float(loss), (each * WEIGHT).sum() / WEIGHT.sum(), rtol=1e-5)


def test_padding_is_neither_in_the_sum_nor_in_the_count():
    short = CaptionCrossentropy(0.1)(WORDS[:, :2], LOGITS[:, :2], sample_weight=WEIGHT[:, :2])
    wild = LOGITS.copy()
    wild[:, 2] = [1e4, -1e4, 3.0, 0.0]
    wild[1, 1] = [-50.0, 0.0, 50.0, 7.0]
    long = CaptionCrossentropy(0.1)(WORDS, wild, sample_weight=WEIGHT)
    np.testing.assert_allclose(float(long), float(short), rtol=1e-6)


def test_only_differences_of_logits_count():
    shifted = CaptionCrossentropy()(WORDS, LOGITS + 1000, sample_weight=WEIGHT)
    np.testing.assert_allclose(float(shifted), 1.243234, atol=2e-4)


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_dtypes_of_words(dtype):
    loss = CaptionCrossentropy()(WORDS.astype(dtype), LOGITS, sample_weight=WEIGHT)
    np.testing.assert_allclose(float(loss), 1.243234, atol=1e-6)


def test_half_precision_logits_are_reduced_in_float32():
    loss = CaptionCrossentropy()(
        WORDS, ops.cast(LOGITS, "bfloat16"), sample_weight=ops.convert_to_tensor(WEIGHT)
    )
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    np.testing.assert_allclose(float(loss), 1.243234, atol=5e-3)


def test_round_trip():
    loss = CaptionCrossentropy(0.15, name="words", reduction="sum")
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(copy) is CaptionCrossentropy
    assert copy.get_config() == loss.get_config()
    assert (copy.label_smoothing, copy.name, copy.reduction) == (0.15, "words", "sum")


@pytest.mark.parametrize("smoothing", [-0.1, 1, 1.5, float("nan")])
def test_label_smoothing_out_of_range(smoothing):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\). Received: label_smoothing="):
        CaptionCrossentropy(smoothing)


# B=2, T=3, L=4. Places get [0.5, 1, 0.5, 0] (the last step is padding) and [3, 0, 0, 0], so
# the distances from 1 are 0.25 + 0 + 0.25 + 1 and 4 + 1 + 1 + 1.
ATTENTION = np.array(
    [
        [[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]],
        [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]],
    ],
    dtype="float32",
)
MASK = np.array([[True, True, False], [True, True, True]])


def test_penalty_by_hand():
    penalty = doubly_stochastic_penalty(ATTENTION, MASK)
    np.testing.assert_allclose(float(penalty), (1.5 + 7) / 2, rtol=1e-6)


def test_penalty_is_nothing_where_every_place_is_looked_at_once():
    attention = np.full((2, 3, 3), 1 / 3, dtype="float32")
    penalty = doubly_stochastic_penalty(attention, np.ones((2, 3), bool))
    np.testing.assert_allclose(float(penalty), 0, atol=1e-6)


def test_penalty_ignores_rows_without_a_word():
    # Such rows fill up the last batch of an epoch.
    attention = np.concatenate([ATTENTION, ATTENTION[:1]])
    mask = np.concatenate([MASK, np.zeros((1, 3), bool)])
    np.testing.assert_allclose(float(doubly_stochastic_penalty(attention, mask)), 4.25, rtol=1e-6)
    assert float(doubly_stochastic_penalty(ATTENTION, np.zeros((2, 3), bool))) == 0


def test_penalty_in_float32_of_half_precision():
    penalty = doubly_stochastic_penalty(ops.cast(ATTENTION, "float16"), MASK)
    assert keras.backend.standardize_dtype(penalty.dtype) == "float32"
    np.testing.assert_allclose(float(penalty), 4.25, rtol=1e-3)


def test_forbidden_tokens_are_left_out_of_the_softmax():
    loss = CaptionCrossentropy(forbidden_ids=(1, 3))
    logits = np.array([[[0.0, 7.0, np.log(3.0), -5.0]]], "float32")
    # Of the tokens 0 and 2, with odds of 1 to 3.
    for word, expected in ((0, np.log(4.0)), (2, np.log(4.0 / 3.0))):
        np.testing.assert_allclose(float(loss(np.array([[word]]), logits)), expected, rtol=1e-5)
    other = logits + np.array([0.0, 9.0, 0.0, 30.0], "float32")
    np.testing.assert_allclose(float(loss(np.array([[0]]), other)), np.log(4.0), rtol=1e-5)
    # A word that cannot be counts nothing where its weight is 0.
    weights = np.array([[1.0, 0.0]], "float32")
    two = np.repeat(logits, 2, axis=1)
    np.testing.assert_allclose(
        float(loss(np.array([[0, 3]]), two, weights)), np.log(4.0), rtol=1e-5
    )
    copy = CaptionCrossentropy.from_config(loss.get_config())
    assert copy.forbidden_ids == (1, 3)
    with pytest.raises(ValueError, match=r"cannot go with `forbidden_ids`.* Received: label_smoo"):
        CaptionCrossentropy(0.1, forbidden_ids=(1,))

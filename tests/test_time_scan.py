"""`scan_time`: order, shapes and states of the loop over a caption."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import numpy

from keras_showattend.layers.time_scan import scan_time

B, T, M = 2, 3, 4


def running_sum(inputs_t, states):
    total = states[0] + inputs_t
    # The second output is shaped unlike the states, and the last state is a counter.
    return (total, ops.sum(total, axis=-1)), [total, states[1] + 1.0]


def test_by_hand():
    inputs = np.arange(B * T * M, dtype="float32").reshape(B, T, M)
    states = [ops.zeros((B, M)), ops.zeros((B, 1))]
    (totals, sums), (last, count) = scan_time(running_sum, states, ops.convert_to_tensor(inputs))
    np.testing.assert_allclose(numpy(totals), np.cumsum(inputs, axis=1))
    np.testing.assert_allclose(numpy(sums), [[6, 28, 66], [54, 124, 210]])
    np.testing.assert_allclose(numpy(last), inputs.sum(axis=1))
    np.testing.assert_allclose(numpy(count), np.full((B, 1), T))


def test_one_step():
    (outputs, _), _ = scan_time(
        running_sum, [ops.ones((B, M)), ops.zeros((B, 1))], ops.ones((B, 1, M))
    )
    np.testing.assert_allclose(numpy(outputs), np.full((B, 1, M), 2.0))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow traces unknown lengths"
)
@pytest.mark.parametrize("jit_compile", [True, False])
def test_unknown_length_and_gradient_in_a_tensorflow_graph(jit_compile):
    import tensorflow as tf

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, M), tf.float32)], jit_compile=jit_compile
    )
    def gradient(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            batch = tf.shape(inputs)[0]
            states = [tf.zeros((batch, M)), tf.zeros((batch, 1))]
            (totals, _), _ = scan_time(running_sum, states, inputs)
            loss = tf.reduce_sum(totals)
        return loss, tape.gradient(loss, inputs)

    for length in (T, 5):
        loss, slope = gradient(tf.ones((B, length, M)))
        # A step's input is counted in its own total and in all later ones.
        expected = np.arange(length, 0, -1.0)[None, :, None] * np.ones((B, 1, M))
        np.testing.assert_allclose(slope, expected)
        assert float(loss) == expected.sum()

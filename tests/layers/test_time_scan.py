"""`scan_time`: order, shapes and states of the loop over a caption."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import numpy

from keras_showattend.layers.time_scan import scan_time

B, T, M = 2, 3, 4


def running_sum(inputs_t, states, products):
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


def doubling(inputs_t, states, products):
    (multiply,) = products
    total = multiply(states[0]) + inputs_t
    return (total,), [total]


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow's loop computes it apart"
)
@pytest.mark.parametrize("how", ["eager", "graph", "xla"])
def test_gradient_by_a_kernel_in_tensorflow(how):
    import tensorflow as tf

    def gradient(kernel, inputs):
        with tf.GradientTape() as tape:
            tape.watch((kernel, inputs))
            (totals,), _ = scan_time(doubling, [tf.zeros((1, 1))], inputs, [kernel])
            loss = tf.reduce_sum(totals)
        return totals, *tape.gradient(loss, (kernel, inputs))

    if how != "eager":
        gradient = tf.function(gradient, jit_compile=how == "xla")
    totals, by_kernel, by_inputs = gradient(tf.constant([[2.0]]), tf.ones((1, 3, 1)))
    # 1, k + 1, k^2 + k + 1 for a kernel k of 2: their sum has the slope 1 + 2 k + 1.
    np.testing.assert_allclose(totals, [[[1], [3], [7]]])
    np.testing.assert_allclose(by_kernel, [[6]])
    np.testing.assert_allclose(by_inputs, [[[7], [3], [1]]])


def test_products_by_kernels():
    kernel = np.array([[0, 1, 2], [3, 4, 5]], "float32")
    states = [ops.ones((1, 2))]
    (outputs,), _ = scan_time(
        lambda x, states, products: ((products[0](states[0]) + x,), states),
        states,
        ops.ones((1, 2, 3)),
        [ops.convert_to_tensor(kernel)],
    )
    np.testing.assert_allclose(numpy(outputs), [[[4, 6, 8], [4, 6, 8]]])

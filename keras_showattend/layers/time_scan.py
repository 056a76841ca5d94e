"""A differentiable loop over the time axis that every backend compiles."""

import keras
from keras import ops


def scan_time(step, states, inputs):
    """Runs `step` over the second axis of `inputs` and stacks what it returns.

    Args:
        step: function `(inputs_t, states) -> (outputs_t, states)`; `inputs_t` float[B, M],
            `states` a list of tensors, `outputs_t` a tuple of tensors `[B, ...]`.
        states: list of tensors before the first step.
        inputs: float[B, T, M]; T may be unknown when a TensorFlow graph is traced.

    Returns:
        Tuple `(outputs, states)`: every output stacked to `[B, T, ...]`, and the states
        after the last step.
    """
    inputs = ops.swapaxes(inputs, 0, 1)
    loop = _tensorflow_scan if keras.backend.backend() == "tensorflow" else _keras_scan
    outputs, states = loop(step, list(states), inputs)
    return tuple(ops.swapaxes(output, 0, 1) for output in outputs), states


def _keras_scan(step, states, inputs):
    def body(carry, inputs_t):
        outputs_t, new_states = step(inputs_t, carry)
        return new_states, outputs_t

    states, outputs = ops.scan(body, states, inputs)
    return outputs, states


def _tensorflow_scan(step, states, inputs):
    # `ops.scan` on TensorFlow demands outputs shaped like the states, and its gradient
    # does not compile under XLA: both come from the arrays in which it keeps the states.
    import tensorflow as tf

    length = inputs.shape[0] if inputs.shape[0] is not None else tf.shape(inputs)[0]
    # The shapes of the outputs are wanted before the loop; the graph drops this step again.
    first, _ = step(inputs[0], states)
    # Read from an array: the gradient of `inputs[time]` would be of the size of all inputs.
    inputs = tf.TensorArray(inputs.dtype, length, element_shape=inputs.shape[1:]).unstack(inputs)
    arrays = tuple(
        tf.TensorArray(output.dtype, size=length, element_shape=output.shape) for output in first
    )

    def body(time, arrays, states):
        outputs_t, states = step(inputs.read(time), states)
        arrays = tuple(
            array.write(time, output) for array, output in zip(arrays, outputs_t, strict=True)
        )
        return time + 1, arrays, states

    _, arrays, states = tf.while_loop(
        lambda time, *_: time < length,
        body,
        (tf.constant(0), arrays, states),
        maximum_iterations=length,
    )
    return tuple(array.stack() for array in arrays), states

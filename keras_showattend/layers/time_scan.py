"""A differentiable loop over the time axis that every backend compiles."""

import functools

import keras
from keras import ops


def scan_time(step, states, inputs, kernels=()):
    """Runs `step` over the second axis of `inputs` and stacks what it returns.

    Args:
        step: function `(inputs_t, states, products) -> (outputs_t, states)`; `inputs_t`
            float[B, M], `states` a list of tensors, `products` what `products_of` gives of
            the kernels, `outputs_t` a tuple of tensors `[B, ...]`.
        states: list of tensors before the first step.
        inputs: float[B, T, M]; T may be unknown when a TensorFlow graph is traced.
        kernels: matrices float[N, G] by which each step multiplies a float[B, N], by
            `products` and exactly once each. On TensorFlow their gradient is then one
            product after the loop: the loop's own would write a matrix of the kernel's
            size at each step, which takes longer than the multiplication itself.

    Returns:
        Tuple `(outputs, states)`: every output stacked to `[B, T, ...]`, and the states
        after the last step.
    """
    inputs = ops.swapaxes(inputs, 0, 1)
    loop = _tensorflow_scan if keras.backend.backend() == "tensorflow" else _keras_scan
    outputs, states = loop(step, list(states), inputs, kernels)
    return tuple(ops.swapaxes(output, 0, 1) for output in outputs), states


def products_of(kernels):
    """For each matrix the function that multiplies by it, as a `step` takes them."""
    return tuple(functools.partial(_multiply, kernel) for kernel in kernels)


def _multiply(kernel, factor):
    return ops.matmul(factor, kernel)


def _keras_scan(step, states, inputs, kernels):
    products = products_of(kernels)

    def body(carry, inputs_t):
        outputs_t, new_states = step(inputs_t, carry, products)
        return new_states, outputs_t

    states, outputs = ops.scan(body, states, inputs)
    return outputs, states


def _tensorflow_scan(step, states, inputs, kernels):
    # `ops.scan` on TensorFlow demands outputs shaped like the states, and its gradient
    # does not compile under XLA: both come from the arrays in which it keeps the states.
    import tensorflow as tf

    length = inputs.shape[0] if inputs.shape[0] is not None else tf.shape(inputs)[0]
    # The shapes of the outputs are wanted before the loop; the graph drops this step again.
    first, _ = step(inputs[0], states, products_of(kernels))
    late = [_LateGradient(kernel, length, tf.shape(inputs)[1]) for kernel in kernels]
    # Read from an array: the gradient of `inputs[time]` would be of the size of all inputs.
    inputs = tf.TensorArray(inputs.dtype, length, element_shape=inputs.shape[1:]).unstack(inputs)
    arrays = tuple(
        tf.TensorArray(output.dtype, size=length, element_shape=output.shape) for output in first
    )

    def body(time, arrays, factors, states):
        products = [kernel.product(time) for kernel in late]
        outputs_t, states = step(inputs.read(time), states, products)
        arrays = tuple(
            array.write(time, output) for array, output in zip(arrays, outputs_t, strict=True)
        )
        factors = tuple(
            array.write(time, product.factor)
            for array, product in zip(factors, products, strict=True)
        )
        return time + 1, arrays, factors, states

    _, arrays, factors, states = tf.while_loop(
        lambda time, *_: time < length,
        body,
        (tf.constant(0), arrays, tuple(kernel.empty_factors() for kernel in late), states),
        maximum_iterations=length,
    )
    for kernel, array in zip(late, factors, strict=True):
        kernel.factors = array.stack()
    return tuple(array.stack() for array in arrays), states


class _LateGradient:
    """A kernel in a loop of TensorFlow whose gradient is computed after the loop.

    Each product has a zero added to it. The gradients by these zeros come out of the loop
    together, and one product with all the factors makes the kernel's gradient of them.
    """

    def __init__(self, kernel, length, rows):
        import tensorflow as tf

        self.kernel = tf.stop_gradient(kernel)
        # Transposed once: a product that transposes takes three times as long.
        self.transposed = tf.transpose(self.kernel)
        self.length = length
        self.factors = None
        size, units = kernel.shape

        @tf.custom_gradient
        def zeros(_):
            def gradient(upstream):
                factors = tf.reshape(self.factors, (-1, size))
                return tf.matmul(factors, tf.reshape(upstream, (-1, units)), transpose_a=True)

            return tf.zeros((length, rows, units), kernel.dtype), gradient

        array = tf.TensorArray(kernel.dtype, length, element_shape=(None, units))
        self.zeros = array.unstack(zeros(kernel))

    def empty_factors(self):
        import tensorflow as tf

        shape = (None, self.kernel.shape[0])
        return tf.TensorArray(self.kernel.dtype, self.length, element_shape=shape)

    def product(self, time):
        return _LateProduct(self, self.zeros.read(time))


class _LateProduct:
    def __init__(self, late, zero):
        self.late = late
        self.zero = zero
        self.factor = None

    def __call__(self, factor):
        import tensorflow as tf

        @tf.custom_gradient
        def multiply(factor, zero):
            def gradient(upstream):
                return tf.matmul(upstream, self.late.transposed), upstream

            return tf.matmul(factor, self.late.kernel) + zero, gradient

        self.factor = factor
        return multiply(factor, self.zero)

"""A differentiable loop over the time axis that every backend compiles."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_showattend._typing import Tensor

Product = Callable[[Tensor], Tensor]
Step = Callable[[Tensor, list[Tensor], Sequence[Product]], tuple[tuple[Tensor, ...], list[Tensor]]]


def scan_time(
    step: Step, states: Sequence[Tensor], inputs: Tensor, kernels: Sequence[Tensor] = ()
) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """Runs `step` over the second axis of `inputs` and stacks what it returns.

    Args:
        step: function `(inputs_t, states, products) -> (outputs_t, states)`; `inputs_t`
            float[B, M], `states` a list of tensors, `products` what `products_of` gives of
            the kernels, `outputs_t` a tuple of tensors `[B, ...]`.
        states: list of tensors before the first step.
        inputs: float[B, T, M]; T may be unknown when a TensorFlow graph is traced.
        kernels: matrices float[N, G] by which each step multiplies a float[B, N], by
            `products` and exactly once each. On TensorFlow, one product after the loop
            then gives the gradient of each. Inside the loop, a matrix of the kernel's size
            would be written at each step, which takes longer than the multiplication.

    Returns:
        Tuple `(outputs, states)`: every output stacked to `[B, T, ...]`, and the states
        after the last step.
    """
    inputs = ops.swapaxes(inputs, 0, 1)
    loop = _tensorflow_scan if keras.backend.backend() == "tensorflow" else _keras_scan
    outputs, states = loop(step, list(states), inputs, kernels)
    return tuple(ops.swapaxes(output, 0, 1) for output in outputs), states


def products_of(kernels: Sequence[Tensor]) -> tuple[Product, ...]:
    """Returns for each matrix the function that multiplies by it, as a `step` takes them."""
    return tuple(functools.partial(_multiply, kernel) for kernel in kernels)


def _multiply(kernel: Tensor, factor: Tensor) -> Tensor:
    return ops.matmul(factor, kernel)


def _keras_scan(
    step: Step, states: list[Tensor], inputs: Tensor, kernels: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    products = products_of(kernels)

    def body(carry: list[Tensor], inputs_t: Tensor) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        outputs_t, new_states = step(inputs_t, carry, products)
        return new_states, outputs_t

    states, outputs = ops.scan(body, states, inputs)
    return outputs, states


def _tensorflow_scan(
    step: Step, states: list[Tensor], inputs: Tensor, kernels: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    # `ops.scan` on TensorFlow keeps outputs in arrays made for the states: outputs must have
    # their shapes, and its gradient does not compile under XLA.
    import tensorflow as tf

    length = inputs.shape[0] if inputs.shape[0] is not None else tf.shape(inputs)[0]
    # This step gives the shapes of the outputs; the graph drops it again.
    first, _ = step(inputs[0], states, products_of(kernels))
    late = [_LateGradient(kernel, length, tf.shape(inputs)[1]) for kernel in kernels]
    # From an array, because the gradient of `inputs[time]` has the size of all inputs.
    inputs = tf.TensorArray(inputs.dtype, length, element_shape=inputs.shape[1:]).unstack(inputs)
    arrays = tuple(
        tf.TensorArray(output.dtype, size=length, element_shape=output.shape) for output in first
    )

    def body(time: Tensor, arrays: Any, factors: Any, states: list[Tensor]) -> tuple[Any, ...]:
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

    A zero is added to each product. The gradients with respect to these zeros leave the
    loop together; one product with all the factors turns them into the kernel's gradient.
    """

    def __init__(self, kernel: Tensor, length: Any, rows: Any) -> None:
        import tensorflow as tf

        self.kernel = tf.stop_gradient(kernel)
        # Once, because a product that transposes takes three times as long.
        self.transposed = tf.transpose(self.kernel)
        self.length = length
        self.factors: Tensor = None
        size, units = kernel.shape

        @tf.custom_gradient
        def zeros(_: Tensor) -> tuple[Tensor, Product]:
            def gradient(upstream: Tensor) -> Tensor:
                factors = tf.reshape(self.factors, (-1, size))
                return tf.matmul(factors, tf.reshape(upstream, (-1, units)), transpose_a=True)

            return tf.zeros((length, rows, units), kernel.dtype), gradient

        array = tf.TensorArray(kernel.dtype, length, element_shape=(None, units))
        self.zeros = array.unstack(zeros(kernel))

    def empty_factors(self) -> Any:
        import tensorflow as tf

        shape = (None, self.kernel.shape[0])
        return tf.TensorArray(self.kernel.dtype, self.length, element_shape=shape)

    def product(self, time: Tensor) -> "_LateProduct":
        return _LateProduct(self, self.zeros.read(time))


class _LateProduct:
    def __init__(self, late: _LateGradient, zero: Tensor) -> None:
        self.late = late
        self.zero = zero
        self.factor: Tensor = None

    def __call__(self, factor: Tensor) -> Tensor:
        import tensorflow as tf

        @tf.custom_gradient
        def multiply(factor: Tensor, zero: Tensor) -> tuple[Tensor, Any]:
            def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
                return tf.matmul(upstream, self.late.transposed), upstream

            return tf.matmul(factor, self.late.kernel) + zero, gradient

        self.factor = factor
        return multiply(factor, self.zero)

"""Inference with a Keras model: compiled, and safe to call from several threads."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_showattend._typing import Array


class CompiledModel:
    """Calls a model in the way that is fastest on its backend.

    `keras.Model.predict_on_batch` does not suit a server. On JAX it donates the weights to
    the computation, so that a second thread finds them deleted; on TensorFlow it warns of
    retracing when several models are in use.

    The first call with inputs of a new signature compiles, and other threads wait for it.
    Calls that update variables, such as the seed of a sampler, run one at a time.

    Args:
        model: a built `keras.Model`. Its weights are read at every call.
        jit_compile, run_eagerly: as for `keras.Model.compile`.
        updated_variables: list of the `keras.Variable`s of the model that a call updates.

    Call arguments:
        inputs: array, or a dict or tuple of arrays, whose first axis is the batch; scalars
            may be among them.

    Returns:
        What the model returns, as arrays or tensors of the backend.
    """

    def __init__(
        self,
        model: keras.Model,
        jit_compile: bool | str = "auto",
        run_eagerly: bool = False,
        updated_variables: Sequence[keras.Variable] = (),
    ) -> None:
        # Keras knows what "auto" stands for on each backend.
        model.compile(jit_compile=jit_compile, run_eagerly=run_eagerly)
        self.model = model
        self._run_eagerly = run_eagerly
        self._jit_compile = model.jit_compile and not run_eagerly
        self._updated_variables = list(updated_variables)
        self._functions: dict[str, Callable[[Any], Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, inputs: Any) -> Any:
        """Runs the model; see the class docstring."""
        if keras.backend.backend() != "jax" or self._run_eagerly:
            return self._run(inputs)
        # JAX compiles for every number of rows, which takes seconds.
        rows = num_rows(inputs)
        padded = 1 << (rows - 1).bit_length()
        outputs = self._run(pad_rows(inputs, padded))
        if padded == rows:
            return outputs
        return keras.tree.map_structure(lambda output: np.asarray(output)[:rows], outputs)

    @property
    def uses_xla(self) -> bool:
        """Whether TensorFlow compiles the model by XLA."""
        return keras.backend.backend() == "tensorflow" and self._jit_compile

    def _run(self, inputs: Any) -> Any:
        signature = str(keras.tree.map_structure(_signature, inputs))
        function = self._functions.get(signature)
        if function is not None and not self._updated_variables:
            return function(inputs)
        with self._lock:
            if signature not in self._functions:
                self._functions[signature] = self._function(inputs)
            return self._functions[signature](inputs)

    def _function(self, inputs: Any) -> Callable[[Any], Any]:
        """Makes the function that runs all inputs with the signature of these."""
        if keras.backend.backend() == "torch":
            return self._torch_function()
        if self._run_eagerly:
            return self._call_model
        if keras.backend.backend() == "jax":
            return self._jax_function()
        return self._tensorflow_function(inputs)

    def _call_model(self, inputs: Any) -> Any:
        return self.model(inputs, training=False)

    def _tensorflow_function(self, inputs: Any) -> Callable[[Any], Any]:
        import tensorflow as tf

        def spec(array: Array) -> tf.TensorSpec:
            return tf.TensorSpec([None, *array.shape[1:]] if array.ndim else [], array.dtype)

        function = tf.function(self._call_model, jit_compile=self._jit_compile or None)
        concrete = function.get_concrete_function(keras.tree.map_structure(spec, inputs))
        return lambda inputs: concrete(keras.tree.map_structure(tf.convert_to_tensor, inputs))

    def _jax_function(self) -> Callable[[Any], Any]:
        import jax

        variables = self.model.variables

        def call(values: list[Any], inputs: Any) -> Any:
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping) as scope:
                outputs = self._call_model(inputs)
            return outputs, [scope.get_current_value(v) for v in self._updated_variables]

        compiled = jax.jit(call) if self._jit_compile else call

        def run(inputs: Any) -> Any:
            outputs, updated = compiled([variable.value for variable in variables], inputs)
            for variable, value in zip(self._updated_variables, updated, strict=True):
                variable.assign(value)
            return outputs

        return run

    def _torch_function(self) -> Callable[[Any], Any]:
        import torch

        call = torch.compile(self._call_model) if self._jit_compile else self._call_model

        def run(inputs: Any) -> Any:
            with torch.no_grad():
                return call(inputs)

        return run


def _signature(array: Array) -> str:
    return f"{array.dtype} {array.ndim} {tuple(array.shape[1:])}"


def num_rows(inputs: Any) -> int:
    """Returns the length of the first axis of inputs, scalars left out."""
    return next(len(array) for array in keras.tree.flatten(inputs) if array.ndim)


def pad_rows(inputs: Any, rows: int) -> Any:
    """Repeats the last row of every array until there are `rows`; scalars stay as they are."""

    def pad(array: Array) -> Array:
        if not array.ndim or len(array) == rows:
            return array
        array = np.asarray(array)
        return np.concatenate([array, np.repeat(array[-1:], rows - len(array), axis=0)])

    return keras.tree.map_structure(pad, inputs)

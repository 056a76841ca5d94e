"""The image encoder on the Keras backend, in one precision or another."""

from typing import Any

import keras

from keras_showattend._typing import Array, Tensor
from keras_showattend.engines.compiled import CompiledModel


class KerasEncoder:
    """An image encoder compiled apart from the search that reads its annotations.

    XLA suits only one of the two: on a CPU it runs TensorFlow's convolutions more slowly,
    and the loop over words, which is many small operations, at twice the speed.

    Args:
        encoder: an `ImageEncoder`.
        dtype: dtype policy, e.g. `"mixed_bfloat16"`, in which a copy of the encoder, with
            its weights as they are now, computes. None is the encoder itself.
        **compile_options: `jit_compile` and `run_eagerly` of `keras.Model.compile`.

    Call arguments:
        images: float32[B, H, W, 3], normalized.

    Returns:
        float[B, L, D].
    """

    def __init__(self, encoder: Any, dtype: Any = None, **compile_options: Any) -> None:
        if dtype is not None:
            encoder = encoder.with_dtype(dtype)
        images = keras.Input(encoder.features.input_shape[1:])
        self._model = CompiledModel(keras.Model(images, encoder(images)), **compile_options)

    def __call__(self, images: Array) -> Tensor:
        """Encodes; see the class docstring."""
        return self._model(images)

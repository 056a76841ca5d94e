"""The image encoder in 8-bit integers, run by OpenVINO."""

import os
import tempfile
import threading
import warnings
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_showattend._typing import Array

MIN_SAMPLES = 16


class OpenVinoEncoder:
    """An image encoder that OpenVINO runs in 8-bit integers on the CPU.

    The kernel of every convolution is rounded to 255 steps for each filter, and its input
    to 256 steps over the range that the input has in sample images (Jacob et al. 2018,
    arXiv 1712.05877); sums are exact. Annotations differ by a few percent from those in
    float32.

    Args:
        encoder: an `ImageEncoder`. Its weights are copied as they are now.
        samples: float32[n, H, W, 3]. Normalized images like those to come; 32 are enough.

    Call arguments:
        images: float32[B, H, W, 3].

    Returns:
        float32[B, L, D], in NumPy.

    Raises:
        ValueError: on construction, on JAX, whose models OpenVINO cannot read.
    """

    def __init__(self, encoder: Any, samples: np.ndarray) -> None:
        if keras.backend.backend() == "jax":
            raise ValueError(
                "The engine 'openvino' reads what TensorFlow or PyTorch export: set "
                "KERAS_BACKEND=tensorflow. Received: the backend 'jax'"
            )
        import openvino

        core = openvino.Core()
        inputs = keras.Input(samples.shape[1:])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "encoder.xml")
            with warnings.catch_warnings():
                # On PyTorch Keras exports with functions that PyTorch has deprecated.
                warnings.simplefilter("ignore", DeprecationWarning)
                keras.Model(inputs, encoder(inputs)).export(path, format="openvino", verbose=False)
            model = core.read_model(path)
        quantize_convolutions(model, _input_ranges(core, model, samples))
        self._compiled = core.compile_model(model, "CPU")
        # A compiled model has one request, which a second thread would find busy.
        self._lock = threading.Lock()

    def __call__(self, images: Array) -> np.ndarray:
        """Encodes; see the class docstring."""
        with self._lock:
            return self._compiled(np.asarray(images, "float32"))[0]


def quantize_convolutions(model: Any, ranges: Iterable[np.ndarray]) -> None:
    """Makes OpenVINO compute the convolutions of a model in 8-bit integers.

    Args:
        model: `openvino.Model`, changed in place.
        ranges: float32[n, 2]. Smallest and largest input of each of the n convolutions.
    """
    import openvino.opset13 as ops

    for convolution, (low, high) in zip(_convolutions(model), ranges, strict=True):
        kernel = convolution.input_value(1)
        largest = np.abs(kernel.get_node().get_data()).max(axis=(1, 2, 3), keepdims=True)
        largest = np.maximum(largest, np.finfo("float32").tiny)
        quantized = ops.fake_quantize(kernel, -largest, largest, -largest, largest, 255)
        convolution.input(1).replace_source_output(quantized.output(0))

        # Zero must be one of the steps, because the edges are padded with it.
        low, high = min(low, 0.0), max(high, np.finfo("float32").tiny)
        step = (high - low) / 255
        low = -np.round(-low / step) * step
        bounds = [np.float32(low), np.float32(low + 255 * step)]
        source = convolution.input(0)
        # Pooling keeps the steps, and after rounding it reads a quarter of the bytes.
        while source.get_source_output().get_node().get_type_name() == "MaxPool":
            source = source.get_source_output().get_node().input(0)
        quantized = ops.fake_quantize(source.get_source_output(), *bounds, *bounds, 256)
        source.replace_source_output(quantized.output(0))
    model.validate_nodes_and_infer_types()


def _convolutions(model: Any) -> list[Any]:
    return [op for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]


def _input_ranges(core: Any, model: Any, samples: np.ndarray) -> np.ndarray:
    import openvino
    import openvino.opset13 as ops

    model = model.clone()
    axes = ops.constant(np.arange(4))
    inputs = [convolution.input_value(0) for convolution in _convolutions(model)]
    ends = [end(value, axes, False) for value in inputs for end in (ops.reduce_min, ops.reduce_max)]
    probe = openvino.Model([ops.result(end) for end in ends], model.get_parameters())
    # OpenVINO would use bfloat16 where the processor has it.
    compiled = core.compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    each = [np.stack(list(compiled(sample[None]).values())) for sample in samples]
    seen = np.stack(each).reshape(len(samples), -1, 2)
    return np.stack([seen[..., 0].min(axis=0), seen[..., 1].max(axis=0)], axis=1)

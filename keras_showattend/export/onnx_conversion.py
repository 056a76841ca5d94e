"""TensorFlow functions to ONNX graphs that waste nothing."""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from keras_showattend.export.onnx_passes import (
    all_graphs,
    hoist_invariants,
    sum_repeated_indices,
)

# The first with antialiased resizing; ONNX Runtime for browsers runs it.
OPSET = 18


def to_onnx(
    function: Callable[..., dict[str, Any]], **inputs: tuple[str, tuple[int | None, ...]]
) -> Any:
    """Converts a function of TensorFlow with the weights that it reads.

    Args:
        function: takes tensors and returns a dict of them.
        **inputs: dtype and shape of each argument, by its name.

    Returns:
        `onnx.ModelProto`; its inputs and outputs are named as those of the function.
    """
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec(shape, dtype, name) for name, (dtype, shape) in inputs.items()]
    with _quiet_and_quick():
        model, _ = tf2onnx.convert.from_function(
            tf.function(function, input_signature=signature),
            input_signature=signature,
            opset=OPSET,
            custom_op_handlers={"SelectV2": (_where, [])},
        )
    sum_repeated_indices(model.graph)
    hoist_invariants(model.graph)
    return model


def _where(context: Any, node: Any, name: str, arguments: list[Any]) -> None:
    # By itself the converter multiplies both sides by 0 or 1 and adds them.
    node.type = "Where"


@contextlib.contextmanager
def _quiet_and_quick() -> Iterator[None]:
    """Keeps the converter's log and deprecations, which tell the user nothing, from stderr."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    # Otherwise it copies the graph before each of its passes, half of the time.
    variable = "TF2ONNX_CATCH_ERRORS"
    before = os.environ.get(variable)
    os.environ[variable] = "FALSE"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        del os.environ[variable]
        if before is not None:
            os.environ[variable] = before


def optimized(model: Any) -> Any:
    """Lets ONNX Runtime fold constants and drop what does nothing, within ONNX's operators."""
    import onnx
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        settings.optimized_model_filepath = os.path.join(folder, "captioner.onnx")
        onnxruntime.InferenceSession(
            model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        optimized = onnx.load(settings.optimized_model_filepath)
    # The runtime lists all the sets of operators that it knows.
    used = {node.domain for graph in all_graphs(optimized.graph) for node in graph.node}
    for opset in reversed(list(optimized.opset_import)):
        if opset.domain not in used:
            optimized.opset_import.remove(opset)
    return optimized

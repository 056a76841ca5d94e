"""A captioner as one ONNX file."""

import contextlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras_showattend
from keras_showattend._files import replacing
from keras_showattend._typing import PathLike
from keras_showattend.export.graph import caption_function
from keras_showattend.export.layout import KEY, OUTPUTS
from keras_showattend.export.metadata import captioner_metadata
from keras_showattend.export.onnx_passes import (
    all_graphs,
    hoist_invariants,
    hoist_weights,
    sum_repeated_indices,
)
from keras_showattend.export.onnx_weights import store_weights
from keras_showattend.search import SearchOptions

# The first with antialiased resizing; ONNX Runtime for browsers runs it.
OPSET = 18
IR_VERSION = 8
# Fits any image to the encoder as `load_image` does: squashed, or its central window cut out.
# Whole pixels go in, because runtimes then round as Pillow does.
_RESIZE = """
<ir_version: 8, opset_import: ["" : 18]>
fit (uint8[B, H, W, 3] images) => (uint8[B, {height}, {width}, 3] fitted)
{{
  batch = Shape<start = 0, end = 1> (images)
  size = Constant<value_ints = [{height}, {width}, 3]> ()
  fitted_shape = Concat<axis = 0> (batch, size)
  {window}
  fitted = Resize<mode = "linear", antialias = 1, exclude_outside = 1> (window, , , fitted_shape)
}}
"""
_WHOLE = "window = Identity (images)"
_CENTRAL = """
  image_shape = Shape<start = 1, end = 3> (images)
  sides = Cast<to = 11> (image_shape)
  aspect = Constant<value_floats = [{height}.0, {width}.0]> ()
  wanted = Cast<to = 11> (aspect)
  factors = Div (sides, wanted)
  factor = ReduceMin<keepdims = 1> (factors)
  exact = Mul (wanted, factor)
  near = Round (exact)
  whole = Cast<to = 7> (near)
  one = Constant<value_ints = [1]> ()
  window_shape = Max (whole, one)
  margin = Sub (image_shape, window_shape)
  two = Constant<value_ints = [2]> ()
  start = Div (margin, two)
  end = Add (start, window_shape)
  axes = Constant<value_ints = [1, 2]> ()
  window = Slice (images, start, end, axes)
"""


def write_onnx(
    captioner: Any, path: PathLike, options: SearchOptions, quantization: str | None = None
) -> None:
    """Writes a captioner as one ONNX file that ONNX Runtime, or another runtime, runs alone.

    The graph has the input `images` uint8[B, H, W, 3], RGB, of any size, and the outputs of
    `caption_function`. Only operators of ONNX itself are used.

    Args:
        captioner: an `ImageCaptioner` with its preprocessor.
        path: path of the file; replaced when the new one is complete.
        options: `SearchOptions` with a number of beams.
        quantization: see `ImageCaptioner.export`.
    """
    import onnx

    metadata = captioner_metadata(captioner, options, quantization)
    model = _optimized(_with_resizing(_converted(captioner, options), metadata))
    hoist_weights(model.graph)
    if quantization is not None:
        store_weights(model.graph, quantization)
    _describe(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    with replacing(path) as partial:
        onnx.save(model, partial)


def _converted(captioner: Any, options: SearchOptions) -> Any:
    """Converts the network and the search, from pixels of the encoder's size."""
    import tensorflow as tf
    import tf2onnx

    size = captioner.preprocessor.image_converter.image_size
    signature = [tf.TensorSpec((None, *size, 3), tf.uint8, name="pixels")]
    function = tf.function(caption_function(captioner, options), input_signature=signature)
    with _quiet():
        model, _ = tf2onnx.convert.from_function(
            function,
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
def _quiet() -> Iterator[None]:
    """Keeps the converter's log and deprecations, which say nothing to the user, from stderr."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _with_resizing(model: Any, metadata: Mapping[str, Any]) -> Any:
    """Puts the graph that fits images of any size before the network."""
    import onnx

    height, width = metadata["image_size"]
    window = _CENTRAL if metadata["crop_to_aspect_ratio"] else _WHOLE
    window = window.format(height=height, width=width)
    text = _RESIZE.format(height=height, width=width, window=window)
    front = onnx.compose.add_prefix(
        onnx.parser.parse_model(text), "fit/", rename_inputs=False, rename_outputs=False
    )
    model.ir_version = front.ir_version = IR_VERSION
    return onnx.compose.merge_models(front, model, io_map=[("fitted", "pixels")])


def _optimized(model: Any) -> Any:
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


def _describe(model: Any, metadata: Mapping[str, Any]) -> None:
    import onnx

    model.producer_name = "keras-showattend"
    model.producer_version = keras_showattend.__version__
    model.doc_string = "Image captioning: uint8 RGB images to ranked captions."
    onnx.helper.set_model_props(model, {KEY: json.dumps(metadata, ensure_ascii=False)})
    graph = model.graph
    graph.name = "captioner"
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "B"
    outputs = {output.name: output for output in graph.output}
    for output in outputs.values():
        output.type.tensor_type.shape.dim[0].dim_param = "B"
    ordered = [onnx.ValueInfoProto.FromString(outputs[n].SerializeToString()) for n in OUTPUTS]
    del graph.output[:]
    graph.output.extend(ordered)

"""A captioner as one ONNX file."""

import json
from collections.abc import Mapping
from typing import Any

import keras_showattend
from keras_showattend._files import replacing
from keras_showattend._typing import PathLike
from keras_showattend.export.graph import caption_function
from keras_showattend.export.layout import KEY, OUTPUTS
from keras_showattend.export.metadata import captioner_metadata
from keras_showattend.export.onnx_conversion import optimized, to_onnx
from keras_showattend.export.onnx_passes import hoist_weights
from keras_showattend.export.onnx_weights import store_weights
from keras_showattend.search import SearchOptions

# What ONNX Runtime for browsers reads.
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
    model = onnx_model(captioner, options, quantization, metadata)
    with replacing(path) as partial:
        onnx.save(model, partial)


def onnx_model(
    captioner: Any, options: SearchOptions, quantization: str | None, metadata: Mapping[str, Any]
) -> Any:
    """Returns the `onnx.ModelProto` that `write_onnx` writes.

    Args:
        captioner, options, quantization: see `write_onnx`.
        metadata: dict from `captioner_metadata`.
    """
    import onnx

    size = captioner.preprocessor.image_converter.image_size
    model = to_onnx(caption_function(captioner, options), pixels=("uint8", (None, *size, 3)))
    model = optimized(_with_resizing(model, metadata))
    hoist_weights(model.graph)
    if quantization is not None:
        store_weights(model.graph, quantization)
    _describe(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


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

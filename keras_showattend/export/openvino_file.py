"""A captioner as OpenVINO's pair of files, `.xml` and `.bin`."""

import json
import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

from keras_showattend._files import replacing
from keras_showattend._typing import PathLike
from keras_showattend.export.layout import KEY
from keras_showattend.export.metadata import captioner_metadata
from keras_showattend.export.onnx_file import onnx_model
from keras_showattend.search import SearchOptions


def write_openvino(
    captioner: Any, path: PathLike, options: SearchOptions, quantization: str | None = None
) -> None:
    """Writes a captioner as OpenVINO reads it; the graph is the one of `write_onnx`.

    Args:
        captioner, options, quantization: see `write_onnx`.
        path: path of the `.xml` file; the weights lie beside it, in a `.bin` file of the same
            name. Both are replaced when the new ones are complete.
    """
    import openvino

    metadata = captioner_metadata(captioner, options, quantization)
    # OpenVINO has its own way to store 16 bits.
    stored = None if quantization == "float16" else quantization
    onnx = onnx_model(captioner, options, stored, metadata)
    model = openvino.Core().read_model(onnx.SerializeToString())
    _resize_as_pillow(model, metadata["image_size"])
    model.set_rt_info(json.dumps(metadata, ensure_ascii=False), [KEY])
    target = pathlib.Path(path)
    with tempfile.TemporaryDirectory(dir=target.absolute().parent) as folder:
        xml = pathlib.Path(folder, target.name)
        openvino.save_model(model, xml, compress_to_fp16=quantization == "float16")
        with replacing(target.with_suffix(".bin")) as weights, replacing(target) as graph:
            os.replace(xml.with_suffix(".bin"), weights)
            os.replace(xml, graph)


def _resize_as_pillow(model: Any, size: Sequence[int]) -> None:
    """Replaces the resizing of images, because OpenVINO leaves its antialiasing out."""
    import numpy as np
    import openvino.opset13 as ops

    for node in model.get_ordered_ops():
        if node.get_type_name() == "Interpolate":
            resized = ops.interpolate(
                node.input_value(0),
                ops.constant(np.array(size, "int64")),
                "bilinear_pillow",
                "sizes",
                axes=ops.constant(np.array([1, 2], "int64")),
            )
            node.output(0).replace(resized.output(0))
    model.validate_nodes_and_infer_types()

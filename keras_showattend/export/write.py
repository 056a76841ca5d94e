"""Writes a captioner in a format of another runtime."""

from typing import Any

import keras

from keras_showattend._typing import PathLike
from keras_showattend.export.check import check_export, format_of
from keras_showattend.export.graph import require_tensorflow
from keras_showattend.export.litert_file import write_litert
from keras_showattend.export.onnx_file import write_onnx
from keras_showattend.export.openvino_file import write_openvino
from keras_showattend.export.saved_model import write_saved_model


def export_captioner(
    captioner: Any,
    path: PathLike,
    format: str | None = None,
    *,
    quantization: str | None = None,
    **search_options: Any,
) -> None:
    """Exports a captioner; see `ImageCaptioner.export`."""
    format = format or format_of(path)
    check_export(path, format, quantization)
    options, sampler = captioner.search_options(**search_options).resolve(captioner.sampler)
    if sampler is not None:
        raise ValueError(
            "A search is exported, and this captioner draws its captions: pass `num_beams`, 1 "
            f"for greedy search. Received: sampler={type(sampler).__name__}"
        )
    if options.cautious is not None:
        raise ValueError(
            "An exported captioner takes words as they come: leave `cautious` out. "
            f"Received: cautious={options.cautious!r}"
        )
    _require_float32(captioner.backbone)
    writers = {
        "litert": write_litert,
        "onnx": write_onnx,
        "openvino": write_openvino,
        "tf_saved_model": write_saved_model,
    }
    require_tensorflow()
    writers[format](captioner, path, options, quantization)


def _require_float32(backbone: Any) -> None:
    layers = (backbone.image_encoder, backbone.decoder)
    dtypes = {keras.backend.standardize_dtype(weight.dtype) for weight in backbone.weights}
    found = {*dtypes, *(layer.compute_dtype for layer in layers)} - {"float32"}
    if found:
        raise ValueError(
            "A captioner is exported that has float32 weights and computes in float32: load it "
            "anew without `dtype` and `quantize`, and pass `quantization` to store fewer bits. "
            f"Received: {sorted(found)}"
        )

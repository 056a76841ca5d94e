"""What can be exported where, checked without importing Keras, which takes seconds."""

import importlib.util
import os
import pathlib

from keras_showattend._files import check_new_folder, check_output_file
from keras_showattend._install import install_advice
from keras_showattend._typing import PathLike

# Each format: the extra that brings what writes it, and the modules it consists of.
FORMATS = {
    "onnx": ("onnx", ("onnx", "onnxruntime", "tf2onnx")),
    "openvino": ("openvino", ("openvino", "onnx", "onnxruntime", "tf2onnx")),
    "litert": ("", ()),
    "tf_saved_model": ("", ()),
}
QUANTIZATIONS = (None, "float16", "int8")
# What the names of files end in.
_SUFFIXES = {".onnx": "onnx", ".tflite": "litert", ".xml": "openvino"}


def format_of(path: PathLike) -> str:
    """Returns the format that the name of a file stands for.

    Raises:
        ValueError: if it ends in nothing that is known.
    """
    suffix = pathlib.Path(path).suffix
    if suffix not in _SUFFIXES:
        raise ValueError(
            f"The name of the file tells the format, by one of {list(_SUFFIXES)}: end it so, or "
            f"pass `format`, `--format`. Received: '{os.fspath(path)}'"
        )
    return _SUFFIXES[suffix]


def check_export(path: PathLike, format: str, quantization: str | None = None) -> None:
    """Refuses an export that cannot succeed, before a captioner is loaded.

    Args:
        path, format, quantization: see `ImageCaptioner.export`.

    Raises:
        FileNotFoundError: if the folder of a file does not exist.
        IsADirectoryError: if there is a folder where a file is to be.
        ModuleNotFoundError: if a package is missing; says how to install it.
        ValueError: for an unknown `format` or `quantization`, or something where the folder of a
            SavedModel is to be.
    """
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {sorted(FORMATS)}. Received: format={format!r}")
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"`quantization` must be one of {QUANTIZATIONS}. Received: {quantization=}"
        )
    if format == "tf_saved_model" and quantization is not None:
        raise ValueError(
            "A SavedModel holds weights in float32: leave `quantization` out, or choose another "
            f"format. Received: format={format!r}, {quantization=}"
        )
    if format == "tf_saved_model":
        check_new_folder(path)
    else:
        check_output_file(path)
    missing = _missing(format)
    if missing:
        raise ModuleNotFoundError(
            f"The format {format!r} needs more packages. Install them: "
            f"{install_advice(FORMATS[format][0])}. Received: no module named {missing[0]!r}"
        )


def can_export(format: str) -> bool:
    """Whether the packages that write a format are installed."""
    return not _missing(format)


def _missing(format: str) -> list[str]:
    return [name for name in FORMATS[format][1] if importlib.util.find_spec(name) is None]

"""Reads what an exported captioner says of itself, without TensorFlow or Keras."""

import json
import os
from typing import Any

from keras_showattend._install import install_advice, upgrade_advice
from keras_showattend._typing import PathLike
from keras_showattend.export.layout import FORMAT_VERSION, KEY


def open_onnx(path: PathLike, threads: int = 0) -> tuple[Any, dict[str, Any]]:
    """Loads an exported captioner into ONNX Runtime.

    Args:
        path: path of an ONNX file that `ImageCaptioner.export` wrote.
        threads: int. Threads that compute; 0 is one for each core.

    Returns:
        Tuple of an `onnxruntime.InferenceSession` and the metadata; see
        `captioner_metadata`.

    Raises:
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: without ONNX Runtime; says how to install it.
        ValueError: for a file that is damaged, no exported captioner, or of a newer version.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "An exported captioner runs in ONNX Runtime. Install it: "
            f"{install_advice('runtime')}. Received: {error}"
        ) from error
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise FileNotFoundError(
            "An exported captioner is a file that `captioner.export(path)` wrote: check the path. "
            f"Received: '{name}'"
        )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(name, settings, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map.get(KEY)
    except Exception as error:
        # ONNX Runtime has an exception of its own for each kind of damage.
        raise ValueError(
            "The file must be an ONNX file that `captioner.export(path)` wrote. It is damaged or "
            f"something else: copy it again, or export anew. Received: '{name}' ({error})"
        ) from error
    if text is None:
        raise ValueError(
            "The file must be one that `captioner.export(path)` wrote, with a vocabulary in its "
            f"metadata. Received: '{name}', an ONNX file of another program"
        )
    metadata = json.loads(text)
    if metadata["format_version"] > FORMAT_VERSION:
        raise ValueError(
            f"The file was written by a newer version of this package. {upgrade_advice()} "
            f"Received: '{name}' of keras-showattend {metadata['package_version']}"
        )
    return session, metadata


def read_metadata(path: PathLike) -> dict[str, Any]:
    """Returns the metadata of an exported captioner; see `captioner_metadata`.

    Args:
        path: path of an ONNX file that `ImageCaptioner.export` wrote.

    Raises:
        FileNotFoundError, ModuleNotFoundError, ValueError: see `open_onnx`.
    """
    return open_onnx(path)[1]

"""A captioner as one LiteRT file (`.tflite`), for phones and small devices."""

import json
import pathlib
import tempfile
import warnings
from typing import Any

from keras_showattend._files import replacing, write_text
from keras_showattend._typing import PathLike
from keras_showattend.export.metadata import captioner_metadata
from keras_showattend.export.saved_model import save_folder
from keras_showattend.search import SearchOptions


def write_litert(
    captioner: Any, path: PathLike, options: SearchOptions, quantization: str | None = None
) -> None:
    """Writes a captioner as a LiteRT file of built-in operators, its search included.

    The signature `serve` takes `images` uint8[B, H, W, 3] and returns the dict of
    `caption_function`. The metadata lie beside the file, in `NAME.json`.

    Args:
        captioner, options: see `write_onnx`.
        path: path of the file; replaced when the new one is complete.
        quantization: None; `"float16"`; or `"int8"`, where matrices are multiplied, and
            convolutions computed, in 8-bit integers with ranges taken from each input.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # TensorFlow announces that its converter will move to another package.
        warnings.simplefilter("ignore")
        save_folder(captioner, folder, options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serve"])
        if quantization is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
    with replacing(path) as partial:
        partial.write_bytes(content)
    metadata = captioner_metadata(captioner, options, quantization)
    text = json.dumps(metadata, ensure_ascii=False)
    write_text(pathlib.Path(path).with_suffix(".json"), text)

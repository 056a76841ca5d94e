"""A captioner as a SavedModel, the folder that TensorFlow Serving and TensorFlow read."""

import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import keras

from keras_showattend._typing import PathLike, Tensor
from keras_showattend.export.graph import caption_function, require_tensorflow
from keras_showattend.export.metadata import captioner_metadata
from keras_showattend.export.resizing import fit_images
from keras_showattend.search import SearchOptions

# Where TensorFlow keeps files that no graph reads.
METADATA = os.path.join("assets.extra", "captioner.json")


def write_saved_model(
    captioner: Any, path: PathLike, options: SearchOptions, quantization: str | None = None
) -> None:
    """Writes a captioner as a SavedModel.

    Its signatures `serve` and `serving_default` take `images` uint8[B, H, W, 3] and return the
    dict of `caption_function`. The metadata lie in `assets.extra/captioner.json`.

    Args:
        captioner, options: see `write_onnx`.
        path: path of the folder, which must not exist, or be empty.
        quantization: must be None.
    """
    target = pathlib.Path(path)
    with tempfile.TemporaryDirectory(dir=target.absolute().parent) as scratch:
        folder = os.path.join(scratch, target.name)
        save_folder(captioner, folder, options)
        metadata = captioner_metadata(captioner, options, quantization)
        (pathlib.Path(folder) / METADATA).parent.mkdir()
        (pathlib.Path(folder) / METADATA).write_text(
            json.dumps(metadata, ensure_ascii=False), encoding="utf-8"
        )
        if target.is_dir():
            target.rmdir()
        shutil.move(folder, target)


def save_folder(captioner: Any, folder: str, options: SearchOptions) -> None:
    """Writes the SavedModel itself."""
    tf = require_tensorflow()
    archive = keras.export.ExportArchive()
    archive.track(captioner.backbone)
    archive.add_endpoint(
        "serve",
        any_size_function(captioner, options),
        [tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")],
    )
    archive.write_out(folder, verbose=False)


def any_size_function(
    captioner: Any, options: SearchOptions
) -> Callable[[Tensor], dict[str, Tensor]]:
    """Returns `caption_function` of images of any size."""
    converter = captioner.preprocessor.image_converter
    caption = caption_function(captioner, options)

    def serve(images: Tensor) -> dict[str, Tensor]:
        return caption(fit_images(images, converter.image_size, converter.crop_to_aspect_ratio))

    return serve

"""A captioner as a SavedModel, the folder that TensorFlow Serving and TensorFlow read."""

import json
from collections.abc import Callable
from typing import Any

import keras

from keras_showattend._files import new_folder, write_text
from keras_showattend._typing import PathLike, Tensor
from keras_showattend.export.graph import caption_function, require_tensorflow
from keras_showattend.export.metadata import captioner_metadata
from keras_showattend.export.resizing import fit_images
from keras_showattend.search import SearchOptions

# Where TensorFlow keeps files that no graph reads.
METADATA = "assets.extra/captioner.json"


def write_saved_model(
    captioner: Any, path: PathLike, options: SearchOptions, quantization: str | None = None
) -> None:
    """Writes a captioner as a SavedModel.

    Its signatures `serve` and `serving_default` take `images` uint8[B, H, W, 3] and return the
    dict of `caption_function`. The metadata lie in `assets.extra/captioner.json`.

    Args:
        captioner, options: see `write_onnx`.
        path: path of the folder, which must be new or empty. Folders above it are made.
        quantization: must be None.
    """
    with new_folder(path) as folder:
        save_folder(captioner, str(folder), options)
        metadata = captioner_metadata(captioner, options, quantization)
        (folder / METADATA).parent.mkdir()
        write_text(folder / METADATA, json.dumps(metadata, ensure_ascii=False))


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

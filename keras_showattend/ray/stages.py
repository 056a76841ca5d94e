"""Stages for `ray.data.Dataset.map_batches`: decode images, caption them. No Ray in here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_showattend._text import is_url
from keras_showattend.data.storage import locate, read_bytes
from keras_showattend.preprocessing.images import ImageError, load_image
from keras_showattend.ray.preset_files import PresetFiles

Batch = dict[str, Any]
NAN = float("nan")


class DecodeImages:
    """Decodes the images of a batch to the encoder's size; imports neither Keras nor Ray.

    Args:
        image_size: `(height, width)` of the captioner's `image_converter`.
        crop_to_aspect_ratio: bool, as the `image_converter` has it. Defaults to False.
        accept_truncated: see `CaptionImageConverter`. Defaults to False.
        image_column: str. Column of images: bytes of files, paths, URIs, arrays, or
            structs of `bytes` and `path`, as Hugging Face `datasets` write them.

    Call arguments:
        batch: dict of columns.

    Returns:
        The dict without `image_column` and with `pixels` uint8[B, H, W, 3] and `error`, a
        str or None for each row. Pixels of a row with an error are 0.
    """

    def __init__(
        self,
        image_size: Sequence[int] = (224, 224),
        *,
        crop_to_aspect_ratio: bool = False,
        accept_truncated: bool = False,
        image_column: str = "image",
    ) -> None:
        height, width = image_size
        self.image_size = (int(height), int(width))
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.accept_truncated = accept_truncated
        self.image_column = image_column

    def __call__(self, batch: Mapping[str, Any]) -> Batch:
        """Decodes a batch; see the class docstring."""
        images, errors = _images_and_errors(batch, self.image_column)
        pixels = np.zeros((len(images), *self.image_size, 3), np.uint8)
        for row, image in enumerate(images):
            if errors[row] is None:
                try:
                    pixels[row] = self._decode(image)
                except (ImageError, OSError) as error:
                    errors[row] = _message(error)
        others = {name: values for name, values in batch.items() if name != self.image_column}
        return {**others, "pixels": pixels, "error": np.array(errors, object)}

    def _decode(self, image: Any) -> np.ndarray:
        return load_image(
            image_source(image),
            self.image_size,
            crop=self.crop_to_aspect_ratio,
            accept_truncated=self.accept_truncated,
        )


class CaptionImages:
    """Captions the images of a batch, in an actor that loads the captioner once.

    An actor works best on one core: set `OMP_NUM_THREADS`, `TF_NUM_INTRAOP_THREADS` and
    `TF_NUM_INTEROP_THREADS` to 1 in its environment, as `caption_rows` does.

    Args:
        preset: bundled name, folder that every node sees, handle such as `"hf://user/name"`,
            or `PresetFiles`.
        engine, dtype: see `ImageCaptioner.use_engine`.
        samples: images that the engine `"openvino"` is shown beforehand.
        batch_size: int. Images that are encoded together. Defaults to 16.
        image_column: str. Column of images; see `DecodeImages`, whose `pixels` go first.
        **options: `num_beams`, `length_penalty`, `no_repeat_ngram_size`, `max_length` and
            `cautious` of `ImageCaptioner.generate`, whose defaults None stands for.

    Call arguments:
        batch: dict of columns.

    Returns:
        The dict without `pixels` and with a str `caption`, float `log_probability`, `score` and
        `confidence`, bool `complete`, and `error`, a str or None, for each row. A row that
        cannot be captioned has its error, an empty caption, NaN and False. `confidence` is
        NaN for a captioner without a calibration.

    Raises:
        ValueError, ModuleNotFoundError: on construction; see `ImageCaptioner.from_preset` and
            `ImageCaptioner.use_engine`.
    """

    def __init__(
        self,
        preset: Any,
        *,
        engine: str = "keras",
        dtype: str | None = None,
        samples: Sequence[Any] = (),
        batch_size: int = 16,
        image_column: str = "image",
        **options: Any,
    ) -> None:
        from keras_showattend import ImageCaptioner

        with PresetFiles.folder(preset) as folder:
            self.captioner: Any = ImageCaptioner.from_preset(folder)
        self.captioner.use_engine(engine, samples, dtype=dtype)
        self._options = {name: value for name, value in options.items() if value is not None}
        self.captioner.search_options(**self._options)
        self._batch_size = batch_size
        self._image_column = image_column

    def __call__(self, batch: Mapping[str, Any]) -> Batch:
        """Captions a batch; see the class docstring."""
        name = "pixels" if "pixels" in batch else self._image_column
        images, errors = _images_and_errors(batch, name)
        sources = []
        for row, image in enumerate(images):
            if errors[row] is None:
                try:
                    sources.append(image_source(image))
                except (ImageError, OSError) as error:
                    errors[row] = _message(error)
        stream = self.captioner.generate_stream(
            sources, batch_size=self._batch_size, **self._options
        )
        rows = [self._row(next(stream) if error is None else error) for error in errors]
        added = {
            "caption": np.array([row["caption"] for row in rows], object),
            "log_probability": np.array([row["log_probability"] for row in rows], float),
            "score": np.array([row["score"] for row in rows], float),
            "confidence": np.array([row["confidence"] for row in rows], float),
            "complete": np.array([row["complete"] for row in rows], bool),
            "error": np.array([row["error"] for row in rows], object),
        }
        return {name: values for name, values in batch.items() if name != "pixels"} | added

    def _row(self, found: Any) -> Batch:
        if isinstance(found, Exception | str):
            row = dict.fromkeys(("log_probability", "score", "confidence"), NAN)
            return {**row, "caption": "", "complete": False, "error": str(found)}
        best = found[0]
        return {
            "caption": best.text,
            "log_probability": round(best.log_probability, 6),
            "score": round(best.score, 6),
            "confidence": NAN if best.confidence is None else round(best.confidence, 4),
            "complete": best.complete,
            "error": None,
        }


def image_source(value: Any) -> Any:
    """Turns the value of an image column into what `load_image` takes.

    Raises:
        ImageError: for a row without an image.
        OSError: if a URI cannot be read.
    """
    if isinstance(value, Mapping):
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
    if value is None:
        raise ImageError("Each row needs an image: leave the row out. Received: None")
    if isinstance(value, str | os.PathLike) and is_url(os.fspath(value)):
        location = locate(value)
        return read_bytes(location.filesystem, location.path)
    return np.asarray(value, np.uint8) if isinstance(value, list) else value


def _images_and_errors(batch: Mapping[str, Any], name: str) -> tuple[Any, list[str | None]]:
    if name not in batch:
        raise ValueError(
            "Rows need a column of images: name it with `image_column`. "
            f"Received: image_column={name!r}, of the columns {sorted(batch)}"
        )
    images = batch[name]
    errors = batch.get("error", [None] * len(images))
    # Ray gives back a column of None as NaN.
    return images, [error if isinstance(error, str) else None for error in errors]


def _message(error: Exception) -> str:
    if isinstance(error, ImageError):
        return str(error)
    return f"The image could not be fetched: {error}"

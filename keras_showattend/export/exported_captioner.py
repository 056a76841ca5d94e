"""`ExportedCaptioner`: captions without TensorFlow or Keras in the process."""

import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_showattend._typing import PathLike
from keras_showattend.export.read import open_onnx
from keras_showattend.preprocessing.images import ImageError, as_image_list, load_image
from keras_showattend.preprocessing.vocabulary import join_words
from keras_showattend.search.hypothesis import CaptionHypothesis, hypotheses
from keras_showattend.search.streaming import as_captions, check_on_error, stream_captions


class ExportedCaptioner:
    """Captions images with a file that `ImageCaptioner.export` wrote.

    It needs NumPy, Pillow and ONNX Runtime, and starts within a second or so. Captions are
    those of the captioner that was exported; the search is the one of the file.

    Args:
        path: path of an ONNX file.
        threads: int. Threads that compute; 0, the default, is one for each core.

    Attributes:
        metadata: dict; see docs/export.md.

    Raises:
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: without ONNX Runtime; says how to install it.
        ValueError: for a file that is damaged, no exported captioner, or of a newer version.

    Example:

    ```python
    captioner = ExportedCaptioner("captioner.onnx")
    captioner.generate("photo.jpg")
    ```
    """

    def __init__(self, path: PathLike, threads: int = 0) -> None:
        self._session, self.metadata = open_onnx(path, threads)
        self._names = [output.name for output in self._session.get_outputs()]
        self._vocabulary = _Vocabulary(self.metadata)
        self._load = functools.partial(
            load_image,
            size=tuple(self.metadata["image_size"]),
            crop=self.metadata["crop_to_aspect_ratio"],
        )

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the graph on arrays.

        Args:
            images: uint8[B, H, W, 3], RGB, of any size.

        Returns:
            Dict, best beam first: `token_ids` int32[B, K, T], `log_probabilities`
            float32[B, K], `scores` float32[B, K], `word_probabilities` float32[B, K, T] and
            `attention_maps` float32[B, K, T, rows, columns].

        Raises:
            ValueError: for arrays of another kind or shape, or without an image.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or not images.size:
            raise ValueError(
                "The graph takes uint8 arrays [B, H, W, 3], RGB, with an image at least; "
                "`generate` takes images of any kind. "
                f"Received: {images.dtype} array {images.shape}"
            )
        outputs = self._session.run(None, {"images": images})
        return dict(zip(self._names, outputs, strict=True))

    def generate(
        self,
        images: Any,
        *,
        return_all_beams: bool = False,
        capitalize: bool = True,
        batch_size: int = 16,
        on_error: str = "raise",
    ) -> Any:
        """Describes one image or many.

        Several threads may call it at once.

        Args:
            images, return_all_beams, capitalize, batch_size, on_error: see
                `ImageCaptioner.generate`; no `tf.data.Dataset` and no features.

        Returns:
            str for one image, a list of str in the images' order for several; with
            `return_all_beams` a list of `CaptionHypothesis` in place of each str.

        Raises:
            ImageError: if an image cannot be read; says which and what to do.
            ValueError: for an unknown `on_error`.
        """
        check_on_error(on_error)
        sources, is_single = as_image_list(images)
        found = self._stream(sources, capitalize, batch_size, on_error == "raise")
        return as_captions(found, is_single, return_all_beams)

    def generate_stream(
        self, images: Iterable[Any], *, capitalize: bool = True, batch_size: int = 16
    ) -> Iterator[list[CaptionHypothesis] | Exception]:
        """Describes any number of images with flat memory, and continues after bad ones.

        Args:
            images, capitalize, batch_size: see `ImageCaptioner.generate_stream`.

        Yields:
            For each image, in order, a list of `CaptionHypothesis`, best first, or the
            `ImageError` that tells why it could not be read.
        """
        return self._stream(images, capitalize, batch_size)

    def _stream(
        self,
        sources: Iterable[Any],
        capitalize: bool,
        batch_size: int,
        stops_at_errors: bool = False,
    ) -> Iterator[list[CaptionHypothesis] | ImageError]:
        def caption(pixels: np.ndarray) -> list[list[CaptionHypothesis]]:
            found = hypotheses(self._vocabulary, self(pixels), capitalize)
            return [[self._with_confidence(best), *others] for best, *others in found]

        return stream_captions(sources, self._load, caption, batch_size, stops_at_errors)

    def _with_confidence(self, caption: CaptionHypothesis) -> CaptionHypothesis:
        calibration = self.metadata["calibration"]
        if calibration is None:
            return caption
        mean = caption.log_probability / max(caption.num_tokens, 1)
        logit = calibration["slope"] * mean + calibration["intercept"]
        return caption._replace(confidence=1 / (1 + math.exp(-logit)))


class _Vocabulary:
    """What `hypotheses` needs to know of a `CaptionTokenizer`."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        self._words = metadata["vocabulary"]
        self.pad_token_id = metadata["special_tokens"]["pad"]
        self.end_token_id = metadata["special_tokens"]["end"]

    def id_to_token(self, token_id: int) -> str:
        return self._words[token_id]

    def detokenize(self, rows: np.ndarray, capitalize: bool) -> list[str]:
        return [join_words(row, self._words, capitalize) for row in rows]

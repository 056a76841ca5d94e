"""Images in any form go in, captions come out: loading, batching, streaming, decoding text."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_showattend._typing import Array
from keras_showattend.preprocessing.images import ImageError, as_image_list
from keras_showattend.search.assessment import Assessor
from keras_showattend.search.cautious import reword_captions
from keras_showattend.search.generate_function import GenerateFunction
from keras_showattend.search.hypothesis import CaptionHypothesis, hypotheses
from keras_showattend.search.options import SearchOptions
from keras_showattend.search.streaming import as_captions, check_on_error, stream_captions


class Generation:
    """Generates captions with a backbone, a preprocessor and a sampler.

    `ImageCaptioner` and `CaptionerEnsemble` each hold one, which `compile` renews.

    Args:
        backbone: a `ShowAttendBackbone` or an `EnsembleBackbone`.
        preprocessor: an `ImageCaptionerPreprocessor`, or None, with which nothing can be
            generated.
        sampler: a `keras_hub.samplers.Sampler` or its name. Defaults to `"beam"`, 5 beams.
        jit_compile, run_eagerly: as for `keras.Model.compile`.

    Attributes:
        search: the `GenerateFunction` that captions one batch of arrays.
    """

    def __init__(
        self,
        backbone: Any,
        preprocessor: Any,
        sampler: Any = "beam",
        jit_compile: bool | str = "auto",
        run_eagerly: bool = False,
    ) -> None:
        self.preprocessor = preprocessor
        self.search = GenerateFunction(
            backbone,
            None if preprocessor is None else preprocessor.tokenizer,
            keras_hub.samplers.get(sampler),
            jit_compile=jit_compile,
            run_eagerly=run_eagerly,
        )

    def options(self, max_length: int | None = None, **options: Any) -> SearchOptions:
        """Returns the settings of a search, with the defaults of `generate`.

        Args:
            max_length: int. The preprocessor's `sequence_length` if None.
            **options: other attributes of `SearchOptions`.

        Raises:
            ValueError: if there is no preprocessor, or a value is out of range.
        """
        if self.preprocessor is None:
            raise ValueError(
                "`generate` needs a preprocessor to read images and write words. Give one to "
                "the constructor. Received: preprocessor=None"
            )
        if max_length is None:
            max_length = self.preprocessor.sequence_length
        return SearchOptions(max_length, **options)

    def generate(
        self,
        images: Any,
        *,
        return_all_beams: bool = False,
        capitalize: bool = True,
        batch_size: int = 16,
        on_error: str = "raise",
        assessor: Assessor | None = None,
        **options: Any,
    ) -> Any:
        """Captions one image or many; see `ImageCaptioner.generate`.

        Args:
            assessor: the captioner's calibration, or None.
        """
        settings = self.options(**options)
        settings.check_assessor(assessor)
        if not return_all_beams and settings.cautious is None:
            # Nobody would see the confidence, which costs another reading of the captions.
            assessor = None
        check_on_error(on_error)
        is_single = False
        found: Iterable[list[CaptionHypothesis] | ImageError]
        if isinstance(images, dict) and {"annotations", "frozen_features"} & set(images):
            found = self.caption_batch(images, settings, capitalize, assessor)
        else:
            if hasattr(images, "as_numpy_iterator"):
                sources: Iterable[Any] = dataset_sources(images)
            else:
                sources, is_single = as_image_list(images)
            stops = on_error == "raise"
            found = self._stream(sources, settings, batch_size, capitalize, assessor, stops)

        return as_captions(found, is_single, return_all_beams)

    def stream(
        self,
        images: Iterable[Any],
        *,
        capitalize: bool = True,
        batch_size: int = 16,
        assessor: Assessor | None = None,
        **options: Any,
    ) -> Iterator[list[CaptionHypothesis] | ImageError]:
        """Captions an iterable of images; see `ImageCaptioner.generate_stream`.

        Args:
            assessor: the captioner's calibration, or None.
        """
        # Not a generator itself, so that wrong options are refused at the call.
        settings = self.options(**options)
        settings.check_assessor(assessor)
        return self._stream(images, settings, batch_size, capitalize, assessor)

    def caption_batch(
        self,
        inputs: Mapping[str, Any],
        options: SearchOptions,
        capitalize: bool = True,
        assessor: Assessor | None = None,
    ) -> list[list[CaptionHypothesis]]:
        """Captions one batch of arrays.

        Args:
            inputs: dict; see `ShowAttendBackbone.annotate`.
            options: `SearchOptions`.
            capitalize: bool. Whether captions begin with an upper-case letter.
            assessor: the captioner's calibration, or None.

        Returns:
            For each image the list of its beams, best first.
        """
        encoded = self.search.encode(inputs)
        outputs = self.search(encoded, options)
        found = hypotheses(self.preprocessor.tokenizer, outputs, capitalize)
        if assessor is None:
            return found
        reading = self.search.read(encoded, outputs["token_ids"][:, 0])
        for row, beams in enumerate(found):
            one = {name: array[row] for name, array in reading.items()}
            words = [beam.words for beam in beams]
            beams[0] = beams[0]._replace(**assessor.assess(words[0], words, one)._asdict())
        if options.cautious is not None:
            return reword_captions(
                self.search, self.preprocessor, encoded, found, assessor, options, capitalize
            )
        return found

    def _stream(
        self,
        sources: Iterable[Any],
        options: SearchOptions,
        batch_size: int,
        capitalize: bool,
        assessor: Assessor | None,
        stops_at_errors: bool = False,
    ) -> Iterator[list[CaptionHypothesis] | ImageError]:
        converter = self.preprocessor.image_converter

        def caption(pixels: np.ndarray) -> list[list[CaptionHypothesis]]:
            images = {"images": converter.normalize(pixels)}
            return self.caption_batch(images, options, capitalize, assessor)

        return stream_captions(sources, converter.load, caption, batch_size, stops_at_errors)


def dataset_sources(dataset: Any) -> Iterator[Any]:
    """Yields the images of a `tf.data.Dataset`, batched or not, with or without captions.

    Args:
        dataset: its elements are images, paths or encoded images: alone, under the key
            `"images"` of a dict, or first in a tuple.

    Yields:
        Sources for `load_image`.
    """
    for element in dataset.as_numpy_iterator():
        images = element[0] if isinstance(element, tuple) else element
        images = images["images"] if isinstance(images, dict) else images
        is_text = isinstance(images, bytes) or np.asarray(images).dtype == object
        single_rank = 0 if is_text else 3
        batch = [images] if np.ndim(images) == single_rank else images
        for image in batch:
            # TensorFlow has one type for text and bytes; only a path names a file.
            is_path = is_text and len(image) < 4096 and os.path.exists(image)
            yield os.fsdecode(image) if is_path else image


def caption_dataset(
    captioner: Any,
    dataset: Any,
    *,
    feature_cache: Any = "auto",
    batch_size: int = 50,
    **options: Any,
) -> dict[Any, Any]:
    """Captions every image of a dataset, from cached features where there are some.

    Args:
        captioner: an `ImageCaptioner` or a `CaptionerEnsemble`.
        dataset: a `CaptionDataset`.
        feature_cache: as for `ImageCaptioner.fit`.
        batch_size: int. Images captioned together. Defaults to 50.
        **options: of `ImageCaptioner.generate`.

    Returns:
        Dict from image id to what `generate` gives for the image.
    """
    features = captioner.cached_features(dataset.images, feature_cache)
    if features is None:
        found = captioner.generate(dataset.images, batch_size=batch_size, **options)
        return dict(zip(dataset.ids, found, strict=True))
    found = []
    for start in range(0, len(dataset), batch_size):
        rows = np.arange(start, min(start + batch_size, len(dataset)))
        inputs = keras.tree.map_structure(_in_float32, features.gather(rows))
        found += captioner.generate({features.input_name: inputs}, **options)
    return dict(zip(dataset.ids, found, strict=True))


def _in_float32(features: Array) -> Array:
    return features.astype("float32")

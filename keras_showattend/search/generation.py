"""Images in any form go in, captions come out: loading, batching, streaming, decoding text."""

import concurrent.futures
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import keras
import keras_hub
import numpy as np

from keras_showattend._typing import Array
from keras_showattend.preprocessing.images import ImageError, as_image_list
from keras_showattend.search.assessment import Assessor, shaky_words
from keras_showattend.search.generate_function import GenerateFunction
from keras_showattend.search.options import SearchOptions

# Beams that no caption is left for have a log-probability far below this.
_POSSIBLE = -1e8
_ON_ERROR = ("raise", "skip")


class CaptionHypothesis(NamedTuple):
    """A caption and how probable the model finds it.

    Attributes:
        text: str.
        log_probability: float. Natural logarithm, summed over the tokens, end token included.
        score: float. What beams are ranked by: `log_probability / length ** length_penalty`.
        num_tokens: int. The tokens that `log_probability` is summed over.
        complete: bool. Whether the caption has its end token; False if it was cut at
            `max_length`.
        words: tuple of str. The words as the decoder knows them: lower case, `<unk>` included.
        confidence, word_confidences, unfamiliar: see `CaptionAssessment`. Of the best caption of
            an image where the captioner carries a calibration; None and empty otherwise.
    """

    text: str
    log_probability: float
    score: float
    num_tokens: int = 0
    complete: bool = True
    words: tuple[str, ...] = ()
    confidence: float | None = None
    word_confidences: tuple[float | None, ...] = ()
    unfamiliar: bool | None = None

    @property
    def shaky_words(self) -> tuple[str, ...]:
        """The words that are more probably wrong than right, in their order."""
        return shaky_words(self.words, self.word_confidences)


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
        if on_error not in _ON_ERROR:
            raise ValueError(f"`on_error` must be one of {_ON_ERROR}. Received: {on_error=}")
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

        def result(beams: list[CaptionHypothesis] | ImageError) -> Any:
            if isinstance(beams, ImageError):
                return None
            return beams if return_all_beams else beams[0].text

        captions = [result(beams) for beams in found]
        return captions[0] if is_single else captions

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
        found = hypotheses(self.preprocessor, outputs, capitalize)
        if assessor is None:
            return found
        reading = self.search.read(encoded, outputs["token_ids"][:, 0])
        for row, beams in enumerate(found):
            one = {name: array[row] for name, array in reading.items()}
            words = [beam.words for beam in beams]
            beams[0] = beams[0]._replace(**assessor.assess(words[0], words, one)._asdict())
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
        """Loads one batch ahead of the search, so that memory does not grow."""
        converter = self.preprocessor.image_converter

        def load(source: Any) -> np.ndarray | ImageError:
            try:
                return converter.load(source)
            except ImageError as error:
                if stops_at_errors:
                    raise
                return error

        iterator = iter(sources)
        with concurrent.futures.ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:

            def next_batch() -> list[concurrent.futures.Future[np.ndarray | ImageError]]:
                return [pool.submit(load, s) for s in itertools.islice(iterator, batch_size)]

            waiting = next_batch()
            while waiting:
                loaded = [future.result() for future in waiting]
                waiting = next_batch()
                readable = [pixels for pixels in loaded if isinstance(pixels, np.ndarray)]
                found: Iterator[list[CaptionHypothesis]] = iter(())
                if readable:
                    images = converter.normalize(np.stack(readable))
                    beams = self.caption_batch({"images": images}, options, capitalize, assessor)
                    found = iter(beams)
                for pixels in loaded:
                    yield pixels if isinstance(pixels, ImageError) else next(found)


def hypotheses(
    preprocessor: Any, outputs: Mapping[str, np.ndarray], capitalize: bool
) -> list[list[CaptionHypothesis]]:
    """Decodes the token ids of a search into text.

    Args:
        preprocessor: an `ImageCaptionerPreprocessor`.
        outputs: dict of arrays from a `CaptionSearch`.
        capitalize: bool. Whether captions begin with an upper-case letter.

    Returns:
        For each image the list of its beams, without those for which no caption was left.
    """
    tokenizer = preprocessor.tokenizer
    token_ids = np.asarray(outputs["token_ids"])
    columns = (
        preprocessor.generate_postprocess(outputs, capitalize),
        outputs["log_probabilities"],
        outputs["scores"],
        np.sum(token_ids != tokenizer.pad_token_id, axis=-1),
        np.any(token_ids == tokenizer.end_token_id, axis=-1),
        token_ids,
    )
    return [
        [
            CaptionHypothesis(
                text,
                float(log_prob),
                float(score),
                int(length),
                bool(complete),
                _words(tokenizer, ids),
            )
            for text, log_prob, score, length, complete, ids in zip(*beams, strict=True)
            if log_prob > _POSSIBLE
        ]
        for beams in zip(*columns, strict=True)
    ]


def _words(tokenizer: Any, token_ids: np.ndarray) -> tuple[str, ...]:
    """Returns the words of a caption, int32[T], without its end."""
    ends = (tokenizer.end_token_id, tokenizer.pad_token_id)
    ids = itertools.takewhile(lambda token_id: token_id not in ends, token_ids.tolist())
    return tuple(tokenizer.id_to_token(token_id) for token_id in ids)


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

"""From a stream of pictures to a stream of captions, with flat memory."""

import concurrent.futures
import itertools
import os
from typing import NamedTuple

import keras
import numpy as np

from keras_showattend.preprocessing.images import ImageError


class CaptionHypothesis(NamedTuple):
    """A caption and how probable the model finds it.

    Attributes:
        text: str.
        log_probability: float. Natural logarithm, summed over words and end.
        score: float. What beams are ranked by: `log_probability / length ** penalty`.
    """

    text: str
    log_probability: float
    score: float


def stream_hypotheses(captioner, sources, options, *, batch_size, on_error, capitalize):
    """Captions an iterable of pictures, one batch ahead of the model.

    Args:
        captioner: an `ImageCaptioner` with its preprocessor.
        sources: iterable of anything `load_image` takes.
        options: `SearchOptions`.
        batch_size: int.
        on_error: `"raise"`, or `"return"` to give the `ImageError` of an unreadable
            picture in place of its captions and go on.
        capitalize: bool.

    Yields:
        For each picture a list of `CaptionHypothesis`, best first, or an `ImageError`.
    """
    preprocessor = captioner.preprocessor
    generate = captioner.make_generate_function()

    def load(source):
        try:
            return preprocessor.image_converter.load(source)
        except ImageError as error:
            if on_error == "raise":
                raise
            return error

    iterator = iter(sources)
    with concurrent.futures.ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:

        def next_batch():
            return [pool.submit(load, s) for s in itertools.islice(iterator, batch_size)]

        waiting = next_batch()
        while waiting:
            loaded = [future.result() for future in waiting]
            waiting = next_batch()
            readable = [pixels for pixels in loaded if isinstance(pixels, np.ndarray)]
            found = iter(())
            if readable:
                images = preprocessor.image_converter.normalize(np.stack(readable))
                outputs = generate({"images": images}, options)
                found = iter(hypotheses(preprocessor, outputs, capitalize))
            for pixels in loaded:
                yield next(found) if isinstance(pixels, np.ndarray) else pixels


def hypotheses(preprocessor, outputs, capitalize):
    """Lists the beams of each image as `CaptionHypothesis`, without the impossible ones.

    Args:
        preprocessor: an `ImageCaptionerPreprocessor`.
        outputs: dict of arrays from a `CaptionSearch`.
        capitalize: bool.
    """
    texts = preprocessor.generate_postprocess(outputs, capitalize)
    rows = zip(texts, outputs["log_probabilities"], outputs["scores"], strict=True)
    return [
        [
            CaptionHypothesis(text, float(log_probability), float(score))
            for text, log_probability, score in zip(*row, strict=True)
            if log_probability > -1e8
        ]
        for row in rows
    ]


def dataset_sources(dataset):
    """Pictures of a `tf.data.Dataset`, batched or not, with or without captions.

    Args:
        dataset: elements are images, paths or encoded images, alone, under the key
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


def caption_dataset(captioner, dataset, *, feature_cache="auto", batch_size=50, **options):
    """Captions every image of a dataset.

    Args:
        captioner: an `ImageCaptioner` or a `CaptionerEnsemble`.
        dataset: a `CaptionDataset`.
        feature_cache: as for `ImageCaptioner.fit`.
        batch_size: int.
        **options: of `ImageCaptioner.generate`.

    Returns:
        Dict from image id to caption.
    """
    features = captioner.cached_features(dataset.images, feature_cache)
    if features is None:
        texts = captioner.generate(dataset.images, batch_size=batch_size, **options)
        return dict(zip(dataset.ids, texts, strict=True))
    texts = []
    for start in range(0, len(dataset), batch_size):
        rows = np.arange(start, min(start + batch_size, len(dataset)))
        inputs = keras.tree.map_structure(_in_float32, features.gather(rows))
        texts += captioner.generate({features.input_name: inputs}, **options)
    return dict(zip(dataset.ids, texts, strict=True))


def _in_float32(features):
    return features.astype("float32")

"""Any number of images to captions, with flat memory; nothing here imports Keras."""

import concurrent.futures
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from keras_showattend.preprocessing.image_sources import ImageError, ImageSource
from keras_showattend.search.hypothesis import CaptionHypothesis

Found: TypeAlias = Iterable[list[CaptionHypothesis] | ImageError]

_ON_ERROR = ("raise", "skip")


def stream_captions(
    sources: Iterable[ImageSource],
    load: Callable[[ImageSource], np.ndarray],
    caption: Callable[[np.ndarray], list[list[CaptionHypothesis]]],
    batch_size: int,
    stops_at_errors: bool = False,
) -> Iterator[list[CaptionHypothesis] | ImageError]:
    """Captions images, one batch ahead of the search, so that memory does not grow.

    Args:
        sources: iterable of single images; see `load_image`.
        load: function from a source to uint8[H, W, 3]; may raise `ImageError`.
        caption: function from uint8[B, H, W, 3] to the beams of each image.
        batch_size: int. Images that are captioned together.
        stops_at_errors: whether an `ImageError` is raised and not yielded.

    Returns:
        Iterator that gives for each image, in order, a list of `CaptionHypothesis`, best first,
        or its `ImageError`.

    Raises:
        ValueError: for a `batch_size` below 1, before the first image is asked for.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"`batch_size` must be a positive int. Received: {batch_size=}")
    return _captions(sources, load, caption, batch_size, stops_at_errors)


def _captions(
    sources: Iterable[ImageSource],
    load: Callable[[ImageSource], np.ndarray],
    caption: Callable[[np.ndarray], list[list[CaptionHypothesis]]],
    batch_size: int,
    stops_at_errors: bool,
) -> Iterator[list[CaptionHypothesis] | ImageError]:
    def loaded_or_error(source: ImageSource) -> np.ndarray | ImageError:
        try:
            return load(source)
        except ImageError as error:
            if stops_at_errors:
                raise
            return error

    iterator = iter(sources)
    with concurrent.futures.ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:

        def next_batch() -> list[concurrent.futures.Future[np.ndarray | ImageError]]:
            batch = itertools.islice(iterator, batch_size)
            return [pool.submit(loaded_or_error, source) for source in batch]

        waiting = next_batch()
        while waiting:
            loaded = [future.result() for future in waiting]
            waiting = next_batch()
            readable = [pixels for pixels in loaded if isinstance(pixels, np.ndarray)]
            found = iter(caption(np.stack(readable)) if readable else [])
            for pixels in loaded:
                yield pixels if isinstance(pixels, ImageError) else next(found)


def check_on_error(on_error: str) -> None:
    """Raises a `ValueError` for an unknown `on_error` of `ImageCaptioner.generate`."""
    if on_error not in _ON_ERROR:
        raise ValueError(f"`on_error` must be one of {_ON_ERROR}. Received: {on_error=}")


def as_captions(found: Found, is_single: bool, return_all_beams: bool) -> Any:
    """Collects what `ImageCaptioner.generate` returns.

    Args:
        found: the beams of each image, or its error.
        is_single: whether the result of the only image is returned and no list.
        return_all_beams: see `ImageCaptioner.generate`.
    """

    def result(beams: list[CaptionHypothesis] | ImageError) -> Any:
        if isinstance(beams, ImageError):
            return None
        return beams if return_all_beams else beams[0].text

    captions = [result(beams) for beams in found]
    return captions[0] if is_single else captions

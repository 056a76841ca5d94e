"""Batches of a `CaptionStream`, decoded while the captioner learns."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from keras_showattend.data.caption_dataset import CaptionedImage
from keras_showattend.data.caption_stream import CaptionStream
from keras_showattend.data.report import DatasetError
from keras_showattend.preprocessing import CaptionImageConverter, ImageError

Item = TypeVar("Item")
# Encoded images among which the next one is drawn.
SHUFFLE_BUFFER = 2048
# Images that are decoded at the same time, ahead of the batches.
_AHEAD = 32


def stream_batches(
    stream: CaptionStream,
    image_converter: CaptionImageConverter,
    batch_size: int,
    shuffle: bool = True,
    seed: int = 0,
) -> Any:
    """Makes a `tf.data.Dataset` of a stream.

    Args:
        stream: a `CaptionStream`. Images that cannot be read are left out, with a
            `UserWarning` at the first one of a pass.
        image_converter: a `CaptionImageConverter`.
        batch_size: int. Rows B of a batch.
        shuffle: bool. True draws the images from a buffer of 2,048, and one caption of each,
            both anew in each pass; a last batch that is not full is left out, unless it is
            the only one. False gives each image with each of its captions, in order.
        seed: int. Of the draws.

    Returns:
        `tf.data.Dataset` of batches, dicts of `images` uint8[B, H, W, 3] and `captions`
        str[B].
    """
    import tensorflow as tf

    passes = itertools.count()

    def batches() -> Iterator[dict[str, Any]]:
        rng = np.random.default_rng((seed, next(passes)))
        items: Iterable[CaptionedImage] = stream
        if shuffle:
            items = _shuffled(stream, rng)
        is_first = True
        examples = _examples(items, image_converter, rng if shuffle else None)
        while batch := list(itertools.islice(examples, batch_size)):
            if len(batch) == batch_size or is_first or not shuffle:
                pixels, captions = zip(*batch, strict=True)
                yield {"images": np.stack(pixels), "captions": np.array(captions, object)}
            is_first = False

    signature = {
        "images": tf.TensorSpec((None, *image_converter.image_size, 3), tf.uint8),
        "captions": tf.TensorSpec((None,), tf.string),
    }
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(1)


@contextlib.contextmanager
def stream_ends(*data: Any) -> Iterator[None]:
    """Where some of the data is a stream, keeps Keras from warning of its end in the block."""
    with warnings.catch_warnings():
        if any(isinstance(source, CaptionStream) for source in data):
            warnings.filterwarnings("ignore", "Your input ran out of data", UserWarning)
        yield


def _shuffled(items: Iterable[Item], rng: np.random.Generator) -> Iterator[Item]:
    buffer: list[Item] = []
    for item in items:
        if len(buffer) < SHUFFLE_BUFFER:
            buffer.append(item)
            continue
        place = int(rng.integers(SHUFFLE_BUFFER))
        drawn, buffer[place] = buffer[place], item
        yield drawn
    rng.shuffle(buffer)
    yield from buffer


def _examples(
    items: Iterable[CaptionedImage],
    image_converter: CaptionImageConverter,
    rng: np.random.Generator | None,
) -> Iterator[tuple[np.ndarray, str]]:
    """Pixels and captions: one caption drawn for each image, or all where there is no `rng`."""
    failures: list[str] = []
    is_empty, has_warned = True, False

    def load(item: CaptionedImage) -> np.ndarray | None:
        try:
            return image_converter.load(item.image)
        except ImageError as error:
            failures.append(f"{item.id}: {error}")
            return None

    iterator = iter(items)
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        while chunk := list(itertools.islice(iterator, _AHEAD)):
            decoded = list(pool.map(load, chunk))
            # At the first one, because Keras holds back warnings at the end of an epoch.
            if failures and not has_warned:
                warnings.warn(
                    "Images of a stream that cannot be read are left out, this one and others "
                    f"that follow: {failures[0]}",
                    UserWarning,
                    stacklevel=2,
                )
                has_warned = True
            for item, pixels in zip(chunk, decoded, strict=True):
                if pixels is not None:
                    is_empty = False
                    captions = item.captions if rng is None else [rng.choice(item.captions)]
                    yield from ((pixels, str(caption)) for caption in captions)
    if is_empty:
        raise DatasetError(f"A stream needs an image that can be read. Received: {failures[0]}")

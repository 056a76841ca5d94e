"""Finds the images of a dataset that cannot be read, before slow work starts."""

from __future__ import annotations

import concurrent.futures
import os
import warnings
import weakref
from collections.abc import Callable, Container

from tqdm import tqdm

from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.data.report import UNREADABLE_IMAGE, DatasetError, DatasetReport
from keras_showattend.preprocessing.image_sources import is_array
from keras_showattend.preprocessing.images import (
    ImageError,
    ImageSource,
    image_digest,
    load_image,
)

# Most of the time goes into decoding, for which Pillow releases Python's lock.
_THREADS = min(8, (os.cpu_count() or 1) + 1)
_NAMES_IN_A_WARNING = 10
# Datasets without unreadable images, so that each stage of a run need not read them again.
_CHECKED: weakref.WeakSet[CaptionDataset] = weakref.WeakSet()


def check_images(
    dataset: CaptionDataset,
    *,
    load: Callable[[ImageSource], object] = load_image,
    known: Container[str] = (),
    strict: bool = False,
    progress: bool = True,
) -> CaptionDataset:
    """Reads every image once, in parallel, and leaves out those that cannot be read.

    A dataset that has passed is not read again in the same process.

    Args:
        dataset: a `CaptionDataset`.
        load: function that reads an image and raises `ImageError`. The `load` method of a
            `CaptionImageConverter` is the fastest, because it decodes large JPEG files at
            reduced size. Defaults to `load_image`.
        known: digests (see `image_digest`) of images that are known to be readable, such as
            a `FeatureCache`. Files in it are hashed, and not decoded.
        strict: bool. Whether to raise for an unreadable file, naming all of them, instead of
            leaving it out with one `UserWarning`. Defaults to False.
        progress: bool. Whether to show a progress bar on stderr after two seconds.

    Returns:
        The dataset itself if every image can be read. Otherwise a `CaptionDataset` of the
        others, whose `problems` name what was left out.

    Raises:
        DatasetError: for an unreadable file while `strict`.
        ImageError: for an unreadable array, which is an error of the program that made it,
            or if no image can be read.
    """
    if dataset in _CHECKED:
        return dataset

    def error_of(image: ImageSource) -> ImageError | None:
        try:
            if not (known and image_digest(image) in known):
                load(image)
        except ImageError as error:
            if is_array(image):
                raise
            return error
        return None

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        try:
            errors = list(
                tqdm(
                    pool.map(error_of, dataset.images),
                    total=len(dataset),
                    desc="Checking images",
                    unit="image",
                    delay=2,
                    disable=not progress,
                )
            )
        except BaseException:
            # Ctrl-C, or an array of the wrong range: the rest need not be read.
            pool.shutdown(cancel_futures=True)
            raise
    bad = {key: error for key, error in zip(dataset.ids, errors, strict=True) if error}
    if bad:
        dataset = _without(dataset, bad, strict)
    _CHECKED.add(dataset)
    return dataset


def _without(dataset: CaptionDataset, bad: dict[str, ImageError], strict: bool) -> CaptionDataset:
    reasons = [f"{key}: {error}" for key, error in bad.items()]
    if strict:
        raise DatasetError(
            f"{len(bad)} of {len(dataset)} images cannot be read, and `strict` allows none. Mend "
            "or remove them. Received:\n" + "\n".join(reasons)
        )
    if len(bad) == len(dataset):
        first = next(iter(bad.values()))
        raise ImageError(f"None of {len(dataset)} images can be read. The first: {first}")
    more = len(reasons) - _NAMES_IN_A_WARNING
    listed = reasons[:_NAMES_IN_A_WARNING] + ([f"and {more} more"] if more > 0 else [])
    # 3 is the line that called `check_images`.
    warnings.warn(
        f"{len(bad)} of {len(dataset)} images cannot be read and are left out:\n"
        + "\n".join(listed),
        UserWarning,
        stacklevel=3,
    )
    report = dataset.problems.merged(DatasetReport({UNREADABLE_IMAGE: tuple(bad)}))
    return dataset.without(bad, report)

"""From a user's data to the batches of `fit`, with what can be checked beforehand."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.data.caption_stream import CaptionStream
from keras_showattend.data.captions_file import read_captions_file
from keras_showattend.data.features import open_cache
from keras_showattend.data.image_check import check_images
from keras_showattend.preprocessing import ImageCaptionerPreprocessor
from keras_showattend.preprocessing.images import ImageError, load_image
from keras_showattend.training.augmentation import Augmentation
from keras_showattend.training.caption_batches import (
    LENGTH_STEP,
    CaptionBatches,
    PreprocessedBatches,
)
from keras_showattend.training.image_inputs import ImageInputs
from keras_showattend.training.processes import process_part
from keras_showattend.training.self_critical import SelfCritical, SelfCriticalBatches
from keras_showattend.training.stream_batches import stream_batches


@dataclasses.dataclass(frozen=True)
class BatchSettings:
    """How a dataset becomes batches; `ImageCaptioner.fit` documents each setting.

    Attributes:
        batch_size: captions in a batch.
        feature_cache: `"auto"`, a folder, a `FeatureCache` or None.
        random_flip: whether images are mirrored with probability 0.5.
        random_window: smallest share of height and width that a batch sees.
        augmentation: an `Augmentation` of the decoded images, or None.
        shuffle: whether the order of the captions changes from epoch to epoch.
        seed: seed of order, flips, windows and sampled captions.
    """

    batch_size: int = 64
    feature_cache: Any = "auto"
    random_flip: bool = False
    random_window: float = 1.0
    augmentation: Augmentation | None = None
    shuffle: bool = True
    seed: int = 0


def training_batches(
    captioner: Any, data: Any, *, self_critical: SelfCritical | None = None, **settings: Any
) -> Any:
    """Makes the batches that a captioner is trained or evaluated on.

    Args:
        captioner: an `ImageCaptioner`. The output of the frozen part of its encoder is
            computed now, and kept in the feature cache.
        data: see `ImageCaptioner.fit`; finished batches are returned as they are.
        self_critical: a `SelfCritical`, or None for the cross-entropy of the next token.
        **settings: of `BatchSettings`.

    Returns:
        `SelfCriticalBatches`, `CaptionBatches`, `PreprocessedBatches`, or data of other kinds
        as it is.

    Raises:
        DatasetError: if there is no usable image with a caption.
        ImageError: if no image can be read, or an array is no image of 0..255.
        ValueError: for data that `fit` does not take, or `self_critical` with data that is
            batched already.
    """
    ready = SelfCriticalBatches if self_critical else CaptionBatches | PreprocessedBatches
    if data is None or isinstance(data, ready):
        return data
    part = process_part()
    if part[1] > 1 and (self_critical or as_dataset(data) is None):
        raise ValueError(
            "Several processes train on a `CaptionDataset` or what becomes one, without "
            "`self_critical`: for other data use one process with several devices. Received: "
            f"{part[1]} processes, {'self_critical' if self_critical else type(data).__name__}"
        )
    if isinstance(data, CaptionStream) and not self_critical:
        return _of_stream(captioner, data, BatchSettings(**settings))
    dataset = as_dataset(data)
    if dataset is not None:
        batch_settings = BatchSettings(**settings)
        # Opened once, because that reads the encoder's weights and the index of the cache.
        cache = open_cache(captioner, batch_settings.feature_cache)
        batch_settings = dataclasses.replace(batch_settings, feature_cache=cache)
        dataset = usable_dataset(captioner, dataset, cache)
        return dataset_batches(captioner, dataset, batch_settings, self_critical)
    if self_critical:
        raise ValueError(
            "Self-critical training compares with all captions of an image. Pass a "
            "`CaptionDataset` or a dict of `images` and `captions`. "
            f"Received: {type(data).__name__}"
        )
    if isinstance(data, keras.utils.PyDataset):
        return PreprocessedBatches(data, captioner.preprocess_samples)
    if captioner.preprocessor is not None:
        _check_batched(data)
    return data


def _of_stream(captioner: Any, stream: CaptionStream, settings: BatchSettings) -> Any:
    if settings.random_flip or settings.random_window < 1 or settings.augmentation:
        raise ValueError(
            "Images of a stream are read as they are: leave `random_flip`, `random_window` and "
            "`augmentation` out, or vary the images in a `tf.data.Dataset` of yours. Received: "
            f"random_flip={settings.random_flip}, random_window={settings.random_window}, "
            f"augmentation={settings.augmentation}"
        )
    return stream_batches(
        stream,
        captioner.preprocessor.image_converter,
        settings.batch_size,
        settings.shuffle,
        settings.seed,
    )


def as_dataset(data: Any) -> CaptionDataset | None:
    """Turns data that is not batched into a `CaptionDataset`.

    Args:
        data: a `CaptionDataset`, a dict of `images` and `captions`, or the path of a
            captions file.

    Returns:
        A `CaptionDataset`, or None for other data.
    """
    if isinstance(data, str | os.PathLike):
        return read_captions_file(data)
    if isinstance(data, dict) and {"images", "captions"} <= set(data):
        return CaptionDataset.from_dict(data)
    return data if isinstance(data, CaptionDataset) else None


def usable_dataset(
    captioner: Any, dataset: CaptionDataset, feature_cache: Any = "auto", strict: bool = False
) -> CaptionDataset:
    """Leaves out unreadable images and warns of captions that are cut, before slow work.

    Args:
        captioner: an `ImageCaptioner` with its preprocessor.
        dataset: a `CaptionDataset`.
        feature_cache: see `ImageCaptioner.fit`. Images in it are known to be readable.
        strict: see `check_images`.

    Returns:
        A `CaptionDataset`.
    """
    preprocessor = captioner.preprocessor
    _warn_of_cut_captions(dataset, preprocessor)
    return check_images(
        dataset,
        load=preprocessor.image_converter.load,
        known=open_cache(captioner, feature_cache) or (),
        strict=strict,
    )


def dataset_batches(
    captioner: Any,
    dataset: CaptionDataset,
    settings: BatchSettings,
    self_critical: SelfCritical | None = None,
) -> CaptionBatches | SelfCriticalBatches:
    """Makes the batches of a dataset whose images are known to be readable.

    Args:
        captioner, self_critical: see `training_batches`.
        dataset: a `CaptionDataset`.
        settings: a `BatchSettings`.

    Returns:
        `SelfCriticalBatches` or `CaptionBatches`.
    """
    if settings.augmentation is not None and not captioner.backbone.image_encoder.trainable:
        raise ValueError(
            "`augmentation` is for an encoder that learns, at least in part: let it with "
            "`captioner.backbone.image_encoder.unfreeze('auto')`. Received: a frozen encoder"
        )
    features = (
        captioner.cached_features(dataset.images, settings.feature_cache, flip=settings.random_flip)
        if settings.augmentation is None
        else None
    )
    inputs = ImageInputs(
        dataset.images,
        captioner.preprocessor.image_converter,
        features,
        random_flip=settings.random_flip,
        random_window=settings.random_window,
        augmentation=settings.augmentation,
        seed=settings.seed,
    )
    if self_critical:
        return SelfCriticalBatches(
            captioner,
            dataset,
            inputs,
            self_critical,
            batch_size=settings.batch_size,
            seed=settings.seed,
            jit_compile=captioner.jit_compile,
            run_eagerly=captioner.run_eagerly,
        )
    return CaptionBatches(
        dataset,
        captioner.preprocessor,
        inputs,
        batch_size=settings.batch_size,
        shuffle=settings.shuffle,
        # Captions share an image where encoding it is part of the step.
        share_images=features is None or captioner.backbone.image_encoder.trainable,
        # Without compilation any length will do, and a step of padding costs as much as others.
        length_step=LENGTH_STEP if captioner.jit_compile else 1,
        seed=settings.seed,
        part=process_part(),
    )


def _warn_of_cut_captions(
    dataset: CaptionDataset, preprocessor: ImageCaptionerPreprocessor
) -> None:
    captions = [text for texts in dataset.captions for text in texts]
    limit = preprocessor.sequence_length
    # A token more for the end.
    lengths = [len(ids) + 1 for ids in preprocessor.tokenizer.tokenize(captions)]
    num_cut = sum(length > limit for length in lengths)
    if num_cut:
        warnings.warn(
            f"{num_cut} of {len(captions)} captions are longer than {limit} tokens, their end "
            f"token included, and are cut there. The longest has {max(lengths)}. Raise the limit "
            "with `sequence_length` of `create_captioner` or of a recipe (`--sequence-length`), "
            f"or set `captioner.preprocessor.sequence_length = {max(lengths)}` of a captioner "
            "that is loaded.",
            UserWarning,
            stacklevel=3,
        )


def _check_batched(data: Any) -> None:
    """Refuses batched data that the preprocessor would fail on, or misread in silence."""
    if isinstance(data, dict) and "token_ids" in data:
        return
    if type(data).__module__.partition(".")[0] == "grain":
        return
    if not hasattr(data, "element_spec"):
        raise ValueError(
            "Data must be a `CaptionDataset` (see `read_captions_file`, `read_coco`, "
            "`read_flickr8k`), the path of a captions file, a dict "
            '`{"images": [...], "captions": [...]}`, or a `tf.data.Dataset` or '
            "`keras.utils.PyDataset` of batches of such dicts. "
            f"Received: {_describe(data)}"
        )
    _check_tf_data(data)


def _check_tf_data(data: Any) -> None:
    spec = data.element_spec
    spec = spec[0] if isinstance(spec, tuple) else spec
    if isinstance(spec, dict) and "token_ids" in spec:
        return
    if not isinstance(spec, dict) or not {"images", "captions"} <= set(spec):
        raise ValueError(
            "Batches of a `tf.data.Dataset` must be dicts with `images` and `captions`, such as "
            '`dataset.map(lambda image, caption: {"images": image, "captions": caption})`. '
            f"Received: element_spec={data.element_spec}"
        )
    images, captions = spec["images"], spec["captions"]
    ranks = (images.shape.rank, captions.shape.rank)
    received = f"Received: images {images}, captions {captions}"
    if images.dtype.name == "string":
        raise ValueError(
            "Images of a `tf.data.Dataset` must be decoded pixels. Pass paths and encoded images "
            'as a dict `{"images": paths, "captions": captions}`, which also caches features, or '
            f"decode them with `tf.io.decode_image` and resize them. {received}"
        )
    if ranks == (3, 0):
        raise ValueError(
            "A `tf.data.Dataset` must give batches, images [B, H, W, 3] and captions [B]: call "
            f"`dataset.batch(64)`. {received}"
        )
    if captions.dtype.name != "string" or any(
        rank not in (None, right) for rank, right in zip(ranks, (4, 1), strict=True)
    ):
        raise ValueError(
            "Batches of a `tf.data.Dataset` must hold images [B, H, W, 3] and one caption of type "
            f"string for each, captions [B]. {received}"
        )
    if images.dtype.is_floating:
        _check_pixel_range(data)


def _check_pixel_range(data: Any) -> None:
    for element in data.take(1).as_numpy_iterator():
        batch = element[0] if isinstance(element, tuple) else element
        for image in batch["images"]:
            try:
                load_image(image)
            except ImageError as error:
                raise ImageError(f"In the first batch of the dataset: {error}") from error


def _describe(data: Any) -> str:
    if isinstance(data, dict):
        return f"a dict with the keys {sorted(map(str, data))}"
    if isinstance(data, Sequence):
        return f"a {type(data).__name__} of {len(data)}"
    return f"{type(data).__module__}.{type(data).__qualname__}"

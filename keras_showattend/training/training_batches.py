"""From a user's data to the batches of `fit`."""

import keras

from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.training.caption_batches import (
    LENGTH_STEP,
    CaptionBatches,
    PreprocessedBatches,
)
from keras_showattend.training.image_inputs import ImageInputs
from keras_showattend.training.self_critical import SelfCriticalBatches


def training_batches(
    captioner,
    data,
    *,
    self_critical=None,
    shuffle=True,
    feature_cache="auto",
    batch_size=64,
    random_flip=False,
    random_window=1.0,
    seed=0,
):
    """Makes the batches that a captioner is trained or evaluated on.

    Args:
        captioner: an `ImageCaptioner`; what of its encoder is frozen is computed now, and
            kept in the feature cache.
        data: see `ImageCaptioner.fit`; batches are returned as they are.
        self_critical: a `SelfCritical`, or None for the cross-entropy of the next word.
        shuffle, feature_cache, batch_size, random_flip, random_window, seed: see
            `ImageCaptioner.fit`.

    Returns:
        `SelfCriticalBatches`, `CaptionBatches`, `PreprocessedBatches`, or data of other kinds
        as it is.

    Raises:
        DatasetError: if a dict holds no usable image with a caption.
        ImageError: if an image cannot be read.
        ValueError: for `self_critical` with data that is batched already.
    """
    ready = SelfCriticalBatches if self_critical else CaptionBatches | PreprocessedBatches
    if isinstance(data, ready):
        return data
    if isinstance(data, dict) and {"images", "captions"} <= set(data):
        data = CaptionDataset.from_dict(data)
    if not isinstance(data, CaptionDataset):
        if self_critical:
            raise ValueError(
                "Self-critical training compares with all captions of an image. Pass a "
                "`CaptionDataset` or a dict of `images` and `captions`. "
                f"Received: {type(data).__name__}"
            )
        if isinstance(data, keras.utils.PyDataset):
            return PreprocessedBatches(data, captioner.preprocess_samples)
        return data
    features = captioner.cached_features(data.images, feature_cache, flip=random_flip)
    inputs = ImageInputs(
        data.images,
        captioner.preprocessor.image_converter,
        features,
        random_flip=random_flip,
        random_window=random_window,
        seed=seed,
    )
    if self_critical:
        return SelfCriticalBatches(
            captioner,
            data,
            inputs,
            self_critical,
            batch_size=batch_size,
            seed=seed,
            jit_compile=captioner.jit_compile,
            run_eagerly=captioner.run_eagerly,
        )
    return CaptionBatches(
        data,
        captioner.preprocessor,
        inputs,
        batch_size=batch_size,
        shuffle=shuffle,
        # Captions share an image where encoding it is a part of the step.
        share_images=features is None or captioner.backbone.image_encoder.trainable,
        # A plain graph takes any length, and steps of padding cost as much as others.
        length_step=LENGTH_STEP if captioner.jit_compile else 1,
        seed=seed,
    )

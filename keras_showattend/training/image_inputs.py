"""The images of a batch as inputs of the model, with random flips and windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_showattend.preprocessing import CaptionImageConverter
from keras_showattend.preprocessing.image_sources import ImageSource
from keras_showattend.training.augmentation import Augmentation


class ImageInputs:
    """Images of a dataset as inputs of a captioner.

    Args:
        images: list of anything `load_image` takes.
        image_converter: a `CaptionImageConverter`.
        features: `Features` of the images, or None to decode the images for each batch.
        random_flip: bool. Whether each image is mirrored with probability 0.5. Defaults to
            False.
        random_window: float in (0, 1]. A batch sees a window of its images. Its height and
            width are drawn between this share and the whole, its position for each image.
            Frozen features are cut in steps of two locations: the layers after them see what
            they would see of a smaller image, except for its border, and nothing is decoded.
            Annotations come from the last layer and cannot be cut. Defaults to 1, the whole
            image.
        augmentation: an `Augmentation` that varies the images themselves, or None. Without
            `features` only.
        seed: int. Seed of flips, windows and augmentation.

    Raises:
        ValueError: for `random_flip` with features of unmirrored images only, a
            `random_window` outside (0, 1] or below 1 without frozen features, or an
            `augmentation` with features.
    """

    def __init__(
        self,
        images: Sequence[ImageSource],
        image_converter: CaptionImageConverter,
        features: Any = None,
        random_flip: bool = False,
        random_window: float = 1.0,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ):
        if random_flip and features is not None and not features.has_flipped:
            raise ValueError(
                "`random_flip` needs the features of mirrored images. Compute them with "
                "`FeatureCache.compute(images, flip=True)`. Received: features without them"
            )
        if not 0 < random_window <= 1:
            raise ValueError(
                "`random_window` must be in (0, 1], a share of height and width. "
                f"Received: random_window={random_window!r}"
            )
        if random_window < 1 and (features is None or features.grid_shape is None):
            raise ValueError(
                "`random_window` cuts the features of a partly frozen encoder. Let a part of it "
                "learn with `image_encoder.unfreeze(after=...)` and keep `feature_cache`. "
                f"Received: random_window={random_window!r} with "
                f"{'images' if features is None else 'annotations'}"
            )
        if augmentation is not None and features is not None:
            raise ValueError(
                "`augmentation` varies the images, whose features are then not the cached ones. "
                "Pass `feature_cache=None`. Received: an augmentation with features"
            )
        self.images = images
        self.image_converter = image_converter
        self.features = features
        self.random_flip = random_flip
        self.random_window = random_window
        self.augmentation = augmentation
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.images)

    def start_epoch(self, epoch: int) -> None:
        """Sets the epoch, counted from 0; with the seed it decides flips and windows."""
        self.epoch = epoch

    def gather(self, indices: Any, batch: int) -> dict[str, np.ndarray]:
        """Returns the inputs of some images.

        Args:
            indices: int[I]. Positions in the list of images.
            batch: int. Number of the batch in its epoch, which decides flips and window.

        Returns:
            Dict with one of `images` float32[I, H, W, 3], `annotations` float16[I, L, D]
            and `frozen_features` float16[I, h, w, C].
        """
        rng = np.random.default_rng((self.seed, self.epoch, batch))
        flips = rng.random(len(indices)) < 0.5 if self.random_flip else np.zeros(len(indices), bool)
        if self.features is None:
            return {"images": self._load(indices, flips, rng)}
        features = self.features.gather(indices, flips)
        if self.random_window < 1:
            features = self._cut(features, rng, batch)
        return {self.features.input_name: features}

    def _load(self, indices: Any, flips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        images = [self.images[index] for index in indices]
        augment = self.augmentation or Augmentation()
        return self.image_converter.normalize(augment(images, self.image_converter, flips, rng))

    def _cut(self, features: np.ndarray, rng: np.random.Generator, batch: int) -> np.ndarray:
        rows, columns = features.shape[1:3]
        sizes = [_sizes(side, self.random_window) for side in (rows, columns)]
        # On TensorFlow, Keras takes a dimension as fixed if the first two batches agree in
        # it: these two are the largest window and the smallest.
        height, width = (
            [options[-batch] for options in sizes] if batch < 2 else map(rng.choice, sizes)
        )
        tops = rng.integers(0, rows - height + 1, len(features))
        lefts = rng.integers(0, columns - width + 1, len(features))
        return np.stack(
            [
                image[top : top + height, left : left + width]
                for image, top, left in zip(features, tops, lefts, strict=True)
            ]
        )


def _sizes(side: int, smallest_share: float) -> list[int]:
    # In steps of two, because a pooling layer after the cut would drop an odd row. Largest first.
    smallest = max(1, math.ceil(smallest_share * side - 1e-9))
    return list(range(side, smallest - 1, -2))

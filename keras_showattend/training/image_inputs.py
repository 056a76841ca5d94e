"""What the images of a batch give the model, mirrored and cut by chance."""

import math

import numpy as np


class ImageInputs:
    """Images of a data set as inputs of a captioner.

    Args:
        images: list of anything `load_image` takes.
        image_converter: a `CaptionImageConverter`.
        features: `Features` of the images, or None to decode them for each batch.
        random_flip: bool. Whether an image is mirrored half of the time. Defaults to False.
        random_window: float in (0, 1]. A batch sees a window of its images whose height
            and width are drawn between this share and all, and whose place is drawn for
            each image. Frozen features are cut in steps of two places, which gives the
            layers behind them what they would see of a smaller picture but for its edge,
            and costs no decoding. Annotations are final and cannot be cut. Defaults to 1,
            all of the image.
        seed: int.

    Raises:
        ValueError: for `random_flip` with features of unmirrored images only, or a
            `random_window` outside (0, 1] or below 1 without frozen features.
    """

    def __init__(
        self,
        images,
        image_converter,
        features=None,
        random_flip=False,
        random_window=1.0,
        seed=0,
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
        self.images = images
        self.image_converter = image_converter
        self.features = features
        self.random_flip = random_flip
        self.random_window = random_window
        self.seed = seed
        self.epoch = 0

    def __len__(self):
        return len(self.images)

    def start_epoch(self, epoch):
        """Other flips and windows, the same for the same number."""
        self.epoch = epoch

    def gather(self, indices, batch):
        """Inputs of some images.

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
            return {"images": self._load(indices, flips)}
        features = self.features.gather(indices, flips)
        if self.random_window < 1:
            features = self._cut(features, rng, batch)
        return {self.features.input_name: features}

    def _load(self, indices, flips):
        converter = self.image_converter
        pixels = [converter.load(self.images[index]) for index in indices]
        pixels = [p[:, ::-1] if flip else p for p, flip in zip(pixels, flips, strict=True)]
        return converter.normalize(np.stack(pixels))

    def _cut(self, features, rng, batch):
        rows, columns = features.shape[1:3]
        sizes = [_sizes(side, self.random_window) for side in (rows, columns)]
        # On TensorFlow Keras takes a dimension that is the same in the first two batches
        # for fixed: these are the largest window and the smallest.
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


def _sizes(side, smallest_share):
    # By twos: a pooling behind the cut would drop an odd row. Largest first.
    smallest = max(1, math.ceil(smallest_share * side - 1e-9))
    return list(range(side, smallest - 1, -2))

"""Batches of images and captions for `fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.preprocessing import ImageCaptionerPreprocessor
from keras_showattend.training.image_inputs import ImageInputs

if TYPE_CHECKING:
    from keras_showattend.training.distillation import SoftTargets

# Lengths are rounded up to a multiple, so that compiled backends see few shapes.
LENGTH_STEP = 4


def padded_length(steps: Any, length_step: int, sequence_length: int) -> Any:
    """Returns the lengths to which captions are padded.

    Args:
        steps: int or int[n]. Tokens of each caption, with the end token.
        length_step: int. Lengths are rounded up to a multiple of it.
        sequence_length: int. Length at which captions are cut.

    Returns:
        int or int[n].
    """
    return np.minimum(-(-steps // length_step) * length_step, sequence_length)


class CaptionBatches(keras.utils.PyDataset):
    """One training example for each caption, in batches of similar length.

    All batches have the same number of rows: the last one is filled up with rows of weight 0.

    Args:
        dataset: a `CaptionDataset`.
        preprocessor: an `ImageCaptionerPreprocessor`.
        inputs: `ImageInputs` of the dataset's images.
        batch_size: int. Captions B. Defaults to 64.
        shuffle: bool. Whether the order changes from epoch to epoch. Defaults to True.
        share_images: bool. Whether the captions of an image stand together in a batch
            that holds the image once. Right where encoding the image is part of the step;
            otherwise batches with captions of many images vary more. Defaults to False.
        length_step: int. Lengths are rounded up to a multiple of it, so that what is
            compiled by shape sees few shapes; 1 wastes no computation. Defaults to 4.
        seed: int. Seed of the order.
        part: `(index, count)`. Of each batch, rows from `index * B / count` on are given, B /
            count of them, as each of several processes needs them. All parts have the same
            length T. Defaults to whole batches.
        **kwargs: `workers`, `max_queue_size` of `keras.utils.PyDataset`.

    A batch is `(x, y, sample_weight)`: `x` has what `ImageInputs.gather` returns for I images,
    `token_ids` int32[B, T], `padding_mask` bool[B, T] and, with `share_images`, `image_index`
    int32[B] into the images (otherwise I = B); `y` int32[B, T]; `sample_weight` float32[B, T].

    With the attribute `soft_targets`, `SoftTargets` of the same dataset, `x` also has the
    teacher's probabilities.

    Raises:
        ValueError: for a `batch_size` below 1.
    """

    def __init__(
        self,
        dataset: CaptionDataset,
        preprocessor: ImageCaptionerPreprocessor,
        inputs: ImageInputs,
        batch_size: int = 64,
        shuffle: bool = True,
        share_images: bool = False,
        length_step: int = LENGTH_STEP,
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                f"`batch_size` must be a positive int. Received: batch_size={batch_size!r}"
            )
        if batch_size % part[1]:
            raise ValueError(
                "`batch_size` must be a multiple of the number of processes, which share each "
                f"batch. Received: batch_size={batch_size}, {part[1]} processes"
            )
        if part[1] > 1 and share_images:
            raise ValueError(
                "Several processes train on cached features: freeze the encoder, "
                "`backbone.image_encoder.trainable = False`, and keep `feature_cache`. "
                "Received: images that are encoded in each step"
            )
        self.dataset = dataset
        self.inputs = inputs
        self.preprocessor = preprocessor
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.share_images = share_images
        self.seed = seed
        self.part = part
        self.epoch = 0
        self.soft_targets: SoftTargets | None = None
        pairs = [(i, text) for i, texts in enumerate(dataset.captions) for text in texts]
        self._image_of = np.array([index for index, _ in pairs])
        self._tokens = preprocessor.tokenizer.tokenize([text for _, text in pairs])
        steps = np.array([len(ids) + 1 for ids in self._tokens])
        self._lengths = padded_length(steps, length_step, preprocessor.sequence_length)
        self._longest = np.zeros(len(dataset.images), int)
        np.maximum.at(self._longest, self._image_of, self._lengths)
        self._fixed_length: int | None = None
        self._images_per_batch = self._most_images()
        self._plan_epoch()
        lengths = {self._lengths[rows].max() for rows in self._batches}
        if len(lengths) == 1:
            # Keras then takes the length as fixed, so all epochs keep it; see `_plan_epoch`.
            self._fixed_length = int(lengths.pop())

    def _most_images(self) -> int:
        # A batch that touches n images holds all captions of n - 2 of them, and at least
        # one caption of each of the other two.
        counts = np.sort(np.bincount(self._image_of))
        whole = int(np.searchsorted(np.cumsum(counts), self.batch_size - 2, side="right"))
        return min(whole + 2, self.batch_size, len(counts))

    def _plan_epoch(self) -> None:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = self._order(rng)
        cuts = np.arange(self.batch_size, len(order), self.batch_size)
        self._batches = np.split(order, cuts)
        if self.shuffle:
            self._batches = [self._batches[i] for i in rng.permutation(len(self._batches))]
        # On TensorFlow, Keras takes a dimension as fixed if the first two batches agree in
        # it: put two batches of different lengths first.
        lengths = [self._lengths[rows].max() for rows in self._batches]
        other = next((i for i, n in enumerate(lengths) if n != lengths[0]), 0)
        if other > 1:
            self._batches[1], self._batches[other] = self._batches[other], self._batches[1]

    def _order(self, rng: np.random.Generator) -> np.ndarray:
        rows = np.arange(len(self._tokens))
        if not self.share_images:
            rows = rng.permutation(rows) if self.shuffle else rows
            return rows[np.argsort(self._lengths[rows], kind="stable")]
        images = np.arange(len(self._longest))
        images = rng.permutation(images) if self.shuffle else images
        images = images[np.argsort(self._longest[images], kind="stable")]
        position = np.empty_like(images)
        position[images] = np.arange(len(images))
        return rows[np.argsort(position[self._image_of], kind="stable")]

    def __len__(self) -> int:
        return len(self._batches)

    def start_epoch(self, epoch: int) -> None:
        """Draws the order, flips and windows of an epoch, counted from 0; for resumed runs."""
        self.epoch = epoch
        self.inputs.start_epoch(epoch)
        if self.shuffle:
            self._plan_epoch()

    def on_epoch_end(self) -> None:
        """Draws the order, flips and windows of the next epoch."""
        self.start_epoch(self.epoch + 1)

    def rows(self, index: int) -> np.ndarray:
        """Returns which captions are in a batch: int[n], counted through the dataset."""
        return self._batches[index]

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        rows = self.rows(index)
        surplus = self.batch_size - len(rows)
        if surplus:
            rows = np.concatenate([rows, np.full(surplus, rows[0])])
        length = self._fixed_length or int(self._lengths[rows].max())
        first, count = (
            self.part[0] * self.batch_size // self.part[1],
            self.batch_size // self.part[1],
        )
        rows = rows[first : first + count]
        packed = self.preprocessor.pack([self._tokens[row] for row in rows], length)
        parts = self.preprocessor.shift(packed)
        weight = parts["sample_weight"]
        real = max(0, self.batch_size - surplus - first)
        weight[real:] = 0
        parts["padding_mask"][real:] = False
        x = {"token_ids": parts["token_ids"], "padding_mask": parts["padding_mask"]}
        images = self._image_of[rows]
        if self.share_images:
            images, image_index = np.unique(images, return_inverse=True)
            images = np.pad(images, (0, self._images_per_batch - len(images)), mode="edge")
            x["image_index"] = image_index.astype("int32")
        x.update(self.inputs.gather(images, index))
        if self.soft_targets is not None:
            x.update(self.soft_targets.gather(rows, length))
        return x, parts["targets"], weight


class EpochOrder(keras.callbacks.Callback):
    """Gives every epoch its own order, so that a resumed run does not repeat that of the first.

    Args:
        batches: the `CaptionBatches` of the run.
    """

    def __init__(self, batches: CaptionBatches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Draws the order, flips and windows of the epoch."""
        # Not planned again for the same epoch, whose first batches may be being read already.
        if epoch != self.batches.epoch:
            self.batches.start_epoch(epoch)


class PreprocessedBatches(keras.utils.PyDataset):
    """A user's own `PyDataset` with a captioner's preprocessing applied to each batch.

    Args:
        batches: a `keras.utils.PyDataset` whose items are what `preprocess` takes.
        preprocess: function of `(x, y, sample_weight)`, e.g. `ImageCaptioner.preprocess_samples`.
    """

    def __init__(self, batches: keras.utils.PyDataset, preprocess: Callable[..., Any]):
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self.batches = batches
        self.preprocess = preprocess

    @property
    def num_batches(self) -> int | None:
        """Number of batches, as the wrapped data tells it."""
        return self.batches.num_batches

    def __getitem__(self, index: int) -> Any:
        item = self.batches[index]
        x, y, weight = keras.utils.unpack_x_y_sample_weight(item)
        if isinstance(x, dict) and "token_ids" in x:
            return item
        return self.preprocess(x, y, weight)

    def on_epoch_begin(self) -> None:
        """Tells the wrapped data that an epoch begins."""
        self.batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the wrapped data that an epoch has ended."""
        self.batches.on_epoch_end()

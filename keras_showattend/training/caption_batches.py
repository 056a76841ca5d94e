"""Batches of images and captions for `fit`."""

import keras
import numpy as np

# Lengths are rounded up to a multiple, so that compiled backends see few shapes.
_LENGTH_STEP = 4


class CaptionBatches(keras.utils.PyDataset):
    """One training example for each caption, in batches of similar length.

    All batches have the same number of rows: the last is filled up with rows of weight 0.

    Args:
        dataset: a `CaptionDataset`.
        preprocessor: an `ImageCaptionerPreprocessor`.
        features: `Features` of the dataset's images, or None to decode the images of
            each batch.
        batch_size: int. Rows B. Defaults to 64.
        shuffle: bool. Whether the order changes from epoch to epoch. Defaults to True.
        random_flip: bool. Whether half of the images, by chance, are mirrored; with
            `features` these must hold mirrored images. Defaults to False.
        seed: int. Of order and flips.
        **kwargs: `workers`, `max_queue_size` of `keras.utils.PyDataset`.

    A batch is `(x, y, sample_weight)`: `x` has `images` float32[B, h, w, 3] or
    `annotations` float16[B, L, D], `token_ids` int32[B, T] and `padding_mask`
    bool[B, T]; `y` int32[B, T]; `sample_weight` float32[B, T].

    Raises:
        ValueError: for a `batch_size` below 1, or `random_flip` with features of
            unmirrored images only.
    """

    def __init__(
        self,
        dataset,
        preprocessor,
        features=None,
        batch_size=64,
        shuffle=True,
        random_flip=False,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                f"`batch_size` must be a positive int. Received: batch_size={batch_size!r}"
            )
        if random_flip and features is not None and not features.has_flipped:
            raise ValueError(
                "`random_flip` needs the features of mirrored images. Compute them with "
                "`FeatureCache.compute(images, flip=True)`. Received: features without them"
            )
        self.preprocessor = preprocessor
        self.images = dataset.images
        self.features = features
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.random_flip = random_flip
        self.seed = seed
        self.epoch = 0
        pairs = [(i, text) for i, texts in enumerate(dataset.captions) for text in texts]
        self._image_of = np.array([index for index, _ in pairs])
        tokens = preprocessor.tokenizer.tokenize([text for _, text in pairs])
        self._tokens = tokens
        steps = np.array([len(ids) + 1 for ids in tokens])
        steps = -(-steps // _LENGTH_STEP) * _LENGTH_STEP
        self._lengths = np.minimum(steps, preprocessor.sequence_length)
        self._plan_epoch()

    def _plan_epoch(self):
        rng = np.random.default_rng((self.seed, self.epoch))
        order = np.arange(len(self._tokens))
        if self.shuffle:
            order = rng.permutation(order)
        order = order[np.argsort(self._lengths[order], kind="stable")]
        cuts = np.arange(self.batch_size, len(order), self.batch_size)
        self._batches = np.split(order, cuts)
        if self.shuffle:
            self._batches = [self._batches[i] for i in rng.permutation(len(self._batches))]
        # On TensorFlow Keras takes a dimension that is the same in the first two batches
        # for fixed. Every epoch has the same lengths, so two that differ do for all.
        lengths = [self._lengths[rows].max() for rows in self._batches]
        other = next((i for i, n in enumerate(lengths) if n != lengths[0]), 0)
        if other > 1:
            self._batches[1], self._batches[other] = self._batches[other], self._batches[1]
        self._flips = (
            rng.random(len(order)) < 0.5 if self.random_flip else np.zeros(len(order), bool)
        )

    def __len__(self):
        return len(self._batches)

    def start_epoch(self, epoch):
        """Draws the order and flips of an epoch, from 0; for a training that is resumed."""
        self.epoch = epoch
        if self.shuffle or self.random_flip:
            self._plan_epoch()

    def on_epoch_end(self):
        """Draws the next epoch's order and flips."""
        self.start_epoch(self.epoch + 1)

    def __getitem__(self, index):
        rows = self._batches[index]
        surplus = self.batch_size - len(rows)
        if surplus:
            rows = np.concatenate([rows, np.full(surplus, rows[0])])
        length = int(self._lengths[rows].max())
        packed = self.preprocessor.pack([self._tokens[row] for row in rows], length)
        parts = self.preprocessor.shift(packed)
        weight = parts["sample_weight"]
        weight[self.batch_size - surplus :] = 0
        parts["padding_mask"][self.batch_size - surplus :] = False
        x = {"token_ids": parts["token_ids"], "padding_mask": parts["padding_mask"]}
        images, flips = self._image_of[rows], self._flips[rows]
        if self.features is not None:
            x["annotations"] = self.features.gather(images, flips)
        else:
            x["images"] = self._load(images, flips)
        return x, parts["targets"], weight

    def _load(self, indices, flips):
        converter = self.preprocessor.image_converter
        pixels = [converter.load(self.images[index]) for index in indices]
        pixels = [p[:, ::-1] if flip else p for p, flip in zip(pixels, flips, strict=True)]
        return converter.normalize(np.stack(pixels))


class PreprocessedBatches(keras.utils.PyDataset):
    """A user's own `PyDataset` with a captioner's preprocessing applied to each batch.

    Args:
        batches: a `keras.utils.PyDataset` whose items are what `preprocess` takes.
        preprocess: function of a batch, e.g. `ImageCaptioner.preprocess_samples`.
    """

    def __init__(self, batches, preprocess):
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self.batches = batches
        self.preprocess = preprocess

    @property
    def num_batches(self):
        """Number of batches, as the wrapped data tells it."""
        return self.batches.num_batches

    def __getitem__(self, index):
        item = self.batches[index]
        x, y, weight = keras.utils.unpack_x_y_sample_weight(item)
        if isinstance(x, dict) and "token_ids" in x:
            return item
        return self.preprocess(x, y, weight)

    def on_epoch_begin(self):
        """Tells the wrapped data."""
        self.batches.on_epoch_begin()

    def on_epoch_end(self):
        """Tells the wrapped data."""
        self.batches.on_epoch_end()

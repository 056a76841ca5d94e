"""Caption metrics at the end of each epoch: logged, best weights kept, early stop."""

import json
import os
import pathlib

import keras
import numpy as np

from keras_showattend import metrics
from keras_showattend.search.generation import caption_dataset


class CaptionScores(keras.callbacks.Callback):
    """Generates captions for validation images after an epoch and scores them.

    Loss and captions do not improve together: the loss of a captioner is best long
    before its captions are. The scores are added to the epoch's logs as `val_bleu_4`,
    `val_cider` and so on, and as `val_distinct` the share of captions that differ from one
    another, which falls where training on whole captions makes them all alike; callbacks
    that come later in the list see them.

    Args:
        dataset: a `CaptionDataset` with its references.
        filepath: path ending in `.weights.h5`, where the best weights so far are kept;
            beside it a `.json` file remembers their score when training is resumed.
            None keeps no weights.
        monitor: name of the score that decides. Defaults to `"cider"`.
        scores: names of `keras_showattend.metrics.score_captions` to compute.
        patience: int or None. Epochs without improvement after which training stops.
        restore_best_weights: bool. Whether the model ends with the best weights; needs
            `filepath`. Defaults to True.
        feature_cache: as for `ImageCaptioner.fit`.
        batch_size: int. Images captioned together.
        frequency: int. Epochs between two scorings.
        **generate_options: `num_beams`, `length_penalty`, `no_repeat_ngram_size`, `max_length`.

    Raises:
        ValueError: if `monitor` is not among `scores`, or `filepath` has another ending.
    """

    def __init__(
        self,
        dataset,
        filepath=None,
        monitor="cider",
        scores=("bleu_4", "rouge_l", "cider"),
        patience=None,
        restore_best_weights=True,
        feature_cache="auto",
        batch_size=50,
        frequency=1,
        **generate_options,
    ):
        super().__init__()
        if monitor not in scores:
            raise ValueError(
                f"`monitor` must be one of `scores`. Received: monitor={monitor!r}, "
                f"scores={tuple(scores)}"
            )
        if filepath is not None and not str(filepath).endswith(".weights.h5"):
            raise ValueError(
                f"`filepath` must end in '.weights.h5'. Received: filepath={str(filepath)!r}"
            )
        self.dataset = dataset
        self.filepath = None if filepath is None else pathlib.Path(filepath)
        self.monitor = monitor
        self.scores = tuple(scores)
        self.patience = patience
        self.restore_best_weights = restore_best_weights
        self.feature_cache = feature_cache
        self.batch_size = batch_size
        self.frequency = frequency
        self.generate_options = generate_options
        self.best = -np.inf
        self.best_epoch = None

    def on_train_begin(self, logs=None):
        """Takes up the best score of an interrupted training."""
        if self.filepath is not None and _record_path(self.filepath).exists():
            record = json.loads(_record_path(self.filepath).read_text())
            self.best, self.best_epoch = record[self.monitor], record["epoch"]

    def on_epoch_end(self, epoch, logs=None):
        """Scores, logs, keeps, and stops where patience ends."""
        if (epoch + 1) % self.frequency:
            return
        scores = self.evaluate()
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in scores.items()})
        if scores[self.monitor] > self.best:
            self.best, self.best_epoch = scores[self.monitor], epoch
            if self.filepath is not None:
                self._keep(self.filepath, {**scores, "epoch": epoch})
        elif self.patience is not None and epoch - self.best_epoch >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        """Puts the best weights back."""
        if self.restore_best_weights and self.filepath and self.filepath.exists():
            self.model.backbone.load_weights(self.filepath)

    def evaluate(self):
        """Captions the validation images and scores them.

        Returns:
            Dict from the names in `scores`, and `distinct`, to floats.
        """
        captions = caption_dataset(
            self.model,
            self.dataset,
            feature_cache=self.feature_cache,
            batch_size=self.batch_size,
            **self.generate_options,
        )
        references = self.dataset.references()
        scores = metrics.score_captions(captions, references, metrics=self.scores)
        return {**scores, "distinct": len(set(captions.values())) / len(captions)}

    def _keep(self, filepath, record):
        filepath.parent.mkdir(parents=True, exist_ok=True)
        partial = filepath.with_name("partial-" + filepath.name)
        self.model.backbone.save_weights(partial)
        os.replace(partial, filepath)
        # After the weights: a record never speaks of weights that are not there.
        _record_path(filepath).write_text(json.dumps(record))


def _record_path(filepath):
    return filepath.with_name(filepath.name.removesuffix(".weights.h5") + ".json")

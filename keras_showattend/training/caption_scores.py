"""Caption metrics at the end of each epoch: logged, best weights kept, early stopping."""

from __future__ import annotations

import json
import math
import pathlib
import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import keras

from keras_showattend import metrics
from keras_showattend._files import replacing, write_text
from keras_showattend._typing import PathLike
from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.data.image_check import check_images
from keras_showattend.metrics.labels import metric_is_defined, metric_label
from keras_showattend.metrics.report import check_metrics
from keras_showattend.search.generation import caption_dataset
from keras_showattend.training.weights_file import set_aside, weights_problem


class CaptionScores(keras.callbacks.Callback):
    """Captions validation images after an epoch and scores the captions.

    Loss and captions do not improve together: the loss of a captioner is best long before its
    captions are. The scores are added to the epoch's logs as `val_bleu_4`, `val_cider` and so
    on, with `val_distinct`, the share of captions that differ from all others; it falls where
    training on whole captions makes them alike. Callbacks later in the list see them.

    Of epochs with the same score the one with the lower loss is better: `val_loss` where the
    logs have it, otherwise `loss`; in self-critical training the higher `reward`.

    Args:
        dataset: a `CaptionDataset` with its references. Images that cannot be read are left
            out with a warning when training begins.
        filepath: path ending in `.weights.h5` for the best weights so far. A `.json` file
            beside it keeps their score for a resumed run. None keeps no weights.
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
        MetricUnavailableError: for a score that this machine cannot compute.
        ValueError: for an unknown score, if `monitor` is not among `scores`, or if `filepath` has
            another ending.
    """

    def __init__(
        self,
        dataset: CaptionDataset,
        filepath: PathLike | None = None,
        monitor: str = "cider",
        scores: Sequence[str] = ("bleu_4", "rouge_l", "cider"),
        patience: int | None = None,
        restore_best_weights: bool = True,
        feature_cache: Any = "auto",
        batch_size: int = 50,
        frequency: int = 1,
        **generate_options: Any,
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
        check_metrics(scores)
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
        self.best = -math.inf
        self.best_epoch: int | None = None
        self.best_distinct: float | None = None
        self._best_loss = math.inf

    @property
    def is_defined(self) -> bool:
        """Whether there are enough images for the score that decides."""
        return metric_is_defined(self.monitor, len(self.dataset))

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Checks the images and takes up the best score of an interrupted run."""
        self.dataset = check_images(self.dataset, load=self.model.preprocessor.image_converter.load)
        if not self.is_defined:
            warnings.warn(
                f"{metric_label(self.monitor)} is not defined for {len(self.dataset)} image and "
                "is 0 whatever the caption: the best epoch is chosen by the loss. Validate on "
                "more images.",
                UserWarning,
                stacklevel=2,
            )
        record = self._read_record()
        if record is not None:
            self._remember(record)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Scores, logs, keeps the best weights, and stops where patience ends."""
        if (epoch + 1) % self.frequency:
            return
        scores = self.evaluate()
        logs = {} if logs is None else logs
        logs.update({f"val_{name}": value for name, value in scores.items()})
        loss = _loss_of(logs)
        # Also the first epoch of all, whose loss may be NaN.
        if self.best_epoch is None or (scores[self.monitor], -loss) > (self.best, -self._best_loss):
            record = {**scores, "epoch": epoch, **({} if math.isinf(loss) else {"loss": loss})}
            self._remember(record)
            if self.filepath is not None:
                self._keep(self.filepath, record)
        elif self.patience is not None and epoch - self.best_epoch >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Restores the best weights."""
        if self.restore_best_weights and self.filepath and self.filepath.exists():
            self.model.backbone.load_weights(self.filepath)

    def evaluate(self) -> dict[str, float]:
        """Captions the validation images and scores the captions.

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
        references: dict[Hashable, Sequence[str]] = {
            item.id: item.captions for item in self.dataset
        }
        scores = metrics.score_captions(captions, references, metrics=self.scores)
        return {**scores, "distinct": len(set(captions.values())) / len(captions)}

    def _remember(self, record: Mapping[str, Any]) -> None:
        self.best, self.best_epoch = record[self.monitor], record["epoch"]
        self.best_distinct = record.get("distinct")
        self._best_loss = record.get("loss", math.inf)

    def _keep(self, filepath: pathlib.Path, record: Mapping[str, Any]) -> None:
        filepath.parent.mkdir(parents=True, exist_ok=True)
        with replacing(filepath) as partial:
            self.model.backbone.save_weights(partial)
        # After the weights: a record never speaks of weights that are not there.
        write_text(_record_path(filepath), json.dumps(record))

    def _read_record(self) -> dict[str, Any] | None:
        """Reads the record of the best weights, if both are whole; sets broken ones aside."""
        if self.filepath is None or not _record_path(self.filepath).exists():
            return None
        problem = weights_problem(self.filepath)
        if problem is None:
            try:
                record = json.loads(_record_path(self.filepath).read_text())
                return {**record, self.monitor: record[self.monitor], "epoch": record["epoch"]}
            except (ValueError, KeyError, TypeError) as error:
                problem = f"its record is damaged ({error!r})"
        set_aside(problem, self.filepath, _record_path(self.filepath))
        return None


def _loss_of(logs: Mapping[str, Any]) -> float:
    """What decides between epochs of the same score; lower is better, inf is unknown."""
    if "val_loss" not in logs and "reward" in logs:
        return -float(logs["reward"])
    loss = float(logs.get("val_loss", logs.get("loss", math.inf)))
    return math.inf if math.isnan(loss) else loss


def _record_path(filepath: pathlib.Path) -> pathlib.Path:
    return filepath.with_name(filepath.name.removesuffix(".weights.h5") + ".json")

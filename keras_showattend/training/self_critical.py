"""Self-critical sequence training: its settings, rewards, batches and loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_showattend._compat import take_initial_epoch
from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.metrics import CiderD
from keras_showattend.metrics.bleu import bleu_from_statistics, bleu_statistics
from keras_showattend.search import CaptionSearch
from keras_showattend.training.caption_batches import LENGTH_STEP, padded_length
from keras_showattend.training.epoch_seeds import seed_epoch
from keras_showattend.training.image_inputs import ImageInputs

# How many other images of a batch a caption is compared with: those that it describes best. Over
# all of them the mean would hardly tell a general caption from a specific one.
_OTHER_IMAGES = 3
# Added to the counts of a single caption, so that one missing order of n-grams does not make
# its BLEU 0.
_TINY = 1e-9


@keras.saving.register_keras_serializable(package="keras_showattend")
@dataclasses.dataclass(frozen=True)
class SelfCritical:
    """Training on the score of whole captions instead of the next token.

    Captions are sampled from the model. Those that score above the mean of the other samples
    of the same image become more probable, those below it less. Rennie et al. 2017 (arXiv
    1612.00563) compare with the greedy caption; the mean of the other samples is the baseline
    of Luo 2020 (arXiv 2003.09971) and needs no second search. The end token is part of the
    scored caption: without it, captions learn to break off.

    Attributes:
        num_samples: captions K sampled for an image, at least 2.
        bleu_4_weight: weight w in [0, 1] of BLEU-4 in the reward, which is
            `(1 - w) * CIDEr-D + w * BLEU-4` of the single caption, as fractions.
        crossentropy_weight: weight in [0, 1] of the cross-entropy of the dataset's captions
            in the loss, which keeps sentences grammatical.
        distinctness_weight: weight, 0 or more, of what is subtracted from the reward: the mean
            CIDEr-D that the caption has for the three images of its batch, besides its own,
            that it describes best. General captions, which fit many images, lose by it.
            After Wang et al. 2020 (arXiv 2007.06877), who compare with similar images of the
            whole dataset.
        temperature: divides the logits when captions are sampled.
        max_length: longest sampled caption in tokens, its end token included. Longer samples
            are cut, and score as they are. All captions of a batch are padded to its longest,
            so a lower limit saves time: the longest of 160 samples is seldom a good one.
            Defaults to None, the `sequence_length` of the preprocessor, which is also the
            upper limit.

    Raises:
        ValueError: for fewer than 2 samples, a weight outside its range, a temperature
            that is not positive, or a `max_length` below 1.
    """

    num_samples: int = 5
    bleu_4_weight: float = 0.0
    crossentropy_weight: float = 0.0
    distinctness_weight: float = 0.0
    temperature: float = 1.0
    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.num_samples < 2:
            raise ValueError(
                "`num_samples` must be at least 2, because samples are compared with each other. "
                f"Received: num_samples={self.num_samples!r}"
            )
        for name in ("bleu_4_weight", "crossentropy_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1]. Received: {name}={getattr(self, name)!r}"
                )
        if not 0 <= self.distinctness_weight < float("inf"):
            raise ValueError(
                "`distinctness_weight` must be 0 or more. "
                f"Received: distinctness_weight={self.distinctness_weight!r}"
            )
        if not self.temperature > 0:
            raise ValueError(
                f"`temperature` must be positive. Received: temperature={self.temperature!r}"
            )
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(
                "`max_length` must be at least 1, or None for the preprocessor's "
                f"`sequence_length`. Received: max_length={self.max_length!r}"
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make the same settings again."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SelfCritical:
        """Makes the settings of `get_config`."""
        return cls(**config)


class CaptionReward:
    """Scores captions of token ids against the captions of their images.

    Args:
        references: list, an entry an image, of lists of token ids without special tokens.
        end_token_id: int. Ends every reference, and captions that are complete.
        bleu_4_weight: see `SelfCritical`.
    """

    def __init__(
        self,
        references: Sequence[Sequence[Sequence[int]]],
        end_token_id: int,
        bleu_4_weight: float = 0.0,
    ):
        self.bleu_4_weight = bleu_4_weight
        self._cider = CiderD(dict(enumerate(references)), end_token=end_token_id)
        self._references = [[[*ids, end_token_id] for ids in group] for group in references]

    def __call__(self, images: Any, captions: Sequence[Sequence[int]]) -> np.ndarray:
        """Returns the rewards, float32[N].

        Args:
            images: int[N]. The image of each caption.
            captions: N lists of token ids, with the end token where there is one.
        """
        rewards = self._cider.score(images, captions)
        if self.bleu_4_weight:
            counts = bleu_statistics(captions, [self._references[image] for image in images])
            bleu_4 = bleu_from_statistics(counts + _TINY)[:, 3]
            rewards = (1 - self.bleu_4_weight) * rewards + self.bleu_4_weight * bleu_4
        return rewards.astype("float32")

    def for_others(self, images: Any, captions: Sequence[Sequence[int]]) -> np.ndarray:
        """Returns how well captions describe other images of their batch, float32[N].

        Args:
            images: int[N]. The image of each caption; two different ones at least.
            captions: N lists of token ids, with the end token where there is one.

        Returns:
            The mean CIDEr-D for the three other images that a caption describes best, or for
            all others if there are fewer.
        """
        images = np.asarray(images)
        present = np.unique(images)
        scores = np.stack(
            [self._cider.score([image] * len(captions), captions) for image in present], axis=1
        )
        scores[images[:, None] == present] = -np.inf
        best = np.sort(scores, axis=1)[:, ::-1][:, : min(_OTHER_IMAGES, len(present) - 1)]
        return best.mean(axis=1).astype("float32")


class SelfCriticalBatches:
    """Samples captions from a captioner and turns their scores into training batches.

    Args:
        captioner: an `ImageCaptioner`.
        dataset: a `CaptionDataset`.
        inputs: `ImageInputs` of the dataset.
        settings: a `SelfCritical`.
        batch_size: int. Captions sampled for a batch, `num_samples` for each image.
        seed: int. Seed of the order of images and of the sampling.
        **search_options: `jit_compile`, `run_eagerly` of the search.

    Raises:
        ValueError: if `batch_size` is below `num_samples`, or holds the samples of one image
            only while they are to be compared with other images.
    """

    def __init__(
        self,
        captioner: Any,
        dataset: CaptionDataset,
        inputs: ImageInputs,
        settings: SelfCritical,
        batch_size: int = 64,
        seed: int = 0,
        **search_options: Any,
    ):
        if batch_size < settings.num_samples:
            raise ValueError(
                "`batch_size` counts captions and must hold all samples of one image. "
                f"Received: batch_size={batch_size!r}, num_samples={settings.num_samples}"
            )
        self.preprocessor = captioner.preprocessor
        self.inputs = inputs
        self.settings = settings
        self.seed = seed
        self.images_per_batch = min(batch_size // settings.num_samples, len(inputs))
        if settings.distinctness_weight and self.images_per_batch < 2:
            raise ValueError(
                "`distinctness_weight` compares images of one batch: make `batch_size` at least "
                f"2 * num_samples. Received: batch_size={batch_size!r}, "
                f"num_samples={settings.num_samples}, {len(inputs)} images"
            )
        tokenizer = self.preprocessor.tokenizer
        self._end = tokenizer.end_token_id
        self._forbidden = tokenizer.forbidden_token_ids
        self._tokens = [
            [list(map(int, ids)) for ids in tokenizer.tokenize(list(captions))]
            for captions in dataset.captions
        ]
        longest = self.preprocessor.sequence_length
        self._reward = CaptionReward(self._tokens, self._end, settings.bleu_4_weight)
        self._sampler = keras_hub.samplers.RandomSampler(
            seed=seed, temperature=settings.temperature
        )
        self._search = CaptionSearch(
            captioner.backbone,
            tokenizer,
            max_length=min(settings.max_length or longest, longest),
            num_beams=settings.num_samples,
            sampler=self._sampler,
        )
        self._search.compile(**search_options)
        self.start_epoch(0)

    def __len__(self) -> int:
        return len(self._batches)

    def start_epoch(self, epoch: int) -> None:
        """Draws the order of images, flips and windows of an epoch, counted from 0.

        The samples that follow depend on the epoch and on the weights alone.
        """
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.inputs))
        # All batches have one size: the images left over have their turn in other epochs.
        count = len(order) // self.images_per_batch
        self._batches = np.split(order[: count * self.images_per_batch], count)
        self.inputs.start_epoch(epoch)
        seed_epoch([self._sampler.seed_generator.state], epoch, self.seed)

    def draw(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, float]:
        """Samples the captions of one batch with the captioner's present weights.

        Args:
            index: int. Number of the batch in its epoch.

        Returns:
            Tuple `(x, y, sample_weight, reward)`: a batch as `CaptionBatches` makes it. Its I
            images share `num_samples` captions each and, with cross-entropy, those of the
            dataset. Weights may be negative; they are divided by the number of tokens, for a
            loss that is a sum. `reward` is the mean, a float.
        """
        images = self._batches[index]
        inputs = self.inputs.gather(images, index)
        inputs = {key: value.astype("float32") for key, value in inputs.items()}
        sampled = np.asarray(self._search.predict_on_batch(inputs)["token_ids"])
        count = self.settings.num_samples
        rows = [self._unpad(row) for row in sampled.reshape(-1, sampled.shape[-1])]
        described = np.repeat(images, count)
        rewards = self._reward(described, rows)
        if self.settings.distinctness_weight:
            others = self._reward.for_others(described, rows)
            rewards = rewards - self.settings.distinctness_weight * others
        rewards = rewards.reshape(-1, count)
        # The reward less the mean of the other samples.
        advantages = (rewards - rewards.mean(axis=1, keepdims=True)) * count / (count - 1)
        image_index = None
        scales = advantages.reshape(-1)
        groups = np.zeros(len(rows), int)
        if self.settings.crossentropy_weight:
            longest = self.preprocessor.sequence_length - 1
            given = [
                (i, [*ids[:longest], self._end])
                for i, image in enumerate(images)
                for ids in self._tokens[image]
            ]
            rows += [ids for _, ids in given]
            image_index = np.repeat(np.arange(len(images)), count)
            image_index = np.concatenate([image_index, [i for i, _ in given]])
            weight = self.settings.crossentropy_weight
            scales = np.concatenate([(1 - weight) * scales, np.full(len(given), weight)])
            groups = np.concatenate([groups, np.ones(len(given), int)])
        steps = max(map(len, rows))
        length = int(padded_length(steps, LENGTH_STEP, self.preprocessor.sequence_length))
        # A sample that reached the longest length has not ended, and must not learn to.
        packed = self.preprocessor.pack(rows, length, add_end_token=False)
        parts = self.preprocessor.shift(packed)
        weights = parts["sample_weight"]
        # Unknown words of the given captions, which the loss leaves out.
        weights = weights * ~np.isin(parts["targets"], self._forbidden)
        totals = np.bincount(groups, weights.sum(axis=1))
        weights = weights * (scales / totals[groups])[:, None]
        x = {
            **inputs,
            "token_ids": parts["token_ids"],
            "padding_mask": parts["padding_mask"],
        }
        if image_index is not None:
            x["image_index"] = image_index.astype("int32")
        return x, parts["targets"], weights.astype("float32"), float(rewards.mean())

    def _unpad(self, row: np.ndarray) -> list[int]:
        ids = row.tolist()
        return ids[: ids.index(self._end) + 1] if self._end in ids else ids


def fit_self_critical(
    captioner: Any,
    batches: SelfCriticalBatches,
    *,
    epochs: int = 1,
    initial_epoch: int = 0,
    callbacks: Any = None,
    verbose: Any = "auto",
) -> keras.callbacks.History:
    """Trains as `keras.Model.fit` does, on batches that are sampled from the model itself.

    `fit` reads its data ahead of the model, and on JAX while the weights are elsewhere. Here
    each batch is sampled with the weights that the previous one has left.

    Args:
        captioner: a compiled `ImageCaptioner`.
        batches: `SelfCriticalBatches` of it.
        epochs, initial_epoch, callbacks, verbose: as for `keras.Model.fit`.

    Returns:
        `keras.callbacks.History` with `loss` and `reward`, the mean score of the sampled
        captions.
    """
    verbose = 1 if verbose == "auto" else verbose
    callbacks = keras.callbacks.CallbackList(
        callbacks,
        add_history=True,
        add_progbar=verbose != 0,
        model=captioner,
        verbose=verbose,
        epochs=epochs,
        steps=len(batches),
    )
    captioner.stop_training = False
    callbacks.on_train_begin()
    logs: dict[str, float] = {}
    for epoch in range(take_initial_epoch(captioner, initial_epoch), epochs):
        batches.start_epoch(epoch)
        callbacks.on_epoch_begin(epoch)
        sums = {"loss": 0.0, "reward": 0.0}
        logs = {}
        for step in range(len(batches)):
            callbacks.on_train_batch_begin(step)
            x, y, weight, reward = batches.draw(step)
            # KerasHub's own method would preprocess the batch again.
            found = keras.Model.train_on_batch(
                captioner, x, y, sample_weight=weight, return_dict=True
            )
            sums["loss"] += float(found["loss"])
            sums["reward"] += reward
            logs = {key: total / (step + 1) for key, total in sums.items()}
            callbacks.on_train_batch_end(step, logs)
            if captioner.stop_training:
                break
        callbacks.on_epoch_end(epoch, logs)
        if captioner.stop_training:
            break
    captioner.optimizer.finalize_variable_values(captioner.trainable_weights)
    callbacks.on_train_end(logs)
    return captioner.history

"""Self-critical sequence training: what it is set to, its rewards and its batches."""

import dataclasses

import keras
import keras_hub
import numpy as np

from keras_showattend.metrics import CiderD
from keras_showattend.metrics.bleu import bleu_from_statistics, bleu_statistics
from keras_showattend.search import CaptionSearch
from keras_showattend.training.caption_batches import LENGTH_STEP, padded_length

# Smoothing of a single caption's counts, so that a missing match is not the end of it.
_TINY = 1e-9


@keras.saving.register_keras_serializable(package="keras_showattend")
@dataclasses.dataclass(frozen=True)
class SelfCritical:
    """Training on the score of whole captions in place of the next word.

    Captions are drawn from the model; those that score above the mean of the others
    drawn for the same image become more probable, those below less. Rennie et al. 2017
    (arXiv 1612.00563) compare with the greedy caption; the mean of the other samples is the
    baseline of Luo 2020 (arXiv 2003.09971), and needs no second search. The end
    token takes part in the score: without it captions learn to break off.

    Attributes:
        num_samples: captions K drawn for an image, at least 2.
        bleu_4_weight: share w in [0, 1] of BLEU-4 in the reward, which is
            `(1 - w) * CIDEr-D + w * BLEU-4` of the single caption, where papers print 100
            times these.
        crossentropy_weight: share in [0, 1] of the cross-entropy of the data's captions
            in the loss, which keeps sentences grammatical.
        temperature: of the words' softmax when captions are drawn.

    Raises:
        ValueError: for fewer than 2 samples, a weight outside [0, 1] or a temperature
            that is not positive.
    """

    num_samples: int = 5
    bleu_4_weight: float = 0.0
    crossentropy_weight: float = 0.0
    temperature: float = 1.0

    def __post_init__(self):
        if self.num_samples < 2:
            raise ValueError(
                "`num_samples` must be at least 2, since samples are compared with each other. "
                f"Received: num_samples={self.num_samples!r}"
            )
        for name in ("bleu_4_weight", "crossentropy_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1]. Received: {name}={getattr(self, name)!r}"
                )
        if not self.temperature > 0:
            raise ValueError(
                f"`temperature` must be positive. Received: temperature={self.temperature!r}"
            )

    def get_config(self):
        """Arguments that make the same settings again."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """Makes the settings of `get_config`."""
        return cls(**config)


class CaptionReward:
    """Scores captions of token ids against the captions of their images.

    Args:
        references: list, an entry an image, of lists of token ids without special tokens.
        end_token_id: int. Ends every reference, and captions that are complete.
        bleu_4_weight: see `SelfCritical`.
    """

    def __init__(self, references, end_token_id, bleu_4_weight=0.0):
        self.bleu_4_weight = bleu_4_weight
        self._cider = CiderD(dict(enumerate(references)), end_token=end_token_id)
        self._references = [[[*ids, end_token_id] for ids in group] for group in references]

    def __call__(self, images, captions):
        """Rewards, float32[N].

        Args:
            images: int[N]. Which image each caption is of.
            captions: N lists of token ids, with the end token where there is one.
        """
        rewards = self._cider.score(images, captions)
        if self.bleu_4_weight:
            counts = bleu_statistics(captions, [self._references[image] for image in images])
            bleu_4 = bleu_from_statistics(counts + _TINY)[:, 3]
            rewards = (1 - self.bleu_4_weight) * rewards + self.bleu_4_weight * bleu_4
        return rewards.astype("float32")


class SelfCriticalBatches:
    """Draws captions from a captioner and turns their scores into training batches.

    Args:
        captioner: an `ImageCaptioner`.
        dataset: a `CaptionDataset`.
        inputs: `ImageInputs` of the dataset.
        settings: a `SelfCritical`.
        batch_size: int. Captions drawn for a batch, `num_samples` for each image.
        seed: int. Of the order of images and of the drawing.
        **search_options: `jit_compile`, `run_eagerly` of the search.

    Raises:
        ValueError: if `batch_size` is below `num_samples`.
    """

    def __init__(self, captioner, dataset, inputs, settings, batch_size=64, seed=0, **options):
        if batch_size < settings.num_samples:
            raise ValueError(
                "`batch_size` counts captions and must hold those of one image at least. "
                f"Received: batch_size={batch_size!r}, num_samples={settings.num_samples}"
            )
        self.preprocessor = captioner.preprocessor
        self.inputs = inputs
        self.settings = settings
        self.seed = seed
        self.images_per_batch = min(batch_size // settings.num_samples, len(inputs))
        tokenizer = self.preprocessor.tokenizer
        self._end = tokenizer.end_token_id
        self._forbidden = tokenizer.forbidden_token_ids
        self._tokens = [
            [list(map(int, ids)) for ids in tokenizer.tokenize(list(captions))]
            for captions in dataset.captions
        ]
        self._reward = CaptionReward(self._tokens, self._end, settings.bleu_4_weight)
        self._search = CaptionSearch(
            captioner.backbone,
            tokenizer,
            max_length=self.preprocessor.sequence_length,
            num_beams=settings.num_samples,
            sampler=keras_hub.samplers.RandomSampler(seed=seed, temperature=settings.temperature),
        )
        self._search.compile(**options)
        self.start_epoch(0)

    def __len__(self):
        return len(self._batches)

    def start_epoch(self, epoch):
        """Draws the order of images, flips and windows of an epoch, from 0."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.inputs))
        # All batches have one size: images that are left over have their turn in other epochs.
        count = len(order) // self.images_per_batch
        self._batches = np.split(order[: count * self.images_per_batch], count)
        self.inputs.start_epoch(epoch)

    def draw(self, index):
        """Samples the captions of one batch with the captioner's weights of this moment.

        Args:
            index: int. Number of the batch in its epoch.

        Returns:
            Tuple `(x, y, sample_weight, reward)`: a batch as `CaptionBatches` makes it,
            its I images sharing `num_samples` captions each and, with cross-entropy, those
            of the data; weights may be negative and are divided by the number of words,
            for a loss that is a sum; `reward` is the mean float.
        """
        images = self._batches[index]
        inputs = self.inputs.gather(images, index)
        inputs = {key: value.astype("float32") for key, value in inputs.items()}
        drawn = np.asarray(self._search.predict_on_batch(inputs)["token_ids"])
        count = self.settings.num_samples
        captions = [self._unpad(row) for row in drawn.reshape(-1, drawn.shape[-1])]
        rewards = self._reward(np.repeat(images, count), captions).reshape(-1, count)
        # The reward less the mean of the other samples.
        advantages = (rewards - rewards.mean(axis=1, keepdims=True)) * count / (count - 1)
        rows = [ids[:-1] if ids[-1] == self._end else ids for ids in captions]
        image_index = np.repeat(np.arange(len(images)), count)
        scales = advantages.reshape(-1)
        groups = np.zeros(len(rows), int)
        if self.settings.crossentropy_weight:
            given = [(i, ids) for i, image in enumerate(images) for ids in self._tokens[image]]
            rows += [ids for _, ids in given]
            image_index = np.concatenate([image_index, [i for i, _ in given]])
            share = self.settings.crossentropy_weight
            scales = np.concatenate([(1 - share) * scales, np.full(len(given), share)])
            groups = np.concatenate([groups, np.ones(len(given), int)])
        steps = max(len(ids) + 1 for ids in rows)
        length = int(padded_length(steps, LENGTH_STEP, self.preprocessor.sequence_length))
        parts = self.preprocessor.shift(self.preprocessor.pack(rows, length))
        weight = parts["sample_weight"]
        # Unknown words of the given captions, which the loss leaves out.
        weight = weight * ~np.isin(parts["targets"], self._forbidden)
        words = weight.sum(axis=1)
        totals = np.bincount(groups, words)
        weight = weight * (scales / totals[groups])[:, None]
        x = {
            **inputs,
            "token_ids": parts["token_ids"],
            "padding_mask": parts["padding_mask"],
            "image_index": image_index.astype("int32"),
        }
        return x, parts["targets"], weight.astype("float32"), float(rewards.mean())

    def _unpad(self, row):
        ids = row.tolist()
        return ids[: ids.index(self._end) + 1] if self._end in ids else ids

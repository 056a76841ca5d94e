"""Learning from a teacher: another captioner, or an ensemble of them."""

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from keras_showattend.models.ensemble import CaptionerEnsemble
from keras_showattend.models.members import require_same_vocabulary
from keras_showattend.preprocessing import ImageCaptionerPreprocessor
from keras_showattend.training.caption_batches import CaptionBatches
from keras_showattend.training.image_inputs import ImageInputs
from keras_showattend.training.losses import distillation_loss
from keras_showattend.training.soft_targets import SoftTargets


class Distillation:
    """Mixes into a captioner's loss how far its next words are from a teacher's.

    Source: Hinton et al. 2015 (arXiv 1503.02531), word by word as in Kim and Rush 2016
    (arXiv 1606.07947): `(1 - weight) * loss + weight * distillation_loss`.

    Before training the teacher reads every caption once, beside its picture whole and
    unmirrored, and its most probable next words are kept in memory. Its own weights take
    no part in the training and are not saved with the student.

    Args:
        teacher: an `ImageCaptioner` or a `CaptionerEnsemble` with the student's
            vocabulary; the rest may differ.
        weight: float in [0, 1]. The teacher's part of the loss. Defaults to 0.5.
        temperature: float above 0 that divides the logits of both. Defaults to 1.
        num_words: int or None. How many words the teacher names at each step, with
            probabilities scaled to add up to 1 (as in Tan et al. 2019, arXiv 1902.10461);
            None takes all, V numbers for each word of the training captions. Defaults to
            16.

    Raises:
        ValueError: for a value outside its range.

    Example:

    ```python
    student.compile(distillation=Distillation(CaptionerEnsemble(["first", "second"])))
    student.fit(dataset)
    ```
    """

    def __init__(self, teacher, weight=0.5, temperature=1.0, num_words=16):
        if not 0 <= weight <= 1:
            raise ValueError(f"`weight` must be in [0, 1]. Received: weight={weight!r}")
        if not 0 < temperature < float("inf"):
            raise ValueError(
                f"`temperature` must be above 0. Received: temperature={temperature!r}"
            )
        if num_words is not None and (not isinstance(num_words, int) or num_words < 1):
            raise ValueError(
                f"`num_words` must be a positive int or None. Received: num_words={num_words!r}"
            )
        self.teacher = (
            teacher if isinstance(teacher, CaptionerEnsemble) else CaptionerEnsemble([teacher])
        )
        self.weight = weight
        self.temperature = temperature
        self.num_words = num_words

    def prepare(self, batches, feature_cache="auto"):
        """Asks the teacher about every caption, and adds what it says to the batches.

        Args:
            batches: `CaptionBatches` of the student.
            feature_cache: as for `ImageCaptioner.fit`, for the teacher's encoders. Features
                that the student's encoder has left there are used if it is the same.

        Raises:
            ValueError: for other data, or another vocabulary than the teacher's.
        """
        if not isinstance(batches, CaptionBatches):
            raise ValueError(
                "A teacher reads captions before the training: `fit` on a `CaptionDataset` or a "
                f"dict of images and captions. Received: {type(batches).__name__}"
            )
        own = self.teacher.preprocessor
        require_same_vocabulary(own.tokenizer, batches.preprocessor.tokenizer)
        dataset = batches.dataset
        teacher_batches = CaptionBatches(
            dataset,
            # Its own pixels, but captions that are cut where the student's are.
            ImageCaptionerPreprocessor(
                own.image_converter, own.tokenizer, batches.preprocessor.sequence_length
            ),
            ImageInputs(
                dataset.images,
                own.image_converter,
                self.teacher.cached_features(dataset.images, feature_cache),
            ),
            batch_size=batches.batch_size,
            shuffle=False,
        )
        batches.soft_targets = self._soft_targets(teacher_batches)

    def _soft_targets(self, batches):
        model = _NextWords(self.teacher.backbone, self.temperature, self.num_words)
        smallest_dtype = np.min_scalar_type(self.teacher.backbone.vocabulary_size)
        token_ids, probabilities = {}, {}
        for index in tqdm(range(len(batches)), desc="Asking the teacher", unit="batch"):
            x, _, _ = batches[index]
            outputs = model.predict_on_batch({key: x[key] for key in x if key != "padding_mask"})
            outputs = [ops.convert_to_numpy(output) for output in outputs]
            # Rows that fill up the last batch come after the captions.
            for row, mask, ids, words in zip(
                batches.rows(index), x["padding_mask"], *outputs, strict=False
            ):
                token_ids[int(row)] = ids[mask].astype(smallest_dtype)
                probabilities[int(row)] = words[mask].astype("float16")
        rows = range(len(token_ids))
        return SoftTargets([token_ids[row] for row in rows], [probabilities[row] for row in rows])

    def mix(self, loss, x, logits, sample_weight):
        """The loss of a training step.

        Args:
            loss: float32 scalar without the teacher.
            x: dict of the batch, with what `prepare` added.
            logits: float32[B, T, V] of the student.
            sample_weight: float32[B, T].

        Raises:
            ValueError: if the batch did not come through `fit`.
        """
        if "teacher_ids" not in x:
            raise ValueError(
                "Batches for distillation are made by `fit`, which asks the teacher first. "
                f"Received: a batch with {sorted(x)}"
            )
        taught = distillation_loss(
            logits,
            x["teacher_ids"],
            x["teacher_probabilities"],
            sample_weight,
            self.temperature,
        )
        return (1 - self.weight) * loss + self.weight * taught


class _NextWords(keras.Model):
    """The most probable next words of an `EnsembleBackbone`, ids and probabilities."""

    def __init__(self, backbone, temperature, num_words):
        super().__init__(name="next_words")
        self.backbone = backbone
        self.temperature = temperature
        self.num_words = min(num_words or backbone.vocabulary_size, backbone.vocabulary_size)
        self.built = True
        self.compile()

    def call(self, inputs):
        probabilities = ops.softmax(self.backbone(inputs) / self.temperature, axis=-1)
        probabilities, token_ids = ops.top_k(probabilities, self.num_words)
        return token_ids, probabilities / ops.sum(probabilities, axis=-1, keepdims=True)

"""Learning from a teacher: another captioner, or an ensemble of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from keras_showattend._typing import Tensor
from keras_showattend.data.features import FeatureCache, folder_and_dtype
from keras_showattend.preprocessing import ImageCaptionerPreprocessor
from keras_showattend.preprocessing.caption_tokenizer import require_same_vocabulary
from keras_showattend.training.caption_batches import CaptionBatches
from keras_showattend.training.image_inputs import ImageInputs
from keras_showattend.training.losses import distillation_loss


class Distillation:
    """Adds to a captioner's loss the cross-entropy of its next tokens under a teacher's.

    Source: Hinton et al. 2015 (arXiv 1503.02531), token by token as in Kim and Rush 2016
    (arXiv 1606.07947): `(1 - weight) * loss + weight * distillation_loss`.

    Before training, the teacher reads every caption once with its image whole and unmirrored.
    Its most probable next tokens are kept in memory. The teacher's weights are not trained
    and not saved with the student.

    Args:
        teacher: an `ImageCaptioner` or a `CaptionerEnsemble` with the student's vocabulary.
            Encoder, decoder and sizes may differ.
        weight: float in [0, 1]. Weight of the teacher in the loss. Defaults to 0.5.
        temperature: float above 0 that divides the logits of both. Defaults to 1.
        num_words: int or None. Number of tokens K that the teacher names at each step, with
            probabilities scaled to add up to 1 (as in Tan et al. 2019, arXiv 1902.10461).
            None takes all V, which is V numbers for each token of the training captions.
            Defaults to 16.

    Raises:
        ValueError: for a value outside its range, or a teacher of another type.

    Example:

    ```python
    student.compile(distillation=Distillation(CaptionerEnsemble(["first", "second"])))
    student.fit(dataset)
    ```
    """

    def __init__(
        self,
        teacher: Any,
        weight: float = 0.5,
        temperature: float = 1.0,
        num_words: int | None = 16,
    ):
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
        if any(not hasattr(teacher, name) for name in ("backbone", "preprocessor")):
            raise ValueError(
                "`teacher` must be a captioner with its preprocessor: pass "
                "`ImageCaptioner.from_preset(name)` or a `CaptionerEnsemble`. "
                f"Received: teacher={teacher!r}"
            )
        self.teacher = teacher
        self.weight = weight
        self.temperature = temperature
        self.num_words = num_words

    def prepare(self, batches: CaptionBatches, feature_cache: Any = "auto") -> None:
        """Asks the teacher about every caption, and adds its answers to the batches.

        Args:
            batches: `CaptionBatches` of the student.
            feature_cache: as for `ImageCaptioner.fit`, for the teacher's encoders. The
                student's features are used if the encoder is the same.

        Raises:
            ValueError: for other data, or another vocabulary than the teacher's.
        """
        if not isinstance(batches, CaptionBatches):
            raise ValueError(
                "A teacher reads all captions before training: `fit` on a `CaptionDataset` or a "
                f"dict of images and captions. Received: {type(batches).__name__}"
            )
        own = self.teacher.preprocessor
        require_same_vocabulary(own.tokenizer, batches.preprocessor.tokenizer)
        images = batches.dataset.images
        teacher_batches = CaptionBatches(
            batches.dataset,
            # Its own pixels, but captions that are cut where the student's are.
            ImageCaptionerPreprocessor(
                own.image_converter, own.tokenizer, batches.preprocessor.sequence_length
            ),
            ImageInputs(images, own.image_converter, self._features(images, feature_cache)),
            batch_size=batches.batch_size,
            shuffle=False,
        )
        batches.soft_targets = self._soft_targets(teacher_batches)

    def _features(self, images: Sequence[Any], feature_cache: Any) -> Any:
        encoder = getattr(self.teacher.backbone, "image_encoder", None)
        if encoder is None or feature_cache is None:
            # An ensemble has several encoders and knows which of its members share one.
            return self.teacher.cached_features(images, feature_cache)
        folder, dtype = folder_and_dtype(feature_cache)
        converter = self.teacher.preprocessor.image_converter
        return FeatureCache(encoder, converter, folder, dtype).compute(images)

    def _soft_targets(self, batches: CaptionBatches) -> SoftTargets:
        model = _NextTokens(self.teacher, self.temperature, self.num_words)
        smallest_dtype = np.min_scalar_type(self.teacher.backbone.vocabulary_size)
        token_ids, probabilities = {}, {}
        for index in tqdm(range(len(batches)), desc="Asking the teacher", unit="batch"):
            x, _, _ = batches[index]
            outputs = model.predict_on_batch({key: x[key] for key in x if key != "padding_mask"})
            outputs = [ops.convert_to_numpy(output) for output in outputs]
            # Rows that fill up the last batch come after the captions.
            for row, mask, ids, shares in zip(
                batches.rows(index), x["padding_mask"], *outputs, strict=False
            ):
                token_ids[int(row)] = ids[mask].astype(smallest_dtype)
                probabilities[int(row)] = shares[mask].astype("float16")
        rows = range(len(token_ids))
        return SoftTargets([token_ids[row] for row in rows], [probabilities[row] for row in rows])

    def mix(self, loss: Tensor, x: dict[str, Tensor], logits: Tensor, sample_weight: Tensor) -> Any:
        """Returns the loss of a training step.

        Args:
            loss: float32 scalar without the teacher.
            x: dict of the batch, with what `prepare` added.
            logits: float32[B, T, V] of the student.
            sample_weight: float32[B, T].

        Returns:
            float32 scalar.

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


class SoftTargets:
    """A teacher's most probable next tokens at each step of each caption.

    Args:
        token_ids: list with an int[steps, K] for each caption.
        probabilities: list with a float[steps, K] for each caption; each step adds up to 1.
    """

    def __init__(self, token_ids: Sequence[np.ndarray], probabilities: Sequence[np.ndarray]):
        self._token_ids = token_ids
        self._probabilities = probabilities

    def gather(self, rows: Any, length: int) -> dict[str, np.ndarray]:
        """Returns the inputs of a training step.

        Args:
            rows: int[B]. Captions, counted through the dataset.
            length: int. Steps T.

        Returns:
            Dict of `teacher_ids` int32[B, T, K] and `teacher_probabilities`
            float32[B, T, K], 0 on padding.
        """
        shape = (len(rows), length, self._token_ids[0].shape[-1])
        token_ids, probabilities = np.zeros(shape, "int32"), np.zeros(shape, "float32")
        for position, row in enumerate(rows):
            steps = len(self._token_ids[row])
            token_ids[position, :steps] = self._token_ids[row]
            probabilities[position, :steps] = self._probabilities[row]
        return {"teacher_ids": token_ids, "teacher_probabilities": probabilities}


class _NextTokens(keras.Model):
    """The most probable next tokens of a teacher: ids and probabilities."""

    def __init__(self, teacher: Any, temperature: float, num_words: int | None):
        super().__init__(name="next_tokens")
        # An ensemble is no layer, but its backbone is.
        self.teacher = teacher if callable(teacher) else teacher.backbone
        self.temperature = temperature
        vocabulary_size = teacher.backbone.vocabulary_size
        self.num_words = min(num_words or vocabulary_size, vocabulary_size)
        self.built = True
        self.compile()

    def call(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        logits = ops.cast(self.teacher(inputs), "float32")
        probabilities = ops.softmax(logits / self.temperature, axis=-1)
        probabilities, token_ids = ops.top_k(probabilities, self.num_words)
        return token_ids, probabilities / ops.sum(probabilities, axis=-1, keepdims=True)

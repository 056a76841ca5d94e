"""One stage of a run: its recipe, the callbacks that keep its state, and its best weights."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
from typing import Any

import keras

from keras_showattend._files import write_text
from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.data.features import FeatureCache
from keras_showattend.layers import ImageEncoder
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.preprocessing.caption_tokenizer import require_same_vocabulary
from keras_showattend.recipes.backup import Backup
from keras_showattend.recipes.recipe import Recipe
from keras_showattend.recipes.time_left import TimeLeft
from keras_showattend.training.augmentation import Augmentation
from keras_showattend.training.caption_scores import CaptionScores
from keras_showattend.training.distillation import Distillation
from keras_showattend.training.self_critical import SelfCritical
from keras_showattend.training.training_batches import BatchSettings, dataset_batches
from keras_showattend.training.weights_file import set_aside, weights_problem


@dataclasses.dataclass(frozen=True)
class Run:
    """What all stages of a run share; see `train_captioner`.

    Attributes:
        dataset: `CaptionDataset` to learn from, whose images can be read.
        validation_data: `CaptionDataset` that chooses the best epoch, likewise.
        teacher: a captioner to learn from, or None.
        feature_cache: folder of the feature cache, or `"auto"`.
        patience: epochs without a better CIDEr after which a stage stops, or None.
        verbose: as for `keras.Model.fit`.
    """

    dataset: CaptionDataset
    validation_data: CaptionDataset
    teacher: Any = None
    feature_cache: Any = "auto"
    patience: int | None = None
    verbose: Any = "auto"


def train_stage(
    run: Run, captioner: ImageCaptioner, recipe: Recipe, folder: pathlib.Path
) -> dict[str, Any]:
    """Trains a captioner by one recipe, or loads what an earlier run has made of it.

    Args:
        run: a `Run`.
        captioner: the `ImageCaptioner` to start from. It ends with the best weights, its
            encoder frozen.
        recipe: a `Recipe` that has passed `check_stage`. Its architecture is not used.
        folder: path for the state of an unfinished stage and the weights of a finished one.

    Returns:
        Dict that JSON can hold: `recipe`, `date`, `best_epoch`, `validation_cider` and
        `validation_distinct`, the share of different captions.
    """
    done, best = folder / "done.json", folder / "best.weights.h5"
    learner = _learner(captioner, recipe)
    record = _finished(done, best)
    if record is not None:
        learner.backbone.load_weights(best)
    else:
        keras.utils.set_random_seed(recipe.seed)
        scores = _fit(run, learner, recipe, folder)
        record = {
            "recipe": recipe.to_dict(),
            "date": datetime.date.today().isoformat(),
            "best_epoch": scores.best_epoch,
            "validation_cider": float(scores.best),
            "validation_distinct": scores.best_distinct,
        }
        write_text(done, json.dumps(record))
    if learner is not captioner:
        captioner.backbone.set_weights(learner.backbone.get_weights())
    captioner.backbone.image_encoder.trainable = False
    captioner.calibration = None
    return record


def check_stage(captioner: ImageCaptioner, recipe: Recipe, teacher: Any = None) -> None:
    """Refuses a recipe that its captioner cannot run, before any stage runs.

    Args:
        captioner: an `ImageCaptioner`.
        recipe: a `Recipe`.
        teacher: what its `distillation_weight` is for, or None.

    Raises:
        ValueError: for a layer that is not there, or settings that do not go together.
    """
    if _distillation(recipe, teacher) is not None:
        require_same_vocabulary(teacher.preprocessor.tokenizer, captioner.preprocessor.tokenizer)
    for name in ("feature_dtype", "decoder_dtype"):
        try:
            keras.dtype_policies.get(getattr(recipe, name))
        except ValueError as error:
            raise ValueError(
                f"`{name}` of a recipe must be a dtype policy, such as 'mixed_bfloat16'. "
                f"Received: {name}={getattr(recipe, name)!r}"
            ) from error
    if recipe.batch_size < recipe.self_critical_samples:
        raise ValueError(
            "`batch_size` of a recipe counts captions and must hold all samples of one image. "
            f"Received: batch_size={recipe.batch_size!r}, "
            f"self_critical_samples={recipe.self_critical_samples!r}"
        )
    if _self_critical(recipe) and (recipe.scheduled_sampling or recipe.distillation_weight):
        raise ValueError(
            "A recipe with `self_critical_samples` reads only captions of its own, and goes with "
            "neither `scheduled_sampling` nor `distillation_weight`: make them two stages. "
            f"Received: scheduled_sampling={recipe.scheduled_sampling!r}, "
            f"distillation_weight={recipe.distillation_weight!r}"
        )
    if recipe.unfreeze_after:
        captioner.backbone.image_encoder.part_after(recipe.unfreeze_after)
    for name in ("random_window", "random_crop", "color_jitter", "layer_decay"):
        value, default = getattr(recipe, name), getattr(Recipe, name)
        if value != default and not recipe.unfreeze_after:
            raise ValueError(
                f"`{name}` of a recipe needs `unfreeze_after`: a frozen encoder learns nothing, "
                f"and its annotations are final. Received: {name}={value!r}, unfreeze_after=''"
            )
    if recipe.random_window < 1 and _augmentation(recipe):
        raise ValueError(
            "`random_window` cuts cached features, and `random_crop` and `color_jitter` vary the "
            "images themselves: use one or the other. Received: "
            f"random_window={recipe.random_window!r}, random_crop={recipe.random_crop!r}, "
            f"color_jitter={recipe.color_jitter!r}"
        )


def stage_cache(captioner: ImageCaptioner, recipe: Recipe, feature_cache: Any) -> FeatureCache:
    """Returns the cache of what is frozen in a captioner, in the recipe's precision.

    Args:
        captioner: an `ImageCaptioner`.
        recipe: a `Recipe`.
        feature_cache: folder, or `"auto"`.
    """
    folder = None if feature_cache == "auto" else feature_cache
    return captioner.feature_cache(folder, dtype=recipe.feature_dtype)


def _finished(done: pathlib.Path, best: pathlib.Path) -> dict[str, Any] | None:
    """Reads the record of a stage that has ended, or None if it has to be run."""
    if not done.exists():
        return None
    problem = weights_problem(best)
    if problem is None:
        try:
            return dict(json.loads(done.read_text()))
        except ValueError as error:
            problem = f"its record is damaged ({error})"
    set_aside(problem, best, done)
    return None


def _augmentation(recipe: Recipe) -> Augmentation | None:
    augmentation = Augmentation(recipe.random_crop, recipe.color_jitter)
    return None if augmentation == Augmentation() else augmentation


def _self_critical(recipe: Recipe) -> SelfCritical | None:
    if not recipe.self_critical_samples:
        return None
    return SelfCritical(
        recipe.self_critical_samples,
        recipe.bleu_4_weight,
        recipe.crossentropy_weight,
        recipe.distinctness_weight,
        max_length=recipe.self_critical_length or None,
    )


def _distillation(recipe: Recipe, teacher: Any) -> Distillation | None:
    if not recipe.distillation_weight:
        return None
    if teacher is None:
        raise ValueError(
            "`distillation_weight` of a recipe needs a `teacher`. "
            f"Received: distillation_weight={recipe.distillation_weight!r}, teacher=None"
        )
    return Distillation(teacher, recipe.distillation_weight)


def _learner(captioner: ImageCaptioner, recipe: Recipe) -> ImageCaptioner:
    """Returns the captioner itself, or a copy that learns in the recipe's precision."""
    backbone = captioner.backbone
    encoder = backbone.image_encoder
    # Its features are computed once, so it stays as it is even if its weights are random.
    encoder.trainable = False
    decoder_dtype = keras.dtype_policies.get(recipe.decoder_dtype)
    if not recipe.unfreeze_after and decoder_dtype == backbone.dtype_policy:
        return captioner
    encoder = encoder.with_dtype(recipe.feature_dtype)
    if recipe.unfreeze_after:
        encoder.unfreeze(recipe.unfreeze_after)
    return ImageCaptioner(
        backbone.with_encoder(encoder, dtype=decoder_dtype), captioner.preprocessor
    )


def _fit(run: Run, learner: ImageCaptioner, recipe: Recipe, folder: pathlib.Path) -> CaptionScores:
    cache = stage_cache(learner, recipe, run.feature_cache)
    self_critical = _self_critical(recipe)
    settings = BatchSettings(
        batch_size=recipe.batch_size,
        feature_cache=cache,
        random_flip=recipe.random_flip,
        random_window=recipe.random_window,
        augmentation=_augmentation(recipe),
        seed=recipe.seed,
    )
    batches = dataset_batches(learner, run.dataset, settings, self_critical)
    learner.compile(
        optimizer=_optimizer(recipe, len(batches), learner.backbone.image_encoder),
        label_smoothing=recipe.label_smoothing,
        doubly_stochastic_weight=recipe.doubly_stochastic_weight,
        scheduled_sampling=recipe.scheduled_sampling,
        distillation=_distillation(recipe, run.teacher),
        self_critical=self_critical,
    )
    scores = CaptionScores(
        run.validation_data,
        filepath=folder / "best.weights.h5",
        patience=run.patience,
        feature_cache=cache,
        num_beams=recipe.num_beams,
        length_penalty=recipe.length_penalty,
    )
    folder.mkdir(parents=True, exist_ok=True)
    log = _epoch_log(folder / "epochs.csv")
    backup = Backup(folder / "backup", recipe.seed)
    if recipe.ema_momentum:
        # The backup comes before the average replaces the weights, and the scores after.
        average = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        callbacks = [backup, average, scores, log]
    else:
        # An epoch counts as finished when its scores are known.
        callbacks = [scores, log, backup]
    if run.verbose != 0:
        callbacks.append(TimeLeft(recipe.epochs, len(batches)))
    try:
        learner.fit(
            batches,
            epochs=recipe.epochs,
            callbacks=callbacks,
            # Where scores are undefined, the loss of these images chooses the epoch.
            validation_data=None if scores.is_defined or self_critical else run.validation_data,
            # For the teacher and the validation data; the batches have their features.
            feature_cache=cache,
            verbose=run.verbose,
        )
    finally:
        if log.csv_file is not None:
            # Keras closes it only if training was not interrupted.
            log.csv_file.close()
    return scores


def _epoch_log(path: pathlib.Path) -> keras.callbacks.CSVLogger:
    """Makes the callback that appends to a log, without a last line that a kill cut off."""
    if path.exists():
        whole, newline, rest = path.read_text().rpartition("\n")
        if rest:
            write_text(path, whole + newline)
    return keras.callbacks.CSVLogger(path, append=True)


def _optimizer(
    recipe: Recipe, steps_per_epoch: int, image_encoder: ImageEncoder
) -> keras.optimizers.Optimizer:
    warmup = int(recipe.warmup_epochs * steps_per_epoch)
    average = {"use_ema": True, "ema_momentum": recipe.ema_momentum} if recipe.ema_momentum else {}

    def adam(learning_rate: float) -> keras.optimizers.Optimizer:
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else learning_rate,
            max(1, recipe.epochs * steps_per_epoch - warmup),
            warmup_target=learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        return keras.optimizers.Adam(schedule, global_clipnorm=recipe.clip_norm, **average)

    decoder_adam = adam(recipe.learning_rate)
    own_rate = recipe.encoder_learning_rate or recipe.layer_decay != 1
    if not recipe.unfreeze_after or not own_rate:
        return decoder_adam
    rate = recipe.encoder_learning_rate or recipe.learning_rate
    blocks = image_encoder.trainable_blocks()
    if recipe.layer_decay == 1:
        # One optimizer, whose gradients are clipped together.
        blocks = [[variable for block in blocks for variable in block]]
    optimizers: dict[int, keras.optimizers.Optimizer] = {}
    for depth, variables in enumerate(reversed(blocks)):
        block_adam = adam(rate * recipe.layer_decay**depth)
        optimizers |= {id(variable): block_adam for variable in variables}
    return keras.optimizers.MultiOptimizer(
        lambda variable: optimizers.get(id(variable), decoder_adam)
    )

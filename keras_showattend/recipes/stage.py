"""One stage of a training: a recipe, the callbacks that keep its state, the best weights."""

import datetime
import json

import keras

from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.training.caption_scores import CaptionScores
from keras_showattend.training.distillation import Distillation
from keras_showattend.training.self_critical import SelfCritical
from keras_showattend.training.training_batches import training_batches


def train_stage(
    captioner,
    dataset,
    validation_data,
    recipe,
    folder,
    *,
    teacher=None,
    feature_cache="auto",
    patience=None,
    verbose="auto",
):
    """Trains a captioner by one recipe, or loads what an earlier run has made of it.

    Args:
        captioner: the `ImageCaptioner` to go on from; it ends with the best weights, its
            encoder frozen.
        dataset, validation_data: `CaptionDataset` to learn from and to choose by.
        recipe: a `Recipe`; its architecture has been used already.
        folder: path where the state of an unfinished stage, and the weights of a finished
            one, are kept.
        teacher, feature_cache, patience, verbose: see `train_captioner`.

    Returns:
        Dict that JSON can hold: `recipe`, `date`, `best_epoch`, `validation_cider`.
    """
    done, best = folder / "done.json", folder / "best.weights.h5"
    learner = _learner(captioner, recipe)
    if done.exists():
        learner.backbone.load_weights(best)
        record = json.loads(done.read_text())
    else:
        keras.utils.set_random_seed(recipe.seed)
        scores = _fit(
            learner,
            dataset,
            validation_data,
            recipe,
            folder,
            teacher=teacher,
            feature_cache=feature_cache,
            patience=patience,
            verbose=verbose,
        )
        record = {
            "recipe": recipe.to_dict(),
            "date": datetime.date.today().isoformat(),
            "best_epoch": scores.best_epoch,
            "validation_cider": float(scores.best),
        }
        done.write_text(json.dumps(record))
    if learner is not captioner:
        captioner.backbone.set_weights(learner.backbone.get_weights())
    captioner.backbone.image_encoder.trainable = False
    captioner.calibration = None
    return record


def check_stage(captioner, recipe, teacher=None):
    """Refuses a recipe that its captioner cannot run, before the stages ahead of it are.

    Args:
        captioner: an `ImageCaptioner`.
        recipe: a `Recipe`.
        teacher: what its `distillation_weight` is for, or None.

    Raises:
        ValueError: for a layer that is not there, or settings that do not go together.
    """
    _distillation(recipe, teacher)
    if _self_critical(recipe) and (recipe.scheduled_sampling or recipe.distillation_weight):
        raise ValueError(
            "A recipe with `self_critical_samples` reads only captions of its own, and goes with "
            "neither `scheduled_sampling` nor `distillation_weight`: make them two stages. "
            f"Received: scheduled_sampling={recipe.scheduled_sampling!r}, "
            f"distillation_weight={recipe.distillation_weight!r}"
        )
    if recipe.unfreeze_after:
        captioner.backbone.image_encoder.part_after(recipe.unfreeze_after)
    elif recipe.random_window < 1:
        raise ValueError(
            "`random_window` of a recipe needs `unfreeze_after`: the annotations of a frozen "
            f"encoder are final. Received: random_window={recipe.random_window!r}, "
            "unfreeze_after=''"
        )


def _self_critical(recipe):
    if not recipe.self_critical_samples:
        return None
    return SelfCritical(
        recipe.self_critical_samples, recipe.bleu_4_weight, recipe.crossentropy_weight
    )


def _distillation(recipe, teacher):
    if not recipe.distillation_weight:
        return None
    if teacher is None:
        raise ValueError(
            "`distillation_weight` of a recipe needs a `teacher`. "
            f"Received: distillation_weight={recipe.distillation_weight!r}, teacher=None"
        )
    return Distillation(teacher, recipe.distillation_weight)


def _learner(captioner, recipe):
    """The captioner itself, or a copy that learns in the recipe's precision."""
    backbone = captioner.backbone
    encoder = backbone.image_encoder
    # Features are computed once, so the encoder stays as it is even without weights.
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


def _fit(
    learner,
    dataset,
    validation_data,
    recipe,
    folder,
    *,
    teacher,
    feature_cache,
    patience,
    verbose,
):
    cache = learner.feature_cache(
        None if feature_cache == "auto" else feature_cache, dtype=recipe.feature_dtype
    )
    self_critical = _self_critical(recipe)
    batches = training_batches(
        learner,
        dataset,
        self_critical=self_critical,
        feature_cache=cache,
        batch_size=recipe.batch_size,
        random_flip=recipe.random_flip,
        random_window=recipe.random_window,
        seed=recipe.seed,
    )
    learner.compile(
        optimizer=_optimizer(recipe, len(batches), learner.backbone.image_encoder),
        label_smoothing=recipe.label_smoothing,
        doubly_stochastic_weight=recipe.doubly_stochastic_weight,
        scheduled_sampling=recipe.scheduled_sampling,
        distillation=_distillation(recipe, teacher),
        self_critical=self_critical,
    )
    scores = CaptionScores(
        validation_data,
        filepath=folder / "best.weights.h5",
        patience=patience,
        feature_cache=cache,
        num_beams=recipe.num_beams,
        length_penalty=recipe.length_penalty,
    )
    log = keras.callbacks.CSVLogger(folder / "epochs.csv", append=True)
    backup = keras.callbacks.BackupAndRestore(folder / "backup", double_checkpoint=True)
    # A resumed training goes on with the order of its epoch and not with that of the first.
    order = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _: batches.start_epoch(epoch)
    )
    if recipe.ema_momentum:
        # The backup comes before the average takes the weights' place, and the scores after.
        callbacks = [backup, keras.callbacks.SwapEMAWeights(swap_on_epoch=True), scores, log, order]
    else:
        # An epoch counts as done when its scores are known.
        callbacks = [scores, log, backup, order]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        learner.fit(
            batches,
            epochs=recipe.epochs,
            callbacks=callbacks,
            # A teacher's, in the same precision; the batches have theirs.
            feature_cache=cache,
            verbose=verbose,
        )
    finally:
        if log.csv_file is not None:
            # Keras closes it only after a training that was not interrupted.
            log.csv_file.close()
    return scores


def _optimizer(recipe, steps_per_epoch, image_encoder):
    warmup = int(recipe.warmup_epochs * steps_per_epoch)
    average = {"use_ema": True, "ema_momentum": recipe.ema_momentum} if recipe.ema_momentum else {}

    def adam(learning_rate):
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else learning_rate,
            max(1, recipe.epochs * steps_per_epoch - warmup),
            warmup_target=learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        return keras.optimizers.Adam(schedule, global_clipnorm=recipe.clip_norm, **average)

    decoder_adam = adam(recipe.learning_rate)
    if not recipe.unfreeze_after or not recipe.encoder_learning_rate:
        return decoder_adam
    encoder_adam = adam(recipe.encoder_learning_rate)
    encoder_ids = {id(variable) for variable in image_encoder.trainable_variables}
    return keras.optimizers.MultiOptimizer(
        lambda variable: encoder_adam if id(variable) in encoder_ids else decoder_adam
    )

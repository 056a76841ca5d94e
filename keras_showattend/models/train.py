"""One training from captions to a preset: resumable, with its progress on the screen."""

import datetime
import importlib.metadata
import json
import pathlib
import shutil

import keras

from keras_showattend.models.factory import create_captioner
from keras_showattend.preprocessing import CaptionTokenizer
from keras_showattend.training.caption_batches import CaptionBatches
from keras_showattend.training.caption_scores import CaptionScores
from keras_showattend.training.recipe import Recipe


def train_captioner(
    dataset,
    validation_data,
    output,
    recipe=None,
    *,
    captioner=None,
    encoder_weights="imagenet",
    feature_cache="auto",
    patience=None,
    command=None,
    verbose="auto",
):
    """Trains a captioner by a recipe and saves it as a preset.

    Run it again after an interruption: it goes on with the epoch that was not finished.
    Its work in progress lies in `OUTPUT.training`, which goes when the preset is there.

    Args:
        dataset: a `CaptionDataset` to learn from; the vocabulary comes from it alone.
        validation_data: a `CaptionDataset`; the epoch whose captions of it have the best
            CIDEr is the one that is kept.
        output: path of the preset folder.
        recipe: a `Recipe`. Defaults to `Recipe()`.
        captioner: an `ImageCaptioner` to go on from, with its architecture and vocabulary;
            the recipe's are then not used. None starts anew.
        encoder_weights: see `create_captioner`.
        feature_cache: folder of the feature cache, or `"auto"`.
        patience: int or None. Epochs without a better CIDEr after which to stop.
        command: str. What was run, for the record in `training.json`.
        verbose: as for `keras.Model.fit`.

    Returns:
        The `ImageCaptioner` with its best weights.

    Raises:
        ValueError: if the unfinished training in `OUTPUT.training` is by another recipe,
            or a validation image is also a training image.
    """
    recipe = recipe or Recipe()
    output = pathlib.Path(output).expanduser()
    shared = set(dataset.ids) & set(validation_data.ids)
    if shared:
        raise ValueError(
            "Training and validation must not share images. Split by image, e.g. with "
            f"`CaptionDataset.random_split`. Received: {len(shared)} shared, such as "
            f"{sorted(shared)[:3]}"
        )
    work = work_folder(output)
    _claim(work, recipe)
    keras.utils.set_random_seed(recipe.seed)
    if captioner is None:
        captioner = untrained_captioner(dataset, recipe, encoder_weights)
    # Features are computed once, so the encoder stays as it is even without weights.
    captioner.backbone.image_encoder.trainable = False
    cache = captioner.feature_cache(
        None if feature_cache == "auto" else feature_cache, dtype=recipe.feature_dtype
    )
    batches = CaptionBatches(
        dataset,
        captioner.preprocessor,
        features=cache.compute(dataset.images, flip=recipe.random_flip),
        batch_size=recipe.batch_size,
        random_flip=recipe.random_flip,
        seed=recipe.seed,
    )
    captioner.compile(
        optimizer=_optimizer(recipe, len(batches)),
        label_smoothing=recipe.label_smoothing,
        doubly_stochastic_weight=recipe.doubly_stochastic_weight,
    )
    scores = CaptionScores(
        validation_data,
        filepath=work / "best.weights.h5",
        patience=patience,
        feature_cache=cache,
        num_beams=recipe.num_beams,
        length_penalty=recipe.length_penalty,
    )
    log = keras.callbacks.CSVLogger(work / "epochs.csv", append=True)
    backup = keras.callbacks.BackupAndRestore(work / "backup", double_checkpoint=True)
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
    try:
        captioner.fit(batches, epochs=recipe.epochs, callbacks=callbacks, verbose=verbose)
    finally:
        if log.csv_file is not None:
            # Keras closes it only after a training that was not interrupted.
            log.csv_file.close()
    captioner.save_to_preset(output, weights_dtype="float16")
    record = {
        "recipe": recipe.to_dict(),
        "command": command,
        "date": datetime.date.today().isoformat(),
        "best_epoch": scores.best_epoch,
        "validation_cider": float(scores.best),
        "images": len(dataset),
        "captions": sum(len(captions) for captions in dataset.captions),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("keras-showattend", "keras", "keras-hub", keras.backend.backend())
        },
    }
    (output / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    shutil.rmtree(work)
    return captioner


def work_folder(output):
    """Path of the folder where an unfinished training for `output` is kept."""
    output = pathlib.Path(output)
    return output.with_name(output.name + ".training")


def untrained_captioner(dataset, recipe, encoder_weights="imagenet"):
    """The captioner that a recipe starts from.

    Args:
        dataset: a `CaptionDataset`; its captions give the vocabulary.
        recipe: a `Recipe`.
        encoder_weights: see `create_captioner`.
    """
    captions = (text for texts in dataset.captions for text in texts)
    return create_captioner(
        recipe.encoder,
        recipe.decoder,
        tokenizer=CaptionTokenizer.from_captions(captions, recipe.min_count),
        grid=recipe.grid,
        encoder_weights=encoder_weights,
        sequence_length=recipe.sequence_length,
        embedding_dim=recipe.embedding_dim,
        hidden_dim=recipe.hidden_dim,
        attention_dim=recipe.attention_dim,
        dropout=recipe.dropout,
    )


def _claim(work, recipe):
    path = work / "recipe.json"
    if path.exists():
        before = json.loads(path.read_text())
        if before != recipe.to_dict():
            changed = {k for k, v in recipe.to_dict().items() if before.get(k) != v}
            raise ValueError(
                "An unfinished training can only go on with its own recipe. Use the same "
                f"options, another output folder, or delete '{work}'. Received: other values "
                f"of {sorted(changed)}"
            )
    work.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(recipe.to_dict(), indent=2))


def _optimizer(recipe, steps_per_epoch):
    warmup = int(recipe.warmup_epochs * steps_per_epoch)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else recipe.learning_rate,
        max(1, recipe.epochs * steps_per_epoch - warmup),
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    average = {"use_ema": True, "ema_momentum": recipe.ema_momentum} if recipe.ema_momentum else {}
    return keras.optimizers.Adam(rate, global_clipnorm=recipe.clip_norm, **average)

"""A run of one or more stages, from captions to a preset; it resumes after an interruption."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import pathlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_showattend._files import write_text
from keras_showattend._locks import exclusive
from keras_showattend._typing import PathLike
from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.models.factory import create_captioner
from keras_showattend.preprocessing import CaptionTokenizer
from keras_showattend.presets.files import TRAINING_FILE
from keras_showattend.recipes.recipe import Recipe
from keras_showattend.recipes.stage import Run, check_stage, stage_cache, train_stage
from keras_showattend.recipes.work_folder import (
    claim_work_folder,
    remove_work_folder,
    unfinished_recipes,
    work_folder,
)
from keras_showattend.training.training_batches import usable_dataset

# A run from scratch on fewer captions gives a warning: a sixth of Flickr8k's.
FEW_CAPTIONS = 5000
# A smaller share of different captions is a captioner that has collapsed.
FEW_DISTINCT = 0.2
_IMAGES_TO_TELL = 5


def train_captioner(
    dataset: CaptionDataset,
    validation_data: CaptionDataset,
    output: PathLike,
    recipe: Recipe | Sequence[Recipe] | None = None,
    *,
    captioner: ImageCaptioner | None = None,
    teacher: Any = None,
    encoder_weights: PathLike | None = "imagenet",
    feature_cache: Any = "auto",
    patience: int | None = None,
    strict: bool = False,
    command: str | None = None,
    verbose: Any = "auto",
) -> ImageCaptioner:
    """Trains a captioner by a recipe and saves it as a preset.

    Run it again after an interruption: it resumes with the epoch that was not finished. Its
    work in progress lies in the folder `OUTPUT.training`, which one run at a time may use and
    which is deleted when the preset is saved.

    Args:
        dataset: a `CaptionDataset` to learn from. From scratch and without a teacher, the
            vocabulary comes from its captions.
        validation_data: a `CaptionDataset`. The epoch whose captions of its images have the
            best CIDEr is kept; where CIDEr is not defined, the one with the lowest loss.
        output: path of the preset folder; the one above it is made if need be.
        recipe: a `Recipe`, or a list of them: stages, each of which starts from the best
            epoch of the one before. Defaults to `Recipe()`.
        captioner: an `ImageCaptioner` to start from, with its architecture and vocabulary;
            those of the recipe are then not used. None starts from scratch.
        teacher: an `ImageCaptioner` or `CaptionerEnsemble`, from which stages with a
            `distillation_weight` learn, or None. A captioner from scratch takes its
            vocabulary; another must have the same.
        encoder_weights: see `create_captioner`.
        feature_cache: folder of the feature cache, or `"auto"`.
        patience: int or None. Epochs without a better CIDEr after which to stop.
        strict: bool. Whether to refuse images that cannot be read, naming all of them,
            instead of leaving them out with a warning. Defaults to False.
        command: str. What was run, for the record in `training.json`.
        verbose: as for `keras.Model.fit`.

    Returns:
        The `ImageCaptioner` with its best weights.

    Raises:
        BlockingIOError: if another run for this `output` is going on; says whose.
        DatasetError: for images that cannot be read while `strict`.
        OSError: if the encoder's weights cannot be downloaded, or a folder not written.
        ValueError: if the unfinished run in `OUTPUT.training` has another recipe, a
            validation image is also a training image, a stage cannot be run, or the `captioner`
            cannot be saved.
    """
    stages = [recipe or Recipe()] if recipe is None or isinstance(recipe, Recipe) else list(recipe)
    output = pathlib.Path(output).expanduser()
    shared = set(dataset.ids) & set(validation_data.ids)
    if shared:
        raise ValueError(
            "Training and validation must not share images. Split by image, e.g. with "
            f"`CaptionDataset.random_split`. Received: {len(shared)} shared, such as "
            f"{sorted(shared)[:3]}"
        )
    work = work_folder(output)
    recipes = [stage.to_dict() for stage in stages]
    output.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(work):
        _check_work_folder(work, recipes)
        if captioner is None:
            keras.utils.set_random_seed(stages[0].seed)
            tokenizer = teacher.preprocessor.tokenizer if teacher is not None else None
            captioner = untrained_captioner(dataset, stages[0], encoder_weights, tokenizer)
            _warn_of_few_captions(dataset, captioner, stages[0])
        captioner.check_can_be_saved(output)
        for stage in stages:
            check_stage(captioner, stage, teacher)
        captioner.backbone.image_encoder.trainable = False
        cache = stage_cache(captioner, stages[0], feature_cache)
        dataset = usable_dataset(captioner, dataset, cache, strict)
        validation_data = usable_dataset(captioner, validation_data, cache, strict)
        claim_work_folder(work, recipes)
        run = Run(dataset, validation_data, teacher, feature_cache, patience, verbose)
        records = []
        for number, stage in enumerate(stages, start=1):
            if len(stages) > 1:
                print(f"Stage {number} of {len(stages)}", file=sys.stderr)
            records.append(train_stage(run, captioner, stage, work / f"stage_{number}"))
        captioner.save_to_preset(output, weights_dtype="float16")
        record = _training_record(command, dataset, records)
        write_text(output / TRAINING_FILE, json.dumps(record, indent=2) + "\n")
        remove_work_folder(work)
        _warn_of_collapse(records[-1].get("validation_distinct"), len(validation_data))
    return captioner


def untrained_captioner(
    dataset: CaptionDataset,
    recipe: Recipe,
    encoder_weights: PathLike | None = "imagenet",
    tokenizer: CaptionTokenizer | None = None,
) -> ImageCaptioner:
    """Builds the captioner that a recipe starts from.

    Args:
        dataset: a `CaptionDataset`.
        recipe: a `Recipe`.
        encoder_weights: see `create_captioner`.
        tokenizer: a `CaptionTokenizer` with the vocabulary. Defaults to the words of the
            dataset's captions.

    Returns:
        An `ImageCaptioner`.

    Raises:
        OSError: if the encoder's weights cannot be downloaded.
    """
    if tokenizer is None:
        captions = (text for texts in dataset.captions for text in texts)
        tokenizer = CaptionTokenizer.from_captions(captions, recipe.min_count)
    try:
        return create_captioner(
            recipe.encoder,
            recipe.decoder,
            tokenizer=tokenizer,
            grid=recipe.grid,
            encoder_weights=encoder_weights,
            sequence_length=recipe.sequence_length,
            embedding_dim=recipe.embedding_dim,
            hidden_dim=recipe.hidden_dim,
            attention_dim=recipe.attention_dim,
            context_gate=recipe.context_gate,
            tie_embeddings=recipe.tie_embeddings,
            dropout=recipe.dropout,
        )
    except Exception as error:
        # Keras raises a plain `Exception` for a failed download, other libraries `OSError`.
        if encoder_weights != "imagenet" or not (
            type(error) is Exception or isinstance(error, OSError)
        ):
            raise
        raise OSError(
            f"The pretrained weights of the encoder {recipe.encoder!r} cannot be downloaded. Check "
            "the network, pass a weights file with `--encoder-weights FILE` (`encoder_weights`), "
            "or start from a preset with `--preset NAME` (`captioner`), which brings its encoder. "
            f"Received: {error}"
        ) from error


def _training_record(
    command: str | None, dataset: CaptionDataset, stages: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "command": command,
        "images": len(dataset),
        "captions": sum(len(captions) for captions in dataset.captions),
        "validation_cider": stages[-1]["validation_cider"],
        "stages": stages,
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("keras-showattend", "keras", "keras-hub", keras.backend.backend())
        },
    }


def _check_work_folder(work: pathlib.Path, recipes: list[dict[str, Any]]) -> None:
    """Refuses a work folder in which another recipe has learned something."""
    before = unfinished_recipes(work)
    if before is not None:
        # Settings that a later version has added were at their defaults.
        before = [{**Recipe().to_dict(), **old} for old in before]
    if before is None or before == recipes:
        return
    nothing: dict[str, Any] = {}
    changed = {
        key
        for old, new in itertools.zip_longest(before, recipes, fillvalue=nothing)
        for key in {*old, *new}
        if old.get(key) != new.get(key)
    }
    raise ValueError(
        "An unfinished run can only be resumed with its own recipe. Use the same options, "
        f"another output folder, or delete '{work}'. Received: other values of {sorted(changed)}"
    )


def _warn_of_few_captions(
    dataset: CaptionDataset, captioner: ImageCaptioner, recipe: Recipe
) -> None:
    count = sum(map(len, dataset.captions))
    if count >= FEW_CAPTIONS:
        return
    warnings.warn(
        f"{count} captions of {len(dataset)} images are few to learn from scratch, with a "
        f"vocabulary of {captioner.backbone.vocabulary_size} tokens (words that occur at least "
        f"{recipe.min_count} times). Flickr8k, from which the bundled presets learned, has 30,000 "
        f"captions of 6,000 images. With less than some {FEW_CAPTIONS:,} captions start from a "
        "preset, which has learned sentences already: `--preset NAME`, or "
        '`captioner=ImageCaptioner.from_preset("NAME")`.',
        UserWarning,
        stacklevel=3,
    )


def _warn_of_collapse(distinct: float | None, num_images: int) -> None:
    if distinct is None or num_images < _IMAGES_TO_TELL or distinct > FEW_DISTINCT:
        return
    warnings.warn(
        f"The captioner has collapsed: it gave {round(distinct * num_images)} different captions "
        f"for {num_images} validation images. Train on more captions or for more epochs, or start "
        "from a preset (`--preset NAME`, or `captioner`).",
        UserWarning,
        stacklevel=3,
    )

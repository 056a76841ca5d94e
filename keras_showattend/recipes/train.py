"""A training of one or more stages, from captions to a preset; resumable."""

import importlib.metadata
import itertools
import json
import pathlib
import shutil
import sys

import keras

from keras_showattend.models.factory import create_captioner
from keras_showattend.preprocessing import CaptionTokenizer
from keras_showattend.recipes.recipe import Recipe
from keras_showattend.recipes.stage import check_stage, train_stage


def train_captioner(
    dataset,
    validation_data,
    output,
    recipe=None,
    *,
    captioner=None,
    teacher=None,
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
        recipe: a `Recipe`, or a list of them: stages, each of which goes on from the best
            epoch of the one before. Defaults to `Recipe()`.
        captioner: an `ImageCaptioner` to go on from, with its architecture and vocabulary;
            the recipe's are then not used. None starts anew.
        teacher: an `ImageCaptioner` or `CaptionerEnsemble` with the same vocabulary, of which
            stages with a `distillation_weight` learn, or None.
        encoder_weights: see `create_captioner`.
        feature_cache: folder of the feature cache, or `"auto"`.
        patience: int or None. Epochs without a better CIDEr after which to stop.
        command: str. What was run, for the record in `training.json`.
        verbose: as for `keras.Model.fit`.

    Returns:
        The `ImageCaptioner` with its best weights.

    Raises:
        ValueError: if the unfinished training in `OUTPUT.training` is by another recipe,
            a validation image is also a training image, or a stage cannot be run.
    """
    stages = list(recipe) if isinstance(recipe, list | tuple) else [recipe or Recipe()]
    output = pathlib.Path(output).expanduser()
    shared = set(dataset.ids) & set(validation_data.ids)
    if shared:
        raise ValueError(
            "Training and validation must not share images. Split by image, e.g. with "
            f"`CaptionDataset.random_split`. Received: {len(shared)} shared, such as "
            f"{sorted(shared)[:3]}"
        )
    work = work_folder(output)
    _claim(work, stages)
    if captioner is None:
        keras.utils.set_random_seed(stages[0].seed)
        captioner = untrained_captioner(dataset, stages[0], encoder_weights)
    for stage in stages:
        check_stage(captioner, stage, teacher)
    records = []
    for number, stage in enumerate(stages, start=1):
        folder = work / f"stage_{number}"
        if len(stages) > 1:
            print(f"Stage {number} of {len(stages)}", file=sys.stderr)
        records.append(
            train_stage(
                captioner,
                dataset,
                validation_data,
                stage,
                folder,
                teacher=teacher,
                feature_cache=feature_cache,
                patience=patience,
                verbose=verbose,
            )
        )
    captioner.save_to_preset(output, weights_dtype="float16")
    record = {
        "command": command,
        "images": len(dataset),
        "captions": sum(len(captions) for captions in dataset.captions),
        "validation_cider": records[-1]["validation_cider"],
        "stages": records,
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
        context_gate=recipe.context_gate,
        tie_embeddings=recipe.tie_embeddings,
        dropout=recipe.dropout,
    )


def _claim(work, stages):
    path = work / "recipe.json"
    recipes = [stage.to_dict() for stage in stages]
    if path.exists():
        before = json.loads(path.read_text())
        if before != recipes:
            nothing: dict = {}
            changed = {
                key
                for old, new in itertools.zip_longest(before, recipes, fillvalue=nothing)
                for key in {*old, *new}
                if old.get(key) != new.get(key)
            }
            raise ValueError(
                "An unfinished training can only go on with its own recipe. Use the same "
                f"options, another output folder, or delete '{work}'. Received: other values "
                f"of {sorted(changed)}"
            )
    work.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(recipes, indent=2))

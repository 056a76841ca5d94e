"""What `train_captioner` warns of, before and after."""

import dataclasses

import pytest
from captioner_checks import picture, save_pictures
from PIL import Image

from keras_showattend import CaptionDataset
from keras_showattend.recipes import Recipe, train_captioner

RECIPE = Recipe(epochs=1, batch_size=2, sequence_length=7, random_flip=False, num_beams=1)


@pytest.fixture
def training_data(tmp_path):
    folder = tmp_path / "training"
    folder.mkdir()
    captions = [["a red dog runs", "a dog"], ["a big cat sits"], ["grass"]]
    return CaptionDataset.from_dict({"images": save_pictures(folder, 3), "captions": captions})


def validation_data(folder, seeds):
    folder.mkdir()
    paths = [folder / f"validation_{number}.png" for number in range(len(seeds))]
    for path, seed in zip(paths, seeds, strict=True):
        Image.fromarray(picture(seed)).save(path)
    return CaptionDataset.from_dict({"images": paths, "captions": ["a cat sits"] * len(paths)})


def test_few_captions_from_scratch(training_data, tmp_path):
    recipe = dataclasses.replace(
        RECIPE, embedding_dim=8, hidden_dim=9, attention_dim=10, min_count=1
    )
    validation = validation_data(tmp_path / "validation", [7, 8])
    # 8 words and the 4 special tokens.
    message = (
        r"4 captions of 3 images are few to learn from scratch, with a vocabulary of 12 tokens"
        r".*`--preset NAME`"
    )
    with pytest.warns(UserWarning, match=message):
        train_captioner(
            training_data,
            validation,
            tmp_path / "output",
            recipe,
            encoder_weights=None,
            feature_cache=tmp_path / "features",
            verbose=0,
        )


def test_no_warning_with_a_preset(training_data, tiny_captioner, tmp_path):
    train_captioner(
        training_data,
        validation_data(tmp_path / "validation", [7, 8]),
        tmp_path / "output",
        RECIPE,
        captioner=tiny_captioner(),
        feature_cache=tmp_path / "features",
        verbose=0,
    )


def test_collapsed_captions(training_data, tiny_captioner, tmp_path):
    # Six files of one image have one caption.
    validation = validation_data(tmp_path / "validation", [7] * 6)
    message = r"The captioner has collapsed: it gave 1 different captions for 6 validation images"
    with pytest.warns(UserWarning, match=message):
        train_captioner(
            training_data,
            validation,
            tmp_path / "output",
            RECIPE,
            captioner=tiny_captioner(),
            feature_cache=tmp_path / "features",
            verbose=0,
        )

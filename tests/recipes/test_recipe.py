"""`Recipe`: a training written down."""

import dataclasses
import json

import pytest

from keras_showattend.recipes import Recipe, load_recipes


def test_defaults():
    # Those of the bundled preset; a change here is a change of what users train.
    assert Recipe().to_dict() == {
        "encoder": "vgg16",
        "grid": 7,
        "decoder": "gru",
        "embedding_dim": 512,
        "hidden_dim": 512,
        "attention_dim": 512,
        "context_gate": True,
        "tie_embeddings": False,
        "dropout": 0.4,
        "min_count": 5,
        "sequence_length": 32,
        "epochs": 10,
        "batch_size": 64,
        "learning_rate": 1e-3,
        "warmup_epochs": 0.5,
        "ema_momentum": 0.0,
        "clip_norm": 5.0,
        "label_smoothing": 0.1,
        "doubly_stochastic_weight": 0.0,
        "random_flip": True,
        "unfreeze_after": "",
        "encoder_learning_rate": 0.0,
        "random_window": 1.0,
        "random_crop": 1.0,
        "color_jitter": 0.0,
        "layer_decay": 1.0,
        "self_critical_samples": 0,
        "self_critical_length": 0,
        "bleu_4_weight": 0.0,
        "crossentropy_weight": 0.0,
        "distinctness_weight": 0.0,
        "scheduled_sampling": 0.0,
        "distillation_weight": 0.0,
        "feature_dtype": "float32",
        "decoder_dtype": "float32",
        "num_beams": 5,
        "length_penalty": 0.9,
        "seed": 0,
    }


def test_round_trip(tmp_path):
    recipe = Recipe(decoder="lstm", grid=14, learning_rate=3e-4, random_flip=False)
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe.to_dict()))
    assert load_recipes(path) == [recipe]
    assert load_recipes(str(path)) == [Recipe.from_dict(recipe.to_dict())] == [recipe]


def test_what_is_left_out_takes_its_default(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text('{"epochs": 3}')
    assert load_recipes(path) == [Recipe(epochs=3)]
    path.write_text("{}")
    assert load_recipes(path) == [Recipe()]


def test_stages(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(
        '[{"epochs": 3}, {"self_critical_samples": 5, "unfreeze_after": "block4_pool"}]'
    )
    assert load_recipes(path) == [
        Recipe(epochs=3),
        Recipe(self_critical_samples=5, unfreeze_after="block4_pool"),
    ]


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().epochs = 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"must be a JSON file\. Received: '.*recipe\.json'"),
        ("{epochs: 3}", r"must be a JSON file\. Received: '.*recipe\.json'"),
        ("[1, 2]", r"must be an object with names from .* Received: \[1\]"),
        ("[]", r"must be an object with names from .* Received: \[\[\]\]"),
        ('[{"epochs": 3}, {"epoch": 3}]', r"names from .* Received: \['epoch'\]"),
        ("3", r"must be an object with names from .* Received: \[3\]"),
        ('{"epoch": 3, "lr": 1}', r"names from .*'epochs'.* Received: \['epoch', 'lr'\]"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "recipe.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_recipes(path)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("hidden_dim", 0, "at least 1"),
        ("ema_momentum", 1.0, r"in \[0, 1\)"),
        ("scheduled_sampling", 1.5, r"in \[0, 1\]"),
        ("random_window", 0.0, r"in \(0, 1\]"),
        ("clip_norm", 0.0, "above 0"),
        ("learning_rate", -1e-3, "0 or more"),
        ("warmup_epochs", float("nan"), "0 or more"),
        ("self_critical_samples", 1, "0, or at least 2"),
        ("length_penalty", float("inf"), "a finite number"),
    ],
)
def test_values_out_of_range(name, value, rule):
    with pytest.raises(ValueError, match=f"`{name}` of a recipe must be {rule}. .*{name}={value}"):
        Recipe(**{name: value})


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be a file.* Received: '.*nowhere\.json'"):
        load_recipes(tmp_path / "nowhere.json")


@pytest.mark.parametrize("name", ["vgg16_gru_flickr8k", "vgg16_gru_short"])
def test_bundled_recipes(name):
    stages = load_recipes(name)
    assert len(stages) > 1
    assert stages[0].unfreeze_after == ""
    assert stages[-1].self_critical_samples >= 2


def test_unknown_recipe():
    with pytest.raises(FileNotFoundError, match=r"name of a bundled one, one of \['vgg16_gru_fli"):
        load_recipes("vgg16")

"""Descriptions that would fill the memory, and JSON that would keep the parser busy."""

import json

import h5py
import keras
import numpy as np
import pytest
from hub_attacks import edit, refuse

from keras_showattend import ImageCaptioner, ShowAttendBackbone
from keras_showattend.presets import check_preset, trust
from keras_showattend.presets.trust import MOST_CONTAINERS, read_json

pytest_plugins = ["hub_fixtures"]

HUGE = 10**7


@pytest.mark.parametrize(
    "name", ["vocabulary_size", "embedding_dim", "hidden_dim", "attention_dim"]
)
@pytest.mark.parametrize("size", [HUGE, 999])
def test_sizes_of_the_decoder(preset, name, size):
    edit(preset / "config.json", lambda value: value["config"].__setitem__(name, size))
    refuse(preset, rf"could not be loaded: each size .* Received: {name}={size} in")


def layers_of(config):
    return config["config"]["image_encoder"]["config"]["backbone"]["config"]["layers"]


@pytest.mark.parametrize(("key", "size"), [("filters", HUGE), ("kernel_size", [5000, 5000])])
def test_sizes_of_the_encoder(preset, key, size):
    edit(
        preset / "config.json",
        lambda value: layers_of(value)[1]["config"].__setitem__(key, size),
    )
    refuse(preset, f"Received: {key}=")


def test_sizes_that_are_none_of_weights(preset):
    def change(value):
        layers_of(value)[1]["config"] |= {"seed": HUGE, "height": 4000, "max_length": 4000}

    edit(preset / "config.json", change)
    check_preset(preset)


def test_more_layers_than_anybody_has(preset):
    def change(value):
        activation = {"module": "keras.layers", "class_name": "ReLU", "config": {}}
        activation["registered_name"] = None
        layers_of(value).extend([activation] * 10_001)

    edit(preset / "config.json", change)
    refuse(preset, "at most 10000 objects")


@pytest.mark.parametrize("cls", [ImageCaptioner, ShowAttendBackbone])
def test_sizes_that_exist_in_another_place(preset, cls):
    # 10 is the size of attention here; as that of the state it is a dimension, and wrong.
    for name, keys in (("config.json", ()), ("task.json", ("backbone", "config"))):

        def change(value, keys=keys):
            config = value["config"]
            for key in keys:
                config = config[key]
            config["hidden_dim"] = 10

        edit(preset / name, change)
    check_preset(preset)
    with pytest.raises(ValueError, match=r"could not be loaded: .*without arrays of the shapes"):
        cls.from_preset(preset)
    # Keras works as before.
    assert keras.layers.Dense(2)(np.ones((1, 3))).shape == (1, 2)


def enlarged(value):
    """A description with 20,000 for each 4 filters or units, which says nothing of shapes."""
    if isinstance(value, list):
        return [enlarged(item) for item in value]
    if not isinstance(value, dict):
        return value
    sizes = {key: 20_000 for key in ("units", "filters") if value.get(key) == 4}
    kept = {key: enlarged(item) for key, item in value.items() if key != "build_config"}
    return {**kept, **sizes}


def test_arrays_that_only_lend_their_sizes(tiny_captioner, tmp_path):
    """Two layers of 20,000 units, whose kernel of 1.6 GB the weights file does not have."""
    from keras_showattend import create_captioner

    images = keras.Input((8, 12, 3))
    x = keras.layers.Conv2D(4, 4, strides=4, name="patches")(images)
    network = keras.Model(images, keras.layers.Dense(3)(keras.layers.Dense(4)(x)))
    preprocessor = tiny_captioner().preprocessor
    captioner = create_captioner(
        network,
        tokenizer=preprocessor.tokenizer,
        image_converter=preprocessor.image_converter,
        image_shape=(8, 12, 3),
        embedding_dim=8,
        hidden_dim=9,
        attention_dim=10,
    )
    preset = tmp_path / "preset"
    captioner.save_to_preset(preset)
    (preset / "digests.json").unlink()
    for name in ("config.json", "task.json"):
        edit(preset / name, enlarged)
        assert (preset / name).read_text().count("20000") == 2
    with h5py.File(preset / "model.weights.h5", "a") as file:
        file["lent"] = np.zeros(20_000, "int8")
    check_preset(preset)
    with pytest.raises(ValueError, match=r"without arrays of the shapes .*20000, 20000"):
        ImageCaptioner.from_preset(preset)


def test_the_dtype_policy_outlives_a_refusal(preset):
    edit(preset / "task.json", lambda v: v["config"]["backbone"]["config"].update(hidden_dim=10))
    keras.config.set_dtype_policy("mixed_bfloat16")
    with pytest.raises(ValueError, match="could not be loaded"):
        ImageCaptioner.from_preset(preset)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 5_000_000, "nested deeper than 64"),
        ('{"a":' * 1_000_000, "nested deeper than 64"),
        ("[" + "[]," * (MOST_CONTAINERS + 1) + "1]", f"more than {MOST_CONTAINERS} lists"),
        ("[" * 65 + "]" * 65, "nested deeper than 64"),
    ],
    ids=["lists", "objects", "many", "one too deep"],
)
def test_json_is_measured_before_it_is_parsed(tmp_path, monkeypatch, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    # Whether it is fast is not asserted; that it is not parsed is.
    monkeypatch.setattr(trust.json, "loads", lambda text: pytest.fail("it was parsed"))
    with pytest.raises(ValueError, match=message):
        read_json(path)


@pytest.mark.parametrize("text", ['"' + '\\"' * 4_000_000, "][" * 100_000, "["])
def test_json_that_is_none(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"must hold what `save_to_preset` writes.*Received"):
        read_json(path)


@pytest.mark.parametrize(
    "value",
    [
        json.loads("[" * 64 + "]" * 64),
        {"text": '[{"' * 100, "escaped": '\\"[[', "list": [1, {"a": []}]},
        [[]] * 10_000,
        "[",
    ],
    ids=["as deep as may be", "brackets in text", "wide", "text alone"],
)
def test_json_that_is_read(tmp_path, value):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(value))
    assert read_json(path) == value

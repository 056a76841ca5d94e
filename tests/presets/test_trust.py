"""Descriptions as an attacker would write them: each is refused before Keras sees it."""

import base64
import json
import subprocess
import sys

import pytest
from hub_attacks import edit, refuse

from keras_showattend.presets import check_preset
from keras_showattend.presets.trust_config import OURS, check_config

pytest_plugins = ["hub_fixtures"]


def layers_of(config):
    """The list of layers of the network inside a `config.json`."""
    return config["config"]["image_encoder"]["config"]["backbone"]["config"]["layers"]


def put_layer(preset, layer):
    """Puts a serialized object in the place of the encoder's first layer."""
    edit(preset / "config.json", lambda config: layers_of(config).__setitem__(0, layer))


def serialized(module, name, config=None, registered_name=None):
    return {
        "module": module,
        "class_name": name,
        "config": {"name": "x"} if config is None else config,
        "registered_name": registered_name,
    }


def test_honest_preset_passes_without_keras(preset):
    code = (
        "import sys; from keras_showattend.presets import check_preset; check_preset(sys.argv[1]);"
        "assert 'keras' not in sys.modules and 'huggingface_hub' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(preset)], check=True, timeout=60)


def test_lambda_layer(preset):
    import marshal

    code = (lambda x: __import__("os").system("touch owned")).__code__
    bytecode = base64.b64encode(marshal.dumps(code)).decode()
    function = {"class_name": "__lambda__", "config": {"value": bytecode}}
    put_layer(preset, serialized("keras.layers", "Lambda", {"name": "x", "function": function}))
    refuse(preset, "only classes that make a captioner")
    put_layer(preset, serialized("keras.layers", "Activation", {"activation": function}))
    refuse(preset, "only classes that make a captioner")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "function"),
        ("keras.utils", "get_file"),
        ("keras.models", "load_model"),
        ("keras.saving", "load_model"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.layers", "TFSMLayer"),
        ("keras.layers", "TorchModuleWrapper"),
        ("keras.layers", "JaxLayer"),
        ("keras.layers", "StringLookup"),
        ("keras.src.utils.file_utils", "get_file"),
        ("keras.src.layers.core.lambda_layer", "Lambda"),
        ("keras_hub.tokenizers", "WordPieceTokenizer"),
        ("keras_hub.src.utils.preset_utils", "get_file"),
        ("keras_hubx.models", "EvilBackbone"),
        ("keras_showattend.hub.push", "push_to_hub"),
        ("kerasx.layers", "Dense"),
        ("keras.layers.x", "Dense"),
        (None, "Dense"),
        (7, "Dense"),
        ("keras.layers", ["Dense"]),
    ],
)
def test_classes_and_functions_from_elsewhere(preset, module, name):
    put_layer(preset, serialized(module, name, {"fname": "owned", "origin": "nowhere"}))
    refuse(preset, "class")


@pytest.mark.parametrize(
    "registered_name",
    ["evil>Dense", "keras_showattend>Evil", "keras_hub>BertBackbone", "Custom>Dense", 7],
)
def test_registered_names_that_lie(preset, registered_name):
    put_layer(preset, serialized("keras.layers", "Dense", registered_name=registered_name))
    refuse(preset, "class")
    ours = serialized("keras_showattend.models", "Evil", registered_name=registered_name)
    put_layer(preset, ours)
    refuse(preset, "class")


def test_functions_other_than_activations(preset):
    for name in ("deserialize", "get", "eval", ["relu"]):
        function = serialized("builtins", "function", name, "function")
        put_layer(preset, serialized("keras.layers", "Activation", {"activation": function}))
        refuse(preset, "class")


def test_arrays_of_objects_in_a_config(preset):
    array = {"class_name": "__numpy__", "config": {"value": [[]], "dtype": "object"}}
    put_layer(preset, serialized("keras.layers", "Normalization", {"mean": array}))
    refuse(preset, "class")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "~/.ssh/id_rsa",
        "../../x",
        "a/../b",
        "C:\\x",
        "\\\\h\\x",
        "file:///x",
        "gs://b/x",
    ],
)
def test_paths_in_a_config(preset, path):
    edit(preset / "tokenizer.json", lambda value: value["config"].__setitem__("note", path))
    refuse(preset, "path or an address")


@pytest.mark.parametrize("name", ["/etc/x.json", "a/b.json", "..json", "x.txt"])
def test_assets_read_from_another_folder(preset, name):
    edit(preset / "tokenizer.json", lambda value: value["config"].__setitem__("config_file", name))
    refuse(preset, "path or an address")


def test_tokenizer_that_reads_a_file_of_yours(preset):
    edit(
        preset / "preprocessor.json",
        lambda value: value["config"]["tokenizer"]["config"].__setitem__(
            "vocabulary", "secret.txt"
        ),
    )
    refuse(preset, "read a file")


def test_harmless_strings_pass(preset):
    check_config(serialized("keras.layers", "EinsumDense", {"equation": "...a,ab->...b"}), preset)
    check_config(serialized("keras.layers", "Dense", {"name": "block1/conv.2"}), preset)


def test_sizes_beyond_reason(preset):
    put_layer(preset, serialized("keras.layers", "Dense", {"units": 10**12}))
    refuse(preset, "so large a size")
    put_layer(preset, serialized("keras.layers", "Dense", {"units": True, "seed": 2**31}))
    check_preset(preset)
    put_layer(preset, serialized("keras.layers", "InputLayer", {"batch_shape": [10**6, 10**6, 3]}))
    refuse(preset, "so large a shape")


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "evaluation.json"])
def test_json_made_to_exhaust_the_reader(preset, name):
    (preset / name).write_text("[" * 100_000 + "]" * 100_000)
    refuse(preset, "nested deeper")
    (preset / name).write_text('{"a": "' + "x" * 11 * 2**20 + '"}')
    refuse(preset, "at most")
    (preset / name).write_text("1" * 5000)
    refuse(preset, "Received")
    (preset / name).write_bytes(b"\xff\xfe{}")
    refuse(preset, "save_to_preset")


def test_brackets_inside_text_do_not_count(preset):
    edit(preset / "metadata.json", lambda value: value.__setitem__("description", '[\\"{' * 100))
    check_preset(preset)


@pytest.mark.parametrize("value", [[], "text", {"preset_format": "99"}, {"preset_format": True}])
def test_metadata_of_another_kind(preset, value):
    (preset / "metadata.json").write_text(json.dumps(value))
    refuse(preset, "must be an object")


def test_incomplete_and_newer_presets(preset):
    edit(preset / "metadata.json", lambda value: value.__setitem__("preset_format", 2))
    refuse(preset, "pip install --upgrade")
    (preset / "metadata.json").unlink()
    (preset / "task.json").unlink()
    refuse(preset, r"without \['task.json'\]")
    refuse(preset / "nowhere", "must be a folder")


def test_list_of_our_classes_is_complete(saved_captioner):
    import keras

    registered = keras.saving.get_custom_objects()
    ours = {name.split(">")[1] for name in registered if name.startswith("keras_showattend>")}
    # What is compiled is never stored in a preset.
    assert ours - {"CaptionCrossentropy", "SelfCritical"} == OURS


def test_layers_of_your_own_are_allowed_once_you_registered_them(preset):
    import keras

    config = serialized("mine.layers", "Sharpen", registered_name="mine>Sharpen")
    put_layer(preset, config)
    refuse(preset, "import the code that registers them")

    class Sharpen(keras.layers.Layer):
        pass

    registry = keras.saving.get_custom_objects()
    keras.saving.register_keras_serializable("mine")(Sharpen)
    try:
        check_preset(preset)
    finally:
        del registry["mine>Sharpen"]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "int8_from_float32"])
def test_policies_that_presets_use(policy):
    import keras

    config = keras.saving.serialize_keras_object(keras.dtype_policies.get(policy))
    check_config(json.loads(json.dumps(config)), "task.json")


def test_networks_that_users_bring():
    import keras
    from keras import layers

    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", activation="swish")(images)
    x = layers.BatchNormalization()(x)
    x = layers.Activation(keras.activations.gelu)(x)
    x = keras.ops.relu(x * 2.0 + x)
    x = layers.Concatenate()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    network = keras.Model(images, keras.Sequential([layers.MaxPooling2D()])(x))
    config = keras.saving.serialize_keras_object(network)
    for key in ("compile_config", "build_config"):
        config.pop(key, None)
    check_config(json.loads(json.dumps(config)), "config.json")

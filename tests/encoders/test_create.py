"""Encoders by name: registered ones, `keras.applications`, KerasHub presets."""

import json

import keras
import keras_hub
import numpy as np
import pytest
from captioner_checks import picture
from layer_checks import numpy, small_resnet

from keras_showattend import CaptionTokenizer, ImageCaptioner, create_captioner
from keras_showattend.encoders import (
    EncoderEntry,
    create_encoder,
    create_image_converter,
    encoder_entry,
    list_encoders,
    register_encoder,
    registry,
)
from keras_showattend.encoders.create import build_backbone
from keras_showattend.layers import ImageEncoder
from keras_showattend.recipes import Recipe

SIZES = {"embedding_dim": 8, "hidden_dim": 9, "attention_dim": 10}
SHAPE = (64, 96, 3)


@pytest.fixture
def tokenizer():
    return CaptionTokenizer.from_captions(["a dog runs", "a cat sits"], min_count=1)


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))


def patches(image_shape, depth=5):
    images = keras.Input(image_shape)
    return keras.Model(images, keras.layers.Conv2D(depth, 16, strides=16, name="patches")(images))


def test_the_registry_is_data():
    assert list_encoders() == [
        "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "vgg16", "vgg19"
    ]  # fmt: skip
    entry = encoder_entry("efficientnet_lite2")
    # The published network reads (x - 127) / 128.
    assert [127 * entry.scale + entry.offset, 255 * entry.scale + entry.offset] == [0.0, 1.0]
    assert entry.license == "Apache-2.0"
    assert encoder_entry("vgg16").offset == (-123.68, -116.779, -103.939)
    with pytest.raises(ValueError, match="one of .*'vgg19'.* Received: name='vgg11'"):
        encoder_entry("vgg11")


@pytest.mark.parametrize("name", ["efficientnet_lite0", "vgg16"])
def test_what_entries_promise(name):
    entry = encoder_entry(name)
    for grid in entry.outputs:
        encoder = create_encoder(name, weights=None, grid=grid)
        assert encoder.grid_shape((224, 224)) == (grid, grid)
    encoder = create_encoder(name, weights=None)
    assert encoder.features.count_params() == entry.parameters
    encoder.unfreeze("auto")
    assert encoder.last_frozen == entry.fine_tune_after
    rows, _ = encoder.part_until(encoder.last_frozen).grid_shape((224, 224))
    assert rows == {"efficientnet_lite0": 28, "vgg16": 14}[name]


def test_a_preset_names_its_encoder(tokenizer, tmp_path):
    name = "efficientnet_lite0"
    captioner = create_captioner(
        name, tokenizer=tokenizer, encoder_weights=None, image_shape=SHAPE, **SIZES
    )
    captioner.save_to_preset(tmp_path / "preset")
    path = tmp_path / "preset" / "config.json"
    assert path.stat().st_size < 3000
    encoder = json.loads(path.read_text())["config"]["image_encoder"]["config"]
    assert encoder["backbone"] == {"encoder": name, "image_shape": list(SHAPE)}
    loaded = ImageCaptioner.from_preset(str(tmp_path / "preset"))
    image = picture(0)
    caption = captioner.generate(image, num_beams=1, max_length=3)
    assert loaded.generate(image, num_beams=1, max_length=3) == caption
    half = loaded.backbone.image_encoder.with_dtype("mixed_bfloat16")
    assert half.features.layers[1].compute_dtype == "bfloat16"
    assert half.get_config()["backbone"] == encoder["backbone"]


def test_an_encoder_of_your_own(own_registry, tokenizer, tmp_path, monkeypatch):
    register_encoder("patches", patches, arguments={"depth": 6}, scale=1 / 255, image_size=(32, 48))
    captioner = create_captioner("patches", tokenizer=tokenizer, encoder_weights=None, **SIZES)
    assert captioner.backbone.grid_shape == (2, 3)
    assert captioner.backbone.image_encoder.annotation_dim == 6
    assert captioner.preprocessor.image_converter.scale == 1 / 255
    captioner.save_to_preset(tmp_path / "preset")
    loaded = ImageCaptioner.from_preset(str(tmp_path / "preset"))
    for weight, expected in zip(loaded.weights, captioner.weights, strict=True):
        np.testing.assert_array_equal(numpy(weight), numpy(expected))
    monkeypatch.delitem(registry._ENTRIES, "patches")
    with pytest.raises(ValueError, match=r"run its `register_encoder.* Received: 'patches'"):
        ImageCaptioner.from_preset(str(tmp_path / "preset"))


def test_weights_of_an_encoder_of_your_own(own_registry, tmp_path):
    register_encoder("patches", EncoderEntry(patches, image_size=(32, 48)))
    trained = create_encoder("patches", weights=None)
    path = tmp_path / "patches.weights.h5"
    patches((32, 48, 3)).save_weights(path)
    assert trained.trainable
    encoder = create_encoder("patches", path)
    assert not encoder.trainable
    with pytest.raises(ValueError, match="no pretrained weights .* Received: weights='imagenet'"):
        create_encoder("patches")


def test_names_that_cannot_be_registered(own_registry):
    for name in ("vgg16", "my-net", 3):
        with pytest.raises(ValueError, match=f"`name` must .* Received: name={name!r}"):
            register_encoder(name, patches)


@pytest.mark.parametrize(
    ("name", "module", "is_bgr"),
    [
        ("ResNet101", "resnet", True),
        ("ResNet50V2", "resnet_v2", False),
        ("MobileNetV2", "mobilenet_v2", False),
        ("MobileNetV3Small", "mobilenet_v3", False),
        ("densenet121", "densenet", False),
        ("EfficientNetB0", "efficientnet", False),
        ("NASNetMobile", "nasnet", False),
        ("Xception", "xception", False),
    ],
)
def test_pixels_of_keras_applications(name, module, is_bgr):
    pixels = np.random.default_rng(2).integers(0, 256, (1, 4, 6, 3)).astype("float32")
    expected = getattr(keras.applications, module).preprocess_input(pixels.copy())
    found = create_image_converter(name, (4, 6, 3)).normalize(pixels)
    np.testing.assert_allclose(found, expected[..., ::-1] if is_bgr else expected, atol=1e-4)


def test_a_network_that_reads_bgr(tmp_path):
    original = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3))
    original.save_weights(tmp_path / "original.weights.h5")
    encoder = create_encoder("resnet50", tmp_path / "original.weights.h5", image_shape=(32, 32, 3))
    pixels = np.random.default_rng(2).normal(0, 50, (2, 32, 32, 3)).astype("float32")
    expected = numpy(original(pixels[..., ::-1], training=False))
    found = numpy(encoder(pixels, training=False))
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-3, atol=1e-4)
    config = encoder.get_config()
    assert config["backbone"] == {"encoder": "resnet50", "image_shape": [32, 32, 3]}


def test_a_kerashub_preset(tokenizer, tmp_path):
    backbone = small_resnet()
    folder = str(tmp_path / "resnet")
    backbone.save_to_preset(folder)
    keras_hub.layers.ResNetImageConverter(
        image_size=(32, 48), scale=1 / 51, offset=[-1.0, -2.0, -3.0]
    ).save_to_preset(folder)
    captioner = create_captioner(folder, tokenizer=tokenizer, **SIZES)
    encoder = captioner.backbone.image_encoder
    assert not encoder.trainable
    for weight, expected in zip(encoder.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(numpy(weight), numpy(expected))
    converter = captioner.preprocessor.image_converter
    assert (tuple(converter.image_size), converter.scale) == ((32, 48), 1 / 51)
    np.testing.assert_allclose(
        converter.normalize(np.full((1, 1, 1, 3), 51)), [[[[0.0, -1.0, -2.0]]]], atol=1e-6
    )
    captioner.save_to_preset(tmp_path / "captioner")
    loaded = ImageCaptioner.from_preset(str(tmp_path / "captioner"))
    caption = captioner.generate(picture(0), num_beams=1, max_length=3)
    assert loaded.generate(picture(0), num_beams=1, max_length=3) == caption
    with pytest.raises(ValueError, match="`grid` belongs to registered encoders"):
        create_encoder(folder, grid=14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "vgg11"}, r"`encoder` must be one of .* Received: 'vgg11'"),
        ({"name": "vgg16", "grid": 28}, r"`grid` must be one of \(7, 14\).* Received: grid=28"),
        ({"name": "vgg16", "weights": "none.h5"}, "Received: weights='none.h5', which is no file"),
        ({"name": "vgg16", "stochastic_depth": 0.1}, r"does not take these options.*Received: "),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        create_encoder(**{"weights": None, **arguments})


def test_old_configs_still_load():
    """As presets had them before encoders were named: the network, layer by layer."""
    encoder = ImageEncoder(patches((32, 48, 3)), name="image_encoder")
    config = encoder.get_config()
    del config["fine_tune_after"]
    assert config["backbone"]["class_name"] == "Functional"
    assert ImageEncoder.from_config(config).grid_shape((32, 48)) == (2, 3)


def test_a_recipe_names_any_encoder():
    assert Recipe(encoder="efficientnet_lite2").encoder == "efficientnet_lite2"


@pytest.mark.parametrize("name", ["resnet_50_imagenet", "hf://user/net", "../net", "load_model"])
def test_a_config_cannot_have_presets_loaded(name, monkeypatch):
    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", None)
    with pytest.raises(ValueError, match=f"must be a registered one.* Received: '{name}'"):
        build_backbone({"encoder": name, "image_shape": [32, 32, 3]})

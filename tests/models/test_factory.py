"""`create_captioner`: captioners from the names of their parts."""

import keras
import keras_hub
import numpy as np
import pytest
from captioner_checks import picture

from keras_showattend import (
    CaptionImageConverter,
    CaptionTokenizer,
    ImageCaptioner,
    create_captioner,
)
from keras_showattend.layers import ImageEncoder
from keras_showattend.models import factory
from keras_showattend.preprocessing.caption_tokenizer import SPECIAL_TOKENS

SIZES = {"embedding_dim": 8, "hidden_dim": 9, "attention_dim": 10}


@pytest.fixture
def tokenizer():
    return CaptionTokenizer([*SPECIAL_TOKENS, "a", "dog", "runs"])


@pytest.fixture
def own_options(tokenizer):
    return {
        "tokenizer": tokenizer,
        "image_converter": CaptionImageConverter((8, 12), scale=1 / 255),
        "image_shape": (8, 12, 3),
        **SIZES,
    }


@pytest.mark.parametrize(("decoder", "states"), [("gru", 1), ("lstm", 2)])
def test_vgg_by_name(tokenizer, decoder, states):
    captioner = create_captioner(
        "vgg16",
        decoder,
        tokenizer=tokenizer,
        grid=14,
        encoder_weights=None,
        image_shape=(32, 48, 3),
        sequence_length=5,
        dropout=0.2,
        context_gate=False,
        **SIZES,
    )
    assert type(captioner) is ImageCaptioner
    assert captioner.compiled
    backbone, preprocessor = captioner.backbone, captioner.preprocessor
    assert backbone.grid_shape == (2, 3)
    assert backbone.decoder.cell.num_states == states
    assert backbone.decoder.get_config() | {"cell": decoder, "dropout": 0.2, **SIZES} == (
        backbone.decoder.get_config()
    )
    assert backbone.decoder.vocabulary_size == 7
    assert not backbone.decoder.cell.context_gate
    assert tuple(preprocessor.image_converter.image_size) == (32, 48)
    assert preprocessor.image_converter.offset == (-123.68, -116.779, -103.939)
    assert preprocessor.image_converter.scale is None
    assert preprocessor.sequence_length == 5


def test_vgg_in_mixed_precision(tokenizer):
    captioner = create_captioner(
        tokenizer=tokenizer,
        encoder_weights=None,
        image_shape=(32, 32, 3),
        dtype="mixed_bfloat16",
        **SIZES,
    )
    convolution = captioner.backbone.image_encoder.features.get_layer("block1_conv1")
    assert convolution.compute_dtype == captioner.compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_encoder_of_your_own(tiny_network, own_options, wrapped):
    network = tiny_network()
    encoder = ImageEncoder(network, name="mine") if wrapped else network
    captioner = create_captioner(encoder, "lstm", **own_options)
    assert type(captioner.backbone.image_encoder) is ImageEncoder
    assert (captioner.backbone.image_encoder is encoder) == wrapped
    assert captioner.backbone.image_encoder.trainable
    assert isinstance(captioner.generate(picture(0), num_beams=1, max_length=2), str)


def test_a_kerashub_backbone(own_options):
    network = keras_hub.models.VGGBackbone([1, 1], [4, 6], image_shape=(8, 12, 3))
    captioner = create_captioner(network, **own_options)
    assert captioner.backbone.grid_shape == (2, 3)
    assert captioner.backbone.image_encoder.annotation_dim == 6


ERRORS = {
    "decoder": ({"decoder": "rnn"}, r"`decoder` must be one of .* Received: decoder='rnn'"),
    "encoder": ({"encoder": "vgg11"}, r"`encoder` must be one of .* Received: 'vgg11'"),
    "grid": ({"grid": 8}, r"`grid` must be one of \(7, 14\) for 'vgg16'"),
    "weights": ({"encoder_weights": "nowhere.h5"}, "`weights` must be 'imagenet', None or"),
    "no vocabulary": ({"tokenizer": CaptionTokenizer()}, "The tokenizer has no vocabulary"),
    "no model": (
        {"encoder": 3, "image_converter": CaptionImageConverter((8, 12))},
        "an `ImageEncoder` or a functional `keras.Model`. Received: encoder=3",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_before_slow_work(monkeypatch, tokenizer, case):
    changes, message = ERRORS[case]
    monkeypatch.setattr(keras_hub.models, "VGGBackbone", None)
    monkeypatch.setattr(factory, "ShowAttendBackbone", None)
    with pytest.raises(ValueError, match=message):
        create_captioner(**{"tokenizer": tokenizer, **changes})


def test_an_encoder_of_your_own_needs_a_converter(tiny_network, own_options):
    del own_options["image_converter"]
    with pytest.raises(ValueError, match="needs `image_converter=CaptionImageConverter"):
        create_captioner(tiny_network(), **own_options)


@pytest.mark.parametrize(
    "options", [{"dropout": 1.0}, {"embedding_dim": 0}, {"initial_state": "random"}], ids=str
)
def test_options_of_the_decoder(tiny_network, own_options, options):
    [name] = options
    with pytest.raises(ValueError, match=rf"`{name}` must be .* Received: {name}="):
        create_captioner(tiny_network(), **{**own_options, **options})


def test_an_encoder_without_places(own_options):
    images = keras.Input((8, 12, 3))
    flat = keras.Model(images, keras.layers.Flatten()(images))
    with pytest.raises(ValueError, match="one feature map of rank 4"):
        create_captioner(flat, **own_options)


def test_same_seed_same_weights(tiny_network, own_options):
    def weights():
        keras.utils.set_random_seed(12)
        return create_captioner(tiny_network(), **own_options).get_weights()

    for first, second in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_credit_of_the_encoder():
    from keras_showattend.encoders.create import encoder_credit

    vgg = encoder_credit("vgg16")
    assert vgg.license == "CC-BY-4.0"
    assert "vgg16" in vgg.text
    assert "Visual Geometry Group" in vgg.text
    assert encoder_credit("efficientnet_lite0").license == "Apache-2.0"
    # Without an identifier the licence is named, and asked for when the captioner is published.
    assert encoder_credit("ResNet50").license is None
    assert "https://keras.io/api/applications" in encoder_credit("ResNet50").text
    assert "resnet_50_imagenet" in encoder_credit("resnet_50_imagenet").text

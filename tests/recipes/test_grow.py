"""VGG19 grown from VGG16: the same function, three convolutions deeper."""

import keras
import numpy as np
import pytest

from keras_showattend.encoders import vgg_encoder
from keras_showattend.layers import ImageEncoder
from keras_showattend.recipes import grow_vgg19

IMAGE_SHAPE = (32, 64, 3)


@pytest.fixture(scope="module", params=[7, 14])
def pair(request):
    """A VGG16 encoder with random weights and the VGG19 that grew out of it."""
    vgg16 = vgg_encoder("vgg16", request.param, weights=None, image_shape=IMAGE_SHAPE)
    return vgg16, grow_vgg19(vgg16)


def test_annotations_stay_the_same(pair):
    vgg16, vgg19 = pair
    images = np.random.default_rng(3).uniform(-120, 130, (2, *IMAGE_SHAPE)).astype("float32")
    expected = keras.ops.convert_to_numpy(vgg16(images))
    places, layer = {"block5_pool": (2, "block5_pool"), "block5_conv3": (8, "block5_conv4")}[
        vgg16.output_layer
    ]
    assert expected.shape == (2, places, 512)
    assert np.abs(expected).max() > 0.1
    found = keras.ops.convert_to_numpy(vgg19(images))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert vgg19.output_layer == layer


def test_it_is_three_convolutions_deeper_and_they_can_learn(pair):
    vgg16, vgg19 = pair
    # 3 x 3 kernels with a bias, over 256 and twice 512 channels.
    added = (9 * 256 + 1) * 256 + 2 * (9 * 512 + 1) * 512
    assert vgg19.features.count_params() - vgg16.features.count_params() == added
    assert vgg19.trainable
    kernel = vgg19.features.get_layer("block3_conv4").kernel
    assert np.array_equal(keras.ops.convert_to_numpy(kernel)[1, 1], np.eye(256))


def test_a_frozen_encoder_stays_frozen(pair):
    vgg16, _ = pair
    vgg16.trainable = False
    assert not grow_vgg19(vgg16).trainable_weights


def test_only_vgg16_grows():
    images = keras.Input(IMAGE_SHAPE)
    other = keras.Model(images, keras.layers.Conv2D(5, 3, name="only")(images))
    with pytest.raises(ValueError, match=r"Only a VGG16 encoder grows.*Received.*only"):
        grow_vgg19(ImageEncoder(other))

"""VGG19 grown from VGG16: the same function, three convolutions deeper."""

import keras
import numpy as np
import pytest

from keras_showattend.layers import ImageEncoder
from keras_showattend.models import grow_vgg19, vgg_encoder

IMAGE_SHAPE = (32, 64, 3)


@pytest.mark.parametrize(
    ("grid", "places", "layer"), [(7, 2, "block5_pool"), (14, 8, "block5_conv4")]
)
def test_annotations_stay_the_same(grid, places, layer):
    vgg16 = vgg_encoder("vgg16", grid, weights=None, image_shape=IMAGE_SHAPE)
    vgg19 = grow_vgg19(vgg16)
    images = np.random.default_rng(3).uniform(-120, 130, (2, *IMAGE_SHAPE)).astype("float32")
    expected = keras.ops.convert_to_numpy(vgg16(images))
    assert expected.shape == (2, places, 512)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(vgg19(images), expected, rtol=1e-4, atol=1e-4)
    assert vgg19.output_layer == layer


def test_it_is_three_convolutions_deeper_and_they_can_learn():
    vgg16 = vgg_encoder("vgg16", weights=None, image_shape=IMAGE_SHAPE)
    vgg19 = grow_vgg19(vgg16)
    # 3 x 3 kernels with a bias, over 256 and twice 512 channels.
    added = (9 * 256 + 1) * 256 + 2 * (9 * 512 + 1) * 512
    assert vgg19.features.count_params() - vgg16.features.count_params() == added
    assert vgg19.trainable
    kernel = vgg19.features.get_layer("block3_conv4").kernel
    assert np.array_equal(keras.ops.convert_to_numpy(kernel)[1, 1], np.eye(256))


def test_a_frozen_encoder_stays_frozen():
    vgg16 = vgg_encoder("vgg16", weights=None, image_shape=IMAGE_SHAPE)
    vgg16.trainable = False
    assert not grow_vgg19(vgg16).trainable_weights


def test_only_vgg16_grows():
    images = keras.Input(IMAGE_SHAPE)
    other = keras.Model(images, keras.layers.Conv2D(5, 3, name="only")(images))
    with pytest.raises(ValueError, match=r"Only a VGG16 encoder grows.*Received.*only"):
        grow_vgg19(ImageEncoder(other))

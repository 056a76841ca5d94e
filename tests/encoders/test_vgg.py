"""VGG encoders against `keras.applications`, BGR and means included."""

import keras
import keras_hub
import numpy as np
import pytest
from layer_checks import numpy

from keras_showattend.encoders import vgg, vgg_encoder
from keras_showattend.encoders.vgg import PIXEL_OFFSET, copy_bgr_weights

SIDE = 32


@pytest.fixture(scope="module")
def reference():
    """The original, with random weights and with biases that tell its channels apart."""
    keras.utils.set_random_seed(4)
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    rng = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, _ = layer.get_weights()
            layer.set_weights([kernel, rng.uniform(0, 0.1, kernel.shape[-1]).astype("float32")])
    return model


@pytest.fixture(scope="module")
def weights_file(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "vgg16_notop.weights.h5"
    reference.save_weights(path)
    return str(path)


def check_same_annotations(encoder, reference, layer):
    pixels = np.random.default_rng(9).integers(0, 256, (2, SIDE, SIDE, 3)).astype("float32")
    expected = keras.Model(reference.inputs[0], reference.get_layer(layer).output)(
        keras.applications.vgg16.preprocess_input(pixels.copy())
    )
    annotations = numpy(encoder(pixels + np.array(PIXEL_OFFSET, "float32")))
    expected = numpy(expected).reshape(annotations.shape)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(annotations, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("grid", "layer", "places"), [(7, "block5_pool", 1), (14, "block5_conv3", 4)]
)
def test_a_weights_file(reference, weights_file, grid, layer, places):
    encoder = vgg_encoder("vgg16", grid, weights_file, image_shape=(SIDE, SIDE, 3))
    assert encoder.compute_output_shape((2, SIDE, SIDE, 3)) == (2, places, 512)
    check_same_annotations(encoder, reference, layer)
    assert not encoder.trainable
    assert encoder.trainable_variables == []


def test_copied_weights(reference):
    target = keras_hub.models.VGGBackbone(
        [2, 2, 3, 3, 3], [64, 128, 256, 512, 512], image_shape=(SIDE, SIDE, 3)
    )
    copy_bgr_weights(reference, target)
    first, other = (
        model.get_layer("block1_conv1").get_weights()[0] for model in (reference, target)
    )
    np.testing.assert_array_equal(first[:, :, ::-1], other)
    for name in ("block1_conv2", "block5_conv3"):
        for ours, theirs in zip(
            target.get_layer(name).get_weights(),
            reference.get_layer(name).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_copied_from_another_architecture(reference):
    target = keras_hub.models.VGGBackbone([1, 1], [4, 6], image_shape=(SIDE, SIDE, 3))
    with pytest.raises(ValueError, match="shape"):
        copy_bgr_weights(reference, target)


@pytest.mark.parametrize(
    ("name", "grid", "layer", "convolutions"),
    [("vgg16", 7, "block5_pool", 13), ("vgg19", 7, "block5_pool", 16),
     ("vgg19", 14, "block5_conv4", 16)],
)  # fmt: skip
def test_grids_and_layers(name, grid, layer, convolutions):
    encoder = vgg_encoder(name, grid, weights=None)
    assert encoder.grid_shape((224, 224)) == (grid, grid)
    assert encoder.annotation_dim == 512
    assert encoder.output_layer == layer
    assert encoder.trainable
    kinds = [isinstance(layer, keras.layers.Conv2D) for layer in encoder.features.layers]
    assert sum(kinds) == convolutions


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg11",), r"must be one of \['vgg16', 'vgg19'\].* Received: 'vgg11'"),
        (("vgg16", 28), r"`grid` must be one of \(7, 14\) for 'vgg16'. Received: grid=28"),
        (("vgg19", 7, "imagnet"), r"`weights` must be .* Received: weights='imagnet'"),
        (("vgg16", 7, "/nowhere/vgg.h5"), "which is no file"),
    ],
)
def test_errors_before_slow_work(monkeypatch, arguments, message):
    monkeypatch.setattr(vgg.keras_hub.models, "VGGBackbone", None)
    with pytest.raises(ValueError, match=message):
        vgg_encoder(*arguments)


def test_a_file_that_holds_no_weights(tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"hello")
    with pytest.raises((OSError, ValueError)):
        vgg_encoder("vgg16", weights=str(path), image_shape=(SIDE, SIDE, 3))

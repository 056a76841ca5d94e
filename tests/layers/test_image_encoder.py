"""`ImageEncoder`: grids, order of places, backbones of three kinds, and what is refused."""

import keras
import keras_hub
import numpy as np
import pytest
from layer_checks import numpy, small_resnet, train_one_step

from keras_showattend.encoders import vgg_encoder
from keras_showattend.layers import ImageEncoder

B, HEIGHT, WIDTH = 2, 64, 96


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).uniform(-9, 9, (B, HEIGHT, WIDTH, 3)).astype("float32")


@pytest.mark.parametrize(
    ("name", "grid", "layer", "places"),
    [
        ("vgg16", 7, "block5_pool", (2, 3)),
        ("vgg16", 14, "block5_conv3", (4, 6)),
        ("vgg19", 7, "block5_pool", (2, 3)),
        ("vgg19", 14, "block5_conv4", (4, 6)),
    ],
)
def test_vgg(name, grid, layer, places, images):
    encoder = vgg_encoder(name, grid, weights=None, image_shape=(None, None, 3))
    assert encoder.output_layer == layer
    assert encoder.annotation_dim == 512
    assert encoder.grid_shape((HEIGHT, WIDTH)) == places
    # What the names promise of the size that VGG was made for.
    assert encoder.grid_shape((224, 224)) == (grid, grid)
    assert encoder.compute_output_shape((B, HEIGHT, WIDTH, 3)) == (B, np.prod(places), 512)
    assert tuple(encoder(images).shape) == (B, np.prod(places), 512)


def test_keras_applications_backbone(images):
    network = keras.applications.MobileNetV2(
        weights=None, include_top=False, alpha=0.35, input_shape=(HEIGHT, WIDTH, 3)
    )
    encoder = ImageEncoder(network)
    annotations = numpy(encoder(images))
    assert annotations.shape == (B, 6, encoder.annotation_dim)
    np.testing.assert_allclose(
        annotations, numpy(network(images)).reshape(B, 6, -1), atol=1e-5, rtol=1e-5
    )


def test_keras_hub_backbone(images):
    network = small_resnet()
    encoder = ImageEncoder(network)
    rows, columns = encoder.grid_shape((HEIGHT, WIDTH))
    assert rows / columns == HEIGHT / WIDTH
    annotations = encoder(images)
    assert tuple(annotations.shape) == (B, rows * columns, encoder.annotation_dim)
    copy = ImageEncoder.from_config(encoder.get_config())
    copy.set_weights(encoder.get_weights())
    np.testing.assert_allclose(numpy(copy(images)), numpy(annotations), atol=1e-5)
    # Without a fixed size the number of places is not known beforehand.
    assert encoder.compute_output_shape((None, None, None, 3)) == (
        None,
        None,
        encoder.annotation_dim,
    )


def test_places_go_row_by_row(tiny_network):
    encoder = ImageEncoder(tiny_network())
    # The filters see one number a patch: the patch's own.
    encoder.set_weights([np.full((4, 4, 3, 5), 1 / 48), np.zeros(5)])
    patches = np.arange(6, dtype="float32").reshape(1, 2, 3, 1) / 10
    pixels = patches.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3)
    annotations = numpy(encoder(pixels))
    assert annotations.shape == (1, 6, 5)
    np.testing.assert_allclose(annotations[0, :, 0], np.tanh(np.arange(6) / 10), atol=1e-6)


def test_a_layer_inside_the_network(tiny_network):
    inner = tiny_network()
    outputs = keras.layers.Conv2D(4, 2, name="last")(inner.output)
    network = keras.Model(inner.input, outputs)
    assert ImageEncoder(network).annotation_dim == 4
    encoder = ImageEncoder(network, output_layer="patches")
    assert encoder.annotation_dim == 5
    assert encoder.grid_shape((8, 12)) == (2, 3)
    assert len(encoder.weights) == 2


def test_vgg_of_one_size(images):
    encoder = vgg_encoder("vgg16", 14, weights=None, image_shape=(HEIGHT, WIDTH, 3))
    with pytest.raises(ValueError, match=r"expected shape=\(None, 64, 96, 3\)"):
        encoder(images[:, :, :64])


@pytest.mark.parametrize("trainable", [True, False])
def test_serialization(tiny_network, trainable):
    encoder = ImageEncoder(tiny_network(), output_layer="patches", name="eyes", trainable=trainable)
    for copy in (
        ImageEncoder.from_config(encoder.get_config()),
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(encoder)),
    ):
        assert copy.get_config() == encoder.get_config()
        assert (copy.name, copy.trainable, copy.output_layer) == ("eyes", trainable, "patches")
        assert len(copy.trainable_weights) == (2 if trainable else 0)
        assert [w.shape for w in copy.weights] == [w.shape for w in encoder.weights]


def test_copy_in_another_dtype(images):
    network = keras_hub.models.VGGBackbone([1, 1], [4, 5], image_shape=(HEIGHT, WIDTH, 3))
    encoder = ImageEncoder(network, trainable=False)
    half = encoder.with_dtype("mixed_bfloat16")
    annotations, expected = half(images), encoder(images)
    assert keras.backend.standardize_dtype(annotations.dtype) == "bfloat16"
    np.testing.assert_allclose(numpy(annotations), numpy(expected), atol=0.2)
    # Neither the encoder nor the global policy is touched.
    assert keras.backend.standardize_dtype(expected.dtype) == "float32"
    assert keras.config.dtype_policy().name == "float32"
    assert ImageEncoder.from_config(encoder.get_config()).compute_dtype == "float32"


def test_freezing(tiny_network):
    encoder = ImageEncoder(tiny_network(), trainable=False)
    assert encoder.trainable_weights == []
    encoder.trainable = True
    assert len(encoder.trainable_weights) == 2


def test_mixed_precision_is_near_float32(tiny_network):
    pixels = np.random.default_rng(6).uniform(-1, 1, (B, 8, 12, 3)).astype("float32")
    exact = ImageEncoder(tiny_network())
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = ImageEncoder(tiny_network())
    half.set_weights(exact.get_weights())
    annotations = half(pixels)
    assert keras.backend.standardize_dtype(annotations.dtype) == "bfloat16"
    np.testing.assert_allclose(numpy(annotations), numpy(exact(pixels)), atol=0.05)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_gradient_reaches_every_weight(tiny_network, jit_compile):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("torch.compile needs a C++ compiler and a minute")
    pixels = np.random.default_rng(6).uniform(-1, 1, (B, 8, 12, 3)).astype("float32")
    inputs = keras.Input((8, 12, 3))
    model = keras.Model(inputs, ImageEncoder(tiny_network())(inputs))
    assert train_one_step(model, pixels, np.ones((B, 6, 5)), jit_compile) == []


def test_wrong_arguments(tiny_network):
    flat = keras.Sequential([keras.Input((8, 12, 3)), keras.layers.Flatten(name="flat")])
    with pytest.raises(ValueError, match=r"must be a functional `keras.Model`.*Received: .*vgg16"):
        ImageEncoder("vgg16")
    with pytest.raises(ValueError, match=r"must be a functional `keras.Model`"):
        ImageEncoder(keras.Sequential([keras.layers.Conv2D(5, 4)]))
    with pytest.raises(ValueError, match="one feature map of rank 4"):
        ImageEncoder(flat)
    with pytest.raises(ValueError, match=r"`output_layer` must name a layer.*'patches'.*'wrong'"):
        ImageEncoder(tiny_network(), output_layer="wrong")


def test_several_outputs_are_refused_or_named(tiny_network):
    network = tiny_network()
    more = keras.layers.Conv2D(4, 2, name="more")(network.output)
    two_headed = keras.Model(network.input, [network.output, more])
    with pytest.raises(ValueError, match="one feature map of rank 4"):
        ImageEncoder(two_headed)
    assert ImageEncoder(two_headed, output_layer="more").annotation_dim == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "vgg11"}, "must be one of"),
        ({"grid": 8}, "`grid` must be one of"),
        ({"weights": "nowhere.h5"}, "which is no file"),
    ],
)
def test_wrong_vgg(arguments, message):
    with pytest.raises(ValueError, match=message):
        vgg_encoder(**{"weights": None, **arguments})


@pytest.fixture
def two_layers():
    """A network whose middle, 4 x 6 x 5, is pooled to 2 x 3 behind another convolution."""
    pixels = keras.Input((16, 24, 3))
    features = keras.layers.Conv2D(5, 4, strides=4, activation="tanh", name="first")(pixels)
    features = keras.layers.Conv2D(7, 3, padding="same", activation="tanh", name="second")(features)
    return ImageEncoder(keras.Model(pixels, keras.layers.MaxPooling2D(2, name="pool")(features)))


def test_parts_make_the_whole(two_layers):
    pixels = np.random.default_rng(4).uniform(-1, 1, (B, 16, 24, 3)).astype("float32")
    first = numpy(two_layers.part_until("first")(pixels)).reshape(B, 4, 6, 5)
    whole = numpy(two_layers(pixels))
    np.testing.assert_allclose(numpy(two_layers.finish(first, "first")), whole, atol=1e-6)
    # A window is what a smaller picture would give, away from its edge.
    window = numpy(two_layers.finish(first[:, :, :4], "first")).reshape(B, 2, 2, 7)
    np.testing.assert_allclose(window[:, :, 0], whole.reshape(B, 2, 3, 7)[:, :, 0], atol=1e-6)
    assert two_layers.part_until("pool") is two_layers
    # No weight is there twice.
    assert len(two_layers.weights) == 4


def test_what_learns(two_layers):
    two_layers.trainable = False
    assert two_layers.last_frozen == "pool"
    two_layers.unfreeze(after="first")
    assert two_layers.last_frozen == "first"
    assert [w.path.split("/")[-2] for w in two_layers.trainable_weights] == ["second"] * 2
    two_layers.unfreeze()
    assert two_layers.last_frozen is None
    assert len(two_layers.trainable_weights) == 4
    two_layers.unfreeze(after="first")
    two_layers.trainable = False
    assert two_layers.last_frozen == "pool"
    assert two_layers.trainable_weights == []
    two_layers.trainable = True
    assert two_layers.last_frozen == "first"


@pytest.mark.parametrize("change", ["config", "dtype"])
def test_a_copy_learns_what_the_original_does(normalized, change):
    def copy():
        if change == "dtype":
            return normalized.with_dtype("mixed_bfloat16")
        return ImageEncoder.from_config(normalized.get_config())

    def learning(encoder):
        return ["/".join(w.path.split("/")[-2:]) for w in encoder.trainable_weights]

    assert len(learning(copy())) == 8
    normalized.unfreeze("auto")
    assert learning(copy()) == ["second/kernel", "second/bias"]
    assert copy().last_frozen == "first_norm"
    normalized.unfreeze(batch_norm=False)
    assert len(learning(copy())) == 4
    normalized.trainable = False
    assert learning(copy()) == []


def test_no_cut_at_a_layer_that_others_bypass():
    pixels = keras.Input((8, 12, 3))
    left = keras.layers.Conv2D(5, 3, padding="same", name="left")(pixels)
    right = keras.layers.Conv2D(5, 3, padding="same", name="right")(pixels)
    encoder = ImageEncoder(keras.Model(pixels, keras.layers.Add(name="sum")([left, right])))
    encoder.trainable = False
    for name, message in (("left", "through which everything flows"), ("sum", "before its last")):
        with pytest.raises(ValueError, match=f"{message}.* Received: '{name}'"):
            encoder.unfreeze(after=name)
    assert not encoder.trainable_weights


@pytest.fixture
def normalized():
    """Two convolutions, each followed by batch normalization."""
    x = pixels = keras.Input((8, 12, 3))
    for name in ("first", "second"):
        x = keras.layers.Conv2D(5, 3, padding="same", name=name)(x)
        x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
    return ImageEncoder(keras.Model(pixels, x), fine_tune_after="first_norm")


@pytest.mark.parametrize("batch_norm", [False, True])
def test_statistics_of_batch_norm(normalized, batch_norm):
    normalized.unfreeze("auto", batch_norm=batch_norm)
    assert normalized.last_frozen == "first_norm"
    pixels = np.random.default_rng(5).normal(3, 2, (B, 8, 12, 3)).astype("float32")
    before = {weight.path: numpy(weight) for weight in normalized.weights}
    inputs = keras.Input((8, 12, 3))
    model = keras.Model(inputs, normalized(inputs))
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.fit(pixels, np.ones((B, 96, 5)), epochs=2, verbose=0)
    moved = {
        "/".join(weight.path.split("/")[-2:])
        for weight in normalized.weights
        if not np.array_equal(numpy(weight), before[weight.path])
    }
    parts = ("gamma", "beta", "moving_mean", "moving_variance") if batch_norm else ()
    learned = {"second/kernel", *(f"second_norm/{part}" for part in parts)}
    # The offset in front of a normalization by the batch's own mean has no gradient.
    assert moved - {"second/bias"} == learned


def test_no_default_place_to_cut(two_layers):
    with pytest.raises(ValueError, match=r"knows where fine-tuning begins.*\['.*'first'"):
        two_layers.unfreeze("auto")

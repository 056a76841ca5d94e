"""`Augmentation`: crops, colors and layers, by values that tell where they come from."""

import keras
import numpy as np
import pytest

from keras_showattend.preprocessing import CaptionImageConverter
from keras_showattend.training import Augmentation, ImageInputs
from keras_showattend.training.augmentation import jitter_colors, random_window

HEIGHT, WIDTH = 30, 40


@pytest.fixture
def ramp():
    """An image whose red tells the row and whose green tells the column."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([rows * 4, columns * 4, np.full_like(rows, 99)], axis=-1).astype("uint8")


def new_inputs(images, augmentation, **options):
    converter = CaptionImageConverter((HEIGHT, WIDTH), scale=2.0, offset=1.0)
    return ImageInputs(images, converter, augmentation=augmentation, **options)


def test_without_options_images_stay_as_they_are(ramp):
    found = new_inputs([ramp], Augmentation()).gather([0, 0], batch=3)["images"]
    np.testing.assert_array_equal(found, 2 * np.stack([ramp, ramp]).astype("float32") + 1)


def test_windows_of_an_area():
    rng = np.random.default_rng(0)
    areas, ratios = [], []
    for _ in range(500):
        left, top, right, bottom = random_window((HEIGHT, WIDTH), 0.4, rng)
        assert 0 <= left < right <= WIDTH
        assert 0 <= top < bottom <= HEIGHT
        areas.append((right - left) * (bottom - top) / (HEIGHT * WIDTH))
        ratios.append((right - left) / (bottom - top) / (WIDTH / HEIGHT))
    assert 0.4 <= min(areas) < 0.45
    assert 0.95 < max(areas) <= 1.001
    assert 0.74 < min(ratios) < 0.8
    assert 1.25 < max(ratios) < 1.34


def test_crops_are_windows_of_the_image(ramp):
    inputs = new_inputs([ramp], Augmentation(random_crop=0.5), random_flip=True, seed=4)
    pixels = (inputs.gather([0] * 12, batch=0)["images"] - 1) / 2
    spans = pixels.max(axis=(1, 2)) - pixels.min(axis=(1, 2))
    assert np.all(spans[:, 0] * spans[:, 1] < 1.02 * 116 * 156)
    assert spans[:, 0].min() < 100
    # Blue has one value, and rows still grow downwards; columns do so unless mirrored.
    np.testing.assert_allclose(pixels[..., 2], 99)
    assert np.all(np.diff(pixels[:, :, WIDTH // 2, 0], axis=1) >= 0)
    rightwards = pixels[:, 0, -1, 1] > pixels[:, 0, 0, 1]
    assert 2 < rightwards.sum() < 10


def test_an_epoch_decides_what_is_drawn(ramp):
    augmentation = Augmentation(random_crop=0.6, color_jitter=0.3)
    first, second = (new_inputs([ramp] * 3, augmentation, seed=5) for _ in range(2))
    same = [inputs.gather([0, 1, 2], batch=1)["images"] for inputs in (first, second)]
    np.testing.assert_array_equal(*same)
    second.start_epoch(1)
    assert np.any(second.gather([0, 1, 2], batch=1)["images"] != same[0])


def test_color_jitter():
    gray = np.full((2, 3, 3), 100, "float32")
    found = [jitter_colors(gray, 0.2, np.random.default_rng(i))[0, 0, 0] for i in range(200)]
    # A gray image without contrast has brightness alone.
    assert 80 <= min(found) < 85
    assert 115 < max(found) <= 120
    colored = np.array([[[200, 100, 50], [40, 80, 60]]], "float32")
    brightness, contrast, saturation = np.random.default_rng(9).uniform(0.5, 1.5, 3)
    expected = colored * brightness
    gray = expected @ [0.299, 0.587, 0.114]
    expected = gray.mean() + contrast * (expected - gray.mean())
    gray = (expected @ [0.299, 0.587, 0.114])[..., None]
    expected = np.clip(gray + saturation * (expected - gray), 0, 255)
    found = jitter_colors(colored, 0.5, np.random.default_rng(9))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert jitter_colors(colored, 0.0, np.random.default_rng(9)) is colored


def test_a_layer_of_keras(ramp):
    layer = keras.layers.RandomBrightness((0.25, 0.25), value_range=(0, 255), seed=1)
    found = new_inputs([ramp], Augmentation(layer=layer)).gather([0], batch=0)["images"]
    expected = np.clip(ramp[None].astype("float32") + 0.25 * 255, 0, 255)
    np.testing.assert_allclose(found, 2 * expected + 1, atol=1e-3)


def test_a_function(ramp):
    inputs = new_inputs([ramp], Augmentation(layer=lambda pixels: 255 - pixels))
    found = inputs.gather([0], batch=0)["images"]
    np.testing.assert_array_equal(found, 2 * (255 - ramp[None].astype("float32")) + 1)


def test_training_an_encoder_from_images(tiny_captioner, ramp):
    captioner = tiny_captioner()
    data = {"images": [ramp, ramp[::-1]], "captions": [["a dog runs"], ["a cat sits", "a dog"]]}
    augmentation = Augmentation(random_crop=0.7, color_jitter=0.2)
    before = [np.array(w) for w in captioner.backbone.image_encoder.get_weights()]
    history = captioner.fit(data, epochs=2, batch_size=3, augmentation=augmentation, verbose=0)
    assert np.all(np.isfinite(history.history["loss"]))
    after = captioner.backbone.image_encoder.get_weights()
    assert all(np.any(old != new) for old, new in zip(before, after, strict=True))
    captioner.backbone.image_encoder.trainable = False
    with pytest.raises(ValueError, match="for an encoder that learns.* Received: a frozen encoder"):
        captioner.fit(data, augmentation=augmentation, verbose=0)


def test_wrong_arguments():
    for name, value in (("random_crop", 0.0), ("random_crop", 1.5), ("color_jitter", 1.0)):
        with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}={value}"):
            Augmentation(**{name: value})
    with pytest.raises(ValueError, match="`augmentation` varies the images"):
        new_inputs([None], Augmentation(), features=object())

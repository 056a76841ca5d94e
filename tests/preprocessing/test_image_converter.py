"""`CaptionImageConverter`: files by Pillow and tensors by the backend come out alike."""

import keras
import numpy as np
import pytest
from layer_checks import numpy
from PIL import Image

from keras_showattend.preprocessing import CaptionImageConverter
from keras_showattend.preprocessing.images import ImageError

OFFSET = (-123.68, -116.779, -103.939)


@pytest.fixture(scope="module")
def photo():
    """Smooth parts, hard edges and noise, 90 x 150."""
    rng = np.random.default_rng(10)
    rows, columns = np.mgrid[0:90, 0:150]
    smooth = 127 + 90 * np.sin(rows / 13) * np.cos(columns / 17)
    picture = np.stack([smooth, 255 - smooth, (rows // 9 + columns // 15) % 2 * 255], axis=-1)
    return np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype("uint8")


@pytest.mark.parametrize("options", [{}, {"offset": OFFSET}, {"scale": 0.5, "offset": OFFSET}])
@pytest.mark.parametrize("image_size", [(32, 48), (45, 75), (64, 40)])
def test_files_and_tensors_come_out_alike(photo, options, image_size):
    converter = CaptionImageConverter(image_size, **options)
    from_file = converter.normalize(converter.load(photo)[None])
    from_tensor = numpy(converter(photo[None]))
    assert from_file.shape == from_tensor.shape == (1, *image_size, 3)
    assert from_file.dtype == np.float32
    np.testing.assert_allclose(from_file, from_tensor, atol=1.5 * options.get("scale", 1))


def test_crop_takes_the_middle(photo):
    converter = CaptionImageConverter((30, 30), crop_to_aspect_ratio=True)
    from_file = converter.load(photo)
    np.testing.assert_allclose(from_file, numpy(converter(photo)), atol=1.5)
    squashed = CaptionImageConverter((30, 30)).load(photo[:, 30:120])
    np.testing.assert_allclose(from_file, squashed, atol=1)


def test_inside_tf_data(photo):
    tf = pytest.importorskip("tensorflow")
    converter = CaptionImageConverter((32, 48), offset=OFFSET)
    (batch,) = tf.data.Dataset.from_tensors(photo[None]).map(converter)
    expected = converter.normalize(converter.load(photo)[None])
    np.testing.assert_allclose(batch.numpy(), expected, atol=1.5)


def test_normalize_by_hand():
    pixels = np.array([[[[0, 100, 255]]]], dtype="uint8")
    assert CaptionImageConverter((1, 1)).normalize(pixels).tolist() == [[[[0, 100, 255]]]]
    # Scaled first, then moved.
    converter = CaptionImageConverter((1, 1), scale=2.0, offset=(1.0, -10.0, 0.5))
    assert converter.normalize(pixels).tolist() == [[[[1, 190, 510.5]]]]
    np.testing.assert_allclose(numpy(converter(pixels)), [[[[1, 190, 510.5]]]])
    converter = CaptionImageConverter((1, 1), scale=(1.0, 0.5, 0.1))
    np.testing.assert_allclose(converter.normalize(pixels), [[[[0, 50, 25.5]]]])


def test_load_reads_files_and_arrays(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    converter = CaptionImageConverter((32, 48), offset=OFFSET)
    loaded = converter.load(tmp_path / "photo.png")
    assert loaded.dtype == np.uint8
    assert loaded.shape == (32, 48, 3)
    for source in (photo, Image.fromarray(photo), (tmp_path / "photo.png").read_bytes()):
        np.testing.assert_array_equal(converter.load(source), loaded)
    with pytest.raises(ImageError, match="no such file"):
        converter.load(tmp_path / "missing.jpg")


def test_one_image_or_a_batch(photo):
    converter = CaptionImageConverter((32, 48))
    one, batch = numpy(converter(photo)), numpy(converter(np.stack([photo, photo])))
    np.testing.assert_allclose(batch, np.stack([one, one]), atol=1e-3)


def test_serialization():
    converter = CaptionImageConverter((32, 48), scale=0.5, offset=OFFSET, crop_to_aspect_ratio=True)
    serialized = keras.saving.serialize_keras_object(converter)
    assert serialized["registered_name"] == "keras_showattend>CaptionImageConverter"
    for copy in (
        CaptionImageConverter.from_config(converter.get_config()),
        keras.saving.deserialize_keras_object(serialized),
    ):
        assert copy.get_config() == converter.get_config()
        assert tuple(copy.image_size) == (32, 48)
        assert copy.crop_to_aspect_ratio is True
        pixels = np.full((1, 2, 2, 3), 100, dtype="uint8")
        np.testing.assert_array_equal(copy.normalize(pixels), converter.normalize(pixels))


def test_defaults():
    converter = CaptionImageConverter()
    assert tuple(converter.image_size) == (224, 224)
    assert converter.antialias is True
    assert converter.crop_to_aspect_ratio is False

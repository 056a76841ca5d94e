"""`ImageCaptionerPreprocessor`: literal ids, masks and weights; Python and `tf.data` alike."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_showattend.preprocessing import (
    CaptionImageConverter,
    CaptionTokenizer,
    ImageCaptionerPreprocessor,
)
from keras_showattend.preprocessing.caption_tokenizer import SPECIAL_TOKENS
from keras_showattend.preprocessing.images import ImageError

PAD, START, END, UNKNOWN, A, DOG, RUNS = range(7)
# Fits with room, fits exactly, is one word too long, is far too long, is empty, is unknown.
CAPTIONS = ["A dog.", "a dog runs", "a dog runs a", "a dog runs a dog runs", "", "zebra runs!"]
TOKEN_IDS = [
    [START, A, DOG, END],
    [START, A, DOG, RUNS],
    [START, A, DOG, RUNS],
    [START, A, DOG, RUNS],
    [START, END, PAD, PAD],
    [START, UNKNOWN, RUNS, END],
]
TARGETS = [
    [A, DOG, END, PAD],
    [A, DOG, RUNS, END],
    # Cut captions keep their end.
    [A, DOG, RUNS, END],
    [A, DOG, RUNS, END],
    [END, PAD, PAD, PAD],
    [UNKNOWN, RUNS, END, PAD],
]
WEIGHTS = [
    [1, 1, 1, 0],
    [1, 1, 1, 1],
    [1, 1, 1, 1],
    [1, 1, 1, 1],
    [1, 0, 0, 0],
    [1, 1, 1, 0],
]


@pytest.fixture
def preprocessor():
    return ImageCaptionerPreprocessor(
        CaptionImageConverter((8, 12), scale=0.5),
        CaptionTokenizer([*SPECIAL_TOKENS, "a", "dog", "runs"]),
        sequence_length=4,
    )


@pytest.fixture
def images():
    shape = (len(CAPTIONS), 16, 24, 3)
    return np.random.default_rng(13).integers(0, 256, shape).astype("uint8")


def check_tokens(x, y, sample_weight):
    for got, expected, dtype in (
        (x["token_ids"], TOKEN_IDS, "int32"),
        (x["padding_mask"], np.array(WEIGHTS) == 1, "bool"),
        (y, TARGETS, "int32"),
        (sample_weight, WEIGHTS, "float32"),
    ):
        got = np.asarray(got)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected)


def test_literal_batch(preprocessor, images):
    x, y, sample_weight = preprocessor({"images": images, "captions": CAPTIONS})
    assert set(x) == {"images", "token_ids", "padding_mask"}
    check_tokens(x, y, sample_weight)
    assert x["images"].shape == (len(CAPTIONS), 8, 12, 3)
    assert x["images"].dtype == np.float32
    loaded = preprocessor.image_converter.load(images[2])
    np.testing.assert_array_equal(x["images"][2], loaded * np.float32(0.5))


def test_inside_tf_data(preprocessor, images):
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices({"images": images, "captions": CAPTIONS})
    (batch,) = data.batch(len(CAPTIONS)).map(preprocessor)
    check_tokens(*batch)
    x, _, _ = preprocessor({"images": images, "captions": CAPTIONS})
    # The two ways of resizing differ by rounding to whole grey levels.
    np.testing.assert_allclose(batch[0]["images"], x["images"], atol=0.75)


def test_tf_data_shapes_are_static(preprocessor, images):
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices({"images": images, "captions": CAPTIONS})
    x, y, sample_weight = data.batch(2).map(preprocessor).element_spec
    assert x["images"].shape.as_list() == [None, 8, 12, 3]
    for spec in (x["token_ids"], x["padding_mask"], y, sample_weight):
        assert spec.shape.as_list() == [None, 4]


def test_another_length(preprocessor, images):
    tf = pytest.importorskip("tensorflow")
    data = {"images": images, "captions": CAPTIONS}
    x, y, _ = preprocessor(data, sequence_length=7)
    assert x["token_ids"].shape == (6, 7)
    assert y[3].tolist() == [A, DOG, RUNS, A, DOG, RUNS, END]
    (batch,) = tf.data.Dataset.from_tensors(data).map(lambda x: preprocessor(x, sequence_length=7))
    np.testing.assert_array_equal(batch[0]["token_ids"], x["token_ids"])
    np.testing.assert_array_equal(batch[1], y)


def test_weights_of_captions(preprocessor, images):
    tf = pytest.importorskip("tensorflow")
    caption_weight = np.array([2, 0.5, 1, 0, 3, 1], dtype="float32")
    data = {"images": images, "captions": CAPTIONS}
    expected = np.array(WEIGHTS) * caption_weight[:, None]
    _, _, weight = preprocessor(data, sample_weight=caption_weight)
    np.testing.assert_array_equal(weight, expected)
    (batch,) = tf.data.Dataset.from_tensors((data, caption_weight)).map(
        lambda x, weight: preprocessor(x, sample_weight=weight)
    )
    np.testing.assert_array_equal(batch[2], expected)


def test_sources_of_any_kind(preprocessor, images, tmp_path):
    Image.fromarray(images[0]).save(tmp_path / "photo.png")
    sources = [tmp_path / "photo.png", images[0], Image.fromarray(images[0])]
    x, _, _ = preprocessor({"images": sources, "captions": [b"a dog", "a", "dog"]})
    np.testing.assert_array_equal(x["images"][0], x["images"][1])
    np.testing.assert_array_equal(x["images"][0], x["images"][2])
    assert x["token_ids"][0].tolist() == [START, A, DOG, END]


@pytest.mark.parametrize(
    "data",
    [{"images": np.zeros((1, 2, 2, 3))}, {"captions": ["a"]}, np.zeros((1, 2, 2, 3)), "a"],
    ids=["no_captions", "no_images", "array", "text"],
)
def test_wrong_data(preprocessor, data):
    with pytest.raises(ValueError, match="dict with 'images' and 'captions'"):
        preprocessor(data)


def test_labels_are_refused(preprocessor, images):
    with pytest.raises(ValueError, match="and no labels"):
        preprocessor({"images": images, "captions": CAPTIONS}, np.zeros((6, 4)))


def test_wrong_captions_and_images(preprocessor, images):
    with pytest.raises(TypeError, match="A caption must be a str"):
        preprocessor({"images": images[:1], "captions": [3]})
    with pytest.raises(ImageError, match="no such file"):
        preprocessor({"images": ["missing.jpg"], "captions": ["a"]})


def test_generate_preprocess(preprocessor, images):
    batch = preprocessor.generate_preprocess(images)
    assert set(batch) == {"images"}
    assert batch["images"].shape == (len(CAPTIONS), 8, 12, 3)
    one = preprocessor.generate_preprocess(images[1])
    np.testing.assert_array_equal(one["images"], batch["images"][1:2])


def test_generate_postprocess(preprocessor):
    row = [A, DOG, END, RUNS, PAD]
    assert preprocessor.generate_postprocess({"token_ids": row}) == "a dog"
    assert preprocessor.generate_postprocess({"token_ids": [A, DOG, RUNS]}) == "a dog runs"
    assert preprocessor.generate_postprocess({"token_ids": [END, A]}) == ""
    assert preprocessor.generate_postprocess({"token_ids": [START, A, UNKNOWN, DOG]}) == "a dog"
    beams = np.array([[row, [DOG, END, PAD, PAD, PAD]], [[END, 0, 0, 0, 0], row]])
    texts = preprocessor.generate_postprocess({"token_ids": beams}, capitalize=True)
    assert texts == [["A dog", "Dog"], ["", "A dog"]]
    tensor = keras.ops.array([row], dtype="int32")
    assert preprocessor.generate_postprocess({"token_ids": tensor}) == ["a dog"]


def test_serialization(preprocessor):
    config = preprocessor.get_config()
    serialized = keras.saving.serialize_keras_object(preprocessor)
    assert serialized["registered_name"] == "keras_showattend>ImageCaptionerPreprocessor"
    for copy in (
        ImageCaptionerPreprocessor.from_config(config),
        keras.saving.deserialize_keras_object(serialized),
    ):
        assert copy.sequence_length == 4
        assert copy.image_converter.scale == 0.5
        # The vocabulary is an asset and no part of the config.
        copy.tokenizer.set_vocabulary(preprocessor.tokenizer.get_vocabulary())
        data = {"images": np.zeros((6, 8, 12, 3), "uint8"), "captions": CAPTIONS}
        check_tokens(*copy(data))

"""What `fit` takes, what it refuses, and what it says beforehand."""

import keras
import numpy as np
import pytest
from captioner_checks import Batches, picture, save_pictures

from keras_showattend import CaptionDataset, ImageError
from keras_showattend.training.caption_batches import CaptionBatches
from keras_showattend.training.training_batches import training_batches

CAPTIONS = ["a red dog runs", "a big cat sits on grass", "grass"]
tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.data is tested on TensorFlow alone"
)


@pytest.fixture
def captioner(tiny_captioner):
    return tiny_captioner()


def batches_of(captioner, data, **settings):
    return training_batches(captioner, data, **{"feature_cache": None, **settings})


def test_a_path_is_read(captioner, tmp_path):
    save_pictures(tmp_path, 3)
    rows = [f"picture_{number}.png,{text}" for number, text in enumerate(CAPTIONS)]
    path = tmp_path / "captions.csv"
    path.write_text("\n".join(["image,caption", *rows]))
    for given in (path, str(path)):
        batches = batches_of(captioner, given, batch_size=3)
        assert isinstance(batches, CaptionBatches)
        assert sorted(batches.dataset.ids) == [f"picture_{number}.png" for number in range(3)]


@pytest.mark.parametrize(
    ("data", "received"),
    [
        ([picture(0)], "a list of 1"),
        (picture(0), "numpy.ndarray"),
        ({"image": [picture(0)], "caption": ["a dog"]}, r"keys \['caption', 'image'\]"),
        ((item for item in ()), "builtins.generator"),
        (3, "builtins.int"),
    ],
    ids=["list", "array", "dict", "generator", "int"],
)
def test_other_data_is_refused_with_what_to_pass(captioner, data, received):
    with pytest.raises(ValueError, match=f"must be a `CaptionDataset`.*Received: .*{received}"):
        captioner.fit(data, verbose=0)


def test_a_damaged_image_does_not_stop_training(captioner, tmp_path):
    paths = save_pictures(tmp_path, 3)
    with open(paths[1], "rb+") as file:
        file.truncate(50)
    data = {"images": paths, "captions": CAPTIONS}
    with pytest.warns(UserWarning, match=r"1 of 3 images cannot be read .*:\n.*picture_1\.png"):
        batches = batches_of(captioner, data)
    assert batches.dataset.ids == [paths[0], paths[2]]


def test_cut_captions_are_counted(tiny_captioner):
    captioner = tiny_captioner(sequence_length=5)
    data = {
        "images": [picture(0), picture(1)],
        "captions": [["a dog", "a dog runs on"], CAPTIONS[1]],
    }
    # "a dog runs on" has four words and its end, which fit; the other has six and its end.
    with pytest.warns(
        UserWarning,
        match=r"1 of 3 captions are longer than 5 tokens.* has 7\. Raise.*--sequence-length",
    ):
        batches = batches_of(captioner, data, shuffle=False, batch_size=3)
    end = captioner.preprocessor.tokenizer.end_token_id
    # Every caption ends.
    assert (batches[0][1] == end).sum(axis=1).tolist() == [1, 1, 1]
    captioner.preprocessor.sequence_length = 7
    assert batches_of(captioner, data, batch_size=3)[0][1].shape == (3, 7)


PIXELS = np.stack([picture(seed) for seed in range(3)])
PATHS = ["a.png", "b.png", "c.png"]


def dataset_of(images, captions=CAPTIONS):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices({"images": images, "captions": captions})


@tensorflow_only
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: dataset_of(np.stack([picture(n) for n in range(3)])),
            r"call `dataset.batch\(64\)`",
        ),
        (lambda: dataset_of(PATHS).batch(2), "must be decoded pixels"),
        (lambda: dataset_of(PATHS), "must be decoded pixels"),
        (
            lambda: dataset_of(PIXELS, [["a", "b"]] * 3).batch(2),
            "one caption of type string for each",
        ),
        (
            lambda: dataset_of(PIXELS, [1, 2, 3]).batch(2),
            "one caption of type string for each",
        ),
        (
            lambda: dataset_of(PIXELS).batch(2).map(lambda x: x["images"]),
            "must be dicts with `images` and `captions`",
        ),
    ],
    ids=["unbatched", "paths", "unbatched paths", "many captions", "numbers", "no dict"],
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_tf_data_that_cannot_be_used(captioner, make, message, method):
    with pytest.raises(ValueError, match=message + ".*Received: "):
        getattr(captioner, method)(make(), verbose=0)


@tensorflow_only
def test_the_range_of_pixels_in_tf_data(captioner):
    for pixels in (PIXELS / 255, (PIXELS / 127.5 - 1).astype("float32")):
        with pytest.raises(ImageError, match="In the first batch of the dataset: Pixel values are"):
            captioner.fit(dataset_of(pixels).batch(2), verbose=0)
    right = dataset_of(PIXELS.astype("float32")).batch(2)
    assert batches_of(captioner, right) is right


def test_the_range_of_pixels_in_a_users_batches(captioner):
    with pytest.raises(ImageError, match="look like 0..1"):
        batches_of(captioner, Batches([{"images": PIXELS / 255, "captions": CAPTIONS}]))[0]


@pytest.mark.parametrize("captions", ["a dog", ["a dog"], []], ids=str)
def test_a_users_batches_need_a_caption_for_each_image(captioner, captions):
    item = {"images": np.stack([picture(0), picture(1)]), "captions": captions}
    with pytest.raises(ValueError, match=r"one caption for each image.*Received: 2 images, capt"):
        batches_of(captioner, Batches([item]))[0]


def test_finished_batches_pass(captioner):
    data = CaptionDataset.from_dict({"images": [picture(0)], "captions": ["a dog"]})
    batches = batches_of(captioner, data)
    assert training_batches(captioner, batches) is batches
    assert training_batches(captioner, None) is None

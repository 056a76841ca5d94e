"""`CaptionBatches` and `PreprocessedBatches`: what reaches the model in an epoch."""

import collections

import numpy as np
import pytest
from captioner_checks import Batches, picture

from keras_showattend import CaptionDataset
from keras_showattend.data import Features
from keras_showattend.preprocessing import (
    CaptionImageConverter,
    CaptionTokenizer,
    ImageCaptionerPreprocessor,
)
from keras_showattend.preprocessing.caption_tokenizer import SPECIAL_TOKENS
from keras_showattend.training import CaptionBatches, ImageInputs
from keras_showattend.training.caption_batches import PreprocessedBatches

WORDS = [f"w{number}" for number in range(30)]
END = 2
CAPTIONS = [["w0 w1", "w2"], ["w3 w4 w5", "w6 w7 w8 w9 w10"], ["w11"], ["w12 w13"] * 1]
L, D = 6, 5


def new_preprocessor(sequence_length=12, scale=1 / 255):
    return ImageCaptionerPreprocessor(
        CaptionImageConverter((8, 12), scale=scale),
        CaptionTokenizer([*SPECIAL_TOKENS, *WORDS]),
        sequence_length,
    )


def new_dataset(captions=None):
    captions = captions or CAPTIONS
    images = [picture(seed) for seed in range(len(captions))]
    return CaptionDataset.from_dict({"images": images, "captions": captions})


def new_features(count, flipped=True):
    """Annotations that tell their image: image 2 is all 2, its mirror image all 102."""
    values = np.arange(count, dtype="float16")[:, None, None] + np.zeros((L, D), "float16")
    shards = {"plain": values, "flipped": values + 100}
    rows = [[(name, row) for row in range(count)] for name in shards]
    return Features(shards, rows[0], rows[1] if flipped else None)


def new_batches(captions=None, **options):
    dataset, preprocessor = new_dataset(captions), new_preprocessor()
    options = {"features": new_features(len(dataset)), "batch_size": 4, **options}
    chance = {key: options.pop(key) for key in ("features", "random_flip") if key in options}
    inputs = ImageInputs(
        dataset.images, preprocessor.image_converter, seed=options.get("seed", 0), **chance
    )
    return CaptionBatches(dataset, preprocessor, inputs, **options)


def rows_of(batches):
    """(image or mirror image, caption) of every row that counts, in order."""
    rows = []
    for index in range(len(batches)):
        x, y, weight = batches[index]
        for annotation, ids, row_weight in zip(x["annotations"], y, weight, strict=True):
            if row_weight.any():
                words = [WORDS[i - 4] for i in ids[row_weight > 0] if i != END]
                rows.append((int(annotation[0, 0]), " ".join(words)))
    return rows


EXPECTED = sorted((image, text) for image, texts in enumerate(CAPTIONS) for text in texts)


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_caption_once_an_epoch_with_its_image(shuffle):
    batches = new_batches(shuffle=shuffle)
    for _ in range(3):
        assert sorted(rows_of(batches)) == EXPECTED
        batches.on_epoch_end()


def test_shapes_and_dtypes():
    x, y, weight = new_batches(batch_size=6, shuffle=False)[0]
    assert {key: (value.shape, str(value.dtype)) for key, value in x.items()} == {
        "annotations": ((6, L, D), "float16"),
        "token_ids": ((6, 8), "int32"),
        "padding_mask": ((6, 8), "bool"),
    }
    assert (y.shape, str(y.dtype)) == ((6, 8), "int32")
    assert (weight.shape, str(weight.dtype)) == ((6, 8), "float32")


def test_literal_rows():
    x, y, weight = new_batches([["w3 w0 w5"], ["w1"]], batch_size=2, shuffle=False)[0]
    assert x["token_ids"].tolist() == [[1, 7, 4, 9], [1, 5, 2, 0]]
    assert y.tolist() == [[7, 4, 9, 2], [5, 2, 0, 0]]
    assert weight.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert x["padding_mask"].tolist() == (weight > 0).tolist()


def test_last_batch_is_filled_up_with_rows_that_do_not_count():
    batches = new_batches(batch_size=4, shuffle=False)
    assert len(batches) == 2
    x, y, weight = batches[1]
    assert y.shape[0] == x["annotations"].shape[0] == 4
    assert (weight.sum(axis=1) > 0).tolist() == [True, True, False, False]
    assert x["padding_mask"].any(axis=1).tolist() == [True, True, False, False]


def test_a_batch_larger_than_the_data():
    batches = new_batches([["w1 w2"]], batch_size=3)
    assert len(batches) == 1
    x, y, weight = batches[0]
    assert y.shape == (3, 4)
    assert weight.tolist() == [[1, 1, 1, 0], [0] * 4, [0] * 4]


def test_similar_lengths_together():
    rng = np.random.default_rng(11)
    captions = [[" ".join(rng.choice(WORDS, size=rng.integers(1, 11)))] for _ in range(200)]
    batches = new_batches(captions, batch_size=8)
    # Lengths are rounded up to 4, 8 and 12: three groups, so at most two batches are mixed.
    groups = [
        {int(-(-n // 4)) for n in weight.sum(axis=1) if n}
        for _, _, weight in map(batches.__getitem__, range(len(batches)))
    ]
    assert sum(len(group) > 1 for group in groups) <= 2
    # All steps of all batches against the words in them: little is padding.
    steps = sum(batches[index][1].size for index in range(len(batches)))
    words = sum(batches[index][2].sum() for index in range(len(batches)))
    assert words / steps > 0.7
    # And the batches are not in the order of their lengths.
    widths = [batches[index][1].shape[1] for index in range(len(batches))]
    assert widths != sorted(widths)


def test_lengths_that_are_not_rounded_up():
    captions = [["w1", "w2"], ["w1 w2", "w2 w1"], ["w1 w2 w3 w4", "w4 w3 w2 w1"]]
    batches = new_batches(captions, batch_size=2, length_step=1)
    # A word more for the end.
    assert sorted(batches[index][1].shape for index in range(3)) == [(2, 2), (2, 3), (2, 5)]
    assert all(batches[index][2].all() for index in range(3))


@pytest.mark.parametrize("shuffle", [True, False])
def test_lengths_are_the_same_every_epoch_and_show_in_the_first_two_batches(shuffle):
    # Keras fixes on TensorFlow what the first two batches have in common.
    short = [[f"w{a} w{b}"] for a in range(4) for b in range(4)]
    captions = [*short, ["w1 w2 w3 w4 w5"], ["w5 w1 w2 w3 w4"], ["w0 " * 10], ["w1 " * 9]]
    batches = new_batches(captions, batch_size=2, shuffle=shuffle)
    epochs = []
    for _ in range(4):
        epochs.append([batches[i][1].shape[1] for i in range(len(batches))])
        batches.on_epoch_end()
    assert {tuple(sorted(lengths)) for lengths in epochs} == {(4,) * 8 + (8, 12)}
    assert all(lengths[0] != lengths[1] for lengths in epochs)


def test_the_seed_decides():
    first, same, other = (rows_of(new_batches(seed=seed, batch_size=1)) for seed in (5, 5, 6))
    assert first == same
    assert first != other


def test_another_order_next_epoch():
    batches, again = new_batches(seed=5, batch_size=1), new_batches(seed=5, batch_size=1)
    first = rows_of(batches)
    assert rows_of(batches) == first
    batches.on_epoch_end()
    second = rows_of(batches)
    assert second != first
    # A training that is resumed starts there.
    again.start_epoch(1)
    assert rows_of(again) == second


def test_without_shuffle_the_order_stays():
    batches = new_batches(shuffle=False)
    first = rows_of(batches)
    batches.on_epoch_end()
    assert rows_of(batches) == first


def test_flips_take_mirrored_features():
    captions = [[f"w{number % 30}"] for number in range(60)]
    batches = new_batches(captions, random_flip=True, seed=1)
    rows = rows_of(batches)
    flipped = {image - 100 for image, _ in rows if image >= 100}
    assert 18 <= len(flipped) <= 42
    assert collections.Counter(image % 100 for image, _ in rows) == dict.fromkeys(range(60), 1)
    assert all(text == f"w{image % 100 % 30}" for image, text in rows)
    batches.on_epoch_end()
    assert {image - 100 for image, _ in rows_of(batches) if image >= 100} != flipped


def test_flips_mirror_pixels():
    image = np.zeros((8, 12, 3), "uint8")
    image[:, :6] = 200
    dataset = CaptionDataset.from_dict(
        {"images": [image], "captions": [[f"w{number}" for number in range(20)]]}
    )
    preprocessor = new_preprocessor(scale=None)
    inputs = ImageInputs(dataset.images, preprocessor.image_converter, random_flip=True, seed=2)
    batches = CaptionBatches(dataset, preprocessor, inputs, batch_size=20)
    images = batches[0][0]["images"]
    left = images[:, 0, 0, 0]
    assert set(left.tolist()) == {0.0, 200.0}
    for mirrored in images[left == 0]:
        np.testing.assert_array_equal(mirrored[:, ::-1], image)


def test_images_in_place_of_features():
    with_images = new_batches(features=None, batch_size=3, shuffle=False)
    with_features = new_batches(batch_size=3, shuffle=False)
    for index in range(2):
        (x, y, weight), (x2, y2, weight2) = with_images[index], with_features[index]
        assert x["images"].shape == (3, 8, 12, 3)
        assert x["images"].dtype == "float32"
        assert set(x) - {"images"} == set(x2) - {"annotations"}
        for key in ("token_ids", "padding_mask"):
            np.testing.assert_array_equal(x[key], x2[key])
        np.testing.assert_array_equal(y, y2)
        np.testing.assert_array_equal(weight, weight2)
        numbers = x2["annotations"][:, 0, 0].astype(int)
        np.testing.assert_allclose(x["images"], [picture(n) / 255 for n in numbers], atol=1e-6)


@pytest.mark.parametrize("sequence_length", [4, 6])
def test_cut_captions_keep_their_end(sequence_length):
    text = " ".join(WORDS[:9])
    dataset = new_dataset([[text]])
    preprocessor = new_preprocessor(sequence_length)
    inputs = ImageInputs(dataset.images, preprocessor.image_converter, new_features(1))
    batches = CaptionBatches(dataset, preprocessor, inputs, batch_size=1)
    x, y, weight = batches[0]
    # Words w0, w1 ... and the end: where all captions are cut, a captioner must learn to end.
    assert y.tolist() == [[*range(4, 3 + sequence_length), END]]
    assert x["token_ids"].tolist() == [[1, *range(4, 3 + sequence_length)]]
    assert weight.sum() == sequence_length


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None])
def test_batch_size(batch_size):
    with pytest.raises(ValueError, match="must be a positive int. Received: batch_size="):
        new_batches(batch_size=batch_size)


def test_captions_share_their_image():
    batches = new_batches(batch_size=4, shuffle=False, share_images=True)
    found = collections.Counter()
    for index in range(len(batches)):
        x, y, weight = batches[index]
        assert x["image_index"].dtype == "int32"
        # 2, 2, 1 and 1 captions: four rows can touch all four images.
        assert x["annotations"].shape == (4, L, D)
        for place, ids, row_weight in zip(x["image_index"], y, weight, strict=True):
            if row_weight.any():
                caption = tuple(ids[ids > END] - 4)
                found[int(x["annotations"][place, 0, 0]), caption] += 1
    assert found == collections.Counter(
        {
            (0, (0, 1)): 1,
            (0, (2,)): 1,
            (1, (3, 4, 5)): 1,
            (1, (6, 7, 8, 9, 10)): 1,
            (2, (11,)): 1,
            (3, (12, 13)): 1,
        }
    )


def test_shared_images_keep_their_number_in_every_epoch():
    captions = [[f"w{i}"] * 1 + [f"w{i} w{j}" for j in range(i % 4)] for i in range(17)]
    batches = new_batches(captions, batch_size=6, share_images=True, random_flip=True)
    shapes = set()
    for _ in range(4):
        shapes |= {batches[index][0]["annotations"].shape for index in range(len(batches))}
        batches.on_epoch_end()
    assert len(shapes) == 1


def test_one_length_in_the_first_epoch_is_the_length_of_all():
    # Which captions meet in a batch changes; the longest of them decides its length.
    captions = [["w0 w1 w2 w3 w4 w5", "w1"], ["w2 w3 w4 w5 w6 w7", "w3"]]
    batches = new_batches(captions, batch_size=2, share_images=True)
    lengths = set()
    for _ in range(6):
        lengths |= {batches[index][1].shape[1] for index in range(len(batches))}
        batches.on_epoch_end()
    assert lengths == {8}


def raw_item(seed, texts):
    return {"images": np.stack([picture(seed + n) for n in range(len(texts))]), "captions": texts}


def test_a_users_own_batches_are_preprocessed():
    own = Batches([raw_item(0, ["w0", "w1 w2"]), raw_item(4, ["w3"])], workers=1, max_queue_size=3)
    preprocessor = new_preprocessor(sequence_length=4)
    batches = PreprocessedBatches(own, preprocessor)
    assert batches.num_batches == 2
    assert (batches.workers, batches.max_queue_size, batches.use_multiprocessing) == (1, 3, False)
    x, y, weight = batches[0]
    assert x["images"].shape == (2, 8, 12, 3)
    assert y.tolist() == [[4, 2, 0, 0], [5, 6, 2, 0]]
    assert weight.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
    assert batches[1][1].tolist() == [[7, 2, 0, 0]]
    batches.on_epoch_begin()
    batches.on_epoch_end()
    assert (own.epochs_begun, own.epochs_ended) == (1, 1)


def test_a_users_own_weights():
    item = (raw_item(0, ["w0", "w1 w2"]), None, np.array([0.5, 2.0], "float32"))
    _, _, weight = PreprocessedBatches(Batches([item]), new_preprocessor(4))[0]
    assert weight.tolist() == [[0.5, 0.5, 0, 0], [2, 2, 2, 0]]


def test_batches_that_are_preprocessed_already_pass_through():
    item = new_batches()[0]
    assert PreprocessedBatches(Batches([item]), new_preprocessor())[0] is item

"""`explain`: the caption of `generate`, each word's numbers, and maps in the right place."""

import functools
import math

import keras
import numpy as np
import pytest
from explain_fixtures import make_tiny_captioner, tiny_picture
from PIL import Image

from keras_showattend.explain import compare_searches, explain
from keras_showattend.explain.overlay import describe_place, heat_map, spotlight


@pytest.fixture(scope="module")
def captioner():
    return make_tiny_captioner()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_beams": 1},
        {"num_beams": 3},
        {"num_beams": 4, "length_penalty": 0.0},
        {"num_beams": 2, "length_penalty": 2.0, "max_length": 4},
        {"num_beams": 2, "no_repeat_ngram_size": 1},
    ],
)
def test_the_caption_is_what_generate_gives(captioner, settings):
    for seed in range(4):
        picture = tiny_picture(70, 50, seed)
        explanation = explain(captioner, picture, **settings)
        assert explanation.caption == captioner.generate(picture, **settings)
        beams = captioner.generate(picture, return_all_beams=True, **settings)
        assert [b.text for b in explanation.alternatives] == [b.text for b in beams]
        # Greedy words of a caption without an end are as many as the length allows.
        assert " ".join(explanation.words) == explanation.caption.lower()


@pytest.mark.parametrize("decoder", ["gru", "lstm"])
def test_numbers_of_the_replay_are_those_of_the_search(decoder, captioner):
    if decoder == "lstm":
        captioner = make_tiny_captioner(decoder=decoder)
    ended = set()
    for seed in range(6 if decoder == "gru" else 2):
        explanation = explain(captioner, tiny_picture(40, 60, seed), num_beams=3)
        ended.add(explanation.end_log_probability is not None)
        best = explanation.alternatives[0]
        assert explanation.log_probability == pytest.approx(best.log_probability, abs=1e-4)
        count = len(explanation.words)
        assert explanation.log_probabilities.shape == (count,)
        assert explanation.entropies.shape == (count,)
        assert explanation.attention_weights.shape == (count, 3, 4)
        assert explanation.attention_weights.dtype == np.float32
        np.testing.assert_allclose(explanation.attention_weights.sum(axis=(1, 2)), 1, atol=1e-6)
        vocabulary = captioner.preprocessor.tokenizer.vocabulary_size()
        assert np.all(explanation.entropies >= 0)
        assert np.all(explanation.entropies <= math.log(vocabulary) + 1e-5)
        np.testing.assert_allclose(explanation.probabilities, np.exp(explanation.log_probabilities))
    if decoder == "gru":
        assert ended == {True, False}, "both kinds of caption must be among the test's pictures"


def test_entropy_and_log_probability_against_the_definition(captioner):
    picture = tiny_picture(48, 64, seed=1)
    explanation = explain(captioner, picture, num_beams=1)
    tokenizer = captioner.preprocessor.tokenizer
    ids = [tokenizer.token_to_id(word) for word in explanation.words]
    images = captioner.preprocessor.convert_images([picture])
    logits = captioner.backbone(
        {"images": images, "token_ids": np.array([[tokenizer.start_token_id, *ids[:-1]]])}
    )["logits"]
    logits = keras.ops.convert_to_numpy(logits)[0].astype("float64")
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.log(probabilities[np.arange(len(ids)), ids])
    np.testing.assert_allclose(explanation.log_probabilities, expected, atol=1e-4)
    entropies = -(probabilities * np.log(probabilities)).sum(axis=1)
    np.testing.assert_allclose(explanation.entropies, entropies, atol=1e-4)


def test_bfloat16_attention_sums_to_one_and_stays_on_its_grid():
    captioner = make_tiny_captioner()
    from keras_showattend.models import create_captioner

    low = create_captioner(
        captioner.backbone.image_encoder.features,
        tokenizer=captioner.preprocessor.tokenizer,
        image_converter=captioner.preprocessor.image_converter,
        image_shape=(48, 64, 3),
        sequence_length=5,
        embedding_dim=8,
        hidden_dim=8,
        attention_dim=8,
        dtype="mixed_bfloat16",
    )
    weights = explain(low, tiny_picture(48, 64), num_beams=1).attention_weights
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), 1, atol=1e-6)


def test_several_images_are_explained_as_each_alone(captioner):
    pictures = [tiny_picture(40 + seed, 60 - seed, seed) for seed in range(6)]
    together = explain(captioner, pictures, num_beams=3)
    # Captions of several lengths, so that some are padded.
    assert len({len(explanation.words) for explanation in together}) > 1
    for picture, found in zip(pictures, together, strict=True):
        alone = explain(captioner, picture, num_beams=3)
        assert (found.caption, found.words) == (alone.caption, alone.words)
        np.testing.assert_array_equal(found.image, alone.image)
        for name in ("log_probabilities", "entropies", "attention_weights"):
            np.testing.assert_allclose(getattr(found, name), getattr(alone, name), atol=1e-5)
        assert found.alternatives[1].text == alone.alternatives[1].text


def test_a_caption_of_yours_is_replayed(captioner):
    explanation = explain(captioner, tiny_picture(48, 64), caption="A dog runs on the moon.")
    assert explanation.caption == "A dog runs on the moon."
    assert explanation.words == ["a", "dog", "runs", "on", "the", "<unk>"]
    assert explanation.end_log_probability < 0
    assert len(explanation.alternatives) == 1
    found = explain(captioner, tiny_picture(48, 64), num_beams=3)
    again = explain(captioner, tiny_picture(48, 64), caption=found.caption)
    np.testing.assert_allclose(again.log_probabilities, found.log_probabilities, atol=1e-5)


def test_a_caption_without_words(captioner):
    explanation = explain(captioner, tiny_picture(48, 64), caption="")
    assert explanation.words == []
    assert explanation.attention_weights.shape == (0, 3, 4)
    assert explanation.log_probability == explanation.end_log_probability
    assert explanation.to_dict()["words"] == []
    assert "aria-label" in explanation.to_html()


@functools.cache
def brightness_captioner(image_size, crop):
    """Attends only to the brightest cell: 3 x 5 places of `image_size` pixels."""
    captioner = make_tiny_captioner(image_size, crop)
    rows, columns = image_size[0] // 3, image_size[1] // 5
    images = keras.Input((*image_size, 3))
    mean = keras.layers.AveragePooling2D((rows, columns))(images)
    from keras_showattend.models import create_captioner

    captioner = create_captioner(
        keras.Model(images, mean),
        tokenizer=captioner.preprocessor.tokenizer,
        image_converter=captioner.preprocessor.image_converter,
        image_shape=(*image_size, 3),
        sequence_length=3,
        embedding_dim=4,
        hidden_dim=4,
        attention_dim=1,
        normalize_annotations=False,
    )
    attention = captioner.backbone.decoder.cell.attention
    attention.annotation_projection.set_weights([np.full((3, 1), 0.1), np.zeros(1)])
    attention.state_projection.set_weights([np.zeros((4, 1))])
    attention.score.set_weights([np.full((1, 1), 300.0)])
    captioner.compile(sampler="greedy")
    return captioner


def picture_with_bright_patch(height, width, top, left):
    """Dark, but for a ninth by a fifteenth at a place given in shares of height and width."""
    picture = np.zeros((height, width, 3), "uint8")
    y, x = round(top * height), round(left * width)
    picture[y : y + height // 9, x : x + width // 15] = 255
    return picture


CORNERS = {
    "upper left": (0.05, 0.02),
    "upper right": (0.05, 0.9),
    "lower left": (0.85, 0.02),
    "lower right": (0.85, 0.9),
}


@pytest.mark.parametrize("size", [(90, 300), (400, 120)])
@pytest.mark.parametrize("corner", list(CORNERS))
@pytest.mark.parametrize("style", ["smooth", "grid"])
def test_attention_lies_over_the_corner_that_caused_it(size, corner, style):
    picture = picture_with_bright_patch(*size, *CORNERS[corner])
    explanation = explain(brightness_captioner((60, 100), crop=False), picture)
    assert explanation.grid_shape == (3, 5)
    assert explanation.image.shape == (*size, 3)
    assert explanation.window == (0, 0, size[1], size[0])
    weights = explanation.attention_weights[0]
    assert weights.max() > 0.99
    assert describe_place(weights) == corner
    left, top, right, bottom = explanation.window
    heat = heat_map(weights, (bottom - top, right - left), style)
    patch = picture[..., 0] == 255
    assert heat[patch].mean() > 0.6
    assert heat[~patch].mean() < 0.2
    light = spotlight(np.full_like(picture, 200), weights, explanation.window, style)
    y, x = np.unravel_index(light[..., 0].argmax(), light.shape[:2])
    assert (y < size[0] / 2) == ("upper" in corner)
    assert (x < size[1] / 2) == ("left" in corner)


@pytest.mark.parametrize("size", [(90, 300), (400, 120)])
def test_a_cropping_converter_puts_the_grid_over_the_window_it_took(size):
    captioner = brightness_captioner((60, 100), crop=True)
    converter = captioner.preprocessor.image_converter
    # Every pixel tells its own place, so that the converter's output shows what it took.
    places = np.zeros((*size, 3), "uint8")
    places[..., 0] = np.linspace(0, 255, size[0])[:, None]
    places[..., 1] = np.linspace(0, 255, size[1])[None]
    explanation = explain(captioner, places)
    left, top, right, bottom = explanation.window
    taken = converter.load(places)
    for channel, edge, seen in ((0, (top, bottom), taken[:, 50]), (1, (left, right), taken[30])):
        ends = np.linspace(0, 255, size[channel])[[edge[0], edge[1] - 1]]
        np.testing.assert_allclose(seen[[0, -1], channel], ends, atol=4)
    picture = np.zeros((*size, 3), "uint8")
    picture[top : top + 20, right - 20 : right] = 255
    # Where the first word looks does not depend on the caption, which could be empty.
    weights = explain(captioner, picture, caption="a dog").attention_weights[0]
    assert np.unravel_index(weights.argmax(), weights.shape) == (0, 4)
    light = spotlight(np.full_like(picture, 200), weights, explanation.window, "grid")
    outside = np.ones(size, bool)
    outside[top:bottom, left:right] = False
    assert light[outside].max() < light[~outside].min()


def test_a_photograph_on_its_side_is_explained_upright(tmp_path):
    upright = picture_with_bright_patch(300, 200, *CORNERS["lower left"])
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(np.rot90(upright)).save(path, exif=exif)
    explanation = explain(brightness_captioner((60, 100), crop=False), path)
    np.testing.assert_array_equal(explanation.image, upright)
    assert describe_place(explanation.attention_weights[0]) == "lower left"


def test_even_attention_is_bright_everywhere_and_described_as_such():
    even = np.full((3, 4), 1 / 12)
    assert heat_map(even, (30, 41)).min() > 0.99
    assert describe_place(even) == "the whole image"


def test_large_pictures_are_kept_small(captioner):
    explanation = explain(captioner, tiny_picture(300, 2100), num_beams=1)
    assert explanation.image.shape == (146, 1024, 3)
    assert explanation.window == (0, 0, 1024, 146)


def test_refusals(captioner):
    with pytest.raises(ValueError, match="Received: caption='A dog' with 2 images"):
        explain(captioner, [tiny_picture(8, 8)] * 2, caption="A dog")
    with pytest.raises(ValueError, match="Received: num_beams=0"):
        explain(captioner, tiny_picture(8, 8), num_beams=0)
    with pytest.raises(ValueError, match="no such file"):
        explain(captioner, "missing.jpg")


def test_searches_side_by_side(captioner):
    picture = tiny_picture(48, 64, seed=3)
    sampler = captioner.sampler
    found = compare_searches(captioner, picture, num_beams=3, num_samples=4, max_length=5)
    assert list(found) == ["greedy", "beam", "sampled"]
    assert [len(captions) for captions in found.values()] == [1, 3, 4]
    assert found["greedy"][0].text == captioner.generate(picture, num_beams=1, max_length=5)
    assert found["beam"][0].text == captioner.generate(picture, num_beams=3, max_length=5)
    assert len({caption.text for caption in found["sampled"]}) > 1
    again = compare_searches(captioner, picture, num_beams=3, num_samples=4, max_length=5)
    assert [c.text for c in again["sampled"]] == [c.text for c in found["sampled"]]
    assert captioner.sampler is sampler
    with pytest.raises(ValueError, match="Received: num_samples=0"):
        compare_searches(captioner, picture, num_samples=0)

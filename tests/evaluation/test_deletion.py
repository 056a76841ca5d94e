"""The deletion test: it finds attention that matters, and attention that does not."""

import json

import keras
import numpy as np
import pytest
from explain_fixtures import make_tiny_captioner, make_tiny_dataset, tiny_picture

from keras_showattend.evaluation import attention_deletion
from keras_showattend.evaluation.deletion import summarize
from keras_showattend.evaluation.hiding import cell_pixels, hide_annotations, hide_pixels
from keras_showattend.explain import explain

SETTINGS = {"num_cells": 2, "num_beams": 1, "max_length": 5, "num_samples": 100}


@pytest.fixture(scope="module")
def captioner():
    return make_tiny_captioner()


@pytest.fixture(scope="module")
def dataset():
    return make_tiny_dataset(4)


def test_cells_lie_over_their_own_pixels():
    hidden = cell_pixels(np.array([0, 5]), (2, 3), (10, 9))
    assert hidden.sum() == 2 * 5 * 3
    assert hidden[:5, :3].all()
    assert hidden[5:, 6:].all()


def test_hiding_nothing_changes_nothing(captioner):
    picture = tiny_picture(48, 64)
    explanation = explain(captioner, picture, num_beams=1)
    nothing = np.zeros((len(explanation.words), 3, 0), int)
    for hide in (hide_pixels, hide_annotations):
        after = hide(captioner, picture, explanation, nothing)
        expected = np.repeat(explanation.log_probabilities[:, None], 3, axis=1)
        np.testing.assert_allclose(after, expected, atol=1e-4)


def test_each_word_is_read_with_its_own_cells_hidden(captioner):
    picture = tiny_picture(48, 64, seed=2)
    explanation = explain(captioner, picture, num_beams=1)
    count = len(explanation.words)
    cells = np.stack([np.array([[n % 12], [(n + 5) % 12]]) for n in range(count)])
    together = hide_annotations(captioner, picture, explanation, cells)
    tokenizer = captioner.preprocessor.tokenizer
    ids = [tokenizer.token_to_id(word) for word in explanation.words]
    images = captioner.preprocessor.convert_images([picture])
    annotations = captioner.backbone.image_encoder(images)
    for position in range(0, count, 3):
        for column in range(2):
            mask = np.ones((1, 12), bool)
            mask[0, cells[position, column]] = False
            read = np.array([[tokenizer.start_token_id, *ids[:position]]])
            logits = captioner.backbone.decoder(
                read, annotations, keras.ops.convert_to_tensor(mask)
            )
            words = keras.ops.convert_to_numpy(keras.ops.log_softmax(logits["logits"], axis=-1))
            expected = words[0, -1, ids[position]]
            assert together[position, column] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("level", ["image", "annotations"])
def test_attention_that_matters_is_found(captioner, dataset, level):
    seen = []
    result = attention_deletion(
        captioner,
        dataset,
        level=level,
        progress=lambda *numbers: seen.append(numbers),
        **SETTINGS,
    )
    assert seen[-1] == (4, 4)
    assert json.loads(json.dumps(result)) == result
    assert result["num_places"] == 12
    fall = result["all"]["fall"]
    # The fixture's weights are large, so that its words do hang on where it looks.
    assert fall["attended"]["mean"] > fall["random"]["mean"]
    difference = fall["attended - random"]
    assert difference["mean"] == pytest.approx(fall["attended"]["mean"] - fall["random"]["mean"])
    assert difference["low"] <= difference["mean"] <= difference["high"]
    assert result["num_words"] == sum(
        result[part]["num_words"] for part in ("content_words", "function_words") if part in result
    )


def test_attention_that_means_nothing_is_told_from_it(dataset):
    captioner = make_tiny_captioner()
    captioner.compile(run_eagerly=True)
    attention = captioner.backbone.decoder.cell.attention
    for weight in attention.weights:
        weight.assign(0 * weight)
    result = attention_deletion(captioner, dataset, level="annotations", num_random=4, **SETTINGS)
    # Even attention names no places: the "attended" ones are just the first in the grid.
    assert result["all"]["num_words"] > 10
    assert abs(result["all"]["fall"]["attended - random"]["mean"]) < 0.5


def test_the_same_seed_draws_the_same(captioner, dataset):
    first = attention_deletion(captioner, dataset, level="annotations", num_images=2, **SETTINGS)
    again = attention_deletion(captioner, dataset, level="annotations", num_images=2, **SETTINGS)
    assert first == again
    assert first["num_images"] == 2


def test_the_interval_is_over_pictures():
    table = np.array([[1.0, 0.0, 0.5]] * 10 + [[3.0, 1.0, 0.5]] * 10)
    groups = np.repeat([4, 7], 10)
    result = summarize(table, groups, num_samples=500, seed=0)
    assert result["fall"]["attended"] == {"mean": 2.0, "low": 1.0, "high": 3.0}
    assert result["fall"]["attended - elsewhere"]["mean"] == pytest.approx(1.5)
    assert result["attended_falls_more_than_random"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "pixel"}, "Received: level='pixel'"),
        ({"num_cells": 7}, "num_cells=7 of 12 locations"),
        ({"num_cells": 0}, "num_cells=0 of 12 locations"),
    ],
)
def test_refusals(captioner, dataset, options, message):
    with pytest.raises(ValueError, match=message):
        attention_deletion(captioner, dataset, **options)
    with pytest.raises(ValueError, match="at least two"):
        attention_deletion(captioner, dataset[:1], num_cells=2)

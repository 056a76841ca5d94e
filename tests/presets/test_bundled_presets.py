"""The presets of the registry themselves: whole, as described, and at work."""

import hashlib
import json
import pathlib

import keras
import numpy as np
import pytest

from keras_showattend import ImageCaptioner, presets
from keras_showattend.presets import registry

pytestmark = pytest.mark.slow

PICTURES = pathlib.Path(__file__).parents[2] / "docs" / "images"
BUNDLED = pathlib.Path(registry.BUNDLED)
# As they were when the preset was made; the wrong ones belong to it.
ASTRONAUT_MOOSE = [
    "A man in a red shirt is holding a camera",
    "A brown bird is flying through the grass",
]


@pytest.fixture(scope="module")
def captioner():
    return ImageCaptioner.from_preset("vgg16_gru_flickr8k")


def test_captions_of_known_pictures(captioner):
    paths = [PICTURES / "astronaut.jpg", PICTURES / "moose.jpg"]
    assert captioner.generate(paths) == ASTRONAUT_MOOSE
    assert captioner.generate(paths[0]) == ASTRONAUT_MOOSE[0]


def test_the_registry_tells_the_truth(captioner):
    known = {preset.name: preset for preset in presets.list_presets()}["vgg16_gru_flickr8k"]
    folder = BUNDLED / known.name
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < 48e6
    assert known.megabytes == pytest.approx(size / 1e6, abs=0.1)
    assert known.parameters == captioner.backbone.count_params()
    digest = hashlib.sha256((folder / "model.weights.h5").read_bytes()).hexdigest()
    assert known.digest == digest
    evaluation = json.loads((folder / "evaluation.json").read_text())
    for name, score in known.scores.items():
        assert score == pytest.approx(evaluation["scores"][name], abs=5e-4)


def test_it_is_stored_in_half_and_computed_in_single_precision(captioner):
    import h5py

    with h5py.File(BUNDLED / "vgg16_gru_flickr8k" / "model.weights.h5") as file:
        stored = set()
        file.visititems(lambda _, item: stored.add(str(getattr(item, "dtype", ""))))
    assert stored - {""} == {"float16"}
    assert {weight.dtype for weight in captioner.backbone.weights} == {"float32"}
    assert captioner.backbone.compute_dtype == "float32"


@pytest.mark.parametrize("name", ["vgg16_gru_flickr8k", "vgg19_gru_flickr8k"])
def test_the_card_names_licence_credits_and_limits(name):
    card = " ".join((BUNDLED / name / "README.md").read_text().split())
    for words in ("CC BY 4.0", "Visual Geometry Group", "Flickr8k", "Limits"):
        assert words in card


def test_the_grown_vgg19_says_the_same(captioner):
    grown = ImageCaptioner.from_preset("vgg19_gru_flickr8k")
    known = {preset.name: preset for preset in presets.list_presets()}["vgg19_gru_flickr8k"]
    assert known.parameters == grown.backbone.count_params()
    assert grown.backbone.image_encoder.output_layer == "block5_pool"
    assert len(grown.backbone.image_encoder.features.weights) == 32
    picture = PICTURES / "astronaut.jpg"
    beams = captioner.generate(picture, return_all_beams=True)
    grown_beams = grown.generate(picture, return_all_beams=True)
    assert [beam.text for beam in grown_beams] == [beam.text for beam in beams]
    np.testing.assert_allclose(
        [beam.log_probability for beam in grown_beams],
        [beam.log_probability for beam in beams],
        atol=1e-3,
    )


def test_its_confidence_is_calibrated(captioner):
    explanation = captioner.explain(PICTURES / "astronaut.jpg")
    assert 0 < explanation.confidence < 1
    assert explanation.attention_weights.shape[1:] == (7, 7)
    keras.backend.clear_session()

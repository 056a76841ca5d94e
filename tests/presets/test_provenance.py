"""What a captioner remembers of its origin through load, fit and save."""

import json
import shutil

import huggingface_hub
import keras
import numpy as np
import pytest
from captioner_checks import save_pictures

from keras_showattend import CaptionerEnsemble, Distillation, ImageCaptioner, average_captioners
from keras_showattend.hub import push_to_hub
from keras_showattend.presets import Preset, Provenance, registry
from keras_showattend.presets.provenance import (
    BaseModel,
    Credit,
    join_licenses,
    merged,
    weights_digest,
)

ENCODER = Credit("Image encoder by the University, CC BY 4.0.", "CC-BY-4.0")
DATA = Credit("Data: Dogs9k, for non-commercial research.")
ORIGIN = Provenance(
    description="Describes dogs.",
    license="Apache-2.0",
    credits=(ENCODER, DATA),
    datasets=("dogs9k",),
    language="de",
    limits=("It knows only dogs.",),
    training_command="keras-showattend train dogs.csv",
)
EVALUATION = {
    "scores": {"bleu_4": 0.25},
    "dataset": {"name": "Dogs9k"},
    "protocol": {"split": "dev", "num_images": 70, "num_references": {"5": 70}},
    "warnings": ["Only 70 images."],
}


@pytest.fixture(scope="module")
def published(tiny_captioner, tmp_path_factory):
    """The folder of a preset with licence, credits and results, stored in float16."""
    keras.utils.set_random_seed(4)
    folder = tmp_path_factory.mktemp("published") / "dogs"
    captioner = tiny_captioner(embedding_dim=96, hidden_dim=112, attention_dim=80)
    captioner.provenance = ORIGIN
    captioner.save_to_preset(folder, weights_dtype="float16")
    (folder / "evaluation.json").write_text(json.dumps(EVALUATION))
    (folder / "training.json").write_text('{"command": "keras-showattend train dogs.csv"}')
    (folder / "LICENSE").write_text("The terms.")
    return folder


@pytest.fixture
def name(published, monkeypatch):
    """The name of the same as a bundled preset."""
    bundle = published.parent
    monkeypatch.setattr(registry, "REGISTRY", {"dogs": Preset("dogs", "Dogs.")})
    monkeypatch.setattr(registry, "BUNDLED", bundle)
    return "dogs"


@pytest.fixture
def data(tmp_path):
    captions = ["a dog runs", "a cat sits", "a red dog"]
    (tmp_path / "images").mkdir()
    return {"images": save_pictures(tmp_path / "images", 3), "captions": captions}


def card(captioner, **options):
    """The card that a push would send, as the Hub reads it."""
    listing = push_to_hub(captioner, "alice/mine", dry_run=True, **options)
    return huggingface_hub.ModelCard(listing[listing.index("---\n") :])


def metadata(folder):
    return json.loads((folder / "metadata.json").read_text())


def size(folder):
    return (folder / "model.weights.h5").stat().st_size


def test_unchanged_weights_keep_everything(published, name, tmp_path):
    captioner = ImageCaptioner.from_preset(name)
    captioner.save_to_preset(tmp_path / "copy")
    assert size(tmp_path / "copy") == size(published)
    for file in ("evaluation.json", "training.json", "LICENSE"):
        assert (tmp_path / "copy" / file).read_bytes() == (published / file).read_bytes()
    found = metadata(tmp_path / "copy")
    assert found["name"] == "dogs"
    assert found["weights_dtype"] == "float16"
    del found["name"]
    kept = {key: value for key, value in metadata(published).items() if key != "date_saved"}
    assert {key: found[key] for key in kept} == kept
    # And the copy of a copy.
    again = ImageCaptioner.from_preset(tmp_path / "copy")
    assert again.provenance.name == "dogs"
    for origin in (captioner, again, name, tmp_path / "copy"):
        page = card(origin)
        assert page.data.license == "other"
        assert page.data.license_name == "Apache-2.0 AND CC-BY-4.0"
        assert (page.data.datasets, page.data.language) == (["dogs9k"], "de")
        assert page.data.base_model is None
        assert [result.metric_value for result in page.data.eval_results] == [0.25]
        for text in ("Describes dogs.", ENCODER.text, DATA.text, "It knows only dogs."):
            assert f"{text}\n" in page.text
        assert "keras-showattend train dogs.csv" in page.text
        assert "weights of `dogs`, unchanged" in page.text


def test_trained_on(published, name, data, tmp_path):
    captioner = ImageCaptioner.from_preset(name)
    captioner.fit(data, verbose=0)
    captioner.save_to_preset(tmp_path / "tuned")
    # What was learned is not rounded away.
    assert 1.6 < size(tmp_path / "tuned") / size(published) < 2.1
    assert not (tmp_path / "tuned" / "evaluation.json").exists()
    assert not (tmp_path / "tuned" / "training.json").exists()
    assert (tmp_path / "tuned" / "LICENSE").read_text() == "The terms."
    for origin in (captioner, tmp_path / "tuned"):
        page = card(origin)
        assert page.data.base_model == "dogs"
        assert page.data.to_dict()["base_model_relation"] == "finetune"
        assert page.data.license_name == "Apache-2.0 AND CC-BY-4.0"
        assert page.data.eval_results is None
        assert "Not measured." in page.text
        assert "Fine-tuned from dogs (Apache-2.0 AND CC-BY-4.0)." in page.text
        assert ENCODER.text in page.text
        assert DATA.text in page.text
        assert "Describes dogs." not in page.text
        assert "It knows only dogs." not in page.text
    # Its own licence is added, and takes nobody else's away.
    assert card(captioner, license="MIT").data.license_name == "MIT AND Apache-2.0 AND CC-BY-4.0"
    # Trained on once more, from an unpublished folder: the published one is still the base.
    second = ImageCaptioner.from_preset(tmp_path / "tuned")
    assert second.provenance.name is None
    second.fit(data, verbose=0)
    assert card(second).data.base_model == "dogs"


def test_changed_by_hand(name):
    captioner = ImageCaptioner.from_preset(name)
    bias = captioner.backbone.decoder.vocabulary_output.bias
    bias.assign(bias + 1.0)
    assert card(captioner).data.base_model == "dogs"
    bias.assign(bias - 1.0)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_quantized(name):
    captioner = ImageCaptioner.from_preset(name)
    captioner.backbone.quantize("int8")
    page = card(captioner)
    assert page.data.to_dict()["base_model_relation"] == "quantized"
    assert page.data.eval_results is None


def test_stored_in_fewer_digits(tiny_captioner, tmp_path, name):
    captioner = tiny_captioner()
    captioner.provenance = ORIGIN
    captioner.save_to_preset(tmp_path / "full")
    (tmp_path / "full" / "evaluation.json").write_text(json.dumps(EVALUATION))
    loaded = ImageCaptioner.from_preset(tmp_path / "full")
    loaded.save_to_preset(tmp_path / "half", weights_dtype="float16")
    found = metadata(tmp_path / "half")
    assert found["license"] == "Apache-2.0"
    assert found["digest"] != metadata(tmp_path / "full")["digest"]
    assert not (tmp_path / "half" / "evaluation.json").exists()
    half = ImageCaptioner.from_preset(tmp_path / "half")
    assert weights_digest(half) == found["digest"]
    assert weights_digest(loaded, "float16") == found["digest"]


def test_loaded_in_fewer_digits(name, tmp_path):
    captioner = ImageCaptioner.from_preset(name, dtype="bfloat16")
    captioner.save_to_preset(tmp_path / "rounded")
    assert metadata(tmp_path / "rounded")["base_models"][0]["name"] == "dogs"
    mixed = ImageCaptioner.from_preset(name, dtype="mixed_bfloat16")
    mixed.save_to_preset(tmp_path / "same")
    assert metadata(tmp_path / "same")["digest"] == mixed.provenance.digest


def test_fresh_weights_have_no_origin(name, tmp_path):
    captioner = ImageCaptioner.from_preset(name, load_weights=False)
    assert captioner.provenance is None
    with pytest.raises(ValueError, match=r"licence of these weights is not known.*`--license`"):
        card(captioner)
    page = card(captioner, license="mit")
    assert page.data.license == "mit"
    assert "Image encoder: Functional 'tiny_network'" in page.text
    assert "VGG" not in page.text


def test_average(name, data):
    first, second = (ImageCaptioner.from_preset(name) for _ in range(2))
    first.fit(data, verbose=0)
    page = card(average_captioners([first, second]))
    assert page.data.base_model == "dogs"
    assert page.data.to_dict()["base_model_relation"] == "merge"
    assert page.data.license_name == "Apache-2.0 AND CC-BY-4.0"
    assert "Averaged from dogs" in page.text
    assert ENCODER.text in page.text


def test_average_with_one_of_unknown_licence():
    unknown = Provenance(base_models=(BaseModel("alice/cats", "finetune"),))
    assert merged([ORIGIN, Provenance()]).license_expression is None
    assert merged([ORIGIN, unknown]).license_expression is None
    both = merged([ORIGIN, Provenance(name="bob/cats", license="MIT")])
    assert both.license_expression == "Apache-2.0 AND MIT AND CC-BY-4.0"
    assert [base.name for base in both.base_models] == ["an unpublished captioner", "bob/cats"]


def test_taught(name, data, tiny_captioner):
    teacher = CaptionerEnsemble([name])
    student = tiny_captioner()
    student.compile(distillation=Distillation(teacher, num_words=3))
    student.fit(data, verbose=0)
    page = card(student, license="mit")
    assert "Distilled from dogs." in page.text
    assert DATA.text in page.text
    assert page.data.datasets == ["dogs9k"]


def test_a_preset_of_an_older_version(published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "old")
    old = metadata(folder)
    for key in ("digest", "weights_dtype", "credits"):
        del old[key]
    old["origin"] = "Grown in a garden"
    (folder / "metadata.json").write_text(json.dumps(old))
    captioner = ImageCaptioner.from_preset(folder)
    captioner.save_to_preset(tmp_path / "new")
    assert metadata(tmp_path / "new")["credits"] == [{"text": "Grown in a garden", "license": None}]
    assert (tmp_path / "new" / "evaluation.json").exists()


@pytest.mark.parametrize(
    "value",
    [
        {"license": 3, "credits": "x", "limits": [1, "a"], "base_models": [{"name": 2}, 5]},
        {"credits": [{"license": "MIT"}], "limits": {"a": 1}, "datasets": None},
    ],
)
def test_malformed_records_are_not_used(value):
    found = Provenance.from_metadata(value)
    assert (found.license, found.credits, found.base_models) == (None, (), ())
    assert found.limits in (("a",), ())


def test_join_licenses():
    assert join_licenses([None, "MIT", "mit", "A OR B", "MIT AND CC0-1.0"]) == (
        "MIT AND A OR B AND CC0-1.0"
    )
    assert join_licenses([None]) is None


def test_digest_tells_vocabularies_apart(tiny_captioner):
    first, second = tiny_captioner(), tiny_captioner(words=tuple("abcdefghi"))
    second.backbone.set_weights(first.backbone.get_weights())
    assert weights_digest(first) != weights_digest(second)
    assert weights_digest(first) == weights_digest(first)
    assert len(weights_digest(first)) == 64
    np.testing.assert_equal(first.backbone.count_params(), second.backbone.count_params())

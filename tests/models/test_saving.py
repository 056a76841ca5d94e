"""Presets and `.keras` files: the same captions and log-probabilities after a round trip."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import keras_hub
import numpy as np
import pytest
from captioner_checks import all_beams, check_same_beams, picture, save_pictures, sharpen

from keras_showattend import (
    CaptionImageConverter,
    CaptionTokenizer,
    ImageCaptioner,
    ImageCaptionerPreprocessor,
    ShowAttendBackbone,
)
from keras_showattend.training import SelfCritical

COUNT = 3
CAPTIONS = ["a red dog runs", "a big cat sits on grass", "grass"]


@pytest.fixture(scope="module")
def captioner(tiny_captioner):
    keras.utils.set_random_seed(21)
    return sharpen(tiny_captioner("lstm"))


@pytest.fixture(scope="module")
def folder(captioner, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "preset"
    captioner.save_to_preset(path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return save_pictures(tmp_path_factory.mktemp("pictures"), COUNT)


@pytest.fixture(scope="module")
def beams(captioner, pictures):
    return all_beams(captioner, pictures)


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_files(folder):
    names = {str(path.relative_to(folder)) for path in contents(folder)}
    assert names == {
        "assets/tokenizer/vocabulary.txt",
        "config.json",
        "image_converter.json",
        "metadata.json",
        "model.weights.h5",
        "preprocessor.json",
        "task.json",
        "tokenizer.json",
    }
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["preset_format"] == 1
    assert metadata["keras_showattend_version"] == "0.1.0"


def test_round_trip(folder, pictures, beams):
    loaded = ImageCaptioner.from_preset(str(folder))
    assert type(loaded) is ImageCaptioner
    check_same_beams(all_beams(loaded, pictures), beams)


def test_the_base_class_finds_it(folder, captioner):
    loaded = keras_hub.models.CausalLM.from_preset(str(folder))
    assert type(loaded) is ImageCaptioner
    assert loaded.backbone.get_config().keys() == captioner.backbone.get_config().keys()


def test_every_part_loads(folder, captioner):
    backbone = ShowAttendBackbone.from_preset(folder)
    for weight, original in zip(backbone.weights, captioner.backbone.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(weight), keras.ops.convert_to_numpy(original)
        )
    assert (backbone.decoder.cell.cell, backbone.decoder.cell.hidden_dim) == ("lstm", 9)
    tokenizer = CaptionTokenizer.from_preset(folder)
    assert tokenizer.get_vocabulary() == captioner.preprocessor.tokenizer.get_vocabulary()
    converter = CaptionImageConverter.from_preset(folder)
    assert tuple(converter.image_size) == (8, 12)
    assert converter.scale == pytest.approx(1 / 255)
    preprocessor = ImageCaptionerPreprocessor.from_preset(folder)
    assert preprocessor.sequence_length == 7
    x, y, _ = preprocessor({"images": [picture(0)], "captions": ["a red dog"]})
    assert x["images"].shape == (1, 8, 12, 3)
    assert y.tolist() == [[4, 11, 5, 2, 0, 0, 0]]


def test_without_weights(folder, captioner):
    loaded = ImageCaptioner.from_preset(folder, load_weights=False)
    assert loaded.count_params() == captioner.count_params()
    kernel, original = (
        model.backbone.decoder.vocabulary_output.kernel for model in (loaded, captioner)
    )
    assert np.abs(keras.ops.convert_to_numpy(kernel - original)).max() > 0.1


def test_mixed_precision(folder, captioner, pictures):
    loaded = ImageCaptioner.from_preset(folder, dtype="mixed_bfloat16")
    assert loaded.compute_dtype == loaded.backbone.image_encoder.compute_dtype == "bfloat16"
    assert {str(weight.dtype).rpartition(".")[2] for weight in loaded.weights} >= {"float32"}
    inputs = captioner.preprocessor({"images": pictures, "captions": CAPTIONS})[0]
    logits = [
        keras.ops.convert_to_numpy(keras.ops.log_softmax(model(inputs)))
        for model in (loaded, captioner)
    ]
    np.testing.assert_allclose(*logits, atol=0.3)
    assert all(loaded.generate(pictures, num_beams=3))


def test_unknown_arguments(folder):
    with pytest.raises(ValueError, match="'dropoff'"):
        ImageCaptioner.from_preset(folder, dropoff=0.1)


@pytest.fixture(scope="module")
def wider(tiny_captioner):
    # Wide enough that HDF5's own bytes are few beside the weights.
    keras.utils.set_random_seed(3)
    return tiny_captioner(embedding_dim=96, hidden_dim=112, attention_dim=80)


def size(folder):
    return sum(map(len, contents(folder).values()))


def test_float16_weights(wider, tmp_path, pictures):
    wider.save_to_preset(tmp_path / "full")
    wider.save_to_preset(tmp_path / "half", weights_dtype="float16")
    assert 0.45 < size(tmp_path / "half") / size(tmp_path / "full") < 0.6
    loaded = ImageCaptioner.from_preset(tmp_path / "half")
    assert {str(weight.dtype).rpartition(".")[2] for weight in loaded.trainable_weights} == {
        "float32"
    }
    inputs = wider.preprocessor({"images": pictures, "captions": CAPTIONS})[0]
    logits = [keras.ops.convert_to_numpy(model(inputs)) for model in (wider, loaded)]
    np.testing.assert_allclose(*logits, atol=2e-3)
    assert np.abs(logits[0] - logits[1]).max() > 0


def test_saving_over_a_preset(wider, captioner, tmp_path, pictures, beams):
    target = tmp_path / "preset"
    wider.save_to_preset(target)
    (target / "notes.txt").write_text("mine")
    captioner.save_to_preset(target)
    check_same_beams(all_beams(ImageCaptioner.from_preset(target), pictures), beams)
    assert (target / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["preset"]


def test_a_failing_save_leaves_the_old_preset(tiny_captioner, tmp_path, monkeypatch):
    captioner = tiny_captioner()
    target = tmp_path / "preset"
    captioner.save_to_preset(target)
    before = contents(target)
    bias = captioner.backbone.decoder.vocabulary_output.bias
    bias.assign(keras.ops.full(bias.shape, 1e5))
    with pytest.raises(OverflowError, match="cannot be stored as float16. Save with"):
        captioner.save_to_preset(target, weights_dtype="float16")

    def full_disk(self, *args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(CaptionTokenizer, "save_assets", full_disk)
    with pytest.raises(OSError, match="No space left"):
        captioner.save_to_preset(target)
    assert contents(target) == before
    assert os.listdir(tmp_path) == ["preset"]
    with pytest.raises(OSError, match="No space left"):
        captioner.save_to_preset(tmp_path / "fresh")
    assert os.listdir(tmp_path) == ["preset"]


def test_unknown_weights_dtype(captioner, tmp_path):
    with pytest.raises(ValueError, match="`weights_dtype` must be one of .* Received: .*'int3'"):
        captioner.save_to_preset(tmp_path / "preset", weights_dtype="int3")
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_way(captioner, tmp_path):
    (tmp_path / "preset").write_text("no folder")
    with pytest.raises(FileExistsError):
        captioner.save_to_preset(tmp_path / "preset")
    assert os.listdir(tmp_path) == ["preset"]


def test_keras_file(captioner, pictures, beams, tmp_path):
    captioner.save(tmp_path / "captioner.keras")
    loaded = keras.saving.load_model(tmp_path / "captioner.keras")
    assert type(loaded) is ImageCaptioner
    assert loaded.preprocessor.sequence_length == 7
    check_same_beams(all_beams(loaded, pictures), beams)


def test_keras_file_after_training_goes_on_with_it(tiny_captioner, tmp_path):
    captioner = tiny_captioner(dropout=0.0)
    captioner.compile(
        keras.optimizers.Adam(0.02),
        sampler="greedy",
        label_smoothing=0.05,
        doubly_stochastic_weight=0.5,
    )
    data = {"images": [picture(seed) for seed in range(COUNT)], "captions": CAPTIONS}
    options = {"verbose": 0, "batch_size": 3}
    captioner.fit(data, epochs=2, **options)
    captioner.save(tmp_path / "captioner.keras")
    loaded = keras.saving.load_model(tmp_path / "captioner.keras")
    assert isinstance(loaded.sampler, keras_hub.samplers.GreedySampler)
    assert loaded.doubly_stochastic_weight == 0.5
    assert loaded.loss.label_smoothing == 0.05
    assert int(loaded.optimizer.iterations) == 2
    # Adam's moments came along: the next steps are the same.
    expected = captioner.fit(data, epochs=2, **options).history["loss"]
    np.testing.assert_allclose(
        loaded.fit(data, epochs=2, **options).history["loss"], expected, rtol=1e-4
    )


def test_keras_file_goes_on_with_self_critical_training(tiny_captioner, tmp_path):
    captioner = tiny_captioner(dropout=0.0)
    settings = SelfCritical(num_samples=3, bleu_4_weight=0.25, crossentropy_weight=0.125)
    captioner.compile(keras.optimizers.Adam(0.01), self_critical=settings)
    data = {"images": [picture(seed) for seed in range(COUNT)], "captions": CAPTIONS}
    options = {"verbose": 0, "batch_size": 6}
    captioner.fit(data, **options)
    captioner.save(tmp_path / "captioner.keras")
    loaded = keras.saving.load_model(tmp_path / "captioner.keras")
    assert loaded.self_critical == settings
    expected = captioner.fit(data, **options).history
    found = loaded.fit(data, **options).history
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-4)
    np.testing.assert_allclose(found["reward"], expected["reward"], rtol=1e-4)


def test_frozen_stays_frozen(tiny_captioner, tmp_path):
    captioner = tiny_captioner()
    captioner.backbone.image_encoder.trainable = False
    captioner.save_to_preset(tmp_path / "preset")
    captioner.save(tmp_path / "captioner.keras")
    for loaded in (
        ImageCaptioner.from_preset(tmp_path / "preset"),
        keras.saving.load_model(tmp_path / "captioner.keras"),
    ):
        assert not loaded.backbone.image_encoder.trainable
        assert loaded.backbone.image_encoder.trainable_variables == []
        assert len(loaded.trainable_variables) == len(captioner.trainable_variables)


OTHER_BACKEND = """
import json, sys
sys.path.insert(0, sys.argv[1])
from captioner_checks import all_beams
from keras_showattend import ImageCaptioner
print(json.dumps(all_beams(ImageCaptioner.from_preset(sys.argv[2]), sys.argv[3:])))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_on_another_backend(folder, pictures, beams, backend):
    if backend == keras.backend.backend():
        pytest.skip("this process runs on that backend: test_round_trip")
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    here = pathlib.Path(__file__).parents[1] / "support"
    result = subprocess.run(
        [sys.executable, "-c", OTHER_BACKEND, here, folder, *pictures],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    check_same_beams(json.loads(result.stdout.splitlines()[-1]), beams)

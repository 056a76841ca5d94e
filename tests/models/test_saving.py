"""Presets and `.keras` files: the same captions and log-probabilities after a round trip."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import keras_hub
import numpy as np
import pytest
from captioner_checks import all_beams, check_same_beams, picture, save_pictures, sharpen

import keras_showattend
from keras_showattend import (
    CaptionImageConverter,
    CaptionTokenizer,
    ImageCaptioner,
    ImageCaptionerPreprocessor,
    ShowAttendBackbone,
    average_captioners,
    create_captioner,
)
from keras_showattend.explain import Calibration
from keras_showattend.training import SelfCritical

pytestmark = pytest.mark.slow

PACKAGE = pathlib.Path(keras_showattend.__file__).parent
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
        "digests.json",
        "image_converter.json",
        "metadata.json",
        "model.weights.h5",
        "preprocessor.json",
        "task.json",
        "tokenizer.json",
    }
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["tasks"] == ["CausalLM"]
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


def test_what_learns(tiny_captioner, tmp_path):
    captioner = tiny_captioner()
    captioner.backbone.image_encoder.unfreeze("pixels")
    captioner.save_to_preset(tmp_path / "preset")
    captioner.save(tmp_path / "captioner.keras")
    frozen = tiny_captioner()
    frozen.backbone.image_encoder.trainable = False
    for loaded in (
        ImageCaptioner.from_preset(tmp_path / "preset"),
        keras.saving.load_model(tmp_path / "captioner.keras"),
        average_captioners([captioner, captioner]),
        average_captioners([captioner, frozen]),
    ):
        encoder = loaded.backbone.image_encoder
        assert encoder.last_frozen == "pixels"
        assert len(encoder.trainable_weights) == 2


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


FRESH = """
import keras, keras_showattend, sys
captioner = keras.saving.load_model(sys.argv[1])
print(captioner.calibration.slope, captioner.loss.name, captioner.self_critical.num_samples)
registered = keras.saving.get_registered_object
print(*(name for name in sys.argv[2:] if registered(f"keras_showattend>{name}") is None))
"""


def test_keras_file_in_a_fresh_process(tiny_captioner, tmp_path):
    captioner = tiny_captioner()
    captioner.compile(self_critical=SelfCritical(num_samples=3))
    captioner.calibration = Calibration(1.5, 0.25, 0.1, 0.2, 0.21, 0.5, 30)
    captioner.save(tmp_path / "captioner.keras")
    code = "\n".join(p.read_text(encoding="utf-8") for p in PACKAGE.rglob("*.py"))
    registered = re.findall(
        r'register_keras_serializable\(package="keras_showattend"\)\n(?:@.*\n)*class (\w+)', code
    )
    assert {"ImageCaptioner", "CaptionDecoder", "SelfCritical"} <= set(registered)
    lines = python(FRESH, tmp_path / "captioner.keras", *registered).split("\n")
    assert lines == ["1.5 caption_crossentropy 3", "", ""]


def python(code, *arguments, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_keras_file_keeps_the_calibration(tiny_captioner, tmp_path):
    captioner = tiny_captioner()
    captioner.calibration = Calibration(1.5, 0.25, 0.1, 0.2, 0.21, 0.5, 30)
    captioner.save(tmp_path / "captioner.keras")
    loaded = keras.saving.load_model(tmp_path / "captioner.keras")
    explanation = loaded.explain(picture(0))
    assert explanation.confidence == captioner.explain(picture(0)).confidence
    assert 0 < explanation.confidence < 1
    captioner.calibration = None
    captioner.save(tmp_path / "captioner.keras")
    assert keras.saving.load_model(tmp_path / "captioner.keras").calibration is None


@pytest.mark.parametrize("name", ["captioner.h5", "captioner.hdf5"])
def test_hdf5_is_refused(captioner, tmp_path, name):
    for model in (captioner, captioner.backbone):
        with pytest.raises(ValueError, match=r"ends in '\.keras'.* Received: .*captioner\.h"):
            model.save(tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_quantized(tiny_captioner, tmp_path, pictures, mode):
    keras.utils.set_random_seed(21)
    captioner = sharpen(tiny_captioner("lstm"))
    captioner.calibration = Calibration(1.5, 0.25, 0.1, 0.2, 0.21, 0.5, 30)
    before = all_beams(captioner, pictures)
    captioner.quantize(mode)
    beams = all_beams(captioner, pictures)
    assert beams != before
    assert captioner.calibration is None
    dtypes = {str(weight.dtype).rpartition(".")[2] for weight in captioner.weights}
    assert dtypes == {"int8", "float32"}
    captioner.save_to_preset(tmp_path / "preset")
    loaded = ImageCaptioner.from_preset(tmp_path / "preset")
    check_same_beams(all_beams(loaded, pictures), beams)
    for cls in (ImageCaptioner, ShowAttendBackbone):
        with pytest.raises(ValueError, match="leave `dtype` out.*dtype='mixed_bfloat16' for '"):
            cls.from_preset(tmp_path / "preset", dtype="mixed_bfloat16")
    captioner.save(tmp_path / "captioner.keras")
    loaded = keras.saving.load_model(tmp_path / "captioner.keras")
    check_same_beams(all_beams(loaded, pictures), beams)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel is TensorFlow's")
def test_the_backbone_can_be_exported(captioner, tmp_path):
    import tensorflow as tf

    captioner.backbone.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "exported"))
    x, _, _ = captioner.preprocessor({"images": [picture(0)], "captions": ["a red dog"]})
    inputs = {key: x[key] for key in ("images", "token_ids")}
    np.testing.assert_allclose(
        served.serve(inputs)["logits"],
        keras.ops.convert_to_numpy(captioner.backbone(inputs)["logits"]),
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_captioner_that_would_not_load_is_not_saved(tiny_network, tmp_path):
    network = tiny_network()
    features = keras.layers.Lambda(lambda x: x, output_shape=lambda shape: shape)(network.output)
    captioner = create_captioner(
        keras.Model(network.inputs, features),
        tokenizer=CaptionTokenizer(["<pad>", "<start>", "<end>", "<unk>", "a", "dog"]),
        image_converter=CaptionImageConverter((8, 12), scale=1 / 255),
        image_shape=(8, 12, 3),
        embedding_dim=8,
        hidden_dim=9,
        attention_dim=10,
    )
    with pytest.raises(ValueError, match=r"only if `from_preset` loads it again.*'Lambda'"):
        captioner.save_to_preset(tmp_path / "preset")
    assert os.listdir(tmp_path) == []


def test_a_compiled_encoder_is_no_hindrance(tiny_network, tiny_captioner, tmp_path):
    captioner = tiny_captioner()
    network = tiny_network()
    # The loss and the optimizer of the network that becomes the encoder are not saved.
    network.compile("adam", "mse")
    config = captioner.backbone.get_config() | {"image_encoder": network}
    backbone = ShowAttendBackbone(**{k: v for k, v in config.items() if k != "dtype"})
    ImageCaptioner(backbone, captioner.preprocessor).save_to_preset(tmp_path / "preset")
    loaded = ImageCaptioner.from_preset(tmp_path / "preset")
    assert loaded.backbone.image_encoder.features.count_params() == network.count_params()


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
import concurrent.futures, json, sys
sys.path.insert(0, sys.argv[1])
from captioner_checks import all_beams
from keras_showattend import ImageCaptioner
captioner = ImageCaptioner.from_preset(sys.argv[2])
# Cold: the first calls come from several threads at once.
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    calls = list(pool.map(lambda _: all_beams(captioner, sys.argv[3:]), range(12)))
texts = [[[text for text, _ in row] for row in beams] for beams in calls]
assert all(each == texts[0] for each in texts)
print(json.dumps(calls[0]))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_on_another_backend(folder, pictures, beams, backend):
    if backend == keras.backend.backend():
        pytest.skip("this process runs on that backend: test_round_trip")
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    here = pathlib.Path(__file__).parents[1] / "support"
    output = python(OTHER_BACKEND, here, folder, *pictures, KERAS_BACKEND=backend)
    check_same_beams(json.loads(output.splitlines()[-1]), beams)


def test_a_captioner_that_is_not_compiled_is_saved(tiny_captioner, tmp_path):
    tiny_captioner().save_to_preset(tmp_path / "first")
    captioner = ImageCaptioner.from_preset(tmp_path / "first", compile=False)
    captioner.save_to_preset(tmp_path / "second")
    again = ImageCaptioner.from_preset(tmp_path / "second")
    for found, expected in zip(again.get_weights(), captioner.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)

"""`use_engine`: the encoder in OpenVINO's 8-bit integers."""

import concurrent.futures
import importlib.util
import sys

import keras
import numpy as np
import pytest
from captioner_checks import picture
from cli_pictures import save_picture
from export_checks import H, W, tiny

from keras_showattend.cli import main as cli

pytestmark = pytest.mark.slow

pytest_plugins = ["cli_fixtures"]

SAMPLES = [picture(seed, H, W) for seed in range(16)]

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None or keras.backend.backend() == "jax",
    reason="OpenVINO, and a backend whose models it reads",
)


@pytest.fixture
def captioner():
    return tiny()


def kinds(engine):
    """Numbers that the convolutions of a compiled encoder read."""
    nodes = [node.get_rt_info() for node in engine._compiled.get_runtime_model().get_ops()]
    return [
        node["runtimePrecision"].astype(str)
        for node in nodes
        if node["layerType"].astype(str) == "Convolution"
    ]


@needs_openvino
def test_openvino_computes_in_integers_what_keras_does(captioner):
    images = captioner.preprocessor.convert_images([picture(seed, H, W) for seed in range(20, 25)])
    expected = captioner.generation.search.encode({"images": images})["annotations"]
    captioner.use_engine("openvino", SAMPLES)
    generate = captioner.generation.search
    found = generate.encode({"images": images})["annotations"]
    assert kinds(generate.engine) == ["u8", "u8"]
    assert found.shape == expected.shape == (5, 24, 7)
    assert found.dtype == "float32"
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 1e-4 < error < 0.02


@needs_openvino
def test_captions_come_from_the_engine_until_it_is_changed(captioner):

    def log_probability():
        [[beam]] = captioner.generate(SAMPLES[:1], num_beams=1, return_all_beams=True)
        return beam.log_probability

    expected = log_probability()
    captioner.use_engine("openvino", SAMPLES)
    assert 1e-3 < abs(log_probability() - expected) < 0.5
    captioner.use_engine("keras")
    assert log_probability() == pytest.approx(expected, abs=1e-4)


@needs_openvino
def test_several_threads_share_the_engine(captioner):
    captioner.use_engine("openvino", SAMPLES)
    expected = [captioner.generate(image, num_beams=1) for image in SAMPLES[:4]]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: captioner.generate(SAMPLES[i % 4], num_beams=1), range(40)))
    assert found == expected * 10


def test_encoder_in_another_precision(captioner):
    images = captioner.preprocessor.convert_images([picture(20, H, W)])
    expected = captioner.generation.search.encode({"images": images})["annotations"]
    captioner.use_engine("keras", dtype="mixed_bfloat16")
    found = captioner.generation.search.encode({"images": images})["annotations"]
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    found = np.asarray(found, "float32")
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 1e-4 < error < 0.02
    assert captioner.backbone.image_encoder.compute_dtype == "float32"
    captioner.use_engine("keras")
    again = captioner.generation.search.encode({"images": images})["annotations"]
    np.testing.assert_array_equal(again, expected)


def test_refusals(captioner, monkeypatch):
    with pytest.raises(ValueError, match="`engine` must be one of .*openvino.*'onnx'"):
        captioner.use_engine("onnx")
    with pytest.raises(ValueError, match="at least 16 images .*Received: 3"):
        captioner.use_engine("openvino", SAMPLES[:3])
    with pytest.raises(
        ValueError, match="a precision of its own: leave `dtype` out.*'mixed_bfloat16'"
    ):
        captioner.use_engine("openvino", SAMPLES, dtype="mixed_bfloat16")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "\.\[openvino\]"'):
        captioner.use_engine("openvino", SAMPLES)


@needs_openvino
def test_command_shows_the_engine_readable_pictures(tiny_preset, tmp_path, capsys):
    for seed in range(17):
        save_picture(tmp_path / f"{seed:02}.png", seed)
    (tmp_path / "00.png").write_bytes(b"no picture")
    words = ["caption", "--preset", tiny_preset, "--engine", "openvino", "--csv", str(tmp_path)]
    assert cli.main(words) == 1
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 1 + 16
    assert "skipped" in output.err
    (tmp_path / "01.png").unlink()
    assert cli.main(words) == 2
    assert "at least 16 images" in capsys.readouterr().err


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX's are not read")
def test_no_openvino_on_jax(captioner):
    with pytest.raises(ValueError, match="set KERAS_BACKEND=tensorflow. Received: .* 'jax'"):
        captioner.use_engine("openvino", SAMPLES)


def test_command_refuses_an_engine_before_it_loads_anything(tmp_path, monkeypatch, capsys):
    save_picture(tmp_path / "a.png", 0)
    words = ["caption", "--preset", str(tmp_path), str(tmp_path / "a.png"), "--engine", "openvino"]
    monkeypatch.setitem(sys.modules, "openvino", None)
    (tmp_path / "config.json").write_text("no preset")
    assert cli.main(words) == 2
    assert "needs more packages. Install them: `pip install " in capsys.readouterr().err

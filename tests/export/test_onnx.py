"""A tiny captioner as an ONNX file, run by ONNX Runtime."""

import importlib.util
import json
import pathlib
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest
from captioner_checks import check_same_beams, picture
from export_checks import IMAGES, H, T, W, check_captions, tiny

from keras_showattend import ExportedCaptioner, ImageCaptioner, ImageError
from keras_showattend.cli import main as cli
from keras_showattend.export import read_metadata
from keras_showattend.export.layout import KEY
from keras_showattend.export.onnx_passes import is_weight
from keras_showattend.export.onnx_weights import store_weights

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports from TensorFlow"),
]

pytest_plugins = ["cli_fixtures"]

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def captioner():
    return tiny()


@pytest.fixture(scope="module")
def beams(captioner, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "captioner.onnx"
    captioner.export(path, num_beams=3, length_penalty=0.7)
    return path


def run(path, images):
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": np.stack(images)}), strict=True))


def test_beams_are_those_of_generate(captioner, beams):
    check_captions(run(beams, IMAGES), captioner, num_beams=3, length_penalty=0.7)


def test_words_look_where_explain_says(captioner, beams):
    found = run(beams, IMAGES)
    assert found["attention_maps"].shape == (5, 3, T, 4, 6)
    for row, image in enumerate(IMAGES):
        explanation = captioner.explain(image, num_beams=3, length_penalty=0.7)
        count = len(explanation.words)
        probabilities = np.exp(explanation.log_probabilities)
        np.testing.assert_allclose(
            found["word_probabilities"][row, 0, :count], probabilities, atol=1e-5
        )
        np.testing.assert_allclose(
            found["attention_maps"][row, 0, :count], explanation.attention_weights, atol=1e-5
        )
    is_token = found["token_ids"] != 0
    assert 0 < is_token.sum() < is_token.size
    np.testing.assert_allclose(found["attention_maps"].sum((-2, -1)), is_token, atol=1e-5)
    np.testing.assert_array_equal(found["word_probabilities"] > 0, is_token)


def test_greedy_search_of_an_lstm_that_sees_the_center(tmp_path):
    captioner = tiny("lstm", crop_to_aspect_ratio=True)
    captioner.export(tmp_path / "greedy.onnx", num_beams=1, no_repeat_ngram_size=3, max_length=5)
    found = run(tmp_path / "greedy.onnx", IMAGES)
    assert found["token_ids"].shape == (5, 1, 5)
    check_captions(found, captioner, num_beams=1, no_repeat_ngram_size=3, max_length=5)
    for size in ((61, 37), (35, 52), (16, 25)):
        image = picture(3, *size)
        fitted = captioner.preprocessor.image_converter.load(image)
        outputs = [run(tmp_path / "greedy.onnx", [x])["log_probabilities"] for x in (image, fitted)]
        np.testing.assert_allclose(*outputs, atol=0.03)


@pytest.mark.parametrize("size", [(1, 1), (16, 24), (7, 90), (200, 120)])
def test_images_of_any_size(captioner, beams, size):
    image = picture(3, *size)
    fitted = captioner.preprocessor.image_converter.load(image)
    found, expected = run(beams, [image]), run(beams, [fitted])
    np.testing.assert_array_equal(found["token_ids"], expected["token_ids"])
    # One pixel in some differs by 1 of 255.
    np.testing.assert_allclose(found["log_probabilities"], expected["log_probabilities"], atol=0.03)


def test_file_says_what_is_in_it(captioner, beams):
    metadata = read_metadata(beams)
    assert metadata["vocabulary"][:6] == ["<pad>", "<start>", "<end>", "<unk>", "a", "by"]
    assert metadata["special_tokens"] == {"pad": 0, "start": 1, "end": 2, "unknown": 3}
    assert metadata["grid"] == [4, 6]
    assert metadata["image_size"] == [H, W]
    assert metadata["search"] == {
        "num_beams": 3,
        "max_length": T,
        "length_penalty": 0.7,
        "no_repeat_ngram_size": 2,
    }
    model = onnx.load(beams)
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 18)}
    assert [i.name for i in model.graph.input] == ["images"]


@pytest.mark.parametrize(
    ("quantization", "bits", "error"), [("float16", 16, 0.02), ("int8", 8, 0.5)]
)
def test_smaller_weights(beams, tmp_path, quantization, bits, error):
    model = onnx.load(beams)
    sizes = {tensor.name: np.prod(tensor.dims) for tensor in model.graph.initializer}
    weights = [tensor.name for tensor in model.graph.initializer if is_weight(tensor)]
    # Two kernels, embeddings, three of the recurrent cell, four of attention, gate and start,
    # three of the output.
    assert sum(sizes[name] for name in weights) > 2000
    store_weights(model.graph, quantization)
    path = tmp_path / "smaller.onnx"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    kinds = {t.name: t.data_type for t in onnx.load(path).graph.initializer}
    stored = {16: onnx.TensorProto.FLOAT16, 8: onnx.TensorProto.INT8}[bits]
    assert sum(kind == stored for kind in kinds.values()) == len(weights)
    assert set(weights) & set(kinds) == set()
    found = run(path, IMAGES)["log_probabilities"][:, 0]
    expected = run(beams, IMAGES)["log_probabilities"][:, 0]
    assert 1e-5 < np.abs(found - expected).max() < error


def test_int8_rounds_each_channel():
    kernel = np.array([[0.5, 254.0, 0.0], [-127.0, 100.0, 0.0]], "float32")
    node = onnx.helper.make_node("MatMul", ["x", "kernel"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [], [])
    graph.initializer.append(onnx.numpy_helper.from_array(kernel, "kernel"))
    store_weights(graph, "int8")
    whole, scale = (onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer)
    assert whole.tolist() == [[0, 127, 0], [-127, 50, 0]]
    assert scale[:, :2].tolist() == [[1.0, 2.0]]
    assert [node.op_type for node in graph.node] == ["Cast", "Mul", "MatMul"]


def test_exported_captioner(captioner, beams, tmp_path):
    exported = ExportedCaptioner(beams)
    options = {"num_beams": 3, "length_penalty": 0.7}
    assert exported.generate(IMAGES, batch_size=2) == captioner.generate(IMAGES, **options)
    assert exported.generate(IMAGES[0]) == captioner.generate(IMAGES[0], **options)
    found = exported.generate([picture(8, 30, 20)], return_all_beams=True)
    expected = captioner.generate([picture(8, 30, 20)], return_all_beams=True, **options)
    assert [beam.text for beam in found[0]] == [beam.text for beam in expected[0]]
    assert found[0][0].words == expected[0][0].words
    assert found[0][0].log_probability == pytest.approx(expected[0][0].log_probability, abs=1e-4)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(ImageError, match="broken.png"):
        exported.generate([broken])
    assert exported.generate([broken, IMAGES[0]], on_error="skip")[0] is None
    (error, beam) = exported.generate_stream([broken, IMAGES[0]])
    assert isinstance(error, ImageError)
    assert beam[0].text == exported.generate(IMAGES[0])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 5, 3), np.nan), "finite numbers"),
        (np.full((4, 5, 3), 0.5), "look like 0..1"),
        (np.zeros((0, 5, 3), "uint8"), "at least one pixel"),
        ([], "At least one image"),
    ],
)
def test_bad_images(beams, image, message):
    with pytest.raises(ImageError, match=message):
        ExportedCaptioner(beams).generate(image)


@pytest.mark.parametrize(
    "images",
    [np.zeros((0, 4, 5, 3), "uint8"), np.zeros((1, 4, 5, 3)), np.zeros((4, 5, 3), "uint8")],
)
def test_bad_arrays(beams, images):
    with pytest.raises(ValueError, match=r"takes uint8 arrays \[B, H, W, 3\].*Received"):
        ExportedCaptioner(beams)(images)


def test_a_large_image(captioner, beams):
    image = np.repeat(np.repeat(IMAGES[1], 500, axis=0), 333, axis=1)[:8000, :7992]
    exported = ExportedCaptioner(beams)
    assert (
        exported(image[None])["token_ids"].tolist()
        == exported(captioner.preprocessor.image_converter.load(image)[None])["token_ids"].tolist()
    )


def test_files_that_are_none(beams, tmp_path):
    with pytest.raises(FileNotFoundError, match="check the path.*Received: 'no.onnx'"):
        ExportedCaptioner("no.onnx")
    path = tmp_path / "file.onnx"
    path.write_bytes(beams.read_bytes()[:5000])
    with pytest.raises(ValueError, match="damaged or something else.*file.onnx"):
        ExportedCaptioner(path)
    model = onnx.load(beams)
    metadata = json.loads(model.metadata_props[0].value)
    onnx.helper.set_model_props(model, {KEY: json.dumps(metadata | {"format_version": 2})})
    onnx.save(model, path)
    with pytest.raises(ValueError, match=r"newer version of this package\..*Upgrade"):
        read_metadata(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(ValueError, match="an ONNX file of another program"):
        read_metadata(path)


def test_no_tensorflow_and_no_keras_in_the_process(beams):
    code = (
        "import sys, numpy as np\n"
        "from keras_showattend import ExportedCaptioner\n"
        f"print(ExportedCaptioner({str(beams)!r}).generate(np.zeros((9, 7, 3), 'uint8')))\n"
        "print(sorted({'keras', 'keras_hub', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    caption, modules = done.stdout.splitlines()
    assert caption == ExportedCaptioner(beams).generate(np.zeros((9, 7, 3), "uint8"))
    assert modules == "[]"


def test_the_bundled_preset(tmp_path):
    path = tmp_path / "vgg16.onnx"
    program = [sys.executable, "-m", "keras_showattend.cli.main", "export", "vgg16_gru_flickr8k"]
    # A process of its own, because the conversion takes gigabytes and Python keeps them.
    subprocess.run([*program, path, "--quantization=float16", "--num-beams=2"], check=True)
    assert 40e6 < path.stat().st_size < 43e6
    images = [ROOT / "docs" / "images" / "astronaut.jpg", picture(2, 300, 200)]
    exported = ExportedCaptioner(path)
    captioner = ImageCaptioner.from_preset("vgg16_gru_flickr8k")
    assert exported.metadata["license"] == "Apache-2.0 AND CC-BY-4.0"
    (found, _), (expected, _) = (
        generate(images, return_all_beams=True)
        for generate in (exported.generate, partial(captioner.generate, num_beams=2))
    )
    assert [beam.text for beam in found] == [beam.text for beam in expected]
    assert found[0].log_probability == pytest.approx(expected[0].log_probability, abs=0.02)


def test_onnx_runtime_as_engine(captioner):
    options = {"num_beams": 2, "return_all_beams": True}
    expected = captioner.generate(IMAGES, **options)
    captioner.use_engine("onnxruntime")
    try:
        found, known = (
            [[[beam.text, beam.log_probability] for beam in row] for row in beams]
            for beams in (captioner.generate(IMAGES, **options), expected)
        )
        check_same_beams(found, known)
        found = captioner.generate(IMAGES, length_penalty=0.0, **options)
        assert [beam.score for row in found for beam in row] == [
            beam.log_probability for row in found for beam in row
        ]
    finally:
        captioner.use_engine("keras")


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("no/captioner.onnx", {}, FileNotFoundError, "folder of the file must exist"),
        ("captioner.pb", {}, ValueError, "name of the file tells the format.*captioner.pb"),
        ("a.onnx", {"format": "caffe"}, ValueError, "`format` must be one of .*'caffe'"),
        ("a.onnx", {"quantization": "int4"}, ValueError, "`quantization` must be .*'int4'"),
        ("a.onnx", {"num_beams": 0}, ValueError, "`num_beams` must be a positive int"),
        ("a.onnx", {"cautious": 0.5}, ValueError, "leave `cautious` out"),
    ],
)
def test_refusals_before_anything_is_converted(captioner, tmp_path, name, options, error, message):
    with pytest.raises(error, match=message):
        captioner.export(tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_only_float32_is_exported(tmp_path):
    captioner = tiny()
    captioner.quantize("int8")
    with pytest.raises(ValueError, match=r"without `dtype` and `quantize`.*\['int8'\]"):
        captioner.export(tmp_path / "a.onnx")


def test_missing_packages_and_samplers(captioner, tmp_path, monkeypatch):
    captioner.compile(sampler="top_p")
    with pytest.raises(ValueError, match="draws its captions: pass `num_beams`"):
        captioner.export(tmp_path / "a.onnx")
    captioner.compile()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "\.\[onnx\]".*\'onnx\''):
        captioner.export(tmp_path / "a.onnx")


def test_command(tiny_preset, tmp_path, capsys):
    path = tmp_path / "captioner.onnx"
    assert cli.main(["export", tiny_preset, str(path), "--quantization=int8", "--num-beams=2"]) == 0
    assert f"wrote {path} (0.1 MB)" in capsys.readouterr().err
    metadata = read_metadata(path)
    assert (metadata["search"]["num_beams"], metadata["quantization"]) == (2, "int8")
    assert cli.main(["export", "no_such_preset", str(tmp_path / "no" / "a.onnx")]) == 2
    assert "folder of the file must exist" in capsys.readouterr().err

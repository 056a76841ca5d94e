"""A tiny captioner as an ONNX file, run by ONNX Runtime."""

import keras
import numpy as np
import pytest
from captioner_checks import picture, sharpen

from keras_showattend import CaptionImageConverter, CaptionTokenizer, create_captioner
from keras_showattend.export import read_metadata

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports from TensorFlow"),
]

H, W, T = 16, 24, 6
IMAGES = [picture(seed, H, W) for seed in range(5)]


def tiny(cell="gru", **converter):
    keras.utils.set_random_seed(4)
    network = keras.Sequential(
        [
            keras.Input((H, W, 3)),
            keras.layers.Conv2D(12, 3, padding="same", activation="relu"),
            keras.layers.MaxPool2D(4),
            keras.layers.Conv2D(7, 3, padding="same", activation="relu"),
        ]
    )
    return sharpen(
        create_captioner(
            network,
            tokenizer=CaptionTokenizer.from_captions(["a dog runs on the grass by a man"], 1),
            image_converter=CaptionImageConverter((H, W), scale=1 / 255, offset=-0.4, **converter),
            image_shape=(H, W, 3),
            decoder=cell,
            embedding_dim=8,
            hidden_dim=9,
            attention_dim=10,
            sequence_length=T,
        )
    )


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


def words(token_ids, captioner):
    return captioner.preprocessor.generate_postprocess({"token_ids": token_ids})


def check_captions(found, captioner, atol=1e-4, **options):
    expected = captioner.generate(IMAGES, return_all_beams=True, capitalize=False, **options)
    assert words(found["token_ids"], captioner) == [[b.text for b in row] for row in expected]
    for name, field in (("log_probabilities", "log_probability"), ("scores", "score")):
        values = [[getattr(beam, field) for beam in row] for row in expected]
        np.testing.assert_allclose(found[name], values, atol=atol)


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


def test_greedy_search_of_an_lstm(tmp_path):
    captioner = tiny("lstm")
    captioner.export(tmp_path / "greedy.onnx", num_beams=1, no_repeat_ngram_size=3, max_length=5)
    found = run(tmp_path / "greedy.onnx", IMAGES)
    assert found["token_ids"].shape == (5, 1, 5)
    check_captions(found, captioner, num_beams=1, no_repeat_ngram_size=3, max_length=5)


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


@pytest.mark.parametrize(("quantization", "error"), [("float16", 0.02), ("int8", 0.5)])
def test_smaller_weights(captioner, beams, tmp_path, quantization, error):
    path = tmp_path / "smaller.onnx"
    captioner.export(path, num_beams=3, length_penalty=0.7, quantization=quantization)
    assert read_metadata(path)["quantization"] == quantization
    found = run(path, IMAGES)["log_probabilities"][:, 0]
    expected = run(beams, IMAGES)["log_probabilities"][:, 0]
    assert 1e-5 < np.abs(found - expected).max() < error

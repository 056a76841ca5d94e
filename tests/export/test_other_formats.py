"""A tiny captioner as a SavedModel, an OpenVINO model and a LiteRT file."""

import json

import keras
import numpy as np
import pytest
from captioner_checks import picture
from export_checks import IMAGES, H, W, check_captions, tiny

from keras_showattend.export.resizing import fit_images
from keras_showattend.preprocessing import load_image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports from TensorFlow"),
]

OPTIONS = {"num_beams": 3, "length_penalty": 0.7}


@pytest.fixture(scope="module")
def captioner():
    return tiny()


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 90), (200, 120), (H, W)])
def test_images_are_fitted_as_pillow_does(size, crop):
    image = picture(1, *size)
    found = fit_images(np.stack([image, image]), (H, W), crop)
    expected = load_image(image, (H, W), crop=crop).astype(int)
    difference = np.abs(np.asarray(found[1], int) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.1


def test_saved_model(captioner, tmp_path):
    import tensorflow as tf

    served = tmp_path / "new" / "served"
    captioner.export(served, "tf_saved_model", **OPTIONS)
    signature = tf.saved_model.load(served).signatures["serving_default"]
    found = signature(images=tf.constant(np.stack(IMAGES)))
    check_captions({name: value.numpy() for name, value in found.items()}, captioner, **OPTIONS)
    image = picture(3, 200, 120)
    fitted = captioner.preprocessor.image_converter.load(image)
    one, other = (signature(images=tf.constant(x[None])) for x in (image, fitted))
    np.testing.assert_allclose(one["log_probabilities"], other["log_probabilities"], atol=0.03)
    text = (served / "assets.extra" / "captioner.json").read_text()
    assert json.loads(text)["grid"] == [4, 6]
    with pytest.raises(ValueError, match="must be new or empty: name another"):
        captioner.export(served, "tf_saved_model")
    with pytest.raises(ValueError, match="holds weights in float32"):
        captioner.export(tmp_path / "other", "tf_saved_model", quantization="int8")


def test_openvino(captioner, tmp_path):
    openvino = pytest.importorskip("openvino")
    captioner.export(tmp_path / "captioner.xml", **OPTIONS)
    core = openvino.Core()
    model = core.read_model(tmp_path / "captioner.xml")
    assert json.loads(model.get_rt_info("keras_showattend").astype(str))["grid"] == [4, 6]
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = compiled(np.stack(IMAGES))
    found = {output.any_name: outputs[output] for output in compiled.outputs}
    check_captions(found, captioner, **OPTIONS)
    image = picture(3, 200, 120)
    fitted = captioner.preprocessor.image_converter.load(image)
    for one, other in zip(
        compiled(image[None]).values(), compiled(fitted[None]).values(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=0.03)


def test_litert(captioner, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    captioner.export(tmp_path / "captioner.tflite", **OPTIONS)
    runner = interpreter.Interpreter(str(tmp_path / "captioner.tflite")).get_signature_runner(
        "serve"
    )
    check_captions(runner(images=np.stack(IMAGES)), captioner, **OPTIONS)
    assert json.loads((tmp_path / "captioner.json").read_text())["grid"] == [4, 6]

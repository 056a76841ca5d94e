"""Training spread over devices by `keras.distribution`: the same numbers as on one."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import json
import keras
import numpy as np
from keras_showattend import CaptionImageConverter, CaptionTokenizer, create_captioner

CAPTIONS = ["a red dog runs", "a big cat sits on grass", "grass", "a dog on grass", "a cat"]
pixels = np.random.default_rng(3).integers(0, 256, (5, 8, 12, 3)).astype("uint8")
data = {"images": list(pixels), "captions": CAPTIONS}

def train():
    keras.utils.set_random_seed(7)
    images = keras.Input((8, 12, 3))
    encoder = keras.Model(images, keras.layers.Conv2D(10, 3, 4, padding="same")(images))
    captioner = create_captioner(
        encoder,
        tokenizer=CaptionTokenizer.from_captions(CAPTIONS, min_count=1),
        image_converter=CaptionImageConverter((8, 12), scale=1 / 255),
        image_shape=(8, 12, 3),
        sequence_length=7,
        embedding_dim=16,
        hidden_dim=24,
        attention_dim=20,
        dropout=0.0,
    )
    # Five captions in batches of four: the last batch is smaller than the number of devices.
    options = {"batch_size": 4, "verbose": 0, "feature_cache": None}
    found = {"loss": captioner.fit(data, epochs=2, **options).history["loss"]}
    beams = captioner.generate(list(pixels), num_beams=1, return_all_beams=True)
    found["log_probability"] = [beam.log_probability for row in beams for beam in row]
    found["devices"] = len(captioner.trainable_variables[0].value.devices())
    return found

alone = train()
keras.distribution.set_distribution(keras.distribution.DataParallel())
print(json.dumps([alone, train()]))
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_two_devices_learn_what_one_does():
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    alone, spread = json.loads(done.stdout.splitlines()[-1])
    assert (alone.pop("devices"), spread.pop("devices")) == (1, 2)
    assert alone["loss"][1] < alone["loss"][0]
    for name, values in alone.items():
        assert spread[name] == pytest.approx(values, rel=1e-4), name

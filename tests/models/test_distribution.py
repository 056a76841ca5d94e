"""Training spread over devices by `keras.distribution`: the same numbers as on one."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SUPPORT = pathlib.Path(__file__).parents[1] / "support"
SCRIPT = """
import json
import keras
from train_in_processes import data, make

def train():
    captioner = make(dropout=0.0)
    captioner.backbone.image_encoder.trainable = True
    # Five captions in batches of four: the last batch is smaller than the number of devices.
    options = {"batch_size": 4, "verbose": 0, "feature_cache": None}
    found = {"loss": captioner.fit(data(), epochs=2, **options).history["loss"]}
    beams = captioner.generate(data()["images"], num_beams=1, return_all_beams=True)
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
        "PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path]),
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

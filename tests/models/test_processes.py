"""Training over two processes on JAX: the same losses as in one."""

import importlib.util
import json
import os
import pathlib
import socket
import subprocess
import sys

import keras
import pytest

from keras_showattend.presets import check_preset
from keras_showattend.training import processes

SCRIPT = pathlib.Path(__file__).parents[1] / "support" / "train_in_processes.py"
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "train_processes.py"
pytest_plugins = ["cli_fixtures"]


def start(folder, index=None, address=None):
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    if index is not None:
        environment |= {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
            "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
        }
    return subprocess.Popen(
        [sys.executable, SCRIPT, folder, "5"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_two_processes_learn_what_one_does(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    running = [start(tmp_path / "two", index, address) for index in range(2)]
    running.append(start(tmp_path / "one"))
    outputs = [process.communicate(timeout=600) for process in running]
    for process, (_, errors) in zip(running, outputs, strict=True):
        assert process.returncode == 0, errors[-2000:]
    first, second, alone = (json.loads(output.splitlines()[-1]) for output, _ in outputs)
    assert (first["devices"], second["devices"], alone["devices"]) == (2, 2, 1)
    assert len(alone["losses"]) == 10
    # Of an epoch each, because dropout makes single steps differ.
    assert sum(alone["losses"][8:]) < sum(alone["losses"][:2])
    for found in (first, second):
        assert found["losses"] == pytest.approx(alone["losses"], rel=1e-5)
        words = ["distribution None", "batch_size=3, 2 processes", "CaptionStream", "each step"]
        for text, word in zip(found["refusals"], words, strict=True):
            assert word in text
    # Five images were encoded once, by one process or the other.
    indexes = [json.loads(path.read_text()) for path in tmp_path.glob("two/features/*/*.json")]
    assert sum(len(index["keys"]) for index in indexes) == 5


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_the_example(tiny_preset, photos, tmp_path):
    (photos / "captions.csv").write_text("image,caption\na.png,a dog runs\nd.png,a man rides\n")
    # One process, because two take twice as long and are tested above.
    words = ["--preset", tiny_preset, "--work", "work", "--processes", "1", "--epochs", "1"]
    ended = subprocess.run(
        [sys.executable, EXAMPLE, photos / "captions.csv", "--output", "mine", *words],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert " - loss: " in ended.stdout
    check_preset(tmp_path / "mine")
    # The states of training are gone, the features stay.
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["features"]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about TensorFlow")
def test_tf_distribute_is_refused(tiny_captioner):
    import tensorflow as tf

    assert processes.process_part() == (0, 1)
    captioner = tiny_captioner()
    with (
        tf.distribute.OneDeviceStrategy("/cpu:0").scope(),
        pytest.raises(ValueError, match=r"KERAS_BACKEND=jax.*`tf\.distribute` \(OneDevice"),
    ):
        captioner.fit({"images": ["a.png"], "captions": ["a dog"]})

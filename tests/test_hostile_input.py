"""Damaged and hostile files: a result or an error in words, never a crash, a hang or a bomb.

`scripts/faults.py` does the same with ten thousand images; see docs/reliability.md.
"""

import json
import pathlib
import shutil
import warnings

import numpy as np
import pytest
from cli_pictures import save_picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import CAPTIONS_FILES, images, mutations

from keras_showattend import CaptionDataset, ImageError, read_captions_file
from keras_showattend.preprocessing import load_image
from keras_showattend.presets import resolve_preset

PRESET = pathlib.Path(__file__).parents[1] / "presets" / "vgg16_gru_flickr8k"
CONFIGS = ("config.json", "task.json", "preprocessor.json", "metadata.json")


@pytest.fixture(scope="module")
def encoded():
    found = images()
    assert len(found) > 40
    return found


def attempt(function, *args, **options):
    """What a function returns, or the `ValueError` it raises; anything else fails the test."""
    try:
        return function(*args, **options)
    except ValueError as error:
        return error


def read(content):
    """What `load_image` makes of a file: pixels, or the message of its error."""
    with warnings.catch_warnings():
        # Pillow tells of odd metadata in warnings of several kinds.
        warnings.simplefilter("ignore")
        found = attempt(load_image, content, (16, 24), accept_truncated=True)
    if isinstance(found, ImageError):
        assert "Received: " in str(found)
        return str(found)
    assert (found.shape, found.dtype) == ((16, 24, 3), np.uint8)
    return found


def test_every_format_is_read(encoded):
    for content in encoded.values():
        assert isinstance(read(content), np.ndarray)


def test_damaged_images(encoded):
    found = [read(content) for _, content in mutations(encoded, 600)]
    refused = sum(isinstance(result, str) for result in found)
    # The mutations are neither all harmless nor all fatal.
    assert 60 < refused < 540


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.sampled_from(["JPEG RGB", "PNG RGB", "GIF P", "TIFF RGB"]))
def test_bytes_behind_a_good_start(encoded, tail, name):
    read(encoded[name][:40] + tail)


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    for seed, name in enumerate("ab"):
        save_picture(folder / f"{name}.png", seed)
    return folder


@pytest.mark.parametrize("name", CAPTIONS_FILES)
def test_damaged_captions_files(name, captions):
    refused = 0
    for _, content in mutations({name: CAPTIONS_FILES[name]}, 120):
        (captions / name).write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = attempt(read_captions_file, captions / name)
        assert isinstance(found, CaptionDataset) or str(found)
        refused += isinstance(found, ValueError)
    assert refused < 120


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(max_size=300))
def test_any_text_as_a_captions_file(captions, text):
    path = captions / "any.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = attempt(read_captions_file, path)
    assert isinstance(found, CaptionDataset) or str(found)


def test_damaged_configs_of_presets(tmp_path):
    folder = tmp_path / "preset"
    shutil.copytree(PRESET, folder)
    # Which would refuse every change of a config.
    (folder / "digests.json").unlink(missing_ok=True)
    assert resolve_preset(folder) == str(folder)
    originals = {name: (PRESET / name).read_bytes() for name in CONFIGS}
    for name, content in mutations(originals, 80):
        file = folder / name.split()[0]
        file.write_bytes(content)
        found = attempt(resolve_preset, folder)
        if isinstance(found, str):
            # What is let through is JSON.
            json.loads(content)
        else:
            assert str(found)
        file.write_bytes(originals[file.name])

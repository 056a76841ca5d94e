"""Descriptions that pass the checks and cannot be built are refused in words."""

import pathlib
import shutil

import pytest
from hub_attacks import edit

from keras_showattend import CaptionTokenizer, ImageCaptioner

pytest_plugins = ["cli_fixtures"]


@pytest.fixture
def preset(tiny_preset, tmp_path):
    return pathlib.Path(shutil.copytree(tiny_preset, tmp_path / "preset"))


def with_dtype(config):
    config["config"]["dtype"] = 6


def with_initializer(task):
    layers = task["config"]["backbone"]["config"]["image_encoder"]["config"]["backbone"]["config"]
    layers["layers"][2]["config"]["kernel_initializer"] = 0.5


@pytest.mark.parametrize(
    ("part", "name", "change", "kind"),
    [
        (ImageCaptioner, "config.json", with_dtype, "AttributeError"),
        (ImageCaptioner, "task.json", with_initializer, "TypeError"),
        (CaptionTokenizer, "tokenizer.json", with_dtype, "TypeError"),
        (CaptionTokenizer, "tokenizer.json", lambda config: config.pop("config"), "KeyError"),
    ],
)
def test_descriptions_that_cannot_be_built(preset, part, name, change, kind):
    # What `change` returns would be written in place of what it changed.
    edit(preset / name, lambda config: (change(config), config)[1])
    with pytest.raises(ValueError, match=rf"must describe what can be built.*\({kind}: .+\)$"):
        part.from_preset(preset)

"""A preset is resolved and checked once, however many functions its name goes through."""

import os

import pytest

from keras_showattend import CaptionTokenizer, ImageCaptioner, presets
from keras_showattend.cli.captioners import load_captioner, resolve_presets
from keras_showattend.cli.main import main
from keras_showattend.presets import resolve_preset, trust
from keras_showattend.presets.resolve import PresetFolder

pytest_plugins = ["hub_fixtures", "cli_fixtures"]


@pytest.fixture
def checked(monkeypatch):
    """List of the folders that were checked."""
    folders = []
    check = trust.check_preset

    def watched(folder):
        folders.append(os.fspath(folder))
        check(folder)

    monkeypatch.setattr(trust, "check_preset", watched)
    return folders


def test_a_folder(preset, checked):
    folder = resolve_preset(preset)
    assert folder == str(preset)
    assert isinstance(folder, PresetFolder)
    assert folder.public_name is None
    assert resolve_preset(folder) is folder
    ImageCaptioner.from_preset(folder)
    CaptionTokenizer.from_preset(folder)
    assert checked == [str(preset)]
    # A str of the same text is what a user may write.
    resolve_preset(str(folder))
    assert checked == [str(preset)] * 2


def test_several_for_the_command_line(preset, checked):
    folders = resolve_presets([preset, preset])
    load_captioner(folders)
    assert checked == [str(preset)] * 2


@pytest.mark.parametrize("command", ["caption", "explain"])
def test_commands(preset, photos, checked, capsys, command):
    (picture, *_) = sorted(photos.rglob("*.png")) + sorted(photos.rglob("*.jpg"))
    assert main([command, str(picture), "--preset", str(preset)]) == 0, capsys.readouterr().err
    assert checked == [str(preset)]


def test_registered_names_are_public_only_if_bundled(preset):
    presets.register_preset("mine-for-now", preset)
    try:
        assert resolve_preset("mine-for-now").public_name is None
    finally:
        del presets.registry.REGISTRY["mine-for-now"]
    assert resolve_preset("vgg16_gru_flickr8k").public_name == "vgg16_gru_flickr8k"

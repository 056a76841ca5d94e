"""Names of presets, and folders that are none."""

import json
import shutil

import pytest

from keras_showattend import ImageCaptioner
from keras_showattend.presets import (
    Preset,
    bundled_presets,
    files,
    list_presets,
    register_preset,
    registry,
    resolve_preset,
)


@pytest.fixture(scope="module")
def saved(tiny_captioner, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "preset"
    tiny_captioner().save_to_preset(path)
    return path


@pytest.fixture
def folder(saved, tmp_path):
    """A preset folder to damage."""
    return shutil.copytree(saved, tmp_path / "own")


@pytest.fixture
def bundle(saved, tmp_path, monkeypatch):
    """Two bundled presets, "small" and "large", the second of which is not in this copy."""
    known = [Preset(n, f"A {n} one.", license="Apache-2.0") for n in ("small", "large")]
    monkeypatch.setattr(registry, "REGISTRY", {preset.name: preset for preset in known})
    monkeypatch.setattr(registry, "BUNDLED", tmp_path / "bundle")
    shutil.copytree(saved, tmp_path / "bundle" / "small")
    return tmp_path / "bundle"


def test_bundled_presets(bundle):
    found = bundled_presets()
    assert list(found) == ["small"]
    assert found["small"]["description"] == "A small one."
    assert found["small"]["license"] == "Apache-2.0"
    assert found["small"]["path"] == str(bundle / "small")
    assert ImageCaptioner.presets == found
    assert [preset.name for preset in list_presets()] == ["small", "large"]


def test_what_came_with_this_copy():
    assert {"vgg16_gru_flickr8k", "vgg19_gru_flickr8k"} <= {p.name for p in list_presets()}
    for metadata in bundled_presets().values():
        assert metadata["description"]
        assert metadata["license"] == "Apache-2.0 AND CC-BY-4.0"


def test_registered_folder(bundle, folder):
    register_preset("mine", folder, "My own.")
    assert [preset.name for preset in list_presets()] == ["small", "large", "mine"]
    assert resolve_preset("mine") == str(folder)
    assert list(bundled_presets()) == ["small"]
    assert type(ImageCaptioner.from_preset("mine")) is ImageCaptioner
    # A second time replaces the first.
    register_preset("mine", "hf://user/name")
    assert list_presets()[-1].location == "hf://user/name"


@pytest.mark.parametrize("name", ["small", "hf://user/name"])
def test_names_that_cannot_be_registered(bundle, folder, name):
    with pytest.raises(ValueError, match=rf"must be new and not a handle.*name='{name}'"):
        register_preset(name, folder)


def test_a_bundled_preset_that_is_not_there(bundle):
    with pytest.raises(ValueError, match="Received: 'large'"):
        resolve_preset("large")


def test_a_name_is_found_before_a_folder(bundle, tmp_path, monkeypatch):
    (tmp_path / "work" / "small").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    assert resolve_preset("small") == str(bundle / "small")


def test_by_name(bundle):
    assert type(ImageCaptioner.from_preset("small")) is ImageCaptioner


@pytest.mark.parametrize("name", ["smal", "vgg99_gru_moon", "nowhere/at/all"])
def test_unknown_name_lists_the_known(bundle, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"\['large', 'small'\]") as caught:
        ImageCaptioner.from_preset(name)
    assert f"Received: {name!r}" in str(caught.value)


def test_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert resolve_preset("~/own") == str(folder)


@pytest.mark.parametrize("name", files.REQUIRED_FILES)
def test_a_file_missing(folder, name):
    (folder / name).unlink()
    message = rf"must hold what `ImageCaptioner.save_to_preset` writes.*own' without \['{name}'\]"
    with pytest.raises(ValueError, match=message):
        ImageCaptioner.from_preset(folder)


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"without \['config.json', 'task.json', "):
        resolve_preset(tmp_path)


def test_a_file_for_a_folder(folder):
    with pytest.raises(ValueError, match="A preset must be a known name, the path of"):
        resolve_preset(folder / "config.json")


def set_metadata(folder, **values):
    path = folder / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_format(folder, version):
    set_metadata(folder, preset_format=version)
    with pytest.raises(ValueError, match=rf"(?s)pip install --upgrade.*{version}"):
        ImageCaptioner.from_preset(folder)


@pytest.mark.parametrize("version", ["1", None, True, 1.5])
def test_a_format_that_is_no_number(folder, version):
    set_metadata(folder, preset_format=version)
    with pytest.raises(ValueError, match=r"`preset_format` is an int.*metadata\.json"):
        ImageCaptioner.from_preset(folder)


def test_before_formats_had_a_number(folder):
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["preset_format"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    assert type(ImageCaptioner.from_preset(folder)) is ImageCaptioner


def test_without_metadata(folder):
    (folder / "metadata.json").unlink()
    assert type(ImageCaptioner.from_preset(folder)) is ImageCaptioner


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe{}"])
def test_damaged_metadata(folder, content):
    (folder / "metadata.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"Received: '.*metadata\.json'"):
        ImageCaptioner.from_preset(folder)


def test_damaged_weights(folder):
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises((OSError, ValueError)):
        ImageCaptioner.from_preset(folder)


def test_the_wrong_number_of_words(folder):
    path = folder / "assets" / "tokenizer" / "vocabulary.txt"
    path.write_text("dog\ncat\n")
    with pytest.raises(ValueError, match=r"the digests in its .* with other \['assets/tokenizer"):
        ImageCaptioner.from_preset(folder)
    # Made by hand, on purpose.
    (folder / "digests.json").unlink()
    with pytest.raises(ValueError, match="must begin with the special tokens"):
        ImageCaptioner.from_preset(folder)


def test_a_handle_is_fetched(saved, monkeypatch):
    import huggingface_hub

    asked = []

    def snapshot_download(repo_id, revision=None, **options):
        asked.append((repo_id, revision))
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    captioner = ImageCaptioner.from_preset("hf://user/name@v2")
    assert type(captioner) is ImageCaptioner
    assert asked[0] == ("user/name", "v2")


def test_load_weights_of_another_size(folder):
    path = folder / "task.json"
    config = json.loads(path.read_text())
    config["config"]["backbone"]["config"]["hidden_dim"] = 11
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="could not be loaded"):
        ImageCaptioner.from_preset(folder)

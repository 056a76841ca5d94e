"""Names of presets, and folders that are none."""

import json
import shutil

import keras
import pytest

from keras_showattend import ImageCaptioner, presets
from keras_showattend.presets import bundled_presets, check_preset_folder, resolve_preset


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
    """Two bundled presets, "large" and "small"."""
    for name in ("small", "large"):
        copy = shutil.copytree(saved, tmp_path / "bundle" / name)
        metadata = json.loads((copy / "metadata.json").read_text())
        metadata |= {"description": f"A {name} one.", "license": "Apache-2.0"}
        (copy / "metadata.json").write_text(json.dumps(metadata))
    monkeypatch.setattr(presets, "BUNDLED", tmp_path / "bundle")
    return tmp_path / "bundle"


def test_bundled_presets(bundle):
    found = bundled_presets()
    assert list(found) == ["large", "small"]
    assert found["small"]["description"] == "A small one."
    assert found["small"]["license"] == "Apache-2.0"
    assert found["small"]["path"] == str(bundle / "small")
    assert ImageCaptioner.presets == found


def test_what_came_with_this_copy():
    for name, metadata in bundled_presets().items():
        assert metadata["description"], name
        check_preset_folder(metadata["path"])


def test_without_bundled_presets(tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "BUNDLED", tmp_path / "nowhere")
    assert bundled_presets() == {}
    with pytest.raises(ValueError, match=r"Bundled: \[\]\. Received: 'small'"):
        resolve_preset("small")


def test_a_name_is_found_before_a_folder(bundle, tmp_path, monkeypatch):
    (tmp_path / "work" / "small").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    assert resolve_preset("small") == str(bundle / "small")


def test_by_name(bundle):
    assert type(ImageCaptioner.from_preset("small")) is ImageCaptioner


@pytest.mark.parametrize("name", ["smal", "", "vgg99_gru_moon"])
def test_unknown_name_lists_the_known(bundle, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"\['large', 'small'\]") as caught:
        ImageCaptioner.from_preset(name or "nothing")
    assert f"Received: {name or 'nothing'!r}" in str(caught.value)


def test_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert resolve_preset("~/own") == str(folder)


@pytest.mark.parametrize("name", presets.REQUIRED_FILES)
def test_a_file_missing(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match="must hold what `ImageCaptioner.save_to_preset` writes"):
        check_preset_folder(folder)
    with pytest.raises(ValueError, match=rf"own' without \['{name}'\]"):
        ImageCaptioner.from_preset(folder)


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"without \['config.json', 'task.json', "):
        resolve_preset(tmp_path)


def test_a_file_for_a_folder(folder):
    with pytest.raises(ValueError, match="A preset must be a bundled name, the path of"):
        resolve_preset(folder / "config.json")


def set_metadata(folder, **values):
    path = folder / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("version", [2, 99, "1.5", None])
def test_a_newer_format(folder, version):
    set_metadata(folder, preset_format=version)
    with pytest.raises(ValueError, match=rf"pip install --upgrade.*of format {version!r}"):
        ImageCaptioner.from_preset(folder)


def test_before_formats_had_a_number(folder):
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["preset_format"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    assert type(ImageCaptioner.from_preset(folder)) is ImageCaptioner


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe{}"])
def test_damaged_metadata(folder, content):
    (folder / "metadata.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"metadata\.json.* must (be|hold) a JSON object"):
        ImageCaptioner.from_preset(folder)


def test_damaged_metadata_of_a_bundled_preset(bundle):
    (bundle / "large" / "metadata.json").write_text("{")
    with pytest.raises(ValueError, match=r"Received: '.*large.*metadata\.json'"):
        bundled_presets()


def test_damaged_weights(folder):
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises((OSError, ValueError)):
        ImageCaptioner.from_preset(folder)


def test_the_wrong_number_of_words(folder):
    path = folder / "assets" / "tokenizer" / "vocabulary.txt"
    path.write_text("dog\ncat\n")
    with pytest.raises(ValueError, match="must begin with the special tokens"):
        ImageCaptioner.from_preset(folder)


def test_a_handle_reaches_the_hub(saved, monkeypatch):
    import huggingface_hub

    asked = []

    def snapshot_download(repo_id, revision=None, **options):
        asked.append((repo_id, revision))
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    captioner = ImageCaptioner.from_preset("hf://user/name@v2")
    assert type(captioner) is ImageCaptioner
    assert asked[0] == ("user/name", "v2")


@pytest.mark.parametrize("scheme", ["kaggle://", "modelscope://"])
def test_other_handles_are_kerashubs(scheme):
    assert resolve_preset(f"{scheme}user/name") == f"{scheme}user/name"


def test_load_weights_of_another_size(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["config"]["hidden_dim"] = 11
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="shape|Shape"):
        ImageCaptioner.from_preset(folder)
    keras.backend.clear_session()

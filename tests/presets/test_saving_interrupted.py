"""Saves that are killed, meet a full disk or another writer: the old preset or the new one."""

import contextlib
import errno
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import pytest

from keras_showattend import ImageCaptioner
from keras_showattend._locks import exclusive
from keras_showattend.presets import files, resolve_preset
from keras_showattend.presets.exchange import COMMITTED, STAGED, exchanged_files

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork, signals and limits")
SUPPORT = pathlib.Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def captioners(tiny_captioner):
    """Two captioners whose vocabularies and weights do not fit one another."""
    keras.utils.set_random_seed(3)
    return tiny_captioner(), tiny_captioner(words=("a", "cat", "dog", "sleeps"))


@pytest.fixture(scope="module")
def saved(captioners, tmp_path_factory):
    """The folders of the two."""
    root = tmp_path_factory.mktemp("saved")
    for name, captioner in zip(("old", "new"), captioners, strict=True):
        captioner.save_to_preset(root / name)
    (root / "old" / "evaluation.json").write_text("{}")
    return root / "old", root / "new"


@pytest.fixture
def preset(saved, tmp_path):
    """A copy of the old preset that a test saves over."""
    return shutil.copytree(saved[0], tmp_path / "preset")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@posix
def test_killed_at_every_file_operation(saved, tmp_path):
    result = subprocess.run(
        [sys.executable, SUPPORT / "killed_saves.py", *saved, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert len(found) > 40
    # First the old one, then the new one, and nothing else before, between or after.
    assert [state for state, _ in itertools.groupby(found)] == ["old", "new"]


def test_what_was_measured_of_other_weights_is_set_aside(captioners, preset):
    (preset / "README.md").write_text("mine")
    captioners[1].save_to_preset(preset)
    assert (preset / "evaluation.previous.json").read_text() == "{}"
    assert not (preset / "evaluation.json").exists()
    assert (preset / "README.md").read_text() == "mine"
    # Of the same weights it stays.
    (preset / "evaluation.json").write_text('{"scores": {}}')
    captioners[1].save_to_preset(preset)
    assert (preset / "evaluation.json").read_text() == '{"scores": {}}'


def test_vocabulary_of_another_preset(saved, preset):
    shutil.copy(saved[1] / files.VOCABULARY_FILE, preset / files.VOCABULARY_FILE)
    with pytest.raises(ValueError, match=r"digests\.json.*with other \['assets/tokenizer"):
        ImageCaptioner.from_preset(preset)


def test_a_committed_save_in_a_folder_that_cannot_be_written(preset, monkeypatch):
    with exchanged_files(preset) as folder:
        (folder / "LICENSE").write_text("new")
        shutil.copytree(folder, preset.parent / "kept")
    (preset.parent / "kept" / "plan.json").write_text('{"remove": [], "set_aside": []}')
    shutil.copytree(preset.parent / "kept", preset / COMMITTED)
    (preset / "LICENSE").write_text("old")

    def refuse(source, target):
        raise PermissionError(errno.EACCES, "Permission denied", str(target))

    with monkeypatch.context() as patch:
        # As root the tests may write everywhere.
        patch.setattr(os, "replace", refuse)
        with pytest.raises(ValueError, match=r"was interrupted.*Received: .*Permission denied"):
            resolve_preset(preset)
    resolve_preset(preset)
    assert (preset / "LICENSE").read_text() == "new"
    assert not (preset / COMMITTED).exists()


@posix
def test_a_stranger_cannot_have_files_moved_or_deleted_elsewhere(preset, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (preset / "link").symlink_to(tmp_path / "elsewhere")
    committed = preset / COMMITTED
    committed.mkdir()
    plans = [{"remove": ["../secret.txt"], "set_aside": []}]
    plans += [{"remove": [], "set_aside": ["../secret.txt"]}]
    plans += [{"remove": [str(secret)], "set_aside": []}]
    for plan in plans:
        (committed / "plan.json").write_text(json.dumps(plan))
        with pytest.raises(ValueError, match="must stay inside"):
            resolve_preset(preset)
    for plan in ([], {}, {"remove": [], "set_aside": [3]}, {"remove": "config.json"}):
        (committed / "plan.json").write_text(json.dumps(plan))
        with pytest.raises(ValueError, match="must hold what saving writes"):
            resolve_preset(preset)
    (committed / "plan.json").write_text(json.dumps(plans[0]))
    (committed / "link").mkdir()
    (committed / "link" / "evil.txt").write_text("evil")
    with pytest.raises(ValueError, match="must stay inside"):
        resolve_preset(preset)
    assert secret.read_text() == "secret"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_another_writer_is_told(captioners, preset):
    before = contents(preset)
    with (
        exclusive(preset / STAGED),
        pytest.raises(BlockingIOError, match=rf"in use by process {os.getpid()}"),
    ):
        captioners[1].save_to_preset(preset)
    assert contents(preset) == before


@contextlib.contextmanager
def file_size_limit(size):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@posix
def test_no_room_for_the_weights(captioners, preset, tmp_path):
    before = contents(preset)
    for target in (preset, tmp_path / "fresh"):
        with (
            file_size_limit(100_000),
            pytest.raises(OSError, match=r"takes 1 MB for a moment\. Free some space") as caught,
        ):
            captioners[1].save_to_preset(target)
        assert caught.value.errno == errno.EFBIG
        assert caught.value.filename == str(target)
    assert contents(preset) == before
    assert not (tmp_path / "fresh").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@posix
def test_full_disk(captioners, small_disk):
    preset = small_disk / "preset"
    captioners[0].save_to_preset(preset)
    before = contents(preset)
    (small_disk / "photos").write_bytes(b"0" * 2_500_000)
    with pytest.raises(OSError, match="No space left") as caught:
        captioners[1].save_to_preset(preset)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(preset)
    assert contents(preset) == before
    assert type(ImageCaptioner.from_preset(preset)) is ImageCaptioner
    (small_disk / "photos").unlink()
    # The folder is a mounted one itself.
    captioners[1].save_to_preset(small_disk)
    resolve_preset(small_disk)

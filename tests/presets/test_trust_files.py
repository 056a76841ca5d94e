"""Files as an attacker would make them: each is refused, and its aim is not reached."""

import io
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest
from hub_attacks import refuse

from keras_showattend.presets import check_preset

pytest_plugins = ["hub_fixtures"]


@pytest.fixture
def aim(tmp_path):
    """A file that the attacker wants to appear."""
    path = tmp_path / "owned"
    yield path
    assert not path.exists(), "the attacker reached the aim"


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def pickled_array(aim):
    file = io.BytesIO()
    np.save(file, np.array([Bomb(aim)], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("name", ["optimizer.pkl", "notes.txt", "assets/tokenizer/merges.txt"])
def test_pickles(preset, aim, name):
    (preset / name).write_bytes(pickle.dumps(Bomb(aim)))
    refuse(preset, "pickled objects")


def test_pickles_inside_arrays_and_archives(preset, aim):
    (preset / "mean.npy").write_bytes(pickled_array(aim))
    refuse(preset, "pickled objects")
    np.save(preset / "mean.npy", np.zeros(3))
    check_preset(preset)
    with zipfile.ZipFile(preset / "pytorch_model.bin", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Bomb(aim)))
    refuse(preset, "pickled objects")


def test_pickle_in_place_of_weights(preset, aim):
    (preset / "model.weights.h5").write_bytes(b"\0" + pickle.dumps(Bomb(aim)))
    refuse(preset, "must be an HDF5 file")


def test_links_out_of_the_folder(preset, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("\n".join(["<pad>", "<start>", "<end>", "<unk>", "password"]))
    vocabulary = preset / "assets" / "tokenizer" / "vocabulary.txt"
    vocabulary.unlink()
    vocabulary.symlink_to(secret)
    refuse(preset, "link out of its folder")
    vocabulary.unlink()
    vocabulary.symlink_to(os.path.relpath(secret, vocabulary.parent))
    refuse(preset, "link out of its folder")
    (preset / "assets" / "tokenizer").rename(tmp_path / "elsewhere")
    (preset / "assets" / "tokenizer").symlink_to(tmp_path / "elsewhere")
    refuse(preset, "link out of its folder")


def test_links_of_the_cache_are_allowed_and_no_others(preset, tmp_path):
    repo = tmp_path / "models--alice--tiny"
    snapshot = repo / "snapshots" / "abc"
    snapshot.parent.mkdir(parents=True)
    preset.rename(snapshot)
    (repo / "blobs").mkdir()
    for name in ("config.json", "assets/tokenizer/vocabulary.txt"):
        blob = repo / "blobs" / name.replace("/", "_")
        (snapshot / name).rename(blob)
        (snapshot / name).symlink_to(os.path.relpath(blob, (snapshot / name).parent))
    check_preset(snapshot)
    other = tmp_path / "models--bob--private" / "blobs" / "config"
    other.parent.mkdir(parents=True)
    other.write_bytes((snapshot / "config.json").read_bytes())
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(other)
    refuse(snapshot, "link out of its folder")


def test_many_files(preset):
    for number in range(1001):
        (preset / f"{number}.jpg").touch()
    (preset / "captions.json").write_text('{"a": "' + "x" * 11 * 2**20 + '"}')
    # Yours, and none that loading reads.
    check_preset(preset)
    for number in range(1001):
        (preset / "assets" / f"{number}.txt").touch()
    refuse(preset, "at most 1000 assets")


@pytest.mark.parametrize("content", [b"<pad>\n\xff\xfe", b"<pad>\n\0"])
def test_vocabulary_that_is_not_text(preset, content):
    (preset / "assets/tokenizer/vocabulary.txt").write_bytes(content)
    refuse(preset, "UTF-8")


def spoil_weights(preset, change):
    path = preset / "model.weights.h5"
    with h5py.File(path, "a") as file:
        change(file)


def secret_file(tmp_path):
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["salary"] = np.ones(3)
    return path


def test_weights_that_link_to_another_file(preset, tmp_path):
    secret = secret_file(tmp_path)
    secret.chmod(0o000)
    before = os.stat(secret).st_atime_ns
    spoil_weights(preset, lambda f: f.__setitem__("x", h5py.ExternalLink(str(secret), "salary")))
    refuse(preset, "must not hold links")
    assert os.stat(secret).st_atime_ns == before


def test_weights_that_link_to_themselves(preset):
    spoil_weights(preset, lambda file: file.__setitem__("x", h5py.SoftLink("/layers")))
    refuse(preset, "must not hold links")


def test_weights_stored_in_another_file(preset, tmp_path):
    secret = tmp_path / "id_rsa"
    secret.write_bytes(b"private key")

    def change(file):
        file.create_dataset("x", shape=(11,), dtype="u1", external=[(str(secret), 0, 11)])

    spoil_weights(preset, change)
    refuse(preset, "hold its arrays itself")
    assert secret.read_bytes() == b"private key"


def test_virtual_weights(preset, tmp_path):
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(secret_file(tmp_path)), "salary", shape=(3,))
    spoil_weights(preset, lambda file: file.create_virtual_dataset("x", layout))
    refuse(preset, "hold its arrays itself")


def test_weights_that_unpack_to_more_than_the_file(preset):
    spoil_weights(
        preset, lambda file: file.create_dataset("x", (10**9, 10**9), "f4", chunks=(1000, 1000))
    )
    refuse(preset, "store its arrays in full")
    assert (preset / "model.weights.h5").stat().st_size < 10**6


@pytest.mark.parametrize("dtype", [h5py.string_dtype(), h5py.ref_dtype, "V64", "S8"])
def test_weights_that_are_not_numbers(preset, dtype):
    spoil_weights(preset, lambda file: file.create_dataset("x", (2,), dtype))
    refuse(preset, "only numbers")


def test_weights_with_a_loop(preset):
    # A hard link to a group above it: a walk without memory would not end.
    spoil_weights(preset, lambda file: file["layers"].__setitem__("again", file["layers"]))
    check_preset(preset)


def test_truncated_weights(preset):
    path = preset / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:3000])
    refuse(preset, "HDF5")


def test_weights_stored_in_half_are_accepted(preset):
    spoil_weights(preset, lambda file: file.__setitem__("x", np.zeros(4, "f2")))
    spoil_weights(preset, lambda file: file.__setitem__("y", np.zeros(4, "V2")))
    check_preset(preset)

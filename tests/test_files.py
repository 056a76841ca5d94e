"""Files that appear whole or not at all."""

import errno
import os

import pytest

from keras_showattend._files import replacing, write_text


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("old")
    with replacing(path) as partial:
        assert partial.parent == tmp_path
        assert partial.name.endswith("scores.json")
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file(tmp_path):
    path = tmp_path / "scores.json"

    def fill():
        with replacing(path):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*/scores\.json'") as caught:
        fill()
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_is_a_message_alone_is_kept(tmp_path):
    def fail():
        with replacing(tmp_path / "a.h5"):
            raise OSError("HDF5 cannot write")

    with pytest.raises(OSError, match="HDF5 cannot write"):
        fail()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
def test_a_pipe_stays_one(tmp_path):
    path = tmp_path / "pipe.json"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(path, "scores")
        assert os.read(reader, 100) == b"scores"
    finally:
        os.close(reader)
    assert path.is_fifo()


def test_text_is_utf_8(tmp_path):
    write_text(tmp_path / "a.txt", "ein Hündchen\n")
    assert (tmp_path / "a.txt").read_bytes() == "ein Hündchen\n".encode()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'.*/gone/a\.txt'"):
        write_text(tmp_path / "gone" / "a.txt", "text")

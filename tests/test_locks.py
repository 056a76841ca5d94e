import os
import socket
import subprocess
import sys

import pytest

from keras_showattend._locks import exclusive

HOLD = (
    "import sys; from keras_showattend._locks import exclusive\n"
    "with exclusive(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def other_process(tmp_path):
    """A process that holds `tmp_path / "rows.csv"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "rows.csv")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_another_process_is_told_who_holds_the_file(tmp_path, other_process):
    with pytest.raises(BlockingIOError) as refusal, exclusive(tmp_path / "rows.csv"):
        pass
    message = str(refusal.value)
    assert repr(str(tmp_path / "rows.csv")) in message
    assert f"in use by process {other_process.pid} on {socket.gethostname()} since 20" in message
    # The refused one has not taken the lock from the holder.
    with pytest.raises(BlockingIOError), exclusive(tmp_path / "rows.csv"):
        pass
    with exclusive(tmp_path / "other.csv"):
        pass


def test_a_lock_that_a_killed_process_left_keeps_nobody_out(tmp_path, other_process):
    other_process.kill()
    other_process.wait()
    assert os.listdir(tmp_path) == [".rows.csv.lock"]
    with exclusive(tmp_path / "rows.csv"):
        pass
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_and_it_can_be_held_again(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), exclusive(tmp_path / "rows.csv"):
            raise KeyError
        assert os.listdir(tmp_path) == []


def test_a_damaged_record_is_no_obstacle(tmp_path):
    for content in (b"", b"{", b"[1]", b'{"pid": 1}', b"\xff"):
        (tmp_path / ".rows.csv.lock").write_bytes(content)
        with exclusive(tmp_path / "rows.csv"):
            pass

"""`Claims`: real processes take different keys, and a dead one's keys are free."""

import signal
import subprocess
import sys

import pytest

from keras_showattend.data.claims import Claims

HOLD = """
import pathlib, sys, time
from keras_showattend.data.claims import Claims
with Claims(pathlib.Path(sys.argv[1])).take(["a", "b", "c", "d"], 2) as mine:
    print(*mine, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "a b\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_keeps_its_keys_until_it_dies(tmp_path, holder):
    claims = Claims(tmp_path)
    with claims.take(["a", "b", "c", "d"], 3) as mine:
        assert mine == ["c", "d"]
        with Claims(tmp_path).take(["d", "e", "a"], 3) as third:
            assert third == ["e"]
        with Claims(tmp_path).take(["a", "c"], 3) as nothing:
            assert nothing == []
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with claims.take(["a", "b", "c", "d"], 3) as mine:
        assert mine == ["a", "b", "c"]
    assert [path.name for path in tmp_path.glob("*.json")] == []


def test_keys_are_free_after_an_error(tmp_path):
    with pytest.raises(KeyError), Claims(tmp_path).take(["a"], 1):
        raise KeyError
    with Claims(tmp_path).take(["a"], 1) as mine:
        assert mine == ["a"]


def test_without_locks_each_takes_all(tmp_path):
    file = tmp_path / "file"
    file.touch()
    # No folder can be made inside a file, as on a disk that cannot be written.
    with Claims(file / "claims").take(["a", "b"], 2) as mine:
        assert mine == ["a", "b"]

"""State dicts of PyTorch before 1.6, read without it and without running what they name."""

import os
import pickle

import numpy as np
import pytest

from keras_showattend.encoders.torch_file import MAGIC, read_state_dict

torch = pytest.importorskip("torch")


def save(path, state, **options):
    torch.save(state, path, **{"_use_new_zipfile_serialization": False, **options})
    return path


def test_values_and_dtypes(tmp_path):
    numbers = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = {
        "plain": numbers,
        "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "count": torch.tensor(7),
        # Two views of one storage: transposed, and from its middle.
        "turned": numbers.permute(2, 0, 1),
        "inner": numbers[1, 1:, ::2],
        "empty": torch.zeros(0, 5),
    }
    read = read_state_dict(save(tmp_path / "state.pth", state))
    assert list(read) == list(state)
    for name, tensor in state.items():
        assert read[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(read[name], tensor.numpy())


class Attack:
    def __reduce__(self):
        return os.system, ("echo attacked > attacked.txt",)


def test_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "attack.pth"
    with open(path, "wb") as file:
        for part in (MAGIC, 1001, {}, {"weight": Attack()}):
            pickle.dump(part, file, protocol=2)
    with pytest.raises(ValueError, match=r"Received: '.*attack.pth': it names \w+.system"):
        read_state_dict(path)
    assert not (tmp_path / "attacked.txt").exists()


def test_other_files(tmp_path):
    message = "must be a state dict as `torch.save` wrote it before PyTorch 1.6"
    new = save(tmp_path / "new.pth", {"a": torch.ones(2)}, _use_new_zipfile_serialization=True)
    numbers = save(tmp_path / "numbers.pth", {"a": 3})
    whole = save(tmp_path / "whole.pth", {"a": torch.ones(500)})
    cut = tmp_path / "cut.pth"
    cut.write_bytes(whole.read_bytes()[:-900])
    text = tmp_path / "text.pth"
    text.write_text("hello")
    for path in (new, numbers, cut, text):
        with pytest.raises(ValueError, match=message):
            read_state_dict(path)

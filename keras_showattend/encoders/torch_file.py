"""Weights from a `.pth` file, without PyTorch and without running what is in it."""

import os
import pickle
from collections import OrderedDict
from typing import Any, BinaryIO

import numpy as np

from keras_showattend._typing import PathLike

# The start of what `torch.save` wrote before PyTorch 1.6: this number, pickled.
MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8"}


def read_state_dict(path: PathLike) -> dict[str, np.ndarray]:
    """Reads the arrays of a state dict in PyTorch's format before version 1.6.

    The file is a pickle, which could run any code; only the names that tensors are made
    of are let through.

    Args:
        path: path of a file that `torch.save` wrote, of a dict from str to tensor.

    Returns:
        dict from str to array.

    Raises:
        ValueError: if the file is in another format or holds anything but tensors.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            if _Unpickler(file).load() != MAGIC:
                raise pickle.UnpicklingError("it does not begin like one")
            # Protocol version, and byte order and sizes of C types.
            for _ in range(2):
                _Unpickler(file).load()
            return _tensors(file)
    except (pickle.UnpicklingError, EOFError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            "The weights must be a state dict as `torch.save` wrote it before PyTorch 1.6 "
            "(`_use_new_zipfile_serialization=False` since then). "
            f"Received: '{name}': {error}"
        ) from error


def _tensors(file: BinaryIO) -> dict[str, np.ndarray]:
    reader = _Unpickler(file)
    state = reader.load()
    if not isinstance(state, dict) or not all(isinstance(v, _Tensor) for v in state.values()):
        raise pickle.UnpicklingError("it holds something other than tensors by name")
    storages = {}
    for key in _Unpickler(file).load():
        count = int.from_bytes(file.read(8), "little")
        dtype = np.dtype(reader.storages[key])
        data = file.read(count * dtype.itemsize)
        storages[key] = np.frombuffer(data, dtype, count)
    return {name: tensor.array(storages[tensor.storage]) for name, tensor in state.items()}


class _Tensor:
    """Where in which storage a tensor lies; arguments as `_rebuild_tensor_v2` takes them."""

    def __init__(
        self, storage: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self, storage: np.ndarray) -> np.ndarray:
        """The tensor's values, copied out of its storage."""
        positions = np.full(self.shape, self.offset, "int64")
        for axis, (size, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
            steps = np.arange(size) * stride
            positions += steps.reshape([-1 if i == axis else 1 for i in range(len(self.shape))])
        return storage[positions]


class _Unpickler(pickle.Unpickler):
    """Lets a pickle build dicts and tensors, and nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in DTYPES:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, saved_id: tuple[Any, ...]) -> str:
        kind, storage_type, key, *_ = saved_id
        if kind != "storage":
            raise pickle.UnpicklingError(f"it refers to a {kind!r}")
        self.storages[key] = DTYPES[storage_type]
        return key

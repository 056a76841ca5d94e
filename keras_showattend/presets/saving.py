"""Saves captioners as presets: all or nothing, in the dtype they came in, with their origin."""

import contextlib
import dataclasses
import errno
import importlib.metadata
import json
import math
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from keras_showattend._files import replacing
from keras_showattend._typing import PathLike
from keras_showattend.presets import files
from keras_showattend.presets.exchange import exchanged_files
from keras_showattend.presets.provenance import (
    QUANTIZED,
    Provenance,
    origin_of,
    relation_to,
    weights_digest,
)
from keras_showattend.presets.trust import check_preset, read_json

WEIGHT_DTYPES = (None, "float16")
_SHARDS_FILE = "model.weights.json"
# Descriptions and vocabulary, generously.
_OTHER_BYTES = 2**20


def save_preset(
    captioner: Any,
    write: Callable[[str], None],
    preset_dir: PathLike,
    weights_dtype: str | None = None,
) -> None:
    """Saves a captioner into a folder, which holds the old preset or the new one at any moment.

    Args:
        captioner: the `ImageCaptioner`.
        write: function of a folder that writes the captioner into it, in its own dtype.
        preset_dir: path of the destination, made if need be. A preset in it is replaced; other
            files stay, and what was measured of other weights is renamed, as to
            `evaluation.previous.json`.
        weights_dtype: `"float16"`, or None for the dtype in which the same weights were stored
            when they were loaded, and else the captioner's own.

    Raises:
        BlockingIOError: if another process is saving there.
        FileExistsError: if `preset_dir` is a file.
        OSError: if the disk has no room; nothing has been written then.
        OverflowError: if a weight does not fit into float16.
        ValueError: for an unknown `weights_dtype`, before anything is written; or for a
            captioner that `from_preset` would refuse.
    """
    if weights_dtype not in WEIGHT_DTYPES:
        raise ValueError(
            f"`weights_dtype` must be one of {WEIGHT_DTYPES}. "
            f"Received: weights_dtype={weights_dtype!r}"
        )
    destination = pathlib.Path(preset_dir).expanduser().absolute()
    if destination.exists() and not destination.is_dir():
        raise FileExistsError(f"A preset is saved into a folder. Received: file '{destination}'")
    provenance, stored_dtype = _provenance(captioner, weights_dtype)
    replaced = (*files.LOADED_FILES, _SHARDS_FILE)
    stale = () if _holds(destination, provenance) else files.RECORD_FILES
    with (
        _explained(destination),
        exchanged_files(destination, remove=replaced, set_aside=stale) as folder,
    ):
        _require_space(folder, _bytes_needed(captioner, stored_dtype))
        write(str(folder))
        if (folder / _SHARDS_FILE).exists():
            raise ValueError(
                "A preset holds its weights in one file. Raise `max_shard_size`. "
                f"Received: weights for {len(list(folder.glob('*.weights.h5')))} files"
            )
        if stored_dtype is not None:
            for path in folder.glob("*.weights.h5"):
                cast_weights(path, stored_dtype)
        for name, content in provenance.records.items():
            (folder / name).write_bytes(content)
        dtype = _float_dtype(folder / files.MODEL_WEIGHTS_FILE)
        _add_metadata(
            folder / files.METADATA_FILE, dataclasses.replace(provenance, weights_dtype=dtype)
        )
        _check_loads(folder, destination)
        files.write_digests(folder)


def _provenance(captioner: Any, weights_dtype: str | None) -> tuple[Provenance, str | None]:
    """Returns the record of a captioner's weights as they are now, and the dtype to store."""
    origin = origin_of(captioner)
    digest = weights_digest(captioner)
    dtype = weights_dtype
    if digest == origin.digest and dtype is None and origin.weights_dtype in WEIGHT_DTYPES:
        dtype = origin.weights_dtype
    stored_digest = digest if dtype is None else weights_digest(captioner, dtype)
    if stored_digest == origin.digest and digest == origin.digest:
        return origin, dtype
    if origin.digest is None:
        # Nothing was measured of weights that nobody has saved before.
        return dataclasses.replace(origin, digest=stored_digest), dtype
    relation = QUANTIZED if digest == origin.digest else relation_to(captioner)
    return origin.changed(stored_digest, relation), dtype


def _holds(folder: pathlib.Path, provenance: Provenance) -> bool:
    """Whether the weights that are saved in a folder are those of a record."""
    try:
        metadata = read_json(folder / files.METADATA_FILE)
    except (OSError, ValueError):
        return False
    return isinstance(metadata, dict) and metadata.get("digest") == provenance.digest


def _check_loads(folder: pathlib.Path, destination: pathlib.Path) -> None:
    """Refuses at saving what loading would refuse."""
    try:
        check_preset(folder)
    except ValueError as error:
        reason = str(error).replace(str(folder), str(destination))
        raise ValueError(
            "A captioner is saved only if `from_preset` would load it again. Build it of layers "
            "that presets may name, or register your own with "
            f"`keras.saving.register_keras_serializable`. {reason}"
        ) from error


def _bytes_needed(captioner: Any, dtype: str | None) -> list[int]:
    """Returns the sizes of the files that lie side by side while weights are written."""
    counts = [
        (math.prod(weight.shape), _itemsize(weight.dtype)) for weight in captioner.backbone.weights
    ]
    full = sum(count * size for count, size in counts)
    sizes = [full + _OTHER_BYTES]
    if dtype is not None:
        sizes.append(sum(count * min(size, _itemsize(dtype)) for count, size in counts))
    return sizes


def _itemsize(dtype: Any) -> int:
    name = str(dtype).rpartition(".")[2]
    return 2 if name == "bfloat16" else 1 if name.startswith("float8") else np.dtype(name).itemsize


def _require_space(folder: pathlib.Path, sizes: Sequence[int]) -> None:
    """Refuses a disk that is too full, before HDF5 writes: it ends the process where it fails.

    Args:
        folder: path of the folder to be written.
        sizes: bytes of the files that lie in it at once.

    Raises:
        OSError: if there is no room for them.
    """
    paths = [folder / f"reserved-{number}" for number in range(len(sizes))]
    try:
        for path, size in zip(paths, sizes, strict=True):
            with open(path, "wb") as file:
                if hasattr(os, "posix_fallocate"):
                    # It takes the blocks, so that quotas and limits count, too.
                    os.posix_fallocate(file.fileno(), 0, size)
                elif shutil.disk_usage(folder).free < sum(sizes):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise OSError(
            error.errno,
            f"Saving a preset takes {sum(sizes) / 1e6:.0f} MB for a moment. Free some space, or "
            f"save elsewhere. Received: {os.strerror(error.errno or 0)}",
        ) from error
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(destination: pathlib.Path) -> Iterator[None]:
    """Names the preset's folder in errors of the disk that name no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise type(error)(error.errno, error.strerror, os.fspath(destination)) from error
        raise


def cast_weights(path: pathlib.Path, dtype: str) -> None:
    """Rewrites the float32 arrays of a Keras weights file in another dtype.

    Keras casts to the variable's own dtype when it loads them.

    Args:
        path: path of a `.weights.h5` file.
        dtype: str.

    Raises:
        OverflowError: if a weight does not fit.
    """
    with (
        replacing(path) as partial,
        h5py.File(path, "r") as source,
        h5py.File(partial, "w") as target,
    ):
        _copy_attributes(source, target)

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                _copy_attributes(item, target.require_group(name))
                return
            values = item[()]
            if values.dtype == np.float32:
                if np.abs(values).max(initial=0) > np.finfo(dtype).max:
                    raise OverflowError(
                        f"Weights beyond {np.finfo(dtype).max} cannot be stored as {dtype}. "
                        f"Save with weights_dtype=None. Received: '{name}'"
                    )
                values = values.astype(dtype)
            _copy_attributes(item, target.create_dataset(name, data=values))

        source.visititems(copy)


def _copy_attributes(source: Any, target: Any) -> None:
    for key, value in source.attrs.items():
        target.attrs[key] = value


def _float_dtype(path: pathlib.Path) -> str | None:
    """Returns the dtype of all float arrays in a weights file; None if they have several."""
    found = set()

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            found.add(item.dtype.name)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found.pop() if len(found) == 1 else None


def _add_metadata(path: pathlib.Path, provenance: Provenance) -> None:
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["preset_format"] = files.PRESET_FORMAT
    metadata["keras_showattend_version"] = importlib.metadata.version("keras-showattend")
    metadata.update(provenance.to_metadata())
    path.write_text(json.dumps(metadata, indent=4), encoding="utf-8")

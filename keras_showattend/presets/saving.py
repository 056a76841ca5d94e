"""Preset folders that appear whole, with weights in the dtype that was asked for."""

import importlib.metadata
import json
import os
import pathlib
import tempfile

import h5py
import numpy as np

from keras_showattend.presets.files import CALIBRATION_FILE, PRESET_FORMAT

WEIGHT_DTYPES = (None, "float16")


def save_preset(write, preset_dir, weights_dtype=None):
    """Writes a preset beside its destination and moves it there when it is complete.

    Args:
        write: function of a folder that saves the preset into it.
        preset_dir: str. Destination.
        weights_dtype: None or `"float16"`.

    Raises:
        ValueError: for an unknown `weights_dtype`, before anything is written.
        OverflowError: if a weight does not fit into float16.
        FileExistsError: if `preset_dir` is a file.
    """
    if weights_dtype not in WEIGHT_DTYPES:
        raise ValueError(
            f"`weights_dtype` must be one of {WEIGHT_DTYPES}. "
            f"Received: weights_dtype={weights_dtype!r}"
        )
    destination = pathlib.Path(preset_dir).expanduser().absolute()
    if destination.exists() and not destination.is_dir():
        raise FileExistsError(f"A preset is saved into a folder. Received: file '{destination}'")
    destination.parent.mkdir(parents=True, exist_ok=True)
    # Beside the destination, so that moving is renaming and never copying.
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".preset-") as scratch:
        write(scratch)
        folder = pathlib.Path(scratch)
        if weights_dtype is not None:
            for path in folder.glob("*.weights.h5"):
                cast_weights(path, weights_dtype)
        _add_metadata(folder / "metadata.json")
        # Last of all the file by which a folder is known as a preset.
        files = [path for path in folder.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda p: (p.name == "config.json", p.name)):
            target = destination / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        if not (folder / CALIBRATION_FILE).exists():
            # One that was measured on the weights that have just been replaced.
            (destination / CALIBRATION_FILE).unlink(missing_ok=True)


def cast_weights(path, dtype):
    """Rewrites the float32 arrays of a Keras weights file in another dtype.

    Keras casts to the variable's own dtype when it loads them.

    Args:
        path: path of a `.weights.h5` file.
        dtype: str.
    """
    partial = path.with_name(path.name + ".partial")
    with h5py.File(path, "r") as source, h5py.File(partial, "w") as target:
        _copy_attributes(source, target)

        def copy(name, item):
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
    os.replace(partial, path)


def _copy_attributes(source, target):
    for key, value in source.attrs.items():
        target.attrs[key] = value


def _add_metadata(path):
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["preset_format"] = PRESET_FORMAT
    metadata["keras_showattend_version"] = importlib.metadata.version("keras-showattend")
    path.write_text(json.dumps(metadata, indent=4), encoding="utf-8")

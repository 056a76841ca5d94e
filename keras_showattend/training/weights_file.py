"""Weights files that a kill or a full disk may have left broken."""

from __future__ import annotations

import os
import pathlib
import warnings

import h5py


def weights_problem(path: pathlib.Path) -> str | None:
    """Tells what is wrong with a `.weights.h5` file, or None if it is whole.

    Args:
        path: path of the file, which is read to its end.
    """
    if not path.is_file():
        return "it is missing"
    found = []

    def read(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            item[()]
            found.append(item)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(read)
    # h5py gives several types of error for damaged files.
    except Exception as error:
        return f"it is damaged ({error})"
    return None if found else "it holds no weights"


def set_aside(problem: str, path: pathlib.Path, *companions: pathlib.Path) -> None:
    """Renames a broken file and those that belong to it, and warns.

    Args:
        problem: what is wrong with the first file.
        path: the broken file.
        *companions: files that mean nothing without it.
    """
    for file in (path, *companions):
        if file.exists():
            os.replace(file, file.with_name(file.name + ".broken"))
    warnings.warn(
        f"'{path}' of an interrupted run cannot be used: {problem}. It is set aside as "
        f"'{path.name}.broken', and the run resumes from what is whole.",
        UserWarning,
        stacklevel=3,
    )

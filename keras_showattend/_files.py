"""Files that appear whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
import uuid
from collections.abc import Iterator

from keras_showattend._typing import PathLike


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
    """Gives a new path beside a file, and moves what was written there into the file's place.

    After an error the file is as it was and the new path is gone. The name of the new path
    ends like the file's, because some writers choose a format by it.

    Args:
        path: path of the file. Its folder must exist.

    Yields:
        The path to write to, which is the file's own if it is a pipe or a device.

    Raises:
        OSError: if the disk is full or the folder cannot be written; names the file.
    """
    target = pathlib.Path(path)
    if target.exists() and not target.is_file():
        # A pipe or a device, such as /dev/null, has no content to lose and must not become a file.
        yield target
        return
    partial = target.with_name(f".{uuid.uuid4().hex[:12]}.partial-{target.name}")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    except OSError as error:
        names_partial = error.filename is None or pathlib.Path(error.filename) == partial
        # HDF5 has errors that are a message alone.
        if error.errno is not None and names_partial:
            raise type(error)(error.errno, error.strerror, os.fspath(target)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: PathLike, text: str) -> None:
    """Writes a text file in UTF-8; see `replacing`."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_output_file(path: PathLike) -> None:
    """Refuses a path at which no file can be written, before slow work starts.

    Raises:
        FileNotFoundError: if the folder of the file does not exist.
        IsADirectoryError: if there is a folder at `path`.
    """
    target = pathlib.Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"The path must name a file. Received: the folder '{target}'")
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"The folder of the file must exist: make it first. Received: '{target}'"
        )


def check_new_folder(path: PathLike) -> None:
    """Raises `ValueError` unless there is nothing at `path` but an empty folder."""
    target = pathlib.Path(path)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ValueError(f"The folder must be new or empty: name another. Received: '{target}'")


@contextlib.contextmanager
def new_folder(path: PathLike) -> Iterator[pathlib.Path]:
    """Gives a folder to write to, which becomes `path` when all is written.

    After an error nothing is left.

    Args:
        path: path of a folder that does not exist or is empty. Its parent is made if need be.

    Yields:
        Path of the folder to write to.

    Raises:
        ValueError: if there is something at `path`.
    """
    target = pathlib.Path(path)
    check_new_folder(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as scratch:
        folder = pathlib.Path(scratch, target.name)
        folder.mkdir()
        yield folder
        if target.exists():
            target.rmdir()
        folder.rename(target)

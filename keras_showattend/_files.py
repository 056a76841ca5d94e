"""Files that appear whole or not at all."""

import contextlib
import os
import pathlib
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
        The path to write to.

    Raises:
        OSError: if the disk is full or the folder cannot be written; names the file.
    """
    target = pathlib.Path(path)
    partial = target.with_name(f".{uuid.uuid4().hex[:12]}.partial-{target.name}")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    except OSError as error:
        if error.filename is None or pathlib.Path(error.filename) == partial:
            raise type(error)(error.errno, error.strerror, os.fspath(target)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: PathLike, text: str) -> None:
    """Writes a text file in UTF-8; see `replacing`."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")

"""Text of captions files: how bytes become characters, and what is said where they do not."""

from __future__ import annotations

import os
import re

from keras_showattend._typing import PathLike
from keras_showattend.data.report import DatasetError

ENCODING_HINT = (
    'save the file as UTF-8, or name its encoding, `encoding="cp1252"` for files that Excel '
    "wrote in Western Europe"
)

_UNDECODED = re.compile("[\udc80-\udcff]")


def read_text(path: PathLike, encoding: str | None = None) -> str:
    """Reads a text file, without its byte-order mark.

    Args:
        path: the file.
        encoding: name of its encoding. None is UTF-8; bytes that are not UTF-8 become lone
            surrogates, which `is_decoded` finds, so that one bad line costs one line and not
            the file.

    Raises:
        DatasetError: no such file, a folder, no permission, UTF-16, or text that is not in the
            named `encoding`.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except (OSError, ValueError) as error:
        reason = "it is a folder" if os.path.isdir(path) else str(error)
        raise DatasetError(
            f"The captions come from an existing file: check the path ({reason}). "
            f"Received: {os.fspath(path)}"
        ) from error
    if encoding is not None:
        try:
            return content.decode(encoding).removeprefix("\ufeff")
        except (LookupError, UnicodeError) as error:
            raise DatasetError(
                f"`encoding` is that of the file: {error}. "
                f"Received: encoding={encoding!r} for {os.fspath(path)}"
            ) from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DatasetError(
            'A captions file is UTF-8, not UTF-16: save it anew, or pass `encoding="utf-16"`. '
            f"Received: {os.fspath(path)}"
        )
    return content.decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")


def is_decoded(text: str) -> bool:
    """Tells whether `text` of `read_text` was UTF-8."""
    return not _UNDECODED.search(text)

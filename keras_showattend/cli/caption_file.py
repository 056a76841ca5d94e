"""A file of rows that is resumed where it stops, and the sinks that rows are written to."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Protocol

from keras_showattend.cli.row_formats import Row, RowFormat
from keras_showattend.cli.row_index import RowIndex


class Sink(Protocol):
    """Where rows go."""

    def write(self, row: Row) -> None:
        """Adds a row."""

    def flush(self) -> None:
        """Hands what was added to the operating system."""


class CaptionOutput(Protocol):
    """Rows of earlier runs, and a place for new ones."""

    @property
    def done(self) -> RowIndex:
        """The rows of images that have one."""

    def check_made_by(self, preset: str, settings: str) -> None:
        """Refuses earlier rows that another captioner made, or other settings."""

    def open(self) -> AbstractContextManager[Sink]:
        """Opens the place."""


def check_path(path: str) -> None:
    """Refuses a folder, and a file in a folder that does not exist, with a `ValueError`."""
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise ValueError(
            "`--output` must be a file in an existing folder: make the folder first. "
            f"Received: {path!r}"
        )


class CaptionFile:
    """A file of rows that can be resumed after an interruption.

    It is read and checked when this is made, and changed only from `open` on. Half a row,
    which a kill left behind, is cut off then.

    Args:
        path: path of the file, which need not exist.
        row_format: the format of its rows.
        overwrite: bool. Whether to start anew, whatever the file holds.

    Attributes:
        done: `RowIndex` of the images that have a row.

    Raises:
        ValueError: if the file is of another format or lacks columns, is a folder, or would
            lie in a folder that does not exist.
    """

    def __init__(self, path: str, row_format: RowFormat, overwrite: bool = False) -> None:
        self.path = path
        self.format = row_format
        self.done = RowIndex()
        self._made_by: dict[tuple[str, str], int] = {}
        self._end = 0
        self._lacks_newline = False
        check_path(path)
        if not overwrite and os.path.isfile(path):
            self._read()

    def _read(self) -> None:
        pending, number, header_seen = b"", 0, not self.format.header
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                pending += line
                if not line.endswith(b"\n") or not self.format.is_whole(pending):
                    continue
                text = _decode(pending).removeprefix("\ufeff")
                self._end += len(pending)
                pending = b""
                if header_seen:
                    self._read_row(number, text)
                    continue
                try:
                    self.format = self.format.with_header(text)
                except ValueError:
                    raise self._refusal(number, text) from None
                header_seen = True
        rest = _decode(pending)
        if rest and header_seen and self._is_whole_row(pending):
            self._read_row(number, rest)
            self._end += len(pending)
            self._lacks_newline = True
        else:
            # Only what is surely half of a row of ours may be cut off.
            start = self.format.row_start if header_seen else self.format.header
            if not (rest.startswith(start) or start.startswith(rest)):
                raise self._refusal(number, rest)

    def rows(self) -> Iterator[Row]:
        """Reads the rows of the file, with what users added to them."""
        pending, end, header_seen = b"", 0, not self.format.header
        if not self._end:
            return
        with open(self.path, "rb") as file:
            for line in file:
                pending, end = pending + line, end + len(line)
                is_last = end >= self._end
                if not is_last and not (line.endswith(b"\n") and self.format.is_whole(pending)):
                    continue
                text, pending = _decode(pending).removeprefix("\ufeff"), b""
                if header_seen and text.strip():
                    yield self.format.parse(text)
                header_seen = True
                if is_last:
                    return

    def _is_whole_row(self, line: bytes) -> bool:
        text = _decode(line)
        if not self.format.is_whole(line) or not self.format.ends_whole(text):
            return False
        try:
            self.format.parse(text)
        except (ValueError, LookupError, csv.Error, RecursionError):
            return False
        return True

    def _read_row(self, number: int, text: str) -> None:
        if not text.strip():
            return
        try:
            row = self.format.parse(text)
        except (ValueError, LookupError, csv.Error, RecursionError):
            raise self._refusal(number, text) from None
        self.done.add(row)
        made_by = (str(row.get("preset") or ""), str(row.get("settings") or ""))
        # A row without them is one that the user wrote.
        if any(made_by):
            self._made_by.setdefault(made_by, number)

    def _refusal(self, number: int, text: str) -> ValueError:
        text = text.strip()
        return ValueError(
            f"A file to resume must hold {self.format.name} with "
            f"{', '.join(self.format.columns)}: use the same options as before, name another "
            f"file, or start anew with `--overwrite`. Received: {self.path!r}, in which line "
            f"{number} is {text if len(text) <= 80 else text[:77] + '...'!r}"
        )

    def check_made_by(self, preset: str, settings: str) -> None:
        """Refuses rows that another captioner made, or other settings.

        Args:
            preset: what the column `preset` of new rows will hold.
            settings: what the column `settings` of new rows will hold.

        Raises:
            ValueError: names the first such row and what differs.
        """
        for (old_preset, old_settings), number in self._made_by.items():
            if (old_preset, old_settings) != (preset, settings):
                old, new = _differences(
                    f"preset={old_preset} {old_settings}", f"preset={preset} {settings}"
                )
                raise ValueError(
                    "All rows of a file must come from one preset with one set of options: use "
                    "those of the file, name another file, or start anew with `--overwrite`. "
                    f"Received: {new}, but line {number} of {self.path!r} was made with {old}"
                )

    @contextlib.contextmanager
    def open(self) -> Iterator[FileSink]:
        """Opens the file after its last whole row."""
        # Not "a", in which `truncate` and `seek` differ between platforms. Unbuffered, so
        # that it is known what has been written when the disk is full.
        with open(self.path, "r+b" if self._end else "wb", buffering=0) as file:
            sink = FileSink(file, self.path, self._end, self.format.line)
            if not self._end:
                sink.write_text(self.format.header)
            elif self._lacks_newline:
                sink.write_text("\n")
            sink.flush()
            try:
                yield sink
            finally:
                sink.close()


class FileSink:
    """A file that ends with a whole row after every flush, also after one that failed.

    Args:
        file: unbuffered binary file.
        path: its path, for errors.
        end: int. Where its last whole row ends; what follows is cut off.
        line: function of a row that gives its text.
    """

    def __init__(self, file: IO[bytes], path: str, end: int, line: Callable[[Row], str]) -> None:
        self._file = file
        self._path = path
        self._end = end
        self._line = line
        self._pending: list[bytes] = []
        self._is_regular = os.path.isfile(path)

    def write(self, row: Row) -> None:
        """Adds a row."""
        self.write_text(self._line(row))

    def write_text(self, text: str) -> None:
        """Adds text as it is."""
        self._pending.append(text.encode("utf-8", errors="surrogateescape"))

    def flush(self) -> None:
        """Hands what was added to the operating system.

        Raises:
            OSError: if it cannot be written, as on a full disk; names the file.
        """
        text = b"".join(self._pending)
        rest = memoryview(text)
        try:
            # A flush that Ctrl-C broke off is done anew by the next one.
            self._rewind()
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._pending = []
            self._rewind()
            raise type(error)(error.errno, error.strerror, self._path) from error
        self._pending, self._end = [], self._end + len(text)

    def close(self) -> None:
        """Flushes, and waits until the rows are on the disk."""
        self.flush()
        if self._is_regular:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise type(error)(error.errno, error.strerror, self._path) from error

    def _rewind(self) -> None:
        if self._is_regular:
            self._file.seek(self._end)
            self._file.truncate()


class StandardOutput:
    """Rows on stdout.

    Args:
        header: the text before the first row.
        line: function of a row that gives its text.
    """

    def __init__(self, header: str, line: Callable[[Row], str]) -> None:
        # There are no earlier rows.
        self.done = RowIndex()
        self._header = header
        self._line = line

    def check_made_by(self, preset: str, settings: str) -> None:
        """There are no earlier rows."""

    @contextlib.contextmanager
    def open(self) -> Iterator[StandardOutput]:
        """Sets stdout up to carry text as it is."""
        # File names are bytes on Unix; in JSON and CSV those that are no UTF-8 go out as
        # they came in.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")
        sys.stdout.write(self._header)
        yield self
        self.flush()

    def write(self, row: Row) -> None:
        """Adds a row."""
        sys.stdout.write(self._line(row))

    def flush(self) -> None:
        """Hands what was added to the operating system."""
        sys.stdout.flush()


def _differences(old: str, new: str) -> tuple[str, str]:
    """The `key=value` words of two texts that differ, each with its first word at least."""
    old_words, new_words = old.split(), new.split()
    return (
        " ".join(word for word in old_words if word not in new_words) or "fewer settings",
        " ".join(word for word in new_words if word not in old_words) or "other settings",
    )


def _decode(text: bytes) -> str:
    return text.decode("utf-8", errors="surrogateescape")

"""A file of rows that is resumed where it stops, and the sinks that rows are written to."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Protocol

from keras_showattend.cli.row_formats import Row, RowFormat, RowKey
from keras_showattend.cli.row_index import RowIndex

# What reading a line that holds no row raises.
_NOT_A_ROW = (ValueError, LookupError, csv.Error, RecursionError)


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
        self.done = RowIndex(lambda position: next(self.rows(position)))
        self._made_by: dict[tuple[str, str], int] = {}
        self._first_row = 0
        self._end = 0
        self._lacks_newline = False
        check_path(path)
        if not overwrite and os.path.isfile(path):
            with open(path, "rb") as file:
                self._read(file)

    def _read(self, file: IO[bytes]) -> None:
        lines = _Lines(file)
        if self._read_header(lines):
            self.done.add_stored(self._stored(file, lines))
        else:
            self._check_part(self._text(file), self.format.header, lines.count + 1)

    def _read_header(self, lines: _Lines) -> bool:
        """Takes the header, if this format has one; False if the file ends before it does."""
        if not self.format.header:
            return True
        text = ""
        for line in lines:
            text += line
            if text.count('"') % 2:
                continue
            try:
                self.format = self.format.with_header(text)
            except _NOT_A_ROW:
                raise self._refusal(lines.count, text) from None
            self._first_row = self._end = lines.end
            return True
        return False

    def _stored(self, file: IO[bytes], lines: _Lines) -> Iterator[tuple[str, str, int]]:
        """The rows of the file as its index wants them; moves `_end` behind each."""
        try:
            for path, content, made_by in self.format.keys(lines):
                if made_by not in self._made_by:
                    self._made_by[made_by] = lines.count
                yield path, content, self._end
                self._end = lines.end
            # Blank lines may follow the last row.
            self._end = lines.end
        except _NOT_A_ROW as error:
            # What a quote opens and the end of the file cuts off is half of a row.
            if not (isinstance(error, csv.Error) and lines.are_exhausted):
                text = self._text(file)[: lines.end - self._end]
                raise self._refusal(lines.count, text) from None
        rest = self._text(file)
        keys = self._keys_of_last(rest)
        for path, content, made_by in keys:
            self._made_by.setdefault(made_by, lines.count + 1)
            yield path, content, self._end
            self._end, self._lacks_newline = file.tell(), True
        if not keys:
            self._check_part(rest, self.format.row_start, lines.count + 1)

    def _keys_of_last(self, rest: str) -> list[RowKey]:
        """That of a row which lacks only its newline; an empty list if more is missing."""
        try:
            keys = list(self.format.keys([rest]))
        except _NOT_A_ROW:
            return []
        return keys if len(keys) == 1 and self.format.ends_whole(rest) else []

    def _check_part(self, rest: str, start: str, number: int) -> None:
        """Refuses an end of a file that is not surely a part of ours, which may be cut off."""
        rest = rest.lstrip("\r\n")
        if not (rest.startswith(start) or start.startswith(rest)):
            raise self._refusal(number, rest)

    def _text(self, file: IO[bytes]) -> str:
        """What follows the last whole row."""
        file.seek(self._end)
        return _decode(file.read())

    def rows(self, position: int | None = None) -> Iterator[Row]:
        """Reads the rows of the file, with what users added to them.

        Args:
            position: where a row begins, in bytes; None for the first one.
        """
        if not self._end:
            return
        with open(self.path, "rb") as file:
            start = self._first_row if position is None else position
            yield from self.format.rows(_Lines(file, start, self._end))

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
            # A row without them is one that the user wrote.
            if (old_preset, old_settings) not in (("", ""), (preset, settings)):
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


class _Lines:
    """Lines of a file as text, without one at its end that lacks its newline.

    Args:
        file: binary file.
        start: int. Where to begin, in bytes.
        stop: int. Where to stop, whether a newline is there or not; None for the end of the file.

    Attributes:
        end: int. Where the latest line ends, in bytes.
        count: int. How many lines have been read.
        are_exhausted: bool. Whether there is no further line.
    """

    def __init__(self, file: IO[bytes], start: int = 0, stop: int | None = None) -> None:
        self._file = file
        self._stop = stop
        self.end = start
        self.count = 0
        self.are_exhausted = False
        file.seek(start)
        # Some editors put this mark at the beginning.
        if not start and file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            self.end = len(codecs.BOM_UTF8)
        file.seek(self.end)

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            end = self.end + len(line)
            if end != self._stop and not line.endswith(b"\n"):
                break
            self.end = end
            self.count += 1
            yield line.decode("utf-8", "surrogateescape")
            if end == self._stop:
                break
        self.are_exhausted = True


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

"""Rows of captions as JSON lines or CSV, and a file of them that is added to."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NamedTuple

Row = Mapping[str, Any]


class JsonLines:
    """One JSON object a line.

    Args:
        columns: keys of the objects, in order; the first is a str.
    """

    name = "JSON lines"

    def __init__(self, columns: tuple[str, ...]):
        self.columns = columns
        self.header = ""
        self.row_start = f'{{"{columns[0]}": "'

    def line(self, row: Row) -> str:
        """One row, with its newline."""
        text = json.dumps(row, ensure_ascii=False)
        # A file name that is no UTF-8 holds lone surrogates, which only escapes can carry.
        return (text if _is_utf8(text) else json.dumps(row)) + "\n"

    def is_whole(self, text: bytes) -> bool:
        """Whether these lines end where a row ends."""
        return True

    def parse(self, text: str) -> Row:
        """A row of its line; ValueError if it is not one of this format and these columns."""
        row = json.loads(text)
        if not isinstance(row, dict) or tuple(row) != self.columns:
            raise ValueError(f"not an object of {self.columns}")
        if not isinstance(row[self.columns[0]], str):
            raise ValueError(f"no text as {self.columns[0]!r}")
        return row


class Csv:
    """Comma-separated values with a header; all text is quoted.

    Args:
        columns: names of the columns; the first two are text and the others numbers.
    """

    name = "CSV"

    def __init__(self, columns: tuple[str, ...]):
        self.columns = columns
        self.header = self._write(columns)
        self.row_start = '"'

    def _write(self, values) -> str:
        text = io.StringIO()
        # Python before 3.13 leaves a lone carriage return unquoted unless told to quote.
        csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(values)
        return text.getvalue()

    def line(self, row: Row) -> str:
        """One row, with its newline; a quoted field may hold further newlines."""
        return self._write([row[column] for column in self.columns])

    def is_whole(self, text: bytes) -> bool:
        """Whether these lines end where a row ends."""
        return text.count(b'"') % 2 == 0

    def parse(self, text: str) -> Row:
        """A row of its lines; ValueError if it is not one of this format and these columns."""
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        if len(rows) != 1 or len(rows[0]) != len(self.columns):
            raise ValueError(f"not one value for each of {self.columns}")
        values = [*rows[0][:2], *map(float, rows[0][2:])]
        return dict(zip(self.columns, values, strict=True))


RowFormat = JsonLines | Csv


class CaptionFile:
    """A file of rows that can be gone on with after an interruption.

    It is read and checked when this is made, and changed only from `open` on. A row that
    a kill left half-written is cut off then.

    Args:
        path: path of the file, which need not exist.
        row_format: the format of its rows.
        overwrite: bool. Whether to start anew, whatever the file holds.

    Attributes:
        done: set of the absolute paths of the pictures that have a row.

    Raises:
        ValueError: if the file is of another format or has other columns, is a folder,
            or would lie in a folder that does not exist.
    """

    def __init__(self, path: str, row_format: RowFormat, overwrite: bool = False):
        self.path = path
        self.format = row_format
        self.done: set[str] = set()
        self._end = 0
        folder = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(path) or not os.path.isdir(folder):
            raise ValueError(
                "`--output` is a file in an existing folder: make the folder first. "
                f"Received: {path!r}"
            )
        if not overwrite and os.path.exists(path):
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
                if not header_seen:
                    if list(csv.reader([text])) != [list(self.format.columns)]:
                        raise self._refusal(number, text)
                    header_seen = True
                elif text.strip():
                    try:
                        row = self.format.parse(text)
                    except (ValueError, csv.Error, RecursionError):
                        raise self._refusal(number, text) from None
                    self.done.add(os.path.abspath(row[self.format.columns[0]]))
        rest = _decode(pending)
        start = self.format.row_start if header_seen else self.format.header
        # Only what is surely half of a row of ours may be cut off.
        if not (rest.startswith(start) or start.startswith(rest)):
            raise self._refusal(number, rest)

    def _refusal(self, number: int, text: str) -> ValueError:
        text = text.strip()
        return ValueError(
            f"A file to go on with must hold {self.format.name} with "
            f"{', '.join(self.format.columns)}: use the same options as before, name another "
            f"file, or start anew with `--overwrite`. Received: {self.path!r}, in which line "
            f"{number} is {text if len(text) <= 80 else text[:77] + '...'!r}"
        )

    @contextlib.contextmanager
    def open(self) -> Iterator[Sink]:
        """Opens the file behind its last whole row."""
        # Not "a", in which `truncate` and `seek` differ between platforms.
        mode = "r+" if self._end else "w"
        with open(
            self.path, mode, encoding="utf-8", errors="surrogateescape", newline=""
        ) as stream:
            if self._end:
                stream.seek(self._end)
                stream.truncate()
            else:
                stream.write(self.format.header)
            yield Sink(stream, self.format.line)


class Sink(NamedTuple):
    """Where rows go.

    Attributes:
        stream: text file.
        line: function of a row that gives its text.
    """

    stream: IO[str]
    line: Callable[[Any], str]

    def write(self, row: Row) -> None:
        """Adds a row."""
        self.stream.write(self.line(row))

    def flush(self) -> None:
        """Hands what was written to the operating system."""
        self.stream.flush()


def _decode(text: bytes) -> str:
    return text.decode("utf-8", errors="surrogateescape")


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True

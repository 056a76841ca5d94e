"""Rows as JSON lines, CSV or text: how they are written and read back."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from keras_showattend._text import printable
from keras_showattend.cli.console import json_line

Row: TypeAlias = Mapping[str, Any]
# From the name of a column to the type of its values. The first column is a str and tells
# rows apart. A value may be None.
Columns: TypeAlias = Mapping[str, type]

# What a spreadsheet takes for a formula, after any number of the marks that prevent it.
_FORMULA = re.compile("'*[=+\\-@\t\r]")
_ESCAPED_FORMULA = re.compile("'+[=+\\-@\t\r]")


class JsonLines:
    """One JSON object a line. Keys that a user added are let pass.

    Args:
        columns: the keys and their types.
    """

    name = "JSON lines"

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.header = ""
        self.row_start = f'{{"{next(iter(columns))}": "'

    def line(self, row: Row) -> str:
        """One row, with its newline."""
        return json_line(row)

    def with_header(self, text: str) -> JsonLines:
        """This format has no header."""
        return self

    def is_whole(self, text: bytes) -> bool:
        """Whether these lines end where a row ends."""
        return True

    def ends_whole(self, text: str) -> bool:
        """Whether a last row without its newline lacks nothing else."""
        return True

    def parse(self, text: str) -> Row:
        """Reads a row of its line; ValueError if it is not one with these columns."""
        row = json.loads(text)
        if not isinstance(row, dict) or not set(self.columns) <= set(row):
            raise ValueError(f"not an object with {tuple(self.columns)}")
        first = next(iter(self.columns))
        if not isinstance(row[first], str):
            raise ValueError(f"no text as {first!r}")
        return row


@dataclasses.dataclass(frozen=True)
class Csv:
    """Comma-separated values with a header; all text is quoted.

    A spreadsheet or a user may have added columns, changed their order, or put semicolons or
    tabs in place of the commas. Rows are then written the same way, with added columns empty.

    Attributes:
        columns: the columns and their types.
        exact: bool. Whether text that a spreadsheet would run as a formula, which begins
            with =, +, -, @, a tab or a carriage return, is written as it is. Otherwise it
            gets an apostrophe in front, which is taken away when it is read.
        fields: all columns of the file in their order; None for just `columns`.
        delimiter: str between values.
    """

    columns: Columns
    exact: bool = False
    fields: Sequence[str] | None = None
    delimiter: str = ","

    name = "CSV"
    row_start = '"'

    @property
    def header(self) -> str:
        """The first line, with its newline."""
        return self._write(self.fields or list(self.columns))

    def _write(self, values: Sequence[Any]) -> str:
        text = io.StringIO()
        # Python before 3.13 leaves a lone carriage return unquoted unless told to quote.
        writer = csv.writer(
            text, delimiter=self.delimiter, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n"
        )
        writer.writerow(values)
        return text.getvalue()

    def line(self, row: Row) -> str:
        """One row, with its newline; a quoted value may hold further newlines."""
        return self._write([self._cell(row.get(name)) for name in self.fields or self.columns])

    def _cell(self, value: Any) -> Any:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str) and not self.exact and _FORMULA.match(value):
            return "'" + value
        return value

    def with_header(self, text: str) -> Csv:
        """This format as a file has it; ValueError if the header lacks columns."""
        for delimiter in (",", ";", "\t"):
            fields = next(csv.reader([text], delimiter=delimiter))
            if set(self.columns) <= set(fields) and len(set(fields)) == len(fields):
                return dataclasses.replace(self, fields=fields, delimiter=delimiter)
        raise ValueError(f"no header with {tuple(self.columns)}")

    def is_whole(self, text: bytes) -> bool:
        """Whether these lines end where a row ends."""
        return text.count(b'"') % 2 == 0

    def ends_whole(self, text: str) -> bool:
        """Whether a last row without its newline lacks nothing else."""
        # A number may lack digits. Rows of ours begin with a quote, those of others are
        # never written in part.
        return text.endswith('"') or not text.startswith('"')

    def parse(self, text: str) -> Row:
        """Reads a row of its lines; ValueError if it is not one with these columns.

        Columns that were added are among its keys, as text.
        """
        lines = io.StringIO(text, newline="")
        rows = list(csv.reader(lines, delimiter=self.delimiter, strict=True))
        fields = self.fields or list(self.columns)
        if len(rows) != 1 or len(rows[0]) != len(fields):
            raise ValueError(f"not one value for each of {tuple(fields)}")
        cells = dict(zip(fields, rows[0], strict=True))
        return {name: self._value(cells[name], self.columns.get(name, str)) for name in fields}

    def _value(self, cell: str, kind: type) -> Any:
        if kind is str:
            return cell if self.exact or not _ESCAPED_FORMULA.match(cell) else cell[1:]
        if not cell:
            return None
        if kind is bool:
            return {"true": True, "false": False}[cell.lower()]
        # Where semicolons stand for commas, commas stand for points.
        return kind(cell.replace(",", "."))


RowFormat: TypeAlias = JsonLines | Csv


def text_line(is_single: bool) -> Callable[[Row], str]:
    """A function from a row to its line of text: the caption, after its path if of several."""

    def line(row: Row) -> str:
        words = [row["caption"]] if is_single else [row["path"], row["caption"]]
        return "\t".join(map(printable, words)) + "\n"

    return line

"""Rows as JSON lines, CSV or text: how they are written and read back."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from keras_showattend._text import printable
from keras_showattend.cli.console import json_line

Row: TypeAlias = Mapping[str, Any]
# From the name of a column to the type of its values. The first column is a str and tells
# rows apart. A value may be None.
Columns: TypeAlias = Mapping[str, type]
# What a row has in its first column, in "content", and in "preset" and "settings". All but the
# first may be empty.
RowKey: TypeAlias = tuple[str, str, tuple[str, str]]
_TRUTHS = {"true": True, "false": False}
_KEYS = ("content", "preset", "settings")

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

    def ends_whole(self, text: str) -> bool:
        """Whether a last row without its newline lacks nothing else."""
        return True

    def rows(self, lines: Iterable[str]) -> Iterator[Row]:
        """Reads the rows of lines; ValueError or KeyError for one that has not these columns."""
        first, values_of = next(iter(self.columns)), operator.itemgetter(*self.columns)
        # Takes three quarters of the time of `json.loads`.
        decode = json.JSONDecoder().raw_decode
        for line in lines:
            text = line.strip()
            if not text:
                continue
            row, end = decode(text)
            if end != len(text) or not isinstance(row, dict):
                raise ValueError("not one object")
            # Raises KeyError.
            values_of(row)
            if not isinstance(row[first], str):
                raise ValueError(f"no text as {first!r}")
            yield row

    def keys(self, lines: Iterable[str]) -> Iterator[RowKey]:
        """What tells the rows of lines apart; checks them as `rows` does."""
        first = next(iter(self.columns))
        for row in self.rows(lines):
            content, preset, settings = map(row.get, _KEYS)
            yield row[first], str(content or ""), (str(preset or ""), str(settings or ""))


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

    def ends_whole(self, text: str) -> bool:
        """Whether a last row without its newline lacks nothing else."""
        # A number may lack digits. Rows of ours begin with a quote, those of others are
        # never written in part.
        return text.endswith('"') or not text.startswith('"')

    def rows(self, lines: Iterable[str]) -> Iterator[Row]:
        """Reads the rows of lines; ValueError for one that has not these columns.

        Columns that were added are among its keys, as text.
        """
        fields = self.fields or list(self.columns)
        kinds = [self.columns.get(name, str) for name in fields]
        for cells in self._cells(lines):
            yield dict(zip(fields, map(self._value, cells, kinds), strict=True))

    def keys(self, lines: Iterable[str]) -> Iterator[RowKey]:
        """What tells the rows of lines apart; checks them as `rows` does."""
        fields = list(self.fields or self.columns)
        numbers, truths = (
            [fields.index(name) for name, kind in self.columns.items() if kind is wanted]
            for wanted in (float, bool)
        )
        # A column that is not there is read from the empty cell after the last.
        path, content, preset, settings = (
            fields.index(name) if name in fields else len(fields)
            for name in (next(iter(self.columns)), *_KEYS)
        )
        text = self._text
        for cells in self._cells(lines):
            for place in numbers:
                if cell := cells[place]:
                    float(cell.replace(",", "."))
            for place in truths:
                if cell := cells[place]:
                    _TRUTHS[cell.lower()]
            cells.append("")
            made_by = (text(cells[preset]), text(cells[settings]))
            yield text(cells[path]), text(cells[content]), made_by

    def _text(self, cell: str) -> str:
        if cell[:1] == "'" and not self.exact and _ESCAPED_FORMULA.match(cell):
            return cell[1:]
        return cell

    def _cells(self, lines: Iterable[str]) -> Iterator[list[str]]:
        count = len(self.fields or self.columns)
        for cells in csv.reader(lines, delimiter=self.delimiter, strict=True):
            if len(cells) == count:
                yield cells
            elif any(map(str.strip, cells)):
                raise ValueError(f"not {count} values")

    def _value(self, cell: str, kind: type) -> Any:
        if kind is str:
            return self._text(cell)
        if not cell:
            return None
        if kind is bool:
            return _TRUTHS[cell.lower()]
        # Where semicolons stand for commas, commas stand for points.
        return kind(cell.replace(",", "."))


RowFormat: TypeAlias = JsonLines | Csv


def text_line(is_single: bool) -> Callable[[Row], str]:
    """A function from a row to its line of text: the caption, after its path if of several."""

    def line(row: Row) -> str:
        words = [row["caption"]] if is_single else [row["path"], row["caption"]]
        return "\t".join(map(printable, words)) + "\n"

    return line

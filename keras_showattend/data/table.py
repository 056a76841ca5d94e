"""Tables in text: fields between commas, semicolons, tabs or bars, with or without quotes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from keras_showattend.data.collector import CaptionCollector
from keras_showattend.data.records import Columns
from keras_showattend.data.report import OPEN_QUOTE, UNREADABLE_LINE
from keras_showattend.data.text_files import is_decoded
from keras_showattend.preprocessing.image_formats import has_image_extension

# Flickr30k's results.csv has bars. A semicolon is what spreadsheets write in countries with a
# decimal comma; some put it into a first line of its own, `sep=;`.
_DELIMITERS = "\t,;|"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_MAX_LINES_IN_A_ROW = 50
# `keras-showattend caption` puts an apostrophe before what a spreadsheet takes for a formula.
_ESCAPED_FORMULA = re.compile("'+[=+\\-@\t\r]")


def table_rows(
    text: str, columns: Columns, source: str, gathered: CaptionCollector
) -> Iterator[tuple[str, dict[str, str]]]:
    """Reads rows one line at a time, so that a quotation mark never swallows other rows.

    A field may stand in quotes, with quotes in it doubled. A row goes on over several lines
    where a quoted field is closed there and none of those lines is a row of its own. Any other
    quotation mark is part of the caption.

    Args:
        text: the table; its first line is a header, or an image file and a caption.
        columns: which columns are wanted, to recognise the header.
        source: name of the file, for errors.
        gathered: where problems go.

    Yields:
        Position of the row, "line 3", and a dict from column to cell.

    Raises:
        DatasetError: if the columns are not there.
    """
    lines = re.split("\r\n|\n|\r", text)
    start, delimiters = 0, _DELIMITERS
    if separator := _SEPARATOR_LINE.fullmatch(lines[0].strip()):
        start, delimiters = 1, separator[1]
    while start < len(lines) and not lines[start].strip():
        start += 1
    if start == len(lines):
        gathered.empty = "the file is empty"
        return
    delimiter, header, is_header = _header(lines[start], delimiters, columns, source)
    start += is_header
    located = columns.locate(header)
    image_at = header.index(located[0]) if located else 0
    has_rows = False
    for number, last, cells in _rows(lines, start, delimiter, len(header), image_at, gathered):
        has_rows = True
        position = f"line {number}" if number == last else f"lines {number} to {last}"
        if len(cells) != len(header):
            gathered.note(
                UNREADABLE_LINE,
                f"{position} ({len(cells)} columns, not {len(header)}; quote a caption that "
                "holds the separator)",
            )
        elif not all(map(is_decoded, cells)):
            gathered.undecoded = True
            gathered.note(UNREADABLE_LINE, f"{position} (not UTF-8: name its `encoding`)")
        else:
            yield position, dict(zip(header, map(_unescape, cells), strict=True))
    if not has_rows:
        gathered.empty = "the file has a header and no rows"


def _header(
    line: str, delimiters: str, columns: Columns, source: str
) -> tuple[str, list[str], bool]:
    """Finds the delimiter and the columns, and whether the line is a header."""
    split = {mark: [cell.strip() for cell in _cells(line, mark)] for mark in delimiters}
    for mark, cells in split.items():
        if columns.locate(cells):
            return mark, cells, True
    for mark, cells in split.items():
        # No header: a file name where the first column's title would be.
        if len(cells) == 2 and has_image_extension(cells[0]) and columns.split is None:
            return mark, [columns.image, columns.caption], False
    first = next((mark for mark in delimiters if mark in line), delimiters[0])
    raise columns.error(source, split[first])


def _rows(
    lines: list[str],
    start: int,
    delimiter: str,
    width: int,
    image_at: int,
    gathered: CaptionCollector,
) -> Iterator[tuple[int, int, list[str]]]:
    """Rows with the numbers of their first and last lines, counted from 1."""
    names_have_endings = True
    number = start
    while number < len(lines):
        line = lines[number]
        number += 1
        if not line.strip():
            continue
        first, cells = number, _cells(line, delimiter)
        if _is_open(line, delimiter):
            end = _closing(lines, number, delimiter, width, image_at, names_have_endings)
            if end is not None:
                cells = _cells("\n".join(lines[number - 1 : end]), delimiter)
                number = end
            elif len(cells) == width:
                gathered.note(OPEN_QUOTE, f"line {number}")
        if len(cells) == width:
            names_have_endings = has_image_extension(cells[image_at].strip())
        yield first, number, cells


def _closing(
    lines: list[str], number: int, delimiter: str, width: int, image_at: int, endings: bool
) -> int | None:
    """Number of the line that closes the field that is open in line `number`, or None."""
    # Cut off within a field, the row cannot be whole, and what follows belongs to it.
    may_be_whole = len(lines[number - 1].split(delimiter)) == width
    for end in range(number + 1, min(number + _MAX_LINES_IN_A_ROW, len(lines) + 1)):
        line = lines[end - 1]
        alone = _cells(line, delimiter)
        if (
            may_be_whole
            and len(alone) == width
            and (not endings or has_image_extension(alone[image_at].strip()))
        ):
            return None
        if '"' in line:
            joined = "\n".join(lines[number - 1 : end])
            if not _is_open(joined, delimiter):
                return end if len(_cells(joined, delimiter)) == width else None
    return None


def _parse(text: str, delimiter: str) -> list[str]:
    rows = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True))
    return rows[0] if len(rows) == 1 else []


def _is_open(text: str, delimiter: str) -> bool:
    """Whether a field in quotes is not closed at the end of the text."""
    try:
        _parse(text, delimiter)
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _cells(text: str, delimiter: str) -> list[str]:
    """Cells of a row, with quotes taken for text where they are not in pairs around fields."""
    if delimiter == "|":
        return [cell.strip() for cell in text.split(delimiter)]
    try:
        return _parse(text, delimiter) or text.split(delimiter)
    except csv.Error:
        return text.split(delimiter)


def _unescape(cell: str) -> str:
    return cell[1:] if _ESCAPED_FORMULA.match(cell) else cell

"""The output of a bulk run: a folder of parts, each written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_showattend.data.storage import Location, read_bytes, write_bytes

# Readers of Parquet folders pass over names that begin with an underscore.
SETTINGS_FILE = "_settings.json"
FORMATS = ("parquet", "jsonl")
_NUMBERS = ("log_probability", "score", "confidence")


class WriteParts:
    """Writes the rows of a block into one file, which its rows give the name.

    A task that runs twice writes the same file twice, so that no row is doubled.

    Args:
        location: `Location` of the output's folder.
        file_format: `"parquet"` or `"jsonl"`.
        constants: dict of columns that have one value in all rows.

    Call arguments:
        batch: what `CaptionImages` returns for the rows of `ReadImages`.

    Returns:
        A row for each file that gave rows: `file`, `written`, the number of its rows here,
        `rows`, how many it gave or -1 where that is not known here, and `errors` and `cut`,
        how many of those here have an error or ended at the longest length.
    """

    def __init__(self, location: Location, file_format: str, constants: Mapping[str, str]) -> None:
        self._location = location
        self._format = file_format
        self._constants = dict(constants)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Writes a block; see the class docstring."""
        is_row = np.asarray(batch["rows"]) < 0
        kept = {name: np.asarray(values)[is_row] for name, values in batch.items()}
        if is_row.any():
            self._write(kept)
        failed = np.array([isinstance(error, str) for error in batch["error"]]) & is_row
        cut = ~np.asarray(batch["complete"], bool) & is_row & ~failed
        files, place = np.unique(np.asarray(batch["file"], str), return_inverse=True)
        given = np.full(len(files), -1)
        np.maximum.at(given, place, batch["rows"])
        return {
            "file": files,
            "written": np.bincount(place, is_row, len(files)).astype(int),
            "rows": given,
            "errors": np.bincount(place, failed, len(files)).astype(int),
            "cut": np.bincount(place, cut, len(files)).astype(int),
        }

    def _write(self, batch: Mapping[str, Any]) -> None:
        rows = [
            {
                "path": path,
                "caption": caption,
                **{name: _number(batch[name][row]) for name in _NUMBERS},
                "complete": bool(batch["complete"][row]),
                "error": error if isinstance(error := batch["error"][row], str) else None,
                **self._constants,
            }
            for row, (path, caption) in enumerate(zip(batch["path"], batch["caption"], strict=True))
        ]
        paths = "\n".join(row["path"] for row in rows).encode()
        name = f"part-{hashlib.sha256(paths).hexdigest()[:24]}.{self._format}"
        write_bytes(self._location, name, encode_rows(rows, self._format))


def encode_rows(rows: list[dict[str, Any]], file_format: str) -> bytes:
    """Returns the content of a part."""
    if file_format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    import pyarrow
    import pyarrow.parquet

    text, number = pyarrow.string(), pyarrow.float64()
    types = {**dict.fromkeys(_NUMBERS, number), "complete": pyarrow.bool_()}
    schema = pyarrow.schema([(name, types.get(name, text)) for name in rows[0]])
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), content)
    return content.getvalue()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


class CaptionParts:
    """The folder that a bulk run writes to, and what earlier runs have left in it.

    Args:
        location: `Location` of the folder.
        file_format: `"parquet"` or `"jsonl"`.
    """

    def __init__(self, location: Location, file_format: str) -> None:
        self.location = location
        self.format = file_format

    def prepare(self, settings: Mapping[str, str]) -> None:
        """Makes the folder, or checks that its rows were made with the same settings.

        Raises:
            ValueError: for rows that were made otherwise, or a folder with other files.
        """
        if self.location.is_local:
            folder = pathlib.Path(self.location.path)
            folder.mkdir(parents=True, exist_ok=True)
            # What a killed writer had begun.
            for partial in folder.glob(".*.partial-part-*"):
                partial.unlink(missing_ok=True)
        wanted = {"format": self.format, **settings}
        try:
            found = json.loads(
                read_bytes(self.location.filesystem, self.location.child(SETTINGS_FILE))
            )
        except FileNotFoundError:
            if names := self._names(FORMATS):
                raise ValueError(
                    "A new output starts in an empty folder: name another one. "
                    f"Received: {self._name}, which holds {names[0]} and no {SETTINGS_FILE}"
                ) from None
            write_bytes(self.location, SETTINGS_FILE, (json.dumps(wanted) + "\n").encode())
            return
        except ValueError as error:
            raise ValueError(
                f"{SETTINGS_FILE} of an output tells how its rows were made: restore it, or name "
                f"another folder. Received: a damaged one in {self._name}"
            ) from error
        if found != wanted:
            raise ValueError(
                "All rows of an output come from one captioner with one set of options: use "
                f"those of the folder, or name another one. Received: {wanted}, but "
                f"{self._name} was made with {found}"
            )

    def done(self, retry_errors: bool = False) -> Iterator[str]:
        """Yields the paths that have a row.

        Args:
            retry_errors: whether rows with an error are removed first.

        Raises:
            ValueError: for a part that cannot be read.
        """
        for name in self._names((self.format,)):
            rows = self._rows(name)
            kept = [row for row in rows if row["error"] is None or not retry_errors]
            if len(kept) < len(rows):
                self._replace(name, kept)
            yield from (row["path"] for row in kept)

    def _replace(self, name: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            write_bytes(self.location, name, encode_rows(rows, self.format))
        else:
            self.location.filesystem.delete_file(self.location.child(name))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields all rows, part after part."""
        for name in self._names((self.format,)):
            yield from self._rows(name)

    def _rows(self, name: str) -> list[dict[str, Any]]:
        content = read_bytes(self.location.filesystem, self.location.child(name))
        try:
            if self.format == "jsonl":
                return [json.loads(line) for line in content.splitlines()]
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(io.BytesIO(content))
            found: list[dict[str, Any]] = table.to_pylist()
        except (ValueError, OSError) as error:
            raise ValueError(
                "Parts of an output must be readable: delete the damaged one, and its images "
                f"are captioned again. Received: {name} in {self._name} ({error})"
            ) from error
        return found

    def _names(self, formats: tuple[str, ...]) -> list[str]:
        from pyarrow import fs

        selector = fs.FileSelector(self.location.path, allow_not_found=True)
        infos = self.location.filesystem.get_file_info(selector)
        ends = tuple(f".{ending}" for ending in formats)
        return sorted(info.base_name for info in infos if info.base_name.endswith(ends))

    @property
    def _name(self) -> str:
        return self.location.prefix + self.location.path

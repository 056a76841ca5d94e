"""Which images have a row, and which content has a caption: a database that needs no memory."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator

from keras_showattend.cli.row_formats import Row

# A row of one image tells nothing about another one but what their content decides.
_OF_THE_PATH = ("path", "preset", "settings")


class RowIndex:
    """Rows by the path and by the content of their images.

    It lies in a temporary file of the operating system, so that a million rows take no memory.
    """

    def __init__(self) -> None:
        # The empty name makes a database on disk that is gone when it is closed.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("BEGIN")
        self._database.execute(
            "CREATE TABLE rows (path BLOB PRIMARY KEY, content TEXT) WITHOUT ROWID"
        )
        self._database.execute(
            "CREATE TABLE contents (content TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID"
        )

    def add(self, row: Row) -> None:
        """Adds a row; the first one of a content is kept."""
        content = row.get("content") or None
        self._database.execute(
            "INSERT OR REPLACE INTO rows VALUES (?, ?)", (_path_key(row["path"]), content)
        )
        if content:
            kept = {name: value for name, value in row.items() if name not in _OF_THE_PATH}
            self._database.execute(
                "INSERT OR IGNORE INTO contents VALUES (?, ?)", (content, json.dumps(kept))
            )

    def __len__(self) -> int:
        [count] = self._database.execute("SELECT COUNT(*) FROM rows").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[str]:
        for [path] in self._database.execute("SELECT path FROM rows"):
            yield os.fsdecode(path)

    def __contains__(self, path: object) -> bool:
        query = "SELECT 1 FROM rows WHERE path = ?"
        return self._database.execute(query, (_path_key(str(path)),)).fetchone() is not None

    def of_content(self, content: str) -> Row | None:
        """The row of an image with this content, without what belongs to its path alone."""
        query = "SELECT row FROM contents WHERE content = ?"
        found = self._database.execute(query, (content,)).fetchone()
        return json.loads(found[0]) if found else None


def _path_key(path: str) -> bytes:
    return os.fsencode(os.path.abspath(path))

"""Which images have a row, and which content has a caption, in bounded memory."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator

from keras_showattend.cli.row_formats import Row

# A row of one image tells nothing about another one but what their content decides.
_OF_THE_PATH = ("path", "preset", "settings")
# What the database may hold in memory, in KiB; the rest lies on the disk.
_CACHE = 32 * 1024


class RowIndex:
    """Rows by the path and by the content of their images.

    It lies in a temporary file of about 150 bytes a row, which the operating system removes with
    the process. At most 32 MiB of it are in memory, and twice as much while it is sorted.

    Args:
        row_at: function of the position of a row that `add_stored` was given. It reads the row.

    Raises:
        OSError: from every method, if the disk of the temporary file is full.
    """

    def __init__(self, row_at: Callable[[int], Row] | None = None) -> None:
        self._row_at = row_at
        self._folder = os.path.join(os.getcwd(), "")
        self._knows_contents = False
        # The empty name makes a database on disk that is gone when it is closed.
        self._database = sqlite3.connect("", isolation_level=None)
        for setting in ("synchronous = OFF", "journal_mode = OFF", f"cache_size = -{_CACHE}"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("BEGIN")
        # Rows that can be read again, with a hash of their content.
        self._database.execute("CREATE TABLE paths (path BLOB, content INTEGER, position INTEGER)")
        self._database.execute("CREATE INDEX by_path ON paths (path)")
        self._database.execute(
            "CREATE TABLE contents (content TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID"
        )

    def add(self, row: Row) -> None:
        """Adds a row; the first one of a content is kept."""
        with _full_disk():
            self._database.execute(
                "INSERT INTO paths VALUES (?, NULL, NULL)", (self._key(row["path"]),)
            )
            if content := row.get("content"):
                kept = {name: value for name, value in row.items() if name not in _OF_THE_PATH}
                self._database.execute(
                    "INSERT OR IGNORE INTO contents VALUES (?, ?)", (content, json.dumps(kept))
                )

    def add_stored(self, rows: Iterable[tuple[str, str, int]]) -> None:
        """Adds rows that `row_at` can read, many at once.

        Args:
            rows: path, content (empty if it is not known) and position of each.
        """
        # An index is made fastest from all rows at once.
        with _full_disk():
            self._database.execute("DROP INDEX by_path")
            self._database.executemany(
                "INSERT INTO paths VALUES (?, ?, ?)",
                (
                    (self._key(path), hash(content) if content else None, position)
                    for path, content, position in rows
                ),
            )
            self._database.execute("CREATE INDEX by_path ON paths (path)")

    def __len__(self) -> int:
        query = "SELECT COUNT(DISTINCT path) FROM paths"
        [count] = self._database.execute(query).fetchone()
        return int(count)

    def __iter__(self) -> Iterator[str]:
        for [path] in self._database.execute("SELECT DISTINCT path FROM paths"):
            yield os.fsdecode(path)

    def __contains__(self, path: object) -> bool:
        query = "SELECT 1 FROM paths WHERE path = ?"
        return self._database.execute(query, (self._key(str(path)),)).fetchone() is not None

    def of_content(self, content: str) -> Row | None:
        """The row of an image with this content, without what belongs to its path alone."""
        query = "SELECT row FROM contents WHERE content = ?"
        found = self._database.execute(query, (content,)).fetchone()
        if found:
            row: Row = json.loads(found[0])
            return row
        if self._row_at is None:
            return None
        if not self._knows_contents:
            with _full_disk():
                self._database.execute("CREATE INDEX by_content ON paths (content)")
            self._knows_contents = True
        query = "SELECT position FROM paths WHERE content = ? ORDER BY rowid"
        for [position] in self._database.execute(query, (hash(content),)):
            row = self._row_at(position)
            # Two contents may have one hash.
            if row["content"] == content:
                return {name: value for name, value in row.items() if name not in _OF_THE_PATH}
        return None

    def _key(self, path: str) -> bytes:
        # `os.path.abspath` asks for the working folder each time.
        absolute = path if os.path.isabs(path) else self._folder + path
        return os.fsencode(os.path.normpath(absolute))


@contextlib.contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(
            errno.ENOSPC,
            "No space left for the temporary index of the rows: set SQLITE_TMPDIR to a folder "
            f"with room ({error})",
        ) from error

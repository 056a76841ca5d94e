"""The stage that reads: from the files of a source to rows of encoded images."""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_showattend.data.storage import Location, read_bytes
from keras_showattend.preprocessing.image_formats import has_image_extension

Row = dict[str, Any]
# Rows that are passed on together, and files that are asked for at the same time.
BATCH_ROWS = 64
_READERS = 16
IMAGE_COLUMNS = ("image", "images", "bytes", "jpg", "png", "path", "file_name", "uri", "url")
ID_COLUMNS = ("path", "id", "key", "image_id", "file_name", "uri", "url")


class PathSet:
    """A set of names in 16 bytes each, which the processes of a node share.

    Args:
        names: iterable of str.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        digests = b"".join(map(_digest, names))
        self._digests = np.sort(np.frombuffer(digests, [("high", ">u8"), ("low", ">u8")]))

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, name: object) -> bool:
        digest = np.frombuffer(_digest(str(name)), self._digests.dtype)
        place = np.searchsorted(self._digests, digest)[0]
        return bool(place < len(self._digests) and self._digests[place] == digest[0])


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()


class ReadImages:
    """Reads the files of a source.

    Args:
        location: the `Location` of the source.
        kind: `"images"`, `"tar"` or `"parquet"`; see `Listing`.
        done: `PathSet`. Names of the rows that are left out.
        image_column, id_column: str. Columns of Parquet files; None for the first of
            `IMAGE_COLUMNS` and `ID_COLUMNS` that is there. Without an `id_column`, rows are named
            by the SHA-256 of their image.

    Call arguments:
        batch: dict with `file`, paths of files.

    Yields:
        Dicts of up to 64 rows: `path` str, the row's name; `image`, bytes or a path; `error`,
        a str or None; `file`, the file that it came from; and `rows`, how many rows the file
        gave. `rows` is -1 but in a file's last row, which has no path and is no image: where
        it and as many rows arrive, nothing of the file was lost.
    """

    def __init__(
        self,
        location: Location,
        kind: str,
        done: PathSet | None = None,
        image_column: str | None = None,
        id_column: str | None = None,
    ) -> None:
        self._location = location
        self._rows_of = {"images": self._images, "tar": self._tars, "parquet": self._parquet}[kind]
        self._done = PathSet() if done is None else done
        self._image_column = image_column
        self._id_column = id_column

    def __call__(self, batch: Mapping[str, Any]) -> Iterator[Row]:
        """Reads some files; see the class docstring."""
        rows = self._rows_of([str(path) for path in batch["file"]])
        while chunk := list(itertools.islice(rows, BATCH_ROWS)):
            yield {
                "file": np.array([row["file"] for row in chunk], object),
                "path": np.array([row.get("path") for row in chunk], object),
                "image": np.array([row.get("image") for row in chunk], object),
                "error": np.array([row.get("error") for row in chunk], object),
                "rows": np.array([row.get("rows", -1) for row in chunk]),
            }

    def _images(self, paths: Sequence[str]) -> Iterator[Row]:
        def read(path: str) -> Row:
            row: Row = {"file": path, "path": self._location.prefix + path}
            try:
                return {**row, "image": read_bytes(self._location.filesystem, path)}
            except OSError as error:
                return {**row, "error": f"The image could not be fetched: {error}"}

        with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
            for start in range(0, len(paths), BATCH_ROWS):
                yield from pool.map(read, paths[start : start + BATCH_ROWS])

    def _tars(self, paths: Sequence[str]) -> Iterator[Row]:
        for path in paths:
            yield from self._rows_of_file(path, self._members(path))

    def _parquet(self, paths: Sequence[str]) -> Iterator[Row]:
        for path in paths:
            yield from self._rows_of_file(path, self._records(path))

    def _rows_of_file(self, path: str, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows that lack a caption, then one with their number; damage is a row, too."""
        count = 0
        try:
            for row in rows:
                if row["path"] not in self._done:
                    count += 1
                    yield {**row, "file": path}
        except (OSError, EOFError, ValueError, tarfile.TarError) as error:
            name = self._location.prefix + path
            if name not in self._done:
                count += 1
                message = f"The rest of the file could not be read: {error}"
                yield {"file": path, "path": name, "error": message}
        yield {"file": path, "rows": count}

    def _members(self, path: str) -> Iterator[Row]:
        with (
            self._location.filesystem.open_input_stream(path, compression=None) as stream,
            # In one pass, because a store reads no faster by jumps.
            tarfile.open(fileobj=stream, mode="r|*") as archive,
        ):
            for member in archive:
                name = member.name.rpartition("/")[2]
                if not member.isfile() or name.startswith(".") or not has_image_extension(name):
                    continue
                row: Row = {"path": f"{self._location.prefix}{path}/{member.name}"}
                file = archive.extractfile(member)
                # What was captioned is passed over unread.
                if row["path"] not in self._done and file is not None:
                    row["image"] = file.read()
                yield row

    def _records(self, path: str) -> Iterator[Row]:
        import pyarrow.parquet

        with self._location.filesystem.open_input_file(path) as stream:
            file = pyarrow.parquet.ParquetFile(stream)
            names = file.schema_arrow.names
            image, key = _columns(names, self._image_column, self._id_column)
            wanted = [image] if key is None else list(dict.fromkeys([image, key]))
            for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
                for record in batch.to_pylist():
                    value = record[image]
                    name = _name_of(value) if key is None else str(record[key])
                    yield {"path": name, "image": self._resolved(value, path)}

    def _resolved(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            value = value.get("path") if value.get("bytes") is None else value["bytes"]
        if not isinstance(value, str):
            return value
        # A path is looked for beside the Parquet file.
        is_whole = "://" in value or value.startswith("/")
        folder = self._location.prefix + path.rpartition("/")[0]
        return value if is_whole else f"{folder}/{value}"


def _columns(names: Sequence[str], image: str | None, key: str | None) -> tuple[str, str | None]:
    image = image or next((name for name in IMAGE_COLUMNS if name in names), None)
    if image is None or image not in names or (key is not None and key not in names):
        raise ValueError(
            "A Parquet file needs a column of images (bytes, paths or URIs): name it with "
            "`image_column`, and one that tells rows apart with `id_column`. "
            f"Received: image_column={image!r}, id_column={key!r}, of the columns {list(names)}"
        )
    return image, key or next((name for name in ID_COLUMNS if name in names), None)


def _name_of(value: Any) -> str:
    content = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(content, bytes):
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    return str(value.get("path") if isinstance(value, dict) else value)

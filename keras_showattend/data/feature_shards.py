"""Features on disk: arrays of rows, each with the key of its image and a digest."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pathlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_showattend._files import replacing, write_text


@dataclass
class _Shard:
    keys: list[str]
    # None in a shard of before there were digests.
    digests: list[str] | None
    array: np.ndarray
    checked: set[int] = field(default_factory=set)


class FeatureShards:
    """A folder of shards: NAME.npy, float16[n, L, D], and NAME.json, its keys and digests.

    An array without a whole index, of another shape or with an index of another length is
    removed when it is found. A shard of an older version, whose index has no digests, is used if
    its numbers are finite, and gets digests then.

    Args:
        directory: the folder; need not exist.
        row_shape: `(L, D)` of a row.
    """

    def __init__(self, directory: pathlib.Path, row_shape: tuple[int, int]):
        self.directory = directory
        self.arrays: dict[str, np.ndarray] = {}
        self.rows: dict[str, tuple[str, int]] = {}
        self._row_shape = row_shape
        self._shards: dict[str, _Shard] = {}
        self.refresh()

    def refresh(self) -> None:
        """Reads the shards that other processes have added."""
        for index in sorted(self.directory.glob("*.json")):
            # A name that begins with a dot is a file that is being written.
            if index.stem in self._shards or index.name.startswith("."):
                continue
            try:
                shard = self._read(index)
            except (OSError, ValueError, EOFError):
                # A disk that filled up or a file deleted by hand: compute it again.
                self._remove(index.stem)
            else:
                self._add(index.stem, shard)

    def _read(self, index: pathlib.Path) -> _Shard:
        content = json.loads(index.read_text(encoding="utf-8"))
        is_old = isinstance(content, list)
        keys = content if is_old else _text_list(content, "keys")
        digests = None if is_old else _text_list(content, "digests")
        if not all(isinstance(key, str) for key in keys) or len(digests or keys) != len(keys):
            raise ValueError("an index holds one digest for each key")
        array = np.load(index.with_suffix(".npy"), mmap_mode="r")
        if array.shape != (len(keys), *self._row_shape) or array.dtype != np.float16:
            raise ValueError("the array has another shape or type")
        return _Shard(keys, digests, array)

    def write(self, keys: Iterable[str], features: np.ndarray) -> None:
        """Adds one shard.

        Args:
            keys: n keys.
            features: float[n, L, D].
        """
        keys, features = list(keys), np.ascontiguousarray(features, dtype="float16")
        digests = _digests(keys, features)
        stem = uuid.uuid4().hex
        path = self.directory / f"{stem}.npy"
        # NumPy itself tells nobody where the end of a file found no room on the disk.
        content = io.BytesIO()
        np.save(content, features)
        with replacing(path) as partial:
            partial.write_bytes(content.getbuffer())
        # The index comes last: a shard without one is never read.
        self._write_index(stem, keys, digests)
        shard = _Shard(keys, digests, np.load(path, mmap_mode="r"), set(range(len(keys))))
        self._add(stem, shard)

    def drop_damaged(self, keys: Iterable[str]) -> int:
        """Checks the rows of some keys, once each, and removes the shards that are damaged.

        Args:
            keys: which to check; those that are not here are passed over.

        Returns:
            How many rows are gone, all those of the shards that were removed.
        """
        dropped = 0
        for key in keys:
            if key not in self.rows:
                continue
            stem, row = self.rows[key]
            shard = self._shards[stem]
            if row in shard.checked:
                continue
            if shard.digests is None and np.isfinite(shard.array).all():
                shard.digests = _digests(shard.keys, shard.array)
                with contextlib.suppress(OSError):
                    self._write_index(stem, shard.keys, shard.digests)
            if shard.digests and shard.digests[row] == row_digest(key, shard.array[row]):
                shard.checked.add(row)
                continue
            dropped += len(shard.keys)
            self._remove(stem)
            del self._shards[stem], self.arrays[stem]
            self.rows = {k: place for k, place in self.rows.items() if place[0] != stem}
        return dropped

    def _add(self, stem: str, shard: _Shard) -> None:
        self._shards[stem] = shard
        self.arrays[stem] = shard.array
        self.rows.update((key, (stem, row)) for row, key in enumerate(shard.keys))

    def _write_index(self, stem: str, keys: Sequence[str], digests: Sequence[str]) -> None:
        content = json.dumps({"keys": keys, "digests": digests})
        write_text(self.directory / f"{stem}.json", content)

    def _remove(self, stem: str) -> None:
        for suffix in (".json", ".npy"):
            with contextlib.suppress(OSError):
                (self.directory / f"{stem}{suffix}").unlink(missing_ok=True)


def row_digest(key: str, row: np.ndarray) -> str:
    """Returns 16 hex digits of the SHA-256 over a key and the features of its image."""
    digest = hashlib.sha256(key.encode())
    digest.update(np.ascontiguousarray(row).data)
    return digest.hexdigest()[:16]


def _digests(keys: Sequence[str], array: np.ndarray) -> list[str]:
    return [row_digest(key, row) for key, row in zip(keys, array, strict=True)]


def _text_list(content: object, name: str) -> list[str]:
    values = content.get(name) if isinstance(content, dict) else None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"an index holds the list {name!r}")
    return values

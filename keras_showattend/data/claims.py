"""Work that several processes share: each takes what no other has taken."""

from __future__ import annotations

import contextlib
import json
import pathlib
import uuid
from collections.abc import Iterator, Sequence

import filelock


class Claims:
    """Keys that processes work on, in a folder of lock files.

    The operating system gives up the lock of a process that died, and its keys are free again.
    On a file system without locks nothing is shared: each process takes all it needs.

    Args:
        folder: where the lock files lie; made when it is needed.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder

    @contextlib.contextmanager
    def take(self, keys: Sequence[str], count: int) -> Iterator[list[str]]:
        """Claims keys while the block runs.

        Args:
            keys: those that are wanted, in order.
            count: the most that are taken.

        Yields:
            The first `count` keys that no other process has claimed; maybe none.
        """
        name = uuid.uuid4().hex
        lock = filelock.FileLock(self._folder / f"{name}.lock")
        listing = self._folder / f"{name}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self._folder / "folder.lock"):
                taken = self._taken()
                mine = [key for key in keys if key not in taken][:count]
                if mine:
                    lock.acquire()
                    listing.write_text(json.dumps(mine), encoding="utf-8")
        except (OSError, NotImplementedError):
            mine = list(keys[:count])
        try:
            yield mine
        finally:
            with contextlib.suppress(OSError):
                listing.unlink(missing_ok=True)
            lock.release()
            with contextlib.suppress(OSError):
                pathlib.Path(lock.lock_file).unlink(missing_ok=True)

    def _taken(self) -> set[str]:
        """Keys of the processes that are alive; what dead ones left is removed."""
        taken: set[str] = set()
        for listing in self._folder.glob("*.json"):
            lock_file = listing.with_suffix(".lock")
            lock = filelock.FileLock(lock_file, blocking=False)
            try:
                lock.acquire()
            except filelock.Timeout:
                with contextlib.suppress(OSError, ValueError):
                    taken.update(json.loads(listing.read_text(encoding="utf-8")))
            else:
                listing.unlink(missing_ok=True)
                lock.release()
                lock_file.unlink(missing_ok=True)
        return taken

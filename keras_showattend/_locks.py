"""Files and folders that one process at a time may write."""

import contextlib
import datetime
import json
import os
import pathlib
import socket
from collections.abc import Iterator

from keras_showattend._text import printable
from keras_showattend._typing import PathLike


@contextlib.contextmanager
def exclusive(path: PathLike) -> Iterator[None]:
    """Holds a file or folder for this process while the block runs.

    The lock lies beside it as `.NAME.lock`, tells who holds it, and is removed at the end.
    The operating system gives up the lock of a process that died, so that what such a
    process left behind keeps nobody out.

    Args:
        path: the file or folder, which need not exist. Its parent folder must.

    Raises:
        BlockingIOError: if another process holds it; names its process id, its machine and
            since when.
        OSError: if the lock cannot be made, as in a folder that cannot be written.
    """
    import filelock

    target = pathlib.Path(path)
    lock_file = target.with_name(f".{target.name}.lock")
    # Read first, because some versions of `filelock` empty the file before they lock it.
    holder = _holder(lock_file)
    lock = filelock.FileLock(lock_file, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BlockingIOError(
            f"Only one process at a time may write {os.fspath(target)!r}: wait until the other "
            f"one has ended, or write elsewhere. Received: a file in use by {holder}"
        ) from None
    try:
        _write_holder(lock_file)
        yield
    finally:
        # Before the release: whoever has opened this file by then finds it removed and
        # makes a new one. Windows keeps a file that is open; it is removed by the next run.
        with contextlib.suppress(OSError):
            lock_file.unlink()
        lock.release()


def _write_holder(lock_file: pathlib.Path) -> None:
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    record = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    # A lock holds without its record, as on a full disk.
    with contextlib.suppress(OSError):
        lock_file.write_text(json.dumps(record) + "\n", encoding="utf-8")


def _holder(lock_file: pathlib.Path) -> str:
    try:
        record = json.loads(lock_file.read_text(encoding="utf-8"))
        text = f"process {record['pid']} on {record['host']} since {record['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
    return printable(text)

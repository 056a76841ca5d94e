"""A folder that holds its old files or its new ones, whichever moment the process ends.

New files are written into a hidden folder inside the destination. When all are complete, one
rename of that folder commits them; from then on whoever finds it, this process or the next that
saves or loads there, moves the files into their places. The destination itself is never
replaced: it may be a mounted volume, a link, or the working folder of a shell.
"""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence

from keras_showattend._locks import exclusive
from keras_showattend.presets.trust import read_json

STAGED = ".saving"
COMMITTED = ".saved"
# In the committed folder: what happens to files of the destination that are not replaced.
PLAN_FILE = "plan.json"
_TRIES = 5


@contextlib.contextmanager
def exchanged_files(
    destination: pathlib.Path, remove: Sequence[str] = (), set_aside: Sequence[str] = ()
) -> Iterator[pathlib.Path]:
    """Gives a new folder, and moves what was written there into the destination, all or nothing.

    After an exception the destination is as it was. After the death of the process it holds the
    old files, or `finish_exchange` completes the new ones. Other files in it stay.

    Args:
        destination: path of the folder, made if need be.
        remove: names of files to delete unless they are written anew.
        set_aside: names of files to rename to `NAME.previous.SUFFIX` unless they are written
            anew.

    Yields:
        Path of an empty folder on the same file system.

    Raises:
        BlockingIOError: if another process is saving into the folder.
        OSError: if the folder cannot be made or written.
    """
    is_new = not destination.exists()
    destination.mkdir(parents=True, exist_ok=True)
    staged = destination / STAGED
    try:
        with exclusive(staged):
            finish_exchange(destination)
            # Of a process that ended while it wrote: nobody else holds the lock.
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            try:
                yield staged
                _write_plan(staged, remove, set_aside)
                os.rename(staged, destination / COMMITTED)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
            finish_exchange(destination)
    finally:
        if is_new:
            # Only where nothing was saved; a folder with files stays.
            with contextlib.suppress(OSError):
                destination.rmdir()


def _write_plan(staged: pathlib.Path, remove: Sequence[str], set_aside: Sequence[str]) -> None:
    new = _files(staged)
    plan = {
        "remove": [name for name in remove if name not in new],
        "set_aside": [name for name in set_aside if name not in new],
    }
    (staged / PLAN_FILE).write_text(json.dumps(plan), encoding="utf-8")
    for name in (*new, PLAN_FILE):
        with open(staged / name, "rb+") as file:
            os.fsync(file.fileno())


def finish_exchange(destination: pathlib.Path) -> None:
    """Moves committed files into their places, if a process ended before it had done so.

    Any number of processes may do this at once.

    Args:
        destination: path of the folder.

    Raises:
        OSError: if the folder cannot be written.
        ValueError: if what was committed would reach out of the folder.
    """
    for _ in range(_TRIES):
        try:
            return _finish(destination, destination / COMMITTED)
        except FileNotFoundError as error:
            # Another process is moving the same files.
            failure = error
    raise failure


def _finish(destination: pathlib.Path, committed: pathlib.Path) -> None:
    plan_path = committed / PLAN_FILE
    if not plan_path.is_file():
        # None committed, or the plan is gone already, the last step but one.
        if committed.is_dir():
            committed.rmdir()
        return
    plan = _read_plan(plan_path)
    for name in _files(committed):
        if name != PLAN_FILE:
            target = _inside(destination, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(committed / name, target)
    for name in plan["remove"]:
        _inside(destination, name).unlink(missing_ok=True)
    for name in plan["set_aside"]:
        path = _inside(destination, name)
        if path.exists():
            os.replace(path, path.with_suffix(f".previous{path.suffix}"))
    for path in sorted(committed.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
    plan_path.unlink()
    committed.rmdir()


def _read_plan(path: pathlib.Path) -> dict[str, list[str]]:
    plan = read_json(path)
    keys = ("remove", "set_aside")
    names = [plan.get(key) for key in keys] if isinstance(plan, dict) else [None]
    for value in names:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise ValueError(
                f"A '{PLAN_FILE}' must hold what saving writes: delete '{COMMITTED}' in the "
                f"preset's folder. Received: '{path}'"
            )
    return plan


def _inside(destination: pathlib.Path, name: str) -> pathlib.Path:
    path = destination / name
    # A folder from a stranger may hold links, and a plan of the stranger's.
    if not path.parent.resolve().is_relative_to(destination.resolve()):
        raise ValueError(
            "Saving must stay inside the preset's folder. Replace the link by a folder, or delete "
            f"'{COMMITTED}' in it. Received: '{path}'"
        )
    return path


def _files(folder: pathlib.Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())

"""Files on disks and in object stores, by the file systems of pyarrow and fsspec."""

from __future__ import annotations

import dataclasses
import functools
import glob
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from keras_showattend._files import replacing
from keras_showattend._install import install_advice
from keras_showattend._text import is_url
from keras_showattend._typing import PathLike
from keras_showattend.preprocessing.image_formats import image_extensions

Result = TypeVar("Result")
# The file endings of each kind of source.
KINDS = {"tar": (".tar", ".tar.gz", ".tgz"), "parquet": (".parquet",)}
# Object stores refuse some requests and grant the same ones a moment later.
_PAUSES = (0.2, 0.8, 3.2)
_PERMANENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
# pyarrow's own; all other schemes are fsspec's.
_ARROW_SCHEMES = ("s3", "gs", "gcs")


@dataclasses.dataclass(frozen=True)
class Location:
    """A file or folder in a file system of pyarrow.

    Attributes:
        filesystem: `pyarrow.fs.FileSystem`.
        path: str in it.
        prefix: what stands before a path in its full name: `"s3://"`, or nothing for a disk.
    """

    filesystem: Any
    path: str
    prefix: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it lies on a disk of this machine."""
        return not self.prefix

    def child(self, name: str) -> str:
        """Returns the path of a file in this folder."""
        return f"{self.path.rstrip('/')}/{name}"


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a source holds.

    Attributes:
        location: the `Location` that was listed.
        kind: `"images"`, `"tar"` or `"parquet"`.
        paths: list of str, sorted, in the file system of `location`.
    """

    location: Location
    kind: str
    paths: list[str]


def locate(name: PathLike) -> Location:
    """Finds the file system of a path or a URI.

    Args:
        name: path on a disk, or a URI. pyarrow reads `s3://` and `gs://`, fsspec all others,
            some with one more package. After a `?`, options of the file system may follow:
            `s3://bucket/folder?endpoint_override=localhost:9000&scheme=http`.

    Raises:
        ModuleNotFoundError: without pyarrow, or without the package that a URI needs.
        ValueError: for a URI that no file system knows.
    """
    text = os.fspath(name)
    if not is_url(text):
        return Location(_local(), os.path.abspath(text))
    scheme, _, rest = text.partition("://")
    path, _, query = rest.partition("?")
    if scheme == "file":
        return Location(_local(), path)
    if scheme in _ARROW_SCHEMES:
        # Not parsed as a URI, because names of objects may hold spaces and percent signs.
        bucket = path.partition("/")[0]
        path = path.rpartition("@")[2]
        return Location(_arrow_filesystem(f"{scheme}://{bucket}/?{query}"), path, f"{scheme}://")
    fs = _pyarrow_fs()
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(text)
    except ImportError as error:
        raise ModuleNotFoundError(
            f"A URI of this kind needs one more package: {error}. Received: {text}"
        ) from error
    return Location(fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path, f"{scheme}://")


@functools.cache
def _local() -> Any:
    return _pyarrow_fs().LocalFileSystem()


def _pyarrow_fs() -> Any:
    try:
        from pyarrow import fs
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Tars, Parquet files and URIs are read with pyarrow: {install_advice('parquet')}. "
            f"Received: {error}"
        ) from error
    return fs


@functools.cache
def _arrow_filesystem(root: str) -> Any:
    # Kept, because it looks up the region and holds connections.
    return _pyarrow_fs().FileSystem.from_uri(root)[0]


def list_source(source: PathLike) -> Listing:
    """Lists the images, tars or Parquet files of a source.

    Args:
        source: a file, a folder (with its sub-folders) or a glob, as a path or a URI. Hidden
            files and folders are left out.

    Raises:
        ValueError: if there is nothing to caption, or files of several kinds.
    """
    text = os.fspath(source)
    location, paths = _files(text)
    endings = {"images": tuple(image_extensions()), **KINDS}
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        for kind, ends in endings.items():
            if path.lower().endswith(ends) and not _is_hidden(path, location.path):
                found.setdefault(kind, []).append(path)
    if len(found) != 1:
        counts = ", ".join(f"{len(names)} {kind}" for kind, names in found.items())
        raise ValueError(
            "A source must hold images, or tars of images, or Parquet files, and only one of "
            "these kinds: name another folder, or a glob such as 'folder/*.jpg'. "
            f"Received: {text!r}, which holds {counts or 'none of them'}"
        )
    [(kind, names)] = found.items()
    return Listing(location, kind, names)


def _files(text: str) -> tuple[Location, list[str]]:
    pattern, mark, query = text.partition("?") if is_url(text) else (text, "", "")
    if glob.has_magic(pattern) and not os.path.exists(text):
        from fsspec.implementations.arrow import ArrowFSWrapper

        # What stands before the first wildcard names the file system.
        first = min(pattern.find(wildcard) for wildcard in "*?[" if wildcard in pattern)
        folder = pattern[: pattern.rfind("/", 0, first) + 1]
        location = locate(f"{folder}{mark}{query}" or ".")
        found = ArrowFSWrapper(location.filesystem).glob(location.child(pattern[len(folder) :]))
        return location, list(found)
    location = locate(text)
    from pyarrow import fs

    filesystem = location.filesystem
    info = _persistently(lambda: filesystem.get_file_info(location.path))
    if info.type == fs.FileType.NotFound:
        raise ValueError(
            "A source must be an existing file, folder, glob or URI: check the spelling. "
            f"Received: {text!r}"
        )
    if info.type == fs.FileType.File:
        return location, [location.path]
    selector = fs.FileSelector(location.path, recursive=True)
    infos = _persistently(lambda: filesystem.get_file_info(selector))
    return location, [info.path for info in infos if info.type == fs.FileType.File]


def _is_hidden(path: str, folder: str) -> bool:
    return any(part.startswith(".") for part in path.removeprefix(folder).split("/"))


def read_bytes(filesystem: Any, path: str) -> bytes:
    """Reads a whole file; tries again, after pauses, what a store refuses.

    Raises:
        OSError: if it is not there, or after the last attempt.
    """

    def read() -> bytes:
        with filesystem.open_input_stream(path) as stream:
            content: bytes = stream.read()
        return content

    return _persistently(read)


def write_bytes(location: Location, name: str, content: bytes) -> None:
    """Writes a file into a folder, whole or not at all.

    Raises:
        OSError: if it cannot be written, after the last attempt.
    """
    path = location.child(name)
    if location.is_local:
        with replacing(path) as partial:
            partial.write_bytes(content)
        return

    def write() -> None:
        # An object appears when its stream is closed.
        with location.filesystem.open_output_stream(path) as stream:
            stream.write(content)

    _persistently(write)


def _persistently(action: Callable[[], Result]) -> Result:
    for pause in _PAUSES:
        try:
            return action()
        except _PERMANENT:
            raise
        except OSError:
            time.sleep(pause)
    return action()

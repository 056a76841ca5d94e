"""Images to rows, one after the other: what has the same content is captioned once."""

from __future__ import annotations

import concurrent.futures
import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from keras_showattend.cli.caption_rows import RowMaker
from keras_showattend.cli.row_formats import Row
from keras_showattend.cli.row_index import RowIndex

# Threads that read files ahead of the captioner.
THREADS = 4
# As many hexadecimal digits of a SHA-256 tell the content of files apart.
CONTENT_DIGITS = 32


class FileContent(NamedTuple):
    """What a file held when it was read.

    Attributes:
        digest: str of hexadecimal digits, the same for the same bytes.
        stamp: time of modification in ns and size in bytes; another one means that the file
            has changed.
        has_several_frames: bool. Whether it is an animation or has pages.
    """

    digest: str
    stamp: tuple[int, int]
    has_several_frames: bool


class Captioned(NamedTuple):
    """What became of an image.

    Attributes:
        path: str.
        row: its row, or the error that tells why it could not be read.
        is_copy: bool. Whether the row is that of an image with the same content.
        has_several_frames: bool. Whether the first of several frames or pages was captioned.
    """

    path: str
    row: Row | Exception
    is_copy: bool = False
    has_several_frames: bool = False


def caption_stream(
    captioner: Any,
    paths: Iterable[str],
    rows: RowMaker,
    index: RowIndex,
    *,
    batch_size: int,
    **search_options: Any,
) -> Iterator[Captioned]:
    """Captions images in order with flat memory, and continues after bad ones.

    Args:
        captioner: an `ImageCaptioner` or a `CaptionerEnsemble`.
        paths: the images.
        rows: makes a row of what the captioner gives.
        index: rows of earlier images, to which each new one is added.
        batch_size: images that are captioned together.
        **search_options: see `ImageCaptioner.generate`.
    """
    found = read_ahead(paths, 2 * batch_size)
    # Images that were taken from `found` and have no row yet, in order, with whether they go
    # to the captioner.
    waiting: deque[tuple[str, FileContent | Exception, bool]] = deque()
    # Contents that are with the captioner, and those that it could not read.
    pending: set[str] = set()
    failed: dict[str, Exception] = {}
    is_exhausted = False

    def is_new(content: FileContent | Exception) -> bool:
        return not (
            isinstance(content, Exception)
            or content.digest in pending
            or content.digest in failed
            or index.of_content(content.digest) is not None
        )

    def new_images() -> Iterator[str]:
        """Gives images to the captioner, until copies in a row have waited long enough."""
        nonlocal is_exhausted
        copies = 0
        while copies < 4 * batch_size:
            item = next(found, None)
            if item is None:
                is_exhausted = True
                return
            path, content = item
            goes = is_new(content)
            waiting.append((path, content, goes))
            copies = 0 if goes else copies + 1
            if goes and not isinstance(content, Exception):
                pending.add(content.digest)
                yield path

    def settled() -> Iterator[Captioned]:
        """Takes the images that need no captioner from the front of `waiting`."""
        while waiting and not waiting[0][2]:
            path, content, _ = waiting.popleft()
            if isinstance(content, Exception):
                yield Captioned(path, content)
                continue
            original = index.of_content(content.digest)
            if original is None:
                yield Captioned(path, failed[content.digest])
                continue
            row = rows.copy(path, original)
            index.add(row)
            yield Captioned(path, row, True, content.has_several_frames)

    while not is_exhausted:
        stream = captioner.generate_stream(new_images(), batch_size=batch_size, **search_options)
        for result in stream:
            yield from settled()
            path, content, _ = waiting.popleft()
            assert isinstance(content, FileContent)
            pending.discard(content.digest)
            if not isinstance(result, Exception) and _stamp(path) != content.stamp:
                result = _changed(path)
            if isinstance(result, Exception):
                failed[content.digest] = result
                yield Captioned(path, result)
                continue
            row = rows.row(path, result, content.digest)
            index.add(row)
            yield Captioned(path, row, False, content.has_several_frames)
        yield from settled()


def read_ahead(paths: Iterable[str], ahead: int) -> Iterator[tuple[str, FileContent | Exception]]:
    """Reads the content of files, some files ahead of who takes it, in order."""
    waiting: deque[tuple[str, concurrent.futures.Future[FileContent | Exception]]] = deque()
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for path in paths:
            waiting.append((path, pool.submit(_read, path)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


def _read(path: str) -> FileContent | Exception:
    from keras_showattend.preprocessing.image_formats import has_several_frames
    from keras_showattend.preprocessing.images import ImageError, image_digest

    stamp = _stamp(path)
    try:
        digest = image_digest(path)[:CONTENT_DIGITS]
    except ImageError as error:
        return error
    return FileContent(digest, stamp, has_several_frames(path))


def _stamp(path: str) -> tuple[int, int]:
    try:
        stat = os.stat(path)
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


def _changed(path: str) -> Exception:
    from keras_showattend.preprocessing.images import ImageError

    return ImageError(
        "An image must stay as it is while it is read: run the command again. "
        f"Received: {path}, which another program changed meanwhile"
    )

"""Which images `keras-showattend caption` was asked for. Nothing here imports Keras."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from keras_showattend._text import is_url, printable

# How many files a message names.
_MOST_NAMES = 5
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def add_choice_of_images(parser: argparse._ActionsContainer) -> None:
    """Adds the options that choose among the images of folders."""
    parser.add_argument(
        "--no-recursive", action="store_true", help="leave the sub-folders of folders out"
    )
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="GLOB",
        help="only images of folders that match, such as '*.jpg' or '2024/**'; repeatable",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="leave out images and sub-folders that match, such as 'thumbs/'; repeatable",
    )
    parser.add_argument(
        "--since",
        type=_moment,
        metavar="WHEN",
        help="only images that were modified since a date (2026-01-31, 2026-01-31T09:00) or in "
        "the last hours, days or weeks (12h, 7d, 2w)",
    )


def _moment(text: str) -> datetime.datetime:
    now = datetime.datetime.now().astimezone()
    span = re.fullmatch(r"(\d{1,5})([hdw])", text)
    try:
        if span:
            return now - datetime.timedelta(**{_UNITS[span[2]]: int(span[1])})
        return datetime.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            "must be a date such as 2026-01-31, a time such as 2026-01-31T09:00, or a number of "
            f"hours, days or weeks such as 12h, 7d or 2w. Received: {text}"
        ) from None


def check_inputs(inputs: Sequence[str]) -> None:
    """Refuses what can be seen to be wrong from the arguments alone.

    Args:
        inputs: paths of images and folders.

    Raises:
        ValueError: for no argument, a URL, something that does not exist, or an argument given
            twice.
    """
    if not inputs:
        raise ValueError("At least one image or folder is needed. Received: no argument")
    seen: dict[str, str] = {}
    for path in inputs:
        if is_url(path):
            raise ValueError(
                "An image must be a file on this machine: download it, then pass the file. "
                f"Received: {path}"
            )
        if not os.path.exists(path):
            raise ValueError(
                "Each argument must be an existing image or folder: check the spelling and the "
                f"working folder. Received: {path!r}"
            )
        key = os.path.abspath(path)
        if key in seen:
            raise ValueError(
                "Each image or folder is given once: leave one out. "
                f"Received: {seen[key]!r} and {path!r}"
            )
        seen[key] = path


class _Source:
    """An image or a folder that was given.

    Args:
        path: as it was given.
        recursive: whether to look into the sub-folders of a folder.
        keeps: function of a path relative to the folder, with a slash after that of a
            folder: False leaves it out.
    """

    def __init__(self, path: str, recursive: bool, keeps: Callable[[str], bool]) -> None:
        self.path = path
        self.absolute = os.path.abspath(path)
        self.is_folder = os.path.isdir(path)
        # The walk puts the folder before its paths, but for the working folder.
        folder = pathlib.Path(path)
        self._prefix = 0 if folder == pathlib.Path() else len(os.path.join(folder, ""))
        self._recursive = recursive
        self._keeps = keeps

    def keeps(self, path: str, is_folder: bool) -> bool:
        """Whether a path that the walk of this folder found passes the filter."""
        relative = path[self._prefix :].replace(os.sep, "/")
        return self._keeps(relative + "/" * is_folder)

    def covers(self, path: str) -> bool:
        """Whether the walk of this folder comes upon an image, an absolute path."""
        if not self.is_folder:
            return path == self.absolute
        if not path.startswith(os.path.join(self.absolute, "")):
            return False
        names = os.path.relpath(path, self.absolute).split(os.sep)
        if any(name.startswith(".") for name in names) or (len(names) > 1 and not self._recursive):
            return False
        folders = [os.path.join(self.absolute, *names[:count]) for count in range(1, len(names))]
        return (
            not any(map(os.path.islink, folders))
            and all(self._keeps(f"{'/'.join(names[:n])}/") for n in range(1, len(names)))
            and self._keeps("/".join(names))
        )


@dataclasses.dataclass
class Images:
    """The images that the arguments lead to, found one after the other.

    Iterating gives their paths, as given or found, each once: in the order of the arguments, and
    inside a folder sorted. No list of them is kept. What the latest iteration left out is reported
    by `left_out` and `unreadable_folders`.

    Attributes:
        inputs: list of str. What `check_inputs` has let pass.
        recursive: bool. Whether to look into the sub-folders of folders.
        include, exclude: lists of str. Patterns as in a `.gitignore`, relative to each folder.
        since: only images modified at or after this time; None for all.
        left_out: counter of the endings of images in formats that are not read here.
        left_out_names: list of str. The first few of them.
        unreadable_folders: list of str. Why folders could not be listed.
    """

    inputs: Sequence[str]
    recursive: bool = True
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    since: datetime.datetime | None = None
    left_out: collections.Counter[str] = dataclasses.field(
        init=False, default_factory=collections.Counter
    )
    left_out_names: list[str] = dataclasses.field(init=False, default_factory=list)
    unreadable_folders: list[str] = dataclasses.field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        keeps = _glob_filter(self.include, self.exclude)
        self._sources = [_Source(path, self.recursive, keeps) for path in self.inputs]

    def __iter__(self) -> Iterator[str]:
        self.left_out.clear()
        self.left_out_names.clear()
        self.unreadable_folders.clear()
        for number, source in enumerate(self._sources):
            earlier = [s for s in self._sources[:number] if _may_overlap(s, source)]
            for path in self._of(source):
                if self._is_recent(path) and not any(
                    s.covers(os.path.abspath(path)) for s in earlier
                ):
                    yield path

    def covers(self, path: str) -> bool:
        """Whether a path is one of the images, if it is an image."""
        return any(source.covers(os.path.abspath(path)) for source in self._sources)

    def check(self) -> None:
        """Refuses a folder without images.

        Raises:
            ValueError: names the folder, and what it holds in place of images.
        """
        for source in self._sources:
            self.left_out.clear()
            self.left_out_names.clear()
            if source.is_folder and next(self._of(source), None) is None:
                raise self._nothing_in(source.path)

    def describe_left_out(self) -> str:
        """Says how many images of which formats were left out, names some, and what helps."""
        # Importing Pillow takes a moment, which wrong arguments need not wait for.
        from keras_showattend.preprocessing.image_formats import HEIF_HINT, RAW_HINT, is_camera_raw

        counts = ", ".join(f"{n} {ending}" for ending, n in self.left_out.items())
        names = ", ".join(map(printable, self.left_out_names))
        rest = self.left_out.total() - len(self.left_out_names)
        more = f" and {rest} more" if rest else ""
        hints = [HEIF_HINT] * any(e.startswith((".hei", ".hif")) for e in self.left_out)
        hints += [RAW_HINT] * any(map(is_camera_raw, map("x{}".format, self.left_out)))
        text = f"images in formats that are not read ({counts}): {names}{more}."
        return " ".join([text, *hints])

    def _of(self, source: _Source) -> Iterator[str]:
        if not source.is_folder:
            yield source.path
            return
        from keras_showattend.preprocessing.image_folders import walk_images

        filters = {"keeps": source.keeps} if self.include or self.exclude else {}
        found = walk_images(
            source.path,
            self.recursive,
            **filters,
            on_error=lambda error: self.unreadable_folders.append(str(error)),
        )
        for path, is_readable in found:
            if is_readable:
                yield path
                continue
            self.left_out[os.path.splitext(path)[1].lower()] += 1
            if len(self.left_out_names) < _MOST_NAMES:
                self.left_out_names.append(path)

    def _is_recent(self, path: str) -> bool:
        if self.since is None:
            return True
        try:
            return os.stat(path).st_mtime >= self.since.timestamp()
        except OSError:
            # Why it cannot be read is reported when it is read.
            return True

    def _nothing_in(self, folder: str) -> ValueError:
        where = "or its sub-folders" if self.recursive else "itself; leave `--no-recursive` out"
        rule = f"A folder must hold images that can be read (.jpg, .png and the like) {where}"
        if self.include or self.exclude:
            rule += ", which `--include` and `--exclude` let pass"
        found = "none"
        if self.unreadable_folders:
            found = f"a folder that cannot be listed: {self.unreadable_folders[0]}"
        elif self.left_out:
            found = f"only {self.describe_left_out()}"
        return ValueError(f"{rule}. Received: {folder!r}, which has {found}")


class Todo:
    """The images without a row, found one after the other.

    Args:
        images: paths.
        done: what tells by `in` whether a path has a row.

    Attributes:
        count: int. How many were given by the latest iteration so far.
        num_done: int. How many it left out because they have a row.
    """

    def __init__(self, images: Iterable[str], done: Container[str]) -> None:
        self._images = images
        self._done = done
        self.count = 0
        self.num_done = 0

    def __iter__(self) -> Iterator[str]:
        self.count = self.num_done = 0
        for path in self._images:
            if path in self._done:
                self.num_done += 1
            else:
                self.count += 1
                yield path

    def measure(self, most: int) -> int | None:
        """How many there are, or None if more than `most`."""
        counted = sum(1 for _ in itertools.islice(self, most + 1))
        return counted if counted <= most else None


def spread(items: Iterable[str], count: int) -> list[str]:
    """Some items at equal distances, of as many as there are, without a list of all.

    Args:
        items: any number of them.
        count: int. Of so many items or fewer all are taken; of more, this many at most and
            more than half as many.
    """
    kept: list[str] = []
    stride = 1
    for number, item in enumerate(items):
        if number % stride:
            continue
        if len(kept) == count:
            kept, stride = kept[::2], 2 * stride
            if number % stride:
                continue
        kept.append(item)
    return kept


def _may_overlap(earlier: _Source, source: _Source) -> bool:
    first, second = (os.path.join(s.absolute, "") for s in (earlier, source))
    return first.startswith(second) or second.startswith(first)


def _glob_filter(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    if not include and not exclude:
        return lambda path: True
    import pathspec

    kept, left = (pathspec.GitIgnoreSpec.from_lines(lines) for lines in (include, exclude))

    def keeps(path: str) -> bool:
        if left.match_file(path):
            return False
        # A folder that does not match may hold what does.
        return not include or path.endswith("/") or kept.match_file(path)

    return keeps

"""What `keras-showattend caption` does with the rows of FILE: review, decisions, metadata."""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import pathlib
import sys
from collections.abc import Callable, Iterator

from tqdm import tqdm

from keras_showattend._files import replacing
from keras_showattend._locks import exclusive
from keras_showattend._text import printable
from keras_showattend.cli.alt_style_options import add_style_options, alt_text_style
from keras_showattend.cli.caption_file import CaptionFile
from keras_showattend.cli.console import as_message, say
from keras_showattend.cli.row_formats import Row, RowFormat

# Options that work on the rows of FILE.
_OF_FILE = ("review", "apply", "write_metadata", "write_sidecars")


def add_review_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of review and metadata to those of `caption`."""
    group = parser.add_argument_group("review and metadata", "of the rows of `--output FILE`")
    group.add_argument(
        "--review",
        metavar="PAGE.html",
        help="write a page to accept, edit or reject captions, the least certain first",
    )
    group.add_argument(
        "--apply",
        metavar="DECISIONS.json",
        help="put the decisions that the page saved into FILE",
    )
    places = group.add_mutually_exclusive_group()
    places.add_argument(
        "--write-metadata",
        action="store_true",
        help="write captions as alt texts into the images, by exiftool; the pixels stay",
    )
    places.add_argument(
        "--write-sidecars",
        action="store_true",
        help="write captions as alt texts into .xmp files beside the images",
    )
    group.add_argument(
        "--overwrite-metadata",
        action="store_true",
        help="also where an image has an alt text or a description",
    )
    add_style_options(group)


def works_on_rows_alone(args: argparse.Namespace) -> bool:
    """Whether there is something to do with the rows of FILE and no image to caption."""
    return not args.inputs and any(getattr(args, name) for name in _OF_FILE)


def check_review_options(args: argparse.Namespace) -> None:
    """Refuses what can be seen to be wrong before anything is captioned.

    Raises:
        ValueError: names the option.
        ModuleNotFoundError: if PyExifTool is needed and not installed.
    """
    named = next((name for name in _OF_FILE if getattr(args, name)), None)
    if named and not args.output:
        raise ValueError(
            f"`--{named.replace('_', '-')}` works on rows in a file: add `--output FILE.csv`. "
            "Received: no `--output`"
        )
    if args.overwrite_metadata and not (args.write_metadata or args.write_sidecars):
        raise ValueError(
            "`--overwrite-metadata` is for `--write-metadata` and `--write-sidecars`. "
            "Received: neither"
        )
    if args.review:
        page = pathlib.Path(args.review)
        if page.suffix.lower() not in (".html", ".htm") or not page.absolute().parent.is_dir():
            raise ValueError(
                "`--review` must be a file in an existing folder, whose name ends in .html. "
                f"Received: {args.review!r}"
            )
    if (args.apply or works_on_rows_alone(args)) and not os.path.isfile(args.output):
        raise ValueError(
            f"`--{(named or '').replace('_', '-')}` works on rows that `caption` wrote: name their "
            f"file by `--output`, or name images. Received: {args.output!r}, which does not exist"
        )
    if args.write_metadata:
        from keras_showattend.alt_text.metadata import MetadataWriter

        MetadataWriter()


def apply_decisions(args: argparse.Namespace, row_format: RowFormat) -> int:
    """Puts the decisions of `--apply` into FILE, all at once; returns the exit code."""
    from keras_showattend.alt_text.review import read_decisions

    decisions = read_decisions(args.apply)
    counts: collections.Counter[str] = collections.Counter()
    with exclusive(args.output):
        file = CaptionFile(args.output, row_format)
        unknown = [d.path for key, d in decisions.items() if key not in file.done]
        with replacing(args.output) as partial, open(partial, "wb") as new:
            new.write(file.format.header.encode())
            for row in file.rows():
                decision = decisions.get(os.path.abspath(row["path"]))
                if decision is None:
                    counts["left"] += 1
                elif decision.content and decision.content != row["content"]:
                    counts["other"] += 1
                else:
                    row = {**row, "caption": decision.caption, "review": decision.decision}
                    counts[decision.decision] += 1
                new.write(file.format.line(row).encode("utf-8", "surrogateescape"))
    for path in unknown[:5]:
        say(f"no row for {path}, on which there is a decision")
    told = ", ".join(f"{counts[word]} {word}" for word in ("accepted", "edited", "rejected"))
    say(f"{told}; {counts['left']} rows without a decision")
    if len(unknown) > 5:
        say(f"{len(unknown)} decisions are on images that {args.output} does not have")
    if counts["other"]:
        say(f"{counts['other']} decisions were made on images that have other content now")
    return 1 if unknown or counts["other"] else 0


def finish(args: argparse.Namespace, row_format: RowFormat) -> int:
    """Writes the page and the metadata of the rows of FILE; returns the exit code."""
    if not (args.review or args.write_metadata or args.write_sidecars):
        return 0
    style = alt_text_style(args)
    with exclusive(args.output):
        file = CaptionFile(args.output, row_format)
        if args.review:
            _write_page(args, file, style)
        if args.write_metadata or args.write_sidecars:
            return _write_metadata(args, file, style)
    return 0


def _write_page(args: argparse.Namespace, file: CaptionFile, style: Callable[[str], str]) -> None:
    from keras_showattend.alt_text.review import write_review

    rows = [{**row, "caption": style(row["caption"])} for row in file.rows() if not row["review"]]
    count = write_review(rows, args.review)
    say(f"wrote {args.review} with {count} captions to review")


def _write_metadata(
    args: argparse.Namespace, file: CaptionFile, style: Callable[[str], str]
) -> int:
    counts: collections.Counter[str] = collections.Counter()
    with _writer(args) as write, tqdm(unit="image", disable=not sys.stderr.isatty()) as bar:
        for row in file.rows():
            bar.update()
            text = row["caption"] if row["review"] else style(row["caption"])
            if not text:
                counts["without a caption"] += 1
                continue
            problem = ""
            try:
                if not args.overwrite_metadata and _has_changed(row):
                    counts["changed since they were captioned, or written before"] += 1
                elif write(row["path"], text):
                    counts["written"] += 1
                else:
                    counts["with a text of their own"] += 1
            except (OSError, ValueError) as error:
                problem = str(error)
            if problem:
                counts["failed"] += 1
                message = f"no metadata for {printable(row['path'])}: {printable(problem)}"
                bar.write(as_message(message), file=sys.stderr, end="")
    told = "; ".join(f"{count} {what}" for what, count in counts.items() if what != "written")
    say(f"{counts['written']} alt texts written" + (f"; {told}" if told else ""))
    return 1 if counts["failed"] else 0


@contextlib.contextmanager
def _writer(args: argparse.Namespace) -> Iterator[Callable[[str, str], bool]]:
    if args.write_sidecars:
        from keras_showattend.alt_text.sidecars import write_sidecar

        yield lambda path, text: write_sidecar(path, text, args.overwrite_metadata)
        return
    from keras_showattend.alt_text.metadata import MetadataWriter

    with MetadataWriter(args.overwrite_metadata) as writer:
        yield writer.write


def _has_changed(row: Row) -> bool:
    from keras_showattend.preprocessing.images import image_digest

    content = row["content"]
    return bool(content) and not image_digest(row["path"]).startswith(content)

"""`keras-showattend alt`: alt texts for the images of web pages."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
from typing import Any

from tqdm import tqdm

from keras_showattend._text import is_url, printable
from keras_showattend.alt_text.fetch import fetch
from keras_showattend.alt_text.pages import HTML_ENDINGS, MARKDOWN_ENDINGS, find_pages
from keras_showattend.alt_text.site import (
    Lack,
    PageLacks,
    counts,
    described_page,
    find_lacks,
    patch,
    sources_of,
    to_caption,
    write_page,
)
from keras_showattend.cli.alt_style_options import add_style_options, alt_text_style
from keras_showattend.cli.captioners import add_preset_option
from keras_showattend.cli.console import fraction, json_line, say
from keras_showattend.cli.image_options import add_size_limit
from keras_showattend.cli.search_options import add_search_options, search_options
from keras_showattend.presets import resolve_preset
from keras_showattend.presets.files import CALIBRATION_FILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument(
        "pages", nargs="+", metavar="PAGE|FOLDER", help="HTML and Markdown, folders of them"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check", action="store_true", help="only list images without alt text; exit code 1 if any"
    )
    what.add_argument("--diff", action="store_true", help="print a patch for `git apply`")
    what.add_argument("--write", action="store_true", help="write the alt texts into the pages")
    what.add_argument("--json", action="store_true", help="print a JSON line for each image")
    parser.add_argument(
        "--empty",
        action="store_true",
        help='also replace alt texts that say nothing: blanks, the file name, "image"',
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        help="folder of the site, where addresses like /a.jpg begin; no file outside of it is "
        "read (default: the folder that was given, for a page the working folder)",
    )
    parser.add_argument(
        "--fetch",
        action="store_true",
        help="download images that are on the web: up to 20 MB and 20 seconds each, from public "
        "addresses",
    )
    add_size_limit(parser)
    style = parser.add_argument_group("alt texts")
    style.add_argument(
        "--min-confidence",
        type=fraction,
        metavar="P",
        help="write no alt text whose confidence is below P, between 0 and 1",
    )
    style.add_argument(
        "--comment",
        action="store_true",
        help="put a comment after images that get no alt text, which says why",
    )
    add_style_options(style)
    model = parser.add_argument_group("model and search")
    add_preset_option(model)
    add_search_options(model)


def run(args: argparse.Namespace) -> int:
    """Finds images without alt text and describes them; see `docs/alt_text.md`."""
    _check(args)
    pages = [
        find_lacks(path, args.root or site, args.empty) for path, site in find_pages(args.pages)
    ]
    if not pages:
        raise ValueError(
            f"A folder must hold pages ({', '.join(HTML_ENDINGS + MARKDOWN_ENDINGS)}). "
            f"Received: {', '.join(map(repr, args.pages))}, without any"
        )
    for page in pages:
        if page.problem:
            say(f"skipped {page.path}: {page.problem}")
    unreadable = any(page.problem for page in pages)
    if args.check:
        return _list(pages) or int(unreadable)
    _describe(args, pages)
    failed = _write(args, pages) if args.write or args.diff else _report(args, pages)
    _tell(args, pages)
    return int(unreadable or failed or any(lack.failed for page in pages for lack in page.lacks))


def _check(args: argparse.Namespace) -> None:
    endings = HTML_ENDINGS + MARKDOWN_ENDINGS
    for path in args.pages:
        if is_url(path):
            raise ValueError(f"A page must be a file on this machine. Received: {path}")
        if not os.path.exists(path):
            raise ValueError(
                "Each argument must be an existing page or folder: check the spelling and the "
                f"working folder. Received: {path!r}"
            )
        if os.path.isfile(path) and not path.lower().endswith(endings):
            raise ValueError(f"A page must end in one of {endings}. Received: {path!r}")
    if args.root and not os.path.isdir(args.root):
        raise ValueError(f"`--root` must be a folder. Received: {args.root!r}")
    if args.comment and not (args.write or args.diff):
        raise ValueError(
            "`--comment` is written into pages: add `--write` or `--diff`. Received: neither"
        )
    if args.min_confidence and not args.check:
        folder = resolve_preset(args.preset)
        if not pathlib.Path(folder, CALIBRATION_FILE).is_file():
            raise ValueError(
                "`--min-confidence` needs a captioner whose confidence is calibrated: run "
                "`evaluate --calibrate` with captioned images, or leave it out. "
                f"Received: --preset {args.preset}, which has no {CALIBRATION_FILE}"
            )


def _list(pages: list[PageLacks]) -> int:
    """Prints the images without alt text; returns 1 if there are any."""
    lacks = [lack for page in pages for lack in page.lacks]
    for lack in lacks:
        print(f"{_place(lack)}: {_name(lack)} has no alt text")
    total = counts(pages)
    say(f"{total['lacking']} of {total['images']} images on {total['pages']} pages lack alt text")
    return 1 if lacks else 0


def _describe(args: argparse.Namespace, pages: list[PageLacks]) -> None:
    """Captions the images that lack alt text, and notes the texts."""
    sources = iter(sources_of(to_caption(pages), fetch if args.fetch else None))
    first = next(sources, None)
    if first is None:
        return
    from keras_showattend.models import ImageCaptioner

    captioner = ImageCaptioner.from_preset(resolve_preset(args.preset))
    style = alt_text_style(args)
    groups: list[list[Lack]] = []

    def images() -> Any:
        for source, group in (first, *sources):
            groups.append(group)
            yield source

    found = captioner.generate_stream(images(), **search_options(args))
    bar = tqdm(found, unit="image", disable=not sys.stderr.isatty())
    for number, result in enumerate(bar):
        # The stream is a batch ahead of its results.
        for lack in groups[number]:
            if isinstance(result, Exception):
                lack.fail(str(result).partition(" Received:")[0])
                continue
            lack.confidence = result[0].confidence
            text = style(result[0].text)
            if args.min_confidence and (lack.confidence or 0.0) < args.min_confidence:
                lack.problem = (
                    f"the captioner is not sure enough ({lack.confidence or 0:.2f}) of: {text}"
                )
            elif not text:
                lack.problem = "the captioner found no words"
            else:
                lack.text = text


def _report(args: argparse.Namespace, pages: list[PageLacks]) -> bool:
    for page in pages:
        for lack in page.lacks:
            if args.json:
                sys.stdout.write(json_line(_row(lack)))
                continue
            sure = "" if lack.confidence is None else f" ({lack.confidence:.2f})"
            text = f'"{lack.text}"{sure}' if lack.text else f"no alt text: {lack.problem}"
            print(f"{_place(lack)}: {_name(lack)}: {printable(text)}")
    return False


def _row(lack: Lack) -> dict[str, Any]:
    return {
        "page": lack.page,
        "line": lack.image.line,
        "source": _address(lack),
        "file": lack.reference.path,
        "alt": lack.text or None,
        "confidence": None if lack.confidence is None else round(lack.confidence, 4),
        "problem": lack.problem or None,
    }


def _write(args: argparse.Namespace, pages: list[PageLacks]) -> bool:
    """Writes pages or prints a patch; returns whether one of them could not be done."""
    failed = False
    for found in pages:
        if not found.lacks:
            continue
        try:
            page, new = described_page(found, args.comment)
            if page.text == new.text:
                continue
            if args.write:
                write_page(page, new)
            else:
                sys.stdout.flush()
                sys.stdout.buffer.write(patch(page, new))
        except (OSError, ValueError) as error:
            say(f"left {found.path} as it was: {error}")
            failed = True
            for lack in found.lacks:
                lack.text = ""
    sys.stdout.flush()
    return failed


def _tell(args: argparse.Namespace, pages: list[PageLacks]) -> None:
    if args.write or args.diff:
        for page in pages:
            for lack in page.lacks:
                if lack.problem:
                    say(f"{_place(lack)}: {_name(lack)}: no alt text: {lack.problem}")
    total = counts(pages)
    done = {"write": "written", "diff": "in the patch"}
    kind = next((word for name, word in done.items() if getattr(args, name)), "found")
    say(
        f"{total['images']} images on {total['pages']} pages, {total['lacking']} without alt text; "
        f"{total['described']} alt texts {kind}, {total['undescribed']} still without"
    )


def _place(lack: Lack) -> str:
    return f"{printable(lack.page)}:{lack.image.line}"


def _name(lack: Lack) -> str:
    address = printable(_address(lack))
    return address if len(address) <= 80 else f"{address[:77]}..."


def _address(lack: Lack) -> str:
    return lack.image.sources[0] if lack.image.sources else "an image without an address"

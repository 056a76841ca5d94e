"""Pages as they are on disk: text in which every character can be put back exactly."""

from __future__ import annotations

import codecs
import dataclasses
import hashlib
import html
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from keras_showattend.alt_text.html_images import find_html_images
from keras_showattend.alt_text.markdown_images import find_markdown_images
from keras_showattend.alt_text.page_images import PageImage

HTML_ENDINGS = (".html", ".htm", ".xhtml")
MARKDOWN_ENDINGS = (".md", ".markdown")
MAX_BYTES = 100_000_000

_BOMS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# UTF-16 without its mark, as it begins in a page.
_BARE = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_BRACES = str.maketrans({character: f"&#{ord(character)};" for character in "{}|"})
# A character after a backslash is itself. Braces get no backslash, which a template would keep.
_MARKDOWN = str.maketrans(
    {
        **{character: f"\\{character}" for character in "\\`*_[]<>&|~!$"},
        **{character: f"&#{ord(character)};" for character in "{}"},
    }
)
# Where the HTML standard requires a charset to be declared.
_HEAD = 1024


class Edit(NamedTuple):
    """A range of a text, and what takes its place."""

    start: int
    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class Page:
    """A page of a site.

    Attributes:
        path: str.
        text: str. The page, from which `codec` makes its bytes exactly.
        codec: str. `"utf-8"`, `"utf-16-le"`, `"utf-16-be"`, or `"latin-1"`, in which every
            character stands for a byte of a page in another encoding.
        charset: str. The encoding of an HTML page whose codec is `"latin-1"`.
        is_unicode: bool. Whether letters beyond ASCII can be written as they are.
    """

    path: str
    text: str
    codec: str
    charset: str
    is_unicode: bool

    @property
    def is_markdown(self) -> bool:
        """Whether it is Markdown; otherwise it is HTML."""
        return self.path.lower().endswith(MARKDOWN_ENDINGS)

    @property
    def data(self) -> bytes:
        """The bytes of the page."""
        return self.text.encode(self.codec)

    def images(self) -> list[PageImage]:
        """The images of the page in order."""
        if self.is_markdown:
            return find_markdown_images(self.text)
        return find_html_images(self.text, self.readable)

    def readable(self, text: str) -> str:
        """A part of the text as a person reads it."""
        if self.codec != "latin-1" or self.is_markdown:
            return text
        return text.encode("latin-1").decode(self.charset, errors="surrogateescape")

    def writable(self, text: str) -> str:
        """Text without what the page's encoding may lack, which becomes `&#8230;` and the like."""
        if self.is_unicode:
            return text
        return text.encode("ascii", "xmlcharrefreplace").decode("ascii")

    def described(
        self, texts: Mapping[int, str], comments: Mapping[int, str] | None = None
    ) -> Page:
        """The page with alt texts written into it, and all else as it was.

        Args:
            texts: from the number of an image among `images()` to its alt text.
            comments: from such numbers to what a comment after the image says.

        Raises:
            ValueError: if an image has an obstacle, or the page would not be read as meant.
        """
        images = self.images()
        expected = _digest(images, texts)
        edits = sorted(self._edits(images, texts, comments or {}))
        # A long page has many of them.
        del images
        text = _edited(self.text, edits)
        del edits
        page = dataclasses.replace(self, text=text)
        if _digest(page.images()) != expected:
            raise ValueError(
                "An alt text must change nothing else on its page: write it by hand. "
                f"Received: {self.path!r}, in which an image would be read otherwise"
            )
        return page

    def _edits(
        self, images: Sequence[PageImage], texts: Mapping[int, str], comments: Mapping[int, str]
    ) -> Iterator[Edit]:
        for number, text in texts.items():
            image = images[number]
            if image.obstacle:
                raise ValueError(
                    "An alt text can be written where a page says plainly where it stands: write "
                    f"it by hand. Received: {self.path!r}, line {image.line}: {image.obstacle}"
                )
            yield Edit(image.start, image.end, self.writable(self._alt(image, text)))
        for number, comment in comments.items():
            place = images[number].after
            text = self.writable(f"<!-- {' '.join(comment.replace('--', '-').split())} -->")
            yield Edit(place, place, text)

    def _alt(self, image: PageImage, text: str) -> str:
        if not image.is_html:
            return text.translate(_MARKDOWN)
        # Braces and bars mean something to templates and to tables of Markdown.
        escaped = html.escape(text, quote=True).translate(_BRACES)
        # A new attribute follows the name of the tag.
        return f' alt="{escaped}"' if image.start == image.end else f'alt="{escaped}"'


def read_page(path: str) -> Page:
    """Reads a page.

    Args:
        path: a file whose name ends like a page's.

    Raises:
        ValueError: if it is larger than 100 MB, or no text.
        OSError: if it cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise ValueError(
                f"A page has at most {MAX_BYTES:,} bytes: split it. Received: {path!r} with "
                f"{size:,} bytes"
            )
        data = file.read()
    return decode_page(path, data)


def decode_page(path: str, data: bytes) -> Page:
    """Makes a page of its bytes; see `read_page`."""
    codec = _BOMS.get(data[:2]) or _BARE.get(data[:2])
    if codec is not None:
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            raise ValueError(
                f"A page in UTF-16 must be whole: save it again. Received: {path!r}"
            ) from None
        return Page(path, text, codec, codec, True)
    if b"\0" in data[:_HEAD]:
        raise ValueError(f"A page must be text. Received: {path!r}, which holds zero bytes")
    told = _CHARSET.search(data[:_HEAD])
    charset = _known(told[1].decode("ascii")) if told else None
    try:
        return Page(path, data.decode("utf-8"), "utf-8", "utf-8", charset in (None, "utf-8"))
    except UnicodeDecodeError:
        return Page(path, data.decode("latin-1"), "latin-1", charset or "cp1252", False)


def find_pages(inputs: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Finds pages: files as given, folders by the pages in them, sorted.

    Args:
        inputs: paths of files and folders. Hidden files and folders are left out, and links to
            folders are not followed.

    Yields:
        The page's path, and the folder it was found in or that a file lies in.
    """
    endings = HTML_ENDINGS + MARKDOWN_ENDINGS
    for given in inputs:
        if not os.path.isdir(given):
            yield given, _site_of(given)
            continue
        for parent, folders, names in os.walk(given):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if name.lower().endswith(endings) and not name.startswith("."):
                    yield os.path.join(parent, name), given


def _site_of(page: str) -> str:
    """The working folder if the page lies in it, or else the page's own folder."""
    here, folder = os.getcwd(), os.path.dirname(os.path.abspath(page))
    return here if os.path.commonpath([here, folder]) == here else folder


def _edited(text: str, edits: Iterable[Edit]) -> str:
    """Text with edits, which come in order."""
    parts, last = [], 0
    for edit in edits:
        parts += [text[last : edit.start], edit.text]
        last = edit.end
    return "".join([*parts, text[last:]])


def _digest(images: Iterable[PageImage], texts: Mapping[int, str] | None = None) -> bytes:
    """Tells images apart by their sources and alt texts, in place of which others may stand."""
    digest = hashlib.sha256()
    for number, image in enumerate(images):
        seen = (image.sources, (texts or {}).get(number, image.alt))
        digest.update(ascii(seen).encode("ascii"))
    return digest.digest()


def _known(label: str) -> str | None:
    try:
        name = codecs.lookup(label).name
    except LookupError:
        return None
    # As browsers take these labels.
    return {"iso8859-1": "cp1252", "ascii": "cp1252", "utf-16": "utf-8"}.get(name, name)

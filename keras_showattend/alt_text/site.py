"""The images of a site that lack alt text, and the pages with it."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping

from keras_showattend._files import replacing
from keras_showattend._locks import exclusive
from keras_showattend.alt_text.page_images import PageImage
from keras_showattend.alt_text.pages import Page, read_page
from keras_showattend.alt_text.references import Reference, find_image

# The start of a comment that stands for an alt text, after the image.
COMMENT = "alt text wanted"


@dataclasses.dataclass(slots=True)
class Lack:
    """An image without alt text.

    Attributes:
        page: path of the page.
        number: int. Which of the page's images it is, from 0.
        image: what the page says of it.
        reference: where it lies.
        has_comment: bool. Whether a comment behind it asks for an alt text already.
        text: str. The alt text for it; empty while there is none.
        confidence: float of the caption, or None.
        problem: str. Why there is no alt text, or the empty string.
        failed: bool. Whether that is because the image cannot be read.
    """

    page: str
    number: int
    image: PageImage
    reference: Reference
    has_comment: bool
    text: str = ""
    confidence: float | None = None
    problem: str = ""
    failed: bool = False

    def fail(self, problem: str) -> None:
        """Notes why the image cannot be read."""
        self.problem, self.failed = problem, True


@dataclasses.dataclass
class PageLacks:
    """A page and its images without alt text.

    Attributes:
        path: str.
        digest: of the page's bytes.
        num_images: int.
        lacks: list of `Lack`, in order.
        problem: str. Why the page cannot be read, or the empty string.
    """

    path: str
    digest: str = ""
    num_images: int = 0
    lacks: list[Lack] = dataclasses.field(default_factory=list)
    problem: str = ""


def find_lacks(path: str, root: str, empty: bool = False) -> PageLacks:
    """Finds the images of a page that lack alt text.

    Args:
        path: of the page.
        root: folder of the site.
        empty: see `PageImage.lacks_alt`.
    """
    try:
        page = read_page(path)
    except (OSError, ValueError) as error:
        return PageLacks(path, problem=str(error))
    images = page.images()
    lacks = [
        Lack(
            page=path,
            number=number,
            image=image,
            reference=find_image(image, path, root),
            has_comment=page.text.startswith(f"<!-- {COMMENT}", image.after),
        )
        for number, image in enumerate(images)
        if image.lacks_alt(empty)
    ]
    for lack in lacks:
        if lack.image.obstacle:
            lack.problem = lack.image.obstacle
        elif lack.reference.problem:
            lack.fail(lack.reference.problem)
    return PageLacks(path, _digest(page), len(images), lacks)


def described_page(found: PageLacks, comments: bool = False) -> tuple[Page, Page]:
    """Returns a page as it is and with its alt texts.

    Args:
        found: what `find_lacks` gave, with the texts that were found meanwhile.
        comments: whether images without a text get a comment that says so.

    Raises:
        ValueError: if the page has changed since it was read, or cannot be written safely.
        OSError: if it cannot be read.
    """
    page = read_page(found.path)
    if _digest(page) != found.digest:
        raise ValueError(
            "A page must stay as it is meanwhile: run the command again. "
            f"Received: {found.path!r}, which another program changed"
        )
    texts = {lack.number: lack.text for lack in found.lacks if lack.text}
    notes = {
        lack.number: f"{COMMENT}: {lack.problem.partition(' (see --')[0]}"
        for lack in found.lacks
        if comments and not lack.text and not lack.has_comment and not lack.image.obstacle
    }
    return page, page.described(texts, notes)


def write_page(page: Page, new: Page) -> None:
    """Puts a page in the place of an old one, all at once, with its permissions.

    Raises:
        PermissionError: if the page is read-only.
        BlockingIOError: if another process writes it.
        OSError: if it cannot be written, as on a full disk.
    """
    # A link stays a link to the page.
    path = os.path.realpath(page.path)
    # A file is replaced, for which its own permission would not be asked.
    if not os.stat(path).st_mode & stat.S_IWUSR or not os.access(path, os.W_OK):
        raise PermissionError(
            f"A page must be writable: `chmod u+w` it. Received: {page.path!r}, which is read-only"
        )
    with exclusive(path):
        with open(path, "rb") as file:
            if file.read() != page.data:
                raise ValueError(
                    "A page must stay as it is meanwhile: run the command again. "
                    f"Received: {page.path!r}, which another program changed"
                )
        with replacing(path) as partial:
            partial.write_bytes(new.data)
            shutil.copymode(path, partial)


def patch(page: Page, new: Page) -> bytes:
    """A unified diff of two versions of a page, for `git apply` and `patch -p1`.

    Raises:
        ValueError: for a page in UTF-16, which these programs take for no text.
    """
    if page.codec.startswith("utf-16"):
        raise ValueError(
            "A patch is for pages in an encoding that contains ASCII: use `--write`. "
            f"Received: {page.path!r} in UTF-16"
        )
    name = os.path.relpath(page.path).replace(os.sep, "/")
    # Bytes as letters, and lines that end at "\n" alone, as these programs take them.
    old_lines, new_lines = (_lines(version.data.decode("latin-1")) for version in (page, new))
    parts = []
    for line in difflib.unified_diff(old_lines, new_lines, "a/", "b/"):
        parts.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    if not parts:
        return b""
    header = f"--- a/{name}\n+++ b/{name}\n".encode("utf-8", "surrogateescape")
    return header + "".join(parts[2:]).encode("latin-1")


def _lines(text: str) -> list[str]:
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def to_caption(pages: Iterable[PageLacks]) -> Iterator[Lack]:
    """The images of pages that a caption would help."""
    return (lack for page in pages for lack in page.lacks if not lack.problem)


def sources_of(
    lacks: Iterable[Lack], fetch: Callable[[str], bytes] | None
) -> Iterator[tuple[str | bytes, list[Lack]]]:
    """The images to caption, each once, with those that show them.

    Args:
        lacks: of any pages.
        fetch: function that downloads an image, or None, with which images on the web are a
            problem of those that show them.

    Yields:
        A source for `load_image`, and the `Lack`s it is for.
    """
    groups: dict[tuple[str, object], list[Lack]] = {}
    for lack in lacks:
        path, url, data, _ = lack.reference
        if path is not None:
            key: tuple[str, object] = ("path", os.path.realpath(path))
        elif url is not None:
            key = ("url", url)
        else:
            key = ("data", data)
        groups.setdefault(key, []).append(lack)
    for (kind, value), group in groups.items():
        if kind == "url" and fetch is None:
            for lack in group:
                lack.problem = "it is on the web (see --fetch)"
        elif kind == "url" and fetch is not None:
            try:
                yield fetch(str(value)), group
            except OSError as error:
                for lack in group:
                    lack.fail(str(error))
        elif isinstance(value, str | bytes):
            yield value, group


def _digest(page: Page) -> str:
    return hashlib.sha256(page.data).hexdigest()


def counts(pages: Iterable[PageLacks]) -> Mapping[str, int]:
    """How many pages and images there are, and what became of the images without alt text."""
    result = dict.fromkeys(("pages", "images", "lacking", "described", "undescribed"), 0)
    for page in pages:
        result["pages"] += 1
        result["images"] += page.num_images
        result["lacking"] += len(page.lacks)
        result["described"] += sum(bool(lack.text) for lack in page.lacks)
    result["undescribed"] = result["lacking"] - result["described"]
    return result

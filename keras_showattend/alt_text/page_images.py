"""What is known of an image of a page."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse

# Alt texts that say nothing.
_EMPTY_WORDS = re.compile(
    r"(?:an? |the |my |this )?(?:image|img|picture|pic|photo|photograph|graphic|screenshot|untitled"
    r"|placeholder|alt|alt text|null|undefined|none)?[\s\d_.()-]*",
    re.IGNORECASE,
)
# As cameras and phones name files: IMG_1234, DSC01234, 20240131_120000.
_CAMERA_NAME = re.compile(r"(?:img|dsc[fn]?|p|pxl|gopr|image|photo)?[\s_-]*\d[\d_\s.()-]*", re.I)


@dataclasses.dataclass(frozen=True, slots=True)
class PageImage:
    """An image of a page.

    Attributes:
        sources: tuple of str. Where the image may lie, the best first: `src`, `srcset`,
            what lazy loading or a `<picture>` name.
        alt: str, or None if there is no such attribute.
        start, end: int. The range of the page's text in which the alt text is written.
        after: int. Where the image ends in the page's text.
        line: int, from 1.
        is_html: bool. Whether it is an `<img>`, also one in Markdown.
        is_named: bool. Whether it needs no alt text, because ARIA names or hides it.
        obstacle: str or None. Why no alt text can be written: a template's code, a broken tag.
        base: str or None. What relative sources are relative to, if not to the page.
    """

    sources: tuple[str, ...]
    alt: str | None
    start: int
    end: int
    after: int
    line: int
    is_html: bool
    is_named: bool = False
    obstacle: str | None = None
    base: str | None = None

    def lacks_alt(self, empty: bool = False) -> bool:
        """Whether it has no alt text.

        Args:
            empty: whether an alt text that says nothing counts as none, too: blanks, the
                name of the file, "image" and the like. `alt=""` says that the image is
                decoration.
        """
        if self.is_named:
            return False
        if self.alt is None or (not self.is_html and not self.alt):
            return True
        return empty and bool(self.alt) and says_nothing(self.alt, self.sources)


def says_nothing(alt: str, sources: tuple[str, ...]) -> bool:
    """Whether an alt text is blank, the name of its file, or a word such as "image"."""
    text = " ".join(alt.split()).lower()
    if _EMPTY_WORDS.fullmatch(text) or _CAMERA_NAME.fullmatch(os.path.splitext(text)[0]):
        return True
    names = [
        os.path.basename(urllib.parse.unquote(urllib.parse.urlsplit(source).path)).lower()
        for source in sources
        if not source.startswith("data:")
    ]
    return text in names or text in [os.path.splitext(name)[0] for name in names]

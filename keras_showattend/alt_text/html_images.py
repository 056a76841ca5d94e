"""Finds the images of HTML and where their alt texts are written, by tree-sitter."""

from __future__ import annotations

import dataclasses
import functools
import html
import re
from collections.abc import Callable, Iterator
from typing import Any

from keras_showattend._install import install_advice
from keras_showattend.alt_text.page_images import PageImage

# How much of a page is parsed at once, in characters.
_PART = 1_000_000
# How many elements around an end tag are looked at.
_FAR = 100
_IMG = re.compile("<img", re.IGNORECASE)
# What a browser takes for text in these is no image.
_TEXT_ONLY = frozenset({"iframe", "noembed", "noframes", "textarea", "title", "xmp"})
_LAZY = ("data-src", "data-original", "data-lazy-src", "data-srcset")
# Code that a server runs; it may hold anything.
_SERVER_CODE = re.compile(r"<\?(?!xml\b).*?\?>|<%.*?%>", re.DOTALL)
_TEMPLATE = re.compile(r"\{\{|\{%|\{#|\$\{|<%|<\?|\[\[")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# An address ends at a comma before a blank, or at a blank with a size behind it.
_CANDIDATE = re.compile(r"[\s,]*([^\s,]\S*?)(?:,+(?=\s|$)|\s+[^,]*(?:,|$)|$)")


def find_html_images(
    text: str, decode: Callable[[str], str] = lambda text: text
) -> list[PageImage]:
    """Finds the `<img>` elements of HTML.

    Args:
        text: HTML, which may be broken.
        decode: function from a part of the text to what a person reads there.

    Returns:
        List of `PageImage` in order. `<input type="image">` and what only scripts or style
        sheets show is not among them.

    Raises:
        ModuleNotFoundError: if tree-sitter is not installed.
    """
    if not _IMG.search(text):
        return []
    # Server code changes no position.
    masked = _SERVER_CODE.sub(lambda code: " " * len(code[0]), text)
    found: list[PageImage] = []
    base = None
    for part, tag, sources in _tags(text, masked, decode):
        kind = _name(tag)
        if kind == "base":
            base = base or _attributes(tag, part).get("href", (None,))[0]
        elif kind == "source":
            sources += _candidates(_attributes(tag, part).get("srcset", ("",))[0])
        elif kind == "img":
            found.append(_image(tag, part, sources))
    return [dataclasses.replace(image, base=base) for image in found] if base else found


@dataclasses.dataclass(frozen=True)
class _Part:
    """A part of a page that is parsed at once, behind start tags of the elements around it.

    Attributes:
        text, masked: str. The part, and the same without server code.
        decode: function from text to what a person reads there.
        first: int. Where the page's text begins in these.
        shift: int. From a position in these to that in the page.
        lines: int. How many lines of the page lie before.
    """

    text: str
    masked: str
    decode: Callable[[str], str]
    first: int
    shift: int
    lines: int

    def read(self, start: int, end: int) -> str:
        """What a person reads there."""
        return self.decode(self.text[start:end])


def _tags(
    text: str, masked: str, decode: Callable[[str], str]
) -> Iterator[tuple[_Part, Any, list[str]]]:
    """The tags in order, without those in text, each with a list for the picture it lies in.

    A long page is parsed in parts, because a syntax tree takes twenty times the memory of its
    text. What the end of a part may cut belongs to the next one, which begins with a tag outside
    of pictures and text.
    """
    start, lines, length, front = 0, 0, _PART, ""
    while True:
        stop = _end_of_part(masked, start, start + length)
        is_last = stop >= len(masked)
        part = _Part(
            front + text[start:stop],
            front + masked[start:stop],
            decode,
            len(front),
            start - len(front),
            lines,
        )
        # Tags from the latest one on with which another part could begin.
        waiting: list[tuple[_Part, Any, list[str]]] = []
        next_start, next_element = start, _PAGE
        for tag, element in _walk(part, is_last):
            if element.picture is None:
                yield from waiting
                waiting = []
                next_start, next_element = tag.start_byte + part.shift, element
            waiting.append((part, tag, [] if element.picture is None else element.picture))
        if is_last:
            yield from waiting
            return
        if next_start == start:
            length *= 2
            continue
        front = "".join(f"<{name}>" for name in next_element.path())
        lines += text.count("\n", start, next_start)
        start, length = next_start, _PART


def _walk(part: _Part, is_last: bool) -> Iterator[tuple[Any, _Element]]:
    """The tags of a part in order, without those in text, each with its element."""
    # Letters beyond ASCII change no structure.
    content = _NOT_ASCII.sub("x", part.masked).encode("ascii")
    cursor = _parser().parse(content).walk()
    # An error before here is one of the page. A later one may come from the end of the part.
    trusted = len(content) if is_last else len(content) // 2
    innermost = _PAGE
    depth = 0
    while True:
        node = cursor.node
        kind = node.type
        if node.start_byte > trusted and (kind == "ERROR" or node.is_missing):
            return
        if kind in ("start_tag", "self_closing_tag"):
            innermost = innermost.with_child(_name(node), depth)
            if not innermost.is_text and node.start_byte >= part.first:
                yield node, innermost
        elif kind in ("end_tag", "erroneous_end_tag"):
            innermost = innermost.without(_name(node))
        elif kind in ("document", "element", "ERROR") and cursor.goto_first_child():
            depth += 1
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            # What has no end lies in no element of its own, but in what is around it.
            while innermost.parent is not None and innermost.depth >= depth:
                innermost = innermost.parent
            depth -= 1


@dataclasses.dataclass(frozen=True, slots=True)
class _Element:
    """An element that is open at a place of a page.

    Attributes:
        name: str, in lower case; empty for the page itself.
        parent: the element around it; None for the page itself.
        depth: int. At which depth of the syntax tree its start tag stands.
        picture: list of the sources of the innermost `<picture>`, or None outside of any.
        is_text: bool. Whether a browser takes what it holds for text.
    """

    name: str = ""
    parent: _Element | None = None
    depth: int = -1
    picture: list[str] | None = None
    is_text: bool = False

    def with_child(self, name: str, depth: int) -> _Element:
        """An element in this one."""
        picture = [] if name == "picture" else self.picture
        return _Element(name, self, depth, picture, self.is_text or name in _TEXT_ONLY)

    def without(self, name: str) -> _Element:
        """What is innermost after the end of the element of this name."""
        element: _Element | None = self
        # Far outside it is not meant.
        for _ in range(_FAR):
            if element is None or element.parent is None:
                break
            if element.name == name:
                return element.parent
            element = element.parent
        return self

    def path(self) -> list[str]:
        """The names of the elements around this one, from the outside."""
        names, element = [], self.parent
        while element is not None and element.name:
            names.append(element.name)
            element = element.parent
        return names[::-1]


_PAGE = _Element()


def _end_of_part(text: str, start: int, stop: int) -> int:
    """Where a tag seems to begin before `stop`, but not in a comment."""
    if stop >= len(text):
        return len(text)
    stop = max(text.rfind("<", start + 1, stop), start + 1)
    comment = text.rfind("<!--", start, stop)
    end = text.find("-->", comment) if comment >= 0 else start
    return len(text) if end < 0 else max(stop, end + 3)


@functools.cache
def _parser() -> Any:
    try:
        import tree_sitter
        import tree_sitter_html
    except ImportError:
        raise ModuleNotFoundError(
            f"To find images in HTML, install tree-sitter: {install_advice('alt')}"
        ) from None
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_html.language()))


def _image(tag: Any, part: _Part, others: list[str]) -> PageImage:
    start, end = tag.start_byte, tag.end_byte
    attributes = _attributes(tag, part)
    sources = [attributes["src"][0]] if attributes.get("src", ("",))[0] else []
    sources += [attributes[key][0] for key in _LAZY[:-1] if key in attributes]
    for key in ("srcset", _LAZY[-1]):
        sources += _candidates(attributes[key][0]) if key in attributes else []
    sources += others
    name = _child(tag, "tag_name")
    alt: str | None = None
    place = (name.end_byte, name.end_byte)
    if "alt" in attributes:
        alt, place = attributes["alt"][0], attributes["alt"][1:]
    obstacle = None
    raw = part.text[start:end]
    if (
        part.masked[start:end] != raw
        or any(_TEMPLATE.search(key) or "%}" in key or "}}" in key for key in attributes)
        or (tag.has_error and _TEMPLATE.search(raw))
        or any(_TEMPLATE.search(source) for source in sources[:1])
    ):
        obstacle = "a template makes it"
    elif tag.has_error or not raw.endswith(">") or not raw.startswith("<" + name.text.decode()):
        obstacle = "its tag is broken"
    return PageImage(
        sources=tuple(dict.fromkeys(source.strip() for source in sources if source.strip())),
        alt=alt,
        start=place[0] + part.shift,
        end=place[1] + part.shift,
        after=end + part.shift,
        line=part.lines + tag.start_point.row + 1,
        is_html=True,
        is_named=_is_named(attributes),
        obstacle=obstacle,
    )


def _is_named(attributes: dict[str, tuple[str, int, int]]) -> bool:
    def value(key: str) -> str:
        return attributes.get(key, ("",))[0].strip()

    return bool(
        value("aria-label")
        or value("aria-labelledby")
        or value("aria-hidden").lower() == "true"
        or value("role").lower() in ("presentation", "none")
    )


def _attributes(tag: Any, part: _Part) -> dict[str, tuple[str, int, int]]:
    """From the lower-case name of each attribute to its value, start and end; the first counts."""
    found: dict[str, tuple[str, int, int]] = {}
    for node in tag.children:
        if node.type != "attribute":
            continue
        key = _child(node, "attribute_name")
        quoted = _child(node, "quoted_attribute_value") or node
        value = _child(quoted, "attribute_value")
        content = html.unescape(part.read(value.start_byte, value.end_byte)) if value else ""
        name = part.read(key.start_byte, key.end_byte).lower()
        found.setdefault(name, (content, node.start_byte, node.end_byte))
    return found


def _name(tag: Any) -> str:
    """The name of the element of a tag, in lower case."""
    name = _child(tag, "tag_name") or _child(tag, "erroneous_end_tag_name")
    return name.text.decode().lower() if name else ""


def _child(node: Any, kind: str) -> Any:
    return next((child for child in node.children if child.type == kind), None)


def _candidates(srcset: str) -> list[str]:
    """The addresses of a `srcset`, in order."""
    return [match[1] for match in _CANDIDATE.finditer(srcset)]

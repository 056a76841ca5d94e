"""Finds the images of HTML and where their alt texts are written, by tree-sitter."""

from __future__ import annotations

import dataclasses
import functools
import html
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from keras_showattend._install import install_advice
from keras_showattend.alt_text.page_images import PageImage

# From a start and an end to what stands there.
_Read: TypeAlias = Callable[[int, int], str]
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
    if "<img" not in text.lower():
        return []
    # Server code and letters beyond ASCII change no position and no structure.
    masked = _SERVER_CODE.sub(lambda code: " " * len(code[0]), text)
    content = _NOT_ASCII.sub("x", masked).encode("ascii")

    def read(start: int, end: int) -> str:
        return decode(text[start:end])

    found: list[PageImage] = []
    base = None
    for tag, sources in _tags(_parser().parse(content).root_node):
        name = _child(tag, "tag_name")
        kind = text[name.start_byte : name.end_byte].lower()
        if kind == "base":
            base = base or _attributes(tag, read).get("href", (None,))[0]
        elif kind == "source":
            sources += _candidates(_attributes(tag, read).get("srcset", ("",))[0])
        elif kind == "img":
            found.append(_image(tag, name, text, masked, read, sources))
    return [dataclasses.replace(image, base=base) for image in found] if base else found


def _tags(root: Any) -> Iterator[tuple[Any, list[str]]]:
    """The tags in order, without those in text, each with a list for the picture it lies in."""
    cursor = root.walk()
    # The elements around the place, by their names, and a list for each picture among them.
    names: list[str] = []
    pictures: list[list[str]] = []
    in_text = 0
    while True:
        node = cursor.node
        kind = node.type
        if kind in ("start_tag", "self_closing_tag"):
            if names and not names[-1]:
                names[-1] = _child(node, "tag_name").text.decode().lower()
                in_text += names[-1] in _TEXT_ONLY
                if names[-1] == "picture":
                    pictures.append([])
            if not in_text:
                yield node, pictures[-1] if pictures else []
        elif kind in ("document", "element", "ERROR") and cursor.goto_first_child():
            names.append("")
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            name = names.pop()
            in_text -= name in _TEXT_ONLY
            if name == "picture":
                pictures.pop()


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


def _image(
    tag: Any, name: Any, text: str, masked: str, read: _Read, others: list[str]
) -> PageImage:
    start, end = tag.start_byte, tag.end_byte
    attributes = _attributes(tag, read)
    sources = [attributes["src"][0]] if attributes.get("src", ("",))[0] else []
    sources += [attributes[key][0] for key in _LAZY[:-1] if key in attributes]
    for key in ("srcset", _LAZY[-1]):
        sources += _candidates(attributes[key][0]) if key in attributes else []
    sources += others
    alt: str | None = None
    place = (name.end_byte, name.end_byte)
    if "alt" in attributes:
        alt, place = attributes["alt"][0], attributes["alt"][1:]
    obstacle = None
    raw = text[start:end]
    if (
        masked[start:end] != raw
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
        start=place[0],
        end=place[1],
        after=end,
        line=tag.start_point.row + 1,
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


def _attributes(tag: Any, read: _Read) -> dict[str, tuple[str, int, int]]:
    """From the lower-case name of each attribute to its value, start and end; the first counts."""
    found: dict[str, tuple[str, int, int]] = {}
    for node in tag.children:
        if node.type != "attribute":
            continue
        key = _child(node, "attribute_name")
        quoted = _child(node, "quoted_attribute_value") or node
        value = _child(quoted, "attribute_value")
        content = html.unescape(read(value.start_byte, value.end_byte)) if value else ""
        name = read(key.start_byte, key.end_byte).lower()
        found.setdefault(name, (content, node.start_byte, node.end_byte))
    return found


def _child(node: Any, kind: str) -> Any:
    return next((child for child in node.children if child.type == kind), None)


def _candidates(srcset: str) -> list[str]:
    """The addresses of a `srcset`, in order."""
    return [match[1] for match in _CANDIDATE.finditer(srcset)]

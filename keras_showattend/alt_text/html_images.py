"""Finds the images of HTML and where their alt texts are written, by tree-sitter."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import html
import re
from collections.abc import Callable, Iterable
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

    parser, query = _parser()
    nodes = query(parser.parse(content).root_node)
    text_only, pictures = (_Ranges(nodes.get(name, ())) for name in ("text", "picture"))
    found: list[PageImage] = []
    in_pictures: dict[tuple[int, int], list[str]] = {}
    base = None
    for tag in sorted(nodes.get("tag", ()), key=lambda node: node.start_byte):
        name = _child(tag, "tag_name")
        kind = name.text.lower()
        if kind == b"base":
            base = base or _attributes(tag, read).get("href", (None,))[0]
            continue
        if text_only.around(tag) is not None:
            continue
        picture = pictures.around(tag)
        others = [] if picture is None else in_pictures.setdefault(picture, [])
        if kind == b"img":
            found.append(_image(tag, name, text, masked, read, others))
        else:
            others += _candidates(_attributes(tag, read).get("srcset", ("",))[0])
    return [dataclasses.replace(image, base=base) for image in found] if base else found


class _Ranges:
    """Elements of one kind, to find the one around a tag without climbing a broad tree."""

    def __init__(self, elements: Iterable[Any]) -> None:
        self._ranges = sorted((node.start_byte, node.end_byte) for node in elements)
        self._starts = [start for start, _ in self._ranges]

    def around(self, tag: Any) -> tuple[int, int] | None:
        """Where the innermost element around a tag begins and ends, or None."""
        last = bisect.bisect_right(self._starts, tag.start_byte) - 1
        # Elements lie in one another, at most a few deep.
        for start, end in reversed(self._ranges[max(0, last - 7) : last + 1]):
            if tag.start_byte < end:
                return start, end
        return None


@functools.cache
def _parser() -> tuple[Any, Any]:
    try:
        import tree_sitter
        import tree_sitter_html
    except ImportError:
        raise ModuleNotFoundError(
            f"To find images in HTML, install tree-sitter: {install_advice('alt')}"
        ) from None
    language = tree_sitter.Language(tree_sitter_html.language())
    query = tree_sitter.Query(
        language,
        f"""
        ([(start_tag (tag_name) @name) (self_closing_tag (tag_name) @name)] @tag
            (#match? @name "^(?i:img|base|source)$"))
        ((element (start_tag (tag_name) @name)) @text
            (#match? @name "^(?i:{"|".join(sorted(_TEXT_ONLY))})$"))
        ((element (start_tag (tag_name) @name)) @picture (#match? @name "^(?i:picture)$"))
        """,
    )

    def nodes(root: Any) -> dict[str, list[Any]]:
        return dict(tree_sitter.QueryCursor(query).captures(root))

    return tree_sitter.Parser(language), nodes


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

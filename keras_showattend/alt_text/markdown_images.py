"""Finds the images of Markdown and where their alt texts are written, by markdown-it."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from keras_showattend._install import install_advice
from keras_showattend.alt_text.html_images import find_html_images
from keras_showattend.alt_text.page_images import PageImage

# Lines as markdown-it counts them.
_NEWLINE = re.compile(r"\r\n|\r|\n")
_NO_NEWLINE = re.compile(r"[^\r\n]")
# The settings in front of a page, in YAML or TOML.
_FRONT_MATTER = re.compile(
    r"\A\ufeff?(---|\+\+\+)[ \t]*[\r\n].*?[\r\n]\1[ \t]*(?=[\r\n]|\Z)", re.DOTALL
)
_KEY = "keras_showattend_images"


def find_markdown_images(text: str) -> list[PageImage]:
    """Finds the images of Markdown (CommonMark with GitHub's tables) and its `<img>` elements.

    Args:
        text: Markdown. Code, comments and the settings in front of it are left out.

    Returns:
        List of `PageImage` in order.

    Raises:
        ModuleNotFoundError: if markdown-it-py is not installed.
    """
    if "![" not in text and "<img" not in text.lower():
        return []
    source = _FRONT_MATTER.sub(lambda front: _blank(front[0]), text)
    lines = _Lines(source)
    parser = _parser()
    found: list[PageImage] = []
    html: list[tuple[int, int]] = []
    for token in parser.parse(source):
        if token.type == "html_block":
            where = lines.places(token.content, token.map[0])
            html.append((where(0), where(len(token.content))))
        elif token.type == "inline":
            where = lines.places(token.content, token.map[0])
            for child in token.children:
                start, end = child.meta.get(_KEY, (0, 0))
                if child.type == "html_inline":
                    html.append((where(start), where(end)))
                elif child.type == "image":
                    alt = parser.renderer.renderInlineAsText(
                        child.children or [], parser.options, {}
                    )
                    found.append(_image(child, alt, where, (start, end), source, lines))
    if html:
        found += [
            dataclasses.replace(image, line=lines.number(image.start))
            for image in find_html_images(_only(source, sorted(html)))
        ]
    return sorted(found, key=lambda image: image.start)


def _image(
    token: Any,
    alt: str,
    where: Callable[[int], int],
    span: tuple[int, int],
    source: str,
    lines: _Lines,
) -> PageImage:
    start, after = where(span[0]), where(span[1])
    label = where(span[0] + 2)
    label_end = where(span[0] + 2 + len(token.content))
    address = urllib.parse.unquote(token.attrs["src"])
    obstacle = None
    if source[start : start + 2] != "![" or source[label_end : label_end + 1] != "]":
        obstacle = "its position cannot be determined"
    elif "{{" in address or "{%" in address:
        obstacle = "a template makes it"
    return PageImage(
        sources=(token.attrs["src"],) if address else (),
        alt=alt,
        start=label,
        end=label_end,
        after=after,
        line=lines.number(start),
        is_html=False,
        obstacle=obstacle,
    )


def _only(text: str, spans: list[tuple[int, int]]) -> str:
    """A text of which only some ranges are left, and blanks for the rest."""
    parts, last = [], 0
    for start, end in spans:
        parts += [_blank(text[last:start]), text[max(start, last) : end]]
        last = max(last, end)
    return "".join(parts)


def _blank(text: str) -> str:
    return _NO_NEWLINE.sub(" ", text)


class _Lines:
    """Where lines stand in a text, and where the content of a block stands in its lines."""

    def __init__(self, text: str) -> None:
        self._text = text
        ends = list(_NEWLINE.finditer(text))
        self._starts = [0, *(end.end() for end in ends)]
        self._ends = [*(end.start() for end in ends), len(text)]
        # Cells of one row of a table follow one another.
        self._taken: dict[int, int] = {}

    def number(self, position: int) -> int:
        """The number of the line of a position, from 1."""
        return bisect.bisect_right(self._starts, position)

    def places(self, content: str, first_line: int) -> Callable[[int], int]:
        """A function from positions in the content of a block to positions in the text.

        Args:
            content: of a block, each line without what marks the blocks around it.
            first_line: int, from 0.
        """
        offsets, places, start = [], [], 0
        for number, line in enumerate(content.split("\n"), start=first_line):
            words = line.strip()
            if words:
                offsets.append(start + line.index(words))
                places.append(self._place(words, number))
            start += len(line) + 1

        def where(offset: int) -> int:
            index = bisect.bisect_right(offsets, offset) - 1
            return places[index] + offset - offsets[index] if index >= 0 else 0

        return where

    def _place(self, words: str, number: int) -> int:
        begin, end = self._starts[number], self._ends[number]
        line = self._text[begin:end]
        column = line.find(words, self._taken.get(number, 0))
        if line.rstrip().endswith(words) and number not in self._taken:
            column = len(line.rstrip()) - len(words)
        if column < 0:
            # Whoever looks at the text there finds something else, and says so.
            return begin
        self._taken[number] = column + len(words)
        return begin + column


@functools.cache
def _parser() -> Any:
    try:
        import markdown_it
        from markdown_it import rules_inline
    except ImportError:
        raise ModuleNotFoundError(
            f"To find images in Markdown, install markdown-it-py: {install_advice('alt')}"
        ) from None
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for rule in (rules_inline.image, rules_inline.html_inline):
        parser.inline.ruler.at(rule.__name__, _noting(rule))
    return parser


def _noting(rule: Callable[[Any, bool], bool]) -> Callable[[Any, bool], bool]:
    """A rule of the inline parser that also notes in its token where it was found."""

    def noting(state: Any, silent: bool) -> bool:
        start = state.pos
        matches = rule(state, silent)
        if matches and not silent:
            state.tokens[-1].meta[_KEY] = (start, state.pos)
        return matches

    return noting

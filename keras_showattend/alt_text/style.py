"""Captions as alt texts."""

from __future__ import annotations

import dataclasses
import re

# What a screen reader has said already.
_OPENING = re.compile(
    r"^(?:this is |there is )?(?:an?|the)?\s*(?:image|picture|photo|photograph|shot) "
    r"(?:of|showing) ",
    re.IGNORECASE,
)
# A text that is cut does not end in these.
_DANGLING = frozenset(
    {
        *("a", "an", "the", "and", "or", "of", "in", "on", "at", "to", "by", "for", "from"),
        *("with", "while", "as", "is", "are", "his", "her", "its", "their", "that"),
    }
)
_ENDS = (".", "!", "?", "…")


@dataclasses.dataclass(frozen=True)
class AltTextStyle:
    """How a caption becomes an alt text.

    `style(caption)` gives the text: without line breaks, and cut after a whole word.

    Attributes:
        max_characters: int. The longest text. Some screen readers pause or stop after 125
            characters.
        full_stop: bool. Whether it ends in a full stop, at which screen readers pause.
        sentence_case: bool. Whether it begins with an upper-case letter.
        drop_opening: bool. Whether "An image of" is left out, which a screen reader says by
            itself.
    """

    max_characters: int = 125
    full_stop: bool = True
    sentence_case: bool = True
    drop_opening: bool = True

    def __post_init__(self) -> None:
        if self.max_characters < 1:
            raise ValueError(
                "`max_characters` must be at least 1. "
                f"Received: max_characters={self.max_characters}"
            )

    def __call__(self, caption: str) -> str:
        """The alt text of a caption; empty for an empty one."""
        text = " ".join(caption.split())
        if self.drop_opening:
            text = _OPENING.sub("", text) or text
        needs_stop = self.full_stop and not text.endswith(_ENDS)
        room = self.max_characters - needs_stop
        if len(text) > room:
            # Any stop of its own is cut off.
            needs_stop = self.full_stop
            text = _cut(text, self.max_characters - needs_stop)
        if self.sentence_case:
            text = text[:1].upper() + text[1:]
        return text + "." if text and needs_stop else text


def _cut(text: str, length: int) -> str:
    words = text[: length + 1].rsplit(" ", 1)[0][:length].rstrip(" ,;:-").split(" ")
    while len(words) > 1 and words[-1].lower() in _DANGLING:
        words.pop()
    return " ".join(words).rstrip(" ,;:-")

"""Other ways to say a caption that leave out or generalise its shaky words."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from keras_showattend.explain.words import PLACE_WORDS

# Words that begin a phrase, with which it can be left out.
_LINK_WORDS = "in on at with by from for to into of and while is are"
_LINKS = PLACE_WORDS | frozenset(_LINK_WORDS.split())
# "Standing on" can become "on"; "flying through" cannot become "through".
_STATES = frozenset(("in", "on", "at", "near", "by", "beside", "behind", "with", "under"))
_ARTICLES = frozenset(("a", "an", "the"))
# Never last: something has to follow.
_OPEN = _LINKS - frozenset(("down", "up", "out", "off", "around", "along")) | _ARTICLES
MOST_REWORDINGS = 24


class Token(NamedTuple):
    """A word of a caption with its confidence, None for words that cannot be judged."""

    word: str
    confidence: float | None


@dataclass(frozen=True)
class Thesaurus:
    """What may stand in place of words.

    Attributes:
        broader: dict of word to a list of `(broader word, probability)`: how probably the
            broader word is right for an image for which the word is wrong.
        modifiers: words that can be left out where another word follows, such as "red".
    """

    broader: Mapping[str, Sequence[tuple[str, float]]] = field(default_factory=dict)
    modifiers: Collection[str] = ()

    def rewordings(self, caption: Sequence[Token], least: float) -> list[tuple[Token, ...]]:
        """Returns captions with fewer words below the least confidence, and the caption itself.

        Every shaky word is dropped, replaced by a broader one, or left out with its phrase.

        Args:
            caption: list of `Token`.
            least: float, 0..1.

        Returns:
            List of captions, `MOST_REWORDINGS` at most.
        """
        found: dict[tuple[Token, ...], None] = {tuple(caption): None}
        todo = [tuple(caption)]
        while todo and len(found) < MOST_REWORDINGS:
            current = todo.pop(0)
            shaky = _shakiest(current, least)
            if shaky is None:
                continue
            for changed in self._without(current, shaky):
                changed = _tidied(changed)
                if changed and changed not in found:
                    found[changed] = None
                    todo.append(changed)
        return list(itertools.islice(found, MOST_REWORDINGS))

    def _without(self, caption: tuple[Token, ...], index: int) -> Iterable[tuple[Token, ...]]:
        word, confidence = caption[index]
        before, after = caption[:index], caption[index + 1 :]
        for broader, probability in self.broader.get(word, ()):
            # It is right where the word is, and may be where the word is wrong.
            sure = (confidence or 0.0) + (1 - (confidence or 0.0)) * probability
            yield (*before, Token(broader, sure), *after)
        following = after[0].word if after else ""
        if word in self.modifiers and after:
            if following == "and" and len(after) > 2:
                yield (*before, *after[1:])
            elif before and before[-1].word == "and":
                yield (*before[:-1], *after)
            else:
                yield (*before, *after)
        elif word.endswith("ing") and following in _STATES:
            yield (*before, *after)
        start, end = _phrase(caption, index)
        # Without what it speaks of, nothing is left to say.
        if start > 0:
            yield (*caption[:start], *caption[end:])


def _shakiest(caption: Sequence[Token], least: float) -> int | None:
    judged = [(t.confidence, i) for i, t in enumerate(caption) if t.confidence is not None]
    lowest = min(judged, default=(1.0, 0))
    return lowest[1] if lowest[0] < least else None


def _phrase(caption: Sequence[Token], index: int) -> tuple[int, int]:
    """Where the phrase around a word begins and ends: from a link to the next one."""
    start = index
    while start > 0 and caption[start].word not in _LINKS:
        start -= 1
    while start > 0 and caption[start - 1].word in _LINKS:
        start -= 1
    end = index + 1
    while end < len(caption) and caption[end].word not in _LINKS:
        end += 1
    return start, end


def _tidied(caption: Sequence[Token]) -> tuple[Token, ...]:
    """Without words at the ends that want others beside them, and with the right article."""
    words = list(caption)
    while words and words[-1].word in _OPEN:
        words.pop()
    while words and words[0].word in _LINKS:
        words.pop(0)
    if not any(token.confidence is not None for token in words):
        return ()
    for index, (token, following) in enumerate(itertools.pairwise(words)):
        if token.word in ("a", "an"):
            right = "an" if following.word[0] in "aeiou" else "a"
            words[index] = Token(right, None)
    return tuple(words)

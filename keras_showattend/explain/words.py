"""English words that name nothing to be seen."""

from __future__ import annotations

from collections.abc import Sequence

_FUNCTION_WORDS = """
a an the is are was were be being and or of in on at to by with from for as it its his her their
that which while this these there into
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
_PLACE_WORDS = """
through over under down up out off near behind beside around along across between above below
before after front next
"""
PLACE_WORDS = frozenset(_PLACE_WORDS.split())


def content_positions(words: list[str]) -> list[int]:
    """Returns the positions of the words that are no function words; of all if none is left."""
    found = [index for index, word in enumerate(words) if word not in FUNCTION_WORDS]
    return found or list(range(len(words)))


def judged_positions(words: Sequence[str]) -> list[int]:
    """Returns the positions of the words that are right or wrong for an image by themselves.

    Those are the content words without the words of place, such as "through" and "front".
    """
    left_out = FUNCTION_WORDS | PLACE_WORDS
    return [index for index, word in enumerate(words) if word not in left_out]

"""English words that name nothing to be seen."""

from __future__ import annotations

_FUNCTION_WORDS = """
a an the is are was were be being and or of in on at to by with from for as it its his her their
that which while this these there into
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


def content_positions(words: list[str]) -> list[int]:
    """Returns the positions of the words that are no function words; of all if none is left."""
    found = [index for index, word in enumerate(words) if word not in FUNCTION_WORDS]
    return found or list(range(len(words)))

"""Counting n-grams, for BLEU, CIDEr and the diversity figures."""

from collections.abc import Hashable, Sequence


def count_ngrams(tokens: Sequence[Hashable], max_order: int = 4) -> dict[tuple, int]:
    """Counts the n-grams of one caption.

    Args:
        tokens: list of words or integer ids.
        max_order: int, longest n-gram counted. Defaults to 4.

    Returns:
        dict of a tuple of 1 to `max_order` tokens to how often it occurs.
    """
    counts: dict[tuple, int] = {}
    shifted = [tokens[start:] for start in range(max_order)]
    for order in range(1, max_order + 1):
        for ngram in zip(*shifted[:order], strict=False):
            counts[ngram] = counts.get(ngram, 0) + 1
    return counts

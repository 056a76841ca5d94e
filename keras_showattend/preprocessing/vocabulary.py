"""The special tokens of every vocabulary, and ids to text; nothing here imports Keras."""

from collections.abc import Iterable, Sequence

PAD, START, END, UNKNOWN = "<pad>", "<start>", "<end>", "<unk>"
SPECIAL_TOKENS = (PAD, START, END, UNKNOWN)


def join_words(token_ids: Iterable[int], vocabulary: Sequence[str], capitalize: bool) -> str:
    """Turns the ids of one caption into text.

    Args:
        token_ids: int[T]. Special tokens are not shown.
        vocabulary: list of str, by id, the special tokens first.
        capitalize: bool. Whether the first letter is made upper-case.
    """
    ids = (int(token_id) for token_id in token_ids)
    text = " ".join(vocabulary[i] for i in ids if i >= len(SPECIAL_TOKENS))
    return text[:1].upper() + text[1:] if capitalize else text

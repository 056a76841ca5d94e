"""Figures against self-deception: how varied captions are, and how far they are copies."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from keras_showattend.metrics._inputs import check_captions
from keras_showattend.metrics.ngrams import count_ngrams
from keras_showattend.metrics.tokenizer import Segmenter, tokenize

# Words that need another word after them. Training on scores can make captions end in them.
_ARTICLES = {"a", "an", "the", "his", "her"}
_PREPOSITIONS = {"at", "by", "for", "from", "in", "of", "on", "to", "with"}
_OPEN_WORDS = _ARTICLES | _PREPOSITIONS | {"and", "or", "is", "are"}


@dataclass(frozen=True)
class DiversityReport:
    """What `diversity_report` found; shares are on a scale of 0 to 1.

    Attributes:
        num_captions: int.
        distinct_captions: float, number of different captions over number of captions.
        distinct_1: float, number of different words over number of words.
        distinct_2: float, number of different word pairs over number of word pairs.
        vocabulary_size: int, number of different words used.
        empty_captions: float, share of captions without any word.
        unfinished_captions: float, share of captions that end in an article, a preposition or
            another word that wants a word behind it.
        stuttering_captions: float, share of captions that say a word or a pair of words twice in
            a row.
        mean_length: float, words a caption.
        mean_reference_length: float or None, words a reference.
        reference_vocabulary_size: int or None, number of different words in the references.
        copied_captions: float or None, share of captions that are word for word a training caption.
        most_common: list of (caption, how many images got it), most frequent first.
    """

    num_captions: int
    distinct_captions: float
    distinct_1: float
    distinct_2: float
    vocabulary_size: int
    empty_captions: float
    unfinished_captions: float
    stuttering_captions: float
    mean_length: float
    mean_reference_length: float | None = None
    reference_vocabulary_size: int | None = None
    copied_captions: float | None = None
    most_common: list[tuple[str, int]] = field(default_factory=list)


def diversity_report(
    captions: Mapping[Hashable, str],
    references: Mapping[Hashable, Sequence[str]] | None = None,
    training_captions: Iterable[str] | None = None,
    num_most_common: int = 5,
    segment: Segmenter | None = None,
) -> DiversityReport:
    """Describes how varied captions are, and how far they are copies.

    All comparisons are between tokenized captions, so case and punctuation do not count.

    Args:
        captions: dict of image id to a caption, str.
        references: dict of the same image ids to a list of reference captions, or None. Defaults to
            None.
        training_captions: the captions the model was trained on, or None. Defaults to None.
        num_most_common: int, how many of the most frequent captions are listed. Defaults to 5.
        segment: see `score_captions`.

    Returns:
        `DiversityReport`; its reference and training fields are None where nothing was given.

    Raises:
        TypeError: if `training_captions` is a single str, or as `score_captions`.
        ValueError: as `score_captions`.

    Source: Li et al. 2016, "A diversity-promoting objective function", for distinct-1 and -2.
    """
    if isinstance(training_captions, str):
        raise TypeError(
            "`training_captions` must be a list of captions. Wrap a single one: ['...']. Received: "
            f"str {training_captions!r:.100}"
        )
    # Without references, the other checks still hold.
    image_ids = check_captions(
        captions, {key: [""] for key in captions} if references is None else references
    )
    sentences = [tokenize(captions[image_id], segment) for image_id in image_ids]
    texts = [" ".join(sentence) for sentence in sentences]
    words = sum(len(sentence) for sentence in sentences)
    seen = Counter(texts)

    reference_sentences = (
        None
        if references is None
        else [tokenize(text, segment) for text in chain(*references.values())]
    )
    copied = None
    if training_captions is not None:
        known = {" ".join(tokenize(caption, segment)) for caption in training_captions}
        copied = sum(text in known for text in texts) / len(texts)
    return DiversityReport(
        num_captions=len(texts),
        distinct_captions=len(seen) / len(texts),
        distinct_1=distinct_n(sentences, 1),
        distinct_2=distinct_n(sentences, 2),
        vocabulary_size=len(set(chain(*sentences))),
        empty_captions=seen[""] / len(texts),
        unfinished_captions=_share(_OPEN_WORDS.intersection(s[-1:]) for s in sentences),
        stuttering_captions=_share(map(_stutters, sentences)),
        mean_length=words / len(texts),
        mean_reference_length=None
        if reference_sentences is None
        else sum(map(len, reference_sentences)) / len(reference_sentences),
        reference_vocabulary_size=None
        if reference_sentences is None
        else len(set(chain(*reference_sentences))),
        copied_captions=copied,
        most_common=seen.most_common(num_most_common),
    )


def _stutters(sentence: Sequence[Hashable]) -> bool:
    return any(
        sentence[place : place + size] == sentence[place + size : place + 2 * size]
        for size in (1, 2)
        for place in range(len(sentence) - 2 * size + 1)
    )


def _share(found: Iterable[object]) -> float:
    flags = [bool(flag) for flag in found]
    return sum(flags) / len(flags)


def distinct_n(sentences: Iterable[Sequence[Hashable]], order: int) -> float:
    """Number of different n-grams over number of n-grams, over all sentences together.

    Args:
        sentences: lists of tokens.
        order: int, length of the n-grams.

    Returns:
        float between 0 and 1; 0 if no sentence is that long.
    """
    counts: Counter = Counter()
    for sentence in sentences:
        for ngram, count in count_ngrams(sentence, order).items():
            if len(ngram) == order:
                counts[ngram] += count
    return len(counts) / counts.total() if counts else 0.0

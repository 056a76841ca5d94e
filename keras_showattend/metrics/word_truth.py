"""Whether a word is right for an image, judged by what people wrote of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any, NamedTuple

from keras_showattend.metrics._inputs import MetricUnavailableError

# Plurals that WordNet lists as words of their own.
_SINGULARS = {"people": "person"}
# The most frequent senses of a word; rare ones make synonyms of words that are none.
_NUM_SENSES = 2
# Hypernyms that say nothing of an image, or do not follow an article.
_EMPTY_WORDS = """
object thing entity whole group unit part body matter state act event organism being cause
artifact instrumentality equipment device structure covering content way area adult male female
one individual living piece line point place location work position
formation construction clothing wear
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())


class _Senses(NamedTuple):
    lemmas: frozenset[str]
    synsets: frozenset[str]
    # Of the most frequent sense, and its part of speech.
    first: str | None
    part_of_speech: str | None
    hypernyms: frozenset[str]


class WordTruth:
    """Judges words by WordNet, or word for word where there is no WordNet.

    A word is right for an image if a reference has it, in any inflected form, or has a synonym
    of it. It is also right if it is a hypernym of a reference's word ("person" where people
    say "man"), or a reference's word a hypernym of it: people do not contradict it.

    Attributes:
        has_wordnet: bool.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Senses] = {}

    @cached_property
    def _wordnet(self) -> Any:
        from keras_showattend.metrics.meteor_nltk import load_wordnet

        try:
            return load_wordnet()
        except MetricUnavailableError:
            return None

    @property
    def has_wordnet(self) -> bool:
        """Whether WordNet is on this machine; see the extra `wordnet`."""
        return self._wordnet is not None

    @cached_property
    def _counts(self) -> dict[str, int]:
        """How often each sense occurs in WordNet's own corpus."""
        lines = self._wordnet.open("cntlist.rev").read().splitlines()
        return {key: int(count) for key, _, count in (line.split() for line in lines)}

    def is_right(self, word: str, reference_words: Collection[str]) -> bool:
        """Tells whether a word is right for an image.

        Args:
            word: str, lower case.
            reference_words: the words of all references of the image, lower case, without
                words such as "a", which name nothing.
        """
        if word in reference_words:
            return True
        if not self.has_wordnet:
            return False
        one = self._senses(word)
        return any(_agree(one, self._senses(other)) for other in reference_words)

    def broader_words(self, word: str, vocabulary: Collection[str]) -> list[str]:
        """Returns the words of a vocabulary that are hypernyms of a noun, the nearest first.

        Args:
            word: str. A plural noun has plural hypernyms.
            vocabulary: the words that may be returned.
        """
        if not self.has_wordnet:
            return []
        senses = self._senses(word)
        if senses.part_of_speech != "n":
            return []
        is_plural = self._wordnet.morphy(word, "n") != word
        found = []
        queue = self._wordnet.synset(senses.first).hypernyms()
        while queue:
            synset = queue.pop(0)
            queue += synset.hypernyms()
            for lemma in synset.lemma_names():
                for form in _forms(lemma, is_plural):
                    if form in vocabulary and lemma not in _EMPTY and form not in found:
                        found.append(form)
        return found

    def is_modifier(self, word: str) -> bool:
        """Whether a word is an adjective first of all, such as "red"."""
        return self.has_wordnet and self._senses(word).part_of_speech in ("a", "s")

    def _senses(self, word: str) -> _Senses:
        if word not in self._known:
            self._known[word] = self._look_up(_SINGULARS.get(word, word))
        return self._known[word]

    def _look_up(self, word: str) -> _Senses:
        lemmas: set[str] = {word}
        synsets: set[str] = set()
        first, most = None, -1
        for part_of_speech in "nvar":
            lemma = self._wordnet.morphy(word, part_of_speech)
            if not lemma:
                continue
            lemmas.add(lemma)
            senses = self._wordnet.synsets(lemma, part_of_speech)
            synsets.update(synset.name() for synset in senses[:_NUM_SENSES])
            keys = [n.key() for sense in senses for n in sense.lemmas() if n.name() == lemma]
            count = sum(self._counts.get(key, 0) for key in keys)
            if count > most:
                first, most = senses[0], count
        # Adjectives and adverbs have none.
        above = first.closure(lambda synset: synset.hypernyms()) if first else ()
        return _Senses(
            frozenset(lemmas),
            frozenset(synsets),
            first and first.name(),
            first and first.pos(),
            frozenset(synset.name() for synset in above),
        )


def _agree(one: _Senses, other: _Senses) -> bool:
    return bool(
        one.lemmas & other.lemmas
        or one.synsets & other.synsets
        or one.first in other.hypernyms
        or other.first in one.hypernyms
    )


def _forms(lemma: str, is_plural: bool) -> Iterable[str]:
    if not is_plural:
        return (lemma,)
    irregular = [plural for plural, singular in _SINGULARS.items() if singular == lemma]
    return (*irregular, f"{lemma}s")

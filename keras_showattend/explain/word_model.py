"""The probability that a word is right for the image, from how it was found and read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keras_showattend.explain.evidence import CaptionEvidence
from keras_showattend.explain.logistic import LinearModel, fit_logistic_ridge, logit, sigmoid
from keras_showattend.explain.words import judged_positions

# A word's own rate counts as much as the common one when it has been seen this often.
PRIOR_COUNT = 20
RIDGE = 3.0


@dataclass(frozen=True)
class WordRecord:
    """What is known of one word.

    Attributes:
        right: float. Log-odds that it was right, drawn towards those of all words.
        shared: float. The same of the share of the references that have it.
        rarity: float. Logarithm of images over images with the word in a reference.
    """

    right: float
    shared: float
    rarity: float


@dataclass(frozen=True)
class WordModel:
    """Two logistic curves in `WORD_FEATURES` and the record of the word.

    Attributes:
        right: `LinearModel` of the log-odds that the word is right for the image.
        shared: `LinearModel` of the log-odds that a reference drawn at random has it.
        records: dict of word to `WordRecord`.
        unknown: `WordRecord` of any other word.
    """

    right: LinearModel
    shared: LinearModel
    records: Mapping[str, WordRecord]
    unknown: WordRecord

    def judge(self, evidence: CaptionEvidence) -> tuple[list[int], np.ndarray, np.ndarray]:
        """Judges the words of a caption.

        Returns:
            Tuple of the positions of the N words that can be judged, the probability that each is
            right, float[N], and the expected share of references that have it, float[N].
        """
        positions = judged_positions(evidence.words)
        known = [self.record(evidence.words[index]) for index in positions]
        x = evidence.word_features(positions)
        right = np.c_[x, [record.right for record in known]] if known else np.zeros((0, 6))
        shared = np.c_[x, [record.shared for record in known]] if known else np.zeros((0, 6))
        return positions, sigmoid(self.right(right)), sigmoid(self.shared(shared))

    def record(self, word: str) -> WordRecord:
        """Returns the record of a word, or that of unknown words."""
        return self.records.get(word, self.unknown)


@dataclass(frozen=True)
class WordOutcomes:
    """What came true of the words of one caption that can be judged.

    Attributes:
        right: float[N], 1 for a word that is right for the image, 0 for one that is not.
        shared: float[N]. Share of the references that have the word.
        references: the words of all references of the image.
    """

    right: np.ndarray
    shared: np.ndarray
    references: frozenset[str]


def fit_words(evidence: Sequence[CaptionEvidence], outcomes: Sequence[WordOutcomes]) -> WordModel:
    """Fits the word model on captions whose outcomes are known; at least one can be judged."""
    places = [judged_positions(found.words) for found in evidence]
    pairs = list(zip(evidence, places, strict=True))
    words = [found.words[index] for found, positions in pairs for index in positions]
    x = np.concatenate([found.word_features(positions) for found, positions in pairs])
    came_true = (
        np.concatenate([outcome.right for outcome in outcomes]),
        np.concatenate([outcome.shared for outcome in outcomes]),
    )
    in_references = Counter(word for outcome in outcomes for word in outcome.references)
    rates, models = [], []
    for y in came_true:
        rate, counts = float(np.clip(y.mean(), 1e-3, 1 - 1e-3)), Counter(words)
        totals: Counter[str] = Counter()
        for word, outcome in zip(words, y, strict=True):
            totals[word] += outcome
        # Without the word itself, which would give its own outcome away.
        others = [
            logit((totals[w] - o + PRIOR_COUNT * rate) / (counts[w] - 1 + PRIOR_COUNT))
            for w, o in zip(words, y, strict=True)
        ]
        models.append(fit_logistic_ridge(np.c_[x, others], y, RIDGE))
        rates.append(
            {w: (totals[w] + PRIOR_COUNT * rate) / (counts[w] + PRIOR_COUNT) for w in counts}
            | {None: rate}
        )
    rarity = {word: float(np.log(len(outcomes) / max(1, in_references[word]))) for word in {*words}}
    records = {
        word: WordRecord(float(logit(rates[0][word])), float(logit(rates[1][word])), rarity[word])
        for word in sorted(rarity)
    }
    unknown = WordRecord(
        float(logit(rates[0][None])), float(logit(rates[1][None])), float(np.log(len(outcomes)))
    )
    return WordModel(models[0], models[1], records, unknown)

"""The score of saying the same of every picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_showattend.metrics import CiderD, score_captions, tokenize

NUM_CANDIDATES = 30
NUM_TRIAL_IMAGES = 200


def constant_baseline(
    references: Mapping[Hashable, Sequence[str]],
    sentences: Iterable[str],
    metrics: Sequence[str],
    seed: int = 0,
) -> dict[str, Any]:
    """Finds the one sentence that scores best for all pictures, and scores it.

    It is chosen by CIDEr-D on pictures of the evaluation itself, which favours the baseline: a
    model has to beat the luckiest constant sentence, and not a clumsy one.

    Args:
        references: dict of image id to its human captions.
        sentences: what may be said: captions of the training images.
        metrics: names for `score_captions`.
        seed: int, of the draw of 200 pictures on which the sentence is chosen.

    Returns:
        Dict of `caption`, str, and `scores`, dict of metric name to float.
    """
    candidates = _typical(sentences)
    ids = list(references)
    if len(ids) > NUM_TRIAL_IMAGES:
        drawn = np.random.default_rng(seed).choice(len(ids), NUM_TRIAL_IMAGES, replace=False)
        trial = [ids[i] for i in sorted(drawn)]
    else:
        trial = ids
    best = candidates[0]
    if len(trial) > 1:
        scorer = CiderD({key: list(references[key]) for key in trial})
        words = [tokenize(text) for text in candidates]
        means = [scorer.score(trial, [tokens] * len(trial)).mean() for tokens in words]
        best = candidates[int(np.argmax(means))]
    scores = score_captions(dict.fromkeys(ids, best), references, metrics)
    return {"caption": best, "scores": scores}


def _typical(sentences: Iterable[str]) -> list[str]:
    """The most frequent sentences, and those made of the most frequent n-grams."""
    counts = Counter(" ".join(tokenize(text)) for text in sentences)
    counts.pop("", None)
    if not counts:
        return [""]
    frequent = [text for text, _ in counts.most_common(NUM_CANDIDATES)]
    ngrams: Counter[tuple[str, ...]] = Counter()
    for text, count in counts.items():
        for ngram in _ngrams(text):
            ngrams[ngram] += count
    lengths = sorted(len(text.split()) for text in counts)
    usual = lengths[len(lengths) // 4]
    # Long sentences pile up n-grams, so the mean is taken; short ones are all "a man".
    expected = {
        text: sum(ngrams[n] for n in _ngrams(text)) / len(_ngrams(text))
        for text in counts
        if len(text.split()) >= usual
    }
    likely = sorted(expected, key=lambda text: (-expected[text], text))[:NUM_CANDIDATES]
    return list(dict.fromkeys(frequent + likely))


def _ngrams(text: str) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1)]

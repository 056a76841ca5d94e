"""The score of saying the same of every image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_showattend.metrics import CiderD, score_captions, tokenize
from keras_showattend.metrics.tokenizer import Segmenter

NUM_CANDIDATES = 30
NUM_TRIAL_IMAGES = 200


def constant_baseline(
    references: Mapping[Hashable, Sequence[str]],
    sentences: Iterable[str],
    metrics: Sequence[str],
    seed: int = 0,
    segment: Segmenter | None = None,
) -> dict[str, Any]:
    """Finds the one sentence that scores best for all images, and scores it.

    It is chosen by CIDEr-D on images of the evaluation itself, which favours the baseline: a
    model has to beat the luckiest constant sentence, and not a clumsy one.

    Args:
        references: dict of image id to its human captions.
        sentences: what may be said: captions of the training images.
        metrics: names for `score_captions`.
        seed: int, of the draw of 200 images on which the sentence is chosen.
        segment: see `score_captions`.

    Returns:
        Dict of `caption`, str, and `scores`, dict of metric name to float.
    """
    candidates = _typical(sentences, segment)
    ids = list(references)
    if len(ids) > NUM_TRIAL_IMAGES:
        drawn = np.random.default_rng(seed).choice(len(ids), NUM_TRIAL_IMAGES, replace=False)
        trial = [ids[i] for i in sorted(drawn)]
    else:
        trial = ids
    best = next(iter(candidates))
    if len(trial) > 1:
        scorer = CiderD(
            {key: [tokenize(text, segment) for text in references[key]] for key in trial}
        )
        words = [tokenize(text, segment) for text in candidates.values()]
        means = [scorer.score(trial, [tokens] * len(trial)).mean() for tokens in words]
        best = list(candidates)[int(np.argmax(means))]
    scores = score_captions(dict.fromkeys(ids, candidates[best]), references, metrics, segment)
    return {"caption": best, "scores": scores}


def _typical(sentences: Iterable[str], segment: Segmenter | None) -> dict[str, str]:
    """Returns the most frequent sentences, and those made of the most frequent n-grams.

    Keys are tokens joined by spaces; values are the sentences as they were.
    """
    counts: Counter[str] = Counter()
    raw: dict[str, str] = {}
    for sentence in sentences:
        text = " ".join(tokenize(sentence, segment))
        raw.setdefault(text, sentence)
        counts[text] += 1
    counts.pop("", None)
    if not counts:
        return {"": ""}
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
    return {text: raw[text] for text in frequent + likely}


def _ngrams(text: str) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1)]

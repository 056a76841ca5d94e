"""The deletion test: does a word become less probable when the location it looked at is hidden?

Source of the idea: Samek et al. 2017 and Petsiuk et al. 2018 (RISE), who delete the pixels that
an explanation names; here the explanation is the attention, and the answer a word's probability.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_showattend.data import CaptionDataset
from keras_showattend.evaluation.hiding import hide_annotations, hide_pixels
from keras_showattend.evaluation.protocol import decoder_settings
from keras_showattend.explain.explainer import explain
from keras_showattend.explain.words import FUNCTION_WORDS

LEVELS = ("image", "annotations")
MIN_COUNT = 5


def attention_deletion(
    captioner: Any,
    dataset: CaptionDataset | Mapping[str, Any],
    *,
    level: str = "image",
    num_cells: int = 5,
    num_random: int = 1,
    num_images: int | None = 100,
    num_samples: int = 1000,
    seed: int = 0,
    progress: Any = None,
    **search_options: Any,
) -> dict[str, Any]:
    """Hides the locations that each word attended to most, and others, and reads the word again.

    For each word of each generated caption, the caption up to the word is kept and the image
    loses `num_cells` cells of the attention grid:
    "attended": those with the word's greatest attention weights;
    "random": as many among the remaining cells, drawn by chance;
    "elsewhere": as many that a word of another image attended to most. This is the harder
    comparison: attention that always goes to the middle, where things are, gains nothing by it.
    The fall is the word's log-probability before less after; above 0 the word suffered.

    Args:
        captioner: an `ImageCaptioner` with its preprocessor.
        dataset: a `CaptionDataset` or a dict of `images` and `captions`, of unseen images.
        level: `"image"` paints the pixels under the cells in the image's mean colour and
            encodes it anew for every word; `"annotations"` masks the cells' annotations in the
            decoder, 50 times as fast, but a VGG's annotations have seen far more of the image
            than their own cell, so that what is hidden shines through. Defaults to "image".
        num_cells: int. Cells hidden. Defaults to 5, a tenth of 7 x 7.
        num_random: int. Draws of random cells a word, averaged. Defaults to 1.
        num_images: int or None. Images drawn from the dataset; None takes all.
        num_samples: int. Resamples of the bootstrap over images.
        seed: int.
        progress: function called with (images done, all), or None.
        **search_options: see `keras_showattend.explain.explain`.

    Returns:
        Dict for `json.dump`: `level`, `num_cells`, `num_places`, `num_images`, `num_words`;
        `all`, `content_words` and `function_words`, each with `num_words`, the mean `fall` in nats
        for "attended", "random" and "elsewhere" with 95 % intervals, their differences
        "attended - random" and "attended - elsewhere" with intervals, and
        `attended_falls_more_than_random`, the share of words; `by_word`: the same means for
        each word seen 5 times or more, by falling "attended - random".

    Raises:
        ValueError: for an unknown `level`, a `num_cells` that leaves too few other cells, or a
            dataset of one image, which has no elsewhere.
    """
    if not isinstance(dataset, CaptionDataset):
        dataset = CaptionDataset.from_dict(dataset)
    rows, columns = captioner.backbone.grid_shape
    _check(level, num_cells, rows * columns, len(dataset))
    generator = np.random.default_rng(seed)
    count = min(num_images or len(dataset), len(dataset))
    chosen = np.sort(generator.choice(len(dataset), max(count, 2), replace=False))
    sources = [dataset[int(index)].image for index in chosen]
    explanations = [explain(captioner, source, **search_options) for source in sources]
    attended = [
        np.argsort(
            -e.attention_weights.reshape(len(e.words), rows * columns), axis=1, kind="stable"
        )
        for e in explanations
    ]
    words, groups, falls = [], [], []
    hide = {"image": hide_pixels, "annotations": hide_annotations}[level]
    for number, (source, explanation) in enumerate(zip(sources, explanations, strict=True)):
        cells = [
            _cells(attended, number, position, num_cells, num_random, generator)
            for position in range(len(explanation.words))
        ]
        if cells:
            # [T, 2 + R, cells] -> log-probabilities [T, 2 + R] of each word without them.
            after = hide(captioner, source, explanation, np.array(cells))
            before = np.asarray(explanation.log_probabilities, "float64")
            fall = before[:, None] - after
            falls.append(np.stack([fall[:, 0], fall[:, 2:].mean(axis=1), fall[:, 1]], axis=1))
            words += explanation.words
            groups += [number] * len(explanation.words)
        if progress is not None:
            progress(number + 1, len(sources))
    table = np.concatenate(falls) if falls else np.zeros((0, 3))
    group_of = np.array(groups, int)
    is_function = np.array([word in FUNCTION_WORDS for word in words], bool)
    parts = {
        "all": np.ones(len(words), bool),
        "content_words": ~is_function,
        "function_words": is_function,
    }
    return {
        "level": level,
        "backend": keras.backend.backend(),
        "num_cells": num_cells,
        "num_places": rows * columns,
        "num_images": len(sources),
        "num_random": num_random,
        "num_words": len(words),
        "seed": seed,
        "settings": decoder_settings(captioner, captioner.search_options(**search_options)),
        **{
            name: summarize(table[part], group_of[part], num_samples, seed)
            for name, part in parts.items()
            if part.any()
        },
        "by_word": _by_word(words, table),
    }


def _check(level: str, num_cells: int, num_locations: int, num_images: int) -> None:
    if level not in LEVELS:
        raise ValueError(f"`level` must be one of {LEVELS}. Received: level={level!r}")
    if not 1 <= num_cells <= num_locations // 2:
        raise ValueError(
            "`num_cells` must be at least 1 and at most half of the locations, so that as many "
            f"others can be hidden. Received: num_cells={num_cells!r} of {num_locations} locations"
        )
    if num_images < 2:
        raise ValueError(
            "The deletion test compares with locations attended to in other images. Give at least "
            f"two. Received: {num_images}"
        )


def _cells(
    attended: list[np.ndarray],
    number: int,
    position: int,
    num_cells: int,
    num_random: int,
    generator: np.random.Generator,
) -> list[np.ndarray]:
    """Cells to hide, int[num_cells] each: attended, elsewhere, then `num_random` random draws."""
    order = attended[number][position]
    other = int(generator.integers(len(attended) - 1))
    other += other >= number
    rival = attended[other]
    elsewhere = rival[int(generator.integers(len(rival)))] if len(rival) else order[::-1]
    random = [
        generator.choice(order[num_cells:], num_cells, replace=False) for _ in range(num_random)
    ]
    return [order[:num_cells], elsewhere[:num_cells], *random]


def summarize(table: np.ndarray, groups: np.ndarray, num_samples: int, seed: int) -> dict[str, Any]:
    """Means over words with bootstrap intervals over images.

    Args:
        table: float[N, 3]. Falls in nats: attended, random, elsewhere.
        groups: int[N]. The image of each word.
        num_samples: int.
        seed: int.
    """
    columns = np.concatenate([table, table[:, :1] - table[:, 1:]], axis=1)
    images, image_of_word = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(images), 5))
    np.add.at(sums, image_of_word, columns)
    counts = np.bincount(image_of_word, minlength=len(images))
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(images), size=(num_samples, len(images)))
    samples = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)[:, None]
    low, high = np.quantile(samples, (0.025, 0.975), axis=0)
    mean = columns.mean(axis=0)
    names = ("attended", "random", "elsewhere", "attended - random", "attended - elsewhere")
    return {
        "num_words": len(table),
        "fall": {
            name: {"mean": float(mean[i]), "low": float(low[i]), "high": float(high[i])}
            for i, name in enumerate(names)
        },
        "attended_falls_more_than_random": float(np.mean(table[:, 0] > table[:, 1])),
    }


def _by_word(words: list[str], table: np.ndarray) -> list[dict[str, Any]]:
    indices_of = defaultdict(list)
    for index, word in enumerate(words):
        indices_of[word].append(index)
    found = []
    for word, indices in indices_of.items():
        if len(indices) >= MIN_COUNT:
            attended, random, elsewhere = (float(x) for x in table[indices].mean(axis=0))
            found.append(
                {
                    "word": word,
                    "count": len(indices),
                    "attended": attended,
                    "random": random,
                    "elsewhere": elsewhere,
                }
            )
    return sorted(found, key=lambda row: row["random"] - row["attended"])

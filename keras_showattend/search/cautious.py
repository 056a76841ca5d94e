"""Captions reworded until each of their words is sure enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_showattend.search.assessment import Assessor
from keras_showattend.search.generate_function import GenerateFunction
from keras_showattend.search.hypothesis import CaptionHypothesis
from keras_showattend.search.options import SearchOptions

# Captions read together; holds the memory of their annotations down.
ROWS = 256
# Rewordings of an image that the decoder reads, those with the most sure words.
MOST_READ = 8


def reword_captions(
    search: GenerateFunction,
    preprocessor: Any,
    encoded: Mapping[str, Any],
    found: Sequence[Sequence[CaptionHypothesis]],
    assessor: Assessor,
    options: SearchOptions,
    capitalize: bool,
) -> list[list[CaptionHypothesis]]:
    """Puts a caption with surer words before the beams of each image whose best has shaky ones.

    All beams are read, their words judged, and each beam is reworded in several ways. Of all
    that came out, those with the fewest words below `options.cautious` are kept, and of these the
    `MOST_READ` with the greatest gain: the sum of (confidence - `options.cautious`) over the
    words. They are read, and the one whose mean log-probability plus gain is greatest is taken:
    it says what is sure, and the decoder finds the sentence likely.

    Args:
        search: the `GenerateFunction` of the captioner.
        preprocessor: an `ImageCaptionerPreprocessor`.
        encoded: dict of the images from `search.encode`.
        found: for each image its beams, best first, the best one assessed.
        assessor: the captioner's calibration; it knows words.
        options: `SearchOptions` with `cautious`.
        capitalize: bool. Whether captions begin with an upper-case letter.

    Returns:
        For each image the list of its captions. The first has the confidence of the best beam.
    """
    least = float(options.cautious or 0.0)
    shaky = [row for row, beams in enumerate(found) if _num_below(beams[0].word_confidences, least)]
    beams = [(row, beam.words) for row in shaky for beam in found[row]]
    readings = _read(search, preprocessor, encoded, beams, options.max_length)
    candidates: dict[int, dict[tuple[str, ...], tuple[float | None, ...]]] = {}
    for (row, words), reading in zip(beams, readings, strict=True):
        all_words = [beam.words for beam in found[row]]
        judged = assessor.assess(words, all_words, reading).word_confidences
        for reworded, confidences in assessor.rewordings(words, judged, least):
            candidates.setdefault(row, {}).setdefault(reworded, confidences)
    chosen = [
        (row, words, confidences)
        for row, of_image in candidates.items()
        for words, confidences in _surest(of_image, least)
    ]
    captions = [(row, words) for row, words, _ in chosen]
    readings = _read(search, preprocessor, encoded, captions, options.max_length)
    best: dict[int, tuple[float, CaptionHypothesis]] = {}
    for (row, words, confidences), reading in zip(chosen, readings, strict=True):
        tokens = reading["log_probabilities"][: len(words) + 1]
        log_probability = float(tokens.sum())
        rank = _gain(confidences, least) + log_probability / len(tokens)
        if row not in best or rank > best[row][0]:
            ids = np.array([[_token_ids(preprocessor, words)]])
            text = preprocessor.generate_postprocess({"token_ids": ids}, capitalize)[0][0]
            caption = found[row][0]._replace(
                text=text,
                log_probability=log_probability,
                score=log_probability / len(tokens) ** options.length_penalty,
                num_tokens=len(tokens),
                complete=len(words) < options.max_length,
                words=words,
                word_confidences=confidences,
            )
            best[row] = (rank, caption)
    return [
        [best[row][1], *(beam for beam in beams if beam.words != best[row][1].words)]
        if row in best
        else list(beams)
        for row, beams in enumerate(found)
    ]


def _surest(
    captions: Mapping[tuple[str, ...], tuple[float | None, ...]], least: float
) -> list[tuple[tuple[str, ...], tuple[float | None, ...]]]:
    """Returns the captions with the fewest shaky words, at most `MOST_READ`."""
    fewest = min(_num_below(confidences, least) for confidences in captions.values())
    kept = [pair for pair in captions.items() if _num_below(pair[1], least) == fewest]
    return sorted(kept, key=lambda pair: -_gain(pair[1], least))[:MOST_READ]


def _gain(confidences: Sequence[float | None], least: float) -> float:
    return sum(sure - least for sure in confidences if sure is not None)


def _num_below(confidences: Sequence[float | None], least: float) -> int:
    return sum(sure is not None and sure < least for sure in confidences)


def _token_ids(preprocessor: Any, words: Sequence[str]) -> list[int]:
    tokenizer = preprocessor.tokenizer
    return [*map(tokenizer.token_to_id, words), tokenizer.end_token_id]


def _read(
    search: GenerateFunction,
    preprocessor: Any,
    encoded: Mapping[str, Any],
    captions: Sequence[tuple[int, Sequence[str]]],
    max_length: int,
) -> list[dict[str, np.ndarray]]:
    """Reads captions, each a pair of the row of its image and its words; see `CaptionReader`."""
    readings: list[dict[str, np.ndarray]] = []
    for start in range(0, len(captions), ROWS):
        part = captions[start : start + ROWS]
        token_ids = np.full((len(part), max_length), preprocessor.tokenizer.pad_token_id, "int32")
        for ids, (_, words) in zip(token_ids, part, strict=True):
            known = _token_ids(preprocessor, words)[:max_length]
            ids[: len(known)] = known
        images = np.array([row for row, _ in part], "int32")
        repeated = {name: keras.ops.take(array, images, axis=0) for name, array in encoded.items()}
        arrays = search.read(repeated, token_ids)
        readings += [
            {name: array[row] for name, array in arrays.items()} for row in range(len(part))
        ]
    return readings

"""From a captioner and images to `Explanation`s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image

from keras_showattend.explain.explanation import Explanation
from keras_showattend.preprocessing.image_decoding import central_window
from keras_showattend.preprocessing.images import as_image_list, load_image
from keras_showattend.search import CaptionHypothesis
from keras_showattend.search.reading import CaptionReader

# Longest side, in pixels, of the image that an explanation keeps.
LONGEST_SIDE = 1024


def explain(
    captioner: Any,
    image: Any,
    *,
    caption: str | None = None,
    capitalize: bool = True,
    **search_options: Any,
) -> Any:
    """Captions images and tells where each word looked and how sure it was.

    The search is `ImageCaptioner.generate`'s own; its caption is then read once more by
    the decoder (teacher forcing), which gives each word's probability and attention.

    Args:
        captioner: an `ImageCaptioner` with its preprocessor.
        image: one image, or a list of a batch of them, as `ImageCaptioner.generate` takes them.
        caption: str or None. A caption of yours to explain in place of a generated
            one: what the model thinks of those words. Words that it does not know are
            shown, and counted, as `<unk>`.
        capitalize: bool. Whether the caption begins with an upper-case letter.
        **search_options: `max_length`, `num_beams`, `length_penalty`,
            `no_repeat_ngram_size` and `cautious` of `ImageCaptioner.generate`.

    Returns:
        `Explanation`; for a list of images a list of them.

    Raises:
        ImageError: if an image cannot be read.
        ValueError: for a number of beams or words below 1, or `caption` with several images.
    """
    options = captioner.search_options(**search_options)
    options.check_assessor(getattr(captioner, "calibration", None))
    sources, is_single = as_image_list(image)
    if caption is not None and not is_single:
        raise ValueError(
            "`caption` explains one image: call `explain` for each image. "
            f"Received: caption={caption!r} with {len(sources)} images"
        )
    preprocessor = captioner.preprocessor
    converter = preprocessor.image_converter
    pixels = np.stack([converter.load(source) for source in sources])
    encoded = captioner.generation.search.encode({"images": converter.normalize(pixels)})
    tokenizer, calibration = preprocessor.tokenizer, getattr(captioner, "calibration", None)
    if caption is None:
        captioned = captioner.generation.caption_batch
        beams = captioned(encoded, options, capitalize, calibration)
    else:
        words = tuple(map(tokenizer.id_to_token, tokenizer.tokenize(caption)))
        beams = [[CaptionHypothesis(caption, 0.0, 0.0, len(words) + 1, True, words)]]
    readings = _read(captioner.backbone, tokenizer, encoded, [found[0] for found in beams])
    if caption is not None:
        beams = [[_judged(beams[0][0], readings[0], options.length_penalty, calibration)]]
    explanations = []
    for source, found, reading in zip(sources, beams, readings, strict=True):
        best, num_words = found[0], len(found[0].words)
        size = converter.image_size if converter.crop_to_aspect_ratio else None
        shown, window = _fit(load_image(source), size)
        log_probabilities = reading["log_probabilities"]
        explanations.append(
            Explanation(
                image=shown,
                window=window,
                caption=best.text,
                words=list(best.words),
                log_probabilities=log_probabilities[:num_words],
                entropies=reading["entropies"][:num_words],
                attention_weights=reading["attention_weights"][:num_words].reshape(
                    -1, *captioner.backbone.grid_shape
                ),
                end_log_probability=float(log_probabilities[-1]) if best.complete else None,
                alternatives=found,
                confidence=best.confidence,
                word_confidences=best.word_confidences,
                unfamiliar=best.unfamiliar,
            )
        )
    return explanations[0] if is_single else explanations


def _read(
    backbone: Any, tokenizer: Any, encoded: Mapping[str, Any], captions: Sequence[CaptionHypothesis]
) -> list[dict[str, np.ndarray]]:
    """Reads captions with teacher forcing, one for each image; see `CaptionReader`.

    Each array has a row for each word, and one for the end if the caption has one.
    """
    token_ids = [
        [*map(tokenizer.token_to_id, found.words), *[tokenizer.end_token_id] * found.complete]
        for found in captions
    ]
    padded = np.full((len(token_ids), max(map(len, token_ids))), tokenizer.pad_token_id, "int32")
    for row, ids in zip(padded, token_ids, strict=True):
        row[: len(ids)] = ids
    outputs = CaptionReader(backbone, tokenizer.start_token_id)({**encoded, "token_ids": padded})
    arrays = {name: keras.ops.convert_to_numpy(array) for name, array in outputs.items()}
    return [
        {
            name: array[row] if name == "mean_annotations" else array[row, : len(ids)]
            for name, array in arrays.items()
        }
        for row, ids in enumerate(token_ids)
    ]


def _judged(
    caption: CaptionHypothesis,
    reading: Mapping[str, np.ndarray],
    length_penalty: float,
    calibration: Any,
) -> CaptionHypothesis:
    """Returns a caption that no search found with its log-probability, score and assessment."""
    log_probability = float(reading["log_probabilities"].sum())
    score = log_probability / caption.num_tokens**length_penalty
    caption = caption._replace(log_probability=log_probability, score=score)
    if calibration is None:
        return caption
    assessment = calibration.assess(caption.words, [caption.words], reading)
    return caption._replace(**assessment._asdict())


def _fit(
    image: np.ndarray, cropped_to: tuple[int, int] | None
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Shrinks an image to `LONGEST_SIDE`; finds the window of it that the encoder sees."""
    height, width = image.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
        image = np.array(resized)
    if cropped_to is None:
        return image, (0, 0, width, height)
    return image, central_window((width, height), (cropped_to[1], cropped_to[0]))

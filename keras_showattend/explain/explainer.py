"""From a captioner and images to `Explanation`s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image

from keras_showattend.explain.explanation import Explanation
from keras_showattend.preprocessing.images import as_image_list, load_image
from keras_showattend.search.generation import CaptionHypothesis, hypotheses

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
        **search_options: `max_length`, `num_beams`, `length_penalty` and
            `no_repeat_ngram_size` of `ImageCaptioner.generate`.

    Returns:
        `Explanation`; for a list of images a list of them.

    Raises:
        ImageError: if an image cannot be read.
        ValueError: for a number of beams or words below 1, or `caption` with several images.
    """
    options = captioner.search_options(**search_options)
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
    if caption is None:
        outputs = captioner.generation.search(encoded, options)
        beams = hypotheses(preprocessor, outputs, capitalize)
        token_ids = [_until_end(ids[0], preprocessor) for ids in outputs["token_ids"]]
    else:
        known = preprocessor.tokenizer.tokenize(caption)
        token_ids = [np.array([*known, preprocessor.tokenizer.end_token_id], "int32")]
        beams = [[]]
    replays = replay_captions(
        captioner.backbone, preprocessor.tokenizer, encoded["annotations"], token_ids
    )
    explanations = []
    for source, ids, found, replay in zip(sources, token_ids, beams, replays, strict=True):
        has_end = ids.size > 0 and ids[-1] == preprocessor.tokenizer.end_token_id
        num_words = len(ids) - int(has_end)
        log_probability = float(replay["log_probabilities"].sum())
        length = max(len(ids), 1)
        if caption is not None:
            score = log_probability / length**options.length_penalty
            found = [CaptionHypothesis(caption, log_probability, score, length)]
        calibration = getattr(captioner, "calibration", None)
        size = converter.image_size if converter.crop_to_aspect_ratio else None
        shown, window = _fit(load_image(source), size)
        explanations.append(
            Explanation(
                image=shown,
                window=window,
                caption=found[0].text,
                words=[preprocessor.tokenizer.id_to_token(int(i)) for i in ids[:num_words]],
                log_probabilities=replay["log_probabilities"][:num_words],
                entropies=replay["entropies"][:num_words],
                attention_weights=replay["attention_weights"][:num_words],
                end_log_probability=float(replay["log_probabilities"][-1]) if has_end else None,
                alternatives=found,
                confidence=None if calibration is None else calibration(log_probability / length),
            )
        )
    return explanations[0] if is_single else explanations


def replay_captions(
    backbone: Any, tokenizer: Any, annotations: Any, token_ids: Sequence[np.ndarray]
) -> list[dict[str, np.ndarray]]:
    """Reads captions with teacher forcing, one for each image.

    Args:
        backbone: a `ShowAttendBackbone`.
        tokenizer: a `CaptionTokenizer`.
        annotations: float[B, L, D].
        token_ids: list of B int32[T], each with a T of its own. The words, and the end
            token if the caption has one.

    Returns:
        For each image a dict of `log_probabilities` float32[T] and `entropies` float32[T], in
        nats, and `attention_weights` float32[T, rows, columns].
    """
    read = np.full((len(token_ids), max(1, *map(len, token_ids))), tokenizer.pad_token_id, "int32")
    for row, ids in zip(read, token_ids, strict=True):
        row[: len(ids)] = [tokenizer.start_token_id, *ids[:-1]][: len(ids)]
    outputs = backbone.decoder(
        keras.ops.convert_to_tensor(read),
        keras.ops.convert_to_tensor(annotations),
        annotation_mask=None,
        training=False,
    )
    log_softmax = keras.ops.convert_to_numpy(keras.ops.log_softmax(outputs["logits"], axis=-1))
    weights = keras.ops.convert_to_numpy(keras.ops.cast(outputs["attention_weights"], "float32"))
    weights = weights.astype("float64")
    # In bfloat16 the weights sum to 1 only within half a percent.
    weights /= weights.sum(axis=-1, keepdims=True)
    weights = weights.reshape(*weights.shape[:2], *backbone.grid_shape).astype("float32")
    entropies = -(np.exp(log_softmax) * log_softmax).sum(axis=-1)
    return [
        {
            "log_probabilities": log_softmax[row, np.arange(len(ids)), ids],
            "entropies": entropies[row, : len(ids)],
            "attention_weights": weights[row, : len(ids)],
        }
        for row, ids in enumerate(token_ids)
    ]


def _until_end(token_ids: np.ndarray, preprocessor: Any) -> np.ndarray:
    """Returns the words and, where there is one, the end token of int32[T]."""
    ends = np.flatnonzero(token_ids == preprocessor.tokenizer.end_token_id)
    return token_ids[: ends[0] + 1] if ends.size else token_ids


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
    # The largest central window of the encoder's shape, as `load_image` cuts it.
    aspect = cropped_to[1] / cropped_to[0]
    across, down = (round(n) for n in (min(width, height * aspect), min(height, width / aspect)))
    left, top = (width - across) // 2, (height - down) // 2
    return image, (left, top, left + max(across, 1), top + max(down, 1))

"""From a captioner and an image to an `Explanation`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from PIL import Image

from keras_showattend.explain.explanation import Explanation
from keras_showattend.preprocessing.images import load_image
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
) -> Explanation:
    """Captions one image and tells where each word looked and how sure it was.

    The search is `ImageCaptioner.generate`'s own; its caption is then read once more by
    the decoder (teacher forcing), which gives each word's probability and attention.

    Args:
        captioner: an `ImageCaptioner` with its preprocessor.
        image: one image, as `ImageCaptioner.generate` takes them.
        caption: str or None. A caption of yours to explain in place of a generated
            one: what the model thinks of those words. Words that it does not know are
            shown, and counted, as `<unk>`.
        capitalize: bool. Whether the caption begins with an upper-case letter.
        **search_options: `max_length`, `num_beams`, `length_penalty` and
            `no_repeat_ngram_size` of `ImageCaptioner.generate`.

    Returns:
        `Explanation`.

    Raises:
        ImageError: if the image cannot be read.
        ValueError: for a number of beams or words below 1, or several images at once.
    """
    options = captioner.search_options(**search_options)
    preprocessor = captioner.preprocessor
    if isinstance(image, list | tuple | dict) or np.ndim(image) == 4:
        raise ValueError(
            "`explain` takes one image. Call it in a loop for several. "
            f"Received: {type(image).__name__}"
        )
    original = load_image(image)
    pixels = preprocessor.image_converter.load(image)
    images = preprocessor.image_converter.normalize(pixels[None])
    if caption is None:
        outputs = captioner.generation.search({"images": images}, options)
        beams = hypotheses(preprocessor, outputs, capitalize)[0]
        caption, token_ids = beams[0].text, _until_end(outputs["token_ids"][0, 0], preprocessor)
    else:
        beams = []
        known = preprocessor.tokenizer.tokenize(caption)
        token_ids = np.array([*known, preprocessor.tokenizer.end_token_id], "int32")
    replay = replay_caption(captioner.backbone, preprocessor.tokenizer, images, token_ids)
    has_end = token_ids.size > 0 and token_ids[-1] == preprocessor.tokenizer.end_token_id
    num_words = len(token_ids) - int(has_end)
    log_probability = float(replay["log_probabilities"].sum())
    length = max(len(token_ids), 1)
    if not beams:
        score = log_probability / length**options.length_penalty
        beams = [CaptionHypothesis(caption, log_probability, score, length)]
    calibration = getattr(captioner, "calibration", None)
    crop = preprocessor.image_converter.crop_to_aspect_ratio
    shown, window = _fit(original, preprocessor.image_converter.image_size if crop else None)
    return Explanation(
        image=shown,
        window=window,
        caption=caption,
        words=[preprocessor.tokenizer.id_to_token(int(i)) for i in token_ids[:num_words]],
        log_probabilities=replay["log_probabilities"][:num_words],
        entropies=replay["entropies"][:num_words],
        attention_weights=replay["attention_weights"][:num_words],
        end_log_probability=float(replay["log_probabilities"][-1]) if has_end else None,
        alternatives=beams,
        confidence=None if calibration is None else calibration(log_probability / length),
    )


def replay_caption(
    backbone: Any, tokenizer: Any, images: np.ndarray, token_ids: np.ndarray
) -> dict[str, np.ndarray]:
    """Reads one caption with teacher forcing.

    Args:
        backbone: a `ShowAttendBackbone`.
        tokenizer: a `CaptionTokenizer`.
        images: float32[1, H, W, 3], normalised.
        token_ids: int32[T]. The words, and the end token if the caption has one.

    Returns:
        Dict of `log_probabilities` float32[T] and `entropies` float32[T], in nats, and
        `attention_weights` float32[T, rows, columns].
    """
    rows, columns = backbone.grid_shape
    if not len(token_ids):
        return {
            "log_probabilities": np.zeros(0, "float32"),
            "entropies": np.zeros(0, "float32"),
            "attention_weights": np.zeros((0, rows, columns), "float32"),
        }
    read = np.array([[tokenizer.start_token_id, *token_ids[:-1]]], "int32")
    annotations = backbone.image_encoder(images, training=False)
    outputs = backbone.decoder(
        keras.ops.convert_to_tensor(read), annotations, annotation_mask=None, training=False
    )
    log_softmax = keras.ops.convert_to_numpy(keras.ops.log_softmax(outputs["logits"][0], axis=-1))
    weights = keras.ops.convert_to_numpy(keras.ops.cast(outputs["attention_weights"], "float32"))
    weights = weights[0].astype("float64")
    # In bfloat16 the weights sum to 1 only within half a percent.
    weights /= weights.sum(axis=-1, keepdims=True)
    return {
        "log_probabilities": log_softmax[np.arange(len(token_ids)), token_ids],
        "entropies": -(np.exp(log_softmax) * log_softmax).sum(axis=-1),
        "attention_weights": weights.reshape(-1, rows, columns).astype("float32"),
    }


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

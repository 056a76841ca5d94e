"""A caption's words read again by the decoder, with parts of the image hidden."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

# Images encoded, or captions read, together; holds the memory of 14 x 14 annotations down.
BATCH_SIZE = 32


def hide_pixels(captioner: Any, source: Any, explanation: Any, cells: np.ndarray) -> np.ndarray:
    """Paints cells in the image's mean colour, and encodes it anew for each set of cells.

    Args:
        captioner: an `ImageCaptioner`.
        source: the image, anything `load_image` takes.
        explanation: the `Explanation` of it.
        cells: int[T, S, C]. For each word S sets of C cells, numbered row by row.

    Returns:
        float64[T, S]. Log-probability in nats of each word, given the words before it.
    """
    converter = captioner.preprocessor.image_converter
    pixels = converter.load(source)
    rows, columns = captioner.backbone.grid_shape
    mean_colour = np.rint(pixels.mean(axis=(0, 1))).astype("uint8")

    def annotations(sets: np.ndarray) -> Any:
        images = np.repeat(pixels[None], len(sets), axis=0)
        for image, hidden in zip(images, sets, strict=True):
            image[cell_pixels(hidden, (rows, columns), image.shape[:2])] = mean_colour
        return captioner.backbone.image_encoder(converter.normalize(images), training=False), None

    return _read_again(captioner, explanation, cells, annotations)


def hide_annotations(
    captioner: Any, source: Any, explanation: Any, cells: np.ndarray
) -> np.ndarray:
    """Masks the annotations of cells in the decoder; arguments as for `hide_pixels`."""
    converter = captioner.preprocessor.image_converter
    images = converter.normalize(converter.load(source)[None])
    encoded = captioner.backbone.image_encoder(images, training=False)

    def annotations(sets: np.ndarray) -> Any:
        mask = np.ones((len(sets), encoded.shape[1]), bool)
        np.put_along_axis(mask, sets, False, axis=1)
        return keras.ops.repeat(encoded, len(sets), axis=0), keras.ops.convert_to_tensor(mask)

    return _read_again(captioner, explanation, cells, annotations)


def cell_pixels(
    cells: np.ndarray, grid_shape: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """bool[H, W], True under the given cells, int[C], of a grid laid over `size` pixels."""
    hidden = np.zeros(grid_shape[0] * grid_shape[1], bool)
    hidden[cells] = True
    row = (np.arange(size[0]) * grid_shape[0]) // size[0]
    column = (np.arange(size[1]) * grid_shape[1]) // size[1]
    return hidden.reshape(grid_shape)[row[:, None], column[None]]


def _read_again(captioner: Any, explanation: Any, cells: np.ndarray, annotations: Any) -> Any:
    tokenizer = captioner.preprocessor.tokenizer
    targets = np.array([tokenizer.token_to_id(word) for word in explanation.words], "int32")
    read = np.array([tokenizer.start_token_id, *targets[:-1]], "int32")
    num_words, num_sets = cells.shape[:2]
    flat = cells.reshape(num_words * num_sets, -1)
    positions = np.repeat(np.arange(num_words), num_sets)
    result = np.empty(len(flat))
    for start in range(0, len(flat), BATCH_SIZE):
        part = slice(start, min(start + BATCH_SIZE, len(flat)))
        encoded, mask = annotations(flat[part])
        token_ids = keras.ops.convert_to_tensor(np.tile(read, (len(flat[part]), 1)))
        logits = captioner.backbone.decoder(token_ids, encoded, mask, training=False)["logits"]
        words = keras.ops.convert_to_numpy(keras.ops.log_softmax(logits, axis=-1))
        at = positions[part]
        result[part] = words[np.arange(len(at)), at, targets[at]]
    return result.reshape(num_words, num_sets)

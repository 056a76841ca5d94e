"""Images of any size fitted to an encoder inside a TensorFlow graph."""

from typing import Any

from keras_showattend._typing import Tensor


def fit_images(images: Tensor, size: tuple[int, int], crop: bool) -> Tensor:
    """Resizes images as `load_image` does: antialiased, bilinear, rounded to whole numbers.

    Height and width are products with a matrix each, which runtimes compute that know no
    antialiasing.

    Args:
        images: uint8[B, H, W, 3].
        size: `(height, width)`.
        crop: whether the largest central window of that aspect is taken first.

    Returns:
        uint8[B, height, width, 3]; at most one pixel in ten differs from Pillow's, by 1.
    """
    import tensorflow as tf

    height, width = tf.shape(images)[1], tf.shape(images)[2]
    if crop:
        factor = tf.minimum(height / size[0], width / size[1])
        inner = [tf.maximum(tf.cast(tf.round(side * factor), tf.int32), 1) for side in size]
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        images = images[:, top : top + inner[0], left : left + inner[1]]
        height, width = inner
    # Pillow resizes the rows first, and rounds in between.
    by_row = _rounded(tf.matmul(_weights(width, size[1]), tf.cast(images, tf.float32)))
    rows = tf.shape(by_row)[1]
    columns = tf.reshape(by_row, [-1, rows, size[1] * 3])
    fitted = _rounded(tf.matmul(_weights(height, size[0]), columns))
    return tf.cast(tf.reshape(fitted, [-1, *size, 3]), tf.uint8)


def _weights(source: Any, target: int) -> Tensor:
    """Matrix float32[target, source] of a triangle as wide as a target pixel, rows sum to 1."""
    import tensorflow as tf

    scale = tf.cast(source, tf.float32) / target
    centers = (tf.range(target, dtype=tf.float32) + 0.5) * scale
    places = tf.range(tf.cast(source, tf.float32)) + 0.5
    distances = tf.abs(places[None, :] - centers[:, None]) / tf.maximum(scale, 1.0)
    weights = tf.maximum(1.0 - distances, 0.0)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)


def _rounded(values: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.floor(values + 0.5)

"""Images of any kind and size to the encoder's input."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_showattend._typing import Tensor
from keras_showattend.preprocessing.image_sources import ImageSource
from keras_showattend.preprocessing.images import load_image
from keras_showattend.presets.from_preset import loads_presets


@loads_presets
@keras.saving.register_keras_serializable(package="keras_showattend")
class CaptionImageConverter(keras_hub.layers.ImageConverter):
    """Loads, resizes, scales and offsets images.

    Adds to `keras_hub.layers.ImageConverter` that it reads files and PIL images, with
    `load`, and that resizing is antialiased by default, since images are usually much
    larger than the encoder's input. Pixels go in as RGB in 0..255.

    `accept_truncated`, False unless set, lets `load` read JPEG images that end early, with
    a `UserWarning`; see `load_image`. It is a setting of the process: no preset carries it.

    Args:
        image_size: `(height, width)` of the output. Defaults to `(224, 224)`.
        scale: float, sequence of 3 floats or None. Multiplies the pixels.
        offset: float, sequence of 3 floats or None. Added after scaling.
        crop_to_aspect_ratio: bool. False squashes an image to the size, as the dataset
            and the paper's tutorial do; True takes its largest central window of the
            right shape. Defaults to False.
        antialias: bool. Whether shrinking averages over all pixels. Defaults to True.
        **kwargs: as for `keras_hub.layers.ImageConverter`.

    Call arguments:
        inputs: uint8 or float[B, H, W, 3] or [H, W, 3].

    Returns:
        float[B, height, width, 3] or [height, width, 3].
    """

    def __init__(
        self,
        image_size: Sequence[int] = (224, 224),
        scale: float | Sequence[float] | None = None,
        offset: float | Sequence[float] | None = None,
        crop_to_aspect_ratio: bool = False,
        antialias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(
            image_size=tuple(image_size),
            scale=scale,
            offset=offset,
            crop_to_aspect_ratio=crop_to_aspect_ratio,
            antialias=antialias,
            **kwargs,
        )
        self.accept_truncated = False

    def call(self, inputs: Tensor) -> Tensor:
        """Resizes, scales and offsets; see the class docstring."""
        # KerasHub adds the offset in the pixels' own dtype; uint8 would wrap around.
        if self._use_tf_workflow():
            import tensorflow as tf

            return super().call(tf.cast(inputs, tf.float32))
        return super().call(keras.ops.convert_to_tensor(inputs, dtype="float32"))

    def load(self, source: ImageSource, size: tuple[int, int] | None = None) -> np.ndarray:
        """Loads one image at the encoder's size, or another.

        Args:
            source: path, bytes, file object, PIL image or array; see `load_image`, whose
                errors it raises.
            size: `(height, width)`. Defaults to `image_size`.

        Returns:
            uint8[height, width, 3], RGB, not yet scaled.
        """
        return load_image(
            source,
            size or self.image_size,
            crop=self.crop_to_aspect_ratio,
            accept_truncated=self.accept_truncated,
        )

    def normalize(self, images: Tensor) -> np.ndarray:
        """Scales and offsets images that have the right size already.

        Args:
            images: uint8 or float[B, height, width, 3].

        Returns:
            float32[B, height, width, 3], in NumPy.
        """
        images = np.asarray(images, dtype="float32")
        if self.scale is not None:
            images = images * np.asarray(self.scale, dtype="float32")
        if self.offset is not None:
            images = images + np.asarray(self.offset, dtype="float32")
        return images

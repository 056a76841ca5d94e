"""Networks that read BGR, made to read RGB."""

import keras
import numpy as np


def flip_input_channels(model: keras.Model) -> None:
    """Reverses the input channels of a network's first convolution.

    A network that reads BGR computes the same from RGB afterwards.

    Args:
        model: `keras.Model`, changed in place.
    """
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    kernel, *bias = first.get_weights()
    first.set_weights([np.flip(kernel, axis=2), *bias])

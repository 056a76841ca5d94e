"""`jit_compile=True`, in training and generation, at both grids of a VGG."""

import keras
import numpy as np
import pytest
from captioner_checks import all_beams, check_same_beams, sharpen

from keras_showattend import CaptionImageConverter, CaptionTokenizer, create_captioner

pytestmark = pytest.mark.slow

CAPTIONS = [["a red dog runs", "a dog"], ["a big cat sits on the grass", "grass"]]


def new_captioner(side, decoder):
    """Four pixels a side for each of `side` x `side` places."""
    pixels = keras.Input((4 * side, 4 * side, 3))
    network = keras.Model(pixels, keras.layers.Conv2D(5, 4, strides=4, activation="tanh")(pixels))
    captioner = create_captioner(
        network,
        decoder,
        tokenizer=CaptionTokenizer.from_captions([c for cs in CAPTIONS for c in cs], min_count=1),
        image_converter=CaptionImageConverter((4 * side, 4 * side), scale=1 / 255),
        image_shape=(4 * side, 4 * side, 3),
        sequence_length=8,
        embedding_dim=8,
        hidden_dim=9,
        attention_dim=10,
        dropout=0.0,
    )
    captioner.backbone.image_encoder.trainable = False
    return sharpen(captioner, factor=1.0)


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="torch.compile needs a C++ compiler and a minute"
)
@pytest.mark.parametrize("decoder", ["gru", "lstm"])
@pytest.mark.parametrize("side", [7, 14])
def test_compiled_is_the_same(side, decoder):
    rng = np.random.default_rng(5)
    images = [rng.integers(0, 256, (4 * side, 4 * side, 3)).astype("uint8") for _ in CAPTIONS]
    losses, beams = [], []
    for jit_compile in (True, False):
        captioner = new_captioner(side, decoder)
        assert captioner.backbone.grid_shape == (side, side)
        captioner.compile(keras.optimizers.SGD(0.5), jit_compile=jit_compile)
        # Batches of two lengths.
        history = captioner.fit(
            {"images": images, "captions": CAPTIONS}, batch_size=2, epochs=3, verbose=0
        )
        losses.append(history.history["loss"])
        beams.append(all_beams(captioner, images))
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    check_same_beams(*beams, atol=1e-3)

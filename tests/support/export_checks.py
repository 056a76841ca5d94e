"""A tiny captioner to export, and what its captions are compared with."""

import keras
import numpy as np
from captioner_checks import picture, sharpen

from keras_showattend import CaptionImageConverter, CaptionTokenizer, create_captioner

H, W, T = 16, 24, 6
IMAGES = [picture(seed, H, W) for seed in range(5)]


def tiny(cell="gru", **converter):
    keras.utils.set_random_seed(4)
    network = keras.Sequential(
        [
            keras.Input((H, W, 3)),
            keras.layers.Conv2D(12, 3, padding="same", activation="relu"),
            keras.layers.MaxPool2D(4),
            keras.layers.Conv2D(7, 3, padding="same", activation="relu"),
        ]
    )
    return sharpen(
        create_captioner(
            network,
            tokenizer=CaptionTokenizer.from_captions(["a dog runs on the grass by a man"], 1),
            image_converter=CaptionImageConverter((H, W), scale=1 / 255, offset=-0.4, **converter),
            image_shape=(H, W, 3),
            decoder=cell,
            embedding_dim=8,
            hidden_dim=9,
            attention_dim=10,
            sequence_length=T,
        )
    )


def words(token_ids, captioner):
    return captioner.preprocessor.generate_postprocess({"token_ids": token_ids})


def check_captions(found, captioner, atol=1e-4, **options):
    expected = captioner.generate(IMAGES, return_all_beams=True, capitalize=False, **options)
    assert words(found["token_ids"], captioner) == [[b.text for b in row] for row in expected]
    for name, field in (("log_probabilities", "log_probability"), ("scores", "score")):
        values = [[getattr(beam, field) for beam in row] for row in expected]
        np.testing.assert_allclose(found[name], values, atol=atol)

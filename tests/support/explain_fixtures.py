"""A tiny captioner with an odd grid, and a small data set, for the tests of explanations."""

import keras
import numpy as np
from PIL import Image

from keras_showattend import CaptionDataset, CaptionImageConverter, CaptionTokenizer
from keras_showattend.data import CaptionedImage
from keras_showattend.models import create_captioner

NOUNS = ("dog", "cat", "boy", "girl", "horse", "boat", "tree", "ball")
VERBS = ("runs", "sleeps", "jumps", "waits", "plays")
END_BIAS = 2.0
PLACES = ("grass", "sand", "water", "snow")


def tiny_captions(index, count=5):
    return [
        f"A {NOUNS[(index + n) % 8]} {VERBS[(index * n + 1) % 5]} on the {PLACES[index % 4]}."
        for n in range(count)
    ]


def make_tiny_captioner(image_size=(48, 64), crop=False, seed=10, decoder="gru"):
    """Grid of 3 x 4 places, vocabulary of about 25."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((*image_size, 3))
    x = keras.layers.Conv2D(8, 16, strides=16, activation="relu")(images)
    encoder = keras.Model(images, keras.layers.Conv2D(12, 1, activation="relu")(x))
    captions = [caption for index in range(40) for caption in tiny_captions(index)]
    captioner = create_captioner(
        encoder,
        decoder,
        tokenizer=CaptionTokenizer.from_captions(captions, min_count=1),
        image_converter=CaptionImageConverter(
            image_size, scale=1 / 64, offset=-2.0, crop_to_aspect_ratio=crop
        ),
        image_shape=(*image_size, 3),
        sequence_length=9,
        embedding_dim=10,
        hidden_dim=14,
        attention_dim=6,
    )
    captioner.backbone.image_encoder.trainable = False
    generator = np.random.default_rng(seed)
    for weight in captioner.backbone.weights:
        if len(weight.shape) > 1:
            # Drawn by NumPy, so that all backends get the same captions. Fresh weights give
            # nearly even softmaxes, in which a wrong map would hide, so these are larger.
            fan = np.prod(weight.shape[:-2], initial=1) * sum(weight.shape[-2:])
            scale = np.sqrt(2 / fan) * (2.5 if weight.shape[0] != 16 else 1)
            weight.assign(scale * generator.normal(size=weight.shape))
    bias = captioner.backbone.decoder.vocabulary_output.bias
    end = np.arange(bias.shape[0]) == captioner.preprocessor.tokenizer.end_token_id
    # So that some captions end, and some are cut.
    bias.assign(np.where(end, END_BIAS, 0.0))
    return captioner


def tiny_picture(height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype="uint8")
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def make_tiny_dataset(count=12, first=0, references=5, prefix="photo"):
    items = [
        CaptionedImage(
            tiny_picture(40 + index % 5, 60 - index % 7, seed=first + index),
            tuple(tiny_captions(first + index, references)),
            f"{prefix}{first + index}",
        )
        for index in range(count)
    ]
    names = [item.id for item in items]
    half = count // 2
    return CaptionDataset(items, {"train": names[:half], "dev": names[half:]})

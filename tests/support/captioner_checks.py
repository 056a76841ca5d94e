"""Pictures, batches and comparisons that the tests of training and saving share."""

import json

import keras
import numpy as np
from PIL import Image


def picture(seed, height=8, width=12):
    """Random pixels, uint8[height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype("uint8")


def save_pictures(folder, count, suffix=".png"):
    """Writes pictures 0 .. count - 1; returns their paths as str."""
    paths = []
    for seed in range(count):
        path = folder / f"picture_{seed}{suffix}"
        Image.fromarray(picture(seed)).save(path)
        paths.append(str(path))
    return paths


def sharpen(captioner, seed=1, factor=3.0):
    """Makes an untrained captioner decided: its captions differ, and rounding changes none.

    The weights are NumPy's, so that the captions are the same on every backend.
    """
    rng = np.random.default_rng(seed)
    for weight in captioner.backbone.weights:
        if len(weight.shape) > 1:
            fan_in = np.prod(weight.shape[:-1])
            weight.assign(rng.normal(scale=factor / np.sqrt(fan_in), size=tuple(weight.shape)))
    output = captioner.backbone.decoder.vocabulary_output
    # Some captions end early.
    end = np.eye(output.units)[captioner.preprocessor.tokenizer.end_token_id]
    output.bias.assign(2.0 * end)
    return captioner


def all_beams(captioner, images, **options):
    """Rows of `[text, log_probability]` for each image, as JSON would hold them."""
    options = {"num_beams": 3, **options}
    found = captioner.generate(images, return_all_beams=True, **options)
    return json.loads(json.dumps([[[h.text, h.log_probability] for h in row] for row in found]))


def check_same_beams(found, expected, atol=1e-4):
    assert [[text for text, _ in row] for row in found] == [
        [text for text, _ in row] for row in expected
    ]
    for row, expected_row in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            [value for _, value in row], [value for _, value in expected_row], atol=atol, rtol=0
        )


class Batches(keras.utils.PyDataset):
    """A user's own data: ready-made items."""

    def __init__(self, items, **kwargs):
        super().__init__(**kwargs)
        self.items = items
        self.epochs_begun = 0
        self.epochs_ended = 0

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]

    def on_epoch_begin(self):
        self.epochs_begun += 1

    def on_epoch_end(self):
        self.epochs_ended += 1

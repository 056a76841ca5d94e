"""Pictures and captions, made up for the tests of the command line."""

import numpy as np
from PIL import Image

CAPTIONS = ["a dog runs on the grass", "two children play on a red slide", "a man rides a bike"]


def save_picture(path, seed=0, size=(40, 30)):
    """Writes a picture of coloured stripes, another one for each seed; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.random.default_rng(seed).integers(0, 256, (5, 1, 3), dtype=np.uint8)
    Image.fromarray(colours).resize(size, Image.Resampling.NEAREST).save(path)
    return path

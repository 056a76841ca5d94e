"""Damaged and hostile copies of files, drawn from a seed."""

import io
import itertools
import random
import warnings

import numpy as np
from PIL import Image

from keras_showattend.preprocessing.image_formats import readable_formats

_EXTREMES = (b"\x00", b"\xff", b"\x80", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff")
MODES = ("RGB", "L", "P", "1", "RGBA", "CMYK", "I;16")


def images(size=(37, 23)):
    """One small file, or several, of every format that Pillow both reads and writes here."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    deep = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    found = {}
    for name, mode in itertools.product(readable_formats(), MODES):
        if name == "ICNS" and mode != "P":
            # Ten sizes in one file, which take a second each.
            continue
        content = io.BytesIO()
        with warnings.catch_warnings():
            # Pillow will give some formats up.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                (deep if mode == "I;16" else picture.convert(mode)).save(content, name)
            except (OSError, ValueError, KeyError, SystemError, AttributeError):
                continue
        found[f"{name} {mode}"] = content.getvalue()
    return found


def mutate(content, rng, others):
    """A damaged copy: cut, flipped, repeated, overwritten with extremes, or joined with another.

    Args:
        content: bytes.
        rng: `random.Random`.
        others: list of bytes to take pieces from.
    """
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not data:
            break
        # The head of a file holds its sizes.
        end = len(data) if rng.random() < 0.5 else min(len(data), 64)
        place = rng.randrange(end)
        kind = rng.randrange(7)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            value = rng.choice(
                (b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80")
            )
            data[place : place + len(value)] = value
        elif kind == 3:
            data[place : place + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 4:
            stop = min(len(data), place + rng.randrange(1, 65))
            data[place:place] = data[place:stop] * rng.choice((1, 2, 50))
        elif kind == 5:
            del data[place : place + rng.randrange(1, 17)]
        else:
            other = rng.choice(others)
            data[place:] = other[rng.randrange(max(1, len(other))) :]
    return bytes(data)


def mutations(contents, count, seed=0):
    """Yields `(name, bytes)` of `count` damaged copies, of each content in turn.

    Args:
        contents: dict from name to bytes.
        count: int.
        seed: int.
    """
    names, others = list(contents), list(contents.values())
    for number in range(count):
        name = names[number % len(names)]
        yield f"{name} {number}", mutate(contents[name], random.Random(f"{seed} {number}"), others)


CAPTIONS_FILES = {
    "captions.csv": b'image,caption\na.png,"a dog, running"\nb.png,two cats\na.png,a red dog\n',
    "captions.tsv": b"image\tcaption\na.png\ta dog\nb.png\ttwo cats\n",
    "Flickr8k.token.txt": b"a.png#0\ta dog runs .\na.png#1\ta red dog .\nb.png#0\ttwo cats .\n",
    "captions.json": (
        b'{"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}], '
        b'"annotations": [{"image_id": 1, "caption": "a dog"}, {"image_id": 2, "caption": "cats"}]}'
    ),
    "captions.jsonl": (
        b'{"image": "a.png", "caption": ["a dog", "a red dog"]}\n'
        b'{"image": "b.png", "caption": "two cats"}\n'
    ),
}

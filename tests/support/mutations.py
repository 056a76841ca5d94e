"""Damaged and hostile copies of files, drawn from a seed."""

import copy
import io
import itertools
import random
import struct
import warnings
import zlib

import numpy as np
from PIL import Image

from keras_showattend.preprocessing.image_formats import readable_formats

_VALUES = (
    *(None, True, -1, 0, 1, 10**9, 2**63, 10**400, 0.5, -1e308, float("inf"), float("nan")),
    *("", "a", "\0", "é" * 1000, "../../x", [], {}, [[]], {"a": 1}),
)
MODES = ("RGB", "L", "P", "1", "RGBA", "CMYK", "I;16")


def images(size=(37, 23)):
    """One small file, or several, of every format that Pillow reads here."""
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
    return found | _never_written(picture, found)


def _never_written(picture, found):
    """Files of the formats that Pillow reads and does not write."""
    width, height = picture.size
    grey = picture.convert("L").tobytes()
    rgb = picture.tobytes()
    bitmap = io.BytesIO()
    picture.save(bitmap, "ICO", bitmap_format="bmp", sizes=[(16, 16)])
    cursor = bytearray(bitmap.getvalue())
    cursor[2] = 2
    frame = struct.pack("<IHHQ", 22 + len(grey), 0xF1FA, 1, 0)
    frame += struct.pack("<IH", 6 + len(grey), 16) + grey
    animation = struct.pack("<IHHHHHHI", 128 + len(frame), 0xAF11, 1, width, height, 8, 3, 5)
    brush = struct.pack(">6I", 28, 2, width, height, 1, 0x47494D50) + struct.pack(">I", 10)
    pixar = bytearray(1024)
    pixar[:4] = b"\x80\xe8\0\0"
    struct.pack_into("<6H", pixar, 416, height, width, 0, 0, 14, 2)
    photo_cd = bytearray(96 * 2048 + 768 * 512 * 3 // 2)
    photo_cd[2048:2052] = b"PCD_"
    rows = "".join(f'"{"ab" * 4}",\n' for _ in range(6))
    return {
        "CUR": bytes(cursor),
        "DCX": struct.pack("<III", 0x3ADE68B1, 12, 0) + found["PCX RGB"],
        "FLI": animation.ljust(128, b"\0") + frame,
        "FTEX": b"FTEX" + struct.pack("<8I", 4, width, height, 1, 1, 1, 32, len(rgb)) + rgb,
        "GBR": brush + grey,
        "PCD": bytes(photo_cd),
        "PIXAR": bytes(pixar) + rgb,
        "PSD": b"8BPS\0\1".ljust(12, b"\0")
        + struct.pack(">HIIHH", 3, height, width, 8, 3)
        + bytes(14)
        + rgb,
        "SUN": struct.pack(">8I", 0x59A66A95, 36, 23, 24, 0, 1, 0, 0) + rgb,
        "XPM": b"/* XPM */\nstatic char *x[] = {\n"
        + f'"8 6 2 1",\n"a c #000000",\n"b c #ff8000",\n{rows}}};'.encode(),
        "XVTHUMB": f"P7 332\n#END_OF_COMMENTS\n{width} {height} 255\n".encode() + grey,
    }


def bombs():
    """Small files that say they are huge, or unpack to much more than their size."""

    def png(width, height, *chunks):
        content = b"\x89PNG\r\n\x1a\n"
        header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        for kind, data in (header, *chunks, (b"IEND", b"")):
            content += struct.pack(">I", len(data)) + kind + data
            content += struct.pack(">I", zlib.crc32(kind + data))
        return content

    def patched(name, mode, **fields):
        content = io.BytesIO()
        Image.new(mode, (37, 23)).save(content, name)
        data = bytearray(content.getvalue())
        for place, value in fields.values():
            data[place : place + len(value)] = value
        return bytes(data)

    pixels = (b"IDAT", zlib.compress(bytes(38 * 23)))
    text = b"comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    jpeg = patched("JPEG", "RGB")
    start = jpeg.index(b"\xff\xc0") + 5
    return {
        "PNG of 60,000 x 60,000": png(60_000, 60_000, pixels),
        "PNG of 2 x 2,147,483,647": png(2, 2**31 - 1, pixels),
        "PNG with 200 MB of text": png(37, 23, (b"zTXt", text), pixels),
        "PNG with 200 MB of profile": png(37, 23, (b"iCCP", text), pixels),
        "PNG with 200 MB of pixels": png(37, 23, (b"IDAT", text[9:])),
        "GIF of 65,535 x 65,535": patched("GIF", "P", size=(6, b"\xff\xff\xff\xff")),
        "BMP of 2,147,483,647 lines": patched("BMP", "RGB", size=(22, b"\xff\xff\xff\x7f")),
        "JPEG of 65,500 x 65,500": jpeg[:start] + b"\xff\xdc\xff\xdc" + jpeg[start + 4 :],
        "PPM of 10^9 x 10^9": b"P6 1000000000 1000000000 255\n" + bytes(99),
        "TGA of 65,535 x 65,535": patched("TGA", "RGB", size=(12, b"\xff\xff\xff\xff")),
    }


def mutate_json(value, rng):
    """A copy of what was in a JSON file, with one to four values replaced, lost or swapped."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = list(_places(value))
        if not places:
            break
        container, key = rng.choice(places)
        kind = rng.randrange(4)
        if kind == 0:
            del container[key]
        elif kind == 1:
            other, name = rng.choice(places)
            container[key] = copy.deepcopy(other[name])
        elif kind == 2 and isinstance(container[key], int | float):
            container[key] = container[key] * rng.choice((-1, 2, 10**6)) + rng.choice((0, 1))
        else:
            container[key] = copy.deepcopy(rng.choice(_VALUES))
    return value


def _places(value):
    """All `(container, key)` inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


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

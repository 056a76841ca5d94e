"""Measures memory while a long stream of images is captioned.

    python benchmarks/memory.py FOLDER [--images 20000] [--preset NAME] [--every 1000]

The images of FOLDER repeat. Without `--preset` the encoder is one small convolution with random
weights, so that 20,000 images take minutes; reading, decoding, search and writing are the real
ones. A preset shows the same with its own encoder.
"""

import argparse
import itertools
import os
import pathlib
import tempfile

import keras
from timing import write_json

from keras_showattend import (
    CaptionImageConverter,
    CaptionTokenizer,
    ImageCaptioner,
    create_captioner,
)
from keras_showattend.cli.caption import BATCH_SIZE
from keras_showattend.cli.caption_file import CaptionFile
from keras_showattend.cli.caption_rows import COLUMNS, RowMaker
from keras_showattend.cli.caption_stream import caption_stream
from keras_showattend.cli.row_formats import JsonLines
from keras_showattend.cli.row_index import RowIndex
from keras_showattend.preprocessing.images import find_images

MEBIBYTE = 1 << 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="folder of images")
    parser.add_argument("--preset")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=1000, help="images between two readings")
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()

    captioner = ImageCaptioner.from_preset(args.preset) if args.preset else small_captioner()
    images = itertools.cycle(map(os.fspath, find_images(args.folder)))
    paths = list(itertools.islice(images, args.images))
    readings = []

    def read(count):
        if count % args.every == 0:
            readings.append(resident_memory() / MEBIBYTE)
            print(f"{count:8} images: {readings[-1]:8.1f} MiB", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        file = CaptionFile(os.path.join(scratch, "captions.jsonl"), JsonLines(COLUMNS), True)
        with file.open() as sink:
            captioned = caption_stream(
                captioner, paths, RowMaker("", ""), RowIndex(), batch_size=BATCH_SIZE
            )
            for count, found in enumerate(captioned, start=1):
                sink.write(found.row)
                read(count)
    # By the first reading everything has been compiled.
    growth = max(readings) - readings[0]
    print(f"at most {growth:.1f} MiB more than after the first {args.every} images")
    if args.output:
        write_json(args.output, {"MiB": readings, "every": args.every, "growth in MiB": growth})


def small_captioner():
    """Returns a captioner of 224 x 224 pixels, 7 x 7 locations and 500 words."""
    network = keras.Sequential(
        [keras.Input((224, 224, 3)), keras.layers.Conv2D(32, 32, strides=32, name="patches")]
    )
    words = [f"word{number}" for number in range(500)]
    return create_captioner(
        network,
        tokenizer=CaptionTokenizer.from_captions(words, 1),
        image_converter=CaptionImageConverter((224, 224), scale=1 / 255),
        embedding_dim=32,
        hidden_dim=32,
        attention_dim=32,
        sequence_length=16,
    )


def resident_memory():
    """Returns the resident memory of this process in bytes; Linux only."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()

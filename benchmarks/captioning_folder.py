"""Counts images of a folder captioned a second, compared with bare encoder passes.

    python benchmarks/captioning_folder.py FOLDER [--images 96] [--precision float32 bfloat16]

Images are read, decoded and captioned, and rows are written to a file, as `keras-showattend
caption FOLDER --output captions.jsonl` does with its defaults (5 beams). The baseline is the
captioner's own encoder network alone, on as many arrays already in memory, compiled by the same
framework in the same precision, at its best batch size. Compilation is not timed.
"""

import argparse
import os
import pathlib
import statistics
import tempfile

import keras
import numpy as np
from captioning import PRECISIONS, bare_encoder, captioner_in
from timing import interleave, ratios, table, write_json

from keras_showattend.cli.caption import BATCH_SIZE
from keras_showattend.cli.caption_file import CaptionFile
from keras_showattend.cli.caption_rows import COLUMNS, RowMaker
from keras_showattend.cli.caption_stream import caption_stream
from keras_showattend.cli.row_formats import JsonLines
from keras_showattend.cli.row_index import RowIndex
from keras_showattend.preprocessing.images import find_images

BATCH_SIZES = (16, 32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="folder of images")
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, default=["float32", "bfloat16"]
    )
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    paths = [os.fspath(path) for path in find_images(args.folder)][: args.images]
    if len(paths) < args.images:
        parser.error(f"FOLDER holds {len(paths)} images, fewer than --images {args.images}")

    with tempfile.TemporaryDirectory() as scratch:
        runs = {}
        for precision in args.precision:
            captioner = captioner_in(precision, args.preset, paths[:1])
            runs[f"bare encoder, {precision}"] = best_encoder(captioner, len(paths))
            runs[f"folder, {precision}"] = folder_run(captioner, paths, scratch)
        # Two rounds, because a batch size is compiled with XLA when it comes for the second time.
        seconds = interleave(runs, args.repeats, warmup=2)
    results = {"seconds": seconds, "images": len(paths)}
    for name, times in seconds.items():
        results[f"images/s, {name}"] = len(paths) / statistics.median(times)
    title = f"{keras.backend.backend()}, {len(paths)} images"
    print(table(title, seconds, f"bare encoder, {args.precision[0]}"))
    for precision in args.precision:
        speed = 1 / ratios(seconds, f"bare encoder, {precision}")[f"folder, {precision}"]
        results[f"folder/bare, {precision}"] = speed
        print(f"{precision}: {speed:.2f} times the images/s of the bare encoder")
    for precision in args.precision[1:]:
        speed = 1 / ratios(seconds, f"folder, {args.precision[0]}")[f"folder, {precision}"]
        results[f"{precision}/{args.precision[0]}"] = speed
        print(f"{precision}: {speed:.2f} times the images/s of {args.precision[0]}")
    if args.output:
        write_json(args.output, results)


def best_encoder(captioner, count):
    """Returns a function that encodes `count` images at the fastest batch size."""
    encode = bare_encoder(captioner)

    def batches(size):
        images = np.zeros((size, *captioner.backbone.image_shape), "float32")
        return lambda images_wanted: [encode(images) for _ in range(images_wanted // size)]

    trial = {size: batches(size) for size in BATCH_SIZES}
    seconds = interleave(
        {str(size): lambda run=run: run(max(BATCH_SIZES)) for size, run in trial.items()},
        repeats=1,
        warmup=1,
    )
    best = min(BATCH_SIZES, key=lambda size: min(seconds[str(size)]))
    return lambda: trial[best](count)


def folder_run(captioner, paths, scratch):
    """Returns a function that captions the images into a new file."""

    def run():
        file = CaptionFile(os.path.join(scratch, "captions.jsonl"), JsonLines(COLUMNS), True)
        with file.open() as sink:
            for found in caption_stream(
                captioner, paths, RowMaker("", ""), RowIndex(), batch_size=BATCH_SIZE
            ):
                sink.write(found.row)

    return run


if __name__ == "__main__":
    main()

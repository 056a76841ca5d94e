"""Counts images a second of bulk captioning on Ray, beside the plain command, in one run.

    python benchmarks/bulk_captioning.py FOLDER [--images 256] [--actors 1 2]

Each way captions the same images with a captioner that is loaded already: Ray's runs are measured
from the first to the last row that they write, in which the start of actors has no part. The
baseline is `generate_stream`, as in the command `caption`, on one thread as the actors are: set
`OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1`.
"""

import argparse
import json
import os
import pathlib
import tempfile
import time

from timing import write_json

from keras_showattend import ImageCaptioner
from keras_showattend.preprocessing import find_images
from keras_showattend.ray import caption_source


def main():
    """Measures and prints the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    paths = [os.fspath(path) for path in find_images(args.folder)][: args.images]
    if len(paths) < args.images:
        parser.error(f"FOLDER holds {len(paths)} images, fewer than --images {args.images}")
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch, "images")
        folder.mkdir()
        for number, path in enumerate(paths):
            (folder / f"{number:06d}{pathlib.Path(path).suffix}").symlink_to(os.path.abspath(path))
        for actors in args.actors:
            results[f"ray, {actors} actors"] = ray_rate(folder, args.preset, actors, scratch)
        # Last, so that this process holds no captioner while actors run.
        results["plain"] = plain_rate(folder, args.preset, scratch)
    for name, rate in results.items():
        print(f"{name:16} {rate:6.2f} images/s {rate / results['plain']:6.2f} x plain")
    if args.output:
        write_json(args.output, {"images/s": results, "images": args.images})


def plain_rate(folder, preset, scratch):
    """Images a second into a file, after a first batch that compiles."""
    captioner = ImageCaptioner.from_preset(preset)
    paths = [os.fspath(path) for path in find_images(folder)]
    captioner.generate(paths[:16])
    start = time.perf_counter()
    with open(os.path.join(scratch, "captions.jsonl"), "w") as sink:
        for path, beams in zip(paths, captioner.generate_stream(paths), strict=True):
            sink.write(json.dumps({"path": path, "caption": beams[0].text}) + "\n")
    return len(paths) / (time.perf_counter() - start)


def ray_rate(folder, preset, actors, scratch):
    """Images a second between the first part of the output and the last."""
    output = pathlib.Path(scratch, f"rows-{actors}")
    caption_source(folder, output, preset, actors=actors, rows_in_a_part=16, file_format="jsonl")
    parts = sorted((path.stat().st_mtime, path) for path in output.glob("part-*"))
    # The first part of each actor is written when it is warm.
    later = parts[actors:]
    rows = sum(len(path.read_text().splitlines()) for _, path in later)
    return rows / (later[-1][0] - parts[actors - 1][0])


if __name__ == "__main__":
    main()

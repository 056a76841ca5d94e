"""Captions one image and a folder with each engine, against TensorFlow in float32 in one run.

    python benchmarks/engines.py FOLDER [--preset NAME ...] [--engines NAME ...] [--cpu]

From image files to captions, 5 beams, as `generate` does it; what an engine converts or compiles is
not timed. `openvino` is shown 32 images of the folder beforehand. `--cpu` counts the seconds of the
processor and not those of the clock, for a machine on which others work; set OMP_NUM_THREADS=1 and
TF_NUM_INTRAOP_THREADS=1 with it, because threads that wait for work count as well.
"""

import argparse
import os
import pathlib
import time

from timing import interleave, ratios, table, write_json

from keras_showattend import ImageCaptioner
from keras_showattend.preprocessing import find_images

BASELINE = "keras"
ENGINES = {
    "keras": {"engine": "keras"},
    "keras bfloat16": {"engine": "keras", "dtype": "mixed_bfloat16"},
    "onnxruntime": {"engine": "onnxruntime"},
    "openvino": {"engine": "openvino"},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="folder of images, 64 or more")
    parser.add_argument("--preset", nargs="+", default=["vgg16_gru_flickr8k"])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="seconds of the processor")
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    paths = [os.fspath(path) for path in find_images(args.folder)][: args.images]
    clock = time.process_time if args.cpu else time.perf_counter
    results = {}
    for preset in args.preset:
        captioners = {name: captioner_with(preset, name, paths) for name in args.engines}
        name = pathlib.Path(preset).name
        for title, images in ((f"{name}, one image", paths[0]), (f"{name}, a folder", paths)):
            runs = {
                engine: lambda captioner=captioner, images=images: captioner.generate(images)
                for engine, captioner in captioners.items()
            }
            # Two rounds before: a batch size is compiled when it comes for the second time.
            seconds = interleave(runs, args.repeats, warmup=2, clock=clock)
            print(table(title, seconds, BASELINE), flush=True)
            results[title] = {"seconds": seconds, "ratios": ratios(seconds, BASELINE)}
    if args.output:
        write_json(args.output, results)


def captioner_with(preset, name, paths):
    captioner = ImageCaptioner.from_preset(preset)
    captioner.use_engine(**ENGINES[name], samples=paths[:32])
    return captioner


if __name__ == "__main__":
    main()

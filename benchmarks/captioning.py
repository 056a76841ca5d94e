"""Time from a file to its caption, against one bare forward pass of VGG16.

    python benchmarks/captioning.py [PHOTO.jpg] [--repeats 20]

Baseline: the captioner's own encoder network alone, on an image that is in memory already,
compiled by the same framework in the same precision. Runs take turns, so that a machine that
slows down slows both; the table gives medians and their ratios.
"""

import argparse
import json
import pathlib
import statistics
import time

import keras
import numpy as np

from keras_showattend import ImageCaptioner

PHOTO = pathlib.Path(__file__).parent.parent / "docs" / "images" / "astronaut.jpg"


def main():
    """Times the three and prints a table; `--output` also writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", nargs="?", default=PHOTO)
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()

    captioner = ImageCaptioner.from_preset(args.preset)
    inputs = keras.Input(captioner.backbone.image_shape)
    encoder = keras.Model(inputs, captioner.backbone.image_encoder(inputs))
    image = np.zeros((1, *captioner.backbone.image_shape), "float32")
    runs = {
        "bare VGG16 (baseline)": lambda: encoder.predict_on_batch(image),
        "file to caption, greedy": lambda: captioner.generate(args.photo, num_beams=1),
        "file to caption, beam 5": lambda: captioner.generate(args.photo, num_beams=5),
    }
    seconds = {name: [] for name in runs}
    for repeat in range(args.repeats + 2):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            # The first two rounds compile.
            if repeat > 1:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    baseline = medians["bare VGG16 (baseline)"]
    print(f"{keras.backend.backend()}, median of {args.repeats}")
    for name, median in medians.items():
        print(f"{name:26} {1000 * median:7.1f} ms  {median / baseline:5.2f} x")
    if args.output:
        args.output.write_text(json.dumps({"seconds": seconds, "medians": medians}, indent=2))


if __name__ == "__main__":
    main()

"""Time of each registered encoder, against VGG16's in the same run.

    python benchmarks/encoders.py [--batch-size 16] [--repeats 10] [--encoders NAME ...]

Baseline: VGG16 with 7 x 7 locations on the same images. Weights are random, which does not
change the time. Batches of one tell the latency of a single image, larger ones the throughput.
"""

import argparse
import pathlib

import keras
import numpy as np
from timing import interleave, ratios, table, write_json

from keras_showattend.encoders import create_encoder, encoder_entry, list_encoders
from keras_showattend.engines import KerasEncoder

BASELINE = "vgg16"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=list_encoders())
    parser.add_argument("--batch-size", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()

    names = [BASELINE, *(name for name in args.encoders if name != BASELINE)]
    encoders = {name: KerasEncoder(create_encoder(name, weights=None)) for name in names}
    results = {}
    for batch_size in args.batch_size:
        images = np.zeros((batch_size, 224, 224, 3), "float32")
        runs = {name: encode_with(encoder, images) for name, encoder in encoders.items()}
        seconds = interleave(runs, args.repeats, settle=1)
        print(table(f"{keras.backend.backend()}, batches of {batch_size}", seconds, BASELINE))
        results[batch_size] = {"seconds": seconds, "ratios": ratios(seconds, BASELINE)}
    for name in names:
        print(f"{name:24} {encoder_entry(name).parameters / 1e6:6.1f} M parameters")
    if args.output:
        write_json(args.output, results)


def encode_with(encoder, images):
    """A run of one encoder that ends when its annotations are in memory."""
    return lambda: np.asarray(keras.ops.convert_to_numpy(encoder(images)))


if __name__ == "__main__":
    main()

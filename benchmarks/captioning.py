"""Times a file to its caption, compared with one bare forward pass of the encoder.

    python benchmarks/captioning.py [PHOTO.jpg] [--precision float32] [--repeats 20]

The baseline is the captioner's own encoder network alone, on an image already in memory, compiled
by the same framework in the same precision. The precision is the encoder's: float32, that of
`keras-showattend caption --dtype bfloat16`, or that of `--engine openvino` for 8-bit integers.
"""

import argparse
import pathlib

import keras
import numpy as np
from timing import interleave, ratios, table, write_json

from keras_showattend import ImageCaptioner
from keras_showattend.engines.openvino import MIN_SAMPLES

PRECISIONS = ("float32", "bfloat16", "int8")
PHOTO = pathlib.Path(__file__).parent.parent / "docs" / "images" / "astronaut.jpg"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", nargs="?", default=str(PHOTO))
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()

    captioner = captioner_in(args.precision, args.preset, [args.photo])
    encode = bare_encoder(captioner)
    image = np.zeros((1, *captioner.backbone.image_shape), "float32")
    bare, greedy, beams = "bare encoder", "file to caption, greedy", "file to caption, 5 beams"
    seconds = interleave(
        {
            bare: lambda: encode(image),
            greedy: lambda: captioner.generate(args.photo, num_beams=1),
            beams: lambda: captioner.generate(args.photo, num_beams=5),
        },
        args.repeats,
        settle=1,
    )
    print(table(f"{keras.backend.backend()}, {args.precision}, one image", seconds, bare))
    beam_ratio = ratios(seconds, greedy)[beams]
    print(f"5 beams take {beam_ratio:.2f} times as long as greedy search")
    if args.output:
        results = {"seconds": seconds, "ratios": ratios(seconds, bare), "beams/greedy": beam_ratio}
        write_json(args.output, results)


def captioner_in(precision, preset, photos):
    """Returns a captioner whose encoder computes in `precision`, calibrated on the photos."""
    captioner = ImageCaptioner.from_preset(preset)
    if precision == "bfloat16":
        captioner.use_engine("keras", dtype="mixed_bfloat16")
    elif precision == "int8":
        # The calibration does not change the speed, so one image repeated will do.
        captioner.use_engine("openvino", list(photos) * MIN_SAMPLES)
    return captioner


def bare_encoder(captioner):
    """Returns the compiled encoder alone, a function of float32[B, H, W, 3]."""
    engine = captioner.generation.search.engine
    if engine is not None:
        return engine
    inputs = keras.Input(captioner.backbone.image_shape)
    return keras.Model(inputs, captioner.backbone.image_encoder(inputs)).predict_on_batch


if __name__ == "__main__":
    main()

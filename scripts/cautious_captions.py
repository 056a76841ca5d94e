"""Measures what `cautious` does to captions, with confidences from images that are not captioned.

    python scripts/cautious_captions.py --data flickr8k --split dev --cautious 0.5 0.6

The images are cut in two halves. Each is captioned with a calibration from the other one.
"""

import argparse
import sys
import warnings


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument("--data", required=True, help="captions file or its folder")
    parser.add_argument("--split", help="split of the data (default: all of it)")
    parser.add_argument("--cautious", type=float, nargs="+", default=[0.5, 0.6])
    parser.add_argument("--num-images", type=int, help="only the first so many")
    parser.add_argument("--feature-cache", default="auto")
    arguments = parser.parse_args()

    from keras_showattend import CaptionDataset, ImageCaptioner, read_captions_file
    from keras_showattend.evaluation import calibrate, evaluate_captions

    dataset = read_captions_file(arguments.data)
    if arguments.split:
        dataset = dataset.split(arguments.split)
    items = list(dataset)[: arguments.num_images]
    halves = [CaptionDataset(items[0::2]), CaptionDataset(items[1::2])]
    captioner = ImageCaptioner.from_preset(arguments.preset)
    cache = {"feature_cache": arguments.feature_cache}
    calibrations = [calibrate(captioner, half, **cache) for half in halves[::-1]]
    print(f"{'cautious':>8} {'wrong words':>12} {'words':>6} {'CIDEr':>6}")
    for least in (None, *arguments.cautious):
        wrong = words = cider = length = 0.0
        for half, calibration in zip(halves, calibrations, strict=True):
            captioner.calibration = calibration
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = evaluate_captions(
                    captioner, half, metrics=["cider"], num_samples=2, cautious=least, **cache
                )
            of_words = found["confidence"]["words"]
            wrong += of_words["num_words"] * (1 - of_words["base_rate"])
            words += of_words["num_words"]
            cider += len(half) / len(items) * found["scores"]["cider"]
            lengths = found["checks"]["diversity"]["mean_length"]
            length += len(half) / len(items) * lengths
        name = "none" if least is None else f"{least:.2f}"
        print(f"{name:>8} {wrong / words:>12.1%} {length:>6.1f} {100 * cider:>6.1f}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

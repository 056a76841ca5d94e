"""Trains the bundled preset `vgg16_gru_flickr8k` on Flickr8k, in the four stages of its recipe.

    python examples/train_flickr8k.py --data FLICKR8K_FOLDER --output presets/vgg16_gru_flickr8k

FLICKR8K_FOLDER holds `Flickr8k.token.txt`, `Flickr_8k.trainImages.txt`,
`Flickr_8k.devImages.txt` and the images in `images` or `Flicker8k_Dataset`. After an
interruption, the same command resumes with the unfinished epoch.
"""

import argparse
import pathlib

from keras_showattend import metrics, read_flickr8k
from keras_showattend.recipes import load_recipes, train_captioner
from keras_showattend.search import caption_dataset

RECIPE = "vgg16_gru_flickr8k"


def main():
    """Reads, trains, saves, and scores the dev split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument(
        "--encoder-weights", default="imagenet", help="`imagenet` or a file (default: %(default)s)"
    )
    parser.add_argument("--feature-cache", default="auto", help="folder, or `auto` (default)")
    args = parser.parse_args()

    dataset = read_flickr8k(args.data)
    train, dev = dataset.split("train"), dataset.split("dev")
    stages = load_recipes(RECIPE)
    captioner = train_captioner(
        train,
        dev,
        args.output,
        stages,
        encoder_weights=args.encoder_weights,
        feature_cache=args.feature_cache,
        # This is stored in the preset, so it names no folder of this machine.
        command="python examples/train_flickr8k.py --data FLICKR8K_FOLDER "
        f"--encoder-weights {pathlib.Path(args.encoder_weights).name} "
        f"--output presets/{args.output.name}",
    )
    captions = caption_dataset(
        captioner,
        dev,
        feature_cache=args.feature_cache,
        num_beams=stages[-1].num_beams,
        length_penalty=stages[-1].length_penalty,
    )
    for name, score in metrics.score_captions(captions, dev.references()).items():
        print(f"{name:12} {100 * score:5.1f}")


if __name__ == "__main__":
    main()

"""Trains the bundled preset `vgg16_gru_flickr8k` on Flickr8k.

    python examples/train_flickr8k.py --data FLICKR8K_FOLDER --output presets/vgg16_gru_flickr8k

FLICKR8K_FOLDER holds `Flickr8k.token.txt`, `Flickr_8k.trainImages.txt`,
`Flickr_8k.devImages.txt` and the pictures in `images` or `Flicker8k_Dataset`. Interrupted,
the same command goes on with the epoch that was not finished.
"""

import argparse
import dataclasses
import pathlib

from keras_showattend import ImageCaptioner, metrics, read_flickr8k
from keras_showattend.models import train_captioner
from keras_showattend.training import Recipe, caption_dataset

RECIPE = Recipe(
    encoder="vgg16",
    grid=7,
    decoder="gru",
    embedding_dim=512,
    hidden_dim=512,
    attention_dim=512,
    dropout=0.5,
    min_count=5,
    sequence_length=32,
    epochs=10,
    batch_size=64,
    learning_rate=1e-3,
    warmup_epochs=0.5,
    clip_norm=5.0,
    label_smoothing=0.1,
    doubly_stochastic_weight=0.0,
    random_flip=True,
    # Half the time of float32 on processors that know bfloat16, and the same captions.
    feature_dtype="mixed_bfloat16",
    num_beams=5,
    length_penalty=0.7,
    seed=0,
)

# From the best epoch on, in small steps, with the average of the weights scored and kept.
POLISH = dataclasses.replace(
    RECIPE, epochs=2, learning_rate=3e-4, warmup_epochs=0.1, ema_momentum=0.998, seed=1
)


def main():
    """Reads, trains, saves, and scores the dev split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--encoder-weights", default="imagenet", help="imagenet or a file")
    parser.add_argument("--feature-cache", default="auto", help="a folder")
    args = parser.parse_args()

    dataset = read_flickr8k(args.data)
    dev = dataset.split("dev")
    train = dataset.split("train")
    # Goes into the preset; names of folders on this machine do not belong there.
    command = (
        "python examples/train_flickr8k.py --data FLICKR8K_FOLDER "
        f"--encoder-weights {pathlib.Path(args.encoder_weights).name} "
        f"--output presets/{args.output.name}"
    )
    options = {"feature_cache": args.feature_cache, "command": command}
    first = args.output.with_name(f"{args.output.name}.first")
    if not (first / "training.json").exists():
        train_captioner(train, dev, first, RECIPE, encoder_weights=args.encoder_weights, **options)
    captioner = ImageCaptioner.from_preset(first)
    train_captioner(train, dev, args.output, POLISH, captioner=captioner, **options)

    folder = None if args.feature_cache == "auto" else args.feature_cache
    captions = caption_dataset(
        captioner,
        dev,
        feature_cache=captioner.feature_cache(folder, dtype=RECIPE.feature_dtype),
        num_beams=RECIPE.num_beams,
        length_penalty=RECIPE.length_penalty,
    )
    for name, score in metrics.score_captions(captions, dev.references()).items():
        print(f"{name:12} {100 * score:5.1f}")


if __name__ == "__main__":
    main()

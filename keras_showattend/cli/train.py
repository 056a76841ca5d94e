"""`keras-showattend train`: pictures with captions to a preset of one's own."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import re
import shlex
import sys

from keras_showattend.cli.console import (
    PROGRAM,
    check_preset_output,
    fraction,
    positive_int,
    say,
)
from keras_showattend.cli.recipe_options import add_recipe_options, recipes_from
from keras_showattend.cli.train_data import (
    DEV_FRACTION,
    FORMATS,
    find_captions,
    read_captions,
    train_and_dev,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("data", metavar="DATA", help="captions file, or its folder")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where the preset goes")
    parser.add_argument(
        "--overwrite", action="store_true", help="train anew though FOLDER holds a preset"
    )
    data = parser.add_argument_group("data")
    data.add_argument("--images", metavar="FOLDER", help="pictures (default: beside the captions)")
    data.add_argument("--format", choices=FORMATS, help="of DATA (default: found out)")
    data.add_argument("--image-column", metavar="NAME", default="image", help="of a table")
    data.add_argument("--caption-column", metavar="NAME", default="caption", help="of a table")
    data.add_argument("--split-column", metavar="NAME", help="of a table that names splits")
    data.add_argument(
        "--split", metavar="NAME", help="split to learn from (default: train, or everything)"
    )
    dev = data.add_mutually_exclusive_group()
    dev.add_argument(
        "--dev-split", metavar="NAME", help="split that chooses the best epoch (default: dev)"
    )
    dev.add_argument(
        "--dev-fraction",
        type=fraction,
        metavar="SHARE",
        help=f"share to draw for that at random (default: {DEV_FRACTION} if there are no splits)",
    )
    data.add_argument("--strict", action="store_true", help="refuse data with any problem")
    training = parser.add_argument_group("training")
    start = training.add_mutually_exclusive_group()
    start.add_argument(
        "--preset",
        metavar="NAME|FOLDER",
        help="captioner to go on from, with its vocabulary (default: start anew)",
    )
    start.add_argument(
        "--encoder-weights",
        default="imagenet",
        metavar="imagenet|FILE|none",
        help="weights of the image encoder (default: %(default)s, downloaded once)",
    )
    training.add_argument(
        "--teacher",
        action="append",
        metavar="NAME|FOLDER",
        help="captioner to learn from, with a --distillation-weight; several together if repeated",
    )
    training.add_argument(
        "--feature-cache",
        metavar="FOLDER",
        default="auto",
        help="where features of pictures are kept (default: ~/.cache/keras_showattend)",
    )
    training.add_argument(
        "--patience",
        type=positive_int,
        metavar="EPOCHS",
        help="stop after so many epochs without a better CIDEr (default: never)",
    )
    add_recipe_options(parser.add_argument_group("recipe"))


def run(args: argparse.Namespace) -> int:
    """Trains; see `docs/command_line.md`."""
    path, data_format = find_captions(args.data, args.format)
    encoder_weights = _encoder_weights(args.encoder_weights)
    output = pathlib.Path(args.output).expanduser()
    # An unfinished training is gone on with, whether or not it had to replace a preset.
    unfinished = output.with_name(output.name + ".training").exists()
    check_preset_output(output, args.overwrite or unfinished)
    stages = recipes_from(args)
    dataset = read_captions(path, data_format, args)
    say(f"read {os.path.basename(path)} as {data_format}: {dataset!r}")
    if dataset.problems:
        say(f"left out:\n{dataset.problems}")
    train, dev = train_and_dev(dataset, args, stages[0].seed)
    say(f"learning from {train!r}, choosing the best epoch by {dev!r}")
    # Keras tells its progress on stdout, which is for the scores.
    with contextlib.redirect_stdout(sys.stderr):
        scores = _train(args, train, dev, output, stages, encoder_weights)
    for name, value in scores.items():
        print(f"{name}\t{100 * value:.1f}")
    say(f"saved {output}. Next: {PROGRAM} caption --preset {shlex.quote(str(output))} photo.jpg")
    return 0


def interrupted(args: argparse.Namespace) -> str:
    """How to go on after Ctrl-C."""
    return "Run the same command again: it goes on with the epoch that was not finished."


def _train(args, train, dev, output, stages, encoder_weights) -> dict[str, float]:
    from keras_showattend import CaptionerEnsemble, ImageCaptioner, metrics
    from keras_showattend.recipes import train_captioner
    from keras_showattend.search import caption_dataset

    captioner = train_captioner(
        train,
        dev,
        output,
        stages,
        captioner=ImageCaptioner.from_preset(args.preset) if args.preset else None,
        teacher=CaptionerEnsemble(args.teacher) if args.teacher else None,
        encoder_weights=encoder_weights,
        feature_cache=args.feature_cache,
        patience=args.patience,
        command=command_record(args.argv),
        # One line an epoch in a log file, a bar on a terminal.
        verbose=1 if sys.stderr.isatty() else 2,
    )
    folder = None if args.feature_cache == "auto" else args.feature_cache
    captions = caption_dataset(
        captioner,
        dev,
        feature_cache=captioner.feature_cache(folder, dtype=stages[-1].feature_dtype),
        num_beams=stages[-1].num_beams,
        length_penalty=stages[-1].length_penalty,
    )
    scores = metrics.score_captions(captions, dev.references())
    # The same number as "cider", under its exact name.
    scores.pop("cider_d", None)
    return scores


def command_record(argv) -> str:
    """The command as it is kept in the preset: folders of this machine are left out.

    Args:
        argv: words after the program's name.
    """
    return shlex.join([PROGRAM, *map(_without_folders, argv)])


def _without_folders(word: str) -> str:
    option, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
    base = re.split(r"[/\\]", value.rstrip("/\\"))[-1] or value
    return option + equals + base


def _encoder_weights(value: str) -> str | None:
    if value == "none":
        return None
    if value != "imagenet" and not os.path.isfile(value):
        raise ValueError(
            "`--encoder-weights` is 'imagenet', 'none' or an existing weights file. "
            f"Received: {value!r}"
        )
    return value

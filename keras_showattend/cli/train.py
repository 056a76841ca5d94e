"""`keras-showattend train`: from images with captions to a preset of your own."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import shlex
import sys
from collections.abc import Sequence

from keras_showattend._scrub import shareable_command
from keras_showattend.cli.console import (
    PROGRAM,
    check_preset_output,
    fraction,
    positive_int,
    say,
)
from keras_showattend.cli.image_options import add_size_limit
from keras_showattend.cli.recipe_options import add_recipe_options, recipes_from
from keras_showattend.cli.train_data import (
    DEV_FRACTION,
    FORMATS,
    find_captions,
    read_captions,
    train_and_dev,
)
from keras_showattend.data import CaptionDataset, read_captions_file
from keras_showattend.recipes import Recipe
from keras_showattend.recipes.work_folder import work_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("data", metavar="DATA", help="captions file, or its folder")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where the preset goes")
    parser.add_argument("--overwrite", action="store_true", help="replace a preset in FOLDER")
    data = parser.add_argument_group("data")
    data.add_argument("--images", metavar="FOLDER", help="images (default: beside the captions)")
    add_size_limit(data)
    data.add_argument("--format", choices=FORMATS, help="format of DATA (default: recognised)")
    data.add_argument(
        "--encoding",
        metavar="NAME",
        help="encoding of DATA, cp1252 for Excel's in Western Europe (default: UTF-8)",
    )
    data.add_argument(
        "--image-column", metavar="NAME", default="image", help="column of file names in a table"
    )
    data.add_argument(
        "--caption-column", metavar="NAME", default="caption", help="column of captions in a table"
    )
    data.add_argument("--split-column", metavar="NAME", help="of split names in a table")
    data.add_argument(
        "--split", metavar="NAME", help="split to learn from (default: train, or everything)"
    )
    data.add_argument(
        "--extra",
        action="append",
        metavar="DATA",
        help="more captioned images to learn from, such as another dataset or what `caption "
        "--output FILE` has written of images without captions; repeat it for several",
    )
    dev = data.add_mutually_exclusive_group()
    dev.add_argument(
        "--dev-split", metavar="NAME", help="split that chooses the best epoch (default: dev)"
    )
    dev.add_argument(
        "--dev-fraction",
        type=fraction,
        metavar="SHARE",
        help="share of the images to draw for that at random (default: "
        f"{DEV_FRACTION} if there are no splits)",
    )
    data.add_argument(
        "--strict",
        action="store_true",
        help="refuse data with any problem, such as an image that cannot be read",
    )
    training = parser.add_argument_group("training")
    start = training.add_mutually_exclusive_group()
    start.add_argument(
        "--preset",
        metavar="NAME|FOLDER",
        help="captioner to start from, with its vocabulary (default: start from scratch)",
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
        help="captioner to learn from, with --distillation-weight; repeat it for an ensemble",
    )
    training.add_argument(
        "--feature-cache",
        metavar="FOLDER",
        default="auto",
        help="where features of images are kept (default: ~/.cache/keras_showattend)",
    )
    training.add_argument(
        "--patience",
        type=positive_int,
        metavar="EPOCHS",
        help="epochs without a better CIDEr after which to stop (default: never stop)",
    )
    add_recipe_options(parser.add_argument_group("recipe"))


def run(args: argparse.Namespace) -> int:
    """Trains; see `docs/command_line.md`."""
    path = find_captions(args.data, args.format)
    encoder_weights = _encoder_weights(args.encoder_weights)
    output = pathlib.Path(args.output).expanduser()
    # An unfinished run is resumed, whether or not it had to replace a preset.
    check_preset_output(output, args.overwrite or work_folder(output).exists())
    stages = recipes_from(args)
    dataset = read_captions(path, args)
    say(f"read {os.path.basename(os.path.normpath(path))}: {dataset!r}")
    if dataset.problems:
        say(f"left out:\n{dataset.problems}")
    train, dev = train_and_dev(dataset, args, stages[0].seed)
    for extra in args.extra or ():
        train += read_captions_file(extra, strict=args.strict)
    say(f"learning from {train!r}, choosing the best epoch by {dev!r}")
    # Keras prints its progress on stdout, which is for the scores.
    with contextlib.redirect_stdout(sys.stderr):
        scores = _train(args, train, dev, output, stages, encoder_weights)
    for name, value in scores.items():
        print(f"{name}\t{100 * value:.1f}")
    say(f"saved {output}. Next: {PROGRAM} caption --preset {shlex.quote(str(output))} photo.jpg")
    return 0


def interrupted(args: argparse.Namespace) -> str:
    """Tells how to resume after Ctrl-C."""
    return "Run the same command again: it resumes with the epoch that was not finished."


def _train(
    args: argparse.Namespace,
    train: CaptionDataset,
    dev: CaptionDataset,
    output: pathlib.Path,
    stages: list[Recipe],
    encoder_weights: str | None,
) -> dict[str, float]:
    from keras_showattend import CaptionerEnsemble, ImageCaptioner, metrics
    from keras_showattend.recipes import train_captioner
    from keras_showattend.recipes.stage import stage_cache
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
        strict=args.strict,
        command=command_record(args.argv),
        # One line an epoch in a log file, a bar on a terminal.
        verbose=1 if sys.stderr.isatty() else 2,
    )
    captions = caption_dataset(
        captioner,
        dev,
        feature_cache=stage_cache(captioner, stages[-1], args.feature_cache),
        num_beams=stages[-1].num_beams,
        length_penalty=stages[-1].length_penalty,
    )
    scores = metrics.score_captions(captions, dev.references())
    # The same number as "cider", under its exact name.
    scores.pop("cider_d", None)
    return scores


def command_record(argv: Sequence[str]) -> str:
    """Returns the command as the preset keeps it, without the folders of this machine.

    Args:
        argv: the arguments after the program's name.
    """
    return shareable_command([PROGRAM, *argv])


def _encoder_weights(value: str) -> str | None:
    if value == "none":
        return None
    if value != "imagenet" and not os.path.isfile(value):
        raise ValueError(
            "`--encoder-weights` is 'imagenet', 'none' or an existing weights file. "
            f"Received: {value!r}"
        )
    return value

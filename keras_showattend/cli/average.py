"""`keras-showattend average`: averages the weights of captioners fine-tuned from one."""

from __future__ import annotations

import argparse
import pathlib
import shlex

from keras_showattend.cli.captioners import resolve_presets
from keras_showattend.cli.console import PROGRAM, check_preset_output, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument(
        "presets", nargs="+", metavar="PRESET", help="bundled name, folder or hf://user/name"
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        type=float,
        metavar="NUMBER",
        help="weight of each preset, one number each (default: equal)",
    )
    parser.add_argument(
        "--output", required=True, metavar="FOLDER", help="where the preset is saved"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a preset in FOLDER")


def run(args: argparse.Namespace) -> int:
    """Averages; see `docs/command_line.md`."""
    if len(args.presets) < 2:
        raise ValueError(
            f"An average takes two presets or more: name another. Received: {args.presets}"
        )
    if args.weights and len(args.weights) != len(args.presets):
        raise ValueError(
            "`--weights` takes one number for each preset. "
            f"Received: {len(args.weights)} for {len(args.presets)} presets"
        )
    output = pathlib.Path(args.output).expanduser()
    check_preset_output(output, args.overwrite)
    folders = resolve_presets(args.presets)
    from keras_showattend import average_captioners

    average_captioners(folders, args.weights).save_to_preset(output, weights_dtype="float16")
    say(
        f"saved {output}. Next: {PROGRAM} evaluate --preset "
        f"{shlex.quote(str(output))} --data DATA --split dev"
    )
    return 0

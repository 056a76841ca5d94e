"""`keras-showattend export`: a whole captioner as one file for other runtimes."""

from __future__ import annotations

import argparse
import os

from keras_showattend.cli.captioners import resolve_presets
from keras_showattend.cli.console import say
from keras_showattend.cli.search_options import add_search_options, search_options
from keras_showattend.export.check import FORMATS, QUANTIZATIONS, check_export, format_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("preset", metavar="PRESET", help="bundled name, folder or hf://user/name")
    parser.add_argument(
        "path", metavar="FILE", help="what to write, such as captioner.onnx; its folder must exist"
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="format of FILE (default: what its name ends in says)"
    )
    parser.add_argument(
        "--quantization",
        choices=[name for name in QUANTIZATIONS if name],
        help="store weights in 16 or 8 bits, in a half or a quarter of the space",
    )
    add_search_options(parser.add_argument_group("search, fixed in the file"))


def run(args: argparse.Namespace) -> int:
    """Exports; see `docs/export.md`."""
    format = args.format or format_of(args.path)
    check_export(args.path, format, args.quantization)
    folders = resolve_presets([args.preset])
    say("converting, which takes a minute or two ...")
    from keras_showattend import ImageCaptioner

    captioner = ImageCaptioner.from_preset(folders[0])
    captioner.export(args.path, format, quantization=args.quantization, **search_options(args))
    say(f"wrote {args.path} ({_megabytes(args.path):.1f} MB)")
    return 0


def _megabytes(path: str) -> float:
    if not os.path.isdir(path):
        return os.path.getsize(path) / 1e6
    files = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(map(os.path.getsize, files)) / 1e6

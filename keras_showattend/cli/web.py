"""`keras-showattend web`: a static page that captions images in the visitor's browser."""

from __future__ import annotations

import argparse
import pathlib
import shlex
import tempfile

from keras_showattend._files import check_new_folder
from keras_showattend.cli.captioners import add_preset_option, display_name
from keras_showattend.cli.console import PROGRAM, say
from keras_showattend.cli.search_options import add_search_options, search_options
from keras_showattend.export import check_export
from keras_showattend.presets import resolve_preset

QUANTIZATIONS = ("int8", "float16", "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("--output", required=True, metavar="FOLDER", help="new or empty")
    add_preset_option(parser)
    parser.add_argument(
        "--quantization",
        choices=QUANTIZATIONS,
        default="int8",
        help="how the weights are stored: a quarter, half or all of float32 (default: %(default)s)",
    )
    add_search_options(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the folder; see `docs/web.md`."""
    folder = pathlib.Path(args.output).expanduser()
    check_new_folder(folder)
    quantization = None if args.quantization == "none" else args.quantization
    with tempfile.TemporaryDirectory() as scratch:
        model = pathlib.Path(scratch, "captioner.onnx")
        check_export(model, "onnx", quantization)
        preset = resolve_preset(args.preset)
        say("converting, which takes a minute or two ...")
        from keras_showattend.models import ImageCaptioner
        from keras_showattend.web import write_site

        captioner = ImageCaptioner.from_preset(preset)
        captioner.export(model, quantization=quantization, **search_options(args))
        size = write_site(model, folder, display_name([args.preset]))
    say(f"wrote {folder}, {size / 1e6:.1f} MB for a visitor, once")
    quoted = shlex.quote(str(folder))
    say(f"look at it: python -m http.server --directory {quoted}")
    say(f"publish it: copy it to a static host, or {PROGRAM} push {quoted} USER/NAME")
    return 0

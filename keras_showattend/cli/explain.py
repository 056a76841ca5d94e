"""`keras-showattend explain`: a caption with where each word looked and how sure it was."""

from __future__ import annotations

import argparse
import os

from keras_showattend._files import write_text
from keras_showattend._text import printable
from keras_showattend.cli.captioners import add_preset_option
from keras_showattend.cli.console import say, write_json
from keras_showattend.cli.image_options import add_size_limit
from keras_showattend.cli.search_options import add_search_options, search_options
from keras_showattend.presets import resolve_preset

ENDINGS = (".html", ".gif", ".png", ".json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("image", metavar="IMAGE", help="one image")
    add_size_limit(parser)
    add_preset_option(parser)
    parser.add_argument(
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help="write the explanation as .html, .gif, .png (needs matplotlib) or .json; repeatable",
    )
    parser.add_argument("--style", choices=("smooth", "grid"), default="smooth")
    parser.add_argument("--caption", help="explain this caption in place of a generated one")
    add_search_options(parser)


def run(args: argparse.Namespace) -> int:
    """Explains; see `docs/explain.md`."""
    for path in args.output:
        if os.path.splitext(path)[1].lower() not in ENDINGS:
            raise ValueError(f"`--output` ends in one of {ENDINGS}. Received: {path!r}")
    preset = resolve_preset(args.preset)
    from keras_showattend.models import ImageCaptioner

    explanation = ImageCaptioner.from_preset(preset).explain(
        args.image, caption=args.caption, **search_options(args)
    )
    for path in args.output:
        _write(explanation, path, args.style)
        say(f"wrote {path}")
    sure = explanation.confidence
    print(printable(explanation.caption) + ("" if sure is None else f"  (confidence {sure:.0%})"))
    for word, probability, entropy in zip(
        explanation.words, explanation.probabilities, explanation.entropies, strict=True
    ):
        print(f"{printable(word):<16} {probability:6.1%}  entropy {entropy:.2f} nats")
    for beam in explanation.alternatives[1:]:
        print(f"{beam.score:8.3f}  {printable(beam.text)}")
    return 0


def _write(explanation, path: str, style: str) -> None:
    ending = os.path.splitext(path)[1].lower()
    if ending == ".gif":
        explanation.save_gif(path, style=style)
    elif ending == ".png":
        explanation.plot(style).savefig(path)
    elif ending == ".json":
        write_json(explanation.to_dict(), path)
    else:
        write_text(path, explanation.to_html())

"""`keras-showattend explain`: a caption with where each word looked and how sure it was."""

from __future__ import annotations

import argparse
import os
from typing import Any

from keras_showattend._files import check_output_file, replacing, write_text
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
    parser.add_argument(
        "--style",
        choices=("smooth", "grid", "spotlight"),
        default="smooth",
        help="colours, colours of the true cells, or light and dark (default: %(default)s)",
    )
    parser.add_argument(
        "--content-words", action="store_true", help='leave out words such as "a" and "on"'
    )
    parser.add_argument(
        "--searches",
        action="store_true",
        help="also print the captions of greedy search, beam search and sampling",
    )
    parser.add_argument("--caption", help="explain this caption in place of a generated one")
    add_search_options(parser)


def run(args: argparse.Namespace) -> int:
    """Explains; see `docs/explain.md`."""
    for path in args.output:
        if os.path.splitext(path)[1].lower() not in ENDINGS:
            raise ValueError(f"`--output` ends in one of {ENDINGS}. Received: {path!r}")
        check_output_file(path)
    preset = resolve_preset(args.preset)
    from keras_showattend.explain import compare_searches
    from keras_showattend.models import ImageCaptioner

    captioner = ImageCaptioner.from_preset(preset)
    options = search_options(args)
    explanation = captioner.explain(args.image, caption=args.caption, **options)
    for path in args.output:
        _write(explanation, path, args.style, args.content_words)
        say(f"wrote {path}")
    sure = explanation.confidence
    confidence = "" if sure is None else f"  (confidence {sure:.0%})"
    print(printable(explanation.caption) + confidence)
    if explanation.unfamiliar:
        print("The image is unlike those on which the confidence was measured: do not rely on it.")
    for word, probability, entropy, right in zip(
        explanation.words,
        explanation.probabilities,
        explanation.entropies,
        explanation.word_confidences or [None] * len(explanation.words),
        strict=True,
    ):
        judged = "" if right is None else f"  right with {right:.0%}"
        print(f"{printable(word):<16} {probability:6.1%}  entropy {entropy:.2f} nats{judged}")
    for beam in explanation.alternatives[1:]:
        print(f"{beam.score:8.3f}  {printable(beam.text)}")
    if args.searches:
        # These take words as they come.
        options.pop("cautious", None)
        for name, captions in compare_searches(captioner, args.image, **options).items():
            for found in captions[:3]:
                print(f"{name:<8} {found.log_probability:8.2f} nats  {printable(found.text)}")
    return 0


def _write(explanation: Any, path: str, style: str, content_words: bool) -> None:
    ending = os.path.splitext(path)[1].lower()
    if ending == ".gif":
        explanation.save_gif(path, style=style, content_words=content_words)
    elif ending == ".png":
        with replacing(path) as partial:
            explanation.plot(style, content_words=content_words).savefig(partial)
    elif ending == ".json":
        write_json(explanation.to_dict(), path)
    else:
        write_text(path, explanation.to_html(content_words))

"""`keras-showattend demo`: a page that captions images, served by this machine."""

from __future__ import annotations

import argparse
import threading

from keras_showattend.cli.captioners import add_preset_option, display_name, preset_names
from keras_showattend.cli.console import PROGRAM, positive_int, say
from keras_showattend.demo import check_gradio, launch_demo, write_space
from keras_showattend.presets import resolve_preset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    add_preset_option(parser, several="repeat it to let visitors choose")
    parser.add_argument(
        "--host",
        help="address to listen on; 0.0.0.0 lets other machines in (default: 127.0.0.1)",
    )
    parser.add_argument("--port", type=positive_int, help="(default: the first free one from 7860)")
    parser.add_argument("--browser", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--space",
        metavar="FOLDER",
        help="write a Hugging Face Space instead, which `push` sends",
    )


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C, or writes a Space; see `docs/demo.md`."""
    check_gradio()
    names = preset_names(args)
    if args.space and len(names) > 1:
        raise ValueError(f"A Space has one preset: name one. Received: {len(names)} presets")
    presets = {display_name([name]): resolve_preset(name) for name in names}
    if args.space:
        [(name, preset)] = presets.items()
        write_space(args.space, preset, name)
        say(f"wrote {args.space}. Next: {PROGRAM} push {args.space} USER/NAME")
        return 0
    demo = launch_demo(presets, host=args.host, port=args.port, open_browser=args.browser)
    try:
        say(f"open {demo.local_url} in a browser; Ctrl-C ends")
        threading.Event().wait()
    finally:
        demo.close(verbose=False)
    return 0

"""`keras-showattend push`: publishes a captioner, or a Space, on the Hugging Face Hub."""

from __future__ import annotations

import argparse

from keras_showattend import hub
from keras_showattend._text import printable
from keras_showattend.hub.space import space_sdk


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument(
        "preset",
        metavar="PRESET",
        help="folder, name or handle of the preset; or the folder of a Space, as `demo --space` "
        "writes it",
    )
    parser.add_argument(
        "repo_id", metavar="USER/NAME", help="repository, created if it does not exist"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be sent, and send nothing"
    )
    parser.add_argument(
        "--private", action="store_true", default=None, help="make a new repository private"
    )
    parser.add_argument("--revision", metavar="BRANCH", help="branch to commit to (default: main)")
    parser.add_argument("--message", help="commit message")
    parser.add_argument(
        "--evaluation", metavar="FILE.json", help="what `evaluate --output` wrote, for the card"
    )
    parser.add_argument(
        "--license",
        help="licence of the weights, such as apache-2.0; asked for unless the preset states one",
    )


def run(args: argparse.Namespace) -> int:
    """Publishes, and prints the address; the token comes from `hf auth login` or HF_TOKEN."""
    if space_sdk(args.preset):
        print(printable(_push_space(args)))
        return 0
    answer = hub.push_to_hub(
        args.preset,
        args.repo_id,
        private=args.private,
        revision=args.revision,
        message=args.message,
        dry_run=args.dry_run,
        evaluation=args.evaluation,
        license=args.license,
    )
    print(printable(answer, keep="\n"))
    return 0


def _push_space(args: argparse.Namespace) -> str:
    for option in ("dry_run", "revision", "evaluation", "license"):
        if getattr(args, option):
            raise ValueError(
                f"`--{option.replace('_', '-')}` is for presets: leave it out. Received: the Space "
                f"'{args.preset}'"
            )
    return hub.push_space(args.preset, args.repo_id, private=args.private, message=args.message)

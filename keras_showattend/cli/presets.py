"""`keras-showattend presets`: the captioners that came with the package."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

from keras_showattend.cli.console import say
from keras_showattend.presets import bundled_presets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")


def run(args: argparse.Namespace) -> int:
    """Lists the presets on stdout."""
    presets = [
        {
            "name": name,
            "description": metadata.get("description", ""),
            "license": metadata.get("license", ""),
            "size_bytes": _size(pathlib.Path(metadata["path"])),
            "path": metadata["path"],
        }
        for name, metadata in bundled_presets().items()
    ]
    if args.json:
        json.dump(presets, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    elif presets:
        _print_table(presets)
    else:
        say("no presets came with this copy of the package")
    return 0


def _size(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _print_table(presets: list[dict]) -> None:
    table = [("NAME", "SIZE", "LICENCE", "DESCRIPTION")]
    for preset in presets:
        size = f"{preset['size_bytes'] / 1e6:.1f} MB"
        table.append((preset["name"], size, preset["license"], preset["description"]))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())

"""`keras-showattend presets`: the captioners that can be loaded by name."""

from __future__ import annotations

import argparse
import dataclasses

from keras_showattend._text import printable
from keras_showattend.cli.console import write_json
from keras_showattend.metrics.labels import printed_score
from keras_showattend.presets import Preset, list_presets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")


def run(args: argparse.Namespace) -> int:
    """Lists the presets on stdout."""
    if args.json:
        write_json([dataclasses.asdict(preset) for preset in list_presets()])
    else:
        _print_table(list_presets())
    return 0


def _print_table(presets: list[Preset]) -> None:
    table = [("NAME", "PARAMETERS", "SIZE", "CIDER", "LICENCE", "LOCATION", "DESCRIPTION")]
    for preset in presets:
        size = f"{preset.megabytes:.1f} MB" if preset.megabytes else ""
        cider = printed_score(preset.scores["cider"]) if "cider" in preset.scores else ""
        location = f"grown from {preset.grown_from}" if preset.grown_from else preset.location
        count = f"{preset.parameters / 1e6:.1f} M" if preset.parameters else ""
        table.append(
            (preset.name, count, size, cider, preset.license, location, preset.description)
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print(printable("  ".join(cells).rstrip()))

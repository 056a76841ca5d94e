"""Where the picture files of a data set are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence


def find_files(paths: Mapping[str, str], folders: Sequence[str]) -> dict[str, str]:
    """Return the paths that exist, name -> full path, under the folder that holds most of them."""
    # One listing a folder: a stat for each of 40,000 files takes minutes on a network disk.
    listings: dict[str, frozenset[str]] = {}
    best: dict[str, str] = {}
    for folder in folders:
        present = {}
        for name, path in paths.items():
            full = os.path.join(folder, path)
            parent, base = os.path.split(full)
            if parent not in listings:
                try:
                    listings[parent] = frozenset(os.listdir(parent or os.curdir))
                except (OSError, ValueError):
                    listings[parent] = frozenset()
            if base in listings[parent]:
                present[name] = full
        if len(present) > len(best):
            best = present
    return best

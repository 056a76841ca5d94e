"""Captioners that a command is given by name: one, or several as an ensemble."""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_showattend._text import is_url
from keras_showattend.presets import resolve_preset
from keras_showattend.presets.files import (
    CALIBRATION_FILE,
    DIGESTS_FILE,
    LOADED_FILES,
    METADATA_FILE,
    sha256,
)

DEFAULT_PRESET = "vgg16_gru_flickr8k"


FOR_ENSEMBLE = "repeat it for an ensemble, which chooses each word together"


def add_preset_option(parser: argparse._ActionsContainer, several: str = "") -> None:
    """Adds `--preset`.

    Args:
        parser: an `argparse` parser or group.
        several: what repeating it means, if it may be; `preset_names` then gives its values.
    """
    text = f"bundled name, folder or handle such as hf://user/name (default: {DEFAULT_PRESET})"
    if several:
        text += f"; {several}"
        parser.add_argument("--preset", action="append", metavar="NAME|FOLDER", help=text)
    else:
        parser.add_argument("--preset", default=DEFAULT_PRESET, metavar="NAME|FOLDER", help=text)


def preset_names(args: argparse.Namespace) -> list[str]:
    """Returns the values of a `--preset` that may be repeated, or its default."""
    return args.preset or [DEFAULT_PRESET]


def resolve_presets(names: Sequence[str]) -> list[str]:
    """Resolves and checks presets without loading them; see `resolve_preset`.

    Returns:
        List of `PresetFolder`, which `from_preset` does not check again.
    """
    return [resolve_preset(name) for name in names]


def load_captioner(folders: Sequence[str]) -> Any:
    """Loads an `ImageCaptioner`, or the `CaptionerEnsemble` of several. Imports Keras."""
    from keras_showattend import CaptionerEnsemble, ImageCaptioner

    if len(folders) == 1:
        return ImageCaptioner.from_preset(folders[0])
    return CaptionerEnsemble(folders)


def display_name(names: Sequence[str]) -> str:
    """Returns what a captioner is called in its results.

    Args:
        names: its presets, as the user gave them. Of a folder only the last part is used,
            since the whole path says something of the machine.
    """
    shown = (name if is_url(name) else os.path.basename(os.path.abspath(name)) for name in names)
    return " + ".join(shown)


def digest_of(folders: Sequence[str]) -> str:
    """Twelve hexadecimal digits that differ for captioners that caption differently.

    Args:
        folders: preset folders, in order.
    """
    parts = [
        sha256(path)
        for folder in folders
        for name in (*LOADED_FILES, CALIBRATION_FILE)
        if name not in (METADATA_FILE, DIGESTS_FILE)
        and (path := pathlib.Path(folder, name)).is_file()
    ]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]


def require_single(args: argparse.Namespace, option: str) -> None:
    """Refuses several captioners where an option is for one."""
    count = len(preset_names(args))
    if count > 1:
        raise ValueError(
            f"`{option}` is for one captioner: leave it out, or name one `--preset`. "
            f"Received: {count} presets"
        )

"""Which files make a preset, and their digests."""

import hashlib
import json
import pathlib
from collections.abc import Sequence

from keras_showattend._files import write_text
from keras_showattend._typing import PathLike

CONFIG_FILES = (
    "config.json",
    "task.json",
    "preprocessor.json",
    "tokenizer.json",
    "image_converter.json",
)
METADATA_FILE = "metadata.json"
DIGESTS_FILE = "digests.json"
VOCABULARY_FILE = "assets/tokenizer/vocabulary.txt"
MODEL_WEIGHTS_FILE = "model.weights.h5"
WEIGHT_FILES = (MODEL_WEIGHTS_FILE, "task.weights.h5")
# All that is read when a preset is loaded, the small files first.
SMALL_FILES = (*CONFIG_FILES, METADATA_FILE, DIGESTS_FILE, VOCABULARY_FILE)
LOADED_FILES = (*SMALL_FILES, *WEIGHT_FILES)
CARD_FILE = "README.md"
EVALUATION_FILE = "evaluation.json"
TRAINING_FILE = "training.json"
CALIBRATION_FILE = "calibration.json"
# What was measured of, or recorded about, one set of weights. It says nothing about others.
RECORD_FILES = (EVALUATION_FILE, TRAINING_FILE, CALIBRATION_FILE)
LICENSE_PATTERNS = ("LICENSE*", "NOTICE*")
# Without these a folder is no preset.
REQUIRED_FILES = (
    "config.json",
    "task.json",
    "preprocessor.json",
    MODEL_WEIGHTS_FILE,
    VOCABULARY_FILE,
)
# Raised when a folder is written that older versions of this package could not read.
PRESET_FORMAT = 1
OTHER_JSON_FILES = (METADATA_FILE, DIGESTS_FILE, *RECORD_FILES)
# What may travel along: text and images about the preset.
COMPANION_PATTERNS = (CARD_FILE, *LICENSE_PATTERNS, *RECORD_FILES, "*.png")
_CHUNK = 1 << 20


def preset_files(folder: PathLike) -> list[str]:
    """Returns the names of the files in a folder that belong to a preset, weights last."""
    root = pathlib.Path(folder)
    names = [name for name in SMALL_FILES if (root / name).is_file()]
    names += matching_files(root, COMPANION_PATTERNS)
    return names + [name for name in WEIGHT_FILES if (root / name).is_file()]


def matching_files(folder: PathLike, patterns: Sequence[str]) -> list[str]:
    """Returns the names of the files in a folder that match one of some glob patterns."""
    root = pathlib.Path(folder)
    return [
        name
        for pattern in patterns
        for name in sorted(path.name for path in root.glob(pattern) if path.is_file())
    ]


def sha256(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_digests(folder: PathLike) -> None:
    """Writes `digests.json`: the SHA-256 of every file that loading reads."""
    root = pathlib.Path(folder)
    names = [n for n in LOADED_FILES if n != DIGESTS_FILE and (root / n).is_file()]
    digests = {"algorithm": "sha256", "files": {name: sha256(root / name) for name in names}}
    write_text(root / DIGESTS_FILE, json.dumps(digests, indent=4) + "\n")


def damaged_files(folder: PathLike, names: Sequence[str] = LOADED_FILES) -> list[str]:
    """Finds files that are missing or not what `digests.json` says.

    A folder without `digests.json` (a preset that was uploaded by other means) counts as
    undamaged.

    Args:
        folder: path of a preset folder.
        names: the files to look at. Defaults to all that loading reads.

    Returns:
        Names in order; `digests.json` itself is one of them if it cannot be read.
    """
    root = pathlib.Path(folder)
    if not (root / DIGESTS_FILE).is_file():
        return []
    try:
        expected = json.loads((root / DIGESTS_FILE).read_text(encoding="utf-8"))["files"]
        expected = {name: expected.get(name) for name in names}
    except (ValueError, KeyError, TypeError, AttributeError):
        return [DIGESTS_FILE]
    damaged = []
    for name in names:
        if name == DIGESTS_FILE:
            continue
        found = sha256(root / name) if (root / name).is_file() else None
        if found != expected[name]:
            damaged.append(name)
    return damaged

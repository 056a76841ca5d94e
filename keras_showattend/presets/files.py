"""Which files make a preset, and their digests."""

import hashlib
import json
import pathlib

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
WEIGHT_FILES = ("model.weights.h5", "task.weights.h5")
# All that is read when a preset is loaded, the small files first.
SMALL_FILES = (*CONFIG_FILES, METADATA_FILE, DIGESTS_FILE, VOCABULARY_FILE)
LOADED_FILES = (*SMALL_FILES, *WEIGHT_FILES)
CARD_FILE = "README.md"
EVALUATION_FILE = "evaluation.json"
TRAINING_FILE = "training.json"
CALIBRATION_FILE = "calibration.json"
# Without these a folder is no preset.
REQUIRED_FILES = (
    "config.json",
    "task.json",
    "preprocessor.json",
    "model.weights.h5",
    VOCABULARY_FILE,
)
# Raised when a folder is written that older versions of this package could not read.
PRESET_FORMAT = 1
OTHER_JSON_FILES = (
    METADATA_FILE,
    DIGESTS_FILE,
    EVALUATION_FILE,
    TRAINING_FILE,
    CALIBRATION_FILE,
)
# What may travel along: words and pictures about the preset.
COMPANION_PATTERNS = (
    CARD_FILE,
    "LICENSE*",
    "NOTICE*",
    EVALUATION_FILE,
    TRAINING_FILE,
    CALIBRATION_FILE,
    "*.png",
)
_CHUNK = 1 << 20


def preset_files(folder: str | pathlib.Path) -> list[str]:
    """Names of the files in a folder that belong to a preset, weights last."""
    root = pathlib.Path(folder)
    names = [name for name in SMALL_FILES if (root / name).is_file()]
    for pattern in COMPANION_PATTERNS:
        names += sorted(path.name for path in root.glob(pattern) if path.is_file())
    return names + [name for name in WEIGHT_FILES if (root / name).is_file()]


def sha256(path: pathlib.Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_digests(folder: str | pathlib.Path) -> None:
    """Writes `digests.json`: the SHA-256 of every file that loading reads."""
    root = pathlib.Path(folder)
    names = [n for n in LOADED_FILES if n != DIGESTS_FILE and (root / n).is_file()]
    digests = {"algorithm": "sha256", "files": {name: sha256(root / name) for name in names}}
    (root / DIGESTS_FILE).write_text(json.dumps(digests, indent=4) + "\n", encoding="utf-8")


def damaged_files(folder: str | pathlib.Path, names: tuple[str, ...] = LOADED_FILES) -> list[str]:
    """Which of some files are missing or not what `digests.json` says.

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

"""Safety checks of presets: loading one from an unknown source runs none of its code.

Keras builds objects from the names in a preset's JSON files, and reads arrays from its
weights. Both are checked here before Keras sees them. Keras is not imported.
"""

import json
import os
import pathlib
import re
from typing import Any

from keras_showattend._install import upgrade_advice
from keras_showattend._typing import PathLike
from keras_showattend.presets import files
from keras_showattend.presets.files import PRESET_FORMAT, REQUIRED_FILES
from keras_showattend.presets.trust_config import check_config, check_sizes

LARGEST_JSON = 10 * 2**20
LARGEST_VOCABULARY = 50 * 2**20
DEEPEST_JSON = 64
# An empty list takes two characters in the file and 56 bytes of memory.
MOST_CONTAINERS = 200_000
_MOST_ASSETS = 1000
# Formats that run code, or may, when the usual tools open them.
_PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".bin", ".ckpt", ".npz")
_ARRAY_MAGIC = b"\x93NUMPY"
# A string, or the rest of the text if it is not closed. The possessive match never backtracks.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")
_AS_SQUARE = str.maketrans("{}", "[]")


def check_preset(folder: PathLike) -> None:
    """Refuses a preset folder that is incomplete, of a newer format, or unsafe to load.

    Args:
        folder: path of a preset folder.

    Raises:
        ValueError: if a file is missing or too large; if it is of a newer format; if a
            file is a link out of the folder or a pickle; if a JSON file is not JSON, names
            a class that does not belong to a captioner, a path, or a size that is too large or
            is not in the weights file; if a weights file is not HDF5 or refers to other files.
    """
    root = pathlib.Path(folder)
    check_small_files(root)
    missing = [name for name in REQUIRED_FILES if not (root / name).is_file()]
    if missing:
        raise ValueError(
            "A preset folder must hold what `ImageCaptioner.save_to_preset` writes. Save it "
            f"again, or download it whole. Received: '{root}' without {missing}"
        )
    # Imported here, so that `--help` and the check of arguments do not import NumPy.
    from keras_showattend.presets.trust_weights import check_weights

    shapes = [
        shape
        for name in files.WEIGHT_FILES
        if (root / name).is_file()
        for shape in check_weights(root / name)
    ]
    for name in files.CONFIG_FILES:
        if (root / name).is_file():
            check_sizes(read_json(root / name), shapes, root / name)


def check_loadable(folder: PathLike) -> None:
    """Checks a folder before it is loaded: `check_preset`, and its digests where it has some.

    JSON files may be edited by hand. A vocabulary and weights that do not belong together
    would load, but give meaningless captions.

    Args:
        folder: path of a preset folder.

    Raises:
        ValueError: see `check_preset`; or if the weights or the vocabulary are not those that
            were saved.
    """
    check_preset(folder)
    damaged = files.damaged_files(folder, (files.VOCABULARY_FILE, files.MODEL_WEIGHTS_FILE))
    if damaged:
        raise ValueError(
            "The weights and the vocabulary of a preset must have the digests in its "
            f"`{files.DIGESTS_FILE}`. Copy, download or save the preset again; delete that file "
            f"if you changed them on purpose. Received: '{folder}' with other {damaged}"
        )


def check_small_files(folder: PathLike) -> None:
    """Does the part of `check_preset` that needs no weights, before the weights are downloaded.

    Args:
        folder: path of a preset folder, perhaps without its weights.

    Raises:
        ValueError: see `check_preset`.
    """
    root = pathlib.Path(folder)
    _check_entries(root)
    for name in (*files.CONFIG_FILES, *files.OTHER_JSON_FILES):
        if not (root / name).is_file():
            continue
        value = read_json(root / name)
        if name in files.CONFIG_FILES:
            check_config(value, root / name)
        elif name == files.METADATA_FILE:
            _check_metadata(value, root / name)
    vocabulary = root / files.VOCABULARY_FILE
    if vocabulary.is_file():
        _check_vocabulary(vocabulary)


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file that may have been made to use up memory or recursion.

    Raises:
        ValueError: if it is larger than 10 MiB, nested deeper than 64, holds more than 200,000
            lists and objects, or is not JSON.
    """
    size = path.stat().st_size
    if size > LARGEST_JSON:
        raise ValueError(
            f"A JSON file of a preset must have at most {LARGEST_JSON} bytes. Do not load it. "
            f"Received: '{path}' of {size} bytes"
        )
    try:
        text = path.read_text(encoding="utf-8")
        _check_nesting(text)
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            "A JSON file of a preset must hold what `save_to_preset` writes. Save or download the "
            f"preset again. Received: '{path}': {error}"
        ) from error


def _check_nesting(text: str) -> None:
    """Refuses deep nesting before the text is parsed, because the parser recurses."""
    brackets = _NO_BRACKET.sub("", _STRING.sub("", text)).translate(_AS_SQUARE)
    if brackets.count("[") > MOST_CONTAINERS:
        raise ValueError(
            f"it is nested deeper than {DEEPEST_JSON} levels"
            if "[" * (DEEPEST_JSON + 1) in brackets
            else f"it holds more than {MOST_CONTAINERS} lists and objects"
        )
    # Each pass removes the innermost level.
    for _ in range(DEEPEST_JSON):
        brackets = brackets.replace("[]", "")
    if "[]" in brackets or len(brackets) > DEEPEST_JSON:
        raise ValueError(f"it is nested deeper than {DEEPEST_JSON} levels")


def _check_entries(root: pathlib.Path) -> None:
    if not root.is_dir():
        raise ValueError(f"A preset must be a folder. Received: '{root}'")
    home = root.resolve()
    allowed = [home]
    if root.parent.name == "snapshots":
        # In the cache of huggingface_hub a file is a link to `blobs` beside `snapshots`.
        allowed.append(root.parent.parent.resolve() / "blobs")
    assets = 0
    for directory, folders, names in os.walk(root):
        here = pathlib.Path(directory)
        if here == root:
            # No other folder is read.
            folders[:] = [name for name in folders if name == "assets"]
        for path in [here / name for name in (*folders, *names)]:
            assets += here != root
            if assets > _MOST_ASSETS:
                raise ValueError(
                    f"A preset must have at most {_MOST_ASSETS} assets. Do not load it if it is "
                    f"not yours; otherwise move the others elsewhere. Received: '{root}'"
                )
            target = path.resolve()
            if not any(target.is_relative_to(place) for place in allowed):
                raise ValueError(
                    "A preset must not link out of its folder. Do not load it if it is "
                    f"not yours; otherwise copy the file into it. Received: '{path}'"
                )
            if path.is_file():
                _check_no_pickle(path)


def _check_no_pickle(path: pathlib.Path) -> None:
    suffix = path.suffix.lower()
    with open(path, "rb") as file:
        start = file.read(256)
    # An array of Python objects is stored as a pickle after the header.
    has_objects = start.startswith(_ARRAY_MAGIC) and b"'O'" in start.replace(b"|O", b"O")
    # Pickles of protocol 2 and later start with these bytes, whatever the file is called.
    is_pickle = start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if suffix in _PICKLES or has_objects or is_pickle:
        raise ValueError(
            "A preset must not hold pickled objects, which run code when they are read. "
            "`save_to_preset` never writes them; delete the file if it is yours. "
            f"Received: '{path}'"
        )


def _check_metadata(metadata: Any, path: pathlib.Path) -> None:
    version = metadata.get("preset_format", 1) if isinstance(metadata, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise ValueError(
            "`metadata.json` must be an object whose `preset_format` is an int. Save or download "
            f"the preset again. Received: '{path}'"
        )
    if version > PRESET_FORMAT:
        raise ValueError(
            f"This version of keras-showattend reads presets up to format {PRESET_FORMAT}. "
            f"{upgrade_advice()} "
            f"Received: '{path.parent}' of format {version}"
        )


def _check_vocabulary(path: pathlib.Path) -> None:
    size = path.stat().st_size
    problem = None
    if size > LARGEST_VOCABULARY:
        problem = f"it has {size} bytes"
    else:
        try:
            if "\0" in path.read_text(encoding="utf-8"):
                problem = "it holds a null character"
        except UnicodeDecodeError as error:
            problem = str(error)
    if problem:
        raise ValueError(
            f"A vocabulary must be UTF-8 text of at most {LARGEST_VOCABULARY} bytes. Save or "
            f"download the preset again. Received: '{path}': {problem}"
        )

"""Finds private paths, tokens and optimizer states in files that are about to be published."""

import pathlib
import re

import h5py

from keras_showattend._scrub import LOCAL_PATH
from keras_showattend.presets import files

_TOKENS = re.compile(
    r"\b(hf_[A-Za-z]{30,}|gh[pousr]_\w{30,}|github_pat_\w{30,}|sk-[\w-]{30,}|AKIA[A-Z0-9]{16}"
    r"|KGAT_\w{20,})\b|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_TEXT_SUFFIXES = (".json", ".md", ".txt", "")


def find_leaks(folder: pathlib.Path, names: list[str], token: str | None = None) -> list[str]:
    """Looks for paths, tokens and the state of an optimizer.

    Args:
        folder: path of the preset.
        names: of its files.
        token: the token in use, which no file may contain.

    Returns:
        A line for each finding, such as `"README.md: '/home/me/photos'"`; tokens are
        shortened.
    """
    private = [str(path) for path in (pathlib.Path.home(), pathlib.Path.cwd())]
    own = "|".join(re.escape(path) for path in private if len(path) > 3) or r"(?!)"
    mine = re.compile(rf"(?<![\w.:/~])(?:{own})(?!\w)")
    findings = []
    for name in names:
        path = folder / name
        if name in files.WEIGHT_FILES:
            findings += [f"{name}: {found!r}" for found in _optimizer_state(path)]
        # Words of the vocabulary may look like a folder's name.
        elif path.suffix in _TEXT_SUFFIXES and name != files.VOCABULARY_FILE:
            text = path.read_text(encoding="utf-8", errors="replace")
            found = [match[0][:60] for match in LOCAL_PATH.finditer(text)]
            found += [match[0] for match in mine.finditer(text)]
            found += [match[0][:6] + "..." for match in _TOKENS.finditer(text)]
            if token and token in text:
                found.append(token[:6] + "...")
            findings += [f"{name}: {item!r}" for item in dict.fromkeys(found)]
    return findings


def _optimizer_state(path: pathlib.Path) -> list[str]:
    with h5py.File(path, "r") as file:
        return [name for name in file if "optimizer" in name]

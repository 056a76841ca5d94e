"""The folder of a run that is not finished: its name, whose it is, and its end."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from typing import Any

from keras_showattend._files import write_text
from keras_showattend._typing import PathLike

_LEARNED = ("done.json", "best.weights.h5", "backup/*.weights.h5*")


def work_folder(output: PathLike) -> pathlib.Path:
    """Returns the path of the folder where an unfinished run for a preset folder is kept."""
    output = pathlib.Path(output)
    return output.with_name(output.name + ".training")


def unfinished_recipes(work: pathlib.Path) -> list[dict[str, Any]] | None:
    """Returns the recipes of the run that has learned something in a work folder.

    Args:
        work: path of the folder.

    Returns:
        List of dicts of `Recipe`, or None if nothing has been learned there, or if the
        recipe is unknown.
    """
    if not any(True for name in _LEARNED for _ in work.glob(f"stage_*/{name}")):
        return None
    try:
        return list(json.loads((work / "recipe.json").read_text()))
    except (OSError, ValueError):
        return None


def claim_work_folder(work: pathlib.Path, recipes: list[dict[str, Any]]) -> None:
    """Makes a work folder for a run, and notes its recipes.

    Args:
        work: path of the folder.
        recipes: a dict of each `Recipe`.
    """
    work.mkdir(parents=True, exist_ok=True)
    write_text(work / "recipe.json", json.dumps(recipes, indent=2))


def remove_work_folder(work: pathlib.Path) -> None:
    """Deletes a work folder; a kill on the way leaves nothing that looks like a run."""
    ended = work.with_name(f".{work.name}.ended")
    shutil.rmtree(ended, ignore_errors=True)
    os.replace(work, ended)
    shutil.rmtree(ended)

"""The demo as the folder of a Hugging Face Space."""

from __future__ import annotations

import importlib.metadata
import pathlib
import shutil

from keras_showattend._files import new_folder, write_text
from keras_showattend._install import ON_INDEX
from keras_showattend._templates import render
from keras_showattend._typing import PathLike
from keras_showattend.demo.app import TITLE, check_gradio
from keras_showattend.hub.space import write_space_card
from keras_showattend.presets import Provenance, resolve_preset
from keras_showattend.presets.files import preset_files

PACKAGE = pathlib.Path(__file__).parents[1]
DISTRIBUTION = "keras-showattend"
EXTRA = "demo"


def write_space(folder: PathLike, preset: PathLike, name: str) -> None:
    """Writes a Space: `app.py`, `requirements.txt`, `README.md` and the preset.

    As long as this package is on no index, its code goes along.

    Args:
        folder: path of the folder, which is made; it must not hold anything yet.
        preset: what `ImageCaptioner.from_preset` takes.
        name: what visitors see.

    Raises:
        ModuleNotFoundError: if Gradio is not installed; says how to install it.
        ValueError: if the folder holds something, or for an unknown preset.
    """
    check_gradio()
    source = pathlib.Path(resolve_preset(preset))
    with new_folder(folder) as target:
        for file in preset_files(source):
            copy = target / "preset" / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, copy)
        if ON_INDEX:
            requirements = [f"{DISTRIBUTION}[{EXTRA}]"]
        else:
            requirements = _own_requirements()
            ignored = shutil.ignore_patterns("__pycache__", "bundled_presets")
            shutil.copytree(PACKAGE, target / PACKAGE.name, ignore=ignored)
        write_text(target / "requirements.txt", "\n".join(requirements) + "\n")
        write_text(target / "app.py", render("keras_showattend", "demo/space_app.py.j2", name=name))
        license = Provenance.read(source).license
        write_space_card(
            target,
            render("keras_showattend", "demo/space_card.md.j2", name=name, license=license),
            title=TITLE,
            sdk="gradio",
            sdk_version=importlib.metadata.version("gradio"),
            python_version="3.11",
            app_file="app.py",
        )


def _own_requirements() -> list[str]:
    """What this package needs, and what its extra adds."""
    found = []
    for line in importlib.metadata.requires(DISTRIBUTION) or ():
        requirement, _, marker = line.partition(";")
        if not marker or f'extra == "{EXTRA}"' in marker.replace("'", '"'):
            found.append(requirement.strip())
    return found

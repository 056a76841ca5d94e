"""Writes the browser page: the files of `site/`, an exported captioner, and what ties them."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
from typing import Any

from keras_showattend._examples import EXAMPLE_IMAGES
from keras_showattend._files import new_folder, write_text
from keras_showattend._templates import render
from keras_showattend._typing import PathLike
from keras_showattend.explain.overlay import colour_scale
from keras_showattend.export import read_metadata
from keras_showattend.hub.space import write_space_card

SITE = pathlib.Path(__file__).with_name("site")
MODEL = "captioner.onnx"
RUNTIME = "runtime/ort-wasm-simd-threaded.wasm.gz.bin"
EXAMPLES = "examples"
TITLE = "Captions on your own device"
# For the Hub; no visitor downloads it.
CARD = "README.md"


def write_site(model: PathLike, folder: PathLike, name: str) -> int:
    """Writes a page that captions images in the browser of whoever opens it.

    The folder goes to any static host as it is. It is a static Space of the Hugging Face Hub
    as well, which `keras_showattend.hub.push_space` publishes.

    Args:
        model: path of a file that `captioner.export("captioner.onnx")` wrote.
        folder: path of the folder, which must be new or empty.
        name: what the page calls the captioner.

    Returns:
        int: bytes that a visitor downloads, once.

    Raises:
        FileNotFoundError: if there is no `model`.
        ModuleNotFoundError: without ONNX Runtime, which reads the model's metadata.
        ValueError: if the folder holds something, or `model` is no exported captioner.
    """
    metadata = read_metadata(model)
    with new_folder(folder) as target:
        shutil.copytree(SITE, target, dirs_exist_ok=True)
        shutil.copyfile(model, target / MODEL)
        (target / EXAMPLES).mkdir()
        for path in EXAMPLE_IMAGES:
            shutil.copyfile(path, target / EXAMPLES / path.name)
        notices = {"name": name, "metadata": metadata, "examples": _example_credits()}
        write_text(
            target / "NOTICES.txt", render("keras_showattend", "web/NOTICES.txt.j2", **notices)
        )
        sizes = {file: (target / file).stat().st_size for file in _files(target)}
        about: dict[str, Any] = {
            "version": _digest(target),
            "name": name,
            "captioner": metadata,
            "colours": colour_scale().tolist(),
            "examples": [
                {"file": f"{EXAMPLES}/{path.name}", "description": path.stem}
                for path in EXAMPLE_IMAGES
            ],
            "files": sizes,
            "download": sizes[MODEL] + sizes[RUNTIME],
            "size": f"{sum(sizes.values()) / 1e6:.1f} MB",
        }
        write_text(target / "site.json", json.dumps(about))
        kept = {"version": about["version"], "files": ["./", "site.json", *sizes]}
        write_text(target / "files.js", f"self.SITE = {json.dumps(kept, indent=1)};\n")
        write_space_card(
            target,
            render("keras_showattend", "web/space_card.md.j2", name=name),
            title=TITLE,
            sdk="static",
            app_file="index.html",
        )
        return sum((target / file).stat().st_size for file in _files(target) if file != CARD)


def _files(folder: pathlib.Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def _digest(folder: pathlib.Path) -> str:
    """Twelve hexadecimal digits that differ where a file differs."""
    digest = hashlib.sha256()
    for name in _files(folder):
        content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()[:12]


def _example_credits() -> list[str]:
    lines = EXAMPLE_IMAGES[0].with_name("README.md").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("- ") for line in lines if line.startswith("- ")]

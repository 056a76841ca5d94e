"""Names of presets and where each lives."""

import json
import pathlib

_PACKAGE = pathlib.Path(__file__).parent
# In a wheel the presets lie inside the package; in a checkout beside it.
BUNDLED = next(
    (p for p in (_PACKAGE / "bundled_presets", _PACKAGE.parent / "presets") if p.is_dir()),
    _PACKAGE / "bundled_presets",
)
PRESET_FORMAT = 1
SCHEMES = ("hf://", "kaggle://", "modelscope://")
REQUIRED_FILES = (
    "config.json",
    "task.json",
    "preprocessor.json",
    "model.weights.h5",
    "assets/tokenizer/vocabulary.txt",
)


def bundled_presets():
    """Descriptions of the presets that came with the package.

    Returns:
        Dict from name to a dict with `description`, `license`, `path` and what else the
        preset's `metadata.json` tells of itself.
    """
    presets = {}
    for folder in sorted(BUNDLED.glob("*/metadata.json")):
        metadata = json.loads(folder.read_text(encoding="utf-8"))
        presets[folder.parent.name] = {**metadata, "path": str(folder.parent)}
    return presets


class _PresetNames:
    """Class attribute that lists the bundled presets when it is read."""

    def __get__(self, instance, owner):
        return bundled_presets()


preset_names = _PresetNames()


def resolve_preset(preset):
    """Turns what a user calls a preset into what KerasHub loads.

    Args:
        preset: name of a bundled preset, path of a preset folder, or a handle such as
            `"hf://user/name"`, which is passed through.

    Returns:
        str: the path of a complete folder, or the handle.

    Raises:
        ValueError: for an unknown name (the message lists the known ones), a folder with
            a file missing, or a preset of a newer format.
    """
    preset = str(preset)
    if preset.startswith(SCHEMES):
        return preset
    folder = BUNDLED / preset
    if not (preset in bundled_presets() and folder.is_dir()):
        folder = pathlib.Path(preset).expanduser()
    if not folder.is_dir():
        raise ValueError(
            "A preset must be a bundled name, the path of a preset folder or a handle like "
            f"'hf://user/name'. Bundled: {sorted(bundled_presets())}. Received: {preset!r}"
        )
    check_preset_folder(folder)
    return str(folder)


def check_preset_folder(folder):
    """Refuses a folder that cannot be loaded, before anything slow starts.

    Args:
        folder: path of a preset folder.

    Raises:
        ValueError: if a file is missing or the format is newer than this package.
    """
    folder = pathlib.Path(folder)
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            "A preset folder must hold what `ImageCaptioner.save_to_preset` writes. Save it "
            f"again, or fetch it whole. Received: '{folder}' without {missing}"
        )
    metadata_file = folder / "metadata.json"
    metadata = json.loads(metadata_file.read_text("utf-8")) if metadata_file.is_file() else {}
    version = metadata.get("preset_format", 1)
    if version > PRESET_FORMAT:
        raise ValueError(
            f"This version of keras-showattend reads presets up to format {PRESET_FORMAT}. "
            "Upgrade with `pip install --upgrade keras-showattend`. "
            f"Received: '{folder}' of format {version}"
        )

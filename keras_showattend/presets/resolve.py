"""From what a user calls a preset to a folder that is safe to load."""

import pathlib
import pkgutil

from keras_showattend.presets import registry
from keras_showattend.presets.files import REQUIRED_FILES
from keras_showattend.presets.registry import HUB_SCHEME, cache_directory
from keras_showattend.presets.trust import check_preset

# By name, as builders of presets are: both stand above this package.
_DOWNLOAD = "keras_showattend.hub:download_preset"


def resolve_preset(preset, token=None, revision=None):
    """Turns what a user calls a preset into a folder that is safe to load.

    Args:
        preset: name of a registered preset, path of a preset folder, or a handle such as
            `"hf://user/name"` or `"hf://user/name@revision"`, which is fetched.
        token, revision: for a handle; see `keras_showattend.hub.download_preset`.

    Returns:
        str: the path of a complete folder.

    Raises:
        ValueError: for an unknown name (the message lists the known ones), or a folder
            that is incomplete, of a newer format, or unsafe; see
            `check_preset`.
        HubError: a `ValueError`, if a handle cannot be fetched.
    """
    preset = location = str(preset)
    if preset in registry.REGISTRY:
        known = registry.REGISTRY[preset]
        if known.grown_from is not None:
            return _grown(known)
        location = str(registry.BUNDLED / preset) if known.location == "bundled" else known.location
    if location.startswith(HUB_SCHEME):
        download = pkgutil.resolve_name(_DOWNLOAD)
        return download(location, token=token, revision=revision)
    folder = pathlib.Path(location).expanduser()
    if not folder.is_dir():
        raise ValueError(
            "A preset must be a known name, the path of a preset folder or a handle like "
            f"'hf://user/name'. Known: {sorted(registry.REGISTRY)}. Received: {preset!r}"
        )
    check_preset(folder)
    return str(folder)


def _grown(preset):
    base = resolve_preset(preset.grown_from)
    folder = (
        cache_directory()
        / "presets"
        / f"{preset.name}-{registry.REGISTRY[preset.grown_from].digest[:12]}"
    )
    if not all((folder / name).is_file() for name in REQUIRED_FILES):
        pkgutil.resolve_name(preset.builder)(base, folder)
    return str(folder)

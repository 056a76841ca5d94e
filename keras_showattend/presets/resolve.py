"""From what a user calls a preset to a folder that is safe to load."""

import pathlib
import pkgutil

import keras_showattend
from keras_showattend._typing import PathLike
from keras_showattend.presets import registry
from keras_showattend.presets.exchange import finish_exchange
from keras_showattend.presets.files import REQUIRED_FILES
from keras_showattend.presets.registry import HUB_PREFIX, Preset, cache_directory
from keras_showattend.presets.trust import check_loadable

# By name, as builders of presets are: both stand above this package.
_DOWNLOAD = "keras_showattend.hub:download_preset"


class PresetFolder(str):
    """The path of a preset folder that has been checked.

    Resolving it again returns it as it is, so that a preset is checked once however many
    functions it goes through.

    Attributes:
        public_name: what others can load the preset by, a registered name or `"user/name"` on
            the Hub; None for a folder.
    """

    public_name: str | None

    def __new__(cls, path: PathLike, public_name: str | None = None) -> "PresetFolder":
        """Makes one; `resolve_preset` is the only caller."""
        self = super().__new__(cls, path)
        self.public_name = public_name
        return self


def resolve_preset(
    preset: PathLike, token: str | bool | None = None, revision: str | None = None
) -> str:
    """Turns what a user calls a preset into a folder that is safe to load.

    Args:
        preset: name of a registered preset, path of a preset folder, a handle such as
            `"hf://user/name"` or `"hf://user/name@revision"`, which is downloaded, or what this
            function returned.
        token, revision: for a handle; see `keras_showattend.hub.download_preset`.

    Returns:
        A `PresetFolder`: a str, the path of a complete folder.

    Raises:
        ValueError: for an unknown name (the message lists the known ones), or a folder that is
            incomplete, damaged, of a newer format, or unsafe; see `check_preset`.
        HubError: a `ValueError`, if a handle cannot be downloaded.
    """
    if isinstance(preset, PresetFolder):
        return preset
    name = location = str(preset)
    known = registry.REGISTRY.get(name)
    if known is not None:
        if known.grown_from is not None:
            return PresetFolder(_grown(known), name)
        location = str(registry.BUNDLED / name) if known.location == "bundled" else known.location
    if location.startswith(HUB_PREFIX):
        folder = pkgutil.resolve_name(_DOWNLOAD)(location, token=token, revision=revision)
        return PresetFolder(folder, location.removeprefix(HUB_PREFIX).partition("@")[0])
    path = pathlib.Path(location).expanduser()
    if not path.is_dir():
        raise ValueError(
            "A preset must be a known name, the path of a preset folder or a handle like "
            f"'hf://user/name'. Known: {sorted(registry.REGISTRY)}. Received: {name!r}"
        )
    _finish_saving(path)
    check_loadable(path)
    is_public = known is not None and known.location == "bundled"
    return PresetFolder(path, name if is_public else None)


def _finish_saving(folder: pathlib.Path) -> None:
    """Completes a save during which a process ended."""
    try:
        finish_exchange(folder)
    except OSError as error:
        raise ValueError(
            "A save into this folder was interrupted and must be completed before it is loaded. "
            f"Make the folder writable, or save again. Received: '{folder}' ({error})"
        ) from error


def _grown(preset: Preset) -> str:
    """Makes a preset out of another one, unless this version of the package has done so."""
    base = registry.REGISTRY[str(preset.grown_from)]
    made_from = f"{base.digest[:12]}-{keras_showattend.__version__}"
    folder = cache_directory() / "presets" / f"{preset.name}-{made_from}"
    if not all((folder / name).is_file() for name in REQUIRED_FILES):
        pkgutil.resolve_name(preset.builder)(resolve_preset(base.name), folder)
    check_loadable(folder)
    return str(folder)

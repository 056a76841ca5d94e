"""A preset that travels to machines which do not see its folder."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator, Mapping

from keras_showattend._typing import PathLike
from keras_showattend.presets.files import CALIBRATION_FILE, LOADED_FILES


@dataclasses.dataclass(frozen=True)
class PresetFiles:
    """What loading reads of a preset, in memory.

    Attributes:
        contents: dict from file name to bytes.
    """

    contents: Mapping[str, bytes]

    @classmethod
    def read(cls, folder: PathLike) -> PresetFiles:
        """Reads a folder that `resolve_preset` has checked."""
        root = pathlib.Path(folder)
        names = (*LOADED_FILES, CALIBRATION_FILE)
        return cls({name: (root / name).read_bytes() for name in names if (root / name).is_file()})

    @staticmethod
    @contextlib.contextmanager
    def folder(preset: PathLike | PresetFiles) -> Iterator[PathLike]:
        """Gives what `from_preset` takes: for a `PresetFiles` a folder that lasts for the block."""
        if not isinstance(preset, PresetFiles):
            yield preset
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, content in preset.contents.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            yield folder

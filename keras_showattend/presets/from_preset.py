"""`from_preset` and `presets` of the classes that a preset holds."""

from typing import Any, TypeVar

from keras_showattend._typing import PathLike
from keras_showattend.presets.registry import preset_names
from keras_showattend.presets.resolve import resolve_preset

_Class = TypeVar("_Class", bound=type)


def loads_presets(cls: _Class) -> _Class:
    """Lets a class of KerasHub's load this package's presets by name or handle.

    A decorator and no base class: KerasHub writes the first base of a task into presets.

    Args:
        cls: class whose inherited `from_preset` takes the path of a preset folder.

    Returns:
        The class, with the attribute `presets`, which lists the bundled ones.
    """
    inherited: Any = cls.from_preset  # type: ignore[attr-defined]

    def from_preset(part: Any, preset: PathLike, *args: Any, **kwargs: Any) -> Any:
        """Loads this part of a preset.

        Args:
            preset: name, folder or handle; see `ImageCaptioner.from_preset`.
            *args, **kwargs: arguments of the constructor that go before those of the preset;
                for a backbone also `load_weights`.
        """
        return inherited.__func__(part, resolve_preset(preset), *args, **kwargs)

    cls.from_preset = classmethod(from_preset)  # type: ignore[attr-defined]
    cls.presets = preset_names  # type: ignore[attr-defined]
    return cls

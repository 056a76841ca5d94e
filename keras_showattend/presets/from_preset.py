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

    def from_preset(
        part: Any, preset: PathLike, load_weights: bool | None = None, **kwargs: Any
    ) -> Any:
        """Loads this part of a preset.

        Args:
            preset: name, folder or handle; see `ImageCaptioner.from_preset`.
            load_weights: bool, for a part with weights. False gives fresh ones. Defaults to True.
            **kwargs: arguments of the constructor that go before those of the preset.
        """
        folder = resolve_preset(preset)
        from keras_showattend.presets.loading import build_and_load, explained

        if not hasattr(part, "load_weights"):
            given = {} if load_weights is None else {"load_weights": load_weights}
            with explained(folder):
                return inherited.__func__(part, folder, **given, **kwargs)

        def build(**overrides: Any) -> Any:
            return inherited.__func__(part, folder, load_weights=False, **{**kwargs, **overrides})

        return build_and_load(build, folder, load_weights is not False, kwargs.get("dtype"))

    cls.from_preset = classmethod(from_preset)  # type: ignore[attr-defined]
    cls.presets = preset_names  # type: ignore[attr-defined]
    return cls

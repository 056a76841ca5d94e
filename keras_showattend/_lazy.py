"""Packages whose public names are imported when they are first used."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """Returns a `__getattr__` for a module (PEP 562).

    Importing Keras takes seconds. `keras-showattend --help`, reading a recipe and listing a
    folder of images do without it.

    Args:
        package: `__name__` of the module.
        names: maps each public name to the submodule that defines it. A name that maps to
            itself is a submodule.
        moved: maps each name that used to be here to the package that has it now. Using one
            emits a `DeprecationWarning`.

    Returns:
        Function that takes a name and returns what it stands for, or raises `AttributeError`.
    """

    def __getattr__(name: str) -> Any:
        if moved is not None and name in moved:
            warnings.warn(
                f"`{package}.{name}` has moved. Import it from `{moved[name]}`.",
                DeprecationWarning,
                stacklevel=2,
            )
            return getattr(importlib.import_module(moved[name]), name)
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{names[name]}")
        return module if names[name] == name else getattr(module, name)

    return __getattr__

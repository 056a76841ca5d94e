"""Packages whose public names are imported when they are first used."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """Makes a module's `__getattr__` (PEP 562).

    Importing Keras takes seconds, which `keras-showattend --help`, reading a recipe or
    listing a folder of images need not spend.

    Args:
        package: `__name__` of the module.
        names: from public name to the sub-module that defines it; a name that maps to
            itself is the sub-module.
        moved: from a name that used to be here to the package that has it now. Using one
            gives a `DeprecationWarning`.
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

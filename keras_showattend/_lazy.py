"""Packages whose public names are imported when they are first used."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Makes a module's `__getattr__` (PEP 562).

    Importing Keras takes seconds, which `keras-showattend --help`, reading a recipe or
    listing a folder of photographs need not spend.

    Args:
        package: `__name__` of the module.
        names: from public name to the sub-module that defines it; a name that maps to
            itself is the sub-module.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{names[name]}")
        return module if names[name] == name else getattr(module, name)

    return __getattr__

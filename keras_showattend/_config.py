"""Configurations of Keras objects without what does not matter."""

from collections.abc import Collection
from typing import Any

# Names are counted up within a process and say nothing about the network.
_NAMES = frozenset({"name", "build_config", "inbound_nodes", "input_layers", "output_layers"})


def without_keys(config: Any, keys: Collection[str]) -> Any:
    """Returns a configuration without some keys, at every depth.

    Args:
        config: dict of `get_config`, or a list of such.
        keys: the keys to leave out.
    """
    if isinstance(config, dict):
        return {k: without_keys(v, keys) for k, v in config.items() if k not in keys}
    if isinstance(config, list | tuple):
        return [without_keys(value, keys) for value in config]
    return config


def without_names(config: Any, others: Collection[str] = ()) -> Any:
    """Returns a configuration that is the same for two builds of one network.

    Args:
        config: dict of `get_config`, or a list of such.
        others: more keys to leave out.
    """
    return without_keys(config, _NAMES.union(others))

"""What in a configuration tells one network from another."""

# Names are counted up within a process, and say nothing of the network.
_NAMES = ("name", "build_config", "inbound_nodes", "input_layers", "output_layers")


def without_names(config, others=()):
    """A configuration that is the same for two builds of one network.

    Args:
        config: dict of `get_config`, or a list of such.
        others: more keys to leave out, at every depth.
    """
    if isinstance(config, dict):
        dropped = {*_NAMES, *others}
        return {k: without_names(v, others) for k, v in config.items() if k not in dropped}
    if isinstance(config, list | tuple):
        return [without_names(value, others) for value in config]
    return config

"""The presets: which there are, what their files are, and whether they are safe to load."""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "Preset": "registry",
    "Provenance": "provenance",
    "bundled_presets": "registry",
    "cache_directory": "registry",
    "check_preset": "trust",
    "list_presets": "registry",
    "preset_names": "registry",
    "register_preset": "registry",
    "resolve_preset": "resolve",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

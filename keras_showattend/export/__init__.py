"""A whole captioner as one file for other runtimes: image in, caption out, search inside."""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "ExportedCaptioner": "exported_captioner",
    "FORMATS": "check",
    "QUANTIZATIONS": "check",
    "check_export": "check",
    "export_captioner": "write",
    "read_metadata": "read",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

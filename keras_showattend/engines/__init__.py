"""What runs an encoder when captions are generated.

`ImageCaptioner.use_engine` chooses among them.
"""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "KerasEncoder": "encoders",
    "OpenVinoEncoder": "encoders",
    "check_engine": "check",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

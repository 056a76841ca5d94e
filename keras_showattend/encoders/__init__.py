"""Image encoders by name, with their pretrained weights."""

from keras_showattend._lazy import lazy_names

_NAMES = {"vgg_encoder": "vgg"}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

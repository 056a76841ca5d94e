"""Engines that run the image encoder during generation; `ImageCaptioner.use_engine` chooses."""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "KerasEncoder": "keras_encoder",
    "OpenVinoEncoder": "openvino",
    "check_engine": "check",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

"""Image encoders by name, with their pretrained weights."""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "EncoderEntry": "registry",
    "create_encoder": "create",
    "create_image_converter": "create",
    "encoder_entry": "registry",
    "list_encoders": "registry",
    "register_encoder": "registry",
    "vgg_encoder": "vgg",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

"""Presets to and from the Hugging Face Hub.

`push_to_hub` publishes, `download_preset` fetches, `model_card` describes; `push_space` publishes a
demo or a browser page. Nothing here imports Keras.
"""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "HubError": "errors",
    "download_preset": "pull",
    "model_card": "card",
    "push_space": "space",
    "push_to_hub": "push",
}
__all__ = list(_NAMES)
_MOVED = {"check_preset": "keras_showattend.presets"}
__getattr__ = lazy_names(__name__, _NAMES, _MOVED)

"""Presets to and from the Hugging Face Hub, and what a preset must not contain.

`push_to_hub` publishes, `download_preset` fetches, `model_card` describes, and
`check_preset` refuses a folder that could do more than describe a captioner. Nothing
here imports Keras.
"""

from keras_showattend._lazy import lazy_names

# `presets` checks every folder; only who pushes or pulls needs huggingface_hub.
_NAMES = {
    "HubError": "errors",
    "check_preset": "trust",
    "download_preset": "pull",
    "model_card": "card",
    "push_to_hub": "push",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

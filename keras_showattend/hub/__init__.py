"""Presets to and from the Hugging Face Hub, and what a preset must not contain.

`push_to_hub` publishes, `download_preset` fetches, `model_card` describes, and
`check_preset` refuses a folder that could do more than describe a captioner. Nothing
here imports Keras.
"""

import importlib

_EXPORTS = {
    "HubError": "errors",
    "check_preset": "trust",
    "download_preset": "pull",
    "model_card": "card",
    "push_to_hub": "push",
}

__all__ = ["HubError", "check_preset", "download_preset", "model_card", "push_to_hub"]


def __getattr__(name):
    # `presets` checks every folder; only who pushes or pulls needs huggingface_hub.
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

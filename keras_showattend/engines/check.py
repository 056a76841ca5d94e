"""Checks an engine's name without importing Keras, which takes seconds."""

import importlib.util
from typing import Any

from keras_showattend._install import install_advice

ENGINES = ("keras", "openvino")


def check_engine(engine: str, dtype: Any = None) -> None:
    """Refuses an engine that is not available, before a captioner or an image is loaded.

    Args:
        engine, dtype: see `ImageCaptioner.use_engine`.

    Raises:
        ModuleNotFoundError: if the engine is not installed; says how to install it.
        ValueError: for an unknown engine, or a `dtype` where it has its own.
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {ENGINES}. Received: engine={engine!r}")
    if engine == "keras":
        return
    if dtype is not None:
        raise ValueError(
            f"The engine {engine!r} computes in 8-bit integers: leave `dtype` out, or use the "
            f"engine 'keras'. Received: dtype={dtype!r}"
        )
    if importlib.util.find_spec("openvino") is None:
        raise ModuleNotFoundError(
            f"The engine {engine!r} needs OpenVINO. Install it: {install_advice('openvino')}. "
            "Received: no module named 'openvino'"
        )

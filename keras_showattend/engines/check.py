"""Checks an engine's name without importing Keras, which takes seconds."""

import importlib.util
from typing import Any

from keras_showattend._install import install_advice

# Each engine, and the extra and the modules that it needs.
ENGINES = {
    "keras": ("", ()),
    "onnxruntime": ("onnx", ("onnx", "onnxruntime", "tf2onnx")),
    "openvino": ("openvino", ("openvino",)),
}


def check_engine(engine: str, dtype: Any = None) -> None:
    """Refuses an engine that is not available, before a captioner or an image is loaded.

    Args:
        engine, dtype: see `ImageCaptioner.use_engine`.

    Raises:
        ModuleNotFoundError: if the engine is not installed; says how to install it.
        ValueError: for an unknown engine, or a `dtype` where it has its own.
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {list(ENGINES)}. Received: engine={engine!r}")
    if engine == "keras":
        return
    if dtype is not None:
        raise ValueError(
            f"The engine {engine!r} has a precision of its own: leave `dtype` out, or use the "
            f"engine 'keras'. Received: dtype={dtype!r}"
        )
    extra, modules = ENGINES[engine]
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"The engine {engine!r} needs more packages. Install them: {install_advice(extra)}. "
            f"Received: no module named {missing[0]!r}"
        )

"""Builds what a preset describes without its memory, until its sizes are known to be right."""

import collections
import contextlib
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_showattend._typing import PathLike
from keras_showattend.presets.files import MODEL_WEIGHTS_FILE
from keras_showattend.presets.trust import read_json
from keras_showattend.presets.trust_weights import check_weights

_MOST_PACKED = 2


def build_and_load(
    build: Callable[..., Any], folder: PathLike, load_weights: bool = True, dtype: Any = None
) -> Any:
    """Builds a model of a preset, compares its sizes with the stored arrays, and loads these.

    The model is built inside a `keras.StatelessScope`, in which variables have a shape but no
    value. Only when every variable has an array of its shape in the weights file do they get
    memory: a description of a few bytes cannot fill it.

    Args:
        build: function that returns the model, with fresh weights, and takes a `dtype`.
        folder: path of a checked preset folder.
        load_weights: bool. False leaves the weights fresh.
        dtype: what the user asked for, which `build` knows; None for the preset's own.

    Returns:
        What `build` returned: a backbone, or a task with a `backbone`.

    Raises:
        ValueError: if the description makes no model, if the weights file has other arrays than
            it needs, or for a `dtype` where weights are quantized.
    """
    path = pathlib.Path(folder) / MODEL_WEIGHTS_FILE
    with explained(folder):
        if _is_quantized(path.with_name("config.json")):
            if dtype is not None:
                raise ValueError(
                    "A quantized preset is computed in the dtype that it was quantized in: leave "
                    "`dtype` out, or load the preset it was made from with that dtype. "
                    f"Received: dtype={dtype!r} for '{folder}'"
                )
            # Quantizing reads the values of the weights: only the same network in floats can be
            # built without them.
            _build_checked(lambda: build(dtype="float32"), path, is_quantized=True)
            model = build()
        else:
            model = _build_checked(build, path)
        if load_weights:
            getattr(model, "backbone", model).load_weights(path)
    return model


@contextlib.contextmanager
def explained(folder: PathLike) -> Iterator[None]:
    """Turns what Keras raises over a description that cannot be built into a `ValueError`.

    Args:
        folder: path of the preset folder.

    Raises:
        ValueError: for an error of another kind; what fails for want of memory, of a file or
            of a package passes.
    """
    try:
        yield
    except (ImportError, MemoryError, OSError, ValueError):
        raise
    except Exception as error:
        # Keras repeats the whole description before the reason.
        reason = (str(error).splitlines() or [""])[-1][:200]
        raise ValueError(
            "A preset must describe what can be built. Save or download it again, and check the "
            f"arguments. Received: '{folder}' ({type(error).__name__}: {reason})"
        ) from error


def _build_checked(build: Callable[[], Any], path: pathlib.Path, is_quantized: bool = False) -> Any:
    scope = keras.StatelessScope()
    try:
        with scope:
            try:
                model = build()
                _check_shapes(getattr(model, "backbone", model), path, is_quantized)
            except BaseException:
                # Nothing that was built gets memory, neither now nor later.
                scope.initialize_variables = False
                raise
    except BaseException:
        _forget_what_was_built()
        raise
    return model


def _is_quantized(path: pathlib.Path) -> bool:
    """Whether a backbone's description has a dtype policy for each of its quantized layers."""
    dtype = read_json(path)["config"].get("dtype")
    return isinstance(dtype, dict) and dtype.get("class_name") == "DTypePolicyMap"


def _check_shapes(backbone: Any, path: pathlib.Path, is_quantized: bool) -> None:
    needed = collections.Counter(tuple(weight.shape) for weight in backbone.weights)
    stored = collections.Counter(check_weights(path))
    missing = needed - stored
    if is_quantized and _numbers(needed) <= _MOST_PACKED * _numbers(stored):
        # Two numbers of 4 bits share a byte, so that shapes may differ.
        return
    if missing:
        raise ValueError(
            "The weights could not be loaded: their file must have an array for each one that "
            "the description names. Save or download the preset again. "
            f"Received: '{path}' without arrays of the shapes {sorted(missing)[:5]}"
        )


def _numbers(shapes: "collections.Counter[tuple[int, ...]]") -> int:
    return sum(count * math.prod(shape) for shape, count in shapes.items())


def _forget_what_was_built() -> None:
    """Drops the variables of a refused model, which Keras would make the next time it can."""
    policy = keras.config.dtype_policy()
    distribution = keras.distribution.distribution()
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy(policy)
    if distribution is not None:
        keras.distribution.set_distribution(distribution)

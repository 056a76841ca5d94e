"""Imports Keras without what TensorFlow's C++ writes on stderr meanwhile."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_quietly(module: str = "keras_showattend.models") -> None:
    """Imports the package's models, and with them Keras and its backend.

    Set `TF_CPP_MIN_LOG_LEVEL` to 0, 1 or 2 to see what is held back.

    Args:
        module: name of the module to import.
    """
    if os.environ.setdefault(_LEVEL, "3") != "3":
        importlib.import_module(module)
        return
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # TensorFlow 2.21 writes some lines before it heeds the level, and writes them to the
    # file descriptor, so that replacing `sys.stderr` would not hold them back.
    with _stderr_held_back():
        importlib.import_module(module)


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    try:
        original = os.dup(2)
    except OSError:
        # A program without a stderr.
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            # What was said before a failure may tell its cause.
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)

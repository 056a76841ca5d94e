"""Holds back what TensorFlow's C++ writes on stderr while it is imported."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_LOUD = "tensorflow"


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Imports of TensorFlow inside the block write nothing, whichever module makes them.

    Set `TF_CPP_MIN_LOG_LEVEL` to 0, 1 or 2 to see what is held back.
    """
    if os.environ.setdefault(_LEVEL, "3") != "3" or _LOUD in sys.modules:
        yield
        return
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    finder = _QuietFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.remove()


class _QuietFinder:
    """Finds TensorFlow as Python would, and holds back stderr while it is loaded.

    TensorFlow 2.21 writes some lines before it heeds the level, and writes them to the file
    descriptor, so that replacing `sys.stderr` would not hold them back.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _LOUD:
            return None
        self.remove()
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_quietly(module: ModuleType) -> None:
            with _stderr_held_back():
                load(module)

        # The loader stays TensorFlow's own, which reads its data files through it.
        spec.loader.exec_module = load_quietly  # type: ignore[method-assign]
        return spec

    def remove(self) -> None:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)


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
            # What was written before a failure may tell its cause.
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)

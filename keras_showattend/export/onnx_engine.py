"""ONNX Runtime in place of Keras when captions are generated."""

import collections
import dataclasses
import threading
from typing import Any

import numpy as np

from keras_showattend._typing import Array
from keras_showattend.export.graph import encode_function, search_function
from keras_showattend.export.onnx_conversion import to_onnx
from keras_showattend.search import SearchOptions

# Settings that change the graph: numbers of beams, lengths, sizes of n-grams.
MAX_SEARCHES = 8


class OnnxEncoder:
    """An image encoder that ONNX Runtime runs in float32 on the CPU.

    Args:
        encoder: an `ImageEncoder`. Its weights are copied as they are now.
        image_shape: `(height, width, 3)`.

    Call arguments:
        images: float32[B, H, W, 3], normalized.

    Returns:
        float32[B, L, D], in NumPy.
    """

    def __init__(self, encoder: Any, image_shape: tuple[int, ...]) -> None:
        self._session = _session(
            to_onnx(encode_function(encoder), images=("float32", (None, *image_shape)))
        )

    def __call__(self, images: Array) -> np.ndarray:
        """Encodes; see the class docstring."""
        return self._session.run(None, {"images": np.asarray(images, "float32")})[0]


class OnnxSearch:
    """Beam search that ONNX Runtime runs; it converts one graph for each set of settings.

    Args:
        backbone: a `ShowAttendBackbone`. Its weights are copied when settings come first.
        tokenizer: a `CaptionTokenizer`.

    Call arguments:
        annotations: float[B, L, D].
        options: `SearchOptions` with a number of beams.

    Returns:
        Dict of NumPy arrays; see `CaptionSearch`.
    """

    def __init__(self, backbone: Any, tokenizer: Any) -> None:
        self._backbone = backbone
        self._tokenizer = tokenizer
        rows, columns = backbone.grid_shape
        self._shape = (None, rows * columns, backbone.image_encoder.annotation_dim)
        self._sessions: collections.OrderedDict[SearchOptions, Any] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, annotations: Array, options: SearchOptions) -> dict[str, np.ndarray]:
        """Searches; see the class docstring."""
        session = self._session(dataclasses.replace(options, length_penalty=0.0, cautious=None))
        names = [output.name for output in session.get_outputs()]
        inputs = {
            "annotations": np.asarray(annotations, "float32"),
            "length_penalty": np.array(options.length_penalty, "float32"),
        }
        return dict(zip(names, session.run(None, inputs), strict=True))

    def _session(self, key: SearchOptions) -> Any:
        with self._lock:
            if key not in self._sessions:
                function = search_function(self._backbone, self._tokenizer, key)
                inputs = {
                    "annotations": ("float32", self._shape),
                    "length_penalty": ("float32", ()),
                }
                self._sessions[key] = _session(to_onnx(function, **inputs))
                if len(self._sessions) > MAX_SEARCHES:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end(key)
            return self._sessions[key]


def _session(model: Any) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )

"""Other runtimes in place of Keras when captions are generated; they run what is exported."""

import collections
import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from keras_showattend._typing import Array
from keras_showattend.export.graph import encode_function, search_function
from keras_showattend.export.onnx_conversion import to_onnx
from keras_showattend.search import SearchOptions
from keras_showattend.search.generate_function import MAX_SEARCHES

Session: TypeAlias = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


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
        graph = to_onnx(encode_function(encoder), images=("float32", (None, *image_shape)))
        self._run = onnxruntime_session(graph)

    def __call__(self, images: Array) -> np.ndarray:
        """Encodes; see the class docstring."""
        return self._run({"images": np.asarray(images, "float32")})["annotations"]


class EngineSearch:
    """Beam search in another runtime; it converts one graph for each set of settings.

    Args:
        backbone: a `ShowAttendBackbone`. Its weights are copied when settings come first.
        tokenizer: a `CaptionTokenizer`.
        load: function from an `onnx.ModelProto` to one from arrays to arrays, by name;
            `onnxruntime_session` is one.

    Call arguments:
        annotations: float[B, L, D].
        options: `SearchOptions` with a number of beams.

    Returns:
        Dict of NumPy arrays; see `CaptionSearch`.
    """

    def __init__(self, backbone: Any, tokenizer: Any, load: Callable[[Any], Session]) -> None:
        self._backbone = backbone
        self._tokenizer = tokenizer
        self._load = load
        rows, columns = backbone.grid_shape
        self._shape = (None, rows * columns, backbone.image_encoder.annotation_dim)
        self._sessions: collections.OrderedDict[SearchOptions, Session] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, annotations: Array, options: SearchOptions) -> dict[str, np.ndarray]:
        """Searches; see the class docstring."""
        # The length penalty is an input of the graph; words are judged after the search.
        run = self._session(dataclasses.replace(options, length_penalty=0.0, cautious=None))
        return run(
            {
                "annotations": np.asarray(annotations, "float32"),
                "length_penalty": np.array(options.length_penalty, "float32"),
            }
        )

    def _session(self, key: SearchOptions) -> Session:
        with self._lock:
            if key not in self._sessions:
                inputs: dict[str, Any] = {
                    "annotations": ("float32", self._shape),
                    "length_penalty": ("float32", ()),
                }
                function = search_function(self._backbone, self._tokenizer, key)
                self._sessions[key] = self._load(to_onnx(function, **inputs))
                if len(self._sessions) > MAX_SEARCHES:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end(key)
            return self._sessions[key]


def onnxruntime_session(model: Any) -> Session:
    """Returns a function that runs an `onnx.ModelProto` in ONNX Runtime, from any thread."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, dict(inputs)), strict=True))

"""The compiled encoder and the compiled searches of one captioner."""

import collections
import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_showattend._typing import Array, Tensor
from keras_showattend.engines import KerasEncoder
from keras_showattend.engines.compiled import CompiledModel, num_rows, pad_rows
from keras_showattend.search.caption_search import CaptionSearch
from keras_showattend.search.options import SearchOptions
from keras_showattend.search.reading import CaptionReader

# Settings that change the graph: numbers of beams, lengths, sizes of n-grams.
MAX_SEARCHES = 8
SearchEngine: TypeAlias = Callable[[Array, SearchOptions], dict[str, np.ndarray]]


class GenerateFunction:
    """Searches for the captions of one batch; compiles one search for each set of settings.

    It may be called from several threads. The searches that were used last are kept.

    Args:
        backbone: a `ShowAttendBackbone`, or what `CaptionSearch` takes in its place.
        tokenizer: a `CaptionTokenizer`.
        sampler: a `keras_hub.samplers.Sampler`. `BeamSampler` stands for this package's
            own beam search with its `num_beams`, `GreedySampler` for one beam.
        jit_compile, run_eagerly: as for `keras.Model.compile`. With `"auto"` on TensorFlow
            XLA compiles a beam search when a number of images comes for the second time.

    Attributes:
        engine: function from images float32[B, H, W, 3] to annotations float[B, L, D] that
            is used in place of the backbone's encoder, or None.
        search_engine: function from annotations float[B, L, D] and `SearchOptions` to the
            outputs of a `CaptionSearch` that is used in place of beam search by Keras, or
            None.
    """

    def __init__(
        self,
        backbone: Any,
        tokenizer: Any,
        sampler: Any,
        jit_compile: bool | str = "auto",
        run_eagerly: bool = False,
    ) -> None:
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.sampler = sampler
        self.compile_options: dict[str, Any] = {
            "jit_compile": jit_compile,
            "run_eagerly": run_eagerly,
        }
        self.engine: Callable[[Array], Tensor] | None = None
        self.search_engine: SearchEngine | None = None
        self._encoder: KerasEncoder | None = None
        self._reader: CompiledModel | None = None
        self._searches: collections.OrderedDict[SearchOptions, _Search] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, inputs: Mapping[str, Any], options: SearchOptions) -> dict[str, np.ndarray]:
        """Searches for the captions of one batch.

        Args:
            inputs: dict with `images` float32[B, H, W, 3] or `annotations` float[B, L, D].
            options: `SearchOptions`.

        Returns:
            Dict of NumPy arrays; see `CaptionSearch`.
        """
        options, sampler = options.resolve(self.sampler)
        encoded = self.encode(inputs)
        if self.search_engine is not None and sampler is None and "annotations" in encoded:
            return self.search_engine(encoded["annotations"], options)
        search = self._search(options, sampler)
        penalty = np.float32(options.length_penalty)
        return search({**encoded, "length_penalty": penalty})

    def encode(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Does the part of the work that is the same for every search.

        Args:
            inputs: dict; see `ShowAttendBackbone.annotate`.

        Returns:
            Dict with `annotations` float[B, L, D] in place of `images`; other inputs as
            they are.
        """
        if "images" not in inputs:
            return inputs
        if self.engine is not None:
            return {"annotations": self.engine(inputs["images"])}
        if not hasattr(self.backbone, "image_encoder"):
            # A search over several captioners has no single encoder.
            return inputs
        with self._lock:
            if self._encoder is None:
                self._encoder = KerasEncoder(self.backbone.image_encoder, **self.compile_options)
        return {"annotations": self._encoder(inputs["images"])}

    def read(self, encoded: Mapping[str, Any], token_ids: np.ndarray) -> dict[str, np.ndarray]:
        """Reads captions again, one an image; see `CaptionReader`.

        Args:
            encoded: dict from `encode`.
            token_ids: int32[B, T].

        Returns:
            Dict of NumPy arrays.
        """
        with self._lock:
            if self._reader is None:
                reader = CaptionReader(self.backbone, self.tokenizer.start_token_id)
                self._reader = CompiledModel(reader, **self.compile_options)
        outputs = self._reader({**encoded, "token_ids": token_ids})
        return {key: keras.ops.convert_to_numpy(value) for key, value in outputs.items()}

    def _search(self, options: SearchOptions, sampler: Any) -> "_Search":
        # The length penalty is an input of the graph; any number does for the key. Words are
        # judged after the search.
        key = dataclasses.replace(options, length_penalty=0.0, cautious=None)
        with self._lock:
            if key not in self._searches:
                settings = dataclasses.asdict(key) | {"num_beams": key.num_beams or 1}
                settings.pop("cautious")
                search = CaptionSearch(self.backbone, self.tokenizer, sampler=sampler, **settings)
                self._searches[key] = _Search(search, **self.compile_options)
                if len(self._searches) > MAX_SEARCHES:
                    self._searches.popitem(last=False)
            self._searches.move_to_end(key)
            return self._searches[key]


class _Search:
    """A compiled `CaptionSearch`; on TensorFlow in two ways.

    XLA takes a second for each number of rows. One image, or the rest of a folder, is
    captioned before that, so XLA compiles when a number of rows comes again.
    """

    def __init__(self, search: CaptionSearch, jit_compile: bool | str, run_eagerly: bool) -> None:
        state = search.sampler_variables
        self._is_greedy = search.num_beams == 1
        self._compiled = CompiledModel(search, jit_compile, run_eagerly, state)
        self._compiled_by_xla: CompiledModel | None = None
        is_tensorflow = keras.backend.backend() == "tensorflow"
        if is_tensorflow and jit_compile == "auto" and not run_eagerly and search.sampler is None:
            self._compiled_by_xla = CompiledModel(search, jit_compile=True)
        self._seen: set[int] = set()

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        rows = num_rows(inputs)
        compiled = self._choose(inputs, rows)
        if compiled.uses_xla and rows == 1 and self._is_greedy:
            # XLA multiplies a single row by a matrix at a third of the speed of two.
            inputs = pad_rows(inputs, 2)
        outputs = compiled(inputs)
        return {key: keras.ops.convert_to_numpy(value)[:rows] for key, value in outputs.items()}

    def _choose(self, inputs: Mapping[str, Any], rows: int) -> CompiledModel:
        # Without annotations there are convolutions in the search, which XLA slows down.
        if self._compiled_by_xla is None or "annotations" not in inputs:
            return self._compiled
        is_new = rows not in self._seen
        self._seen.add(rows)
        return self._compiled if is_new else self._compiled_by_xla

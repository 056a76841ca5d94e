"""The compiled encoder and searches of one captioner."""

import dataclasses

import keras
import numpy as np

from keras_showattend.engines import KerasEncoder
from keras_showattend.search.caption_search import CaptionSearch


class GenerateFunction:
    """Compiles one `CaptionSearch` for each set of settings, when it is first wanted.

    The encoder is compiled apart from the searches, because XLA suits only one of them:
    on a CPU it runs TensorFlow's convolutions slower and the loop over words, which is
    many small operations, at twice the speed.

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
    """

    def __init__(self, backbone, tokenizer, sampler, jit_compile="auto", run_eagerly=False):
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.sampler = sampler
        self.compile_options = {"jit_compile": jit_compile, "run_eagerly": run_eagerly}
        self.engine = None
        self._encoder = None
        self._searches = {}
        self._seen = set()

    def __call__(self, inputs, options):
        """Runs one batch.

        Args:
            inputs: dict with `images` float32[B, H, W, 3] or `annotations` float[B, L, D].
            options: `SearchOptions`.

        Returns:
            Dict of NumPy arrays; see `CaptionSearch`.
        """
        options, sampler = options.resolve(self.sampler)
        rows = _num_rows(inputs)
        if keras.backend.backend() == "jax":
            # Every number of rows is compiled anew, which takes seconds.
            inputs = _pad_rows(inputs, 1 << (rows - 1).bit_length())
        inputs = self.encode(inputs)
        search = self._search(options, sampler, inputs)
        is_xla = keras.backend.backend() == "tensorflow" and search.jit_compile
        if is_xla and rows == 1 and options.num_beams == 1:
            # XLA multiplies a single row by a matrix at a third of the speed of two.
            inputs = _pad_rows(inputs, 2)
        outputs = search.predict_on_batch(inputs)
        return {key: keras.ops.convert_to_numpy(value)[:rows] for key, value in outputs.items()}

    def encode(self, inputs):
        """The part of the work that is the same for every search.

        Args:
            inputs: dict; see `ShowAttendBackbone.annotate`.

        Returns:
            Dict with `annotations` float[B, L, D] in place of `images`; other inputs as
            they are.
        """
        if "images" in inputs and self.engine is not None:
            return {"annotations": self.engine(inputs["images"])}
        # A search over several captioners has no single encoder.
        if "images" not in inputs or not hasattr(self.backbone, "image_encoder"):
            return inputs
        if self._encoder is None:
            self._encoder = KerasEncoder(self.backbone.image_encoder, **self.compile_options)
        return {"annotations": self._encoder(inputs["images"])}

    def _search(self, options, sampler, inputs):
        compile_options = self.compile_options
        # Compiling takes XLA a second for each number of rows. One picture, or the rest of
        # a folder, is captioned before that.
        key = (options, _num_rows(inputs))
        is_new = key not in self._seen
        self._seen.add(key)
        may_compile = (
            keras.backend.backend() == "tensorflow"
            and compile_options["jit_compile"] == "auto"
            and not compile_options["run_eagerly"]
            and sampler is None
            # With other inputs there are convolutions in the search.
            and "annotations" in inputs
        )
        if may_compile and not is_new:
            compile_options = {**compile_options, "jit_compile": True}
        else:
            key = (options, None)
        if key not in self._searches:
            settings = dataclasses.asdict(options) | {"num_beams": options.num_beams or 1}
            search = CaptionSearch(self.backbone, self.tokenizer, sampler=sampler, **settings)
            search.compile(**compile_options)
            self._searches[key] = search
        return self._searches[key]


def _num_rows(inputs):
    # The annotations of several captioners are a tuple.
    return len(keras.tree.flatten(inputs)[0])


def _pad_rows(inputs, rows):
    """Repeats the last row of every array until there are so many."""

    def pad(array):
        array = np.asarray(array)
        return np.concatenate([array, np.repeat(array[-1:], rows - len(array), axis=0)])

    return keras.tree.map_structure(pad, inputs)

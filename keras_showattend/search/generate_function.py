"""The compiled encoder and searches of one captioner."""

import keras
import keras_hub
import numpy as np

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

    def __call__(self, inputs, max_length, num_beams=None, length_penalty=0.0):
        """Runs one batch.

        Args:
            inputs: dict with `images` float32[B, H, W, 3] or `annotations` float[B, L, D].
            max_length: int.
            num_beams: int, or None for what the sampler says.
            length_penalty: float.

        Returns:
            Dict of NumPy arrays; see `CaptionSearch`.
        """
        sampler = self.sampler
        if num_beams is not None:
            sampler = None
        elif isinstance(sampler, keras_hub.samplers.BeamSampler):
            num_beams, sampler = sampler.num_beams, None
        elif isinstance(sampler, keras_hub.samplers.GreedySampler):
            sampler, num_beams = None, 1
        settings = (max_length, num_beams, length_penalty, sampler is None)
        inputs = self.encode(inputs)
        search = self._search(settings, sampler, inputs)
        alone = sampler is None and num_beams == 1 and _is_single(inputs)
        if alone and keras.backend.backend() == "tensorflow" and search.jit_compile:
            # XLA multiplies a single row by a matrix at a third of the speed of two.
            inputs = {key: np.repeat(value, 2, axis=0) for key, value in inputs.items()}
        outputs = search.predict_on_batch(inputs)
        outputs = {key: keras.ops.convert_to_numpy(value) for key, value in outputs.items()}
        return {key: value[:1] for key, value in outputs.items()} if alone else outputs

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
            self._encoder = _Encoder(self.backbone)
            self._encoder.compile(**self.compile_options)
        return {"annotations": self._encoder.predict_on_batch(inputs)}

    def _search(self, settings, sampler, inputs):
        options = self.compile_options
        # Several captioners have several annotations, whose encoders are in the search.
        rows = getattr(inputs.get("annotations"), "shape", (None,))[0]
        # Compiling takes XLA a second for each number of rows. One picture, or the rest of
        # a folder, is captioned before that.
        key = (*settings, rows)
        is_new = key not in self._seen
        self._seen.add(key)
        may_compile = (
            keras.backend.backend() == "tensorflow"
            and options["jit_compile"] == "auto"
            and not options["run_eagerly"]
        )
        if may_compile and sampler is None and rows is not None and not is_new:
            options = {**options, "jit_compile": True}
        else:
            key = settings
        if key not in self._searches:
            max_length, num_beams, length_penalty, _ = settings
            search = CaptionSearch(
                self.backbone,
                self.tokenizer,
                max_length=max_length,
                num_beams=num_beams or 1,
                length_penalty=length_penalty,
                sampler=sampler,
            )
            search.compile(**options)
            self._searches[key] = search
        return self._searches[key]


def _is_single(inputs):
    return all(getattr(value, "shape", (None,))[0] == 1 for value in inputs.values())


class _Encoder(keras.Model):
    """Encodes images with a backbone's weights."""

    def __init__(self, backbone):
        super().__init__(name="encoder")
        self.backbone = backbone

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        return self.backbone.annotate(inputs)

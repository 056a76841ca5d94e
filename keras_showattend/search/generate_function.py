"""The compiled searches of one captioner."""

import keras
import keras_hub

from keras_showattend.search.caption_search import CaptionSearch


class GenerateFunction:
    """Compiles one `CaptionSearch` for each set of settings, when it is first wanted.

    Args:
        backbone: a `ShowAttendBackbone`.
        tokenizer: a `CaptionTokenizer`.
        sampler: a `keras_hub.samplers.Sampler`. `BeamSampler` stands for this package's
            own beam search with its `num_beams`, `GreedySampler` for one beam.
        jit_compile, run_eagerly: as for `keras.Model.compile`.
    """

    def __init__(self, backbone, tokenizer, sampler, jit_compile="auto", run_eagerly=False):
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.sampler = sampler
        self.compile_options = {"jit_compile": jit_compile, "run_eagerly": run_eagerly}
        self._searches = {}

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
        if settings not in self._searches:
            search = CaptionSearch(
                self.backbone,
                self.tokenizer,
                max_length=max_length,
                num_beams=num_beams or 1,
                length_penalty=length_penalty,
                sampler=sampler,
            )
            search.compile(**self.compile_options)
            self._searches[settings] = search
        outputs = self._searches[settings].predict_on_batch(inputs)
        return {key: keras.ops.convert_to_numpy(value) for key, value in outputs.items()}

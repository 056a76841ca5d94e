"""What a captioner and an ensemble of captioners share: how they generate."""

from typing import Any

from keras_showattend.preprocessing.images import as_image_list
from keras_showattend.search import GenerateFunction, SearchOptions
from keras_showattend.search.generation import dataset_sources, hypotheses, stream_hypotheses


class CaptionGenerator:
    """Mixin that describes images with a backbone, a preprocessor and a search.

    The class that inherits it has the attributes below; its `compile` sets
    `generate_function` to None.
    """

    backbone: Any
    preprocessor: Any
    sampler: Any
    search_jit_compile: Any
    run_eagerly: Any
    generate_function: GenerateFunction | None

    def make_generate_function(self):
        """The compiled search; `compile` starts it afresh."""
        if self.generate_function is None:
            self.generate_function = GenerateFunction(
                self.backbone,
                self.preprocessor.tokenizer,
                self.sampler,
                jit_compile=self.search_jit_compile,
                run_eagerly=self.run_eagerly,
            )
        return self.generate_function

    def generate(
        self,
        images,
        max_length=None,
        num_beams=None,
        length_penalty=SearchOptions.length_penalty,
        no_repeat_ngram_size=SearchOptions.no_repeat_ngram_size,
        *,
        return_all_beams=False,
        capitalize=True,
        batch_size=16,
    ):
        """Describes one image or many.

        Args:
            images: one image or several: path, bytes of an image file, PIL image, uint8
                or float array [H, W, 3] with pixels in 0..255; a list of any of these,
                of any sizes; an array [B, H, W, 3]; a `tf.data.Dataset` of images; or a
                dict with `annotations` or `frozen_features`, as `ShowAttendBackbone.annotate`
                takes it.
            max_length: int. Most words; the preprocessor's `sequence_length` if None.
            num_beams: int. Beams of the search, 1 for greedy search. If None, what
                `compile(sampler=)` says.
            length_penalty: float. Beams are ranked by log-probability divided by this
                power of their length. Defaults to 0.9.
            no_repeat_ngram_size: int. Size of the groups of words that a caption may not hold
                twice: 2, the default, ends "a man in a hat and a hat"; 0 lets it.
            return_all_beams: bool. Whether all beams of an image are returned, best
                first, each a `CaptionHypothesis(text, log_probability, score)`.
            capitalize: bool. Whether captions begin with an upper-case letter.
            batch_size: int. Images that are encoded together.

        Returns:
            str for one image, a list of str in the images' order for several; with
            `return_all_beams` a list of `CaptionHypothesis` in place of each str.

        Raises:
            ImageError: if an image cannot be read; says which and what to do.
            ValueError: for a number of beams or words below 1.
        """
        options = self.search_options(
            max_length=max_length,
            num_beams=num_beams,
            length_penalty=length_penalty,
            no_repeat_ngram_size=no_repeat_ngram_size,
        )
        is_single = False
        if isinstance(images, dict) and {"annotations", "frozen_features"} & set(images):
            outputs = self.make_generate_function()(images, options)
            results = hypotheses(self.preprocessor, outputs, capitalize)
        else:
            if hasattr(images, "as_numpy_iterator"):
                sources = dataset_sources(images)
            else:
                sources, is_single = as_image_list(images)
            results = stream_hypotheses(
                self,
                sources,
                options,
                batch_size=batch_size,
                on_error="raise",
                capitalize=capitalize,
            )
        captions = [beams if return_all_beams else beams[0].text for beams in results]
        return captions[0] if is_single else captions

    def generate_stream(
        self,
        images,
        max_length=None,
        num_beams=None,
        length_penalty=SearchOptions.length_penalty,
        no_repeat_ngram_size=SearchOptions.no_repeat_ngram_size,
        *,
        capitalize=True,
        batch_size=16,
    ):
        """Describes any number of images with flat memory, going on after bad ones.

        Args:
            images: iterable of single images; see `generate`.
            max_length, num_beams, length_penalty, no_repeat_ngram_size, capitalize, batch_size:
                see `generate`.

        Yields:
            For each image, in order, a list of `CaptionHypothesis`, best first, or the
            `ImageError` that tells why it could not be read.
        """
        return stream_hypotheses(
            self,
            images,
            self.search_options(
                max_length=max_length,
                num_beams=num_beams,
                length_penalty=length_penalty,
                no_repeat_ngram_size=no_repeat_ngram_size,
            ),
            batch_size=batch_size,
            on_error="return",
            capitalize=capitalize,
        )

    def evaluate_captions(self, dataset, **options):
        """Captions a data set and scores the captions, with intervals and checks.

        Args:
            dataset: a `CaptionDataset` or a dict of `images` and `captions`.
            **options: see `keras_showattend.evaluation.evaluate_captions`.

        Returns:
            Dict that JSON can hold, with `scores`, `intervals`, `protocol`, `checks`,
            `warnings` and `images`.
        """
        # The package stands above `models`.
        from keras_showattend.evaluation import evaluate_captions

        return evaluate_captions(self, dataset, **options)

    def search_options(self, max_length=None, **options):
        """Settings of a search, those left out as `generate` has them.

        Args:
            max_length, **options: see `generate`.

        Returns:
            `SearchOptions`.

        Raises:
            ValueError: without a preprocessor, or for a value out of its range.
        """
        if self.preprocessor is None:
            raise ValueError(
                "`generate` needs a preprocessor to read images and write words. Give one to "
                "the constructor. Received: preprocessor=None"
            )
        if max_length is None:
            max_length = self.preprocessor.sequence_length
        return SearchOptions(max_length, **options)

"""`ImageCaptioner`: construct, train, generate, explain, evaluate, load, save, share."""

import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import keras_hub

from keras_showattend._config import without_keys
from keras_showattend._typing import PathLike, Tensor
from keras_showattend.data.features import FeatureCache, Features, open_cache
from keras_showattend.engines import KerasEncoder, OpenVinoEncoder, check_engine
from keras_showattend.engines.openvino import MIN_SAMPLES
from keras_showattend.evaluation import evaluate_captions
from keras_showattend.explain import Calibration, explain, load_calibration
from keras_showattend.export import export_captioner
from keras_showattend.export.check import can_export
from keras_showattend.export.engine import (
    EngineSearch,
    OnnxEncoder,
    onnxruntime_session,
)
from keras_showattend.models.backbone import ShowAttendBackbone, refuse_hdf5
from keras_showattend.preprocessing import ImageCaptionerPreprocessor
from keras_showattend.presets import Provenance, preset_names, resolve_preset
from keras_showattend.presets.loading import build_and_load
from keras_showattend.presets.provenance import origin_of, origins_of, read_origin
from keras_showattend.presets.saving import save_preset
from keras_showattend.presets.trust_config import check_config
from keras_showattend.search import CaptionHypothesis, SearchOptions
from keras_showattend.search.generation import Generation
from keras_showattend.training.augmentation import Augmentation
from keras_showattend.training.caption_batches import (
    CaptionBatches,
    EpochOrder,
    PreprocessedBatches,
)
from keras_showattend.training.losses import CaptionCrossentropy, doubly_stochastic_penalty
from keras_showattend.training.scheduled_sampling import ScheduledSampling
from keras_showattend.training.self_critical import fit_self_critical
from keras_showattend.training.stream_batches import stream_ends
from keras_showattend.training.training_batches import BatchSettings, training_batches


@keras.saving.register_keras_serializable(package="keras_showattend")
class ImageCaptioner(keras_hub.models.CausalLM):
    """Describes images in words; after "Show, Attend and Tell".

    Args:
        backbone: a `ShowAttendBackbone`.
        preprocessor: an `ImageCaptionerPreprocessor`, or None if you feed tensors.
        compile: bool. Whether the captioner is compiled with its defaults. Without it
            captions can be generated, by beam search, but nothing can be trained.
        **kwargs: `name`.

    Call arguments:
        inputs: dict of `token_ids` int32[B, T] and `images` float32[B, H, W, 3] or
            `annotations` float[B, L, D]; with `padding_mask` bool[B, T] where training
            has a doubly stochastic penalty or scheduled sampling.

    Returns:
        logits float32[B, T, V].

    Example:

    ```python
    captioner = ImageCaptioner.from_preset("vgg16_gru_flickr8k")
    captioner.generate("photo.jpg")
    captioner.fit({"images": ["a.jpg"], "captions": [["A dog runs.", "A dog on grass."]]})
    captioner.save_to_preset("my_captioner")
    ```
    """

    backbone_cls = ShowAttendBackbone
    preprocessor_cls = ImageCaptionerPreprocessor
    preprocessor: Any

    def __init__(
        self,
        backbone: ShowAttendBackbone,
        preprocessor: ImageCaptionerPreprocessor | None = None,
        compile: bool = True,
        **kwargs: Any,
    ) -> None:
        # KerasHub sets the parts first, for functional models. A model with a `call` of
        # its own would then lose sight of their weights on PyTorch.
        super().__init__(compile=False, **kwargs)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.dtype_policy = backbone.dtype_policy
        self.scheduled_sampling = ScheduledSampling()
        self.distillation: Any = None
        self.self_critical: Any = None
        self.calibration: Calibration | None = None
        self.provenance: Provenance | None = None
        self.generation = Generation(backbone, preprocessor)
        self.sampler = self.generation.search.sampler
        # The backbone has its weights already.
        self.built = True
        if compile:
            self.compile()

    def call(self, inputs: Mapping[str, Tensor], training: bool | None = None) -> Tensor:
        """Teacher forcing; see the class docstring."""
        token_ids = inputs["token_ids"]
        images = {
            "annotations": self.backbone.annotate(inputs, training),
            "image_index": inputs.get("image_index"),
        }
        if training and self.scheduled_sampling.rate:
            first = self.backbone.decoder(token_ids, **images, training=False)
            token_ids = self.scheduled_sampling(token_ids, first["logits"], inputs["padding_mask"])
        outputs = self.backbone.decoder(token_ids, **images, training=training)
        if training and self.doubly_stochastic_weight:
            penalty = doubly_stochastic_penalty(
                outputs["attention_weights"], inputs["padding_mask"]
            )
            self.add_loss(self.doubly_stochastic_weight * penalty)
        return outputs["logits"]

    # === Training ===

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        weighted_metrics: Any = "auto",
        sampler: Any = "beam",
        label_smoothing: float = 0.1,
        doubly_stochastic_weight: float = 0.0,
        scheduled_sampling: float = 0.0,
        distillation: Any = None,
        self_critical: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configures training and generation.

        Args:
            optimizer: `"auto"` is Adam at 1e-3 with gradients clipped to a global norm
                of 5.
            loss: `"auto"` is `CaptionCrossentropy(label_smoothing)`.
            weighted_metrics: `"auto"` is the accuracy of the next word. Use this and not
                `metrics`, which would count padding.
            sampler: as in KerasHub: `"beam"`, `"greedy"`, `"top_k"`, `"top_p"`,
                `"random"` or a `keras_hub.samplers.Sampler`. Beams are searched with
                this package's `beam_search`. Defaults to `"beam"`, 5 beams.
            label_smoothing: float in [0, 1), of the automatic loss. Defaults to 0.1.
            doubly_stochastic_weight: float. Weight of `doubly_stochastic_penalty`, the
                paper's lambda. Defaults to 0.
            scheduled_sampling: float in [0, 1]. Probability with which training reads a
                word drawn from the model in place of the caption's; see
                `ScheduledSampling`. It costs a second pass over the caption. Defaults to 0.
            distillation: a `Distillation`, whose teacher's words are learned as well, or
                None.
            self_critical: a `SelfCritical`, or None. `fit` then trains on the score of
                captions drawn from the model. `label_smoothing` has no effect; a learning
                rate of 1e-5 to 5e-5 works best.
            **kwargs: of `keras.Model.compile`; `jit_compile` holds for generation as well.

        Raises:
            ValueError: for `self_critical` together with `scheduled_sampling` or
                `distillation`.
        """
        if self_critical and (scheduled_sampling or distillation):
            raise ValueError(
                "Self-critical training reads captions as they were drawn, without a teacher. "
                "Leave out the other objectives. Received: self_critical with "
                f"scheduled_sampling={scheduled_sampling!r}, distillation={distillation!r}"
            )
        if optimizer == "auto":
            optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=5.0)
        if loss == "auto":
            # The weights of drawn captions are advantages, which may sum to 0: no mean.
            loss = (
                CaptionCrossentropy(
                    reduction="sum",
                    forbidden_ids=self.preprocessor.tokenizer.forbidden_token_ids,
                )
                if self_critical
                else CaptionCrossentropy(label_smoothing)
            )
        if weighted_metrics == "auto" and self_critical:
            weighted_metrics = []
        elif weighted_metrics == "auto":
            weighted_metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        super().compile(
            optimizer=optimizer,
            loss=loss,
            weighted_metrics=weighted_metrics,
            sampler=sampler,
            **kwargs,
        )
        self.doubly_stochastic_weight = doubly_stochastic_weight
        self.scheduled_sampling.rate = scheduled_sampling
        self.distillation = distillation
        self.self_critical = self_critical
        # As it was given: Keras resolves "auto" to what suits training.
        jit_compile = kwargs.get("jit_compile", "auto")
        self._renew_generation(jit_compile=jit_compile, run_eagerly=self.run_eagerly)

    def _renew_generation(self, **compile_options: Any) -> None:
        self.generation = Generation(
            self.backbone, self.preprocessor, self.sampler, **compile_options
        )

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Returns the loss of `compile`, with the teacher's part in training if there is one."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if training and self.distillation is not None:
            loss = self.distillation.mix(loss, x, y_pred, sample_weight)
        return loss

    def fit(
        self,
        x: Any = None,
        y: None = None,
        batch_size: int | None = None,
        sample_weight: Any = None,
        validation_data: Any = None,
        *,
        feature_cache: PathLike | FeatureCache | None = "auto",
        random_flip: bool = False,
        random_window: float = 1.0,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains on images and captions.

        While the image encoder is frozen (`backbone.image_encoder.trainable = False`, as
        after loading ImageNet weights), its features are computed once, kept on disk and
        used in every epoch.

        Args:
            x: a `CaptionDataset`; a `CaptionStream`, which is decoded and encoded anew in
                each epoch, each image with one of its captions; the path of a captions
                file that `read_captions_file` reads; a dict of `images` (paths or anything
                `generate` takes) and `captions` (a str or a list of str for each image); a
                `tf.data.Dataset` or
                `keras.utils.PyDataset` of batches of such dicts with one caption for each
                image, of pixels in 0..255. Image files that cannot be read are left out with
                a warning before anything slow begins, and captions that will be cut are
                counted; of a `tf.data.Dataset` the range of the first batch is checked.
            y: must be None.
            batch_size: int. Captions in a batch; 64 if None. Not with a
                `tf.data.Dataset` or `PyDataset`.
            sample_weight: must be None for a `CaptionDataset` or a dict.
            validation_data: any of the kinds of `x`.
            feature_cache: `"auto"`, the folder of the cache, a `FeatureCache`, or None to
                encode the images anew for each batch. Only for a `CaptionDataset` or a dict,
                and only while the encoder is frozen. `"auto"` is
                `$KERAS_SHOWATTEND_CACHE/features` or `~/.cache/keras_showattend`.
            random_flip: bool. Whether half of the images are mirrored at random; doubles
                the features to be computed. Wrong for captions that say left or right.
                Defaults to False.
            random_window: float in (0, 1]. Smallest fraction of height and width that a
                batch sees of its images, while a part of the encoder learns; see
                `ImageInputs`. Defaults to 1.
            augmentation: a `keras_showattend.training.Augmentation`, or None. Images are
                then decoded, varied and encoded anew for each batch; needs an encoder that
                learns, at least in part. Defaults to None.
            seed: int. Of the order of captions, of flips, windows, augmentation and drawn
                captions.
            **kwargs: of `keras.Model.fit`: `epochs`, `callbacks`, `verbose` and so on.

        Returns:
            `keras.callbacks.History`.

        Raises:
            DatasetError: if there is no usable image with a caption.
            ImageError: if no image can be read, or an array is no image of 0..255.
            OSError: if the feature cache cannot be written.
            ValueError: if `y` is given, or for data of another kind.
        """
        if y is not None:
            raise ValueError(
                "`fit` learns from the captions inside `x` and takes no labels. "
                f"Received: y={type(y)}"
            )
        if self.self_critical and validation_data is not None:
            raise ValueError(
                "Self-critical training has no validation loss. Score captions with the callback "
                "`CaptionScores`. Received: validation_data is not None"
            )
        options: dict[str, Any] = {
            "feature_cache": feature_cache,
            "batch_size": batch_size or BatchSettings.batch_size,
            "seed": seed,
        }
        data = training_batches(
            self,
            x,
            self_critical=self.self_critical,
            random_flip=random_flip,
            random_window=random_window,
            augmentation=augmentation,
            **options,
        )
        validation = training_batches(self, validation_data, shuffle=False, **options)
        if self.distillation is not None:
            self.distillation.prepare(data, feature_cache)
            self.provenance = origin_of(self).with_teachers(origins_of(self.distillation.teacher))
        # It was measured with the weights that are about to change.
        self.calibration = None
        if self.self_critical:
            return fit_self_critical(self, data, **kwargs)
        if not isinstance(data, PreprocessedBatches):
            # Shuffled by the seed or by the user; Keras would do it again, or warn.
            kwargs.setdefault("shuffle", False)
        if isinstance(data, CaptionBatches):
            callbacks = kwargs.get("callbacks") or []
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.append(EpochOrder(data))
            else:
                kwargs["callbacks"] = [*keras.tree.flatten(callbacks), EpochOrder(data)]
        if isinstance(data, keras.utils.PyDataset):
            # KerasHub would preprocess again what is preprocessed already.
            with stream_ends(validation_data):
                return keras.Model.fit(self, data, validation_data=validation, **kwargs)
        with stream_ends(x, validation_data):
            return super().fit(
                data,
                # A stream is in batches by now.
                batch_size=batch_size if data is x else None,
                sample_weight=sample_weight,
                validation_data=validation,
                **kwargs,
            )

    def evaluate(
        self,
        x: Any = None,
        y: None = None,
        batch_size: int | None = None,
        *,
        feature_cache: PathLike | FeatureCache | None = "auto",
        **kwargs: Any,
    ) -> Any:
        """Returns loss and metrics of teacher forcing, on any kind of data that `fit` takes."""
        if kwargs.get("_use_cached_eval_dataset"):
            return keras.Model.evaluate(self, x, y, batch_size, **kwargs)
        data = training_batches(
            self,
            x,
            shuffle=False,
            feature_cache=feature_cache,
            batch_size=batch_size or BatchSettings.batch_size,
        )
        if isinstance(data, keras.utils.PyDataset):
            return keras.Model.evaluate(self, data, **kwargs)
        with stream_ends(x):
            return super().evaluate(data, y, batch_size=batch_size if data is x else None, **kwargs)

    def cached_features(
        self,
        images: Sequence[Any],
        feature_cache: PathLike | FeatureCache | None = "auto",
        flip: bool = False,
    ) -> Features | None:
        """Returns what the frozen encoder gives for images, computed where it is not cached.

        Args:
            images: list of anything `generate` takes.
            feature_cache, flip: see `fit` and `FeatureCache.compute`.

        Returns:
            `Features`, or None if `feature_cache` is None or every layer of the encoder learns.
        """
        cache = open_cache(self, feature_cache)
        return None if cache is None else cache.compute(images, flip=flip)

    def feature_cache(self, directory: PathLike | None = None, dtype: Any = None) -> FeatureCache:
        """Opens the cache on disk for the frozen part of this captioner's encoder.

        Args:
            directory, dtype: see `FeatureCache`.

        Raises:
            ValueError: if all layers of the encoder learn.
        """
        encoder = self.backbone.image_encoder
        if encoder.last_frozen is None:
            raise ValueError(
                "Only frozen layers can be cached. Freeze the encoder, or a part of it with "
                "`image_encoder.unfreeze(after=...)`. Received: an encoder that learns as a whole"
            )
        return FeatureCache(
            encoder.part_until(encoder.last_frozen),
            self.preprocessor.image_converter,
            directory,
            dtype,
            spatial=encoder.trainable,
        )

    # === Generation ===

    def generate(
        self,
        images: Any,
        max_length: int | None = None,
        num_beams: int | None = None,
        length_penalty: float = SearchOptions.length_penalty,
        no_repeat_ngram_size: int = SearchOptions.no_repeat_ngram_size,
        *,
        cautious: float | None = None,
        return_all_beams: bool = False,
        capitalize: bool = True,
        batch_size: int = 16,
        on_error: str = "raise",
    ) -> Any:
        """Describes one image or many.

        Several threads may call it at once.

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
            no_repeat_ngram_size: int. Size of the n-grams that a caption may not hold
                twice: 2, the default, ends "a man in a hat and a hat"; 0 allows it.
            cautious: float in 0..1, or None. Least confidence of a word: captions with words
                below it are reworded so that they say less and err less. Needs a calibration
                of words. Defaults to None.
            return_all_beams: bool. Whether all beams of an image are returned, best
                first, each a `CaptionHypothesis`; the best one is assessed where the
                captioner carries a calibration.
            capitalize: bool. Whether captions begin with an upper-case letter.
            batch_size: int. Images that are encoded together.
            on_error: `"raise"`, or `"skip"` to give None in place of the caption of an
                image that cannot be read. `generate_stream` gives the error itself.

        Returns:
            str for one image, a list of str in the images' order for several; with
            `return_all_beams` a list of `CaptionHypothesis` in place of each str.

        Raises:
            ImageError: if an image cannot be read; says which and what to do.
            ValueError: for a number of beams, words or images in a batch below 1, or for
                `cautious` without a calibration of words.
        """
        return self.generation.generate(
            images,
            max_length=max_length,
            num_beams=num_beams,
            length_penalty=length_penalty,
            no_repeat_ngram_size=no_repeat_ngram_size,
            cautious=cautious,
            assessor=self.calibration,
            return_all_beams=return_all_beams,
            capitalize=capitalize,
            batch_size=batch_size,
            on_error=on_error,
        )

    def generate_stream(
        self,
        images: Iterable[Any],
        max_length: int | None = None,
        num_beams: int | None = None,
        length_penalty: float = SearchOptions.length_penalty,
        no_repeat_ngram_size: int = SearchOptions.no_repeat_ngram_size,
        *,
        cautious: float | None = None,
        capitalize: bool = True,
        batch_size: int = 16,
    ) -> Iterator[list[CaptionHypothesis] | Exception]:
        """Describes any number of images with flat memory, and continues after bad ones.

        Args:
            images: iterable of single images; see `generate`.
            max_length, num_beams, length_penalty, no_repeat_ngram_size, cautious, capitalize,
                batch_size: see `generate`.

        Yields:
            For each image, in order, a list of `CaptionHypothesis`, best first, or the
            `ImageError` that tells why it could not be read.
        """
        return self.generation.stream(
            images,
            max_length=max_length,
            num_beams=num_beams,
            length_penalty=length_penalty,
            no_repeat_ngram_size=no_repeat_ngram_size,
            cautious=cautious,
            assessor=self.calibration,
            capitalize=capitalize,
            batch_size=batch_size,
        )

    def search_options(self, max_length: int | None = None, **options: Any) -> SearchOptions:
        """Returns the settings of a search, with the defaults of `generate`.

        Args:
            max_length, **options: see `generate`.

        Raises:
            ValueError: without a preprocessor, or for a value out of its range.
        """
        return self.generation.options(max_length, **options)

    def use_engine(self, engine: str, samples: Sequence[Any] = (), *, dtype: Any = None) -> None:
        """Chooses what computes when captions are generated.

        An engine other than `use_engine("keras")` keeps a copy of the weights as they are
        now, until `compile` or another `use_engine`.

        Args:
            engine: `"keras"`, the backend; `"onnxruntime"`, which runs encoder and beam
                search on the CPU as an exported captioner does, with the same captions;
                or `"openvino"`, which computes the encoder in 8-bit integers on the CPU:
                about four times as fast as float32, with other words in some captions.
            samples: for `"openvino"`: a list of 16 images or more, of the kind that will
                be captioned; see `generate`. They give it the range of the numbers.
            dtype: for `"keras"`: dtype policy of the encoder, such as `"mixed_bfloat16"`,
                twice as fast as float32 on CPUs that compute in it; the search stays in
                the captioner's own. None is the captioner's own for both.

        Raises:
            ModuleNotFoundError: if the engine is not installed; says how to install it.
            ValueError: for an unknown engine, too few samples, an engine other than
                `"keras"` with a `dtype`, or on a backend that it cannot read: `"openvino"`
                on JAX, `"onnxruntime"` on all but TensorFlow.
        """
        check_engine(engine, dtype)
        encoder = self.backbone.image_encoder
        search = self.generation.search
        if engine == "keras":
            options = search.compile_options
            search.engine = None if dtype is None else KerasEncoder(encoder, dtype, **options)
            search.search_engine = None
            return
        if engine == "onnxruntime":
            search.engine = OnnxEncoder(encoder, self.backbone.image_shape)
            search.search_engine = EngineSearch(
                self.backbone, self.preprocessor.tokenizer, onnxruntime_session
            )
            return
        if len(samples) < MIN_SAMPLES:
            raise ValueError(
                f"The engine {engine!r} needs `samples`, at least {MIN_SAMPLES} images of the "
                f"kind that will be captioned. Received: {len(samples)}"
            )
        images = self.preprocessor.convert_images(list(samples))
        search.engine = OpenVinoEncoder(encoder, images)
        search.search_engine = None
        if keras.backend.backend() == "tensorflow" and can_export("onnx"):
            # For a single image twice as fast as Keras, for a batch as fast.
            search.search_engine = EngineSearch(
                self.backbone, self.preprocessor.tokenizer, onnxruntime_session
            )

    def quantize(
        self,
        mode: str | None = None,
        config: Any = None,
        filters: Any = None,
        **kwargs: Any,
    ) -> None:
        """Quantizes the weights of the dense layers and the embedding, in place.

        Convolutions stay as they are: Keras does not quantize them; see
        `use_engine("openvino")` for an image encoder in 8-bit integers. A calibration is
        dropped, as it was measured with other weights.

        Args:
            mode, config, **kwargs: as for `keras.Model.quantize`, e.g. `"int8"`.
            filters: as for `keras.Model.quantize`. None is all layers of these kinds.
        """
        super().quantize(mode, config=config, filters=filters or _can_be_quantized, **kwargs)
        self.calibration = None
        self._renew_generation(**self.generation.search.compile_options)

    # === Explanation and scores ===

    def explain(self, image: Any, **options: Any) -> Any:
        """Captions images and shows where each word looked and how probable it was.

        Args:
            image: one image, or a list of a batch of them; see `generate`.
            **options: `num_beams`, `length_penalty`, `no_repeat_ngram_size`, `max_length`,
                `cautious`, `capitalize` as for `generate`, and `caption` to explain a sentence
                of yours.

        Returns:
            `keras_showattend.explain.Explanation`, which plots itself, or a list of them for
            a list of images; its caption is the one that `generate` gives with the same
            options.
        """
        return explain(self, image, **options)

    def evaluate_captions(self, dataset: Any, **options: Any) -> dict[str, Any]:
        """Captions a dataset and scores the captions, with intervals and checks.

        Args:
            dataset: a `CaptionDataset` or a dict of `images` and `captions`.
            **options: see `keras_showattend.evaluation.evaluate_captions`.

        Returns:
            Dict that JSON can hold, with `scores`, `intervals`, `protocol`, `checks`,
            `warnings` and `images`.
        """
        return evaluate_captions(self, dataset, **options)

    # === Loading, saving, sharing ===

    presets = preset_names

    @classmethod
    def from_preset(
        cls, preset: PathLike, load_weights: bool = True, **kwargs: Any
    ) -> "ImageCaptioner":
        """Loads a captioner.

        Args:
            preset: name of a bundled preset (`ImageCaptioner.presets` lists them), path
                of a folder that `save_to_preset` wrote, or a handle such as
                `"hf://user/name"` or `"hf://user/name@revision"`.
            load_weights: bool. False gives the same architecture with fresh weights.
            **kwargs: `dtype` or policy of the computation, e.g. `"mixed_bfloat16"`.

        Raises:
            ValueError: for an unknown name, a folder that is incomplete or newer than this
                package, or a `dtype` for a preset with quantized weights.
        """
        folder = resolve_preset(preset)
        # An optimizer makes its variables at once; those of the model come later.
        compile = kwargs.pop("compile", True)
        build = super().from_preset
        captioner = build_and_load(
            lambda **options: build(
                folder, load_weights=False, compile=False, **{**kwargs, **options}
            ),
            folder,
            load_weights,
            kwargs.get("dtype"),
        )
        if compile:
            captioner.compile()
        if load_weights:
            captioner.calibration = load_calibration(folder)
            captioner.provenance = read_origin(captioner, folder)
        return captioner

    def save_to_preset(
        self, preset_dir: PathLike, max_shard_size: float = 10, weights_dtype: str | None = None
    ) -> None:
        """Saves everything that `from_preset` needs into a folder.

        Args:
            preset_dir: path of the folder, made if need be. Files of an older preset in
                it are replaced when all new ones are complete.
            max_shard_size: float. Largest weight file in GB.
            weights_dtype: `"float16"` to store weights in half the space; computation
                stays in the captioner's own dtype. None stores weights that have not changed
                since they were loaded as they were stored, and others in their dtype.

        Raises:
            BlockingIOError: if another process is saving there.
            OSError: if the disk has no room; the old preset is as it was.
            ValueError: for a captioner that `from_preset` would refuse, such as one with a
                `Lambda` layer; the old preset is as it was.
        """
        self.check_can_be_saved(preset_dir)

        def write(folder: str) -> None:
            super(ImageCaptioner, self).save_to_preset(folder, max_shard_size=max_shard_size)
            if self.calibration is not None:
                self.calibration.save(folder)

        save_preset(self, write, preset_dir, weights_dtype)

    def check_can_be_saved(self, preset_dir: PathLike) -> None:
        """Refuses what `save_to_preset` would refuse, such as before hours of training.

        Args:
            preset_dir: path of the folder, for the error.

        Raises:
            ValueError: for a captioner that `from_preset` would not load.
        """
        config = keras.saving.serialize_keras_object(self)
        # KerasHub leaves these out of presets.
        config = without_keys(config, ("compile_config", "build_config"))
        try:
            check_config(config, pathlib.Path(preset_dir))
        except ValueError as error:
            raise ValueError(
                "A captioner is saved only if `from_preset` loads it again. Build its encoder "
                "from layers of Keras or KerasHub, or from your own that are registered with "
                "`keras.saving.register_keras_serializable`; `captioner.save('name.keras')` "
                f"takes any layer. Received: {error}"
            ) from error

    def save(self, filepath: PathLike, *args: Any, **kwargs: Any) -> None:
        """Saves a `.keras` file, for `keras.saving.load_model`; see `keras.Model.save`.

        Unlike a preset it holds the state of the optimizer. Import `keras` and then
        `keras_showattend` before loading it.

        Raises:
            ValueError: for a file of the older HDF5 format.
        """
        refuse_hdf5(filepath)
        super().save(filepath, *args, **kwargs)

    def save_assets(self, dir_path: PathLike) -> None:
        """Writes what a `.keras` file holds besides weights: the calibration and the origin."""
        origin_of(self).save(dir_path)
        if self.calibration is not None:
            self.calibration.save(dir_path)

    def load_assets(self, dir_path: PathLike) -> None:
        """Reads what `save_assets` wrote."""
        self.calibration = load_calibration(dir_path)
        self.provenance = Provenance.load(dir_path)

    def export(
        self,
        filepath: PathLike,
        format: str | None = None,
        *,
        quantization: str | None = None,
        **search_options: Any,
    ) -> None:
        """Writes the whole captioner, its search included, for another runtime.

        The file takes uint8[B, H, W, 3], RGB images of any size, and gives ranked token ids
        with their probabilities and attention maps; `ExportedCaptioner` runs it.

        Args:
            filepath: path of the file, whose folder must exist; for a SavedModel that of a folder,
                new or empty, which is made with those above it.
            format: `"onnx"`; `"openvino"`, a `.xml` file and a `.bin` file beside it;
                `"litert"`, a `.tflite` file; `"tf_saved_model"`, a folder. None is what the
                name of the file ends in.
            quantization: how weights are stored: None, in float32; `"float16"`, in half the
                space; `"int8"`, in a quarter of it. Not for a SavedModel. Defaults to None.
            **search_options: `num_beams`, `max_length`, `length_penalty` and
                `no_repeat_ngram_size` of `generate`, fixed in the file.

        Raises:
            ModuleNotFoundError: if a package is missing; says how to install it.
            OSError: if the folder does not exist or has no room; an old file is as it was.
            ValueError: for an unknown format, options out of range, a SavedModel where there is
                something, or on another backend than TensorFlow.
        """
        export_captioner(self, filepath, format, quantization=quantization, **search_options)

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:
        """Publishes the captioner on the Hugging Face Hub.

        Args:
            repo_id: `"user/name"`.
            **options: `private`, `token`, `revision`, `message`, `dry_run`, `evaluation`
                and so on; see `keras_showattend.hub.push_to_hub`.

        Returns:
            Address of the repository, or with `dry_run` a listing of what would be sent.
        """
        # Imported here, because few users need the client of the Hub.
        from keras_showattend.hub import push_to_hub

        return push_to_hub(self, repo_id, **options)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns what `.keras` files keep of `compile`: all but the teacher of `Distillation`."""
        if not self.compiled:
            return {}
        names = ("optimizer", "loss", "sampler", "self_critical")
        return {
            **{name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names},
            "doubly_stochastic_weight": self.doubly_stochastic_weight,
            "scheduled_sampling": self.scheduled_sampling.rate,
            "has_optimizer_state": self.optimizer.built,
        }

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles as `get_compile_config` says."""
        config = dict(config)
        has_optimizer_state = config.pop("has_optimizer_state")
        for name in ("optimizer", "loss", "self_critical"):
            config[name] = keras.saving.deserialize_keras_object(config.get(name))
        config["sampler"] = keras_hub.samplers.get(config["sampler"])
        self.compile(**config)
        if has_optimizer_state:
            # It is loaded next and needs variables to go into.
            self.optimizer.build(self.trainable_variables)


def _can_be_quantized(layer: keras.layers.Layer) -> bool:
    kinds = keras.layers.Dense | keras.layers.EinsumDense | keras.layers.Embedding
    return isinstance(layer, kinds)

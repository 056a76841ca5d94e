"""The part of `ImageCaptioner` that trains: compile, fit, evaluate."""

import keras
import keras_hub

from keras_showattend.data.features import FeatureCache, open_cache
from keras_showattend.models.backbone import ShowAttendBackbone
from keras_showattend.preprocessing import ImageCaptionerPreprocessor
from keras_showattend.training.caption_batches import PreprocessedBatches
from keras_showattend.training.losses import CaptionCrossentropy, doubly_stochastic_penalty
from keras_showattend.training.scheduled_sampling import ScheduledSampling
from keras_showattend.training.self_critical_loop import fit_self_critical
from keras_showattend.training.training_batches import training_batches


class TrainableCaptioner(keras_hub.models.CausalLM):
    """A captioner that can be trained; `ImageCaptioner` adds how it generates."""

    backbone_cls = ShowAttendBackbone
    preprocessor_cls = ImageCaptionerPreprocessor
    distillation = None
    self_critical = None
    calibration = None
    """`keras_showattend.explain.Calibration` of the confidence, where a preset has one."""

    def __init__(self, backbone, preprocessor=None, compile=True, **kwargs):
        # KerasHub sets the parts first, for functional models. A model with a `call` of
        # its own would then lose sight of their weights on PyTorch.
        super().__init__(compile=False, **kwargs)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.dtype_policy = backbone.dtype_policy
        self.scheduled_sampling = ScheduledSampling()
        # A backbone has its weights from the start.
        self.built = True
        if compile:
            self.compile()

    def call(self, inputs, training=None):
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

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        *,
        weighted_metrics="auto",
        sampler="beam",
        label_smoothing=0.1,
        doubly_stochastic_weight=0.0,
        scheduled_sampling=0.0,
        distillation=None,
        self_critical=None,
        **kwargs,
    ):
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
            scheduled_sampling: float in [0, 1]. Probability with which training reads a word
                that the model drew in place of the caption's; see `ScheduledSampling`. It
                takes a second pass over the caption. Defaults to 0.
            distillation: a `Distillation`, whose teacher's words are learned, too, or None.
            self_critical: a `SelfCritical`, or None. `fit` then trains on the score of
                captions drawn from the model; `label_smoothing` has no meaning, and the
                learning rate is best a small one, 1e-5 to 5e-5.
            **kwargs: of `keras.Model.compile`; `jit_compile` holds for generation, too.

        Raises:
            ValueError: for `self_critical` together with one of the two before it.
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
            # Weights that say how good a caption is do not sum up to anything.
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
        # As it was given: Keras resolves "auto" to what suits training.
        self.search_jit_compile = kwargs.get("jit_compile", "auto")
        self.doubly_stochastic_weight = doubly_stochastic_weight
        self.scheduled_sampling.rate = scheduled_sampling
        self.distillation = distillation
        self.self_critical = self_critical

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of `compile`, in training with the teacher's part if there is one."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if training and self.distillation is not None:
            loss = self.distillation.mix(loss, x, y_pred, sample_weight)
        return loss

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        sample_weight=None,
        validation_data=None,
        *,
        feature_cache="auto",
        random_flip=False,
        random_window=1.0,
        seed=0,
        **kwargs,
    ):
        """Trains on images and captions.

        While the image encoder is frozen (`backbone.image_encoder.trainable = False`, as
        after loading ImageNet weights), its features are computed once, kept on disk and
        used in every epoch.

        Args:
            x: a `CaptionDataset`; a dict of `images` (paths or anything `generate`
                takes) and `captions` (a str or a list of str for each image); a
                `tf.data.Dataset` or `keras.utils.PyDataset` of batches of such dicts
                with one caption for each image.
            y: must be None.
            batch_size: int. Captions in a batch; 64 if None. Not with a
                `tf.data.Dataset` or `PyDataset`.
            sample_weight: must be None for a `CaptionDataset` or a dict.
            validation_data: any of the kinds of `x`.
            feature_cache: `"auto"`, the folder of the cache, a `FeatureCache`, or None to
                encode the images anew for each batch. Only for a `CaptionDataset` or a dict, and
                only while the encoder is frozen. `"auto"` is
                `$KERAS_SHOWATTEND_CACHE/features` or `~/.cache/keras_showattend`.
            random_flip: bool. Whether half of the images are mirrored by chance; doubles
                the features to be computed. Wrong for captions that say left or right.
                Defaults to False.
            random_window: float in (0, 1]. Smallest share of height and width that a batch
                sees of its images, while a part of the encoder learns; see `ImageInputs`.
                Defaults to 1.
            seed: int. Of the order of captions, of flips, windows and drawn captions.
            **kwargs: of `keras.Model.fit`: `epochs`, `callbacks`, `verbose` and so on.

        Returns:
            `keras.callbacks.History`.

        Raises:
            DatasetError: if a dict holds no usable image with a caption.
            ImageError: if an image cannot be read.
            ValueError: if `y` is given.
        """
        if y is not None:
            raise ValueError(
                "`fit` learns from the captions inside `x` and takes no labels. "
                f"Received: y={type(y)}"
            )
        # What was measured of the confidence no longer holds for other weights.
        self.calibration = None
        if self.self_critical and validation_data is not None:
            raise ValueError(
                "Self-critical training has no validation loss. Score captions with the callback "
                "`CaptionScores`. Received: validation_data is not None"
            )
        options = {"feature_cache": feature_cache, "batch_size": batch_size or 64, "seed": seed}
        data = training_batches(
            self,
            x,
            self_critical=self.self_critical,
            random_flip=random_flip,
            random_window=random_window,
            **options,
        )
        if self.self_critical:
            return fit_self_critical(self, data, **kwargs)
        validation = training_batches(self, validation_data, shuffle=False, **options)
        if self.distillation is not None:
            self.distillation.prepare(data, feature_cache)
        if not isinstance(data, PreprocessedBatches):
            # Shuffled by the seed or by the user; Keras would do it again, or warn.
            kwargs.setdefault("shuffle", False)
        if isinstance(data, keras.utils.PyDataset):
            # KerasHub would preprocess again what is preprocessed already.
            return keras.Model.fit(self, data, validation_data=validation, **kwargs)
        return super().fit(
            data,
            batch_size=batch_size,
            sample_weight=sample_weight,
            validation_data=validation,
            **kwargs,
        )

    def evaluate(self, x=None, y=None, batch_size=None, *, feature_cache="auto", **kwargs):
        """Loss and metrics of teacher forcing, on any kind of data that `fit` takes."""
        if kwargs.get("_use_cached_eval_dataset"):
            return keras.Model.evaluate(self, x, y, batch_size, **kwargs)
        data = training_batches(
            self, x, shuffle=False, feature_cache=feature_cache, batch_size=batch_size or 64
        )
        if isinstance(data, keras.utils.PyDataset):
            return keras.Model.evaluate(self, data, **kwargs)
        return super().evaluate(data, y, batch_size=batch_size, **kwargs)

    def cached_features(self, images, feature_cache="auto", flip=False):
        """What the frozen encoder gives for images, computed where it is not in the cache.

        Args:
            images: list of anything `generate` takes.
            feature_cache, flip: see `fit` and `FeatureCache.compute`.

        Returns:
            `Features`, or None if `feature_cache` is None or every layer of the encoder learns.
        """
        cache = open_cache(self, feature_cache)
        return None if cache is None else cache.compute(images, flip=flip)

    def feature_cache(self, directory=None, dtype=None):
        """The on-disk cache of what does not learn in this captioner's encoder.

        Args:
            directory, dtype: see `FeatureCache`.

        Raises:
            ValueError: if all layers of the encoder learn.
        """
        encoder = self.backbone.image_encoder
        if encoder.last_frozen is None:
            raise ValueError(
                "Only what is frozen can be kept. Freeze the encoder, or a part of it with "
                "`image_encoder.unfreeze(after=...)`. Received: an encoder that learns as a whole"
            )
        return FeatureCache(
            encoder.part_until(encoder.last_frozen),
            self.preprocessor.image_converter,
            directory,
            dtype,
            spatial=encoder.trainable,
        )

    def get_compile_config(self):
        """What `.keras` files keep of `compile`: all but the teacher of a `Distillation`."""
        names = ("optimizer", "loss", "sampler", "self_critical")
        return {
            **{name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names},
            "doubly_stochastic_weight": self.doubly_stochastic_weight,
            "scheduled_sampling": self.scheduled_sampling.rate,
            "has_optimizer_state": self.optimizer.built,
        }

    def compile_from_config(self, config):
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

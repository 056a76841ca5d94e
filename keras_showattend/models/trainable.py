"""The part of `ImageCaptioner` that trains: compile, fit, evaluate."""

import keras
import keras_hub

from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.data.features import FeatureCache, open_cache
from keras_showattend.models.backbone import ShowAttendBackbone
from keras_showattend.preprocessing import ImageCaptionerPreprocessor
from keras_showattend.search import GenerateFunction
from keras_showattend.training.caption_batches import CaptionBatches, PreprocessedBatches
from keras_showattend.training.losses import CaptionCrossentropy, doubly_stochastic_penalty


class TrainableCaptioner(keras_hub.models.CausalLM):
    """A captioner that can be trained; `ImageCaptioner` adds how it generates."""

    backbone_cls = ShowAttendBackbone
    preprocessor_cls = ImageCaptionerPreprocessor
    generate_function: GenerateFunction | None
    calibration = None
    """`keras_showattend.explain.Calibration` of the confidence, where a preset has one."""

    def __init__(self, backbone, preprocessor=None, compile=True, **kwargs):
        # KerasHub sets the parts first, for functional models. A model with a `call` of
        # its own would then lose sight of their weights on PyTorch.
        super().__init__(compile=False, **kwargs)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.dtype_policy = backbone.dtype_policy
        # A backbone has its weights from the start.
        self.built = True
        if compile:
            self.compile()

    def call(self, inputs, training=None):
        """Teacher forcing; see the class docstring."""
        outputs = self.backbone.decoder(
            inputs["token_ids"],
            self.backbone.annotate(inputs, training),
            image_index=inputs.get("image_index"),
            training=training,
        )
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
            **kwargs: of `keras.Model.compile`.
        """
        if optimizer == "auto":
            optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=5.0)
        if loss == "auto":
            loss = CaptionCrossentropy(label_smoothing)
        if weighted_metrics == "auto":
            weighted_metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        super().compile(
            optimizer=optimizer,
            loss=loss,
            weighted_metrics=weighted_metrics,
            sampler=sampler,
            **kwargs,
        )
        self.doubly_stochastic_weight = doubly_stochastic_weight

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
            seed: int. Of the order of captions and of flips.
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
        options = {"feature_cache": feature_cache, "batch_size": batch_size or 64, "seed": seed}
        data = self._batches(x, random_flip=random_flip, **options)
        validation = self._batches(validation_data, shuffle=False, **options)
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
        data = self._batches(
            x, shuffle=False, feature_cache=feature_cache, batch_size=batch_size or 64
        )
        if isinstance(data, keras.utils.PyDataset):
            return keras.Model.evaluate(self, data, **kwargs)
        return super().evaluate(data, y, batch_size=batch_size, **kwargs)

    def _batches(self, data, *, feature_cache, batch_size, **options):
        if isinstance(data, CaptionBatches | PreprocessedBatches):
            return data
        if isinstance(data, keras.utils.PyDataset):
            return PreprocessedBatches(data, self.preprocess_samples)
        if isinstance(data, dict) and {"images", "captions"} <= set(data):
            data = CaptionDataset.from_dict(data)
        if not isinstance(data, CaptionDataset):
            return data
        features = None
        if feature_cache is not None and not self.backbone.image_encoder.trainable:
            features = open_cache(self, feature_cache).compute(
                data.images, flip=options.get("random_flip", False)
            )
        return CaptionBatches(
            data, self.preprocessor, features=features, batch_size=batch_size, **options
        )

    def feature_cache(self, directory=None, dtype=None):
        """The on-disk cache of this captioner's encoder; see `FeatureCache`."""
        return FeatureCache(
            self.backbone.image_encoder, self.preprocessor.image_converter, directory, dtype
        )

    def get_compile_config(self):
        """What `.keras` files keep of `compile`; KerasHub's would lose the sampler."""
        return {
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
            "loss": keras.saving.serialize_keras_object(self.loss),
            "sampler": keras.saving.serialize_keras_object(self.sampler),
            "doubly_stochastic_weight": self.doubly_stochastic_weight,
            "has_optimizer_state": self.optimizer.built,
        }

    def compile_from_config(self, config):
        """Compiles as `get_compile_config` says."""
        config = dict(config)
        has_optimizer_state = config.pop("has_optimizer_state")
        config["optimizer"] = keras.saving.deserialize_keras_object(config["optimizer"])
        config["loss"] = keras.saving.deserialize_keras_object(config["loss"])
        config["sampler"] = keras_hub.samplers.get(config["sampler"])
        self.compile(**config)
        if has_optimizer_state:
            # It is loaded next and needs variables to go into.
            self.optimizer.build(self.trainable_variables)

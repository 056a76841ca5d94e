"""Several captioners that choose each word together."""

import keras_hub

from keras_showattend.data.features import FeatureCache
from keras_showattend.models.caption_generator import CaptionGenerator
from keras_showattend.models.ensemble_backbone import EnsembleBackbone, pixel_change
from keras_showattend.models.members import as_shares, load_members


class CaptionerEnsemble(CaptionGenerator):
    """Captioners that generate as one: each word is chosen by their mean probabilities.

    Encoders, decoders and sizes may differ; the vocabulary, and how pictures are resized,
    may not. Members whose encoders are the same network with the same weights share its
    work. Make an ensemble of captioners whose training is over.

    Args:
        captioners: list of `ImageCaptioner`, or of what `ImageCaptioner.from_preset`
            takes.
        weights: list of positive floats, the members' say; they are scaled to add up to 1.
            Defaults to equal shares.

    Raises:
        ValueError: for vocabularies or sizes of pictures that differ, or `weights` that do
            not fit.

    Example:

    ```python
    ensemble = CaptionerEnsemble(["my_gru", "my_lstm"])
    ensemble.generate("photo.jpg", num_beams=5)
    ```
    """

    def __init__(self, captioners, weights=None):
        shares = as_shares(weights, len(captioners))
        members = load_members(captioners)
        # Resizing and cutting captions follow the first.
        self.preprocessor = members[0].preprocessor
        encoders = [
            (member.backbone.image_encoder, member.preprocessor.image_converter)
            for member in members
        ]
        changes = [pixel_change(encoders[0][1], converter) for _, converter in encoders]
        keys = [FeatureCache(*encoder).encoder_key for encoder in encoders]
        distinct = list(dict.fromkeys(keys))
        firsts = [keys.index(key) for key in distinct]
        self._encoders = [encoders[first] for first in firsts]
        self.backbone = EnsembleBackbone(
            [member.backbone for member in members],
            shares,
            encoder_index=[distinct.index(key) for key in keys],
            pixel_changes=[changes[first] for first in firsts],
        )
        self.compile()

    def compile(self, sampler="beam", jit_compile="auto", run_eagerly=False):
        """Configures generation.

        Args:
            sampler: see `ImageCaptioner.compile`. Defaults to `"beam"`, 5 beams.
            jit_compile, run_eagerly: as for `keras.Model.compile`.
        """
        self.sampler = keras_hub.samplers.get(sampler)
        self.search_jit_compile = jit_compile
        self.run_eagerly = run_eagerly
        self.generate_function = None

    def cached_features(self, images, feature_cache="auto"):
        """Annotations of images by each of the different encoders.

        Args:
            images: list of anything `generate` takes.
            feature_cache: as for `ImageCaptioner.fit`; of a `FeatureCache` the folder and
                the dtype are taken.

        Returns:
            `EnsembleFeatures`, or None if `feature_cache` is None.
        """
        if feature_cache is None:
            return None
        folder, dtype = (None if feature_cache == "auto" else feature_cache), None
        if isinstance(feature_cache, FeatureCache):
            folder = feature_cache.directory.parent
            dtype = feature_cache.encoder.dtype_policy
        caches = [FeatureCache(*encoder, folder, dtype) for encoder in self._encoders]
        return EnsembleFeatures([cache.compute(images) for cache in caches])


class EnsembleFeatures:
    """The annotations of a list of images by several encoders.

    Args:
        features: list of `Features` of the same images.
    """

    input_name = "annotations"
    grid_shape = None
    has_flipped = False

    def __init__(self, features):
        self.features = list(features)

    def __len__(self):
        return len(self.features[0])

    def gather(self, indices, flips=None):
        """Tuple of float16[B, L_i, D_i]; see `Features.gather`."""
        return tuple(features.gather(indices) for features in self.features)

"""`CaptionerEnsemble`: several captioners that choose each word together."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from keras_showattend._typing import Array, PathLike
from keras_showattend.data.features import (
    FeatureCache,
    Features,
    encoder_digest,
    folder_and_dtype,
)
from keras_showattend.evaluation import evaluate_captions
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.models.ensemble_backbone import EnsembleBackbone, pixel_change
from keras_showattend.models.members import load_members, normalize_weights
from keras_showattend.presets.provenance import origin_of
from keras_showattend.search import CaptionHypothesis, SearchOptions
from keras_showattend.search.generation import Generation


class CaptionerEnsemble:
    """Captioners that generate as one: each word is chosen by their mean probabilities.

    Encoders, decoders and sizes may differ; the vocabulary, and how images are resized,
    may not. Members whose encoders have the same layers and weights share one. Train the
    members first: an ensemble cannot be trained.

    Args:
        captioners: list of `ImageCaptioner`, or of what `ImageCaptioner.from_preset`
            takes.
        weights: list of positive floats, one for each member, scaled to sum to 1.
            Defaults to equal weights.

    Raises:
        ValueError: for vocabularies or image sizes that differ, or `weights` that do not
            fit.

    Example:

    ```python
    ensemble = CaptionerEnsemble(["my_gru", "my_lstm"])
    ensemble.generate("photo.jpg", num_beams=5)
    ```
    """

    def __init__(
        self,
        captioners: Sequence[ImageCaptioner | PathLike],
        weights: Sequence[float] | None = None,
    ) -> None:
        member_weights = normalize_weights(weights, len(captioners))
        members = load_members(captioners)
        # Image size and caption length are those of the first member.
        self.preprocessor = members[0].preprocessor
        self.origins = [origin_of(member) for member in members]
        encoders = [
            (member.backbone.image_encoder, member.preprocessor.image_converter)
            for member in members
        ]
        changes = [pixel_change(encoders[0][1], converter) for _, converter in encoders]
        keys = [encoder_digest(*encoder) for encoder in encoders]
        distinct = list(dict.fromkeys(keys))
        firsts = [keys.index(key) for key in distinct]
        self._encoders = [encoders[first] for first in firsts]
        self.backbone = EnsembleBackbone(
            [member.backbone for member in members],
            member_weights,
            encoder_index=[distinct.index(key) for key in keys],
            pixel_changes=[changes[first] for first in firsts],
        )
        self.compile()

    def compile(
        self, sampler: Any = "beam", jit_compile: bool | str = "auto", run_eagerly: bool = False
    ) -> None:
        """Configures generation.

        Args:
            sampler: see `ImageCaptioner.compile`. Defaults to `"beam"`, 5 beams.
            jit_compile, run_eagerly: as for `keras.Model.compile`.
        """
        self.generation = Generation(
            self.backbone, self.preprocessor, sampler, jit_compile, run_eagerly
        )
        self.sampler = self.generation.search.sampler

    def generate(
        self,
        images: Any,
        max_length: int | None = None,
        num_beams: int | None = None,
        **options: Any,
    ) -> Any:
        """Describes one image or many; see `ImageCaptioner.generate`."""
        return self.generation.generate(
            images, max_length=max_length, num_beams=num_beams, **options
        )

    def generate_stream(
        self,
        images: Iterable[Any],
        max_length: int | None = None,
        num_beams: int | None = None,
        **options: Any,
    ) -> Iterator[list[CaptionHypothesis] | Exception]:
        """Describes any number of images; see `ImageCaptioner.generate_stream`."""
        return self.generation.stream(images, max_length=max_length, num_beams=num_beams, **options)

    def search_options(self, max_length: int | None = None, **options: Any) -> SearchOptions:
        """Returns the settings of a search; see `ImageCaptioner.search_options`."""
        return self.generation.options(max_length, **options)

    def evaluate_captions(self, dataset: Any, **options: Any) -> dict[str, Any]:
        """Captions a dataset and scores the captions; see `ImageCaptioner.evaluate_captions`."""
        return evaluate_captions(self, dataset, **options)

    def cached_features(
        self, images: Sequence[Any], feature_cache: PathLike | FeatureCache | None = "auto"
    ) -> "EnsembleFeatures | None":
        """Returns the annotations of images by each of the different encoders.

        Args:
            images: list of anything `generate` takes.
            feature_cache: as for `ImageCaptioner.fit`; of a `FeatureCache` the folder and
                the dtype are taken.

        Returns:
            `EnsembleFeatures`, or None if `feature_cache` is None.
        """
        if feature_cache is None:
            return None
        folder, dtype = folder_and_dtype(feature_cache)
        caches = [FeatureCache(*encoder, folder, dtype) for encoder in self._encoders]
        return EnsembleFeatures([cache.compute(images) for cache in caches])


class EnsembleFeatures:
    """The annotations of a list of images by each of several encoders.

    Args:
        features: list of `Features` of the same images.
    """

    input_name = "annotations"
    grid_shape = None
    has_flipped = False

    def __init__(self, features: Sequence[Features]) -> None:
        self.features = list(features)

    def __len__(self) -> int:
        return len(self.features[0])

    def gather(self, indices: Array, flips: None = None) -> tuple[Array, ...]:
        """Returns a tuple of float16[B, L_i, D_i]; see `Features.gather`."""
        return tuple(features.gather(indices) for features in self.features)

"""Annotations of images, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import pathlib
import time
import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from keras_showattend._config import without_names
from keras_showattend._typing import PathLike
from keras_showattend.data.claims import Claims
from keras_showattend.data.feature_shards import FeatureShards
from keras_showattend.engines import KerasEncoder
from keras_showattend.layers import ImageEncoder
from keras_showattend.preprocessing import CaptionImageConverter
from keras_showattend.preprocessing.image_sources import ImageSource
from keras_showattend.preprocessing.images import image_digest
from keras_showattend.presets import cache_directory

SHARD_SIZE = 256
_SECONDS_BETWEEN_LOOKS = 0.2


def default_cache_directory() -> pathlib.Path:
    """Returns the folder of features where none is named.

    It is the folder `features` in `$KERAS_SHOWATTEND_CACHE` or `~/.cache/keras_showattend`.
    """
    return cache_directory() / "features"


class FeatureCache:
    """On-disk cache of an encoder's annotations.

    An entry is keyed by what is in the image and by the encoder (its architecture,
    weights, computation dtype and image converter): moving or renaming files costs
    nothing, and changing a pixel or a weight never gives stale features. Files appear
    whole or not at all, so interrupted work resumes where it stopped. Each entry has a
    digest, which is checked the first time it is used; damaged entries are computed again.
    Processes that fill one cache at the same time share the work.

    Args:
        encoder: an `ImageEncoder`.
        image_converter: a `CaptionImageConverter`.
        directory: folder of the cache. Defaults to `default_cache_directory()`.
        dtype: dtype policy in which features are computed, such as `"mixed_bfloat16"`,
            about twice as fast on CPUs that know it. None is the encoder's own.
        spatial: bool. Whether features keep their rows and columns, as those of the
            frozen part of an encoder must, whose other layers are still to come.
            Defaults to False.

    Attributes:
        source_key: `encoder_digest` of the encoder as it was given.
        encoder_key: the same in the `dtype` of the features.
    """

    def __init__(
        self,
        encoder: ImageEncoder,
        image_converter: CaptionImageConverter,
        directory: PathLike | None = None,
        dtype: Any = None,
        spatial: bool = False,
    ):
        self.encoder = encoder
        self.encoder_key = self.source_key = encoder_digest(encoder, image_converter)
        if dtype is not None and keras.dtype_policies.get(dtype) != encoder.dtype_policy:
            self.encoder = encoder = encoder.with_dtype(dtype)
            self.encoder_key = encoder_digest(encoder, image_converter)
        self.image_converter = image_converter
        self.last_layer = encoder.features.layers[-1].name
        height, width = encoder.grid_shape(image_converter.image_size)
        self.grid_shape = (height, width) if spatial else None
        root = pathlib.Path(directory) if directory else default_cache_directory()
        self.directory = root / self.encoder_key[:16]
        self._claims = Claims(root / ".claims" / self.encoder_key[:16])
        self._shards = FeatureShards(self.directory, (height * width, encoder.annotation_dim))

    def __contains__(self, digest: object) -> bool:
        """Tells whether the features of the image with an `image_digest` are in the cache."""
        return digest in self._shards.rows

    def compute(
        self,
        images: Sequence[ImageSource],
        flip: bool = False,
        batch_size: int = 16,
        progress: bool = True,
    ) -> Features:
        """Makes sure that the features of all images are in the cache.

        Args:
            images: list of anything `load_image` takes.
            flip: bool. Whether the mirrored images' features are wanted, too.
            batch_size: int.
            progress: bool. Whether a progress bar is shown on stderr.

        Returns:
            `Features` of the images, in their order.

        Raises:
            ImageError: for an image that cannot be read.
            OSError: if there are features to compute and the folder cannot be written.
        """
        keys = [image_digest(image) for image in images]
        # By key, so that an image that comes twice is computed once.
        wanted = {key: (image, False) for image, key in zip(images, keys, strict=True)}
        if flip:
            wanted |= {f"{key}-flip": (image, True) for key, (image, _) in wanted.items()}
        damaged = self._shards.drop_damaged(wanted)
        if damaged:
            warnings.warn(
                f"{damaged} features were damaged on disk; what is needed of them is computed "
                f"again. Received: {self.directory}",
                UserWarning,
                stacklevel=2,
            )
        todo = {key: item for key, item in wanted.items() if key not in self._shards.rows}
        if todo:
            self._make_directory()
            self._fill(todo, batch_size, progress)
        rows = self._shards.rows
        plain = [rows[key] for key in keys]
        flipped = [rows[f"{key}-flip"] for key in keys] if flip else None
        # A copy, because shards that are found damaged later are removed from the original.
        return Features(dict(self._shards.arrays), plain, flipped, self.grid_shape)

    def _fill(
        self, todo: Mapping[str, tuple[ImageSource, bool]], batch_size: int, progress: bool
    ) -> None:
        """Computes shard after shard of what no other process computes, and waits for the rest."""
        encode = KerasEncoder(self.encoder)
        total = len(todo)
        with tqdm(total=total, desc="Encoding images", unit="image", disable=not progress) as bar:
            while todo:
                with self._claims.take(list(todo), SHARD_SIZE) as mine:
                    # Read after the claim: whoever gave up a claim has written its shard.
                    self._shards.refresh()
                    self._shards.drop_damaged(todo)
                    todo = {k: item for k, item in todo.items() if k not in self._shards.rows}
                    bar.update(total - len(todo) - bar.n)
                    mine = [key for key in mine if key in todo]
                    if mine:
                        batches = []
                        for first in range(0, len(mine), batch_size):
                            batch = [todo[key] for key in mine[first : first + batch_size]]
                            batches.append(self._encode(encode, batch))
                            bar.update(len(batch))
                        self.write(mine, np.concatenate(batches))
                todo = {key: item for key, item in todo.items() if key not in self._shards.rows}
                if todo and not mine:
                    time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _encode(self, encode: KerasEncoder, batch: list[tuple[ImageSource, bool]]) -> np.ndarray:
        pixels = []
        for image, flipped in batch:
            loaded = self.image_converter.load(image)
            pixels.append(loaded[:, ::-1] if flipped else loaded)
        images = self.image_converter.normalize(np.stack(pixels))
        return keras.ops.convert_to_numpy(encode(images))

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            # A folder that exists may still refuse files.
            probe = self.directory / f"{uuid.uuid4().hex}.partial"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise type(error)(
                error.errno,
                "Features of images are kept on disk, in a folder that can be written. Choose "
                "another with `feature_cache=FOLDER`, `--feature-cache FOLDER` or the environment "
                "variable KERAS_SHOWATTEND_CACHE; `feature_cache=None` encodes the images anew "
                f"for each batch. Received: {error.strerror}",
                str(self.directory),
            ) from error

    def write(self, keys: Iterable[str], features: np.ndarray) -> None:
        """Adds one shard.

        Args:
            keys: list of n str, `image_digest` of each image, with "-flip" for mirrored.
            features: float[n, L, D].
        """
        self._make_directory()
        self._shards.write(keys, features)


class Features:
    """Annotations of a list of images, read from disk as they are asked for.

    Args:
        shards: dict from shard name to float16[n, L, D].
        plain: list of (shard name, row), one for each image.
        flipped: the same for the mirrored images, or None.
        grid_shape: rows and columns h, w with h * w = L, or None for annotations.
    """

    def __init__(
        self,
        shards: Mapping[str, np.ndarray],
        plain: Sequence[tuple[str, int]],
        flipped: Sequence[tuple[str, int]] | None = None,
        grid_shape: tuple[int, int] | None = None,
    ):
        self._shards = shards
        self._plain = plain
        self._flipped = flipped
        self.grid_shape = grid_shape

    def __len__(self) -> int:
        return len(self._plain)

    @property
    def has_flipped(self) -> bool:
        """Whether the features of mirrored images are there, too."""
        return self._flipped is not None

    @property
    def input_name(self) -> str:
        """Name of the model's input that they are; see `ShowAttendBackbone.annotate`."""
        return "annotations" if self.grid_shape is None else "frozen_features"

    def gather(self, indices: Sequence[int], flips: Sequence[bool] | None = None) -> np.ndarray:
        """Returns the features of some images.

        Args:
            indices: int[B]. Positions in the list of images.
            flips: bool[B] or None. True takes the mirrored image.

        Returns:
            float16[B, L, D], or float16[B, h, w, C] with a `grid_shape`.
        """
        mirrored = self._plain if self._flipped is None else self._flipped
        flips = [False] * len(indices) if flips is None else flips
        rows = [
            (mirrored if flip else self._plain)[index]
            for index, flip in zip(indices, flips, strict=True)
        ]
        features = np.stack([self._shards[shard][row] for shard, row in rows])
        if self.grid_shape is not None:
            features = features.reshape(len(rows), *self.grid_shape, -1)
        return features


def encoder_digest(encoder: ImageEncoder, image_converter: CaptionImageConverter) -> str:
    """Returns the SHA-256, 64 hex digits, over all that decides the features of an image."""
    # Names are numbered as layers are made, and differ from one run to the next.
    kept_out = ("dtype", "trainable")
    converter = without_names(image_converter.get_config(), kept_out)
    layers = [
        (type(layer).__name__, without_names(layer.get_config(), kept_out))
        for layer in encoder.features.layers
    ]
    parts = (converter, layers, encoder.output_layer, encoder.compute_dtype)
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    for weight in encoder.features.weights:
        # In the precision of stored presets and of the features, so that a captioner that
        # was saved in float16 and loaded again finds the features of the original.
        values = np.asarray(keras.ops.convert_to_numpy(weight), dtype="float16")
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def open_cache(
    captioner: Any, feature_cache: FeatureCache | PathLike | None
) -> FeatureCache | None:
    """Turns a `feature_cache` argument into a `FeatureCache`.

    Args:
        captioner: an `ImageCaptioner`.
        feature_cache: `"auto"`, the path of a folder, a `FeatureCache` already, or None.

    Returns:
        A `FeatureCache`, or None where none is wanted or every layer of the encoder learns.

    Raises:
        ValueError: for a `FeatureCache` of other layers than those that are frozen, or of other
            weights than they have now.
    """
    encoder = captioner.backbone.image_encoder
    last_frozen = encoder.last_frozen
    if feature_cache is None or last_frozen is None:
        return None
    if not isinstance(feature_cache, FeatureCache):
        folder, _ = folder_and_dtype(feature_cache)
        return captioner.feature_cache(folder)
    if feature_cache.last_layer != last_frozen:
        raise ValueError(
            "A feature cache must end with the last layer that does not learn. Make it with "
            "`captioner.feature_cache(folder)` after freezing and unfreezing. Received: a cache "
            f"of {feature_cache.last_layer!r}, where {last_frozen!r} is the last frozen layer"
        )
    frozen = encoder.part_until(last_frozen)
    if feature_cache.source_key != encoder_digest(frozen, captioner.preprocessor.image_converter):
        raise ValueError(
            "A feature cache must be of the captioner's own encoder and image converter, with the "
            "weights that they have now. Make it with `captioner.feature_cache(folder)` after "
            f"loading weights. Received: a cache of another encoder, in '{feature_cache.directory}'"
        )
    return feature_cache


def folder_and_dtype(feature_cache: FeatureCache | PathLike) -> tuple[PathLike | None, Any]:
    """Returns where a cache of another encoder belongs, by a `feature_cache` argument.

    Args:
        feature_cache: `"auto"`, the path of a folder, or a `FeatureCache`, beside which the
            other one is kept, in the same dtype.

    Returns:
        Tuple of `directory` and `dtype` of a `FeatureCache`; None stands for its default.
    """
    if isinstance(feature_cache, FeatureCache):
        return feature_cache.directory.parent, feature_cache.encoder.dtype_policy
    return (None if feature_cache == "auto" else feature_cache), None

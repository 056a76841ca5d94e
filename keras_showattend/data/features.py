"""Annotations of images, computed once and kept on disk."""

import hashlib
import json
import os
import pathlib
import uuid

import keras
import numpy as np
from tqdm import tqdm

from keras_showattend.engines import KerasEncoder
from keras_showattend.preprocessing.images import image_digest
from keras_showattend.presets import cache_directory

SHARD_SIZE = 256


def default_cache_directory():
    """Where features go when no folder is named: `$KERAS_SHOWATTEND_CACHE` or `~/.cache`."""
    return cache_directory() / "features"


class FeatureCache:
    """On-disk cache of an encoder's annotations.

    An entry is keyed by what is in the image and by the encoder (its architecture,
    weights, computation dtype and image converter): moving or renaming files costs
    nothing, and changing a pixel or a weight never gives stale features. Files appear
    whole or not at all, so work that was interrupted goes on where it stopped.

    Args:
        encoder: an `ImageEncoder`.
        image_converter: a `CaptionImageConverter`.
        directory: folder of the cache. Defaults to `default_cache_directory()`.
        dtype: dtype policy in which features are computed, such as `"mixed_bfloat16"`,
            about twice as fast on CPUs that know it. None is the encoder's own.
        spatial: bool. Whether features keep their rows and columns, as those of the
            frozen part of an encoder must, whose other layers are still to come.
            Defaults to False.
    """

    def __init__(self, encoder, image_converter, directory=None, dtype=None, spatial=False):
        if dtype is not None and keras.dtype_policies.get(dtype) != encoder.dtype_policy:
            encoder = encoder.with_dtype(dtype)
        self.encoder = encoder
        self.image_converter = image_converter
        self.last_layer = encoder.features.layers[-1].name
        self.grid_shape = encoder.grid_shape(image_converter.image_size) if spatial else None
        self.encoder_key = _encoder_digest(encoder, image_converter)
        root = pathlib.Path(directory) if directory else default_cache_directory()
        self.directory = root / self.encoder_key[:16]
        self._rows = {}
        self._shards = {}
        self._read_index()

    def _read_index(self):
        for index in sorted(self.directory.glob("*.json")):
            try:
                keys = json.loads(index.read_text())
                shard = np.load(index.with_suffix(".npy"), mmap_mode="r")
                if len(shard) != len(keys):
                    raise ValueError("the shard is shorter than its index")
            except (OSError, ValueError, EOFError):
                # A disk that filled up or a file deleted by hand: compute it again.
                index.unlink(missing_ok=True)
                index.with_suffix(".npy").unlink(missing_ok=True)
                continue
            self._shards[index.stem] = shard
            self._rows.update((key, (index.stem, row)) for row, key in enumerate(keys))

    def __contains__(self, digest):
        """Tells whether the features of the image with an `image_digest` are in the cache."""
        return digest in self._rows

    def compute(self, images, flip=False, batch_size=16, progress=True):
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
        """
        keys = [image_digest(image) for image in images]
        wanted = [(image, key, False) for image, key in zip(images, keys, strict=True)]
        if flip:
            wanted += [
                (image, key + "-flip", True) for image, key in zip(images, keys, strict=True)
            ]
        # By key, so that an image that comes twice is computed once.
        by_key = {key: (image, key, flipped) for image, key, flipped in wanted}
        todo = [item for key, item in by_key.items() if key not in self._rows]
        if todo:
            self._make_directory()
            self._compute(todo, batch_size, progress)
        plain = [self._rows[key] for key in keys]
        flipped = [self._rows[key + "-flip"] for key in keys] if flip else None
        return Features(self._shards, plain, flipped, self.grid_shape)

    def _compute(self, todo, batch_size, progress):
        encode = KerasEncoder(self.encoder)
        with tqdm(
            total=len(todo), desc="Encoding images", unit="image", disable=not progress
        ) as bar:
            for start in range(0, len(todo), SHARD_SIZE):
                shard = todo[start : start + SHARD_SIZE]
                features = []
                for first in range(0, len(shard), batch_size):
                    pixels = []
                    for image, _, flipped in shard[first : first + batch_size]:
                        loaded = self.image_converter.load(image)
                        pixels.append(loaded[:, ::-1] if flipped else loaded)
                    images = self.image_converter.normalize(np.stack(pixels))
                    features.append(keras.ops.convert_to_numpy(encode(images)))
                    bar.update(len(pixels))
                self.write([key for _, key, _ in shard], np.concatenate(features))

    def _make_directory(self):
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

    def write(self, keys, features):
        """Adds one shard.

        Args:
            keys: list of n str, `image_digest` of each image, with "-flip" for mirrored.
            features: float[n, L, D].
        """
        self._make_directory()
        stem = uuid.uuid4().hex
        array_path = self.directory / f"{stem}.npy"
        partial = self.directory / f"{stem}.partial"
        try:
            with open(partial, "wb") as file:
                np.save(file, np.asarray(features, dtype="float16"))
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, array_path)
            partial.write_text(json.dumps(list(keys)))
            # The index comes last: a shard without one is never read.
            os.replace(partial, array_path.with_suffix(".json"))
        finally:
            partial.unlink(missing_ok=True)
        self._shards[stem] = np.load(array_path, mmap_mode="r")
        self._rows.update((key, (stem, row)) for row, key in enumerate(keys))


class Features:
    """Annotations of a list of images, read from disk as they are asked for.

    Args:
        shards: dict from shard name to float16[n, L, D].
        plain: list of (shard name, row), one for each image.
        flipped: the same for the mirrored images, or None.
        grid_shape: rows and columns h, w with h * w = L, or None for annotations.
    """

    def __init__(self, shards, plain, flipped=None, grid_shape=None):
        self._shards = shards
        self._plain = plain
        self._flipped = flipped
        self.grid_shape = grid_shape

    def __len__(self):
        return len(self._plain)

    @property
    def has_flipped(self):
        """Whether mirrored images are there, too."""
        return self._flipped is not None

    @property
    def input_name(self):
        """Which input of the model they are; see `ShowAttendBackbone.annotate`."""
        return "annotations" if self.grid_shape is None else "frozen_features"

    def gather(self, indices, flips=None):
        """Features of some images.

        Args:
            indices: int[B]. Positions in the list of images.
            flips: bool[B] or None. True takes the mirrored image.

        Returns:
            float16[B, L, D], or float16[B, h, w, C] with a `grid_shape`.
        """
        flips = np.zeros(len(indices), bool) if flips is None else flips
        rows = [
            (self._flipped if flip and self.has_flipped else self._plain)[index]
            for index, flip in zip(indices, flips, strict=True)
        ]
        features = np.stack([self._shards[shard][row] for shard, row in rows])
        if self.grid_shape is not None:
            features = features.reshape(len(rows), *self.grid_shape, -1)
        return features


def _encoder_digest(encoder, image_converter):
    converter = _nameless(image_converter.get_config())
    layers = [
        (type(layer).__name__, _nameless(layer.get_config())) for layer in encoder.features.layers
    ]
    parts = (converter, layers, encoder.output_layer, encoder.compute_dtype)
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    for weight in encoder.features.weights:
        # In the precision of stored presets and of the features, so that a captioner that
        # was saved in float16 and loaded again finds the features of the original.
        values = np.asarray(keras.ops.convert_to_numpy(weight), dtype="float16")
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _nameless(config):
    # Names are numbered as layers are made, and differ from one run to the next.
    return {k: v for k, v in config.items() if k not in ("name", "dtype", "trainable")}


def open_cache(captioner, feature_cache):
    """Turns a `feature_cache` argument into a `FeatureCache`.

    Args:
        captioner: an `ImageCaptioner`.
        feature_cache: `"auto"`, the path of a folder, a `FeatureCache` already, or None.

    Returns:
        A `FeatureCache`, or None where none is wanted or every layer of the encoder learns.

    Raises:
        ValueError: for a `FeatureCache` of other layers than those that are frozen.
    """
    last_frozen = captioner.backbone.image_encoder.last_frozen
    if feature_cache is None or last_frozen is None:
        return None
    if not isinstance(feature_cache, FeatureCache):
        return captioner.feature_cache(None if feature_cache == "auto" else feature_cache)
    if feature_cache.last_layer != last_frozen:
        raise ValueError(
            "A feature cache must end with the last layer that does not learn. Make it with "
            "`captioner.feature_cache(folder)` after freezing and unfreezing. Received: a cache "
            f"of {feature_cache.last_layer!r}, where {last_frozen!r} is the last frozen layer"
        )
    return feature_cache

"""What has to be known of an evaluation so that someone else can repeat it."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
from typing import Any

import keras
import numpy as np

from keras_showattend._config import without_names
from keras_showattend.search import SearchOptions

PACKAGES = ("keras-showattend", "keras", "keras-hub", "numpy", "nltk", "pillow")
TOKENIZER = (
    "coco-caption's rules (Penn Treebank, lower case, punctuation dropped), in Python: "
    "keras_showattend.metrics.tokenize"
)


def model_digest(captioner: Any) -> str:
    """SHA-256, 64 hex digits, over a captioner's weights, vocabulary and architecture.

    The same digest means the same model, wherever its preset lies. Computed of the weights as
    they are in memory, so that casting them changes it.
    """
    digest = hashlib.sha256()
    tokenizer = captioner.preprocessor.tokenizer
    digest.update("\n".join(tokenizer.get_vocabulary()).encode())
    converter = captioner.preprocessor.image_converter.get_config()
    described = [captioner.backbone.get_config(), converter]
    digest.update(json.dumps(without_names(described), sort_keys=True, default=str).encode())
    for weight in captioner.backbone.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()


def decoder_settings(captioner: Any, options: SearchOptions) -> dict[str, Any]:
    """Settings of the search with which captions are made, None resolved to what it stands for."""
    options, sampler = options.resolve(captioner.sampler)
    name = "beam" if sampler is None else type(sampler).__name__
    return {
        "search": "greedy" if options.num_beams == 1 else name,
        **dataclasses.asdict(options),
    }


def versions() -> dict[str, str]:
    """Versions of everything that the numbers depend on."""
    backend = keras.backend.backend()
    names = {*PACKAGES, backend}
    found = {"python": platform.python_version(), "backend": backend}
    for name in sorted(names):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found

"""Members that are joined: captioners of one vocabulary, and their weights."""

from collections.abc import Sequence

import numpy as np

from keras_showattend._typing import PathLike
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.preprocessing.caption_tokenizer import require_same_vocabulary


def load_members(captioners: Sequence[ImageCaptioner | PathLike]) -> list[ImageCaptioner]:
    """Loads captioners and checks that they can be joined.

    Args:
        captioners: list of `ImageCaptioner` with their preprocessors, or of what
            `ImageCaptioner.from_preset` takes.

    Returns:
        List of `ImageCaptioner`.

    Raises:
        ValueError: for an empty list, a captioner without a preprocessor, or
            vocabularies that differ.
    """
    loaded = [
        captioner
        if isinstance(captioner, ImageCaptioner)
        else ImageCaptioner.from_preset(captioner)
        for captioner in captioners
    ]
    if not loaded or any(captioner.preprocessor is None for captioner in loaded):
        raise ValueError(
            "At least one captioner is needed, and each with a preprocessor. "
            f"Received: {len(loaded)} captioners, "
            f"{sum(captioner.preprocessor is None for captioner in loaded)} without"
        )
    first = loaded[0].preprocessor.tokenizer
    for captioner in loaded[1:]:
        require_same_vocabulary(first, captioner.preprocessor.tokenizer)
    return loaded


def normalize_weights(weights: Sequence[float] | None, count: int) -> list[float]:
    """Scales member weights to sum to 1.

    Args:
        weights: list of `count` positive floats, or None for equal weights.
        count: int. Number of members.

    Returns:
        List of `count` floats.

    Raises:
        ValueError: for another number of weights, or one that is not positive.
    """
    given = np.ones(count) if weights is None else np.asarray(weights, dtype="float64")
    if given.shape != (count,) or not (np.isfinite(given) & (given > 0)).all():
        raise ValueError(
            "`weights` must hold one positive number for each captioner. "
            f"Received: weights={given.tolist()} for {count} captioners"
        )
    return (given / given.sum()).tolist()

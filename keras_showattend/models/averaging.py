"""`average_captioners`: one captioner from several of one architecture."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_showattend._config import without_names
from keras_showattend._typing import PathLike
from keras_showattend.models.backbone import ShowAttendBackbone
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.models.members import load_members, normalize_weights
from keras_showattend.presets.provenance import merged, origin_of

# Settings that say nothing about the weights.
_NO_ARCHITECTURE = ("trainable", "unfrozen", "dtype", "dropout")


def average_captioners(
    captioners: Sequence[ImageCaptioner | PathLike], weights: Sequence[float] | None = None
) -> ImageCaptioner:
    """Averages the weights of captioners: a model soup.

    Source: Wortsman et al. 2022 (arXiv 2203.05482). Average captioners that were
    fine-tuned from the same weights, such as runs of one preset with several seeds; for
    captioners with different initial weights the mean is meaningless. Unlike an ensemble
    it costs no more than one captioner.

    Args:
        captioners: list of `ImageCaptioner`, or of what `ImageCaptioner.from_preset`
            takes.
        weights: list of positive floats, one for each captioner, scaled to sum to 1.
            Defaults to equal weights.

    Returns:
        A new `ImageCaptioner` with the first one's preprocessor.

    Raises:
        ValueError: for vocabularies or architectures that differ, quantized weights, or
            `weights` that do not fit.
    """
    member_weights = normalize_weights(weights, len(captioners))
    members = load_members(captioners)
    first = members[0].backbone
    for member in members[1:]:
        _require_same_architecture(first, member.backbone)
    backbone = ShowAttendBackbone.from_config(first.get_config())
    for variable, *others in zip(
        backbone.weights, *(member.backbone.weights for member in members), strict=True
    ):
        if not keras.backend.is_float_dtype(variable.dtype):
            raise ValueError(
                "Only float weights can be averaged. Average before `quantize`. "
                f"Received: '{variable.path}' of dtype {variable.dtype}"
            )
        arrays = [np.asarray(keras.ops.convert_to_numpy(other), "float64") for other in others]
        variable.assign(sum(w * array for w, array in zip(member_weights, arrays, strict=True)))
    average = ImageCaptioner(backbone, members[0].preprocessor)
    average.provenance = merged([origin_of(member) for member in members])
    return average


def _require_same_architecture(backbone: ShowAttendBackbone, other: ShowAttendBackbone) -> None:
    config, other_config = (
        without_names(each.get_config(), _NO_ARCHITECTURE) for each in (backbone, other)
    )
    differing = sorted(key for key in config if config[key] != other_config.get(key))
    if differing:
        shown = (
            f"{key} ({config[key]} and {other_config.get(key)})"
            if not isinstance(config[key], dict)
            else key
            for key in differing
        )
        raise ValueError(
            "Only captioners of one architecture can be averaged; a `CaptionerEnsemble` joins "
            f"others. Received: captioners that differ in {', '.join(shown)}"
        )

"""The captioner: `ShowAttendBackbone` computes, `ImageCaptioner` trains and generates."""

from keras_showattend._lazy import lazy_names
from keras_showattend.models.averaging import average_captioners
from keras_showattend.models.backbone import ShowAttendBackbone
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.models.ensemble import CaptionerEnsemble
from keras_showattend.models.factory import create_captioner
from keras_showattend.preprocessing import (
    CaptionImageConverter,
    CaptionTokenizer,
    ImageCaptionerPreprocessor,
)

__all__ = [
    "CaptionerEnsemble",
    "ImageCaptioner",
    "ShowAttendBackbone",
    "average_captioners",
    "create_captioner",
]
_MOVED = {
    "CaptionHypothesis": "keras_showattend.search",
    "Distillation": "keras_showattend.training",
    "grow_vgg19": "keras_showattend.recipes",
    "train_captioner": "keras_showattend.recipes",
    "untrained_captioner": "keras_showattend.recipes",
    "vgg_encoder": "keras_showattend.encoders",
}
__getattr__ = lazy_names(__name__, {}, _MOVED)

# KerasHub finds the parts of a preset by the backbone they belong to.
for _part in (CaptionImageConverter, CaptionTokenizer, ImageCaptionerPreprocessor):
    _part.backbone_cls = ShowAttendBackbone

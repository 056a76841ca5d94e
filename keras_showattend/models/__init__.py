"""The captioner: `ShowAttendBackbone` computes, `ImageCaptioner` trains and generates."""

from keras_showattend.models.averaging import average_captioners
from keras_showattend.models.backbone import ShowAttendBackbone
from keras_showattend.models.captioner import ImageCaptioner
from keras_showattend.models.distillation import Distillation
from keras_showattend.models.ensemble import CaptionerEnsemble
from keras_showattend.models.factory import create_captioner
from keras_showattend.models.generation import CaptionHypothesis
from keras_showattend.models.grow import grow_vgg19
from keras_showattend.models.train import train_captioner, untrained_captioner
from keras_showattend.models.vgg import vgg_encoder
from keras_showattend.preprocessing import (
    CaptionImageConverter,
    CaptionTokenizer,
    ImageCaptionerPreprocessor,
)

__all__ = [
    "CaptionHypothesis",
    "CaptionerEnsemble",
    "Distillation",
    "ImageCaptioner",
    "ShowAttendBackbone",
    "average_captioners",
    "create_captioner",
    "grow_vgg19",
    "train_captioner",
    "untrained_captioner",
    "vgg_encoder",
]

# KerasHub finds the parts of a preset by the backbone they belong to.
for _part in (CaptionImageConverter, CaptionTokenizer, ImageCaptionerPreprocessor):
    _part.backbone_cls = ShowAttendBackbone

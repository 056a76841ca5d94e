"""Data sets of captioned images: readers, and the `CaptionDataset` they all return."""

from keras_showattend.data.caption_dataset import CaptionDataset, CaptionedImage
from keras_showattend.data.captions_file import read_captions_file
from keras_showattend.data.coco import read_coco
from keras_showattend.data.features import FeatureCache, Features
from keras_showattend.data.flickr8k import read_flickr8k
from keras_showattend.data.report import DatasetError, DatasetReport

__all__ = [
    "CaptionDataset",
    "CaptionedImage",
    "DatasetError",
    "DatasetReport",
    "FeatureCache",
    "Features",
    "read_captions_file",
    "read_coco",
    "read_flickr8k",
]

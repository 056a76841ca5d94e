"""Datasets of captioned images: readers, the `CaptionDataset` they all return, features.

`FeatureCache` keeps an encoder's annotations of images on disk.
"""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "CaptionDataset": "caption_dataset",
    "CaptionStream": "caption_stream",
    "CaptionedImage": "caption_dataset",
    "DatasetError": "report",
    "DatasetReport": "report",
    "FeatureCache": "features",
    "Features": "features",
    "check_images": "image_check",
    "read_captions_file": "captions_file",
    "read_coco": "coco",
    "read_flickr8k": "flickr8k",
    "read_hf_dataset": "streams",
    "read_records": "records",
    "read_webdataset": "streams",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

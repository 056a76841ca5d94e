"""From images and captions to tensors and back.

`load_image` reads an image of any kind, `CaptionImageConverter` fits it to the encoder,
`CaptionTokenizer` turns words into ids, `ImageCaptionerPreprocessor` joins the two.
"""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "CaptionImageConverter": "image_converter",
    "CaptionTokenizer": "caption_tokenizer",
    "ImageCaptionerPreprocessor": "captioner_preprocessor",
    "ImageError": "image_sources",
    "find_images": "image_folders",
    "list_images": "image_folders",
    "load_image": "images",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

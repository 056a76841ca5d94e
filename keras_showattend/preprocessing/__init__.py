"""From photographs and words to tensors and back.

`images` reads a picture of any kind, `CaptionImageConverter` fits it to the encoder,
`CaptionTokenizer` turns words into ids, `ImageCaptionerPreprocessor` joins the two.
"""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "CaptionImageConverter": "image_converter",
    "CaptionTokenizer": "caption_tokenizer",
    "ImageCaptionerPreprocessor": "captioner_preprocessor",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

"""From photographs and words to tensors and back.

`images` reads a picture of any kind, `CaptionImageConverter` fits it to the encoder,
`CaptionTokenizer` turns words into ids, `ImageCaptionerPreprocessor` joins the two.
"""

from keras_showattend.preprocessing.caption_tokenizer import CaptionTokenizer
from keras_showattend.preprocessing.captioner_preprocessor import ImageCaptionerPreprocessor
from keras_showattend.preprocessing.image_converter import CaptionImageConverter

__all__ = ["CaptionImageConverter", "CaptionTokenizer", "ImageCaptionerPreprocessor"]

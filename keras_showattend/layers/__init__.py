"""Reusable Keras layers of the captioner; nothing here knows KerasHub.

`ImageEncoder` turns an image into annotations, `AdditiveAttention` weighs them,
`CaptionDecoderCell` takes one step and `CaptionDecoder` scans it over a caption.
"""

from keras_showattend.layers.additive_attention import AdditiveAttention
from keras_showattend.layers.caption_decoder import CaptionDecoder
from keras_showattend.layers.decoder_cell import CaptionDecoderCell
from keras_showattend.layers.image_encoder import ImageEncoder

__all__ = ["AdditiveAttention", "CaptionDecoder", "CaptionDecoderCell", "ImageEncoder"]

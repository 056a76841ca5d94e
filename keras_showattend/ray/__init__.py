"""Captions millions of images on Ray Data, on one machine or a cluster.

Reading, decoding, captioning and writing are stages of their own. `caption_source` is the
whole job, as `keras-showattend caption SOURCE --ray` runs it; `caption_rows` adds captions to a
`ray.data.Dataset` of yours; `DecodeImages` and `CaptionImages` are the stages alone.
"""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "CaptionImages": "stages",
    "DecodeImages": "stages",
    "Summary": "job",
    "caption_rows": "pipeline",
    "caption_source": "job",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

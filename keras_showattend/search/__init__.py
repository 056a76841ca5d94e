"""From images to captions: decoder steps, searches over them, and the stream of images."""

from keras_showattend.search.beam_search import beam_search
from keras_showattend.search.caption_search import CaptionSearch
from keras_showattend.search.generate_function import GenerateFunction
from keras_showattend.search.generation import CaptionHypothesis, caption_dataset
from keras_showattend.search.options import SearchOptions

__all__ = [
    "CaptionHypothesis",
    "CaptionSearch",
    "GenerateFunction",
    "SearchOptions",
    "beam_search",
    "caption_dataset",
]

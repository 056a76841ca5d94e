"""Search for captions: `beam_search` over decoder steps, `CaptionSearch` over images."""

from keras_showattend.search.beam_search import beam_search
from keras_showattend.search.caption_search import CaptionSearch
from keras_showattend.search.generate_function import GenerateFunction
from keras_showattend.search.options import SearchOptions

__all__ = ["CaptionSearch", "GenerateFunction", "SearchOptions", "beam_search"]

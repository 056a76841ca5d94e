"""From images to captions.

A *search* is arithmetic: a compiled graph from images or annotations to ranked token ids.
`beam_search` and `sample_captions` are its loops, `CaptionSearch` puts the network around
them, and `GenerateFunction` compiles and keeps one search for each set of settings.
*Generation* is all around it: `Generation` reads images of any kind, batches them, runs the
search while the next batch loads, and decodes its token ids into text.
"""

from keras_showattend.search.assessment import CaptionAssessment
from keras_showattend.search.beam_search import beam_search
from keras_showattend.search.caption_search import CaptionSearch
from keras_showattend.search.generate_function import GenerateFunction
from keras_showattend.search.generation import CaptionHypothesis, caption_dataset
from keras_showattend.search.options import SearchOptions

__all__ = [
    "CaptionAssessment",
    "CaptionHypothesis",
    "CaptionSearch",
    "GenerateFunction",
    "SearchOptions",
    "beam_search",
    "caption_dataset",
]

"""From images to captions.

A *search* is arithmetic: a compiled graph from images or annotations to ranked token ids.
`beam_search` and `sample_captions` are its loops, `CaptionSearch` puts the network around
them, and `GenerateFunction` compiles and keeps one search for each set of settings.
*Generation* is all around it: `Generation` reads images of any kind, batches them, runs the
search while the next batch loads, and decodes its token ids into text.
"""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "CaptionAssessment": "assessment",
    "CaptionHypothesis": "hypothesis",
    "CaptionSearch": "caption_search",
    "GenerateFunction": "generate_function",
    "SearchOptions": "options",
    "beam_search": "beams",
    "caption_dataset": "generation",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

"""Image captioning for Keras 3 and KerasHub, after "Show, Attend and Tell".

    captioner = ImageCaptioner.from_preset("vgg16_gru_flickr8k")
    captioner.fit(dataset)
    captioner.generate(image)

The way of the data, and the package that does each part:

    image -> preprocessing -> layers.ImageEncoder -> annotations
          -> layers.CaptionDecoder (layers.AdditiveAttention at every step)
          -> search -> caption

`models` joins the parts into `ImageCaptioner`; `data` reads captions and keeps features;
`training` makes batches and losses; `metrics` scores captions; `presets` names what can
be loaded; `cli` is the command `keras-showattend`. Each imports only from those named
before it.
"""

import importlib
import sys

__version__ = "0.1.0"

_EXPORTS = {
    "ImageCaptioner": "models",
    "ShowAttendBackbone": "models",
    "CaptionHypothesis": "models",
    "create_captioner": "models",
    "CaptionTokenizer": "preprocessing",
    "CaptionImageConverter": "preprocessing",
    "ImageCaptionerPreprocessor": "preprocessing",
    "ImageError": "preprocessing.images",
    "CaptionDataset": "data",
    "DatasetError": "data",
    "read_captions_file": "data",
    "read_coco": "data",
    "read_flickr8k": "data",
}
_PACKAGES = (
    "data",
    "layers",
    "metrics",
    "models",
    "preprocessing",
    "presets",
    "search",
    "training",
)

__all__ = [*_EXPORTS, *_PACKAGES]


def __getattr__(name):
    # Importing Keras takes seconds, which `keras-showattend --help` need not spend.
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})


if "keras_hub" in sys.modules:
    # Where KerasHub is in use, its base classes' `from_preset` must find our classes.
    importlib.import_module(f"{__name__}.models")

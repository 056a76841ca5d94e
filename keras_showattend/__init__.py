"""Image captioning for Keras 3 and KerasHub, after "Show, Attend and Tell".

    captioner = ImageCaptioner.from_preset("vgg16_gru_flickr8k")
    captioner.fit(dataset)
    captioner.generate(image)

An image becomes a caption in these folders, one after the other:

    image -> preprocessing -> layers.ImageEncoder -> annotations
          -> layers.CaptionDecoder (layers.AdditiveAttention at every step)
          -> search -> caption

`models` joins them into `ImageCaptioner`, which `training` teaches, `explain` looks into,
`evaluation` scores, `presets` and `hub` store and share, and `cli` runs from the command line.
docs/architecture.md of the repository has a diagram and one line for each folder.

Keras is imported when a name needs it. Where `keras` or `keras_hub` is imported before this
package, its classes are registered at once, so that `keras.saving.load_model` and the
`from_preset` of KerasHub's base classes find them.
"""

import importlib
import sys

from keras_showattend._lazy import lazy_names

__version__ = "0.1.0"

_NAMES = {
    "CaptionDataset": "data",
    "CaptionHypothesis": "search",
    "CaptionImageConverter": "preprocessing",
    "CaptionTokenizer": "preprocessing",
    "CaptionerEnsemble": "models",
    "DatasetError": "data",
    "Distillation": "training",
    "ExportedCaptioner": "export",
    "ImageCaptioner": "models",
    "ImageCaptionerPreprocessor": "preprocessing",
    "ImageError": "preprocessing.images",
    "ShowAttendBackbone": "models",
    "alt_text": "alt_text",
    "average_captioners": "models",
    "create_captioner": "models",
    "data": "data",
    "demo": "demo",
    "encoders": "encoders",
    "engines": "engines",
    "evaluation": "evaluation",
    "explain": "explain",
    "export": "export",
    "hub": "hub",
    "layers": "layers",
    "metrics": "metrics",
    "models": "models",
    "preprocessing": "preprocessing",
    "presets": "presets",
    "ray": "ray",
    "recipes": "recipes",
    "read_captions_file": "data",
    "read_coco": "data",
    "read_flickr8k": "data",
    "search": "search",
    "training": "training",
    "web": "web",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

if "keras" in sys.modules:
    # Registers the classes that a `.keras` file, or a preset that KerasHub's base classes
    # load, may name. Without Keras this would take seconds, which the command line saves;
    # after a later `import keras`, `import keras_showattend.models` registers them.
    importlib.import_module(f"{__name__}.models")

"""Whole runs of training: a `Recipe` for each stage, one after the other, resumable."""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "Recipe": "recipe",
    "grow_vgg19": "grow",
    "load_recipes": "recipe",
    "train_captioner": "train",
    "untrained_captioner": "train",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

"""Where `fit_self_critical` used to be."""

from keras_showattend.training.self_critical import fit_self_critical

__all__ = ["fit_self_critical"]

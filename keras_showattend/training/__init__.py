"""Training: batches of captions, the loss, scores after each epoch, and recipes.

`ImageCaptioner.fit` uses `CaptionBatches` and `CaptionCrossentropy`; `CaptionScores` is a
callback for it; a `Recipe` writes a whole training down for `models.train_captioner`.
"""

from keras_showattend.training.caption_batches import CaptionBatches
from keras_showattend.training.caption_scores import CaptionScores, caption_dataset
from keras_showattend.training.losses import CaptionCrossentropy, doubly_stochastic_penalty
from keras_showattend.training.recipe import Recipe

__all__ = [
    "CaptionBatches",
    "CaptionCrossentropy",
    "CaptionScores",
    "Recipe",
    "caption_dataset",
    "doubly_stochastic_penalty",
]

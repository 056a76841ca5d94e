"""Training: batches of captions, the loss, scores after each epoch, and recipes.

`ImageCaptioner.fit` uses `CaptionBatches` and `CaptionCrossentropy`; `CaptionScores` is a
callback for it; a `Recipe` writes a whole training down for `models.train_captioner`.
"""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "CaptionBatches": "caption_batches",
    "CaptionCrossentropy": "losses",
    "CaptionScores": "caption_scores",
    "ImageInputs": "image_inputs",
    "Recipe": "recipe",
    "ScheduledSampling": "scheduled_sampling",
    "SelfCritical": "self_critical",
    "SoftTargets": "soft_targets",
    "caption_dataset": "caption_scores",
    "distillation_loss": "losses",
    "doubly_stochastic_penalty": "losses",
    "load_recipes": "recipe",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)

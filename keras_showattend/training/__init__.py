"""What `ImageCaptioner.fit` needs: batches, losses, objectives, and the scores of an epoch."""

from keras_showattend._lazy import lazy_names

_NAMES = {
    "Augmentation": "augmentation",
    "CaptionBatches": "caption_batches",
    "CaptionCrossentropy": "losses",
    "CaptionScores": "caption_scores",
    "Distillation": "distillation",
    "ImageInputs": "image_inputs",
    "ScheduledSampling": "scheduled_sampling",
    "SelfCritical": "self_critical",
    "SoftTargets": "distillation",
    "distillation_loss": "losses",
    "doubly_stochastic_penalty": "losses",
}
__all__ = list(_NAMES)
_MOVED = {
    "Recipe": "keras_showattend.recipes",
    "caption_dataset": "keras_showattend.search",
    "load_recipes": "keras_showattend.recipes",
}
__getattr__ = lazy_names(__name__, _NAMES, _MOVED)

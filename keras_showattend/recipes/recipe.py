"""A training written down: what `examples/train_flickr8k.py` and the command line run."""

import dataclasses
import json
import pathlib
from typing import Literal

from keras_showattend.presets.registry import BUNDLED


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training makes, apart from its data.

    Attributes:
        encoder: name of the image encoder, such as `"efficientnet_lite2"` or `"vgg16"`; see
            `create_captioner`.
        grid: places a side, 7 or 14.
        decoder: `"gru"` or `"lstm"`.
        embedding_dim, hidden_dim, attention_dim: sizes M, N and A.
        context_gate, tie_embeddings: see `CaptionDecoder`.
        dropout: share of units dropped.
        min_count: a word seen less often in the training captions becomes `<unk>`.
        sequence_length: words of the longest caption.
        epochs: passes over all captions.
        batch_size: captions in a step.
        learning_rate: of Adam, at the end of the warm-up; it falls to 0 along a cosine
            (Loshchilov and Hutter 2017, arXiv 1608.03983).
        warmup_epochs: epochs in which the rate rises from 0.
        ema_momentum: of the exponential moving average of the weights (Polyak and Juditsky
            1992) that is scored and kept in place of the weights themselves; 0 for none. It
            begins with the first step's weights and reaches back some 1 / (1 - momentum)
            steps: for a stage that goes on from trained weights, and not for a short training
            from scratch.
        clip_norm: largest global norm of the gradients (Pascanu et al. 2013).
        label_smoothing: see `CaptionCrossentropy`.
        doubly_stochastic_weight: see `doubly_stochastic_penalty`.
        random_flip: whether half of the images are mirrored.
        unfreeze_after: name of the encoder's last layer that stays frozen, such as
            `"block4_pool"`, or `"auto"` for the encoder's default; the layers behind it learn,
            batch normalization apart. Empty freezes all.
        encoder_learning_rate: of the layers that learn, in place of `learning_rate`; 0 for the
            same.
        random_window: smallest share of height and width that a batch sees of its images;
            see `ImageInputs`. 1 for all, and where the encoder does not learn.
        self_critical_samples: captions drawn for an image in self-critical training, see
            `SelfCritical`; 0 trains on the next word.
        bleu_4_weight, crossentropy_weight: see `SelfCritical`.
        scheduled_sampling: see `ScheduledSampling`.
        distillation_weight: part of a teacher in the loss, where `train_captioner` is given one.
        feature_dtype: dtype policy in which the encoder computes during training.
        decoder_dtype: dtype policy in which the decoder does, such as `"mixed_bfloat16"`;
            weights are float32 all the same.
        num_beams, length_penalty: of the search by which epochs are compared.
        seed: of weights, order, dropout and flips.
    """

    encoder: str = "vgg16"
    grid: int = 7
    decoder: Literal["gru", "lstm"] = "gru"
    embedding_dim: int = 512
    hidden_dim: int = 512
    attention_dim: int = 512
    context_gate: bool = True
    tie_embeddings: bool = False
    dropout: float = 0.4
    min_count: int = 5
    sequence_length: int = 32
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_epochs: float = 0.5
    ema_momentum: float = 0.0
    clip_norm: float = 5.0
    label_smoothing: float = 0.1
    doubly_stochastic_weight: float = 0.0
    random_flip: bool = True
    unfreeze_after: str = ""
    encoder_learning_rate: float = 0.0
    random_window: float = 1.0
    self_critical_samples: int = 0
    bleu_4_weight: float = 0.0
    crossentropy_weight: float = 0.0
    scheduled_sampling: float = 0.0
    distillation_weight: float = 0.0
    feature_dtype: str = "float32"
    decoder_dtype: str = "float32"
    num_beams: int = 5
    length_penalty: float = 0.9
    seed: int = 0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, default = getattr(self, field.name), field.default
            # An int will do for a float, but True is no number here.
            kinds = (int, float) if isinstance(default, float) else (type(default),)
            if type(value) not in kinds:
                raise ValueError(
                    f"`{field.name}` of a recipe must be of type {kinds[-1].__name__}. "
                    f"Received: {field.name}={value!r}"
                )
        for name in ("epochs", "batch_size", "sequence_length", "num_beams", "min_count"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` of a recipe must be at least 1. "
                    f"Received: {name}={getattr(self, name)!r}"
                )

    @classmethod
    def from_dict(cls, values, source="a dict"):
        """Makes a recipe of a dict; `source` names it in errors."""
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(names)) if isinstance(values, dict) else [values]
        if unknown:
            raise ValueError(
                f"A recipe must be an object with names from {names}. "
                f"Received: {unknown} in '{source}'"
            )
        return cls(**values)

    def to_dict(self):
        """The recipe as a dict that JSON can hold."""
        return dataclasses.asdict(self)


def load_recipes(path):
    """Reads a training of one or more stages from JSON.

    Args:
        path: path of a file with an object of the attributes of `Recipe`, where those left
            out take their defaults, or a list of such objects; or the name of a bundled
            recipe: `"vgg16_gru_short"`, or a preset's for the one that made it.

    Returns:
        list of `Recipe`, in the order in which they are run.

    Raises:
        FileNotFoundError: if there is no such file or bundled recipe.
        ValueError: if the file is nothing of this, or has an unknown name.
    """
    bundled = {file.stem: file for file in (BUNDLED / "recipes").glob("*.json")}
    file = pathlib.Path(bundled.get(str(path), path))
    if not file.is_file():
        raise FileNotFoundError(
            "A recipe must be a file, or the name of a bundled one, one of "
            f"{sorted(bundled)}. Received: '{path}'"
        )
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"A recipe must be a JSON file. Received: '{path}': {error}") from error
    stages = values if isinstance(values, list) and values else [values]
    return [Recipe.from_dict(stage, path) for stage in stages]

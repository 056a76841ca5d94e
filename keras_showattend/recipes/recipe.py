"""`Recipe`: the settings of one training stage, which the command line and JSON files share."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import typing
from collections.abc import Callable
from typing import Any, Literal

from keras_showattend._typing import PathLike
from keras_showattend.presets.registry import BUNDLED


def _setting(default: Any, help_text: str) -> Any:
    """Returns a field with the text that `keras-showattend train --help` shows of it."""
    return dataclasses.field(default=default, metadata={"help": help_text})


# Rule, check, and the settings that it is for.
_RANGES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    (
        "at least 1",
        lambda value: value >= 1,
        "embedding_dim hidden_dim attention_dim epochs batch_size sequence_length num_beams "
        "min_count",
    ),
    (
        "in [0, 1)",
        lambda value: 0 <= value < 1,
        "dropout ema_momentum label_smoothing color_jitter",
    ),
    (
        "in [0, 1]",
        lambda value: 0 <= value <= 1,
        "scheduled_sampling distillation_weight bleu_4_weight crossentropy_weight",
    ),
    ("in (0, 1]", lambda value: 0 < value <= 1, "random_window random_crop"),
    ("above 0", lambda value: 0 < value < math.inf, "clip_norm layer_decay"),
    (
        "0 or more",
        lambda value: 0 <= value < math.inf,
        "learning_rate warmup_epochs doubly_stochastic_weight encoder_learning_rate seed "
        "distinctness_weight self_critical_length",
    ),
    ("0, or at least 2", lambda value: value == 0 or value >= 2, "self_critical_samples"),
    ("a finite number", math.isfinite, "length_penalty"),
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of one training stage: everything that decides its result but the data.

    `keras-showattend train --help` lists the settings, and
    `dataclasses.fields(Recipe)` has each text under `metadata["help"]`.

    Raises:
        ValueError: for a value of another type, or out of its range.

    Example:

    ```python
    Recipe(decoder="lstm", epochs=20, learning_rate=5e-4)
    ```
    """

    encoder: str = _setting(
        "vgg16", "name of the image encoder, such as efficientnet_lite2; see create_captioner"
    )
    grid: int = _setting(7, "locations along each side of the encoder grid, 7 or 14")
    decoder: Literal["gru", "lstm"] = _setting("gru", "cell of the decoder")
    embedding_dim: int = _setting(512, "size M of the token embeddings")
    hidden_dim: int = _setting(512, "size N of the decoder's hidden state")
    attention_dim: int = _setting(512, "size A of the attention")
    context_gate: bool = _setting(True, "whether the context is gated, as in the paper")
    tie_embeddings: bool = _setting(
        False, "whether the output layer shares the weights of the token embeddings"
    )
    dropout: float = _setting(0.4, "share of units dropped")
    min_count: int = _setting(
        5, "words with fewer occurrences in the training captions become <unk>"
    )
    sequence_length: int = _setting(
        32, "longest caption in tokens, its end token included; longer ones are cut"
    )
    epochs: int = _setting(10, "passes over all captions")
    batch_size: int = _setting(64, "captions in a step")
    # The cosine is that of Loshchilov and Hutter 2017, arXiv 1608.03983.
    learning_rate: float = _setting(
        1e-3, "learning rate of Adam after the warm-up; falls to 0 along a cosine"
    )
    warmup_epochs: float = _setting(0.5, "epochs in which the learning rate rises from 0")
    # Polyak and Juditsky 1992.
    ema_momentum: float = _setting(
        0.0,
        "momentum of an exponential moving average of the weights, which is scored and kept "
        "instead of the weights; reaches back about 1 / (1 - momentum) steps, so use it in a "
        "stage that starts from trained weights; 0 for none",
    )
    # Pascanu et al. 2013, arXiv 1211.5063.
    clip_norm: float = _setting(5.0, "largest global norm of the gradients")
    label_smoothing: float = _setting(0.1, "share of the target spread over all tokens")
    doubly_stochastic_weight: float = _setting(
        0.0, "weight of the penalty that asks a caption to attend to all of its image"
    )
    random_flip: bool = _setting(True, "whether half of the images are mirrored at random")
    unfreeze_after: str = _setting(
        "",
        "name of the last encoder layer that stays frozen, such as block4_pool, or auto for the "
        "encoder's default; the layers after it learn, batch normalization excepted; empty "
        "freezes the whole encoder",
    )
    encoder_learning_rate: float = _setting(
        0.0, "learning rate of the encoder's layers that learn; 0 for that of the decoder"
    )
    random_window: float = _setting(
        1.0,
        "smallest share of height and width that a batch sees of its images; below 1 only where "
        "a part of the encoder learns",
    )
    random_crop: float = _setting(
        1.0,
        "smallest share of its area that is left of an image; below 1, images are decoded and "
        "encoded anew for each batch, only where a part of the encoder learns",
    )
    color_jitter: float = _setting(
        0.0, "largest change of brightness, contrast and saturation; decodes as random_crop does"
    )
    layer_decay: float = _setting(
        1.0,
        "factor of the encoder's learning rate for each block farther from its output, of "
        "layers whose names agree up to the first underscore",
    )
    self_critical_samples: int = _setting(
        0, "captions sampled for an image in self-critical training; 0 trains on the next token"
    )
    self_critical_length: int = _setting(
        0, "longest caption sampled in self-critical training, in tokens; 0 for sequence_length"
    )
    bleu_4_weight: float = _setting(0.0, "weight of BLEU-4 in the self-critical reward")
    crossentropy_weight: float = _setting(
        0.0, "weight of the cross-entropy of the dataset's captions in self-critical training"
    )
    distinctness_weight: float = _setting(
        0.0, "weight of CIDEr-D for other images, subtracted from the self-critical reward"
    )
    scheduled_sampling: float = _setting(
        0.0, "probability with which a token read in training is replaced by a sampled one"
    )
    distillation_weight: float = _setting(0.0, "weight of the teacher in the loss")
    feature_dtype: str = _setting(
        "float32", "dtype policy of the encoder during training, such as mixed_bfloat16"
    )
    decoder_dtype: str = _setting(
        "float32", "dtype policy of the decoder during training; weights stay float32"
    )
    num_beams: int = _setting(5, "beams of the search whose captions choose the best epoch")
    length_penalty: float = _setting(0.9, "length penalty of that search")
    seed: int = _setting(0, "seed of weights, order, dropout and flips")

    def __post_init__(self) -> None:
        self._check_types()
        # All of them now: a later stage would be refused after hours.
        for rule, is_within, names in _RANGES:
            for name in names.split():
                value = getattr(self, name)
                if not is_within(value):
                    raise ValueError(
                        f"`{name}` of a recipe must be {rule}. Received: {name}={value!r}"
                    )

    def _check_types(self) -> None:
        types = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            wanted = str if typing.get_origin(types[field.name]) is Literal else types[field.name]
            # An int will do for a float, but True is no number here.
            if type(value) not in ((int, float) if wanted is float else (wanted,)):
                raise ValueError(
                    f"`{field.name}` of a recipe must be of type {wanted.__name__}. "
                    f"Received: {field.name}={value!r}"
                )

    @classmethod
    def from_dict(cls, values: Any, source: PathLike = "a dict") -> Recipe:
        """Makes a recipe from a dict.

        Args:
            values: dict of settings; those left out take their defaults.
            source: names the dict in errors.

        Raises:
            ValueError: for an unknown name, a value of another type, or no dict.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(names)) if isinstance(values, dict) else [values]
        if unknown:
            raise ValueError(
                f"A recipe must be an object with names from {names}. "
                f"Received: {unknown} in '{source}'"
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Returns the recipe as a dict that JSON can hold."""
        return dataclasses.asdict(self)


def load_recipes(path: PathLike) -> list[Recipe]:
    """Reads the stages of a run from JSON.

    Args:
        path: path of a file with the settings of a `Recipe` as an object, in which those left
            out take their defaults, or a list of such objects; or the name of a bundled
            recipe: `"vgg16_gru_short"`, or the name of a preset for the recipe that made it.

    Returns:
        List of `Recipe`, in the order in which the stages run.

    Raises:
        FileNotFoundError: if there is no such file or bundled recipe.
        ValueError: if the file is no recipe, or has an unknown name.
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

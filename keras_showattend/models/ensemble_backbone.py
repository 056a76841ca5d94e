"""`EnsembleBackbone`: several backbones that a search uses like one."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from keras_showattend._typing import Array, Tensor
from keras_showattend.preprocessing import CaptionImageConverter

PixelChange: TypeAlias = tuple[list[float], list[float]] | None


class EnsembleBackbone(keras.Model):
    """Several `ShowAttendBackbone` as one, for `CaptionSearch` and teacher forcing.

    Probabilities are averaged and not their logarithms, so that a word which one member
    is sure of survives another member that rules it out.

    Args:
        backbones: list of `ShowAttendBackbone`.
        member_weights: float[n], which sum to 1.
        encoder_index: list of n int. Which of the different encoders each member has.
        pixel_changes: what `pixel_change` returned for each different encoder.

    Call arguments:
        inputs: dict of `token_ids` int32[B, T] and `images` float32[B, H, W, 3], normalized
            for the first member, or `annotations`, a tuple of float[B, L_i, D_i], one of
            each different encoder; with `image_index` int32[B] images or annotations are
            those of I images.

    Returns:
        Logarithm of the mean probabilities, float32[B, T, V].
    """

    def __init__(
        self,
        backbones: Sequence[Any],
        member_weights: Sequence[float],
        encoder_index: Sequence[int],
        pixel_changes: Sequence[PixelChange],
    ) -> None:
        super().__init__(name="ensemble_backbone")
        self.members = list(backbones)
        self.member_weights = [float(weight) for weight in member_weights]
        self.encoder_index = list(encoder_index)
        self.pixel_changes = list(pixel_changes)
        self.dtype_policy = backbones[0].dtype_policy
        self.built = True

    @property
    def vocabulary_size(self) -> int:
        """Number V of tokens."""
        return self.members[0].vocabulary_size

    def annotate(self, inputs: Mapping[str, Any]) -> list[Tensor]:
        """Returns annotations float[B, L_i, D_i], one for each member."""
        annotations = inputs.get("annotations")
        if annotations is None:
            annotations = [
                self.members[self.encoder_index.index(number)].annotate(
                    {"images": _changed(inputs["images"], change)}
                )
                for number, change in enumerate(self.pixel_changes)
            ]
        elif not isinstance(annotations, list | tuple):
            annotations = [annotations]
        if len(annotations) != len(self.pixel_changes):
            raise ValueError(
                "An ensemble takes a tuple of annotations, one of each different encoder: "
                f"{len(self.pixel_changes)} of them. Received: {len(annotations)}"
            )
        return [annotations[number] for number in self.encoder_index]

    def begin(self, inputs: Mapping[str, Any]) -> tuple[list[Any], list[Tensor]]:
        """Returns what a search starts from; see `ShowAttendBackbone.begin`.

        Returns:
            Tuple `(memory, states)`: the list of the members' memories, and all of their
            states in one list.
        """
        begun = [
            member.begin({"annotations": annotations})
            for member, annotations in zip(self.members, self.annotate(inputs), strict=True)
        ]
        memory = [memory for memory, _ in begun]
        return memory, [state for _, states in begun for state in states]

    def step(
        self, token_ids: Tensor, states: list[Tensor], memory: list[Any]
    ) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        """Takes one step of a search.

        Args:
            token_ids: int32[B].
            states, memory: as `begin` returns them.

        Returns:
            Tuple `(logits, attention_weights, states)`: float32[B, V], the logarithm of
            the mean probabilities; float[B, L], the members' mean, or None where their
            encoder grids differ; and the list of new states.
        """
        logits, weights, new_states, start = [], [], [], 0
        for member, member_memory in zip(self.members, memory, strict=True):
            stop = start + member.decoder.cell.num_states
            outputs = member.step(token_ids, states[start:stop], member_memory)
            logits.append(outputs[0])
            weights.append(ops.cast(outputs[1], "float32"))
            new_states += outputs[2]
            start = stop
        attention_weights = None
        if len({member.grid_shape for member in self.members}) == 1:
            pairs = zip(self.member_weights, weights, strict=True)
            attention_weights = sum(member * weight for member, weight in pairs)
        return self._mean(logits), attention_weights, new_states

    def call(self, inputs: Mapping[str, Any]) -> Tensor:
        """Teacher forcing; see the class docstring."""
        return self._mean(
            [
                member.decoder(
                    inputs["token_ids"], annotations, image_index=inputs.get("image_index")
                )["logits"]
                for member, annotations in zip(self.members, self.annotate(inputs), strict=True)
            ]
        )

    def _mean(self, logits: list[Tensor]) -> Tensor:
        """Logarithm of the weighted mean of the members' probabilities."""
        weighted = [
            ops.log_softmax(ops.cast(member, "float32"), axis=-1) + float(np.log(weight))
            for member, weight in zip(logits, self.member_weights, strict=True)
        ]
        return ops.logsumexp(ops.stack(weighted), axis=0)

    def get_config(self) -> dict[str, Any]:
        """Returns a description of the ensemble without its weights, for a digest."""
        return {
            "members": [member.get_config() for member in self.members],
            "shares": self.member_weights,
            "encoder_index": self.encoder_index,
            "pixel_changes": self.pixel_changes,
        }


def pixel_change(converter: CaptionImageConverter, other: CaptionImageConverter) -> PixelChange:
    """Returns what turns images normalized by one converter into those of another.

    Args:
        converter, other: `CaptionImageConverter`.

    Returns:
        Tuple `(factor, shift)` of lists of 3 floats, or None if nothing changes.

    Raises:
        ValueError: if the two differ in more than `scale` and `offset`.
    """
    config, other_config = _resizing(converter), _resizing(other)
    differing = sorted(key for key in config if config[key] != other_config[key])
    if differing:
        raise ValueError(
            "The captioners of an ensemble must load images alike; only `scale` and `offset` may "
            "differ. Received: image converters that differ in "
            + ", ".join(f"{key} ({config[key]} and {other_config[key]})" for key in differing)
        )
    ones = np.ones(3)
    factor = ones * _or(other.scale, 1.0) / _or(converter.scale, 1.0)
    shift = ones * _or(other.offset, 0.0) - factor * _or(converter.offset, 0.0)
    if np.allclose(factor, 1) and np.allclose(shift, 0):
        return None
    return factor.tolist(), shift.tolist()


def _resizing(converter: CaptionImageConverter) -> dict[str, Any]:
    same = ("name", "dtype", "trainable", "scale", "offset")
    return {key: value for key, value in converter.get_config().items() if key not in same}


def _or(value: Any, default: float) -> np.ndarray:
    return np.asarray(default if value is None else value, dtype="float64")


def _changed(images: Array, change: PixelChange) -> Tensor:
    if change is None:
        return images
    factor, shift = (ops.convert_to_tensor(part, "float32") for part in change)
    return ops.cast(images, "float32") * factor + shift

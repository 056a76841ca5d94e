"""Several backbones that a search takes for one."""

import keras
import numpy as np
from keras import ops


class EnsembleBackbone(keras.Model):
    """Several `ShowAttendBackbone` as one, for `CaptionSearch` and teacher forcing.

    The probabilities of a word are averaged, and not their logarithms: what one member is
    sure of is not lost where another sees no chance.

    Args:
        backbones: list of `ShowAttendBackbone`.
        shares: float[n]. The members' shares, which add up to 1.
        encoder_index: list of n int. Which of the different encoders each member has.
        pixel_changes: for each different encoder what `pixel_change` gave.

    Call arguments:
        inputs: dict of `token_ids` int32[B, T] and `images` float32[B, H, W, 3], normalised
            for the first member, or `annotations`, a tuple of float[B, L_i, D_i], one of
            each different encoder; with `image_index` int32[B] images or annotations are
            those of I images.

    Returns:
        Logarithm of the mean probabilities, float32[B, T, V].
    """

    def __init__(self, backbones, shares, encoder_index, pixel_changes):
        super().__init__(name="ensemble_backbone")
        self.members = list(backbones)
        self.shares = [float(share) for share in shares]
        self.encoder_index = list(encoder_index)
        self.pixel_changes = list(pixel_changes)
        self.dtype_policy = backbones[0].dtype_policy
        self.built = True

    @property
    def vocabulary_size(self):
        """Number V of tokens."""
        return self.members[0].vocabulary_size

    def annotate(self, inputs):
        """List of annotations float[B, L_i, D_i], one for each member."""
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

    def begin(self, inputs):
        """What a search starts from; see `ShowAttendBackbone.begin`.

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

    def step(self, token_ids, states, memory):
        """One word of a search.

        Args:
            token_ids: int32[B].
            states, memory: as `begin` gives them.

        Returns:
            Tuple `(logits, attention_weights, states)`: float32[B, V], the logarithm of
            the mean probabilities; float[B, L], the members' mean, or None where their
            numbers of places differ; and the list of new states.
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
            pairs = zip(self.shares, weights, strict=True)
            attention_weights = sum(share * weight for share, weight in pairs)
        return self._mean(logits), attention_weights, new_states

    def call(self, inputs):
        """Teacher forcing; see the class docstring."""
        return self._mean(
            [
                member.decoder(
                    inputs["token_ids"], annotations, image_index=inputs.get("image_index")
                )["logits"]
                for member, annotations in zip(self.members, self.annotate(inputs), strict=True)
            ]
        )

    def _mean(self, logits):
        shared = [
            ops.log_softmax(ops.cast(member, "float32"), axis=-1) + float(np.log(share))
            for member, share in zip(logits, self.shares, strict=True)
        ]
        return ops.logsumexp(ops.stack(shared), axis=0)

    def get_config(self):
        """What describes the ensemble, for a digest of it; weights are the members'."""
        return {
            "members": [member.get_config() for member in self.members],
            "shares": self.shares,
            "encoder_index": self.encoder_index,
            "pixel_changes": self.pixel_changes,
        }


def pixel_change(converter, other):
    """How images normalised by one converter become what another would have given.

    Args:
        converter, other: `CaptionImageConverter`.

    Returns:
        Tuple `(factor, shift)` of lists of 3 floats, or None where nothing changes.

    Raises:
        ValueError: if the two differ in more than `scale` and `offset`.
    """
    config, other_config = _resizing(converter), _resizing(other)
    differing = sorted(key for key in config if config[key] != other_config[key])
    if differing:
        raise ValueError(
            "The captioners of an ensemble must load pictures alike; only `scale` and `offset` "
            "may differ. Received: image converters with other "
            + ", ".join(f"{key} ({config[key]} and {other_config[key]})" for key in differing)
        )
    ones = np.ones(3)
    factor = ones * _or(other.scale, 1.0) / _or(converter.scale, 1.0)
    shift = ones * _or(other.offset, 0.0) - factor * _or(converter.offset, 0.0)
    if np.allclose(factor, 1) and np.allclose(shift, 0):
        return None
    return factor.tolist(), shift.tolist()


def _resizing(converter):
    same = ("name", "dtype", "trainable", "scale", "offset")
    return {key: value for key, value in converter.get_config().items() if key not in same}


def _or(value, default):
    return np.asarray(default if value is None else value, dtype="float64")


def _changed(images, change):
    if change is None:
        return images
    factor, shift = (ops.convert_to_tensor(part, "float32") for part in change)
    return ops.cast(images, "float32") * factor + shift

"""A captioner's search as a Keras model: images in, ranked token ids out."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_showattend._typing import Tensor
from keras_showattend.search.beams import beam_search
from keras_showattend.search.sampling import sample_captions


class CaptionSearch(keras.Model):
    """Encodes images and searches for their captions.

    It shares the weights of a captioner's backbone. Being a `keras.Model`, its
    `predict_on_batch` is compiled by Keras on every backend.

    Args:
        backbone: a `ShowAttendBackbone`, or anything with its `begin`, `step` and
            `vocabulary_size`.
        tokenizer: a `CaptionTokenizer`; its special tokens steer the search.
        max_length: int. Most steps T of a caption.
        num_beams: int. Beams K of the beam search, where 1 is greedy search, or captions K
            drawn for each image.
        length_penalty, no_repeat_ngram_size: see `beam_search`.
        sampler: a `keras_hub.samplers.Sampler`, or None for beam search.
        with_attention: bool. Whether a beam search keeps where each word looked. Defaults
            to False.

    Call arguments:
        inputs: dict; see `ShowAttendBackbone.annotate`. `length_penalty` float32 scalar
            in it goes before the argument of the constructor, so that one graph serves all.

    Returns:
        Dict of `token_ids` int32[B, K, T], `log_probabilities` float32[B, K] and
        `scores` float32[B, K]; beams best first, drawn captions as they came. A beam search
        adds `word_log_probabilities` float32[B, K, T] and, `with_attention`,
        `attention_weights` float32[B, K, T, L]; both are 0 after the end token.
    """

    def __init__(
        self,
        backbone: Any,
        tokenizer: Any,
        *,
        max_length: int,
        num_beams: int = 1,
        length_penalty: float = 0.0,
        no_repeat_ngram_size: int = 0,
        sampler: Any = None,
        with_attention: bool = False,
    ) -> None:
        # The backbone's layers compute in their own dtypes; scores are float32.
        super().__init__(name="caption_search", dtype="float32")
        self.backbone = backbone
        self.max_length = max_length
        self.num_beams = num_beams
        self.length_penalty = length_penalty
        self.no_repeat_ngram_size = no_repeat_ngram_size
        self.sampler = sampler
        self.with_attention = with_attention
        # Keras hands the random state of a sampler through compiled calls only if it
        # finds it among the model's variables.
        self.sampler_variables = list(sampler.variables) if sampler is not None else []
        self.start_id = tokenizer.start_token_id
        self.end_id = tokenizer.end_token_id
        self.pad_id = tokenizer.pad_token_id
        self.forbidden_ids = tokenizer.forbidden_token_ids
        # The backbone has its weights already.
        self.built = True

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Searches; see the class docstring."""
        length_penalty = inputs.get("length_penalty", self.length_penalty)
        memory, states = self.backbone.begin(inputs)
        states = keras.tree.map_structure(self._per_caption, states)
        num_rows = ops.shape(states[0])[0]

        def step(token_ids: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            logits, _, states = self.backbone.step(token_ids, states, memory)
            return logits, states

        settings = {
            "vocabulary_size": self.backbone.vocabulary_size,
            "max_length": self.max_length,
            "start_id": self.start_id,
            "end_id": self.end_id,
            "pad_id": self.pad_id,
            "forbidden_ids": self.forbidden_ids,
            "no_repeat_ngram_size": self.no_repeat_ngram_size,
        }
        if self.sampler is None:
            if self.with_attention:
                step, states = self._recording(memory, states)
            outputs = beam_search(
                step,
                states,
                num_rows // self.num_beams,
                num_beams=self.num_beams,
                length_penalty=length_penalty,
                **settings,
            )
            states = outputs.pop("states")
            if self.with_attention:
                outputs["attention_weights"] = self._attention(outputs["token_ids"], states[-1])
            return outputs
        tokens, log_probs, lengths = sample_captions(
            step, states, num_rows, self.sampler, model=self.backbone, **settings
        )
        lengths = ops.cast(ops.maximum(lengths, 1), "float32")
        return {
            "token_ids": ops.reshape(tokens, (-1, self.num_beams, self.max_length)),
            "log_probabilities": ops.reshape(log_probs, (-1, self.num_beams)),
            "scores": ops.reshape(
                log_probs / ops.power(lengths, length_penalty), (-1, self.num_beams)
            ),
        }

    def _per_caption(self, tensor: Tensor) -> Tensor:
        return ops.repeat(tensor, self.num_beams, axis=0) if self.num_beams > 1 else tensor

    def _recording(self, memory: Any, states: list[Tensor]) -> tuple[Any, list[Tensor]]:
        """Returns a step and states with a clock and all attention weights among the states.

        The search hands the states of a beam on to the beams that continue it.
        """
        num_rows = ops.shape(states[0])[0]
        num_locations = memory["annotations"].shape[1]
        clock = ops.zeros((num_rows,), "int32")
        record = ops.zeros((num_rows, self.max_length, num_locations), "float32")
        times = ops.arange(self.max_length)

        def step(token_ids: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            *states, clock, record = states
            logits, weights, states = self.backbone.step(token_ids, states, memory)
            is_now = ops.equal(times, ops.expand_dims(clock, -1))
            weights = ops.expand_dims(ops.cast(weights, "float32"), 1)
            record = ops.where(ops.expand_dims(is_now, -1), weights, record)
            return logits, [*states, clock + 1, record]

        return step, [*states, clock, record]

    def _attention(self, token_ids: Tensor, record: Tensor) -> Tensor:
        is_word = ops.expand_dims(ops.not_equal(token_ids, self.pad_id), -1)
        return ops.where(is_word, record, 0.0)

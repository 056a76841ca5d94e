"""A captioner's search as a Keras model: images in, ranked token ids out."""

import keras
from keras import ops

from keras_showattend.search.beam_search import beam_search, penalize


class CaptionSearch(keras.Model):
    """Encodes images and searches for their captions.

    It shares the weights of a captioner's backbone. Being a `keras.Model`, its
    `predict_on_batch` is compiled by Keras on every backend.

    Args:
        backbone: a `ShowAttendBackbone`.
        tokenizer: a `CaptionTokenizer`; its special tokens steer the search.
        max_length: int. Most steps T of a caption.
        num_beams: int. Beams K of the beam search; 1 is greedy search.
        length_penalty: float; see `beam_search`.
        sampler: a `keras_hub.samplers.Sampler`, or None for beam search. With a sampler
            K is 1.

    Call arguments:
        inputs: dict with `images` float[B, H, W, 3] or `annotations` float[B, L, D].

    Returns:
        Dict of `token_ids` int32[B, K, T], `log_probabilities` float32[B, K] and
        `scores` float32[B, K], best first.
    """

    def __init__(
        self, backbone, tokenizer, *, max_length, num_beams=1, length_penalty=0.0, sampler=None
    ):
        super().__init__(name="caption_search")
        self.backbone = backbone
        self.max_length = max_length
        self.num_beams = num_beams
        self.length_penalty = length_penalty
        self.sampler = sampler
        # Keras hands the random state of a sampler through compiled calls only if it
        # finds it among the model's variables.
        self.sampler_variables = list(sampler.variables) if sampler is not None else []
        self.start_id = tokenizer.start_token_id
        self.end_id = tokenizer.end_token_id
        self.pad_id = tokenizer.pad_token_id
        self.forbidden_ids = (self.pad_id, self.start_id, tokenizer.unk_token_id)

    def build(self, input_shape):
        """The backbone is built already."""
        self.built = True

    def call(self, inputs):
        """Searches; see the class docstring."""
        annotations = inputs.get("annotations")
        if annotations is None:
            annotations = self.backbone.image_encoder(inputs["images"])
        if self.sampler is not None:
            return self._sample(annotations)
        decoder = self.backbone.decoder
        batch_size = ops.shape(annotations)[0]
        memory, states = decoder.begin(annotations)
        memory = {key: self._per_beam(value) for key, value in memory.items()}
        states = [self._per_beam(state) for state in states]

        def step(token_ids, states):
            logits, _, states = decoder.step(token_ids, states, memory)
            return logits, states

        return beam_search(
            step,
            states,
            batch_size,
            vocabulary_size=decoder.vocabulary_size,
            num_beams=self.num_beams,
            max_length=self.max_length,
            start_id=self.start_id,
            end_id=self.end_id,
            pad_id=self.pad_id,
            forbidden_ids=self.forbidden_ids,
            length_penalty=self.length_penalty,
        )

    def _per_beam(self, tensor):
        return ops.repeat(tensor, self.num_beams, axis=0) if self.num_beams > 1 else tensor

    def _sample(self, annotations):
        decoder = self.backbone.decoder
        batch_size = ops.shape(annotations)[0]
        memory, states = decoder.begin(annotations)
        forbidden = penalize(self.forbidden_ids, decoder.vocabulary_size)

        def next(prompt, states, index):
            last = ops.take(prompt, index - 1, axis=1)
            logits, _, states = decoder.step(last, states, memory)
            return logits + forbidden, None, states

        prompt = ops.full((batch_size, self.max_length + 1), self.pad_id, dtype="int32")
        start = ops.full((batch_size, 1), self.start_id, dtype="int32")
        prompt = ops.slice_update(prompt, (0, 0), start)
        mask = ops.broadcast_to(ops.equal(ops.arange(self.max_length + 1), 0), ops.shape(prompt))
        prompt = self.sampler(
            next=next,
            prompt=prompt,
            cache=states,
            index=1,
            mask=mask,
            stop_token_ids=(self.end_id,),
            model=self.backbone,
        )
        tokens, read = prompt[:, 1:], prompt[:, :-1]
        ended = ops.cumsum(ops.cast(ops.equal(tokens, self.end_id), "int32"), axis=1)
        after_end = (ended - ops.cast(ops.equal(tokens, self.end_id), "int32")) > 0
        tokens = ops.where(after_end, self.pad_id, tokens)
        logits = decoder(read, annotations)["logits"]
        words = ops.take_along_axis(
            ops.log_softmax(logits, axis=-1), ops.expand_dims(tokens, -1), axis=-1
        )
        real = ops.cast(ops.not_equal(tokens, self.pad_id), "float32")
        log_probs = ops.sum(words[..., 0] * real, axis=1, keepdims=True)
        lengths = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1)
        return {
            "token_ids": ops.expand_dims(tokens, 1),
            "log_probabilities": log_probs,
            "scores": log_probs / ops.power(lengths, self.length_penalty),
        }

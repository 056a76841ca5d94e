"""The caption decoder: the cell scanned over a caption, and the logits of its tokens."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_showattend._typing import Tensor
from keras_showattend.layers.decoder_cell import CaptionDecoderCell
from keras_showattend.layers.time_scan import products_of, scan_time

INITIAL_STATES = ("mean", "zeros")


@keras.saving.register_keras_serializable(package="keras_showattend")
class CaptionDecoder(keras.layers.Layer):
    """Recurrent caption decoder with attention, after "Show, Attend and Tell".

    Source: Xu et al. 2015 (arXiv 1502.03044), section 3.1.2. Training (`call`, teacher
    forcing over a whole caption) and generation (`begin`, then `step` for each token) run
    the same `CaptionDecoderCell` and the same output layers, so both give a caption the
    same log-probability.

    Args:
        vocabulary_size: int. Number V of tokens, special ones included.
        embedding_dim: int. Size M of the token embeddings. Defaults to 512.
        hidden_dim: int. Size N of the state. Defaults to 512.
        attention_dim: int. Size A of the attention. Defaults to 512.
        cell: `"gru"` or `"lstm"`. Defaults to `"gru"`.
        context_gate: bool. The paper's gate on the context. Defaults to True.
        deep_output: bool. True: `logits = L_o(E y + L_h h + L_z z)`, the paper's equation
            7; False: `Dense(V)(Dense(N)(h))`, the well-known tutorial's. Defaults to True.
        initial_state: `"mean"`: tanh of a dense layer on the mean annotation (the
            paper's); `"zeros"`: the tutorial's. Defaults to `"mean"`.
        normalize_annotations: bool. Whether each annotation goes through layer
            normalization (Ba et al. 2016, arXiv 1607.06450) first; those of VGG vary
            widely in scale. Defaults to True.
        tie_embeddings: bool. Whether the output layer shares the weights of the token
            embeddings (Press and Wolf 2017, arXiv 1608.05859); it then has no bias.
            Defaults to False.
        dropout: float in [0, 1). Fraction of units dropped from the token embeddings and
            before the logits, in training only. Defaults to 0.4.
        **kwargs: `name`, `dtype`, `trainable` of `keras.layers.Layer`.

    Call arguments:
        token_ids: int32[B, T]. The tokens so far; the first is the start token.
        annotations: float[I, L, D]. From an `ImageEncoder`. What depends on the image alone
            is computed once for all of its captions.
        annotation_mask: bool[I, L], False at locations to ignore.
        image_index: int32[B] or None. Which image each caption describes. None: each image
            has as many captions, B / I, which stand together in the order of the images.
        training: bool. Whether dropout is applied.

    Returns:
        Dict with `logits` float32[B, T, V], before the softmax, of the token that follows
        each token, and `attention_weights` float[B, T, L].

    Raises:
        ValueError: on construction, for an unknown `cell` or `initial_state`, a size
            that is not a positive int, a `dropout` outside [0, 1), or `tie_embeddings`
            with an output of another size than the embeddings.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int = 512,
        hidden_dim: int = 512,
        attention_dim: int = 512,
        cell: str = "gru",
        context_gate: bool = True,
        deep_output: bool = True,
        initial_state: str = "mean",
        normalize_annotations: bool = True,
        tie_embeddings: bool = False,
        dropout: float = 0.4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for key, value in (("vocabulary_size", vocabulary_size), ("embedding_dim", embedding_dim)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{key}` must be a positive int. Received: {key}={value!r}")
        if initial_state not in INITIAL_STATES:
            raise ValueError(
                f"`initial_state` must be one of {INITIAL_STATES}. "
                f"Received: initial_state={initial_state!r}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout!r}")
        output_dim = embedding_dim if deep_output else hidden_dim
        if tie_embeddings and output_dim != embedding_dim:
            raise ValueError(
                "`tie_embeddings` needs `deep_output=True` or a `hidden_dim` that equals "
                f"`embedding_dim`. Received: hidden_dim={hidden_dim!r}, "
                f"embedding_dim={embedding_dim!r}, deep_output={deep_output!r}"
            )
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.deep_output = deep_output
        self.initial_state = initial_state
        self.normalize_annotations = normalize_annotations
        self.tie_embeddings = tie_embeddings
        self.dropout = dropout

        def dense(units: int, name: str, **dense_kwargs: Any) -> keras.layers.Dense:
            return keras.layers.Dense(units, dtype=self.dtype_policy, name=name, **dense_kwargs)

        self.annotation_norm = (
            keras.layers.LayerNormalization(dtype=self.dtype_policy, name="annotation_norm")
            if normalize_annotations
            else None
        )
        embedding_class = (
            keras.layers.ReversibleEmbedding if tie_embeddings else keras.layers.Embedding
        )
        self.token_embedding = embedding_class(
            vocabulary_size, embedding_dim, dtype=self.dtype_policy, name="token_embedding"
        )
        self.embedding_dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.cell = CaptionDecoderCell(
            hidden_dim, attention_dim, cell, context_gate, dtype=self.dtype_policy, name="cell"
        )
        self.state_initializers = (
            [
                dense(hidden_dim, f"initial_state_{index}", activation="tanh")
                for index in range(self.cell.num_states)
            ]
            if initial_state == "mean"
            else []
        )
        self.hidden_output = dense(output_dim, "hidden_output")
        self.context_output = (
            dense(embedding_dim, "context_output", use_bias=False) if deep_output else None
        )
        self.output_dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.vocabulary_output = (
            None if tie_embeddings else dense(vocabulary_size, "vocabulary_output")
        )

    def build(self, token_ids_shape: tuple[Any, ...], annotations_shape: tuple[Any, ...]) -> None:
        """Creates the weights from the shapes `(B, T)` and `(B, L, D)`."""
        batch, _, depth = annotations_shape
        hidden_shape = (batch, self.cell.hidden_dim)
        embedding_shape = (batch, self.embedding_dim)
        if self.annotation_norm is not None:
            self.annotation_norm.build(annotations_shape)
        self.token_embedding.build(token_ids_shape)
        self.cell.build(embedding_shape, [hidden_shape] * self.cell.num_states, annotations_shape)
        for layer in self.state_initializers:
            layer.build((batch, depth))
        self.hidden_output.build(hidden_shape)
        if self.context_output is not None:
            self.context_output.build((batch, depth))
        if self.vocabulary_output is not None:
            self.vocabulary_output.build((batch, self.hidden_output.units))

    def begin(
        self, annotations: Tensor, annotation_mask: Tensor | None = None
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Computes what depends on the image alone, once for all steps of its caption.

        Args:
            annotations: float[B, L, D].
            annotation_mask: bool[B, L] or None.

        Returns:
            Tuple `(memory, states)`: `memory` is the dict of arguments with which every
            step calls the cell (`annotations` float[B, L, D], `projected_annotations`
            float[B, L, A] and, where given, `annotation_mask`); `states` is the list of
            float[B, N] before the first token.
        """
        annotations = ops.cast(annotations, self.compute_dtype)
        if self.annotation_norm is not None:
            annotations = ops.layer_normalization(annotations, epsilon=self.annotation_norm.epsilon)
        affine = self._affine()
        memory = {
            "annotations": annotations,
            "projected_annotations": self.cell.attention.project(annotations, affine),
        }
        if annotation_mask is None:
            mean = ops.mean(annotations, axis=1)
        else:
            memory["annotation_mask"] = annotation_mask
            weight = ops.expand_dims(ops.cast(annotation_mask, self.compute_dtype), axis=-1)
            total = ops.maximum(ops.sum(weight, axis=1), 1)
            mean = ops.sum(weight * annotations, axis=1) / total
        if affine is not None:
            mean = affine[0] * mean + affine[1]
        if self.state_initializers:
            states = [layer(mean) for layer in self.state_initializers]
        else:
            zeros = ops.zeros((ops.shape(mean)[0], self.cell.hidden_dim), self.compute_dtype)
            states = [zeros] * self.cell.num_states
        return memory, states

    def step(
        self, token_ids: Tensor, states: Sequence[Tensor], memory: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Takes one step of generation.

        Args:
            token_ids: int32[B]. The previous tokens.
            states: list of float[B, N].
            memory: dict from `begin`.

        Returns:
            Tuple `(logits, attention_weights, states)`: float32[B, V], float[B, L] and
            the list of new states.
        """
        embedding = self.token_embedding(token_ids)
        (hidden_state, context, attention_weights), states = self.cell.step(
            self.cell.project(embedding),
            states,
            **memory,
            products=products_of(self.cell.kernels()),
            affine=self._affine(),
        )
        return self._logits(embedding, hidden_state, context), attention_weights, states

    def call(
        self,
        token_ids: Tensor,
        annotations: Tensor,
        annotation_mask: Tensor | None = None,
        image_index: Tensor | None = None,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        """Decodes whole captions with teacher forcing; see the class docstring."""
        memory, states = self.begin(annotations, annotation_mask)
        if image_index is not None:
            # Before training on PyTorch, Keras runs a model on ones for all inputs; with a
            # single image, index 1 is out of range.
            image_index = ops.minimum(image_index, ops.shape(states[0])[0] - 1)
            memory, states = keras.tree.map_structure(
                lambda tensor: ops.take(tensor, image_index, axis=0), (memory, states)
            )
        else:
            states = [_for_each_caption(state, token_ids) for state in states]
        embeddings = self.embedding_dropout(self.token_embedding(token_ids), training=training)
        affine = self._affine()
        (hidden_states, contexts, attention_weights), _ = scan_time(
            lambda token, states, products: self.cell.step(
                token, states, **memory, products=products, affine=affine
            ),
            states,
            self.cell.project(embeddings),
            self.cell.kernels(),
        )
        logits = self._logits(embeddings, hidden_states, contexts, training)
        return {"logits": logits, "attention_weights": attention_weights}

    def _affine(self) -> tuple[Tensor, Tensor] | None:
        """Returns scale and offset of the normalized annotations, or None.

        They are applied to sums over locations and not to each location, so that no
        gradient by location is computed while the encoder is frozen.
        """
        if self.annotation_norm is None:
            return None
        return (
            ops.cast(self.annotation_norm.gamma, self.compute_dtype),
            ops.cast(self.annotation_norm.beta, self.compute_dtype),
        )

    def _logits(
        self, embedding: Tensor, hidden_state: Tensor, context: Tensor, training: bool | None = None
    ) -> Tensor:
        output = self.hidden_output(hidden_state)
        if self.context_output is not None:
            output = embedding + output + self.context_output(context)
        output = self.output_dropout(output, training=training)
        if self.vocabulary_output is not None:
            logits = self.vocabulary_output(output)
        else:
            logits = self.token_embedding(output, reverse=True)
        # A softmax over thousands of tokens needs float32, whatever the policy.
        return ops.cast(logits, "float32")

    def compute_output_spec(
        self,
        token_ids: Tensor,
        annotations: Tensor,
        annotation_mask: Tensor | None = None,
        image_index: Tensor | None = None,
        training: bool | None = None,
    ) -> dict[str, keras.KerasTensor]:
        """Describes the outputs without tracing the loop."""
        batch, length = token_ids.shape
        return {
            "logits": keras.KerasTensor((batch, length, self.vocabulary_size), "float32"),
            "attention_weights": keras.KerasTensor(
                (batch, length, annotations.shape[1]), self.compute_dtype
            ),
        }

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the layer."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "hidden_dim": self.cell.hidden_dim,
            "attention_dim": self.cell.attention_dim,
            "cell": self.cell.cell,
            "context_gate": self.cell.context_gate,
            "deep_output": self.deep_output,
            "initial_state": self.initial_state,
            "normalize_annotations": self.normalize_annotations,
            "tie_embeddings": self.tie_embeddings,
            "dropout": self.dropout,
        }


def _for_each_caption(state: Tensor, token_ids: Tensor) -> Tensor:
    """Repeats the states of I images, float[I, N], for B captions: float[B, N]."""
    num_images, size = ops.shape(state)
    shape = (num_images, ops.shape(token_ids)[0] // num_images, size)
    return ops.reshape(ops.broadcast_to(ops.expand_dims(state, axis=1), shape), (-1, size))

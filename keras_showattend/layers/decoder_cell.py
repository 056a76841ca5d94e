"""One step of the caption decoder: attend, gate, recur."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_showattend._typing import Tensor
from keras_showattend.layers.additive_attention import AdditiveAttention
from keras_showattend.layers.time_scan import products_of

CELLS = ("gru", "lstm")


@keras.saving.register_keras_serializable(package="keras_showattend")
class CaptionDecoderCell(keras.layers.Layer):
    """One decoding step of "Show, Attend and Tell" with a GRU or an LSTM.

    Source: Xu et al. 2015 (arXiv 1502.03044), equations 1 to 5 and section 4.2.1. The
    paper's cell is an LSTM; a GRU (Cho et al. 2014) is this project's default.

    1. `context, attention_weights = attention(hidden_state, annotations)`
    2. with the gate: `context *= sigmoid(W_beta hidden_state)`
    3. `hidden_state = cell([token_embedding; context], hidden_state)`

    Args:
        hidden_dim: int. Size N of the state.
        attention_dim: int. Size A of the attention.
        cell: `"gru"` or `"lstm"`. Defaults to `"gru"`.
        context_gate: bool. Whether step 2 is done. Defaults to True.
        **kwargs: `name`, `dtype`, `trainable` of `keras.layers.Layer`.

    Call arguments:
        token_embedding: float[B, M]. Embedding of the previous word.
        states: list of float[B, N]: `[hidden_state]` for a GRU,
            `[hidden_state, cell_state]` for an LSTM.
        annotations: float[B, L, D].
        projected_annotations: float[B, L, A]; computed if left out.
        annotation_mask: bool[B, L], False at locations to ignore.

    Returns:
        Tuple `((hidden_state, context, attention_weights), states)`: float[B, N] the new
        state, float[B, D] the gated context, float[B, L], and the list of new states.

    Raises:
        ValueError: on construction, for an unknown `cell` or a size that is not a
            positive int.
    """

    def __init__(
        self,
        hidden_dim: int,
        attention_dim: int,
        cell: str = "gru",
        context_gate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(f"`cell` must be one of {CELLS}. Received: cell={cell!r}")
        if not isinstance(hidden_dim, int) or hidden_dim < 1:
            raise ValueError(
                f"`hidden_dim` must be a positive int. Received: hidden_dim={hidden_dim!r}"
            )
        self.hidden_dim = hidden_dim
        self.attention_dim = attention_dim
        self.cell = cell
        self.context_gate = context_gate
        self.attention = AdditiveAttention(attention_dim, dtype=self.dtype_policy, name="attention")
        self.gate = (
            keras.layers.Dense(1, activation="sigmoid", dtype=self.dtype_policy, name="gate")
            if context_gate
            else None
        )
        # TensorFlow has no QR decomposition in half precision, which orthogonal needs.
        half = keras.backend.standardize_dtype(self.variable_dtype) in ("float16", "bfloat16")
        recurrent_class = keras.layers.GRUCell if cell == "gru" else keras.layers.LSTMCell
        self.recurrent = recurrent_class(
            hidden_dim,
            recurrent_initializer="glorot_uniform" if half else "orthogonal",
            dtype=self.dtype_policy,
            name=cell,
        )

    @property
    def num_states(self) -> int:
        """Number of state tensors: 1 for a GRU, 2 for an LSTM."""
        return 1 if self.cell == "gru" else 2

    def build(
        self,
        token_embedding_shape: tuple[Any, ...],
        states_shape: Sequence[tuple[Any, ...]],
        annotations_shape: tuple[Any, ...],
    ) -> None:
        """Creates the weights from `(B, M)`, a list of `(B, N)` and `(B, L, D)`."""
        batch = annotations_shape[0]
        state_shape = (batch, self.hidden_dim)
        self.attention.build(state_shape, annotations_shape)
        if self.gate is not None:
            self.gate.build(state_shape)
        self.embedding_dim = token_embedding_shape[-1]
        self.recurrent.build((batch, self.embedding_dim + annotations_shape[-1]))

    def project(self, token_embedding: Tensor) -> Tensor:
        """Computes the embedding's part of step 3, which does not depend on the state.

        Args:
            token_embedding: float[..., M].

        Returns:
            float[..., G]: what the embedding adds to the gates, with their bias; G is 3 N
            for a GRU and 4 N for an LSTM.
        """
        kernel = self._weight(self.recurrent.kernel)[: self.embedding_dim]
        bias = self._weight(self.recurrent.bias)
        return ops.matmul(token_embedding, kernel) + (bias[0] if self.cell == "gru" else bias)

    def kernels(self) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the matrices by which a step multiplies, as `scan_time` takes them.

        Returns:
            Tuple of float[N, A] and float[N, G], by which the state is multiplied, and
            float[D, G], by which the context is.
        """
        # Sliced once for all steps: the gradient of a slice has the size of the whole kernel.
        return (
            self._weight(self.attention.state_projection.kernel),
            self._weight(self.recurrent.recurrent_kernel),
            self._weight(self.recurrent.kernel)[self.embedding_dim :],
        )

    def _weight(self, variable: keras.Variable) -> Tensor:
        return ops.cast(variable, self.compute_dtype)

    def call(
        self,
        token_embedding: Tensor,
        states: Sequence[Tensor],
        annotations: Tensor,
        projected_annotations: Tensor | None = None,
        annotation_mask: Tensor | None = None,
    ) -> tuple[tuple[Tensor, Tensor, Tensor], list[Tensor]]:
        """Takes one step; see the class docstring."""
        return self.step(
            self.project(token_embedding),
            states,
            annotations,
            projected_annotations,
            annotation_mask,
            products=products_of(self.kernels()),
        )

    def step(
        self,
        token_projection: Tensor,
        states: Sequence[Tensor],
        annotations: Tensor,
        projected_annotations: Tensor | None = None,
        annotation_mask: Tensor | None = None,
        *,
        products: Sequence[Callable[[Tensor], Tensor]],
        affine: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[tuple[Tensor, Tensor, Tensor], list[Tensor]]:
        """Takes one step of many, given what does not depend on the step.

        Args:
            token_projection: float[B, G]. From `project`.
            states, annotations, projected_annotations, annotation_mask: as for a call.
            products: functions that multiply by the `kernels`, from `products_of`.
            affine: tuple `(scale, offset)` of float[D], or None. Looks at
                `scale * annotations + offset`; `projected_annotations` must be theirs.

        Returns:
            As a call; see the class docstring.
        """
        hidden_state = states[0]
        project_state, recur, weigh_context = products
        context, attention_weights = self.attention.attend(
            project_state(hidden_state), annotations, projected_annotations, annotation_mask
        )
        if affine is not None:
            # Attention weights sum to 1, so scale and offset can be applied after the sum.
            context = affine[0] * context + affine[1]
        if self.gate is not None:
            context = self.gate(hidden_state) * context
        inputs = token_projection + weigh_context(context)
        recurrent = recur(hidden_state)
        if self.cell == "gru":
            recurrent = recurrent + self._weight(self.recurrent.bias)[1]
            states = [_gru(inputs, recurrent, hidden_state)]
        else:
            states = _lstm(inputs + recurrent, states[1])
        return (states[0], context, attention_weights), states

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the layer."""
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "attention_dim": self.attention_dim,
            "cell": self.cell,
            "context_gate": self.context_gate,
        }


def _gru(inputs: Tensor, recurrent: Tensor, hidden_state: Tensor) -> Tensor:
    """Computes Keras' `GRUCell` from its products, float[B, 3 N] twice, and float[B, N]."""
    size = 2 * hidden_state.shape[-1]
    inputs, candidate = ops.split(inputs, [size], axis=-1)
    recurrent, recurrent_candidate = ops.split(recurrent, [size], axis=-1)
    update, reset = ops.split(ops.sigmoid(inputs + recurrent), 2, axis=-1)
    candidate = ops.tanh(candidate + reset * recurrent_candidate)
    return update * hidden_state + (1 - update) * candidate


def _lstm(gates: Tensor, cell_state: Tensor) -> list[Tensor]:
    """Computes Keras' `LSTMCell` from its products, float[B, 4 N], and float[B, N]."""
    input_gate, forget_gate, candidate, output_gate = ops.split(gates, 4, axis=-1)
    cell_state = ops.sigmoid(forget_gate) * cell_state
    cell_state = cell_state + ops.sigmoid(input_gate) * ops.tanh(candidate)
    return [ops.sigmoid(output_gate) * ops.tanh(cell_state), cell_state]

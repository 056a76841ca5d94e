"""Additive attention over the annotations of an image."""

from typing import Any

import keras
from keras import ops

from keras_showattend._typing import Tensor


@keras.saving.register_keras_serializable(package="keras_showattend")
class AdditiveAttention(keras.layers.Layer):
    """Additive ("Bahdanau") soft attention of a decoder state over annotations.

    Sources: Bahdanau et al. 2015 (arXiv 1409.0473), section 3.1; Xu et al. 2015
    (arXiv 1502.03044), equations 4 to 6 and 13.

    1. `attention_scores = score(tanh(W_a annotations + W_h hidden_state + b))`, `[B, L]`
    2. `attention_weights = softmax(attention_scores)`, `[B, L]`, computed in float32;
       locations where `annotation_mask` is False get weight 0
    3. `context = sum_l attention_weights_l * annotations_l`, `[B, D]`

    `W_a annotations` does not depend on the step. Call `project` once for each image
    and pass its result to every call.

    Args:
        attention_dim: int. Size A of the space in which annotations and state meet.
        **kwargs: `name`, `dtype`, `trainable` of `keras.layers.Layer`.

    Call arguments:
        hidden_state: float[B, N]. States of the decoder before the step: as many for each of
            I images, which stand together in the order of the images.
        annotations: float[I, L, D].
        projected_annotations: float[I, L, A]; `project(annotations)` if left out.
        annotation_mask: bool[I, L], False at locations to ignore. A row without a single
            True spreads its weight evenly.

    Returns:
        Tuple `(context, attention_weights)`: float[B, D] and float[B, L], in the layer's
        compute dtype.

    Raises:
        ValueError: on construction, if `attention_dim` is not a positive int.

    Example:

    ```python
    attention = AdditiveAttention(attention_dim=7)
    annotations = np.random.rand(2, 9, 5)
    projected = attention.project(annotations)
    context, weights = attention(np.random.rand(2, 3), annotations, projected)
    assert context.shape == (2, 5) and weights.shape == (2, 9)
    ```
    """

    def __init__(self, attention_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(attention_dim, int) or attention_dim < 1:
            raise ValueError(
                f"`attention_dim` must be a positive int. Received: attention_dim={attention_dim!r}"
            )
        self.attention_dim = attention_dim
        self.annotation_projection = keras.layers.Dense(
            attention_dim, dtype=self.dtype_policy, name="annotation_projection"
        )
        self.state_projection = keras.layers.Dense(
            attention_dim, use_bias=False, dtype=self.dtype_policy, name="state_projection"
        )
        # A bias would add the same number to every score and vanish in the softmax.
        self.score = keras.layers.Dense(
            1, use_bias=False, dtype=self.dtype_policy, name="attention_score"
        )

    def build(
        self, hidden_state_shape: tuple[Any, ...], annotations_shape: tuple[Any, ...]
    ) -> None:
        """Creates the weights from the shapes `(B, N)` and `(B, L, D)`."""
        self.annotation_projection.build(annotations_shape)
        self.state_projection.build(hidden_state_shape)
        self.score.build((*annotations_shape[:-1], self.attention_dim))

    def project(self, annotations: Tensor, affine: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Computes `W_a annotations + b`, which is the same at every step.

        Args:
            annotations: float[B, L, D].
            affine: tuple `(scale, offset)` of float[D], or None. Projects
                `scale * annotations + offset`, at the cost of `annotations` alone.

        Returns:
            float[B, L, A].
        """
        if affine is None:
            return self.annotation_projection(annotations)
        scale, offset = affine
        kernel = ops.cast(self.annotation_projection.kernel, self.compute_dtype)
        bias = ops.cast(self.annotation_projection.bias, self.compute_dtype)
        bias = bias + ops.squeeze(ops.matmul(ops.expand_dims(offset, 0), kernel), 0)
        return ops.matmul(annotations, ops.expand_dims(scale, 1) * kernel) + bias

    def call(
        self,
        hidden_state: Tensor,
        annotations: Tensor,
        projected_annotations: Tensor | None = None,
        annotation_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attends; see the class docstring."""
        projected_state = self.state_projection(hidden_state)
        return self.attend(projected_state, annotations, projected_annotations, annotation_mask)

    def attend(
        self,
        projected_state: Tensor,
        annotations: Tensor,
        projected_annotations: Tensor | None = None,
        annotation_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attends with a projected state.

        Args:
            projected_state: float[B, A]. `W_h hidden_state`.
            annotations, projected_annotations, annotation_mask: as for a call.

        Returns:
            `(context, attention_weights)`; see the class docstring.
        """
        if projected_annotations is None:
            projected_annotations = self.project(annotations)
        # The K rows of an image share its annotations, which are read once for all of them.
        num_images, num_locations, depth = ops.shape(annotations)
        state = ops.reshape(projected_state, (num_images, -1, 1, self.attention_dim))
        meeting = ops.tanh(ops.expand_dims(projected_annotations, axis=1) + state)
        # As a matrix: in a loop over batches of unknown size XLA cannot compile the
        # gradient of TensorFlow's product of ranks 3 and 2.
        scores = self.score(ops.reshape(meeting, (-1, self.attention_dim)))
        scores = ops.reshape(scores, (num_images, -1, num_locations))
        # Half precision has too few digits for a softmax over hundreds of locations.
        scores = ops.cast(scores, "float32")
        if annotation_mask is not None:
            mask = ops.expand_dims(ops.cast(annotation_mask, "bool"), axis=1)
            scores = ops.where(mask, scores, -1e9)
        weights = ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)
        context = ops.reshape(ops.matmul(weights, annotations), (-1, depth))
        weights = ops.reshape(weights, (-1, num_locations))
        return context, weights

    def compute_output_shape(
        self, hidden_state_shape: tuple[Any, ...], annotations_shape: tuple[Any, ...]
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Shapes of `(context, attention_weights)`."""
        batch, locations, depth = annotations_shape
        return (batch, depth), (batch, locations)

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the layer."""
        return {**super().get_config(), "attention_dim": self.attention_dim}

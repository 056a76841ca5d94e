"""The network: an image encoder and a caption decoder in one KerasHub backbone."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import keras_hub

from keras_showattend._typing import PathLike, Tensor
from keras_showattend.layers import CaptionDecoder, ImageEncoder
from keras_showattend.presets.from_preset import loads_presets


@loads_presets
@keras.saving.register_keras_serializable(package="keras_showattend")
class ShowAttendBackbone(keras_hub.models.Backbone):
    """Image encoder and caption decoder with attention.

    Source: Xu et al. 2015 (arXiv 1502.03044). The vocabulary's projection is part of it,
    so a captioner has no weights outside its backbone.

    Args:
        image_encoder: an `ImageEncoder`, or a functional `keras.Model` with a spatial
            output, which becomes one.
        vocabulary_size: int. Number V of tokens.
        image_shape: `(height, width, 3)`. Defaults to `(224, 224, 3)`.
        embedding_dim, hidden_dim, attention_dim: int. Sizes M, N, A; default to 512.
        cell: `"gru"` or `"lstm"`. Defaults to `"gru"`.
        context_gate, deep_output, initial_state, normalize_annotations, tie_embeddings,
            dropout: see `keras_showattend.layers.CaptionDecoder`.
        dtype: dtype or policy of the computation, e.g. `"mixed_bfloat16"`.
        **kwargs: `name`, `trainable`.

    Call arguments:
        inputs: dict of `images` float[B, H, W, 3] and `token_ids` int32[B, T].

    Returns:
        Dict of `logits` float32[B, T, V] and `attention_weights` float[B, T, L].
    """

    def __init__(
        self,
        image_encoder: ImageEncoder | keras.Model,
        vocabulary_size: int,
        image_shape: tuple[int, int, int] = (224, 224, 3),
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
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        # === Layers ===
        if not isinstance(image_encoder, ImageEncoder):
            image_encoder = ImageEncoder(image_encoder, dtype=dtype, name="image_encoder")
        decoder = CaptionDecoder(
            vocabulary_size,
            embedding_dim=embedding_dim,
            hidden_dim=hidden_dim,
            attention_dim=attention_dim,
            cell=cell,
            context_gate=context_gate,
            deep_output=deep_output,
            initial_state=initial_state,
            normalize_annotations=normalize_annotations,
            tie_embeddings=tie_embeddings,
            dropout=dropout,
            dtype=dtype,
            name="decoder",
        )

        # === Functional model ===
        images = keras.Input(tuple(image_shape), name="images")
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        outputs = decoder(token_ids, image_encoder(images))
        super().__init__(
            inputs={"images": images, "token_ids": token_ids},
            outputs=outputs,
            dtype=dtype,
            **kwargs,
        )

        # === Config ===
        self.image_encoder = image_encoder
        self.decoder = decoder
        self.image_shape = tuple(image_shape)

    @property
    def vocabulary_size(self) -> int:
        """Number V of tokens."""
        return self.decoder.vocabulary_size

    @property
    def token_embedding(self) -> keras.layers.Embedding:
        """The `keras.layers.Embedding` of the tokens."""
        return self.decoder.token_embedding

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of the encoder grid, whose locations attention weighs."""
        return self.image_encoder.grid_shape(self.image_shape[:2])

    def annotate(self, inputs: Mapping[str, Tensor], training: bool | None = None) -> Tensor:
        """Returns the annotations of images, computed from what is given of them.

        Args:
            inputs: dict with one of `annotations` float[B, L, D], `frozen_features`
                float[B, h, w, C] (what comes out of `image_encoder.last_frozen`, or a
                window of it) and `images` float[B, H, W, 3].
            training: bool.

        Returns:
            float[B, L, D].
        """
        if "annotations" in inputs:
            return inputs["annotations"]
        encoder = self.image_encoder
        if "frozen_features" in inputs:
            return encoder.finish(inputs["frozen_features"], training=training)
        return encoder(inputs["images"], training=training)

    def begin(self, inputs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Returns what a search starts from.

        Args:
            inputs: dict; see `annotate`.

        Returns:
            Tuple `(memory, states)` of `CaptionDecoder.begin`.
        """
        return self.decoder.begin(self.annotate(inputs))

    def step(
        self, token_ids: Tensor, states: list[Tensor], memory: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Takes one step of a search; see `CaptionDecoder.step`."""
        return self.decoder.step(token_ids, states, memory)

    def with_encoder(self, image_encoder: ImageEncoder, dtype: Any = None) -> "ShowAttendBackbone":
        """Returns a copy with another image encoder and the same weights of the decoder.

        Args:
            image_encoder: an `ImageEncoder` with the same annotation size D.
            dtype: dtype policy of the copy's decoder; None is this one's.

        Returns:
            A `ShowAttendBackbone`.
        """
        config = self.get_config()
        for key in ("name", "trainable"):
            config.pop(key)
        config |= {"dtype": dtype or self.dtype_policy, "image_encoder": image_encoder}
        copy = type(self)(**config)
        copy.decoder.set_weights(self.decoder.get_weights())
        return copy

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild the backbone, its encoder included."""
        decoder = self.decoder.get_config()
        for key in ("name", "trainable", "dtype"):
            decoder.pop(key)
        return {
            **super().get_config(),
            **decoder,
            "image_encoder": keras.saving.serialize_keras_object(self.image_encoder),
            "image_shape": self.image_shape,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "ShowAttendBackbone":
        """Rebuilds the backbone; the encoder is built under the same dtype policy."""
        config = dict(config)
        policy = config.get("dtype")
        if isinstance(policy, dict):
            policy = keras.dtype_policies.get(policy)
        # How KerasHub describes a quantized backbone: a policy for each quantized layer.
        modes = {}
        if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
            modes = {path: policy[path].quantization_mode for path in policy}
            policy = policy.default_policy
        config["dtype"] = policy
        if isinstance(config["image_encoder"], dict):
            encoder_config = config["image_encoder"]["config"]
            config["image_encoder"] = ImageEncoder.from_config(encoder_config, policy)
        backbone = cls(**config)
        for mode in set(modes.values()):
            paths = {path for path in modes if modes[path] == mode}
            backbone.quantize(mode, filters=lambda layer, paths=paths: layer.path in paths)
        return backbone

    def save(self, filepath: PathLike, *args: Any, **kwargs: Any) -> None:
        """Saves a `.keras` file; see `ImageCaptioner.save`."""
        refuse_hdf5(filepath)
        super().save(filepath, *args, **kwargs)


def refuse_hdf5(filepath: PathLike) -> None:
    """Raises a `ValueError` for the older format of Keras, from which nothing here loads."""
    if os.fspath(filepath).endswith((".h5", ".hdf5")):
        raise ValueError(
            "The HDF5 format of Keras cannot be loaded again. Save a file that ends in '.keras', "
            "a folder with `save_to_preset`, or weights alone with "
            f"`save_weights('name.weights.h5')`. Received: '{os.fspath(filepath)}'"
        )

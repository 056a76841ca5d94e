"""The network: an image encoder and a caption decoder in one KerasHub backbone."""

import keras
import keras_hub

from keras_showattend.layers import CaptionDecoder, ImageEncoder
from keras_showattend.presets import preset_names, resolve_preset


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
        image_encoder,
        vocabulary_size,
        image_shape=(224, 224, 3),
        embedding_dim=512,
        hidden_dim=512,
        attention_dim=512,
        cell="gru",
        context_gate=True,
        deep_output=True,
        initial_state="mean",
        normalize_annotations=True,
        tie_embeddings=False,
        dropout=0.4,
        dtype=None,
        **kwargs,
    ):
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
    def vocabulary_size(self):
        """Number V of tokens."""
        return self.decoder.vocabulary_size

    @property
    def token_embedding(self):
        """The `keras.layers.Embedding` of the tokens."""
        return self.decoder.token_embedding

    @property
    def grid_shape(self):
        """Rows and columns of the places that attention weighs."""
        return self.image_encoder.grid_shape(self.image_shape[:2])

    def annotate(self, inputs, training=None):
        """Annotations of images, from as far as they have been computed already.

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
            return encoder.finish(inputs["frozen_features"], encoder.last_frozen)
        return encoder(inputs["images"], training=training)

    def begin(self, inputs):
        """What a search starts from.

        Args:
            inputs: dict; see `annotate`.

        Returns:
            Tuple `(memory, states)` of `CaptionDecoder.begin`.
        """
        return self.decoder.begin(self.annotate(inputs))

    def step(self, token_ids, states, memory):
        """One word of a search; see `CaptionDecoder.step`."""
        return self.decoder.step(token_ids, states, memory)

    def with_encoder(self, image_encoder, dtype=None):
        """A copy with another image encoder and the same weights of the decoder.

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

    def get_config(self):
        """Arguments that rebuild the backbone, its encoder included."""
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
    def from_config(cls, config):
        """Rebuilds the backbone; the encoder is built under the same dtype policy."""
        config = dict(config)
        dtype = config.get("dtype")
        if isinstance(dtype, dict):
            dtype = config["dtype"] = keras.dtype_policies.get(dtype)
        if isinstance(config["image_encoder"], dict):
            encoder_config = config["image_encoder"]["config"]
            config["image_encoder"] = ImageEncoder.from_config(encoder_config, dtype)
        return cls(**config)

    presets = preset_names

    @classmethod
    def from_preset(cls, preset, load_weights=True, **kwargs):
        """Loads a backbone; see `ImageCaptioner.from_preset`."""
        return super().from_preset(resolve_preset(preset), load_weights=load_weights, **kwargs)

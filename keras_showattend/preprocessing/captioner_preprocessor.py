"""Images and captions to the model's inputs, and generated ids back to text."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_showattend._typing import Tensor
from keras_showattend.preprocessing.caption_tokenizer import CaptionTokenizer
from keras_showattend.preprocessing.image_converter import CaptionImageConverter
from keras_showattend.preprocessing.image_sources import ImageSource
from keras_showattend.preprocessing.images import as_image_list
from keras_showattend.presets.from_preset import loads_presets


@loads_presets
@keras.saving.register_keras_serializable(package="keras_showattend")
class ImageCaptionerPreprocessor(keras_hub.models.CausalLMPreprocessor):
    """Preprocessing of `ImageCaptioner`, in Python and inside `tf.data`.

    Args:
        image_converter: a `CaptionImageConverter`.
        tokenizer: a `CaptionTokenizer`.
        sequence_length: int. Steps T of a caption in training, and the default
            `max_length` of generation. A longer caption is cut, and its last token is
            the end token, so that a captioner learns to end. Defaults to 32.
        **kwargs: as for `keras_hub.models.Preprocessor`.

    Call arguments:
        x: dict with `images` and `captions`. `captions`: B str, one for each image.
            `images`: B sources as `ImageCaptioner.generate` takes them; inside
            TensorFlow graphs uint8 or float[B, H, W, 3].
        y: must be None: the words to predict are the captions'.
        sample_weight: float[B] or None. Weight of each caption.

    Returns:
        Tuple `(x, y, sample_weight)`: `x` the dict of `images` float32[B, h, w, 3],
        `token_ids` int32[B, T] that begins with the start token, and `padding_mask`
        bool[B, T]; `y` int32[B, T] the following tokens; `sample_weight` float32[B, T],
        0 where `y` is padding.

    Raises:
        ValueError: if `x` lacks `images` or `captions`, or `y` is given.
    """

    tokenizer_cls = CaptionTokenizer
    image_converter_cls = CaptionImageConverter

    def __init__(
        self,
        image_converter: CaptionImageConverter,
        tokenizer: CaptionTokenizer,
        sequence_length: int = 32,
        **kwargs: Any,
    ):
        super().__init__(tokenizer=tokenizer, sequence_length=sequence_length, **kwargs)
        self.image_converter = image_converter

    def build(self, input_shape: Any) -> None:
        """Nothing to build: packing is done here, without KerasHub's packer."""
        self.built = True

    def call(
        self,
        x: Any,
        y: None = None,
        sample_weight: Tensor | None = None,
        sequence_length: int | None = None,
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Preprocesses a batch for training; see the class docstring."""
        if not isinstance(x, dict) or not {"images", "captions"} <= set(x) or y is not None:
            raise ValueError(
                "Training data must be a dict with 'images' and 'captions', and no labels: the "
                "words to predict are the captions'. Received: "
                f"x={sorted(x) if isinstance(x, dict) else type(x)}, y={type(y)}"
            )
        length = sequence_length or self.sequence_length
        if self._use_tf_workflow():
            images = self.image_converter(x["images"])
            tokens = self._pack_tensor(x["captions"], length)
        else:
            captions, sources = x["captions"], as_image_list(x["images"])[0]
            if isinstance(captions, str | bytes) or len(captions) != len(sources):
                raise ValueError(
                    "A batch must have one caption for each image, in a list even if it is one. "
                    f"Received: {len(sources)} images, captions={captions!r}"
                )
            images = self.convert_images(sources)
            captions = [c.decode() if isinstance(c, bytes) else c for c in captions]
            tokens = self.pack(self.tokenizer.tokenize(captions), length)
        inputs = {"images": images, **self.shift(tokens)}
        weight = inputs.pop("sample_weight")
        targets = inputs.pop("targets")
        if sample_weight is not None:
            weight = weight * sample_weight[:, None]
        return inputs, targets, weight

    def convert_images(self, sources: Sequence[ImageSource]) -> np.ndarray:
        """Loads, resizes and normalises images.

        Args:
            sources: list of anything `load_image` takes.

        Returns:
            float32[B, h, w, 3].
        """
        converter = self.image_converter
        return converter.normalize(np.stack([converter.load(source) for source in sources]))

    def pack(self, token_ids: Sequence[Any], length: int, add_end_token: bool = True) -> np.ndarray:
        """Adds start and end tokens and pads.

        Args:
            token_ids: list of int32[T_i].
            length: int. Steps T of the result. Longer captions are cut and keep their end
                token.
            add_end_token: bool. False for captions that hold their end token already, if
                they have one. Defaults to True.

        Returns:
            int32[B, T + 1].
        """
        tokenizer = self.tokenizer
        packed = np.full((len(token_ids), length + 1), tokenizer.pad_token_id, dtype="int32")
        packed[:, 0] = tokenizer.start_token_id
        for row, ids in zip(packed, token_ids, strict=True):
            ids = [*ids[: length - 1], tokenizer.end_token_id] if add_end_token else ids[:length]
            row[1 : len(ids) + 1] = ids
        return packed

    def _pack_tensor(self, captions: Tensor, length: int) -> Tensor:
        import tensorflow as tf

        tokenizer = self.tokenizer
        ids = tokenizer.tokenize(captions)[:, : length - 1]
        edge = tf.ones((ids.nrows(), 1), tf.int32)
        ids = tf.concat([edge * tokenizer.start_token_id, ids, edge * tokenizer.end_token_id], 1)
        return ids.to_tensor(tokenizer.pad_token_id, shape=(None, length + 1))

    def shift(self, tokens: Tensor) -> dict[str, Tensor]:
        """Splits packed captions into what is read and what is predicted.

        Args:
            tokens: int32[B, T + 1] from `pack`.

        Returns:
            Dict of `token_ids` int32[B, T], `padding_mask` bool[B, T], `targets`
            int32[B, T] and `sample_weight` float32[B, T].
        """
        targets = tokens[:, 1:]
        mask = targets != self.tokenizer.pad_token_id
        if isinstance(tokens, np.ndarray):
            weight = mask.astype("float32")
        else:
            import tensorflow as tf

            weight = tf.cast(mask, tf.float32)
        return {
            "token_ids": tokens[:, :-1],
            "padding_mask": mask,
            "targets": targets,
            "sample_weight": weight,
        }

    def generate_preprocess(
        self, x: Any, sequence_length: int | None = None
    ) -> dict[str, np.ndarray]:
        """Turns images into the encoder's input.

        Args:
            x: one image source or several; see `ImageCaptioner.generate`.
            sequence_length: not used; there for KerasHub's signature.

        Returns:
            Dict with `images` float32[B, h, w, 3].
        """
        return {"images": self.convert_images(as_image_list(x)[0])}

    def generate_postprocess(self, x: dict[str, Tensor], capitalize: bool = False) -> Any:
        """Turns generated ids into text.

        Args:
            x: dict with `token_ids` int32[..., T]; everything from the first end token
                on is dropped, and special tokens are never shown.
            capitalize: bool. Whether captions begin with an upper-case letter.

        Returns:
            list of str, nested as the leading axes of `token_ids` are.
        """
        token_ids = np.asarray(x["token_ids"])
        if token_ids.ndim > 1:
            return [self.generate_postprocess({"token_ids": t}, capitalize) for t in token_ids]
        ends = np.flatnonzero(token_ids == self.tokenizer.end_token_id)
        return self.tokenizer.detokenize(token_ids[: ends[0] if ends.size else None], capitalize)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild the layer."""
        config = super().get_config()
        config.pop("add_start_token", None)
        config.pop("add_end_token", None)
        return config

"""Any convolutional network with a spatial output, as an encoder of annotations."""

import contextlib
import copy
import functools
import itertools
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import ops

from keras_showattend._typing import Tensor


@contextlib.contextmanager
def dtype_policy_scope(dtype: Any) -> Iterator[None]:
    """Builds layers under a policy; some networks (KerasHub's VGG) take no `dtype`."""
    previous = keras.config.dtype_policy()
    if dtype is not None:
        keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


@keras.saving.register_keras_serializable(package="keras_showattend")
class ImageEncoder(keras.layers.Layer):
    """Turns images into annotations: one vector for each location of a feature map.

    Source: Xu et al. 2015 (arXiv 1502.03044), section 3.1.1: the annotations are taken
    from a convolutional layer and not from a dense one, so that each belongs to a part
    of the image. `keras_showattend.encoders.create_encoder` builds encoders by name.

    Args:
        backbone: a functional `keras.Model`: a KerasHub image backbone, a
            `keras.applications` model without its top, or your own. Channels last.
        output_layer: name of the layer of `backbone` whose output, float[B, h, w, D], is
            taken. Defaults to the model's own output. VGG16 at 224 x 224:
            `"block5_pool"` gives 7 x 7 locations and `"block5_conv3"` (`"block5_conv4"` in
            VGG19) 14 x 14, both with D = 512.
        architecture: dict from which `keras_showattend.encoders.create.build_backbone`
            rebuilds `backbone`: `encoder`, the name of a registered one, and the options
            of its builder. It stands in the config in place of the backbone's own, which
            lists every layer. Defaults to None.
        fine_tune_after: name of the layer that `unfreeze(after="auto")` means, or None.
        **kwargs: `name`, `dtype`, `trainable` of `keras.layers.Layer`.

    Call arguments:
        images: float[B, H, W, 3], scaled as the backbone expects.
        training: bool, for backbones with dropout or batch normalization.

    Returns:
        float[B, L, D] with L = h * w, row by row from the upper left corner.

    Raises:
        ValueError: on construction, if `backbone` is not a functional model, has no
            layer `output_layer`, or that layer's output is not of rank 4.

    Example:

    ```python
    vgg = keras_hub.models.VGGBackbone([2, 2, 3, 3, 3], [64, 128, 256, 512, 512])
    encoder = ImageEncoder(vgg, output_layer="block5_conv3")
    assert encoder(np.zeros((1, 96, 64, 3))).shape == (1, 24, 512)
    ```
    """

    trainable: bool

    def __init__(
        self,
        backbone: keras.Model,
        output_layer: str | None = None,
        architecture: Mapping[str, Any] | None = None,
        fine_tune_after: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(backbone, keras.Model) or not getattr(backbone, "inputs", None):
            raise ValueError(
                "`backbone` must be a functional `keras.Model` that maps images to a feature "
                f"map. Received: backbone={backbone!r}"
            )
        names = [layer.name for layer in backbone.layers]
        if output_layer is not None and output_layer not in names:
            raise ValueError(
                f"`output_layer` must name a layer of the backbone, one of {names}. "
                f"Received: output_layer={output_layer!r}"
            )
        if output_layer is not None:
            output = backbone.get_layer(output_layer).output
        else:
            output = backbone.outputs[0] if len(backbone.outputs) == 1 else backbone.outputs
        if len(getattr(output, "shape", ())) != 4:
            raise ValueError(
                "`backbone` must give one feature map of rank 4, [batch, height, width, depth]. "
                "Leave its pooling and classifier out, or name a layer with `output_layer`. "
                f"Received: {output_layer or backbone.name!r} gives {output}"
            )
        self.output_layer = output_layer
        self.fine_tune_after = fine_tune_after
        # Behind a function: Keras wraps the dicts among a layer's attributes.
        config = (
            dict(architecture) if architecture else keras.saving.serialize_keras_object(backbone)
        )
        self._backbone_config = functools.partial(copy.deepcopy, config)
        self._architecture = functools.partial(copy.deepcopy, architecture)
        self.features = keras.Model(backbone.inputs[0], output, name="features")
        # `Layer.__init__` set the flag before there were layers to pass it on to.
        self.features.trainable = self.trainable
        # Arguments of the last `unfreeze`.
        self._unfrozen: tuple[str | None, bool] = (None, True)
        # In a function: a dict of models would be tracked, and its weights saved again.
        self.part_after = functools.cache(self._part_after)

    @property
    def annotation_dim(self) -> int:
        """Size D of an annotation."""
        return self.features.output.shape[-1]

    def grid_shape(self, image_size: tuple[Any, ...]) -> tuple[Any, Any]:
        """Rows and columns of the feature map, `(h, w)`, for images `(height, width)`.

        None where the size of the images is None.
        """
        return self.features.compute_output_shape((None, *image_size, 3))[1:3]

    @property
    def last_frozen(self) -> str | None:
        """Name of the last layer up to which nothing learns; None if the first one does.

        What this layer computes is the same in every epoch, and a `FeatureCache` keeps it.
        """
        return self._unfrozen[0] if self.trainable else self.features.layers[-1].name

    def unfreeze(self, after: str | None = None, batch_norm: bool = False) -> None:
        """Lets the encoder learn, or the part of it that follows a layer.

        Xu et al. 2015 kept all of it as it was and name fine-tuning as a possibility
        (section 4.3). `trainable = False` freezes it again.

        Args:
            after: name of the last layer that stays frozen, such as `"block4_pool"` of a
                VGG, with all before it; `"auto"` for the encoder's `fine_tune_after`. None
                lets all layers learn.
            batch_norm: bool. Whether batch normalization learns, too. By default it keeps
                its statistics, scale and offset: those of a batch of a few dozen images
                are far noisier than ImageNet's. Defaults to False.

        Raises:
            ValueError: if there is no layer `after` with layers behind it through which
                alone the images reach the output.
        """
        if after == "auto":
            after = self._fine_tune_after()
        # Checked before anything is changed.
        learning = self.features if after is None else self.part_after(after)
        names = {layer.name for layer in learning.layers}
        self.trainable = True
        # Keras does not pass the flag on to the layers of a functional model.
        for layer in self.features.layers:
            is_norm = isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = layer.name in names and (batch_norm or not is_norm)
        self._unfrozen = (after, batch_norm)

    def _fine_tune_after(self) -> str:
        if self.fine_tune_after is None:
            raise ValueError(
                "`after='auto'` needs an encoder that knows where fine-tuning begins. Name a "
                f"layer, one of {[layer.name for layer in self.features.layers[:-1]]}, or create "
                "the encoder with `fine_tune_after`. Received: after='auto'"
            )
        return self.fine_tune_after

    def trainable_blocks(self) -> list[list[keras.Variable]]:
        """Groups the variables that learn into blocks, from the images to the output.

        A block is a run of layers whose names agree up to the first underscore, such as
        those of `block5_conv1` to `block5_conv3`.
        """
        layers = [layer for layer in self.features.layers if layer.trainable_variables]
        groups = itertools.groupby(layers, key=lambda layer: layer.name.split("_")[0])
        return [[v for layer in group for v in layer.trainable_variables] for _, group in groups]

    def part_until(self, layer_name: str) -> "ImageEncoder":
        """Returns an `ImageEncoder` with the same weights that ends with one of the layers."""
        if layer_name == self.features.layers[-1].name:
            return self
        return ImageEncoder(
            self.features,
            layer_name,
            architecture=self._architecture(),
            dtype=self.dtype_policy,
            trainable=False,
        )

    def _part_after(self, layer_name: str) -> keras.Model:
        """The layers after one of them, with the same weights.

        Args:
            layer_name: str; `"auto"` is `fine_tune_after`.

        Returns:
            `keras.Model` from float[B, h, w, C], of any height and width, to the feature
            map float[B, h', w', D].
        """
        if layer_name == "auto":
            layer_name = self._fine_tune_after()
        names = [layer.name for layer in self.features.layers[:-1]]
        if layer_name not in names:
            raise ValueError(
                "The encoder can be cut at a layer before its last one, one of "
                f"{names}. Received: {layer_name!r}"
            )
        start = self.features.get_layer(layer_name).output
        try:
            part = keras.Model(start, self.features.output)
        except ValueError as error:
            raise ValueError(
                "The encoder can be cut only at a layer through which everything flows. "
                f"Name another one. Received: {layer_name!r}"
            ) from error
        return keras.models.clone_model(
            part,
            input_tensors=keras.Input((None, None, start.shape[-1]), dtype=start.dtype),
            clone_function=lambda layer: layer,
        )

    def finish(
        self, features: Tensor, layer_name: str | None = None, training: bool | None = None
    ) -> Tensor:
        """Computes annotations from the output of `part_until(layer_name)`, or a window of it.

        Args:
            features: float[B, h, w, C], the output of that layer.
            layer_name: str. Defaults to `last_frozen`.
            training: bool; see the class docstring.

        Returns:
            float[B, L, D].
        """
        part = self.part_after(layer_name or self.last_frozen)
        return self._annotations(part(features, training=training))

    def build(self, images_shape: tuple[int | None, ...]) -> None:
        """The backbone's weights exist already."""

    def call(self, images: Tensor, training: bool | None = None) -> Tensor:
        """Encodes; see the class docstring."""
        return self._annotations(self.features(images, training=training))

    def _annotations(self, features: Tensor) -> Tensor:
        shape = ops.shape(features)
        # -1 for the batch keeps the number of locations static inside a traced graph.
        return ops.reshape(features, (-1, shape[1] * shape[2], self.annotation_dim))

    def compute_output_shape(
        self, images_shape: tuple[int | None, ...]
    ) -> tuple[int | None, int | None, int]:
        """Shape `(B, L, D)` of the annotations."""
        rows, columns = self.grid_shape(images_shape[1:3])
        locations = None if rows is None or columns is None else rows * columns
        return (images_shape[0], locations, self.annotation_dim)

    def with_dtype(self, dtype: Any) -> "ImageEncoder":
        """Returns a copy with the same weights that computes in another dtype.

        Args:
            dtype: dtype policy, e.g. `"mixed_bfloat16"`.
        """
        encoder = self.from_config(self.get_config(), dtype)
        encoder.features.set_weights(self.features.get_weights())
        return encoder

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the layer, and which part of it learns."""
        config = {
            **super().get_config(),
            # A copy: Keras empties the config of a functional model while it rebuilds it.
            "backbone": self._backbone_config(),
            "output_layer": self.output_layer,
            "fine_tune_after": self.fine_tune_after,
        }
        if self.trainable and self._unfrozen != (None, True):
            config["unfrozen"] = dict(zip(("after", "batch_norm"), self._unfrozen, strict=True))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], dtype: Any = None) -> "ImageEncoder":
        """Rebuilds the layer with its backbone, which holds fresh weights.

        Args:
            config: dict from `get_config`.
            dtype: dtype policy for the layer and everything in it; None keeps what the
                config says.
        """
        config = dict(config)
        unfrozen = config.pop("unfrozen", None)
        if dtype is not None:
            policy = keras.dtype_policies.serialize(keras.dtype_policies.get(dtype))
            config = {**_with_policy(config, policy), "dtype": policy}
        backbone = config["backbone"]
        if "encoder" in backbone:
            # From above this folder, so found by name.
            build = pkgutil.resolve_name("keras_showattend.encoders.create:build_backbone")
            with dtype_policy_scope(keras.dtype_policies.get(config["dtype"])):
                config |= {"backbone": build(backbone), "architecture": backbone}
        else:
            with dtype_policy_scope(dtype):
                config["backbone"] = keras.saving.deserialize_keras_object(backbone)
        encoder = cls(**config)
        if unfrozen is not None:
            encoder.unfreeze(**unfrozen)
        return encoder


def _with_policy(config: Any, policy: dict[str, Any]) -> Any:
    """A config in which every layer that names a dtype policy has another one."""
    if isinstance(config, list | tuple):
        return [_with_policy(item, policy) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return policy
    return {key: _with_policy(value, policy) for key, value in config.items()}

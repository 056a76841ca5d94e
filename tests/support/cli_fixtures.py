"""A tiny captioner and a few pictures, for the tests of the command line."""

import pytest
from cli_pictures import CAPTIONS, save_picture


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory):
    """Path of a preset with random weights and an encoder of two convolutions."""
    import keras

    from keras_showattend import CaptionImageConverter, CaptionTokenizer, create_captioner

    keras.utils.set_random_seed(3)
    encoder = keras.Sequential(
        [
            keras.Input((32, 48, 3)),
            keras.layers.Conv2D(6, 3, strides=8, padding="same", activation="relu"),
            keras.layers.Conv2D(10, 3, strides=2, padding="same"),
        ]
    )
    captioner = create_captioner(
        encoder,
        "gru",
        tokenizer=CaptionTokenizer.from_captions(CAPTIONS, 1),
        image_converter=CaptionImageConverter((32, 48), scale=1 / 255),
        image_shape=(32, 48, 3),
        sequence_length=7,
        embedding_dim=8,
        hidden_dim=9,
        attention_dim=5,
    )
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    captioner.save_to_preset(folder)
    return str(folder)


@pytest.fixture
def photos(tmp_path):
    """A folder of five pictures, one of them in a sub-folder."""
    folder = tmp_path / "photos"
    for seed, name in enumerate(["a.png", "b.jpg", "c.bmp", "d.png", "sub/e.png"]):
        save_picture(folder / name, seed)
    return folder

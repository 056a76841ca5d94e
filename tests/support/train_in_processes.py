"""Trains a captioner, as one of several processes where JAX is told so; prints the losses."""

import json
import os
import pathlib
import sys

import keras
import numpy as np

CAPTIONS = ["a red dog runs", "a big cat sits on grass", "grass", "a dog on grass", "a cat"]


class Losses(keras.callbacks.Callback):
    """Keeps the mean loss since the epoch began, after each step."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_train_batch_end(self, batch, logs=None):
        self.found.append(float(logs["loss"]))


def data():
    pixels = np.random.default_rng(3).integers(0, 256, (5, 8, 12, 3)).astype("uint8")
    return {"images": list(pixels), "captions": CAPTIONS}


def make(**options):
    from keras_showattend import CaptionImageConverter, CaptionTokenizer, create_captioner

    keras.utils.set_random_seed(7)
    images = keras.Input((8, 12, 3))
    encoder = keras.Model(images, keras.layers.Conv2D(10, 3, 4, padding="same")(images))
    captioner = create_captioner(
        encoder,
        tokenizer=CaptionTokenizer.from_captions(CAPTIONS, min_count=1),
        image_converter=CaptionImageConverter((8, 12), scale=1 / 255),
        image_shape=(8, 12, 3),
        sequence_length=7,
        embedding_dim=16,
        hidden_dim=24,
        attention_dim=20,
        **options,
    )
    captioner.backbone.image_encoder.trainable = False
    return captioner


def refusal(captioner, data, **options):
    try:
        captioner.fit(data, verbose=0, **options)
    except ValueError as error:
        return str(error)
    return None


def main(folder, epochs):
    from keras_showattend.data import CaptionStream
    from keras_showattend.recipes.backup import Backup

    folder = pathlib.Path(folder)
    cache, refusals = folder / "features", []
    if "KERAS_DISTRIBUTION_PROCESS_ID" in os.environ:
        keras.distribution.initialize()
        alone = make()
        # Several processes fill one cache, and none trains by itself unnoticed.
        alone.cached_features(data()["images"], cache)
        refusals.append(refusal(alone, data()))
        distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(distribution)
    captioner = make()
    if refusals:
        refusals.append(refusal(captioner, data(), batch_size=3, feature_cache=cache))
        refusals.append(refusal(captioner, CaptionStream(list)))
        refusals.append(refusal(captioner, data(), batch_size=4, feature_cache=None))
    losses = Losses()
    # Five captions in batches of four: two steps an epoch, the second with three empty rows.
    captioner.fit(
        data(),
        batch_size=4,
        epochs=int(epochs),
        feature_cache=cache,
        verbose=0,
        callbacks=[losses, Backup(folder / "backup")],
    )
    devices = len(captioner.trainable_variables[0].value.sharding.device_set)
    print(json.dumps({"losses": losses.found, "devices": devices, "refusals": refusals}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`ImageCaptioner`: compile, fit, evaluate on every kind of data."""

import functools

import keras
import keras_hub
import numpy as np
import pytest
from captioner_checks import Batches, picture, save_pictures

from keras_showattend import CaptionDataset, DatasetError, ImageCaptioner, ImageError
from keras_showattend.data import FeatureCache
from keras_showattend.explain import Calibration
from keras_showattend.training import CaptionCrossentropy

pytestmark = pytest.mark.slow

BACKEND = keras.backend.backend()
CAPTIONS = ["a red dog runs", "a big cat sits on grass", "grass"]


def changed(before, layer):
    after = [keras.ops.convert_to_numpy(weight) for weight in layer.weights]
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.fixture
def frozen(tiny_captioner):
    def make(**options):
        captioner = tiny_captioner(**{"dropout": 0.0, **options})
        captioner.backbone.image_encoder.trainable = False
        captioner.compile(keras.optimizers.Adam(0.03), label_smoothing=0.0)
        return captioner

    return make


def fit(captioner, data, **options):
    return captioner.fit(data, **{"verbose": 0, "batch_size": 4, **options}).history


def raw_batch(captions=CAPTIONS):
    return {"images": np.stack([picture(n) for n in range(len(captions))]), "captions": captions}


def test_overfits_and_generates_what_it_learned(frozen):
    captioner = frozen()
    pictures = [picture(seed) for seed in range(3)]
    history = fit(captioner, {"images": pictures, "captions": CAPTIONS}, batch_size=3, epochs=40)
    assert history["loss"][0] > 2
    assert history["loss"][-1] < 0.05
    assert history["accuracy"][-1] == 1
    expected = ["A red dog runs", "A big cat sits on grass", "Grass"]
    assert captioner.generate(pictures) == expected
    assert captioner.generate(pictures[1], capitalize=False, num_beams=1) == CAPTIONS[1]
    results = captioner.evaluate({"images": pictures, "captions": CAPTIONS}, verbose=0)
    assert results[0] < 0.05
    assert results[1] == 1


def test_frozen_encoder_stays_and_all_else_learns(frozen, tmp_path):
    captioner = frozen()
    encoder, decoder = captioner.backbone.image_encoder, captioner.backbone.decoder
    encoder_before = [keras.ops.convert_to_numpy(weight) for weight in encoder.weights]
    decoder_before = [keras.ops.convert_to_numpy(weight) for weight in decoder.weights]
    assert len(captioner.trainable_variables) == len(decoder.trainable_variables) > 10
    paths = save_pictures(tmp_path, 2)
    fit(captioner, {"images": paths, "captions": [CAPTIONS[:2], CAPTIONS[2]]}, epochs=2)
    assert not any(changed(encoder_before, encoder))
    assert all(changed(decoder_before, decoder))


def test_unfrozen_encoder_learns(tiny_captioner):
    captioner = tiny_captioner()
    encoder = captioner.backbone.image_encoder
    before = [keras.ops.convert_to_numpy(weight) for weight in encoder.weights]
    fit(captioner, raw_batch(), epochs=2)
    assert changed(before, encoder) == [True, True]


def test_frozen_encoder_without_a_cache(frozen):
    with_cache = fit(frozen(), raw_batch())["loss"]
    keras.utils.set_random_seed(7)
    captioner = frozen()
    encoder = captioner.backbone.image_encoder
    before = [keras.ops.convert_to_numpy(weight) for weight in encoder.weights]
    without = fit(captioner, raw_batch(), feature_cache=None)["loss"]
    assert not any(changed(before, encoder))
    # Features are kept in float16.
    np.testing.assert_allclose(with_cache, without, atol=2e-3)


def test_fit_on_a_dataset_with_validation_and_callbacks(frozen, tmp_path):
    paths = save_pictures(tmp_path, 3)
    dataset = CaptionDataset.from_dict({"images": paths, "captions": [CAPTIONS[:2], *CAPTIONS[1:]]})
    epochs = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(logs))
    history = fit(
        frozen(),
        dataset,
        epochs=2,
        validation_data={"images": paths[:1], "captions": [CAPTIONS[0]]},
        callbacks=[callback],
        random_flip=True,
        feature_cache=tmp_path / "cache",
    )
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert [set(logs) for logs in epochs] == [set(history)] * 2
    assert list((tmp_path / "cache").glob("*/*.npy"))


def test_a_resumed_run_equals_one_in_one_go(frozen):
    data = {"images": [picture(place) for place in range(4)], "captions": CAPTIONS[:2] * 2}
    options = {"batch_size": 1, "random_flip": True, "feature_cache": None, "seed": 3}
    whole = frozen()
    state = whole.backbone.get_weights()
    losses = fit(whole, data, epochs=2, **options)["loss"]
    parts = frozen()
    parts.backbone.set_weights(state)
    resumed = [
        *fit(parts, data, epochs=1, **options)["loss"],
        *fit(parts, data, epochs=2, initial_epoch=1, **options)["loss"],
    ]
    np.testing.assert_allclose(resumed, losses, rtol=1e-5)


def test_validation_data_of_another_kind(frozen):
    history = fit(frozen(), raw_batch(), validation_data=Batches([raw_batch()]))
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_fit_with_an_open_cache(frozen, tmp_path):
    captioner = frozen()
    cache = captioner.feature_cache(tmp_path)
    assert isinstance(cache, FeatureCache)
    cache.compute(list(raw_batch()["images"]), progress=False)
    arrays = sorted(tmp_path.rglob("*.npy"))
    fit(captioner, raw_batch(), feature_cache=cache)
    assert sorted(tmp_path.rglob("*.npy")) == arrays


def test_fit_on_a_users_pydataset(tiny_captioner):
    captioner = tiny_captioner()
    own = Batches([raw_batch(), raw_batch(CAPTIONS[:2])])
    history = fit(captioner, own, batch_size=None, epochs=2, validation_data=own)
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert own.epochs_ended >= 2
    loss, accuracy = captioner.evaluate(own, verbose=0)
    assert np.isfinite(loss)
    assert 0 <= accuracy <= 1


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.data is tested on TensorFlow alone")
@pytest.mark.parametrize("images", ["pixels", "other_size"])
def test_fit_on_tf_data(tiny_captioner, images):
    import tensorflow as tf

    batch = raw_batch()
    if images == "other_size":
        batch["images"] = np.stack([picture(seed, 10, 14) for seed in range(3)])
    data = tf.data.Dataset.from_tensor_slices(batch).batch(2)
    captioner = tiny_captioner()
    history = fit(captioner, data, batch_size=None, epochs=2, validation_data=data)
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    loss, _ = captioner.evaluate(data, verbose=0)
    if images == "pixels":
        # Batch by batch the same as from a dict: 2 rows and 1 row.
        parts = [
            captioner.evaluate(
                {key: batch[key][rows] for key in batch}, verbose=0, feature_cache=None
            )[0]
            for rows in (slice(0, 2), slice(2, 3))
        ]
        np.testing.assert_allclose(loss, (2 * parts[0] + parts[1]) / 3, rtol=1e-4)


def test_padding_never_counts(frozen):
    captioner = frozen()
    captioner.compile(label_smoothing=0.1, doubly_stochastic_weight=0.7)
    preprocessor = captioner.preprocessor

    def results(length, on_batch):
        x, y, weight = preprocessor(raw_batch(), sequence_length=length)
        return on_batch(x, y, sample_weight=weight)

    # KerasHub's own methods of these names would preprocess once more.
    test = functools.partial(keras.Model.test_on_batch, captioner)
    short, long = (results(length, test) for length in (7, 15))
    np.testing.assert_allclose(short, long, rtol=1e-5)
    keras.utils.set_random_seed(7)
    other = frozen()
    other.compile(label_smoothing=0.1, doubly_stochastic_weight=0.7)
    other.set_weights(captioner.get_weights())
    # Training adds the penalty, over real words as well.
    trained_short, trained_long = (
        results(length, functools.partial(keras.Model.train_on_batch, model))
        for length, model in ((7, captioner), (15, other))
    )
    np.testing.assert_allclose(trained_short, trained_long, rtol=1e-5)
    assert trained_short[0] > short[0] + 0.01


def test_evaluate_is_the_mean_over_words(frozen):
    captioner = frozen()
    x, y, weight = captioner.preprocessor(raw_batch())
    loss, accuracy = captioner.evaluate(raw_batch(), verbose=0, feature_cache=None)
    logits = keras.ops.convert_to_numpy(captioner(x))
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    each = -np.take_along_axis(log_probabilities, y[..., None], -1)[..., 0]
    # 5 + 7 + 2 words and ends, of which all fit.
    assert weight.sum() == 14
    np.testing.assert_allclose(loss, (each * weight).sum() / 14, rtol=1e-4)
    right = (logits.argmax(-1) == y) * weight
    np.testing.assert_allclose(accuracy, right.sum() / 14, rtol=1e-4)


def test_compile_defaults(tiny_captioner):
    captioner = tiny_captioner()
    assert isinstance(captioner.optimizer, keras.optimizers.Adam)
    np.testing.assert_allclose(float(captioner.optimizer.learning_rate), 1e-3)
    assert captioner.optimizer.global_clipnorm == 5.0
    assert type(captioner.loss) is CaptionCrossentropy
    assert captioner.loss.label_smoothing == 0.1
    assert captioner.doubly_stochastic_weight == 0
    assert isinstance(captioner.sampler, keras_hub.samplers.BeamSampler)


def test_left_uncompiled(tiny_captioner):
    source = tiny_captioner()
    captioner = ImageCaptioner(source.backbone, source.preprocessor, compile=False)
    assert not captioner.compiled
    with pytest.raises(ValueError, match="compile"):
        fit(captioner, raw_batch())


def test_labels_are_refused(frozen):
    with pytest.raises(ValueError, match="takes no labels"):
        frozen().fit(raw_batch(), CAPTIONS)


def test_a_calibration_lasts_until_the_weights_change(frozen):
    captioner = frozen()
    captioner.calibration = Calibration(1.5, 0.25, 0.1, 0.2, 0.21, 0.5, 30)
    with pytest.raises(ValueError, match="Received: a list of 1"):
        fit(captioner, ["no data"])
    assert captioner.calibration is not None
    fit(captioner, raw_batch(), feature_cache=None)
    assert captioner.calibration is None


def test_unreadable_image_in_fit(frozen, tmp_path):
    path = tmp_path / "bad.png"
    path.write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"bad\.png"):
        fit(frozen(), {"images": [str(path)], "captions": ["a dog"]})


@pytest.mark.parametrize(
    ("images", "captions", "message"),
    [
        ([], [], "no captioned image"),
        ([picture(0)], ["a dog", "a cat"], "one entry of captions"),
        ([picture(0)], [[]], "no captioned image"),
        ([picture(0)], [[3]], "no captioned image"),
    ],
)
def test_unusable_data(frozen, images, captions, message):
    with pytest.raises(DatasetError, match=message):
        fit(frozen(), {"images": images, "captions": captions})


def test_captions_in_a_users_batch_must_be_text(frozen):
    item = {"images": np.stack([picture(0)]), "captions": [5]}
    with pytest.raises(TypeError, match="A caption must be a str. Received: 5"):
        fit(frozen(), Batches([item]), batch_size=None)


@pytest.mark.parametrize("decoder", ["gru", "lstm"])
def test_mixed_precision_training(tiny_captioner, decoder):
    captioner = tiny_captioner(decoder, dtype="mixed_bfloat16")
    history = fit(captioner, raw_batch(), epochs=2)
    assert np.isfinite(history["loss"]).all()
    assert {str(weight.dtype) for weight in captioner.trainable_variables} == {"float32"}
    assert captioner.compute_dtype == "bfloat16"

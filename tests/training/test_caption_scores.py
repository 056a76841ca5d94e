"""`CaptionScores`: captions scored after an epoch, the best weights kept, patience."""

import json

import keras
import numpy as np
import pytest
from captioner_checks import picture, sharpen

from keras_showattend import CaptionDataset
from keras_showattend.search import caption_dataset
from keras_showattend.training import CaptionScores, caption_scores

pytestmark = pytest.mark.slow

CAPTIONS = [["a red dog runs", "a dog"], ["a big cat sits on grass"], ["grass"]]


@pytest.fixture(scope="module")
def dataset():
    images = [picture(seed) for seed in range(3)]
    return CaptionDataset.from_dict(
        {"images": images, "captions": CAPTIONS, "ids": ["x", "y", "z"]}
    )


@pytest.fixture(scope="module")
def captioner(tiny_captioner):
    keras.utils.set_random_seed(21)
    captioner = sharpen(tiny_captioner())
    captioner.compile(sampler="greedy")
    captioner.backbone.image_encoder.trainable = False
    return captioner


class Scripted(CaptionScores):
    """Scores that are written down beforehand, one an epoch."""

    def __init__(self, script, dataset, **options):
        super().__init__(dataset, scores=("cider",), **options)
        self.script = list(script)

    def evaluate(self):
        return {"cider": self.script.pop(0)}


def run(callback, captioner, first_epoch=0):
    """What `fit` does around epochs; the first bias of the model tells the epoch."""
    callback.set_model(captioner)
    captioner.stop_training = False
    callback.on_train_begin()
    logs = []
    for epoch in range(first_epoch, first_epoch + len(callback.script)):
        mark(captioner, epoch)
        logs.append({})
        callback.on_epoch_end(epoch, logs[-1])
        if captioner.stop_training:
            break
    callback.on_train_end()
    return logs


def mark(captioner, epoch=None):
    bias = captioner.backbone.decoder.vocabulary_output.bias
    if epoch is not None:
        bias.assign(keras.ops.full(bias.shape, float(epoch)))
    return float(keras.ops.convert_to_numpy(bias)[0])


def test_scores_real_captions(captioner, dataset, tmp_path):
    options = {"num_beams": 1, "max_length": 4, "batch_size": 2}
    captions = caption_dataset(captioner, dataset, feature_cache=tmp_path, **options)
    assert list(captions) == ["x", "y", "z"]
    expected = captioner.generate(dataset.images, num_beams=1, max_length=4)
    assert list(captions.values()) == expected
    without = caption_dataset(captioner, dataset, feature_cache=None, **options)
    assert without == captions
    callback = CaptionScores(dataset, feature_cache=tmp_path, **options)
    callback.set_model(captioner)
    logs = {"loss": 1.5}
    callback.on_epoch_end(0, logs)
    assert set(logs) == {"loss", "val_bleu_4", "val_rouge_l", "val_cider", "val_distinct"}
    assert all(0 <= value < 10 for value in logs.values())
    # Captions that are the references score highest.
    assert callback.best == logs["val_cider"] < 10


def test_share_of_captions_that_differ(dataset, monkeypatch):
    captions = {"x": "a dog runs", "y": "a cat", "z": "a dog runs"}
    monkeypatch.setattr(caption_scores, "caption_dataset", lambda *_, **__: captions)
    assert CaptionScores(dataset).evaluate()["distinct"] == pytest.approx(2 / 3)


def test_in_fit(tiny_captioner, dataset, tmp_path):
    captioner = tiny_captioner()
    captioner.backbone.image_encoder.trainable = False
    callback = CaptionScores(
        dataset, tmp_path / "best.weights.h5", feature_cache=tmp_path, num_beams=1, max_length=3
    )
    history = captioner.fit(
        dataset, epochs=2, batch_size=4, verbose=0, callbacks=[callback], feature_cache=tmp_path
    ).history
    assert len(history["val_cider"]) == len(history["val_bleu_4"]) == 2
    assert callback.best == max(history["val_cider"])
    record = json.loads((tmp_path / "best.json").read_text())
    assert record["cider"] == callback.best
    assert record["epoch"] == callback.best_epoch


def test_keeps_and_restores_the_best(captioner, dataset, tmp_path):
    path = tmp_path / "new" / "best.weights.h5"
    callback = Scripted([0.2, 0.5, 0.5, 0.4], dataset, filepath=path)
    logs = run(callback, captioner)
    assert [log["val_cider"] for log in logs] == [0.2, 0.5, 0.5, 0.4]
    assert (callback.best, callback.best_epoch) == (0.5, 1)
    assert mark(captioner) == 1
    assert json.loads((tmp_path / "new" / "best.json").read_text()) == {"cider": 0.5, "epoch": 1}
    assert sorted(p.name for p in path.parent.iterdir()) == ["best.json", "best.weights.h5"]


def test_without_restoring(captioner, dataset, tmp_path):
    options = {"filepath": tmp_path / "best.weights.h5", "restore_best_weights": False}
    run(Scripted([0.5, 0.2], dataset, **options), captioner)
    assert mark(captioner) == 1
    run(Scripted([0.5, 0.2, 0.1], dataset), captioner)
    assert mark(captioner) == 2


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 6), (None, 6)])
def test_patience(captioner, dataset, patience, epochs):
    script = [0.1, 0.3, 0.2, 0.4, 0.4, 0.3]
    logs = run(Scripted(script, dataset, patience=patience), captioner)
    assert len(logs) == epochs


def test_goes_on_with_the_record_of_an_interrupted_training(captioner, dataset, tmp_path):
    path = tmp_path / "best.weights.h5"
    run(Scripted([0.2, 0.6], dataset, filepath=path, restore_best_weights=False), captioner)
    resumed = Scripted([0.5, 0.4], dataset, filepath=path, patience=2)
    logs = run(resumed, captioner, first_epoch=2)
    assert len(logs) == 2
    assert (resumed.best, resumed.best_epoch) == (0.6, 1)
    assert captioner.stop_training
    assert mark(captioner) == 1


def test_frequency(captioner, dataset):
    callback = Scripted([0.1, 0.2, 0.3], dataset, frequency=3)
    callback.set_model(captioner)
    logs = [{} for _ in range(7)]
    for epoch, log in enumerate(logs):
        callback.on_epoch_end(epoch, log)
    assert [bool(log) for log in logs] == [False, False, True, False, False, True, False]
    callback.on_epoch_end(8)
    assert callback.best == 0.3


def test_later_callbacks_see_the_scores(captioner, dataset):
    seen = []
    later = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append({**logs}))
    callbacks = keras.callbacks.CallbackList([Scripted([0.25], dataset), later], model=captioner)
    callbacks.on_epoch_end(0, {"loss": 1.5})
    assert seen == [{"loss": 1.5, "val_cider": 0.25}]


def test_monitor_must_be_computed(dataset):
    message = r"`monitor` must be one of `scores`. Received: monitor='meteor', scores=\('cider',\)"
    with pytest.raises(ValueError, match=message):
        CaptionScores(dataset, monitor="meteor", scores=["cider"])
    with pytest.raises(ValueError, match="must name at least one of .*'blue_4'"):
        CaptionScores(dataset, scores=["cider", "blue_4"])


@pytest.mark.parametrize("path", ["best.h5", "best", "best.keras"])
def test_filepath(dataset, path):
    with pytest.raises(ValueError, match=rf"must end in '.weights.h5'. Received: .*'{path}'"):
        CaptionScores(dataset, filepath=path)


def test_unfrozen_encoder_is_not_cached(tiny_captioner, dataset, tmp_path):
    captioner = tiny_captioner()
    captions = caption_dataset(
        captioner, dataset, feature_cache=tmp_path, num_beams=1, max_length=3
    )
    assert len(captions) == 3
    assert not np.any(list(tmp_path.iterdir()))


def run_with_losses(callback, captioner, losses):
    callback.set_model(captioner)
    callback.on_train_begin()
    for epoch, logs in enumerate(losses):
        mark(captioner, epoch)
        callback.on_epoch_end(epoch, dict(logs))
    callback.on_train_end()


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([{"loss": 3.0}, {"loss": 2.0}, {"loss": 2.5}], 1),
        # The loss on other images says more than that of training.
        ([{"loss": 3.0, "val_loss": 2.0}, {"loss": 2.0, "val_loss": 2.5}], 0),
        ([{"loss": 3.0, "reward": 0.1}, {"loss": 2.0, "reward": 0.3}, {"reward": 0.2}], 1),
        ([{"loss": float("nan")}, {"loss": 9.0}], 1),
    ],
    ids=["loss", "val_loss", "reward", "nan"],
)
def test_ties_go_to_the_lower_loss(captioner, dataset, tmp_path, losses, best):
    callback = Scripted([0.0] * len(losses), dataset, filepath=tmp_path / "best.weights.h5")
    run_with_losses(callback, captioner, losses)
    assert callback.best_epoch == mark(captioner) == best


def test_a_better_score_wins_over_a_lower_loss(captioner, dataset):
    callback = Scripted([0.2, 0.3], dataset)
    run_with_losses(callback, captioner, [{"loss": 1.0}, {"loss": 2.0}])
    assert callback.best_epoch == 1


def test_the_loss_of_the_best_is_remembered(captioner, dataset, tmp_path):
    path = tmp_path / "best.weights.h5"
    run_with_losses(Scripted([0.2], dataset, filepath=path), captioner, [{"loss": 1.5}])
    resumed = Scripted([0.2, 0.2], dataset, filepath=path)
    run_with_losses(resumed, captioner, [{"loss": 2.0}, {"loss": 1.0}])
    assert json.loads((tmp_path / "best.json").read_text()) == {
        "cider": 0.2,
        "epoch": 1,
        "loss": 1.0,
    }


def test_one_image_is_too_few_for_cider(captioner, dataset):
    callback = Scripted([0.0, 0.0], dataset[:1])
    assert not callback.is_defined
    with pytest.warns(UserWarning, match="CIDEr is not defined for 1 image .* by the loss"):
        run_with_losses(callback, captioner, [{"val_loss": 2.0}, {"val_loss": 1.0}])
    assert callback.best_epoch == 1


def test_unreadable_validation_images_are_left_out(captioner, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    images = [picture(0), tmp_path / "bad.png", picture(1)]
    data = {"images": images, "captions": [texts[0] for texts in CAPTIONS]}
    callback = CaptionScores(CaptionDataset.from_dict(data))
    callback.set_model(captioner)
    with pytest.warns(UserWarning, match=r"1 of 3 images cannot be read .*:\n.*bad\.png"):
        callback.on_train_begin()
    assert callback.dataset.ids == ["0", "2"]

"""Self-critical training: rewards, advantages, and captions that become better."""

import keras
import numpy as np
import pytest
from captioner_checks import picture

from keras_showattend import CaptionDataset
from keras_showattend.metrics import CiderD
from keras_showattend.training import CaptionBatches, CaptionScores, SelfCritical
from keras_showattend.training.self_critical import CaptionReward
from keras_showattend.training.training_batches import training_batches

pytestmark = pytest.mark.slow

END = 2
CAPTIONS = [
    ["a dog runs", "a big dog runs"],
    ["a cat sits", "a red cat sits on grass", "cat sits"],
    ["grass"],
    ["a dog on grass", "red dog"],
    ["a cat runs"],
]


@pytest.fixture
def dataset():
    images = [picture(seed) for seed in range(len(CAPTIONS))]
    return CaptionDataset.from_dict({"images": images, "captions": CAPTIONS})


def new_batches(captioner, dataset, settings, **options):
    captioner.backbone.image_encoder.trainable = True
    return training_batches(
        captioner, dataset, self_critical=settings, feature_cache=None, **options
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 1}, "`num_samples` must be at least 2"),
        ({"bleu_4_weight": 1.5}, r"`bleu_4_weight` must be in \[0, 1\]"),
        ({"crossentropy_weight": -0.1}, r"`crossentropy_weight` must be in \[0, 1\]"),
        ({"temperature": 0.0}, "`temperature` must be positive"),
        ({"distinctness_weight": -0.5}, "`distinctness_weight` must be 0 or more"),
        ({"max_length": 0}, "`max_length` must be at least 1"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message + ".* Received: "):
        SelfCritical(**options)


REFERENCES = [[[10, 11, 12, 13]], [[14, 15, 16], [10, 15, 17]], [[18, 11]]]


def test_reward_of_cider():
    reward = CaptionReward(REFERENCES, END)
    whole, without_end = [10, 11, 12, 13, END], [10, 11, 12, 13]
    # Two orders of n-grams would do; that of a caption equal to its only reference is 10.
    found = reward([0, 0, 0, 1], [whole, without_end, [END], [14, 15, 16, END]])
    assert found.dtype == "float32"
    assert found[0] == pytest.approx(10.0)
    assert found[1] < found[0]
    assert found[2] == pytest.approx(0.0)
    # "16" and "14" stand in one of two references.
    assert 0 < found[3] < 10


def test_reward_of_bleu():
    reward = CaptionReward(REFERENCES, END, bleu_4_weight=1.0)
    found = reward([0, 0, 1], [[10, 11, 12, 13, END], [10, 11, 12, END], [10, 15, 16, END]])
    # Of 4 words 4, of 3 pairs 2, of 2 triples 1, of 1 four none; brevity exp(1 - 5 / 4).
    near_zero = (4 / 4 * 2 / 3 * 1 / 2 * 1e-9) ** 0.25 * np.exp(-0.25)
    assert found[0] == pytest.approx(1.0)
    assert found[1] == pytest.approx(near_zero, rel=1e-3)
    assert found[2] < 0.01


def test_reward_is_a_mix():
    caption, image = [[10, 15, 16, END]], [1]
    cider, bleu, mixed = (CaptionReward(REFERENCES, END, w)(image, caption) for w in (0, 1, 0.3))
    np.testing.assert_allclose(mixed, 0.7 * cider + 0.3 * bleu, rtol=1e-6)


def test_reward_for_other_images():
    references = [
        [[10, 11, 12, 13]],
        [[14, 15, 16, 17]],
        [[10, 11, 18, 19]],
        [[20, 21, 22, 23]],
        [[24, 25, 26, 27]],
    ]
    reward = CaptionReward(references, END)
    captions = [[10, 11, 12, 13, END], [14, 15, 16, 17, END], [10, 11, 18, 19, END]]
    # Images 3 and 4 are not in this batch. Squared weights: two images have the words 10 and 11
    # and their pair, one each of the others, all the end.
    found = reward.for_others([0, 1, 2], captions)
    assert found.dtype == "float32"
    shared, own = np.log(5 / 2) ** 2, np.log(5) ** 2
    cider = 10 / 4 * (2 * shared / (2 * shared + 2 * own) + shared / (shared + 3 * own))
    np.testing.assert_allclose(found, [cider / 2, 0, cider / 2], atol=1e-6)
    # Now there are three others; two of them have no word in common with the first caption.
    whole = reward.for_others([0, 1, 2, 3], [*captions, [20, 21, 22, 23, END]])
    assert whole[0] == pytest.approx(2 / 3 * found[0], rel=1e-5)


def test_captions_of_other_images_cost(tiny_captioner, dataset):
    captioner = tiny_captioner()
    plain, distinct = (
        new_batches(captioner, dataset, settings, batch_size=8, seed=1).draw(0)
        for settings in (SelfCritical(4), SelfCritical(4, distinctness_weight=0.5))
    )
    np.testing.assert_array_equal(distinct[1], plain[1])
    assert distinct[3] < plain[3]
    with pytest.raises(ValueError, match="compares images of one batch.* Received: batch_size=5"):
        new_batches(captioner, dataset, SelfCritical(4, distinctness_weight=0.5), batch_size=5)


def test_drawn_batch(tiny_captioner, dataset):
    captioner = tiny_captioner()
    batches = new_batches(captioner, dataset, SelfCritical(num_samples=4), batch_size=9, seed=1)
    # Two images of four captions each; the fifth image has its turn in another epoch.
    assert len(batches) == 2
    x, y, weight, mean_reward = batches.draw(1)
    assert x["images"].shape == (2, 8, 12, 3)
    # Each image has as many captions, so that no index is needed.
    assert "image_index" not in x
    steps = 7 if (y != 0).sum(axis=1).max() > 4 else 4
    assert x["token_ids"].shape == y.shape == weight.shape == (8, steps)
    assert weight.dtype == "float32"
    np.testing.assert_array_equal(x["token_ids"][:, 1:], y[:, :-1])
    np.testing.assert_array_equal(x["padding_mask"], y != 0)
    assert not weight[y == 0].any()

    tokenizer = captioner.preprocessor.tokenizer
    numbers = [
        next(i for i in range(5) if np.allclose(picture(i) / 255, image, atol=1e-6))
        for image in x["images"]
    ]
    scorer = CiderD(
        {
            i: [list(map(int, ids)) for ids in tokenizer.tokenize(texts)]
            for i, texts in enumerate(CAPTIONS)
        },
        end_token=END,
    )
    rewards = scorer.score(
        np.repeat(numbers, 4), [[int(i) for i in row if i] for row in y]
    ).reshape(2, 4)
    assert mean_reward == pytest.approx(rewards.mean())
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / 3
    words = (y != 0).sum()
    expected = (rewards - others).reshape(-1, 1) * (y != 0) / words
    np.testing.assert_allclose(weight, expected, atol=1e-6)


def test_samples_are_cut(tiny_captioner, dataset):
    settings = SelfCritical(num_samples=4, max_length=3)
    batches = new_batches(tiny_captioner(), dataset, settings, batch_size=20)
    _, y, weight, _ = batches.draw(0)
    steps = (y != 0).sum(axis=1)
    assert steps.max() == 3
    # A caption that was cut has not ended, and does not learn to.
    cut = y[(steps == 3) & (y[:, 2] != END)]
    assert len(cut)
    assert not weight[:, 3:].any()


def test_samples_differ_and_seeds_decide(tiny_captioner, dataset):
    captioner = tiny_captioner()

    def draw(seed):
        batches = new_batches(captioner, dataset, SelfCritical(5), batch_size=25, seed=seed)
        return batches.draw(0)[1].tolist()

    first = draw(3)
    assert draw(3) == first
    assert draw(4) != first
    assert len({tuple(row) for row in first}) > 5


def test_cross_entropy_of_the_given_captions(tiny_captioner, dataset):
    settings = SelfCritical(num_samples=2, crossentropy_weight=0.25)
    batches = new_batches(tiny_captioner(), dataset, settings, batch_size=10)
    x, y, weight, _ = batches.draw(0)
    # 5 images: 10 captions drawn and 9 given.
    assert y.shape[0] == 19
    given = y[10:]
    np.testing.assert_allclose(weight[10:], 0.25 * (given != 0) / (given != 0).sum(), atol=1e-7)
    assert sorted(np.bincount(x["image_index"][10:]).tolist()) == [1, 1, 2, 2, 3]


def test_captions_become_better(tiny_captioner, dataset):
    captioner = tiny_captioner(dropout=0.0)
    settings = SelfCritical(num_samples=8)
    captioner.compile(optimizer=keras.optimizers.Adam(0.03), self_critical=settings)
    seen = []
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    history = captioner.fit(
        dataset, epochs=40, batch_size=40, feature_cache=None, verbose=0, callbacks=[note]
    )
    rewards = history.history["reward"]
    assert len(rewards) == 40
    assert len(seen) == 40
    assert np.mean(rewards[-5:]) > 1.25 * np.mean(rewards[:5])


def test_frozen_features_are_used(tiny_captioner, dataset, tmp_path):
    captioner = tiny_captioner()
    captioner.backbone.image_encoder.trainable = False
    before = [keras.ops.convert_to_numpy(w) for w in captioner.backbone.image_encoder.weights]
    captioner.compile(optimizer=keras.optimizers.Adam(0.01), self_critical=SelfCritical(3))
    scores = CaptionScores(dataset, num_beams=2, feature_cache=tmp_path)
    history = captioner.fit(
        dataset, epochs=2, batch_size=6, feature_cache=tmp_path, verbose=0, callbacks=[scores]
    )
    assert set(history.history) >= {"loss", "reward", "val_cider"}
    for weight, old in zip(captioner.backbone.image_encoder.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), old)


def test_stop(tiny_captioner, dataset):
    captioner = tiny_captioner()
    captioner.compile(self_critical=SelfCritical(2))

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    history = captioner.fit(
        dataset, epochs=5, batch_size=4, feature_cache=None, verbose=0, callbacks=[Stop()]
    )
    assert history.epoch == [0, 1]


def test_goes_on_where_it_stopped(tiny_captioner, dataset, tmp_path):
    class Killed(BaseException):
        """In place of a signal, which would end the tests as well."""

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise Killed

    def train(*callbacks):
        captioner = tiny_captioner()
        captioner.compile(self_critical=SelfCritical(2))
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        options = {"epochs": 3, "batch_size": 4, "feature_cache": None, "verbose": 0}
        return captioner.fit(dataset, callbacks=[backup, *callbacks], **options)

    with pytest.raises(Killed):
        train(Kill())
    assert train().epoch == [2]


def test_bad_input(tiny_captioner, dataset):
    captioner = tiny_captioner()
    captioner.compile(self_critical=SelfCritical(4))
    with pytest.raises(ValueError, match="has no validation loss.* Received: validation_data"):
        captioner.fit(dataset, validation_data=dataset)
    with pytest.raises(ValueError, match="`batch_size` counts captions.* Received: batch_size=3"):
        captioner.fit(dataset, batch_size=3, feature_cache=None)
    batches = training_batches(captioner, dataset, feature_cache=None)
    assert isinstance(batches, CaptionBatches)
    with pytest.raises(ValueError, match="compares with all captions of an image.* Received: Capt"):
        captioner.fit(batches)

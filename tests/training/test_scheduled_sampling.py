"""Training on the model's own words: what is replaced, by what, and that it learns."""

import keras
import numpy as np
import pytest
from captioner_checks import picture, sharpen
from keras import ops

from keras_showattend import ImageCaptioner
from keras_showattend.training import ScheduledSampling, SelfCritical

pytestmark = pytest.mark.slow

CAPTIONS = ["a red dog runs on grass", "a big cat", "dog"]
START = 1
B, T, V = 300, 5, 9


def sampling(rate):
    layer = ScheduledSampling()
    layer.rate = rate
    return layer


def drawn(rate, token_ids, logits, mask):
    return ops.convert_to_numpy(sampling(rate)(token_ids, logits, mask))


@pytest.fixture
def batch():
    rng = np.random.default_rng(5)
    token_ids = np.tile(np.arange(100, 100 + T, dtype="int32"), (B, 1))
    logits = rng.normal(size=(1, T, V)).repeat(B, axis=0).astype("float32")
    # Special tokens would win if they could.
    logits[..., :4] = 30
    return token_ids, logits, np.ones((B, T), bool)


def test_words_are_drawn_from_the_step_before(batch):
    token_ids, logits, mask = batch
    found = drawn(1.0, token_ids, logits, mask)
    assert (found[:, 0] == 100).all()
    probabilities = np.exp(logits[0, :, 4:]) / np.exp(logits[0, :, 4:]).sum(-1, keepdims=True)
    for step in range(1, T):
        counts = np.bincount(found[:, step], minlength=V)
        assert counts[4:].sum() == B
        # Four standard deviations of a share of 300 draws.
        np.testing.assert_allclose(counts[4:] / B, probabilities[step - 1], atol=4 * 0.5 / B**0.5)


def test_rate_is_the_share_of_words_replaced(batch):
    token_ids, logits, mask = batch
    assert (drawn(0.0, token_ids, logits, mask) == token_ids).all()
    replaced = drawn(0.25, token_ids, logits, mask)[:, 1:] < 100
    assert abs(replaced.mean() - 0.25) < 4 * 0.44 / replaced.size**0.5


def test_padding_stays(batch):
    token_ids, logits, mask = batch
    mask[:, 3:] = False
    mask[::2] = False
    found = drawn(1.0, token_ids, logits, mask)
    np.testing.assert_array_equal(found[~mask], token_ids[~mask])
    assert (found[1::2, 1:3] < 100).all()


def test_every_call_draws_anew(batch):
    layer = sampling(0.5)
    first, second = (ops.convert_to_numpy(layer(*batch)) for _ in range(2))
    assert (first != second).any()


def decided(captioner):
    """So sure of each word that drawing is taking the most probable."""
    output = sharpen(captioner).backbone.decoder.vocabulary_output
    output.kernel.assign(output.kernel * 1e4)
    return captioner


def samples(captioner):
    return captioner.preprocessor(
        {"images": [picture(seed) for seed in range(3)], "captions": CAPTIONS}
    )


def test_rate_1_reads_only_the_models_own_words(tiny_captioner, monkeypatch):
    captioner = decided(tiny_captioner())
    captioner.compile(scheduled_sampling=1.0)
    x, _, weight = samples(captioner)
    logits = ops.convert_to_numpy(captioner(x))
    words = logits[..., 4:].argmax(-1) + 4
    expected = x["token_ids"].copy()
    expected[:, 1:] = np.where(weight[:, 1:] > 0, words[:, :-1], expected[:, 1:])
    assert (expected != x["token_ids"]).any()
    # What the second pass gives, without dropout, is teacher forcing on those words.
    captioner.backbone.decoder.embedding_dropout.rate = 0
    captioner.backbone.decoder.output_dropout.rate = 0
    second = ops.convert_to_numpy(captioner(x, training=True))
    forced = ops.convert_to_numpy(captioner({**x, "token_ids": expected}))
    np.testing.assert_allclose(second, forced, rtol=1e-4, atol=1e-2)
    assert abs(second - logits).max() > 1
    # Never outside of training.
    np.testing.assert_array_equal(ops.convert_to_numpy(captioner(x)), logits)


def trained(tiny_captioner, epochs=1, **options):
    keras.utils.set_random_seed(3)
    captioner = tiny_captioner(dropout=0.0)
    captioner.backbone.image_encoder.trainable = False
    captioner.compile(keras.optimizers.Adam(0.03), label_smoothing=0.0, **options)
    data = {"images": [picture(seed) for seed in range(3)], "captions": CAPTIONS}
    history = captioner.fit(data, epochs=epochs, batch_size=3, verbose=0).history
    return captioner, history["loss"]


def test_rate_0_is_teacher_forcing(tiny_captioner):
    plain, loss = trained(tiny_captioner)
    other, other_loss = trained(tiny_captioner, scheduled_sampling=0.0)
    assert loss == other_loss
    pairs = zip(plain.backbone.get_weights(), other.backbone.get_weights(), strict=True)
    for weight, other_weight in pairs:
        np.testing.assert_array_equal(weight, other_weight)


def test_learns(tiny_captioner):
    # torch.compile needs a C++ compiler and a minute.
    jit_compile = keras.backend.backend() != "torch"
    captioner, loss = trained(
        tiny_captioner, epochs=40, scheduled_sampling=0.5, jit_compile=jit_compile
    )
    assert loss[0] > 2
    assert min(loss[-5:]) < 0.3
    captions = captioner.generate([picture(seed) for seed in range(3)], capitalize=False)
    assert captions == CAPTIONS


def test_presets_and_keras_files(tiny_captioner, tmp_path):
    captioner = tiny_captioner()
    captioner.compile(scheduled_sampling=0.25)
    assert not captioner.has_task_weights()
    captioner.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.scheduled_sampling.rate == 0.25
    captioner.save_to_preset(tmp_path / "preset")
    assert ImageCaptioner.from_preset(str(tmp_path / "preset")).scheduled_sampling.rate == 0


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_rate_out_of_range(tiny_captioner, rate):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\].*Received: scheduled_sampling="):
        tiny_captioner().compile(scheduled_sampling=rate)


def test_self_critical_training_stands_alone(tiny_captioner):
    for options in ({"scheduled_sampling": 0.5}, {"distillation": object()}):
        with pytest.raises(ValueError, match="Leave out the other objectives. Received: "):
            tiny_captioner().compile(self_critical=SelfCritical(2), **options)

"""`Distillation`: what the teacher says, the loss that it gives, and what stays outside."""

import keras
import numpy as np
import pytest
from captioner_checks import Batches, picture, save_pictures, sharpen
from keras import ops

from keras_showattend import CaptionDataset, CaptionerEnsemble, Distillation, ImageCaptioner
from keras_showattend.training import SoftTargets, distillation_loss
from keras_showattend.training.training_batches import training_batches

pytestmark = pytest.mark.slow

CAPTIONS = [["a red dog runs", "a dog"], ["a big cat sits on grass"], ["grass"]]
V = 13


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def log_softmax(logits):
    return np.log(softmax(logits))


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_loss_against_numpy(temperature):
    rng = np.random.default_rng(2)
    student, teacher = rng.normal(scale=2, size=(2, 2, 3, 4))
    weight = np.array([[1, 0.5, 0], [1, 0, 0]])
    soft = softmax(teacher / temperature)
    each = -(soft * log_softmax(student / temperature)).sum(-1)
    expected = temperature**2 * (each * weight).sum() / 2.5
    # The teacher may name its words in any order.
    order = np.argsort(-soft, axis=-1)
    found = distillation_loss(
        student.astype("float32"),
        order.astype("int32"),
        np.take_along_axis(soft, order, -1).astype("float32"),
        weight.astype("float32"),
        temperature,
    )
    np.testing.assert_allclose(float(found), expected, rtol=1e-5)


def test_loss_where_no_word_counts():
    zeros = np.zeros((1, 2, 3), "float32")
    found = distillation_loss(zeros, zeros.astype("int32"), zeros, np.zeros((1, 2), "float32"))
    assert float(found) == 0


def test_soft_targets_are_padded():
    ids = [np.array([[5, 6], [7, 8]], "uint16"), np.array([[9, 4]], "uint16")]
    shares = [np.array([[0.75, 0.25], [0.5, 0.5]], "float16"), np.array([[1, 0]], "float16")]
    found = SoftTargets(ids, shares).gather(np.array([1, 0]), 3)
    assert found["teacher_ids"].tolist() == [[[9, 4], [0, 0], [0, 0]], [[5, 6], [7, 8], [0, 0]]]
    assert found["teacher_probabilities"].tolist() == [
        [[1, 0], [0, 0], [0, 0]],
        [[0.75, 0.25], [0.5, 0.5], [0, 0]],
    ]
    assert (found["teacher_ids"].dtype, found["teacher_probabilities"].dtype) == (
        np.dtype("int32"),
        np.dtype("float32"),
    )


@pytest.fixture(scope="module")
def dataset():
    images = [picture(seed) for seed in range(3)]
    return CaptionDataset.from_dict({"images": images, "captions": CAPTIONS})


@pytest.fixture(scope="module")
def teachers(tiny_captioner):
    """Other encoders, other pixels, another decoder, longer captions."""
    first = sharpen(tiny_captioner(), seed=1)
    second = sharpen(tiny_captioner("lstm", scale=0.01, sequence_length=9), seed=2)
    return [first, second]


@pytest.fixture
def student(tiny_captioner):
    def make(**options):
        captioner = tiny_captioner(dropout=0.0, **options)
        captioner.backbone.image_encoder.trainable = False
        return captioner

    return make


def expected_probabilities(teachers, image, text, temperature):
    logits = 0
    for teacher in teachers:
        x, _, weight = teacher.preprocessor(
            {"images": [image], "captions": [text]}, sequence_length=7
        )
        logits = logits + softmax(ops.convert_to_numpy(teacher(x))[0]) / len(teachers)
    return softmax(np.log(logits) / temperature)[weight[0] > 0]


@pytest.mark.parametrize("num_words", [None, 3])
def test_what_the_teacher_says(dataset, teachers, student, tmp_path, num_words):
    distillation = Distillation(CaptionerEnsemble(teachers), temperature=1.5, num_words=num_words)
    batches = training_batches(student(), dataset, batch_size=3, feature_cache=tmp_path)
    distillation.prepare(batches, tmp_path)
    texts = [(image, text) for item in dataset for image, text in pairs(item)]
    for index in range(len(batches)):
        x, _, weight = batches[index]
        for place, row in enumerate(batches.rows(index)):
            count = int(weight[place].sum())
            assert not x["teacher_probabilities"][place, count:].any()
            expected = expected_probabilities(teachers, *texts[row], temperature=1.5)
            found = np.zeros((count, V))
            ids = x["teacher_ids"][place, :count]
            np.put_along_axis(found, ids, x["teacher_probabilities"][place, :count], -1)
            if num_words:
                largest = np.sort(expected, -1)[:, -num_words:].sum(-1, keepdims=True)
                expected = np.where(found > 0, expected / largest, 0)
                assert (ids[:, 0] == expected.argmax(-1)).all()
            np.testing.assert_allclose(found, expected, atol=2e-3)


def pairs(item):
    return [(item.image, text) for text in item.captions]


def first_layer(captioner):
    return captioner.backbone.image_encoder.features.layers[0].name


@pytest.mark.parametrize("inputs", ["annotations", "frozen_features", "images"])
def test_loss_of_a_step(dataset, teachers, student, tmp_path, inputs):
    captioner = student()
    if inputs == "frozen_features":
        captioner.backbone.image_encoder.unfreeze(after=first_layer(captioner))
    place = None if inputs == "images" else tmp_path
    batches = training_batches(captioner, dataset, feature_cache=place, batch_size=4)
    distillation = Distillation(teachers[0], weight=0.3, temperature=2.0, num_words=None)
    distillation.prepare(batches, tmp_path)
    x, y, weight = batches[0]
    assert inputs in x
    assert ("image_index" in x) == (inputs != "annotations")
    logits = ops.convert_to_numpy(captioner(x))
    gold = -np.take_along_axis(log_softmax(logits), y[..., None], -1)[..., 0]
    soft = np.zeros(logits.shape)
    np.put_along_axis(soft, x["teacher_ids"], x["teacher_probabilities"], -1)
    taught = -4 * (soft * log_softmax(logits / 2)).sum(-1)
    gold, taught = ((each * weight).sum() / weight.sum() for each in (gold, taught))

    captioner.compile(label_smoothing=0.0, distillation=distillation)
    loss, _ = keras.Model.test_on_batch(captioner, x, y, sample_weight=weight)
    np.testing.assert_allclose(loss, gold, rtol=1e-4)
    loss, _ = keras.Model.train_on_batch(captioner, x, y, sample_weight=weight)
    np.testing.assert_allclose(loss, 0.7 * gold + 0.3 * taught, rtol=1e-4)


def test_a_student_learns_what_its_teacher_says(dataset, teachers, student, tmp_path):
    captioner, teacher = student(), teachers[0]
    before = teacher.get_weights()
    captioner.compile(
        keras.optimizers.Adam(0.03),
        distillation=Distillation(teacher, weight=1.0),
        # torch.compile needs a C++ compiler and a minute.
        jit_compile=keras.backend.backend() != "torch",
    )
    loss = captioner.fit(
        dataset, epochs=50, batch_size=4, verbose=0, feature_cache=tmp_path, random_flip=True
    ).history["loss"]
    x, _, weight = captioner.preprocessor({"images": dataset.images, "captions": first_captions()})
    said, wanted = (softmax(ops.convert_to_numpy(model(x))) for model in (captioner, teacher))
    assert loss[0] - loss[-1] > 1
    assert abs(said - wanted)[weight > 0].max() < 0.15
    for weights in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(*weights)


def first_captions():
    return [captions[0] for captions in CAPTIONS]


def test_the_teacher_stays_outside(dataset, teachers, student, tmp_path):
    captioner = student()
    count = len(captioner.variables)
    trainable = len(captioner.trainable_variables)
    captioner.compile(distillation=Distillation(teachers[1]))
    captioner.fit(dataset, batch_size=4, verbose=0, feature_cache=tmp_path)
    assert len(captioner.trainable_variables) == trainable
    assert len(captioner.variables) == count
    assert not captioner.has_task_weights()
    captioner.save_to_preset(tmp_path / "taught")
    captioner.compile()
    captioner.save_to_preset(tmp_path / "plain")
    sizes = [
        (folder / "model.weights.h5").stat().st_size
        for folder in (tmp_path / "taught", tmp_path / "plain")
    ]
    assert sizes[0] == sizes[1]
    assert ImageCaptioner.from_preset(str(tmp_path / "taught")).distillation is None


def test_the_same_encoder_encodes_once(tiny_captioner, student, tmp_path, monkeypatch):
    captioner = student()
    teacher = student(hidden_dim=7)
    teacher.backbone.image_encoder.set_weights(captioner.backbone.image_encoder.get_weights())
    data = {"images": save_pictures(tmp_path, 3), "captions": CAPTIONS}
    cache = captioner.feature_cache(tmp_path / "cache")
    cache.compute(data["images"], progress=False)
    batches = training_batches(captioner, data, feature_cache=cache)
    converter = type(captioner.preprocessor.image_converter)
    monkeypatch.setattr(converter, "load", lambda *_: pytest.fail("encoded again"))
    for place in (tmp_path / "cache", cache):
        Distillation(teacher).prepare(batches, place)


def test_another_vocabulary(tiny_captioner, teachers, student, dataset, tmp_path):
    captioner = student(words=("a", "dog"))
    captioner.compile(distillation=Distillation(teachers[0]))
    with pytest.raises(ValueError, match="must have the same vocabulary"):
        captioner.fit(dataset, verbose=0, feature_cache=tmp_path)


def test_data_that_the_teacher_cannot_read_beforehand(teachers, student):
    captioner = student()
    captioner.compile(distillation=Distillation(teachers[0]))
    item = {"images": np.stack([picture(0)]), "captions": ["a dog"]}
    with pytest.raises(ValueError, match="`CaptionDataset` or a dict.*Received: Preprocessed"):
        captioner.fit(Batches([item]), verbose=0)
    x, y, weight = captioner.preprocessor(item)
    with pytest.raises(ValueError, match="Batches for distillation are made by `fit`"):
        keras.Model.train_on_batch(captioner, x, y, sample_weight=weight)


@pytest.mark.parametrize(
    "options",
    [
        {"weight": -0.1},
        {"weight": 1.2},
        {"temperature": 0},
        {"temperature": float("inf")},
        {"num_words": 0},
        {"num_words": 2.5},
    ],
    ids=str,
)
def test_values_out_of_range(teachers, options):
    [name] = options
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        Distillation(teachers[0], **options)

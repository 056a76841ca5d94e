"""`train_captioner`: from captions to a preset, interrupted or not."""

import dataclasses
import json
import os

import keras
import numpy as np
import pytest
from captioner_checks import save_pictures

from keras_showattend import CaptionDataset, ImageCaptioner
from keras_showattend._locks import exclusive
from keras_showattend.layers import ImageEncoder
from keras_showattend.recipes import Recipe, stage, train_captioner
from keras_showattend.recipes.backup import Backup
from keras_showattend.recipes.work_folder import work_folder

pytestmark = [
    pytest.mark.slow,
    # A handful of captions, as here, is what these warn of.
    pytest.mark.filterwarnings("ignore:.* are few to learn from scratch"),
]

CAPTIONS = [
    ["a red dog runs", "a dog"],
    ["a big cat sits"],
    ["grass"],
    ["a dog runs on grass"],
    ["a cat sits on a dog"],
]
# Tiny but for the encoder, which is a real VGG16.
RECIPE = Recipe(
    embedding_dim=8,
    hidden_dim=9,
    attention_dim=10,
    # Keras saves no state of random numbers, so that a resumed training drops other units.
    dropout=0.0,
    min_count=1,
    sequence_length=7,
    epochs=3,
    batch_size=2,
    learning_rate=0.02,
    random_flip=False,
    num_beams=2,
)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    paths = save_pictures(tmp_path_factory.mktemp("pictures"), 5)
    return [
        CaptionDataset.from_dict({"images": paths[part], "captions": CAPTIONS[part]})
        for part in (slice(0, 3), slice(3, 5))
    ]


@pytest.fixture(scope="module")
def feature_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture
def train(datasets, feature_cache):
    def run(output, recipe=RECIPE, **options):
        options = {"encoder_weights": None, "feature_cache": feature_cache, "verbose": 0} | options
        return train_captioner(*datasets, output, recipe, **options)

    return run


class Killed(BaseException):
    """In place of a signal, which would end the tests as well."""


@pytest.fixture
def killed_after(monkeypatch):
    """Makes a training end when the backup of an epoch has been written."""

    def patch(last_epoch):
        class Killing(Backup):
            def on_epoch_end(self, epoch, logs=None):
                super().on_epoch_end(epoch, logs)
                if epoch == last_epoch:
                    raise Killed

        monkeypatch.setattr(stage, "Backup", Killing)

    return patch


@pytest.fixture
def losses(monkeypatch):
    """Loss of each epoch that ran to its end, by its number; to be cleared between trainings."""
    found = {}
    fit = ImageCaptioner.fit

    def observed(self, *args, callbacks, **options):
        def note(epoch, logs):
            found[epoch] = logs["loss"]

        first = keras.callbacks.LambdaCallback(on_epoch_end=note)
        return fit(self, *args, callbacks=[first, *callbacks], **options)

    monkeypatch.setattr(ImageCaptioner, "fit", observed)
    return found


def test_one_run_at_a_time(train, tmp_path):
    output = tmp_path / "new" / "mine"
    output.parent.mkdir()
    with exclusive(work_folder(output)):
        with pytest.raises(BlockingIOError) as caught:
            train(output)
        assert os.listdir(output.parent) == [".mine.training.lock"]
    assert f"Only one process at a time may write '{output}.training'" in str(caught.value)
    assert f"in use by process {os.getpid()} on " in str(caught.value)


def record_of(folder):
    return json.loads((folder / "training.json").read_text())


def test_whole_and_interrupted(train, datasets, tmp_path, losses, killed_after):
    captioner = train(tmp_path / "whole", command="train --it")
    expected_losses = dict(losses)
    assert list(expected_losses) == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole"]
    record = record_of(tmp_path / "whole")
    (done,) = record["stages"]
    assert done["recipe"] == RECIPE.to_dict()
    assert record["command"] == "train --it"
    assert (record["images"], record["captions"]) == (3, 4)
    assert done["best_epoch"] in (0, 1, 2)
    assert record["validation_cider"] == done["validation_cider"]
    assert {"keras", "keras-hub", "keras-showattend"} <= set(record["versions"])
    assert "date" in done

    # The vocabulary is that of the training captions: "on" is not in them.
    vocabulary = captioner.preprocessor.tokenizer.get_vocabulary()
    assert sorted(vocabulary[4:]) == ["a", "big", "cat", "dog", "grass", "red", "runs", "sits"]
    assert not captioner.backbone.image_encoder.trainable
    image = datasets[1].images[0]
    loaded = ImageCaptioner.from_preset(tmp_path / "whole")
    assert loaded.generate(image, num_beams=2) == captioner.generate(image, num_beams=2)

    killed_after(1)
    with pytest.raises(Killed):
        train(tmp_path / "resumed")
    work = tmp_path / "resumed.training"
    assert not (tmp_path / "resumed").exists()
    assert len((work / "stage_1" / "epochs.csv").read_text().splitlines()) == 3

    # Another recipe must not take up what lies there.
    before = sorted(path.name for path in work.iterdir())
    with pytest.raises(ValueError, match=r"other values of \['epochs', 'seed'\]"):
        train(tmp_path / "resumed", Recipe(**{**RECIPE.to_dict(), "epochs": 4, "seed": 1}))
    assert sorted(path.name for path in work.iterdir()) == before

    # As a version wrote it that did not know all settings.
    (recipe,) = json.loads((work / "recipe.json").read_text())
    del recipe["distinctness_weight"]
    (work / "recipe.json").write_text(json.dumps([recipe]))
    killed_after(None)
    losses.clear()
    resumed = train(tmp_path / "resumed", command="train --it")
    # Order of the captions and Adam's moments went on as if nothing had been.
    assert list(losses) == [2]
    assert losses[2] == pytest.approx(expected_losses[2], rel=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["resumed", "whole"]
    assert record_of(tmp_path / "resumed") == record
    for weight, expected in zip(resumed.weights, captioner.weights, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(weight), keras.ops.convert_to_numpy(expected), atol=1e-4
        )


STAGES = [
    dataclasses.replace(RECIPE, epochs=1),
    # The encoder's last block in other precision, of a rate and with an average of its own.
    dataclasses.replace(
        RECIPE,
        epochs=2,
        unfreeze_after="block4_pool",
        encoder_learning_rate=1e-3,
        random_window=0.85,
        random_flip=True,
        ema_momentum=0.5,
        feature_dtype="mixed_bfloat16",
        decoder_dtype="mixed_bfloat16",
    ),
    dataclasses.replace(RECIPE, epochs=1, self_critical_samples=2, crossentropy_weight=0.5),
]


def test_stages(train, datasets, tmp_path, losses, killed_after):
    killed_after(1)
    with pytest.raises(Killed):
        train(tmp_path / "output", STAGES)
    work = tmp_path / "output.training"
    assert (work / "stage_1" / "done.json").exists()
    assert not (work / "stage_2" / "done.json").exists()

    killed_after(None)
    losses.clear()
    captioner = train(tmp_path / "output", STAGES)
    # The first stage and two epochs of the second had been done.
    assert list(losses) == [0]
    record = record_of(tmp_path / "output")
    assert [stage["recipe"] for stage in record["stages"]] == [s.to_dict() for s in STAGES]
    encoder = captioner.backbone.image_encoder
    assert not encoder.trainable
    assert encoder.compute_dtype == captioner.backbone.decoder.compute_dtype == "float32"
    config = json.loads((tmp_path / "output" / "config.json").read_text())["config"]
    assert "bfloat16" not in json.dumps(config)
    loaded = ImageCaptioner.from_preset(tmp_path / "output")
    image = datasets[1].images[0]
    assert loaded.generate(image, num_beams=2) == captioner.generate(image, num_beams=2)


def test_teacher_and_scheduled_sampling(train, tmp_path):
    teacher = train(tmp_path / "teacher", STAGES[0])
    recipe = dataclasses.replace(STAGES[0], distillation_weight=1.0, scheduled_sampling=0.5)
    # All words of the captions are in the vocabulary of the teacher only.
    recipe = dataclasses.replace(recipe, min_count=2)
    student = train(tmp_path / "student", recipe, teacher=teacher)
    (done,) = record_of(tmp_path / "student")["stages"]
    assert done["recipe"]["distillation_weight"] == 1.0
    assert student.backbone.count_params() == teacher.backbone.count_params()


def test_what_learns_in_a_stage(train, tmp_path):
    keras.utils.set_random_seed(RECIPE.seed)
    started = {}

    def note(captioner):
        for layer in captioner.backbone.image_encoder.features.layers:
            started[layer.name] = [np.array(value) for value in layer.get_weights()]

    first = train(tmp_path / "first", STAGES[0])
    note(first)
    second = train(tmp_path / "second", STAGES[1], captioner=first)
    for layer in second.backbone.image_encoder.features.layers:
        for old, new in zip(started[layer.name], layer.get_weights(), strict=True):
            assert np.array_equal(old, new) == (not layer.name.startswith("block5"))


def test_decoded_images_and_a_rate_for_each_block(train, tmp_path):
    recipe = dataclasses.replace(
        RECIPE,
        encoder="efficientnet_lite0",
        epochs=1,
        unfreeze_after="block6c_add",
        encoder_learning_rate=1e-3,
        layer_decay=0.5,
        random_crop=0.6,
        color_jitter=0.2,
    )
    encoder = train(tmp_path / "output", recipe).backbone.image_encoder
    encoder.unfreeze("block6c_add")
    names = [block[0].path.split("/")[-2] for block in encoder.trainable_blocks()]
    assert names == ["block6d_expand_conv", "block7a_expand_conv", "head_conv"]
    optimizer = stage._optimizer(recipe, 10, encoder)
    optimizer.build(encoder.trainable_variables)
    # From the output: the rate itself, half of it, a quarter; the decoder's comes last.
    targets = [o.get_config()["learning_rate"]["config"] for o in optimizer.optimizers]
    assert sorted(t["warmup_target"] for t in targets) == [2.5e-4, 5e-4, 1e-3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unfreeze_after": "block9"}, "can be cut at a layer .* Received: 'block9'"),
        ({"random_window": 0.8}, "`random_window` of a recipe needs `unfreeze_after`"),
        ({"random_crop": 0.5}, "`random_crop` of a recipe needs `unfreeze_after`"),
        ({"layer_decay": 0.5}, "`layer_decay` of a recipe needs `unfreeze_after`"),
        (
            {"unfreeze_after": "auto", "random_window": 0.8, "color_jitter": 0.1},
            "use one or the other. Received: random_window=0.8, random_crop=1.0, color_jitter=0.1",
        ),
        ({"self_critical_samples": 3}, "must hold all samples of one image.*batch_size=2"),
        ({"decoder_dtype": "flaot16"}, "`decoder_dtype` .* dtype policy.*decoder_dtype='flaot16'"),
        ({"distillation_weight": 0.5}, "`distillation_weight` of a recipe needs a `teacher`"),
        (
            {"self_critical_samples": 2, "scheduled_sampling": 0.2},
            "goes with neither `scheduled_sampling` nor",
        ),
    ],
)
def test_bad_later_stages(train, tmp_path, losses, changes, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "output", [RECIPE, dataclasses.replace(RECIPE, **changes)])
    assert not losses


def test_a_teacher_of_other_words(tiny_captioner):
    teacher = tiny_captioner(words=["a", "boat"])
    with pytest.raises(ValueError, match="must have the same vocabulary"):
        stage.check_stage(tiny_captioner(), Recipe(distillation_weight=0.5), teacher)
    stage.check_stage(tiny_captioner(), Recipe(), teacher)


def test_what_could_not_be_saved(train, tiny_captioner, tmp_path, losses):
    tiny = tiny_captioner()
    images = keras.Input((8, 12, 3))
    same = keras.layers.Lambda(lambda x: x, output_shape=lambda shape: shape)
    features = same(keras.layers.Conv2D(5, 4, strides=4)(images))
    backbone = tiny.backbone.with_encoder(ImageEncoder(keras.Model(images, features)))
    captioner = ImageCaptioner(backbone, tiny.preprocessor)
    with pytest.raises(ValueError, match="only if `from_preset` loads it again.*'Lambda'"):
        train(tmp_path / "output", captioner=captioner)
    assert not losses


def test_shared_images(datasets, tmp_path):
    with pytest.raises(ValueError, match=r"must not share images.* 1 shared, such as \['"):
        train_captioner(datasets[0], datasets[0][1:2], tmp_path / "output", RECIPE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "resnet"}, "`encoder` must be one of"),
        ({"decoder": "rnn"}, "`decoder` must be one of"),
        ({"grid": 9}, "`grid` must be one of"),
        ({"min_count": 50}, "The vocabulary would be empty"),
        ({"dropout": 2.0}, "`dropout` of a recipe must be in"),
    ],
)
def test_bad_recipes(train, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "output", Recipe(**{**RECIPE.to_dict(), **changes}))
    assert not (tmp_path / "output").exists()


def test_missing_encoder_weights(train, tmp_path):
    with pytest.raises(ValueError, match=r"Received: weights='nowhere\.h5', which is no file"):
        train(tmp_path / "output", encoder_weights="nowhere.h5")

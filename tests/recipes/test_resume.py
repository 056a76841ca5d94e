"""What a kill leaves behind: whole states, broken states, and a run that resumes from them."""

import json
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from captioner_checks import picture, save_pictures

from keras_showattend import CaptionDataset, ImageCaptioner
from keras_showattend._compat import take_initial_epoch
from keras_showattend.recipes import Recipe, stage, train_captioner
from keras_showattend.recipes.backup import Backup
from keras_showattend.recipes.work_folder import (
    claim_work_folder,
    unfinished_recipes,
    work_folder,
)
from keras_showattend.training import CaptionScores

DATA = {
    "images": [picture(seed) for seed in range(3)],
    "captions": [["a red dog runs", "a dog"], ["a big cat sits on grass"], ["grass"]],
}
RECIPE = Recipe(epochs=3, batch_size=4, num_beams=2, random_flip=False, learning_rate=0.02)


class Killed(BaseException):
    """In place of a signal, which would end the tests as well."""


class KillAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Killed


def frozen(tiny_captioner, dropout=0.0):
    captioner = tiny_captioner(dropout=dropout)
    captioner.backbone.image_encoder.trainable = False
    return captioner


def fit(captioner, *callbacks):
    options = {"epochs": 4, "batch_size": 4, "verbose": 0, "feature_cache": None}
    return captioner.fit(DATA, callbacks=list(callbacks), **options)


def weights_of(captioner):
    return [keras.ops.convert_to_numpy(weight) for weight in captioner.weights]


@pytest.fixture(scope="module")
def interrupted(tiny_captioner, tmp_path_factory):
    """Folder of the states after two and three epochs, and the weights of each."""
    folder = tmp_path_factory.mktemp("states")
    captioner = frozen(tiny_captioner)
    weights = {}
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.update({epoch + 1: weights_of(captioner)})
    )
    with pytest.raises(Killed):
        fit(captioner, note, Backup(folder), KillAfter(2))
    return folder, weights


def resume(tiny_captioner, folder):
    """Epoch with which training would begin, and the weights that it would begin with."""
    captioner = frozen(tiny_captioner)
    backup = Backup(folder)
    backup.set_model(captioner)
    backup.on_train_begin()
    return take_initial_epoch(captioner, 0), weights_of(captioner)


def check_weights(found, expected):
    for weight, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(weight, wanted)


def test_two_states_are_kept_and_the_last_is_taken(tiny_captioner, interrupted):
    folder, weights = interrupted
    assert sorted(path.name for path in folder.iterdir()) == [
        "after_epoch_2.weights.h5",
        "after_epoch_3.weights.h5",
    ]
    epoch, found = resume(tiny_captioner, folder)
    assert epoch == 3
    check_weights(found, weights[3])


@pytest.mark.parametrize("length", [0, 96, 3000, 0.5, -1])
def test_a_broken_state_is_set_aside(tiny_captioner, interrupted, tmp_path, length):
    folder = shutil.copytree(interrupted[0], tmp_path / "states")
    last = folder / "after_epoch_3.weights.h5"
    whole = last.read_bytes()
    last.write_bytes(whole[: int(length * len(whole)) if isinstance(length, float) else length])
    with pytest.warns(UserWarning, match=r"after_epoch_3.*damaged.*aside as 'after_epoch_3.*brok"):
        epoch, found = resume(tiny_captioner, folder)
    assert epoch == 2
    check_weights(found, interrupted[1][2])
    assert (folder / "after_epoch_3.weights.h5.broken").exists()
    # The next start has nothing to complain of.
    assert resume(tiny_captioner, folder)[0] == 2


def test_a_resumed_run_learns_what_an_undisturbed_one_does(tiny_captioner, tmp_path):
    found = []
    for name, killers in (("undisturbed", ()), ("killed", (KillAfter(1),))):
        for killer in killers:
            keras.utils.set_random_seed(5)
            with pytest.raises(Killed):
                fit(frozen(tiny_captioner, 0.4), Backup(tmp_path / name), killer)
        keras.utils.set_random_seed(5)
        captioner = frozen(tiny_captioner, 0.4)
        fit(captioner, Backup(tmp_path / name))
        found.append(weights_of(captioner))
    check_weights(*found)


def test_no_whole_state_starts_anew(tiny_captioner, interrupted, tmp_path):
    folder = shutil.copytree(interrupted[0], tmp_path / "states")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:96])
    with pytest.warns(UserWarning, match="cannot be used"):
        assert resume(tiny_captioner, folder)[0] == 0


def test_states_of_keras_own_callback(tiny_captioner, tmp_path):
    captioner = frozen(tiny_captioner)
    own = keras.callbacks.BackupAndRestore(tmp_path / "states", double_checkpoint=True)
    with pytest.raises(Killed):
        fit(captioner, own, KillAfter(1))
    shutil.copytree(tmp_path / "states", tmp_path / "broken")
    epoch, found = resume(tiny_captioner, tmp_path / "states")
    assert epoch == 2
    check_weights(found, weights_of(captioner))

    latest = tmp_path / "broken" / "latest.weights.h5"
    latest.write_bytes(latest.read_bytes()[:96])
    with pytest.warns(UserWarning, match=r"after_epoch_2\.weights\.h5' of an interrupted run"):
        assert resume(tiny_captioner, tmp_path / "broken")[0] == 1


@pytest.mark.parametrize("broken", ["weights", "record"])
def test_broken_best_weights(tiny_captioner, tmp_path, broken):
    captioner = frozen(tiny_captioner)
    path = tmp_path / "best.weights.h5"
    captioner.backbone.save_weights(path)
    (tmp_path / "best.json").write_text('{"cider": 0.5, "epoch": 1}')
    file = path if broken == "weights" else tmp_path / "best.json"
    file.write_bytes(file.read_bytes()[:-5])
    scores = CaptionScores(CaptionDataset.from_dict(DATA), path)
    scores.set_model(captioner)
    with pytest.warns(UserWarning, match=r"best\.weights\.h5' of an interrupted run"):
        scores.on_train_begin()
    assert scores.best_epoch is None
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best.json.broken",
        "best.weights.h5.broken",
    ]


def datasets(folder):
    paths = save_pictures(folder, 5)
    captions = [*DATA["captions"], ["a dog runs on grass"], ["a cat sits"]]
    return [
        CaptionDataset.from_dict({"images": paths[part], "captions": captions[part]})
        for part in (slice(0, 3), slice(3, 5))
    ]


def test_only_a_run_that_learned_something_holds_its_folder(tmp_path):
    work = work_folder(tmp_path / "mine")
    recipes = [Recipe(seed=5).to_dict()]
    claim_work_folder(work, recipes)
    (work / "stage_1").mkdir()
    (work / "stage_1" / "epochs.csv").write_text("epoch,loss\n")
    assert unfinished_recipes(work) is None
    for name in ("done.json", "best.weights.h5", "backup/after_epoch_1.weights.h5"):
        path = work / "stage_1" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        assert unfinished_recipes(work) == recipes
        path.unlink()


def test_a_finished_stage_without_its_weights_is_run_again(tmp_path):
    done, best = tmp_path / "done.json", tmp_path / "best.weights.h5"
    done.write_text("{}")
    best.write_bytes(b"\x89HDF")
    with pytest.warns(UserWarning, match=r"best\.weights\.h5' of an interrupted run"):
        assert stage._finished(done, best) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.weights.h5.broken",
        "done.json.broken",
    ]


RUN = """
import sys
from keras_showattend import CaptionDataset, ImageCaptioner, read_captions_file
from keras_showattend.recipes import Recipe, stage, train_captioner

folder = sys.argv[1]
dataset = read_captions_file(folder + "/captions.csv", split_column="split")
recipe = Recipe(epochs=500, batch_size=4, num_beams=2, random_flip=False, learning_rate=0.02)
train_captioner(dataset.split("train"), dataset.split("dev"), folder + "/mine", recipe,
    captioner=ImageCaptioner.from_preset(folder + "/tiny"), feature_cache=folder + "/cache",
    verbose=0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_run_resumes(tiny_captioner, tmp_path):
    tiny_captioner(dropout=0.0).save_to_preset(tmp_path / "tiny")
    data = datasets(tmp_path)
    rows = [
        f"{item.id},{text},{split}"
        for split, part in zip(("train", "dev"), data, strict=True)
        for item in part
        for text in item.captions
    ]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption,split", *rows]))
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)])
    work = work_folder(tmp_path / "mine")
    log = work / "stage_1" / "epochs.csv"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.read_text().count("\n") > 4:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    # The same run, with one epoch more than were finished.
    states = sorted(int(p.name[12:-11]) for p in (work / "stage_1" / "backup").glob("after*"))
    # The kill may have come after the log and before the state.
    assert states[-1] >= 3
    recipe = Recipe(**{**RECIPE.to_dict(), "epochs": states[-1] + 1})
    claim_work_folder(work, [recipe.to_dict()])
    captioner = ImageCaptioner.from_preset(tmp_path / "tiny")
    options = {"feature_cache": tmp_path / "cache", "verbose": 0}
    train_captioner(*data, tmp_path / "mine", recipe, captioner=captioner, **options)
    record = json.loads((tmp_path / "mine" / "training.json").read_text())
    assert record["stages"][0]["best_epoch"] <= states[-1]
    assert not work.exists()
